//! `pannier snapshot`: an operator's word on a snapshot that would remove much.

use pannier_protocol::change::SnapshotApproved;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Epoch, MarkId, Partition, SourceId, StreamSequence};

use crate::broker::BrokerArgs;
use crate::chain::{Held, OPERATOR};
use crate::cli::data;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Lets a parked snapshot through; prints a token to use as `at_least`.
    Approve(ApproveArgs),
}

#[derive(Debug, clap::Args)]
pub struct ApproveArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    /// The chain that carries it, without the prefix, as in `ledger.stock.wms-1`.
    #[arg(env = "PANNIER_SUBJECT", value_parser = Subject::parse)]
    subject: Subject,
    /// The chain's epoch: the stream sequence of its claim.
    #[arg(env = "PANNIER_EPOCH")]
    epoch: u64,
    /// The snapshot's id.
    #[arg(env = "PANNIER_SNAPSHOT", value_parser = MarkId::new)]
    id: MarkId,
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    let Command::Approve(args) = command;
    let (broker, streams) = args.broker.open("pannier snapshot").await?;
    let on = if args.subject.in_ledger() {
        Subject::Control
    } else {
        Subject::Catalog(Partition::Shared, SourceId::new(OPERATOR)?)
    };
    let epoch = Epoch { incarnation: streams.incarnation.clone(), claim: StreamSequence(args.epoch) };
    let approved = SnapshotApproved { subject: args.subject, epoch, id: args.id };
    let mut held = Held::operator(&broker, &streams, on).await?;
    data(held.publish(vec![Change::SnapshotApproved(approved)], None).await?)
}
