//! The life of an order after its verdict (semantics 4.5 to 4.9).

use pannier_protocol::api::OrderState;
use pannier_protocol::order::{Command, OrderReason};
use serde_json::json;

use super::super::{KeyId, KeyOutcome, Operation};
use super::world::{World, account, decode, key, order_id, route};

fn world() -> World {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    world.place_lines("k", &["A 4"]);
    world
}

fn event(world: &mut World, kind: &str, rest: &serde_json::Value) {
    let mut body = json!({"order": order_id("k").to_string()});
    body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    world.event(&json!({ kind: body }));
}

fn decide(world: &mut World, kind: &str, rest: &serde_json::Value) {
    let mut body = json!({"order": order_id("k").to_string(), "by": "jane", "reason": "known"});
    body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    world.decide(&json!({ kind: body }));
}

fn shipped(world: &mut World, quantity: &str) {
    let shipment = json!({"document": "SH-1", "at": "2026-11-23T13:00:00Z"});
    event(world, "progressed", &json!({"shipment": shipment, "lines": [{"line": "1", "shipped": quantity}]}));
}

fn cancel(world: &mut World, name: &str) {
    let keyed = serde_json::to_value(world.keyed(name, "cancel")).unwrap();
    let cancel = json!({"order": order_id("k").to_string(), "keyed": keyed, "reason": "changed mind"});
    world.command(Command::CancelOrder(decode(&cancel)));
}

#[test]
fn an_order_goes_from_the_outbox_to_its_end() {
    let mut world = world();
    assert_eq!(world.outbox(), ["create 1 to erp"]);
    world.publish_outbox();
    event(&mut world, "acknowledged", &json!({"generation": 1, "document": "SO-1"}));
    shipped(&mut world, "1");
    assert_eq!(world.state("k"), OrderState::PartiallyShipped);
    shipped(&mut world, "4");
    event(&mut world, "progressed", &json!({"lines": [{"line": "1", "returned": "4", "restocked": "4"}]}));
    let order = world.record("k");
    let told: Vec<String> =
        order.steps.iter().map(|step| format!("{:?}: {}", step.state, step.what)).collect();
    assert_eq!(
        told,
        [
            "Accepted: placed: accepted",
            "Dispatched: handed to the backend's queue",
            "Acknowledged: acknowledged as SO-1",
            "PartiallyShipped: partially_shipped with SH-1",
            "Shipped: shipped with SH-1",
            "Returned: returned by the backend's report",
        ]
    );
    assert_eq!(world.outbox(), Vec::<String>::new());
}

/// A day after it is over an order shrinks to its outcome, unless a figure still has to contain it.
#[test]
fn an_order_that_is_over_shrinks() {
    let mut world = world();
    cancel(&mut world, "c");
    event(&mut world, "cancelled", &json!({"generation": 2, "reason": "asked"}));
    world.now += 24 * 3_600_000;
    world.stock("B DAL 1", &json!({}));
    let orders = world.ledger.reader().orders().clone();
    assert!(orders.order(&order_id("k")).is_none());
    assert_eq!(orders.closed(&order_id("k")).unwrap().state, OrderState::Cancelled);
    world.now += 6 * 24 * 3_600_000;
    world.stock("B DAL 1", &json!({}));
    assert!(orders.closed(&order_id("k")).is_none());
}

/// A key is forgotten after 7 days, and its order waits: another one of that id would replace it.
#[test]
fn an_order_that_outlives_its_key_is_not_replaced() {
    let mut world = world();
    world.now += 8 * 24 * 3_600_000;
    assert_eq!(world.place_lines("k", &["A 1"]), OrderState::Accepted);
    assert_eq!((world.outbox(), world.promised("A", "DAL").as_str()), (vec!["create 1 to erp".into()], "4"));
    cancel(&mut world, "c");
    event(&mut world, "cancelled", &json!({"generation": 2, "reason": "asked"}));
    world.now += 24 * 3_600_000;
    world.stock("B DAL 1", &json!({}));
    let id = KeyId { account: account(), operation: Operation::PlaceOrder, key: key("k") };
    let orders = world.ledger.reader().orders().clone();
    assert!(orders.key(&id).is_none() && orders.closed(&order_id("k")).is_none());
}

#[test]
fn an_order_with_a_dispatch_is_cancelled_by_its_backend() {
    let mut world = world();
    cancel(&mut world, "c");
    assert_eq!(world.outbox(), ["create 1 to erp", "cancel 2 to erp"]);
    assert_eq!((world.state("k"), world.promised("A", "DAL").as_str()), (OrderState::Accepted, "4"));
    cancel(&mut world, "d");
    assert_eq!(world.outbox().len(), 2, "asked once");
    event(&mut world, "cancelled", &json!({"generation": 2, "reason": "asked"}));
    assert_eq!((world.state("k"), world.promised("A", "DAL").as_str()), (OrderState::Cancelled, "0"));
    // A document that turns up all the same is told.
    event(&mut world, "acknowledged", &json!({"generation": 1, "document": "SO-1"}));
    assert_eq!(world.state("k"), OrderState::Cancelled);
    assert!(world.outbox().contains(&"alarm event".to_owned()));
}

#[test]
fn a_cancellation_that_comes_too_late_leaves_the_order_going_on() {
    let mut world = world();
    world.publish_outbox();
    event(&mut world, "acknowledged", &json!({"generation": 1, "document": "SO-1"}));
    cancel(&mut world, "c");
    assert!(world.record("k").cancel_asked);
    event(
        &mut world,
        "failed",
        &json!({"generation": 2, "class": "business", "reason": "packed", "attempts": 1}),
    );
    assert_eq!((world.state("k"), world.record("k").cancel_asked), (OrderState::Acknowledged, false));
}

/// Somebody sends an order again of which the backend cancels the first document only now: the second is called back, and
/// what was promised stays until nothing can take it any more.
#[test]
fn a_document_that_may_yet_be_made_is_called_back() {
    let sent_again = || {
        let mut world = world();
        world.publish_outbox();
        event(&mut world, "acknowledged", &json!({"generation": 1, "document": "SO-1"}));
        decide(&mut world, "redispatch", &json!({"closes": 1}));
        world.publish_outbox();
        shipped(&mut world, "1");
        event(&mut world, "cancelled", &json!({"reason": "by hand"}));
        assert_eq!(world.outbox(), ["cancel 3 to erp"]);
        assert_eq!(
            (world.state("k"), world.promised("A", "DAL")),
            (OrderState::PartiallyShipped, "4".into())
        );
        // Told again it is not yet an answer, nor is what is left of the generation before.
        event(&mut world, "cancelled", &json!({"reason": "by hand"}));
        event(&mut world, "cancelled", &json!({"generation": 2, "reason": "?"}));
        assert_eq!(world.outbox(), ["cancel 3 to erp", "alarm event"]);
        world
    };
    let mut called_back = sent_again();
    event(&mut called_back, "cancelled", &json!({"generation": 3, "reason": "asked"}));
    assert_eq!(
        (called_back.state("k"), called_back.promised("A", "DAL")),
        (OrderState::Cancelled, "1".into())
    );

    let mut too_late = sent_again();
    let packed = json!({"generation": 3, "class": "business", "reason": "packed", "attempts": 1});
    event(&mut too_late, "failed", &packed);
    assert_eq!(too_late.state("k"), OrderState::PartiallyShipped);
    assert!(!too_late.record("k").cancel_asked);
}

#[test]
fn what_is_not_there_to_cancel_is_remembered_so() {
    let mut world = World::new();
    cancel(&mut world, "c");
    let id = KeyId { account: account(), operation: Operation::CancelOrder, key: key("c") };
    assert_eq!(world.ledger.reader().orders().key(&id).unwrap().outcome, KeyOutcome::Unknown);
}

#[test]
fn an_order_that_is_long_over_is_cancelled_without_effect() {
    let mut world = world();
    event(&mut world, "acknowledged", &json!({"generation": 1, "document": "SO-1"}));
    event(&mut world, "cancelled", &json!({"reason": "asked"}));
    world.now += 24 * 3_600_000;
    cancel(&mut world, "c");
    let id = KeyId { account: account(), operation: Operation::CancelOrder, key: key("c") };
    let outcome = world.ledger.reader().orders().key(&id).unwrap().outcome;
    assert_eq!(outcome, KeyOutcome::Order(order_id("k")));
}

#[test]
fn what_a_human_lets_through_gets_a_new_generation() {
    let mut world = world();
    world.publish_outbox();
    let failed =
        |class: &str| json!({"generation": 1, "class": class, "reason": "no such customer", "attempts": 1});
    event(&mut world, "failed", &failed("business"));
    assert_eq!(world.state("k"), OrderState::Review);
    assert_eq!(world.record("k").reasons, [OrderReason::RefusedByBackend]);
    decide(&mut world, "order", &json!({"verdict": "approve"}));
    assert_eq!(world.state("k"), OrderState::Accepted);
    assert_eq!(world.outbox(), ["alarm order", "create 2 to erp"]);
    // What a closed generation reports changes nothing.
    event(&mut world, "failed", &failed("poison"));
    assert_eq!(world.state("k"), OrderState::Accepted);
}

#[test]
fn a_dead_letter_is_replayed_or_dismissed() {
    let dead = || {
        let mut world = world();
        world.publish_outbox();
        event(
            &mut world,
            "failed",
            &json!({"generation": 1, "class": "poison", "reason": "?", "attempts": 3}),
        );
        assert_eq!((world.state("k"), world.promised("A", "DAL").as_str()), (OrderState::DeadLettered, "4"));
        world
    };
    let mut replayed = dead();
    decide(&mut replayed, "redispatch", &json!({"closes": 1, "backend": "erp-2"}));
    assert_eq!(replayed.outbox().last().unwrap(), "create 2 to erp-2");
    // Its old backend has no say any more.
    event(&mut replayed, "cancelled", &json!({"reason": "?"}));
    assert_eq!(replayed.state("k"), OrderState::Accepted);

    let mut dismissed = dead();
    decide(&mut dismissed, "dismiss", &json!({}));
    assert_eq!((dismissed.state("k"), dismissed.promised("A", "DAL").as_str()), (OrderState::Cancelled, "0"));
    // A decision that comes too late is told.
    decide(&mut dismissed, "redispatch", &json!({"closes": 1}));
    assert_eq!(dismissed.outbox().last().unwrap(), "alarm event");
}

/// A human sends the order again though its customer had asked to cancel it: the question is closed with the generation.
#[test]
fn a_new_generation_asks_anew_to_be_cancelled() {
    let mut world = world();
    cancel(&mut world, "c");
    event(&mut world, "failed", &json!({"generation": 2, "class": "poison", "reason": "?", "attempts": 3}));
    decide(&mut world, "redispatch", &json!({"closes": 2}));
    assert_eq!(world.outbox(), ["alarm order", "create 3 to erp"]);
    cancel(&mut world, "d");
    assert_eq!(world.outbox().last().unwrap(), "cancel 4 to erp");
}

#[test]
fn a_review_that_is_rejected_gives_its_stock_back() {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    world.decide(&json!({"routing": route("jane", json!([]))}));
    world.place_lines("k", &["A 4"]);
    assert_eq!((world.state("k"), world.promised("A", "DAL").as_str()), (OrderState::Review, "4"));
    decide(&mut world, "order", &json!({"verdict": "approve"}));
    assert_eq!(world.state("k"), OrderState::Review, "nowhere to send it");
    decide(&mut world, "order", &json!({"verdict": "reject"}));
    assert_eq!((world.state("k"), world.promised("A", "DAL").as_str()), (OrderState::Rejected, "0"));
}

#[test]
fn the_same_entries_give_the_same_state() {
    let run = || {
        let mut world = world();
        world.hold("h", &["A 2"], 60, false);
        world.publish_outbox();
        event(&mut world, "acknowledged", &json!({"generation": 1, "document": "SO-1"}));
        world.now += 60_000;
        shipped(&mut world, "2");
        (world.ledger.digest(), world.outbox())
    };
    assert_eq!(run(), run());
}
