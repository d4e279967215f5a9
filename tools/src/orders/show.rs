//! `pannier orders show`: an order with its whole life, for people or as JSON.

use std::fmt::Write as _;

use pannier_protocol::OrderId;
use pannier_protocol::api::OrderLineAnswer;
use pannier_protocol::api::operator::OrderWhole;
use pannier_protocol::order::OrderRequestFacts;

use crate::cli::data;
use crate::operator::{NodeArgs, word};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    node: NodeArgs,
    #[arg(env = "PANNIER_ORDER", value_parser = OrderId::parse)]
    order: OrderId,
    /// Print it as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let whole: OrderWhole = args.node.open()?.get(&format!("orders/{}", args.order)).await?;
    if args.json {
        return data(serde_json::to_string(&whole)?);
    }
    data(shown(&whole)?.trim_end())
}

/// Header, lines, timeline.
pub(super) fn shown(whole: &OrderWhole) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    header(&mut text, whole)?;
    if !whole.order.lines.is_empty() {
        writeln!(text, "\nLines")?;
        for line in &whole.order.lines {
            order_line(&mut text, line)?;
        }
    }
    if whole.steps.is_empty() {
        writeln!(
            text,
            "\nThe order is long over: its outcome alone is kept here, its life is in the ledger."
        )?;
        return Ok(text);
    }
    writeln!(text, "\nTimeline")?;
    let mut trace = None;
    for step in &whole.steps {
        let (at, id) = (step.at.to_string(), step.id.to_string());
        writeln!(text, "  {at:<24}  {id:<10}  {:<17}  {}", word(&step.state), step.what)?;
        // Steps of one request share its trace: it is told where it changes.
        if step.traceparent.is_some() && step.traceparent != trace {
            trace.clone_from(&step.traceparent);
            writeln!(
                text,
                "  {:24}  {:10}  {:17}  trace {}",
                "",
                "",
                "",
                trace.as_deref().unwrap_or_default()
            )?;
        }
    }
    Ok(text)
}

fn header(text: &mut String, whole: &OrderWhole) -> std::fmt::Result {
    let order = &whole.order;
    let total = order.total.zip(order.currency).map(|(total, currency)| format!("   {total} {currency}"));
    writeln!(text, "Order {}   {}{}", order.order, word(&order.state), total.unwrap_or_default())?;
    let mut field = |name: &str, value: Option<String>| match value.filter(|value| !value.is_empty()) {
        Some(value) => writeln!(text, "  {name:<15} {value}"),
        None => Ok(()),
    };
    field("account", Some(order.account.to_string()))?;
    field("purchase order", order.purchase_order.as_ref().map(ToString::to_string))?;
    field("reasons", Some(order.reasons.iter().map(word).collect::<Vec<_>>().join(", ")))?;
    field("backend", order.backend.as_ref().map(|it| format!("{it}, generation {}", whole.generation)))?;
    field("document", order.document.as_ref().map(ToString::to_string))?;
    field("cancellation", order.cancel_asked.then(|| "asked of the backend".to_owned()))?;
    field("placed", whole.placed_at.map(|at| format!("{at}   at {}   key {}", whole.position, whole.key)))?;
    field("closed", whole.closed_at.map(|at| at.to_string()))?;
    let before = whole.placed_facts.as_ref();
    if let Some(facts) = &whole.facts {
        let edited = |of: fn(&OrderRequestFacts) -> String| {
            let (now, was) = (of(facts), before.map(of).filter(|was| *was != of(facts)));
            Some(was.map_or(now.clone(), |was| format!("{now}   (edited; was: {was})")))
        };
        field("ship to", facts.ship_to.as_ref().map(ToString::to_string))?;
        field("address", edited(|facts| facts.ship_to_address.clone().unwrap_or_default()))?;
        field("requested", edited(|facts| facts.requested_date.map_or(String::new(), |it| it.to_string())))?;
        field("references", edited(references))?;
    }
    Ok(())
}

fn references(facts: &OrderRequestFacts) -> String {
    let told = facts.references.iter().map(|(name, text)| format!("{name}={text}"));
    told.collect::<Vec<_>>().join(" ")
}

fn order_line(text: &mut String, line: &OrderLineAnswer) -> std::fmt::Result {
    let price = line.price.as_ref().map_or(String::new(), |price| price.extended.to_string());
    let quantity = format!("{} {}", line.quantity, line.uom);
    let state = word(&line.state);
    write!(
        text,
        "  {:<6} {:<20} {quantity:<12} {state:<12} {price:>12}",
        line.line.as_str(),
        line.item.as_str()
    )?;
    let reasons: Vec<String> = line.reasons.iter().map(word).collect();
    if !reasons.is_empty() {
        write!(text, "  {}", reasons.join(", "))?;
    }
    writeln!(text)?;
    for part in &line.promised {
        let date = part.date.map_or("no day known".to_owned(), |date| date.to_string());
        let from = part.warehouse.as_ref().map_or(String::new(), |warehouse| format!(" from {warehouse}"));
        writeln!(text, "         promised {} on {date}{from}", part.quantity)?;
    }
    for (what, quantity) in
        [("shipped", line.shipped), ("cancelled", line.cancelled), ("returned", line.returned)]
    {
        if quantity.is_positive() {
            writeln!(text, "         {what} {quantity}")?;
        }
    }
    match &line.substituted_by {
        Some(item) => writeln!(text, "         substituted by {item}"),
        None => Ok(()),
    }
}
