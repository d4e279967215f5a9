//! The customers of a demonstration: what they order, how they repeat themselves, and what they were told.

use std::time::Duration;

use pannier_client::{CallError, Nodes};
use pannier_protocol::IdempotencyKey;
use pannier_protocol::api::{OrderAnswer, OrderRequest};
use serde_json::json;

/// Longer than anything that is done to the nodes.
const PATIENCE: Duration = Duration::from_secs(120);
const ACCOUNTS: u64 = 12;
const ITEMS: u64 = 30;
/// Of which both warehouses have five, and many want three.
pub(super) const SCARCE_ITEM: &str = "ITEM-040";
const SCARCE_EVERY: u64 = 8;
const SENT_TWICE_EVERY: u64 = 4;
const PURCHASE_ORDER_AGAIN_EVERY: u64 = 15;

/// One order, from when it is thought of.
pub(super) struct Placed {
    pub(super) key: IdempotencyKey,
    pub(super) request: OrderRequest,
    /// What each of its requests was told.
    pub(super) told: Vec<Result<OrderAnswer, CallError>>,
}

/// The order of that number: the same one in every run.
fn request(number: u64) -> anyhow::Result<OrderRequest> {
    // A customer who is in doubt orders once more, and draws a new key.
    let content = if number % PURCHASE_ORDER_AGAIN_EVERY == PURCHASE_ORDER_AGAIN_EVERY - 1 {
        number - 1
    } else {
        number
    };
    let item = |at: u64| format!("ITEM-{:03}", 1 + (content * 7 + at * 11) % ITEMS);
    let mut lines = vec![
        json!({"line": "1", "item": item(0), "quantity": (1 + content % 3).to_string(), "uom": "u"}),
        json!({"line": "2", "item": item(1), "quantity": "1", "uom": "u"}),
    ];
    if content.is_multiple_of(SCARCE_EVERY) {
        lines.push(json!({"line": "3", "item": SCARCE_ITEM, "quantity": "3", "uom": "u"}));
    }
    let order = json!({
        "account": format!("CUST-{:03}", 1 + content % ACCOUNTS),
        "purchase_order": format!("DEMO-{content}"),
        "lines": lines,
    });
    Ok(serde_json::from_value(order)?)
}

/// Places it, beginning with another node each time, and every fourth order on two nodes at once.
pub(super) async fn place(nodes: Nodes, number: u64) -> anyhow::Result<Placed> {
    let key = IdempotencyKey::new(&format!("demo-{number}"))?;
    let request = request(number)?;
    let first = usize::try_from(number)?;
    let ask = |beginning: usize| {
        let nodes = nodes.beginning_with(beginning);
        let (key, request) = (&key, &request);
        async move { nodes.place_order(key, request, PATIENCE).await }
    };
    let told = if number.is_multiple_of(SENT_TWICE_EVERY) {
        let (one, other) = tokio::join!(ask(first), ask(first + 1));
        vec![one, other]
    } else {
        vec![ask(first).await]
    };
    Ok(Placed { key, request, told })
}
