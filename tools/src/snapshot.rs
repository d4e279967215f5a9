//! `pannier snapshot`: an operator's word on a snapshot that would remove much.
//!
//! It can wait in two places: in front of the gate of every node, when a chain's snapshot was published and
//! would remove more than a tenth of its scope, and in the folder of a file adapter, when already the file
//! looked wrong and was not published. Both are let through here.

use std::path::PathBuf;

use anyhow::{Context, bail};
use pannier_adapters::files::{self, FilesConfig};
use pannier_protocol::api::operator::SourcesShown;
use pannier_protocol::change::SnapshotApproved;
use pannier_protocol::subject::Subject;
use pannier_protocol::{AsOf, Change, Epoch, MarkId, Partition, SourceId, StreamSequence};
use pannier_streams::{Broker, Streams};

use crate::broker::BrokerArgs;
use crate::chain::{Held, OPERATOR};
use crate::cli::data;
use crate::operator::NodeArgs;

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
    #[command(flatten)]
    node: NodeArgs,
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

/// A node says what is parked: an approval of what is not would be an entry that does nothing.
async fn approve(args: ApproveArgs) -> anyhow::Result<()> {
    let shown: SourcesShown = args.node.open()?.get("sources").await?;
    check_parked(&shown, &args.subject, StreamSequence(args.epoch), &args.id)?;
    let (broker, streams) = args.broker.open("pannier snapshot").await?;
    data(publish(&broker, &streams, args.subject, StreamSequence(args.epoch), args.id).await?)
}

fn check_parked(
    shown: &SourcesShown,
    subject: &Subject,
    epoch: StreamSequence,
    id: &MarkId,
) -> anyhow::Result<()> {
    let mut parked = Vec::new();
    for chain in &shown.chains {
        let is_named = chain.subject == subject.to_string();
        if is_named && chain.parked.iter().any(|it| it.epoch == epoch && it.id == *id) {
            return Ok(());
        }
        parked.extend(chain.parked.iter().map(|it| format!("{} {} {}", chain.subject, it.epoch, it.id)));
    }
    let known =
        if parked.is_empty() { "none is".to_owned() } else { format!("these are: {}", parked.join(", ")) };
    bail!("no snapshot {id} of epoch {epoch} of {subject} is parked; {known}")
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

#[cfg(test)]
mod tests {
    use pannier_protocol::api::operator::SourcesShown;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_parked_is_approved() {
        let chain = |subject: &str, parked: serde_json::Value| {
            json!({"subject": subject, "epoch": 9, "sequence": 5, "snapshot_wanted": false, "loaded": true,
                   "invalidations_count": 0, "parked": parked})
        };
        let told = |chains: serde_json::Value, epoch: u64, id: &str| {
            let shown: SourcesShown = serde_json::from_value(json!({ "chains": chains })).unwrap();
            let (subject, id) = (Subject::parse("ledger.stock.wms-1").unwrap(), MarkId::new(id).unwrap());
            let checked = check_parked(&shown, &subject, StreamSequence(epoch), &id);
            checked.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
        };
        let parked = json!([
            chain("ledger.stock.wms-1", json!([{"epoch": 9, "id": "a"}])),
            chain("ledger.stock.wms-2", json!([{"epoch": 4, "id": "b"}])),
        ]);
        assert_eq!(told(parked.clone(), 9, "a"), "ok");
        let these = "these are: ledger.stock.wms-1 9 a, ledger.stock.wms-2 4 b";
        for (epoch, id) in [(8, "a"), (9, "b"), (4, "b")] {
            let want = format!("no snapshot {id} of epoch {epoch} of ledger.stock.wms-1 is parked; {these}");
            assert_eq!(told(parked.clone(), epoch, id), want);
        }
        let none = "no snapshot a of epoch 9 of ledger.stock.wms-1 is parked; none is";
        assert_eq!(told(json!([chain("ledger.stock.wms-1", json!([]))]), 9, "a"), none);
    }
}
