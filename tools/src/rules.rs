//! `pannier rules`: which version of the rules the fold follows. A verdict must be the same on every node, so the
//! version is an entry of the ledger: every node begins to follow it at that entry, and a build that does not
//! know it stops there and says so.

use anyhow::{Context, ensure};
use pannier_core::ledger::RULE_VERSION;
use pannier_protocol::change::RuleVersionActivated;
use pannier_protocol::subject::Subject;
use pannier_protocol::{AsOf, Change, StreamSequence};
use pannier_streams::stored::stream_info;
use pannier_streams::{Broker, Streams};

use crate::broker::BrokerArgs;
use crate::chain::Held;
use crate::cli::data;
use crate::in_force::InForceArgs;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Prints the version in force, and the entry that activated it.
    Show(ShowArgs),
    /// Activates a version, for good; first upgrade every node. Prints a token to use as `at_least`.
    Activate(ActivateArgs),
}

#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    in_force: InForceArgs,
    /// Print the result as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct ActivateArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    in_force: InForceArgs,
    #[arg(env = "PANNIER_RULES", value_name = "VERSION")]
    rules: u32,
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Show(args) => {
            let (broker, streams) = args.broker.open("pannier rules").await?;
            let rules = args.in_force.read(&broker, &streams).await?.rules;
            if args.json {
                return data(serde_json::to_string(&rules)?);
            }
            let since = rules.position.map(|at| format!(" since entry {at}"));
            data(format_args!("rule version {}{}", rules.version, since.unwrap_or_default()))
        }
        Command::Activate(args) => {
            let (broker, streams) = args.broker.open("pannier rules").await?;
            let before = args.in_force.read(&broker, &streams).await?.rules.version;
            let version = args.rules;
            ensure!(version > before, "rule version {before} is in force; versions only rise");
            ensure!(
                version <= RULE_VERSION,
                "this build knows rule versions up to {RULE_VERSION}: upgrade it, and every node, first"
            );
            args.in_force.knows_rules(version).await?;
            data(activate(&broker, &streams, version).await?)
        }
    }
}

/// A ledger that has no entry yet begins with the newest rules; one that has entries goes on under its own until an
/// operator says otherwise.
/// Says whether the ledger is new.
pub(crate) async fn begin(broker: &Broker, streams: &Streams) -> anyhow::Result<bool> {
    let ledger = stream_info(broker, &streams.ledger).await.context("read the ledger's state")?;
    let is_new = ledger.last == StreamSequence(0);
    if is_new {
        activate(broker, streams, RULE_VERSION).await?;
    }
    Ok(is_new)
}

pub(crate) async fn activate(broker: &Broker, streams: &Streams, version: u32) -> anyhow::Result<AsOf> {
    let mut held = Held::operator(broker, streams, Subject::Control).await?;
    held.publish(vec![Change::RuleVersionActivated(RuleVersionActivated { version })], None).await
}
