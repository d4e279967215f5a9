//! Acts on one order.

use std::str::FromStr;

use anyhow::{Context, ensure};
use http::Method;
use pannier_protocol::api::operator::{
    ActRequest, EditRequest, OrderWhole, RedispatchRequest, ReleaseRequest,
};
use pannier_protocol::order::{EditableFact, EditedFacts};
use pannier_protocol::{LineId, LocalDate, OrderId, PurchaseOrder, ReferenceName, ReferenceText, SourceId};
use serde::Serialize;

use crate::operator::{ActArgs, tell};

#[derive(Debug, clap::Args)]
pub struct DecideArgs {
    #[command(flatten)]
    act: ActArgs,
    #[arg(env = "PANNIER_ORDER", value_parser = OrderId::parse)]
    order: OrderId,
}

#[derive(Debug, clap::Args)]
pub struct RedispatchArgs {
    #[command(flatten)]
    decide: DecideArgs,
    /// The generation to close, as `orders show` prints it: about another one nothing changes. Without: the one that
    /// is open now.
    #[arg(long, env = "PANNIER_CLOSES")]
    closes: Option<u32>,
    /// Without: the backend that had it.
    #[arg(long, env = "PANNIER_BACKEND", value_parser = SourceId::new)]
    backend: Option<SourceId>,
}

#[derive(Debug, clap::Args)]
pub struct EditArgs {
    #[command(flatten)]
    decide: DecideArgs,
    /// As of `redispatch`.
    #[arg(long, env = "PANNIER_CLOSES")]
    closes: Option<u32>,
    /// The address to ship to, as free text.
    #[arg(long, env = "PANNIER_SHIP_TO_ADDRESS")]
    ship_to_address: Option<String>,
    #[arg(long, env = "PANNIER_PURCHASE_ORDER", value_parser = PurchaseOrder::new)]
    purchase_order: Option<PurchaseOrder>,
    #[arg(long, env = "PANNIER_REQUESTED_DATE", value_parser = LocalDate::parse)]
    requested_date: Option<LocalDate>,
    /// A reference, as in `gate=B`; may be given several times, the others stay.
    #[arg(long = "reference", env = "PANNIER_REFERENCES", value_name = "NAME=TEXT", value_delimiter = ',')]
    references: Vec<Reference>,
    /// A fact to take out: `ship_to_address`, `purchase_order`, `requested_date`, `references`.
    #[arg(long, env = "PANNIER_CLEAR", value_parser = fact, value_delimiter = ',')]
    clear: Vec<EditableFact>,
}

#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    #[command(flatten)]
    decide: DecideArgs,
    /// Without: all lines.
    #[arg(long, env = "PANNIER_LINE", value_parser = LineId::new)]
    line: Option<LineId>,
}

#[derive(Debug, Clone)]
struct Reference(ReferenceName, ReferenceText);

impl FromStr for Reference {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, value) = text.split_once('=').context("write it as in gate=B")?;
        Ok(Self(ReferenceName::new(name)?, ReferenceText::new(value)?))
    }
}

fn fact(text: &str) -> anyhow::Result<EditableFact> {
    let facts = [
        EditableFact::ShipToAddress,
        EditableFact::PurchaseOrder,
        EditableFact::RequestedDate,
        EditableFact::References,
    ];
    let known = facts.map(EditableFact::as_str).join(", ");
    let found = facts.into_iter().find(|fact| fact.as_str() == text);
    found.with_context(|| format!("it is one of {known}; lines and the like are changed by placing it again"))
}

pub(super) async fn decide(args: DecideArgs, act: &str) -> anyhow::Result<()> {
    let ActArgs { by, reason, .. } = args.act.clone();
    send(&args, act, &ActRequest { by, reason }).await
}

pub(super) async fn redispatch(args: RedispatchArgs) -> anyhow::Result<()> {
    let RedispatchArgs { decide, closes, backend } = args;
    let closes = open_generation(&decide, closes).await?;
    let ActArgs { by, reason, .. } = decide.act.clone();
    send(&decide, "redispatch", &RedispatchRequest { closes, backend, by, reason }).await
}

pub(super) async fn edit(args: EditArgs) -> anyhow::Result<()> {
    let EditArgs { decide, closes, ship_to_address, purchase_order, requested_date, references, clear } =
        args;
    let references = references.into_iter().map(|Reference(name, text)| (name, text)).collect();
    let set = EditedFacts { ship_to_address, purchase_order, requested_date, references };
    let says_something = set != EditedFacts::default() || !clear.is_empty();
    ensure!(
        says_something,
        "say what to change; to send the order again as it is: pannier orders redispatch"
    );
    let closes = open_generation(&decide, closes).await?;
    let ActArgs { by, reason, .. } = decide.act.clone();
    send(&decide, "edit", &EditRequest { closes, set, clear, by, reason }).await
}

pub(super) async fn release(args: ReleaseArgs) -> anyhow::Result<()> {
    let ReleaseArgs { decide, line } = args;
    let ActArgs { by, reason, .. } = decide.act.clone();
    send(&decide, "release", &ReleaseRequest { line, by, reason }).await
}

/// The generation that was named, or the one that is open now.
async fn open_generation(decide: &DecideArgs, named: Option<u32>) -> anyhow::Result<u32> {
    if let Some(named) = named {
        return Ok(named);
    }
    let whole: OrderWhole = decide.act.node.open()?.get(&format!("orders/{}", decide.order)).await?;
    Ok(whole.generation)
}

async fn send<B: Serialize>(args: &DecideArgs, act: &str, body: &B) -> anyhow::Result<()> {
    let path = format!("orders/{}/{act}", args.order);
    let operator = args.act.node.open()?;
    let answer = operator.act(Method::POST, &path, args.act.key(), body).await?;
    tell(&answer, args.act.json)
}
