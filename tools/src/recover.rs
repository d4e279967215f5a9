//! `pannier recover`: the broker has lost the end of the ledger (a store that was put back, a tail that was never
//! synced), nodes have read it, and customers hold answers that rest on it.
//!
//! What the node that knows most still knows of orders is published again, in parts; every node refuses orders from the
//! first part to the last. Before that the places that were lost are filled, so that none that a client was told (in
//! `as_of`, in the id of an event) is ever used for another entry. What sources said is not brought back: they find that
//! their last message is gone, and send their tables anew.
//!
//! Broken off, it is begun again: records never replace what knows more.

use anyhow::{Context, bail, ensure};
use pannier_core::ledger::orders::RECOVERY_FORMAT;
use pannier_protocol::api::operator::RecoveryPage;
use pannier_protocol::change::Tick;
use pannier_protocol::order::{Decision, Recover};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, MarkId, Partition, SourceId, StreamSequence};
use pannier_streams::held::OPERATOR;
use pannier_streams::stored::stream_info;
use pannier_streams::{Broker, Streams};
use serde::Serialize;

use crate::broker::{BrokerArgs, now};
use crate::chain::Held;
use crate::cli::data;
use crate::operator::Operator;

/// Places filled between two lines that say how far it is.
const SAID_EVERY: u64 = 10_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    broker: BrokerArgs,
    /// The operators' listeners of all nodes that refuse their streams, with commas between: the one that knows most is
    /// asked. Do not restart them before.
    #[arg(
        long = "node",
        env = "PANNIER_NODE",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8081"
    )]
    nodes: Vec<String>,
    /// Say what would be recovered, and write nothing.
    #[arg(long, env = "PANNIER_DRY_RUN")]
    dry_run: bool,
    /// Who decides.
    #[arg(long, env = "PANNIER_BY", value_parser = MarkId::new, required_unless_present = "dry_run")]
    by: Option<MarkId>,
    #[arg(long, env = "PANNIER_REASON", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Print the result as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

/// What there is to be done, or was.
#[derive(Debug, Serialize)]
struct Shown {
    /// Who knows most.
    node: SourceId,
    ledger_ends_at: StreamSequence,
    ledger_known_to: StreamSequence,
    catalog_ends_at: StreamSequence,
    catalog_known_to: StreamSequence,
    parts: usize,
    done: bool,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let (node, page) = knows_most(&args.nodes).await?;
    ensure!(
        page.format == RECOVERY_FORMAT,
        "{} packs format {}, and this build reads {RECOVERY_FORMAT}: use the build of that node",
        page.node,
        page.format
    );
    let (broker, streams) = args.broker.open("pannier recover").await?;
    ensure!(
        page.incarnation.as_ref() == Some(&streams.incarnation),
        "{} read incarnation {:?} and the streams are of {}: they were made anew, and are another ledger",
        page.node,
        page.incarnation,
        streams.incarnation
    );
    let mut shown = Shown {
        node: page.node.clone(),
        ledger_ends_at: stream_info(&broker, &streams.ledger).await?.last,
        ledger_known_to: page.ledger,
        catalog_ends_at: stream_info(&broker, &streams.catalog).await?.last,
        catalog_known_to: page.catalog,
        parts: usize::try_from(page.parts_count)?,
        done: false,
    };
    if let (false, Some(by), Some(reason)) = (args.dry_run, args.by, args.reason) {
        let parts = all_parts(&node, page).await?;
        let up_to = shown.ledger_known_to;
        let part = |records: Option<String>, done: bool| Recover {
            up_to,
            format: RECOVERY_FORMAT,
            records,
            done,
            by: by.clone(),
            reason: reason.clone(),
            keyed: None,
        };
        recover(&broker, &streams, &shown, parts, part).await?;
        shown.done = true;
    }
    tell(&shown, args.json)
}

/// Of nodes that refuse their streams.
async fn knows_most(nodes: &[String]) -> anyhow::Result<(Operator, RecoveryPage)> {
    let mut best: Option<(Operator, RecoveryPage)> = None;
    for address in nodes {
        let operator = Operator::new(address)?;
        let page: RecoveryPage = operator.get("recovery").await.with_context(|| format!("ask {address}"))?;
        if page.state != "refused" {
            tracing::warn!(node = %page.node, state = page.state, "it does not refuse its streams, and knows no more");
        } else if best.as_ref().is_none_or(|(_, best)| best.ledger < page.ledger) {
            best = Some((operator, page));
        }
    }
    best.context("no node refuses its streams: nothing that they know is missing there")
}

async fn all_parts(node: &Operator, first: RecoveryPage) -> anyhow::Result<Vec<String>> {
    let (known, count) = (first.ledger, usize::try_from(first.parts_count)?);
    let mut parts = first.parts;
    while parts.len() < count {
        let page: RecoveryPage = node.get(&format!("recovery?from={}", parts.len())).await?;
        let is_same = page.ledger == known && usize::try_from(page.parts_count)? == count;
        if !is_same || page.parts.is_empty() {
            bail!("{} was started anew meanwhile: run this again", page.node);
        }
        parts.extend(page.parts);
    }
    Ok(parts)
}

async fn recover(
    broker: &Broker,
    streams: &Streams,
    shown: &Shown,
    parts: Vec<String>,
    part: impl Fn(Option<String>, bool) -> Recover,
) -> anyhow::Result<()> {
    let decided = |records, done| vec![Change::Decision(Box::new(Decision::Recover(part(records, done))))];
    let mut held = Held::operator(broker, streams, Subject::Control).await?;
    // The first says to nodes that started meanwhile what is going on.
    let mut last = held.publish(decided(None, false), None).await?.ledger;
    while last < shown.ledger_known_to {
        last = held.publish(decided(None, false), None).await?.ledger;
        say(last, shown.ledger_known_to);
    }
    fill_catalog(broker, streams, shown).await?;
    for records in parts {
        held.publish(decided(Some(records), false), None).await?;
    }
    held.publish(decided(None, true), None).await?;
    Ok(())
}

/// With ticks that speak of nothing.
async fn fill_catalog(broker: &Broker, streams: &Streams, shown: &Shown) -> anyhow::Result<()> {
    let mut last = stream_info(broker, &streams.catalog).await?.last;
    if last >= shown.catalog_known_to {
        return Ok(());
    }
    let subject = Subject::Catalog(Partition::Shared, SourceId::new(OPERATOR)?);
    let mut held = Held::operator(broker, streams, subject).await?;
    while last < shown.catalog_known_to {
        let tick = Tick { caught_up_to: now()?, subjects: Vec::new() };
        last = held.publish(vec![Change::Tick(tick)], None).await?.shared;
        say(last, shown.catalog_known_to);
    }
    Ok(())
}

fn say(last: StreamSequence, to: StreamSequence) {
    if last.0.is_multiple_of(SAID_EVERY) {
        tracing::info!(%last, %to, "filling places of lost entries");
    }
}

fn tell(shown: &Shown, json: bool) -> anyhow::Result<()> {
    if json {
        return data(serde_json::to_string(shown)?);
    }
    let Shown { node, ledger_ends_at, ledger_known_to, catalog_ends_at, catalog_known_to, parts, done } =
        shown;
    data(format_args!(
        "{node} read the ledger up to {ledger_known_to} and the catalog up to {catalog_known_to}; they end at \
         {ledger_ends_at} and {catalog_ends_at}"
    ))?;
    if *done {
        return data(format_args!(
            "recovered in {parts} parts; now restart every node, see that adapters run, and apply policies that were \
             changed lately once more (pannier policy apply)"
        ));
    }
    data(format_args!("{parts} parts of what it knows of orders would be published; nothing was written"))
}
