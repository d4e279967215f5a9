//! What is sold where nothing but the machinery is of interest: items that never run out, at one price, to accounts without limits.

use anyhow::Context;
use pannier_protocol::api::{LookupRequest, OrderRequest};
use pannier_protocol::order::{Decision, Routing};
use pannier_protocol::subject::Subject;
use pannier_protocol::{AsOf, Change, Encoding, MarkId, SourceId};
use pannier_streams::{Broker, Chain, Streams};
use serde_json::{Value, json};

use crate::chain::{Held, Taking};
use crate::{orders, policy, rules};

const ITEMS: usize = 200;
const ACCOUNTS: usize = 50;
/// Of an order.
const LINES: usize = 3;
const POLICY: &str = "[defaults]\ncurrency = \"USD\"\nlists = [\"LIST\"]\n";
const ROUTING: &str = "[[rules]]\nbackend = \"erp\"\n";
/// Changes in one message.
const BATCH: usize = 100;

/// Publishes it all; a node that is at the token has it.
pub(crate) async fn load(broker: &Broker, streams: &Streams) -> anyhow::Result<Vec<AsOf>> {
    rules::begin(broker, streams).await?;
    let (by, reason) = (MarkId::new("pannier-bench")?, "a benchmark".to_owned());
    let routing = Routing { rules: orders::routes(ROUTING)?, by, reason, keyed: None };
    orders::publish(broker, streams, Decision::Routing(routing)).await?;
    let policy = policy::apply(broker, streams, policy::parse(POLICY)?).await?;
    let items = (0..ITEMS).map(|item| json!({"item": {"item": name(item), "base_uom": "EA"}}));
    let rows: Vec<Value> = (0..ITEMS)
        .map(|item| json!([name(item), null, "EA", null, 1, "fixed", null, [["0", "2.5"], ["10", "2.25"]]]))
        .collect();
    let prices = json!({"prices": {"scope": {"list": "LIST"}, "currency": "USD", "rows": rows}});
    let accounts = (0..ACCOUNTS).map(|account| {
        let id = format!("C-{account}");
        json!({"account": {"account": id, "root": id, "warehouses": ["DAL", "CHI"]}})
    });
    let shared =
        publish(broker, streams, "catalog.shared.erp", items.chain([prices]).chain(accounts)).await?;
    let stock = (0..ITEMS).flat_map(|item| {
        ["DAL", "CHI"].map(|warehouse| {
            json!({"stock_set": {"item": name(item), "warehouse": warehouse, "uom": "EA", "on_hand": "1000000000"}})
        })
    });
    let ledger = publish(broker, streams, "ledger.stock.wms", stock).await?;
    Ok(vec![policy, shared, ledger])
}

async fn publish(
    broker: &Broker,
    streams: &Streams,
    subject: &str,
    changes: impl Iterator<Item = Value>,
) -> anyhow::Result<AsOf> {
    let mut held = source(broker, streams, subject).await?;
    let changes: Vec<Change> = changes.map(serde_json::from_value).collect::<Result<_, _>>()?;
    for batch in changes.chunks(BATCH) {
        held.publish(batch.to_vec(), None).await?;
    }
    Ok(held.last())
}

fn name(item: usize) -> String {
    format!("B-{item:04}")
}

/// A source of what is sold, which says that it was read to its end.
pub(crate) async fn source(broker: &Broker, streams: &Streams, subject: &str) -> anyhow::Result<Held> {
    let subject = Subject::parse(subject)?;
    let source = subject.source().cloned().context("a subject of a source")?;
    let chain = Chain { subject, source, encoding: Encoding::MessagePack };
    let instance = MarkId::new("pannier-bench")?;
    Held::take(broker, streams, Taking { chain, instance: &instance, claim: false }).await
}

/// A basket of so many lines, the one of that number.
pub(crate) fn basket(number: usize, lines: usize) -> anyhow::Result<LookupRequest> {
    let line = |line: usize| json!({"line": line.to_string(), "item": name((number + line * 67) % ITEMS), "quantity": "2", "uom": "EA"});
    let lines: Vec<Value> = (0..lines).map(line).collect();
    Ok(serde_json::from_value(json!({"account": format!("C-{}", number % ACCOUNTS), "lines": lines}))?)
}

/// The order of that number, unlike any other; `source` keeps those of several runs on one ledger apart.
pub(crate) fn order(source: &SourceId, number: u64) -> anyhow::Result<OrderRequest> {
    let at = usize::try_from(number).context("orders beyond memory")?;
    let lines: Vec<Value> = (0..LINES)
        .map(|line| {
            // A stride that is coprime to the number of items meets each of them.
            let item = name((at * 7 + line * 67) % ITEMS);
            json!({"line": line.to_string(), "item": item, "quantity": "2", "uom": "EA"})
        })
        .collect();
    let order = json!({
        "account": format!("C-{}", at % ACCOUNTS),
        "purchase_order": format!("PO-{source}-{number}"),
        "lines": lines,
    });
    Ok(serde_json::from_value(order)?)
}
