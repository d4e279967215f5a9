//! One entry, after which a scope is another system's.

use expect_test::{Expect, expect};
use pannier_protocol::api::OrderState;
use pannier_protocol::order::PlaceOrder;
use serde_json::{Value, json};

use super::world::{CONTROL, ORDERS, STOCK, World, decode, order_id, route};
use crate::entry::{DropReason, Effect};
use crate::ledger::orders::OutboxEntry;

const NEW_STOCK: &str = "ledger.stock.wms2";

/// Ten of A by the old source at Dallas, eight by the new one, and orders in every state that may be under way.
fn world() -> World {
    let mut world = World::new();
    world.send_json(CONTROL, &json!({"rule_version_activated": {"version": 3}}));
    world.stock("A DAL 10", &json!({}));
    world.stock("A CHI 10", &json!({}));
    world.send_json(
        NEW_STOCK,
        &json!({"stock_set": {"item": "A", "warehouse": "DAL", "uom": "EA", "on_hand": "8"}}),
    );
    for name in ["there", "on its way", "asked back"] {
        world.place_lines(name, &["A 1"]);
    }
    world.publish_outbox();
    acknowledge(&mut world, "erp", "there", 1, "SO-1");
    let cancel = json!({"cancel_order": {"order": id("asked back"), "keyed": world.keyed("c", "x")}});
    world.send_json(ORDERS, &json!({ "command": cancel }));
    world.publish_outbox();
    world
}

fn id(name: &str) -> String {
    order_id(name).to_string()
}

fn acknowledge(world: &mut World, backend: &str, name: &str, generation: u32, document: &str) {
    let event = json!({"order": id(name), "generation": generation, "document": document});
    world.send_json(&format!("ledger.event.{backend}"), &json!({"event": {"acknowledged": event}}));
}

fn give_back(world: &mut World, backend: &str, name: &str, generation: u32) {
    let event = json!({"order": id(name), "generation": generation, "reason": "never made"});
    world.send_json(&format!("ledger.event.{backend}"), &json!({"event": {"cancelled": event}}));
}

/// Of stock and orders; `rest` takes the place of what is said here.
fn handover(rest: &Value) -> Value {
    let mut it = json!({
        "scope": {"tables": ["stock"]}, "from": "wms", "to": "wms2",
        "backends": {"from": "erp", "to": "erp2"},
        "snapshots": [], "replaces": 1,
        "ownership": {"rules": [{"table": "all", "source": "wms2"}]}, "by": "jane", "reason": "go live",
    });
    it.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    json!({ "handover": it })
}

/// An order whose sources were chosen by a version of ownership.
fn chosen_by(world: &World, name: &str, source: &str, version: Option<u64>) -> PlaceOrder {
    let order = serde_json::to_string(&world.order(name, &["A 1"])).unwrap();
    let order = order.replace(r#""wms""#, &format!(r#""{source}""#));
    let mut order: PlaceOrder = decode(&serde_json::from_str(&order).unwrap());
    order.terms.handover = version;
    order
}

/// `state of generation at backend as document`, and the last step.
fn told(world: &World, name: &str) -> String {
    let order = world.record(name);
    let backend = order.backend.as_ref().map_or("nobody", |backend| backend.as_str());
    let document = order.document.as_ref().map_or("-", |document| document.as_str());
    let last = order.steps.last().map_or("", |step| &step.what);
    format!("{:?} of {} at {backend} as {document}: {last}", order.state, order.generation)
}

#[track_caller]
fn check(world: &World, names: &[&str], want: &Expect) {
    let told: String = names.iter().map(|name| format!("{name}: {}\n", told(world, name))).collect();
    want.assert_eq(&told);
}

fn alarms(world: &World) -> Vec<String> {
    let outbox = world.ledger.reader().orders().outbox();
    let alarms = outbox.iter().filter_map(|(_, entry)| match &**entry {
        OutboxEntry::Alarm(alarm) => Some(alarm.reason.clone()),
        OutboxEntry::Dispatch(_) => None,
    });
    alarms.collect()
}

#[test]
fn an_order_in_flight_stays_or_is_called_back_before_it_goes_to_the_new_backend() {
    let mut world = world();
    world.decide(&handover(&json!({})));
    check(
        &world,
        &["there", "on its way", "asked back"],
        &expect![[r#"
        there: Acknowledged of 1 at erp as SO-1: stays with erp until it is over; handed over by jane: go live
        on its way: Dispatched of 2 at erp as -: called back from erp to go to erp2; handed over by jane: go live
        asked back: Dispatched of 2 at erp as -: stays with erp until it is over; handed over by jane: go live
    "#]],
    );
    assert_eq!(world.outbox(), ["cancel 2 to erp"]);
    world.publish_outbox();
    give_back(&mut world, "erp", "on its way", 2);
    give_back(&mut world, "erp", "asked back", 2);
    check(
        &world,
        &["on its way", "asked back"],
        &expect![[r#"
        on its way: Accepted of 3 at erp2 as -: cancelled by the backend: never made; it goes to erp2
        asked back: Cancelled of 2 at erp as -: cancelled by the backend: never made
    "#]],
    );
    assert_eq!(world.outbox(), ["create 3 to erp2"]);
    acknowledge(&mut world, "erp2", "on its way", 3, "N-1");
    acknowledge(&mut world, "erp", "there", 1, "SO-1");
    check(
        &world,
        &["there", "on its way"],
        &expect![[r#"
        there: Acknowledged of 1 at erp as SO-1: acknowledged as SO-1
        on its way: Acknowledged of 3 at erp2 as N-1: acknowledged as N-1
    "#]],
    );
    assert_eq!(alarms(&world), [""; 0]);
}

#[test]
fn a_command_that_was_resolved_before_is_resolved_again() {
    let mut world = world();
    world.decide(&handover(&json!({})));
    let before = chosen_by(&world, "new", "wms", None);
    assert_eq!(world.place(before), OrderState::Pending);
    let before = chosen_by(&world, "new", "wms", Some(1));
    assert_eq!(world.place(before), OrderState::Pending);
    let after = chosen_by(&world, "new", "wms2", Some(2));
    assert_eq!(world.place(after), OrderState::Accepted);
    check(
        &world,
        &["new"],
        &expect![[r#"
        new: Accepted of 1 at erp2 as -: placed: accepted
    "#]],
    );
    // Eight, of which three are promised to others and one to this one.
    let mut more = chosen_by(&world, "more", "wms2", Some(3));
    more.lines[0].stock.quantity = pannier_protocol::Decimal::parse("5").unwrap();
    more.lines[0].stock.warehouses.truncate(1);
    more.lines[0].stock.needs[0].cells.truncate(1);
    assert_eq!(world.place(more), OrderState::Rejected);
}

#[test]
fn what_orders_promised_is_looked_for_in_the_new_figures() {
    let mut world = world();
    world.decide(&handover(&json!({})));
    assert_eq!(world.promised("A", "DAL"), "3");
    let contains = json!({"lines": [{"order": id("there"), "line": "1", "quantity": "1"}]});
    world.stock("A DAL 9", &json!({ "reflects": contains }));
    assert_eq!(world.promised("A", "DAL"), "3", "the old source has no say any more");
    let set = json!({"item": "A", "warehouse": "DAL", "uom": "EA", "on_hand": "7", "reflects": contains});
    world.send_json(NEW_STOCK, &json!({ "stock_set": set }));
    assert_eq!(world.promised("A", "DAL"), "2");
}

#[test]
fn an_order_that_was_carried_over_is_the_new_backends() {
    let mut world = world();
    let reflected = json!([{"source": "wms2", "position": 7}]);
    let moved = json!([{"order": id("there"), "document": "N-9", "reflected_from": reflected}]);
    world.decide(&handover(&json!({ "moved": moved })));
    check(
        &world,
        &["there"],
        &expect![[r#"
        there: Acknowledged of 1 at erp2 as N-9: carried over from erp to erp2 as N-9; handed over by jane: go live
    "#]],
    );
    let shipped = json!({"order": id("there"), "lines": [{"line": "1", "shipped": "1"}]});
    world.send_json("ledger.event.erp", &json!({"event": {"progressed": shipped.clone()}}));
    assert_eq!(world.state("there"), OrderState::Acknowledged);
    assert_eq!(alarms(&world), [format!("erp reports on order {}, which is not its own", id("there"))]);
    let set =
        json!({"item": "A", "warehouse": "DAL", "uom": "EA", "on_hand": "7", "reflects": {"position": 7}});
    world.send_json(NEW_STOCK, &json!({ "stock_set": set }));
    assert_eq!(world.promised("A", "DAL"), "2", "its position contains the order");
    world.send_json("ledger.event.erp2", &json!({"event": {"progressed": shipped}}));
    assert_eq!(world.state("there"), OrderState::Shipped);
}

#[test]
fn an_order_that_is_called_back_may_end_otherwise() {
    // Its backend had made a document, and cancels it.
    let mut late = world();
    late.decide(&handover(&json!({})));
    acknowledge(&mut late, "erp", "on its way", 1, "SO-2");
    check(
        &late,
        &["on its way"],
        &expect![[r#"
        on its way: Acknowledged of 2 at erp as SO-2: acknowledged as SO-2
    "#]],
    );
    give_back(&mut late, "erp", "on its way", 2);
    check(
        &late,
        &["on its way"],
        &expect![[r#"
        on its way: Accepted of 3 at erp2 as -: cancelled by the backend: never made; it goes to erp2
    "#]],
    );
    // Its document cannot be cancelled any more.
    let mut stays = world();
    stays.decide(&handover(&json!({})));
    acknowledge(&mut stays, "erp", "on its way", 1, "SO-2");
    let failed = json!({"order": id("on its way"), "generation": 2, "class": "business", "reason": "picked", "attempts": 1});
    stays.send_json("ledger.event.erp", &json!({"event": {"failed": failed}}));
    check(
        &stays,
        &["on its way"],
        &expect![[r#"
        on its way: Acknowledged of 2 at erp as SO-2: cancellation refused by the backend after 1 attempts: picked
    "#]],
    );
    // Its customer takes it back meanwhile.
    let mut cancelled = world();
    cancelled.decide(&handover(&json!({})));
    let cancel = json!({"cancel_order": {"order": id("on its way"), "keyed": cancelled.keyed("c2", "x")}});
    cancelled.send_json(ORDERS, &json!({ "command": cancel }));
    assert_eq!(cancelled.outbox(), ["cancel 2 to erp"]);
    give_back(&mut cancelled, "erp", "on its way", 2);
    check(
        &cancelled,
        &["on its way"],
        &expect![[r#"
        on its way: Cancelled of 2 at erp as -: cancelled by the backend: never made
    "#]],
    );
    // Its backend refuses it: whoever decides on it sends it to the new one.
    let mut refused = world();
    refused.decide(&handover(&json!({})));
    let failed = json!({"order": id("on its way"), "generation": 2, "class": "poison", "reason": "no such customer", "attempts": 9});
    refused.send_json("ledger.event.erp", &json!({"event": {"failed": failed}}));
    check(
        &refused,
        &["on its way"],
        &expect![[r#"
        on its way: DeadLettered of 2 at erp2 as -: refused by the backend after 9 attempts: no such customer
    "#]],
    );
    // Its backend is gone for good, and an operator knows.
    let mut gone = world();
    gone.decide(&handover(&json!({})));
    gone.decide(&json!({"redispatch": {"order": id("on its way"), "closes": 2, "by": "jane", "reason": "the old ERP is off"}}));
    check(
        &gone,
        &["on its way"],
        &expect![[r#"
        on its way: Accepted of 3 at erp2 as -: generation 2 is closed by jane: the old ERP is off
    "#]],
    );
}

#[test]
fn what_waits_for_a_decision_goes_to_the_new_backend() {
    let mut world = world();
    let failed =
        json!({"order": id("on its way"), "generation": 1, "class": "poison", "reason": "no", "attempts": 9});
    world.send_json("ledger.event.erp", &json!({"event": {"failed": failed}}));
    world.decide(&handover(&json!({})));
    check(
        &world,
        &["on its way"],
        &expect![[r#"
        on its way: DeadLettered of 1 at erp2 as -: goes to erp2 once it is decided on; handed over by jane: go live
    "#]],
    );
    world.decide(
        &json!({"redispatch": {"order": id("on its way"), "closes": 1, "by": "jane", "reason": "again"}}),
    );
    check(
        &world,
        &["on its way"],
        &expect![[r#"
        on its way: Accepted of 2 at erp2 as -: generation 1 is closed by jane: again
    "#]],
    );
}

#[test]
fn of_a_warehouse_only_its_own_orders_go() {
    let mut world = world();
    let mut far = world.order("far", &["A 1"]);
    far.lines[0].stock.warehouses.reverse();
    world.place(far);
    let scope = json!({"tables": ["stock"], "warehouse": "DAL"});
    world.decide(&handover(&json!({ "scope": scope })));
    check(
        &world,
        &["far", "there"],
        &expect![[r#"
        far: Accepted of 1 at erp as -: placed: accepted
        there: Acknowledged of 1 at erp as SO-1: stays with erp until it is over; handed over by jane: go live
    "#]],
    );
    let routing = world.ledger.reader().orders().routing();
    let rules = serde_json::to_value(routing.rules()).unwrap();
    assert_eq!(rules, json!([{"warehouse": "DAL", "backend": "erp2"}, {"backend": "erp"}]));
    let taken = |name: &str| world.record(name).lines[0].allocations[0].takes[0].source.clone().unwrap();
    assert_eq!((taken("far").as_str(), taken("there").as_str()), ("wms", "wms2"));
}

#[test]
fn handing_back_is_the_same_entry_the_other_way() {
    let mut world = world();
    world.decide(&handover(&json!({})));
    give_back(&mut world, "erp", "on its way", 2);
    let back = json!({
        "from": "wms2", "to": "wms", "backends": {"from": "erp2", "to": "erp"}, "replaces": 2,
        "ownership": {"rules": [{"table": "all", "source": "wms"}]},
    });
    world.decide(&handover(&back));
    check(
        &world,
        &["there", "on its way"],
        &expect![[r#"
        there: Acknowledged of 1 at erp as SO-1: stays with erp until it is over; handed over by jane: go live
        on its way: Accepted of 4 at erp2 as -: called back from erp2 to go to erp; handed over by jane: go live
    "#]],
    );
    give_back(&mut world, "erp2", "on its way", 4);
    check(
        &world,
        &["on its way"],
        &expect![[r#"
        on its way: Accepted of 5 at erp as -: cancelled by the backend: never made; it goes to erp
    "#]],
    );
    let rules = world.ledger.reader().orders().routing().rules().to_vec();
    assert_eq!(serde_json::to_value(rules).unwrap(), json!([{"backend": "erp"}]));
}

#[test]
fn credit_that_is_in_use_counts_at_the_new_source() {
    let mut world = world();
    let credit = |account: &str| json!({"credit": {"account": account, "currency": "USD", "balance": "0", "limit": "25"}});
    world.send_json(STOCK, &credit("C-1"));
    world.send_json(NEW_STOCK, &credit("C-1"));
    let order = |world: &World, name: &str, source: &str, version: Option<u64>| {
        let mut order = chosen_by(world, name, source, version);
        order.credit = Some(decode(&json!({"account": "C-1", "source": source, "amount": "10"})));
        order
    };
    let first = order(&world, "first", "wms", None);
    assert_eq!(world.place(first), OrderState::Accepted);
    world.decide(&handover(&json!({"scope": {"tables": ["all"]}})));
    let second = order(&world, "second", "wms2", Some(2));
    assert_eq!(world.place(second), OrderState::Accepted);
    let third = order(&world, "third", "wms2", Some(2));
    assert_eq!(world.place(third), OrderState::Review, "the first one counts");
}

#[test]
fn a_handover_that_saw_less_changes_nothing() {
    let point = |source: &str, sequence: u64| {
        json!([{"subject": format!("ledger.stock.{source}"), "sequence": sequence,
            "epoch": {"incarnation": "7f3a", "claim": 99}}])
    };
    for (rest, want) in [
        (json!({"snapshots": point("wms2", 900)}), "ledger.stock.wms2 is not complete up to message 900"),
        (json!({"snapshots": point("wms3", 1)}), "ledger.stock.wms3 is not complete"),
        (json!({"snapshots": point("wms", 1)}), "ledger.stock.wms is not complete"),
        (json!({"moved": [{"order": id("on its way"), "document": "N"}]}), "is listed as moved"),
        (json!({"moved": [{"order": id("nobody's"), "document": "N"}]}), "is listed as moved"),
        (json!({"replaces": 0}), ""),
    ] {
        let mut world = world();
        let first = world.ledger.digest();
        world.decide(&handover(&rest));
        let alarms = alarms(&world);
        match want {
            "" => assert_eq!(alarms, [""; 0], "{rest}"),
            want => {
                assert!(alarms.len() == 1 && alarms[0].contains(want), "{alarms:?}");
                assert!(world.ledger.reader().orders().handover().is_none());
                assert_ne!(world.ledger.digest(), first);
            }
        }
    }
    let mut world = world();
    world.decide(&handover(&json!({})));
    world.decide(&handover(&json!({"to": "wms3"})));
    let alarms = alarms(&world);
    assert!(alarms.len() == 1 && alarms[0].contains("came first"), "{alarms:?}");
    assert_eq!(world.ledger.reader().orders().handover().unwrap().to.as_str(), "wms2");
}

#[test]
fn it_waits_for_its_rules() {
    let mut world = World::new();
    let routing = json!({"decision": {"routing": route("jane", json!([{"backend": "erp7"}]))}});
    let both = [decode(&json!({"decision": handover(&json!({}))})), decode(&routing)];
    let effects = world.send(CONTROL, &both);
    let subject = pannier_protocol::subject::Subject::Control;
    assert_eq!(effects, [Effect::Dropped { subject, reason: DropReason::LaterRules }]);
    assert!(world.ledger.reader().orders().handover().is_none());
    assert_eq!(world.ledger.reader().orders().routing().rules()[0].backend.as_str(), "erp7");
}
