//! A step of an order as it is delivered: made once, so that all its deliveries are the same bytes under the same id.

use pannier_protocol::api::operator::{EventPage, EventShown};
use pannier_protocol::{AccountId, ChannelId, EffectId, Incarnation, OrderId, PurchaseOrder, Timestamp};
use serde::{Deserialize, Serialize};

/// What waits for its turn: the events of one order, and beside them what is of no order.
pub(super) type Lane = Option<OrderId>;

/// Something to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Event {
    /// `webhook-id`: the place in the ledger, which every node tells alike. No dots: they separate what is signed.
    pub(super) id: String,
    pub(super) lane: Lane,
    /// When it was taken in, by this machine.
    pub(super) taken_at: Timestamp,
    pub(super) body: String,
}

#[derive(Serialize)]
struct Body<D> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Timestamp,
    data: D,
}

#[derive(Serialize)]
struct OrderData<'p> {
    order: OrderId,
    account: &'p AccountId,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'p ChannelId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase_order: Option<&'p PurchaseOrder>,
    /// As in `/v1/orders/{order}/events`.
    event: EffectId,
    state: pannier_protocol::api::OrderState,
    what: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'p str>,
}

#[derive(Serialize)]
struct MissedData<'p> {
    detail: &'static str,
    /// Where what is kept begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'p EffectId>,
}

const MISSED: &str = "steps of orders are lost to this receiver; ask for the orders that are open there";

/// All events of a page; `after` is the place that it was asked for with.
pub(super) fn events_of(page: &EventPage, after: Option<&str>, now: Timestamp) -> Vec<Event> {
    let missed = page.missed.then(|| missed(page, after.unwrap_or("0"), now));
    let steps = page.events.iter().map(|shown| step(&page.as_of.incarnation, shown, now));
    missed.into_iter().chain(steps).collect()
}

fn step(incarnation: &Incarnation, shown: &EventShown, now: Timestamp) -> Event {
    let EventShown { order, account, channel, purchase_order, step } = shown;
    let state = serde_json::to_value(step.state).unwrap_or_default();
    let data = OrderData {
        order: *order,
        account,
        channel: channel.as_ref(),
        purchase_order: purchase_order.as_ref(),
        event: step.id,
        state: step.state,
        what: &step.what,
        traceparent: step.traceparent.as_deref(),
    };
    Event {
        id: format!("{incarnation}-{}-{}", step.id.position, step.id.index),
        lane: Some(*order),
        taken_at: now,
        body: body(format!("order.{}", state.as_str().unwrap_or_default()), step.at, data),
    }
}

fn missed(page: &EventPage, after: &str, now: Timestamp) -> Event {
    let next = page.events.first().map(|shown| &shown.step.id);
    let data = MissedData { detail: MISSED, next };
    Event {
        id: format!("missed-{}", after.replace('.', "-")),
        lane: None,
        taken_at: now,
        body: body("orders.missed".to_owned(), now, data),
    }
}

fn body<D: Serialize>(kind: String, timestamp: Timestamp, data: D) -> String {
    serde_json::to_string(&Body { kind, timestamp, data }).expect("it has string keys and is always JSON")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_says_whose_it_is_and_is_named_by_its_place() {
        let order = "3m5h9q2k7c0000000000000001";
        let page = json!({
            "as_of": "7f3a.L9.S0.P0", "missed": true, "next": "7f3a.9.1",
            "events": [{"order": order, "account": "C-1", "channel": "web", "purchase_order": "PO-1", "step": {
                "id": "9.1", "at": "2026-11-23T09:00:01Z", "state": "partially_shipped", "what": "shipped 2 of 4"}}],
        });
        let page: EventPage = serde_json::from_value(page).unwrap();
        let events = events_of(&page, Some("6e2b.5.0"), Timestamp::from_millis(7));
        let told: Vec<(&str, Lane, Value)> = events
            .iter()
            .map(|event| (event.id.as_str(), event.lane, serde_json::from_str(&event.body).unwrap()))
            .collect();
        let missed = json!({"type": "orders.missed", "timestamp": "1970-01-01T00:00:00.007Z",
                            "data": {"detail": MISSED, "next": "9.1"}});
        let data = json!({"order": order, "account": "C-1", "channel": "web", "purchase_order": "PO-1",
                          "event": "9.1", "state": "partially_shipped", "what": "shipped 2 of 4"});
        let step =
            json!({"type": "order.partially_shipped", "timestamp": "2026-11-23T09:00:01Z", "data": data});
        let lane = Some(OrderId::parse(order).unwrap());
        assert_eq!(told, [("missed-6e2b-5-0", None, missed), ("7f3a-9-1", lane, step)]);
    }
}
