//! The verdict over one order (semantics 2.12, 2.13, 4.1 to 4.4, 4.8).

use pannier_protocol::ContractId;
use pannier_protocol::api::{OrderLineState, OrderState};
use pannier_protocol::change::PriceScope;
use pannier_protocol::order::OrderReason;
use serde_json::{Value, json};

use super::super::{KeyId, KeyOutcome, Operation};
use crate::entry::{DropReason, Effect};

use super::world::{CONTROL, ORDERS, STOCK, World, account, decode, key, order_id, route};

/// 10 of A at DAL and 4 at CHI, 6 more at DAL in three days.
fn world() -> World {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    world.stock("A CHI 4", &json!({}));
    let supply = json!({"item": "A", "warehouse": "DAL", "uom": "EA", "reference": "PO", "date": "2026-11-26", "quantity": "6"});
    world.send_json(STOCK, &json!({ "supply_set": supply }));
    world
}

/// `accepted: accepted 14 = 10 DAL 2026-11-23, 4 CHI 2026-11-23`
fn told(world: &World, name: &str) -> String {
    let order = world.record(name);
    let lines = order.lines.iter().map(|line| {
        let part = |part: &pannier_protocol::order::PromisedPart| {
            let date = part.date.map_or_else(|| "someday".to_owned(), |date| date.to_string());
            format!("{} {} {date}", part.quantity, part.warehouse.as_ref().unwrap())
        };
        let parts: Vec<String> = line.promised.iter().map(part).collect();
        let state = format!("{:?}", line.state).to_lowercase();
        format!("{state} {} = {} {:?}", line.quantity, parts.join(", "), line.reasons)
    });
    format!("{:?}: {}", order.state, lines.collect::<Vec<_>>().join("; "))
}

#[test]
fn stock_is_promised_by_what_the_line_says_if_short() {
    for (line, want) in [
        ("A 12", "Accepted: accepted 12 = 10 DAL 2026-11-23, 2 CHI 2026-11-23 []"),
        ("A 15", "Rejected: rejected 0 =  [OutOfStock]"),
        ("A 15 partial", "Accepted: accepted 14 = 10 DAL 2026-11-23, 4 CHI 2026-11-23 [Short]"),
        (
            "A 25 backorder",
            "Backordered: backordered 25 = 10 DAL 2026-11-23, 4 CHI 2026-11-23, 6 DAL 2026-11-26, 5 DAL someday []",
        ),
        ("B 1 partial", "Rejected: rejected 0 =  [OutOfStock]"),
        ("B 2 backorder", "Backordered: backordered 2 = 2 DAL someday []"),
    ] {
        let mut world = world();
        world.place_lines("k", &[line]);
        assert_eq!(told(&world, "k"), want, "{line}");
    }
}

#[test]
fn lines_consume_each_other_and_one_that_is_short_takes_the_order_with_it() {
    let mut world = world();
    world.place_lines("k", &["A 10", "A 5"]);
    assert_eq!(told(&world, "k"), "Rejected: notplaced 0 =  []; rejected 0 =  [OutOfStock]");
    assert_eq!(world.promised("A", "DAL"), "0");
    assert_eq!(world.place_lines("l", &["A 10", "A 4"]), OrderState::Accepted);
    assert_eq!(world.place_lines("m", &["A 1"]), OrderState::Rejected);
}

#[test]
fn only_the_flag_lets_more_be_promised_than_there_is() {
    let mut world = world();
    world.send_json(STOCK, &json!({"oversell_set": {"item": "A", "allowed": true}}));
    world.place_lines("k", &["A 20"]);
    assert_eq!(told(&world, "k"), "Accepted: accepted 20 = 20 DAL 2026-11-23 []");
}

#[test]
fn a_key_is_used_once() {
    let mut world = world();
    let order = world.order("k", &["A 3"]);
    assert_eq!(world.place(order.clone()), OrderState::Accepted);
    let (digest, outbox) = (world.ledger.digest(), world.outbox());
    // The same again, by whatever node, and another request with the same key: nothing happens.
    world.place(order);
    world.place_lines("k", &["A 9"]);
    assert_eq!((world.promised("A", "DAL").as_str(), world.outbox()), ("3", outbox));
    assert_ne!(world.ledger.digest(), digest, "the chain went on");
    // For 7 days of ledger time.
    let id = KeyId { account: account(), operation: Operation::PlaceOrder, key: key("k") };
    let remembered = |world: &World| world.ledger.reader().orders().key(&id).map(|record| record.outcome);
    world.now += 7 * 24 * 3_600_000 - 1;
    world.stock("C DAL 1", &json!({}));
    assert_eq!(remembered(&world), Some(KeyOutcome::Order(order_id("k"))));
    world.now += 1;
    world.stock("C DAL 1", &json!({}));
    assert_eq!(remembered(&world), None);
}

#[test]
fn an_order_that_comes_too_late_is_expired_for_good() {
    let mut world = world();
    let order = world.order("k", &["A 3"]);
    world.now += 30_001;
    assert_eq!(world.place(order), OrderState::Expired);
    assert_eq!(world.promised("A", "DAL"), "0");
    assert_eq!(world.place_lines("k", &["A 3"]), OrderState::Expired);
}

fn with(world: &World, name: &str, field: &str, value: Value) -> pannier_protocol::order::PlaceOrder {
    let mut order = serde_json::to_value(world.order(name, &["A 3"])).unwrap();
    order[field] = value;
    decode(&order)
}

#[test]
fn doubts_refuse_or_ask_a_human() {
    for (reason, state, line) in [
        ("no_price", OrderState::Rejected, OrderLineState::Rejected),
        ("price_moved", OrderState::Review, OrderLineState::Accepted),
    ] {
        let mut world = world();
        let doubts = json!([{"line": "1", "reason": reason, "detail": "."}]);
        let order = with(&world, "k", "doubts", doubts);
        assert_eq!(world.place(order), state, "{reason}");
        assert_eq!(world.record("k").lines[0].state, line, "{reason}");
    }
}

#[test]
fn the_same_purchase_order_twice_is_suspected() {
    let mut world = world();
    let facts = json!({"purchase_order": "PO-778"});
    let (first, second) = (with(&world, "k", "facts", facts.clone()), with(&world, "l", "facts", facts));
    assert_eq!(world.place(first), OrderState::Accepted);
    assert_eq!(world.place(second), OrderState::Review);
    assert_eq!(world.record("l").reasons, [OrderReason::SuspectedDuplicate]);
    assert_eq!(world.promised("A", "DAL"), "6", "what is reviewed keeps its stock");
}

/// Whoever cancels an order and places it again means it; one that stands is repeated for 30 days, each from its own day.
#[test]
fn only_an_order_that_stands_is_repeated() {
    let facts = json!({"purchase_order": "PO-778"});
    let mut world = world();
    let place = |world: &mut World, name: &str| {
        let order = with(world, name, "facts", facts.clone());
        world.place(order)
    };
    assert_eq!(place(&mut world, "k"), OrderState::Accepted);
    let id = order_id("k").to_string();
    world.event(&json!({"acknowledged": {"order": id, "generation": 1, "document": "SO-1"}}));
    world.event(&json!({"cancelled": {"order": id, "reason": "asked"}}));
    assert_eq!(place(&mut world, "l"), OrderState::Accepted);
    world.now += 20 * 24 * 3_600_000;
    assert_eq!(place(&mut world, "m"), OrderState::Review);
    world.now += 10 * 24 * 3_600_000;
    assert_eq!(place(&mut world, "n"), OrderState::Review, "10 days after the second");
}

#[test]
fn credit_is_balance_and_open_orders() {
    let credit = |limit: &str, blocked: bool| json!({"credit": {"account": "C-1", "currency": "USD", "limit": limit, "balance": "80", "blocked": blocked}});
    let uses = json!({"account": "C-1", "source": "wms", "amount": "10"});
    let mut world = world();
    world.send_json(STOCK, &credit("100", false));
    for (name, want) in [("a", OrderState::Accepted), ("b", OrderState::Accepted), ("c", OrderState::Review)]
    {
        let order = with(&world, name, "credit", uses.clone());
        assert_eq!(world.place(order), want, "{name}");
    }
    assert_eq!(world.record("c").reasons, [OrderReason::CreditLimit]);
    world.send_json(STOCK, &credit("1000", true));
    let order = with(&world, "d", "credit", uses);
    world.place(order);
    assert_eq!(world.record("d").reasons, [OrderReason::CreditBlocked]);
}

/// Half of the line was there, and half of that was cancelled: a quarter of its price is owed, until the balance has it,
/// be it weeks after the order is over.
#[test]
fn credit_is_used_by_what_was_accepted_until_the_balance_has_it() {
    let credit = |balance: &str, named: Option<&str>| {
        let lines: Vec<_> = named
            .iter()
            .map(|amount| json!({"order": order_id("k").to_string(), "line": "1", "quantity": amount}))
            .collect();
        json!({"credit": {"account": "C-1", "currency": "USD", "limit": "100", "balance": balance, "reflects": {"lines": lines}}})
    };
    let uses = |amount: &str| json!({"account": "C-1", "source": "wms", "amount": amount});
    let mut world = world();
    world.send_json(STOCK, &credit("0", None));
    // 14 of 28 are there.
    let mut order = world.order("k", &["A 28 partial"]);
    order.credit = Some(decode(&uses("80")));
    order.lines[0].price.as_mut().unwrap().extended = decode(&json!("80"));
    assert_eq!(world.place(order), OrderState::Accepted);
    let id = order_id("k").to_string();
    let progress =
        json!({"progressed": {"order": id, "lines": [{"line": "1", "shipped": "7", "cancelled": "7"}]}});
    world.event(&progress);
    assert_eq!(world.state("k"), OrderState::Shipped);
    for at in ["DAL", "CHI"] {
        let named = json!({"reflects": {"lines": [{"order": id, "line": "1", "quantity": "14"}]}});
        world.stock(&format!("A {at} 9"), &named);
    }
    world.now += 3 * 24 * 3_600_000;
    let order = with(&world, "l", "credit", uses("80"));
    assert_eq!(world.place(order), OrderState::Accepted, "20 and 80");
    let order = with(&world, "m", "credit", uses("71"));
    assert_eq!(world.place(order), OrderState::Review, "the first is not forgotten");
    world.send_json(STOCK, &credit("20", Some("20")));
    world.now += 24 * 3_600_000;
    world.stock("A DAL 9", &json!({}));
    assert!(world.ledger.reader().orders().order(&order_id("k")).is_none());
}

#[test]
fn what_does_not_fit_in_a_cap_or_was_priced_too_early_is_priced_again() {
    let mut world = world();
    let cap = json!({"contract": "K", "basis": "quantity", "limit": "10", "consumed": "4"});
    world.send_json(STOCK, &json!({ "cap": cap }));
    let capped = |world: &World, name: &str| {
        let mut order = serde_json::to_value(world.order(name, &["A 3"])).unwrap();
        order["lines"][0]["caps"] = json!([{"source": "wms", "contract": "K", "amount": "3"}]);
        decode(&order)
    };
    for (name, want) in [("a", OrderState::Accepted), ("b", OrderState::Accepted), ("c", OrderState::Pending)]
    {
        let order = capped(&world, name);
        assert_eq!(world.place(order), want, "{name}");
    }
    // Nothing is remembered of it: the node may send it again under its key, at another price.
    let order = world.order("c", &["A 3"]);
    assert_eq!(world.place(order), OrderState::Accepted);
    let floor = json!({"catalog_floor": {"subject": "catalog.shared.erp", "position": 6, "by": "jane", "reason": "."}});
    world.decide(&floor);
    assert_eq!(world.place_lines("d", &["A 1"]), OrderState::Pending);
}

/// A lookup subtracts what orders use of a cap until the source counts it, and not once more.
#[test]
fn what_a_cap_s_source_counts_is_not_subtracted_again() {
    let mut world = world();
    let cap = |named: &str| {
        let line = json!({"order": order_id("a").to_string(), "line": "1", "quantity": named});
        json!({"cap": {"contract": "K", "basis": "quantity", "limit": "10", "consumed": named, "reflects": {"lines": [line]}}})
    };
    world.send_json(STOCK, &cap("0"));
    let mut order = serde_json::to_value(world.order("a", &["A 3"])).unwrap();
    order["lines"][0]["caps"] = json!([{"source": "wms", "contract": "K", "amount": "3"}]);
    world.place(decode(&order));
    let seen = |world: &World| {
        let scope = PriceScope::Contract(ContractId::new("K").unwrap());
        let contract = world.ledger.dictionary().scope(&scope);
        world.ledger.reader().load().promises.cap_in_flight(contract, None).to_string()
    };
    assert_eq!(seen(&world), "3");
    world.send_json(STOCK, &cap("2"));
    assert_eq!(seen(&world), "1");
}

#[test]
fn an_order_that_no_rule_takes_waits_for_a_human() {
    let mut world = world();
    let rules = json!([{"company": "US", "backend": "erp-us"}, {"group": "G", "backend": "erp"}]);
    world.decide(&json!({"routing": route("jane", rules)}));
    world.place_lines("k", &["A 1"]);
    assert_eq!(world.record("k").reasons, [OrderReason::NoRoute]);
    let order = with(&world, "l", "route", json!({"company": "US", "groups": ["G"]}));
    assert_eq!(world.place(order), OrderState::Accepted);
    assert_eq!(world.outbox(), ["alarm order", "create 1 to erp-us"]);
}

#[test]
fn under_the_first_rules_orders_are_passed_over() {
    let mut world = World::with_rules_1();
    world.stock("A DAL 10", &json!({}));
    let before = world.ledger.digest();
    let passed = world.pass_over(ORDERS);
    assert!(
        passed.iter().all(|effect| matches!(effect, Effect::Dropped { reason: DropReason::LaterRules, .. }))
    );
    assert_eq!(world.ledger.digest(), before);
    world.send_json(CONTROL, &json!({"rule_version_activated": {"version": 2}}));
    assert_eq!(world.ledger.rules(), 2);
}
