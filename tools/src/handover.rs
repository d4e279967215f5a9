//! `pannier handover`: rows and orders of a scope pass from one system to another, tried before it is done.

use std::path::PathBuf;

use anyhow::Context;
use http::Method;
use pannier_protocol::api::operator::{HandoverDryRun, HandoverRequest};
use pannier_protocol::change::{OwnershipRule, Table};
use pannier_protocol::order::{Backends, MovedOrder, RouteRule};
use pannier_protocol::{ClassId, SourceId, WarehouseId};
use serde::Deserialize;

use crate::cli::data;
use crate::operator::{TriedActArgs, tell, word};
use crate::shadow::counts;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    act: TriedActArgs,
    /// Whose rows count now.
    #[arg(long, env = "PANNIER_FROM", value_parser = SourceId::new)]
    from: SourceId,
    /// Whose rows count then; it has sent all of them already.
    #[arg(long, env = "PANNIER_TO", value_parser = SourceId::new)]
    to: SourceId,
    /// A table as in the policy `ownership`, or `all`; may be given several times. Without: only orders.
    #[arg(long = "table", env = "PANNIER_TABLES", value_parser = table, value_delimiter = ',')]
    tables: Vec<Table>,
    /// Only there: of stock, supply, lots, safety and orders.
    #[arg(long, env = "PANNIER_WAREHOUSE", value_parser = WarehouseId::new)]
    warehouse: Option<WarehouseId>,
    /// Only of this class: of items and prices.
    #[arg(long, env = "PANNIER_CLASS", value_parser = ClassId::new)]
    class: Option<ClassId>,
    /// Orders too: from the backend of the old source's name to the one of the new source's.
    #[arg(long, env = "PANNIER_ORDERS")]
    orders: bool,
    /// Orders too, from this backend: where it has not the old source's name.
    #[arg(long, env = "PANNIER_BACKEND_FROM", value_parser = SourceId::new, requires = "backend_to")]
    backend_from: Option<SourceId>,
    #[arg(long, env = "PANNIER_BACKEND_TO", value_parser = SourceId::new, requires = "backend_from")]
    backend_to: Option<SourceId>,
    /// TOML of the orders that were carried over: [[moved]] with `order`, `document` and, by source and position,
    /// `reflected_from`.
    #[arg(long, env = "PANNIER_MOVED")]
    moved: Option<PathBuf>,
}

pub(crate) fn table(text: &str) -> Result<Table, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moved {
    moved: Vec<MovedOrder>,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let moved = match &args.moved {
        None => Vec::new(),
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
            toml::from_str::<Moved>(&text).with_context(|| file.display().to_string())?.moved
        }
    };
    let (by, reason) = args.act.signed()?;
    let named = args.backend_from.zip(args.backend_to);
    let same = args.orders.then(|| (args.from.clone(), args.to.clone()));
    let request = HandoverRequest {
        tables: args.tables,
        warehouse: args.warehouse,
        class: args.class,
        from: args.from,
        to: args.to,
        backends: named.or(same).map(|(from, to)| Backends { from, to }),
        moved,
        by,
        reason,
    };
    let operator = args.act.node.open()?;
    if !args.act.dry_run {
        let answer = operator.act(Method::POST, "handover", args.act.key.as_ref(), &request).await?;
        return tell(&answer, args.act.json);
    }
    let tried: HandoverDryRun = operator.try_out(Method::POST, "handover?dry_run=true", &request).await?;
    if args.act.json {
        return data(serde_json::to_string(&tried)?);
    }
    show(&tried)?;
    tracing::info!(as_of = %tried.as_of, "nothing was written");
    Ok(())
}

fn show(tried: &HandoverDryRun) -> anyhow::Result<()> {
    data(format_args!("ownership, version {}:", tried.version))?;
    tried.ownership.iter().try_for_each(|rule| data(format_args!("  {}", owned(rule))))?;
    data("order routing:")?;
    tried.routing.iter().try_for_each(|rule| data(format_args!("  {}", routed(rule))))?;
    data("complete chains of the new source:")?;
    for chain in &tried.snapshots {
        let (epoch, sequence) = (chain.epoch.claim, chain.sequence);
        data(format_args!("  {} up to {sequence} of epoch {epoch}", chain.subject))?;
    }
    data("rows of the new source beside those that they replace:")?;
    tried.drift.iter().try_for_each(|table| data(format_args!("  {}", counts(table))))?;
    data(format_args!("orders in flight: {}", tried.orders.len()))?;
    for order in &tried.orders {
        let document = order.document.as_ref().map_or(String::new(), |document| format!(" as {document}"));
        data(format_args!("  {}  {}{document}: {}", order.order, word(&order.state), word(&order.fate)))?;
    }
    Ok(())
}

fn owned(rule: &OwnershipRule) -> String {
    let warehouse = rule.warehouse.as_ref().map_or(String::new(), |id| format!(" at {id}"));
    let class = rule.class.as_ref().map_or(String::new(), |id| format!(" of class {id}"));
    format!("{}{warehouse}{class}: {}", word(&rule.table), rule.source)
}

fn routed(rule: &RouteRule) -> String {
    let conditions = [
        rule.company.as_ref().map(|id| format!("company {id}")),
        rule.group.as_ref().map(|id| format!("group {id}")),
        rule.territory.as_ref().map(|id| format!("territory {id}")),
        rule.warehouse.as_ref().map(|id| format!("warehouse {id}")),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    let what = if conditions.is_empty() { "everything".to_owned() } else { conditions.join(", ") };
    format!("{what}: {}", rule.backend)
}
