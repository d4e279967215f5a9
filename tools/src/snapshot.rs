//! `pannier snapshot`: an operator's word on a snapshot that would remove much.
//!
//! It can wait in two places: in front of the gate of every node, when a chain's snapshot was published and
//! would remove more than a tenth of its scope, and in the folder of a file adapter, when already the file
//! looked wrong and was not published. Both are let through here.

use std::path::PathBuf;

use anyhow::Context;
use pannier_adapters::files::{self, FilesConfig};
use pannier_protocol::change::SnapshotApproved;
use pannier_protocol::subject::Subject;
use pannier_protocol::{AsOf, Change, Epoch, MarkId, Partition, SourceId, StreamSequence};
use pannier_streams::{Broker, Streams};

use crate::broker::BrokerArgs;
use crate::chain::{Held, OPERATOR};
use crate::cli::data;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Lets a chain's parked snapshot through; prints a token to use as `at_least`.
    Approve(ApproveArgs),
    /// Lets a file adapter take a parked file as it is.
    ApproveFile(ApproveFileArgs),
    /// Prints the files that a file adapter parked, with the reasons.
    Files(FilesArgs),
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

#[derive(Debug, clap::Args)]
pub struct ApproveFileArgs {
    /// The adapter's configuration.
    #[arg(long, env = "PANNIER_FILES_CONFIG")]
    config: PathBuf,
    /// The file's name, as `pannier snapshot files` prints it.
    #[arg(env = "PANNIER_FILE")]
    name: String,
}

#[derive(Debug, clap::Args)]
pub struct FilesArgs {
    /// The adapter's configuration.
    #[arg(long, env = "PANNIER_FILES_CONFIG")]
    config: PathBuf,
    /// Print JSON, a file a line.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Approve(args) => approve(args).await,
        Command::ApproveFile(args) => {
            files::approve(&load(&args.config)?, &args.name)?;
            tracing::info!(file = args.name, "approved; the adapter takes it when it looks again");
            Ok(())
        }
        Command::Files(args) => {
            for file in files::parked(&load(&args.config)?)? {
                if args.json {
                    data(serde_json::json!({ "file": file.name, "reason": file.reason }))?;
                } else {
                    data(format_args!("{}: {}", file.name, file.reason))?;
                }
            }
            Ok(())
        }
    }
}

fn load(config: &std::path::Path) -> anyhow::Result<FilesConfig> {
    FilesConfig::load(config).with_context(|| config.display().to_string())
}

async fn approve(args: ApproveArgs) -> anyhow::Result<()> {
    let (broker, streams) = args.broker.open("pannier snapshot").await?;
    data(publish(&broker, &streams, args.subject, StreamSequence(args.epoch), args.id).await?)
}

/// Publishes the word where the chain's fold reads it.
pub(crate) async fn publish(
    broker: &Broker,
    streams: &Streams,
    subject: Subject,
    claim: StreamSequence,
    id: MarkId,
) -> anyhow::Result<AsOf> {
    let on = if subject.in_ledger() {
        Subject::Control
    } else {
        Subject::Catalog(Partition::Shared, SourceId::new(OPERATOR)?)
    };
    let epoch = Epoch { incarnation: streams.incarnation.clone(), claim };
    let approved = SnapshotApproved { subject, epoch, id };
    let mut held = Held::operator(broker, streams, on).await?;
    held.publish(vec![Change::SnapshotApproved(approved)], None).await
}
