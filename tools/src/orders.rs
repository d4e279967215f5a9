//! `pannier orders`: what operators decide about orders. Every decision is an entry of the ledger with who and why, so
//! the audit is the log itself.

use std::path::PathBuf;

use anyhow::Context;
use pannier_protocol::order::{
    DecideOrder, Decision, DismissOrder, Redispatch, ReleaseOverlay, RouteRule, Routing, Verdict,
};
use pannier_protocol::subject::Subject;
use pannier_protocol::{AsOf, Change, LineId, MarkId, OrderId, SourceId};
use pannier_streams::{Broker, Streams};

use crate::broker::BrokerArgs;
use crate::chain::Held;
use crate::cli::data;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Lets an order through that is held for review.
    Approve(DecideArgs),
    /// Refuses an order that is held for review; what it kept is released.
    Reject(DecideArgs),
    /// Closes a dispatch and opens the next: the replay of a dead letter, or a move to another backend.
    Redispatch(RedispatchArgs),
    /// Closes a dead letter that nobody will replay.
    Dismiss(DecideArgs),
    /// Counts what an order promised as contained in the source's figures, though no change said so.
    Release(ReleaseArgs),
    /// Replaces the rules of order routing by those of a TOML file: `[[rules]]` with `backend`, and the conditions
    /// `company`, `group`, `territory`, `warehouse`.
    Route(RouteArgs),
}

#[derive(Debug, clap::Args)]
pub struct DecideArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[arg(env = "PANNIER_ORDER", value_parser = OrderId::parse)]
    order: OrderId,
    /// Who decides.
    #[arg(long, env = "PANNIER_BY", value_parser = MarkId::new)]
    by: MarkId,
    #[arg(long, env = "PANNIER_REASON")]
    reason: String,
}

#[derive(Debug, clap::Args)]
pub struct RedispatchArgs {
    #[command(flatten)]
    decide: DecideArgs,
    /// The generation to close; another one changes nothing.
    #[arg(long, env = "PANNIER_CLOSES")]
    closes: u32,
    /// Without: the backend that had it.
    #[arg(long, env = "PANNIER_BACKEND", value_parser = SourceId::new)]
    backend: Option<SourceId>,
}

#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    #[command(flatten)]
    decide: DecideArgs,
    /// Without: all lines.
    #[arg(long, env = "PANNIER_LINE", value_parser = LineId::new)]
    line: Option<LineId>,
}

#[derive(Debug, clap::Args)]
pub struct RouteArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[arg(env = "PANNIER_ROUTES")]
    file: PathBuf,
    /// Who decides.
    #[arg(long, env = "PANNIER_BY", value_parser = MarkId::new)]
    by: MarkId,
    #[arg(long, env = "PANNIER_REASON")]
    reason: String,
}

/// Prints a token to use as `at_least`.
pub async fn run(command: Command) -> anyhow::Result<()> {
    let (broker, decision) = match command {
        Command::Approve(args) => decided(args, Verdict::Approve),
        Command::Reject(args) => decided(args, Verdict::Reject),
        Command::Redispatch(RedispatchArgs { decide, closes, backend }) => {
            let DecideArgs { broker, order, by, reason } = decide;
            (broker, Decision::Redispatch(Redispatch { order, closes, backend, by, reason, keyed: None }))
        }
        Command::Dismiss(DecideArgs { broker, order, by, reason }) => {
            (broker, Decision::Dismiss(DismissOrder { order, by, reason, keyed: None }))
        }
        Command::Release(ReleaseArgs { decide, line }) => {
            let DecideArgs { broker, order, by, reason } = decide;
            (broker, Decision::ReleaseOverlay(ReleaseOverlay { order, line, by, reason, keyed: None }))
        }
        Command::Route(RouteArgs { broker, file, by, reason }) => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            let rules = routes(&text).with_context(|| file.display().to_string())?;
            (broker, Decision::Routing(Routing { rules, by, reason, keyed: None }))
        }
    };
    let (broker, streams) = broker.open("pannier orders").await?;
    data(publish(&broker, &streams, decision).await?)
}

fn decided(args: DecideArgs, verdict: Verdict) -> (BrokerArgs, Decision) {
    let DecideArgs { broker, order, by, reason } = args;
    (broker, Decision::Order(DecideOrder { order, verdict, by, reason, keyed: None }))
}

/// The rules of a TOML file.
pub(crate) fn routes(text: &str) -> anyhow::Result<Vec<RouteRule>> {
    let Routes { rules } = toml::from_str(text)?;
    anyhow::ensure!(!rules.is_empty(), "no rule in it: write [[rules]] with a backend at least");
    Ok(rules)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Routes {
    rules: Vec<RouteRule>,
}

pub(crate) async fn publish(broker: &Broker, streams: &Streams, decision: Decision) -> anyhow::Result<AsOf> {
    let change = Change::Decision(Box::new(decision));
    change.check()?;
    let mut held = Held::operator(broker, streams, Subject::Control).await?;
    held.publish(vec![change], None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_in_their_order() {
        let told = routes("[[rules]]\ncompany = \"US\"\nbackend = \"erp-us\"\n[[rules]]\nbackend = \"erp\"")
            .unwrap();
        let backends: Vec<_> = told.iter().map(|rule| rule.backend.to_string()).collect();
        assert_eq!(backends, ["erp-us", "erp"]);
        for (text, want) in [
            ("rules = []", "no rule in it"),
            ("[[rules]]\ncompany = \"US\"", "missing field `backend`"),
            ("[[rules]]\nbackend = \"ERP\"", "source \"ERP\""),
            ("[[rules]]\nbackend = \"erp\"\ncolour = 1", "unknown field `colour`"),
        ] {
            let error = format!("{:#}", routes(text).unwrap_err());
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
