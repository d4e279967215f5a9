use pannier_protocol::{AccountId, IdempotencyKey, OrderId};
use serde_json::json;

use super::*;

fn id() -> OrderId {
    OrderId::derive(&AccountId::new("C-1").unwrap(), &IdempotencyKey::new("k").unwrap())
}

/// An answer that promises so many of `A`.
fn answer(state: &str, promised: &str) -> OrderAnswer {
    let line = json!({
        "line": "1", "item": "A", "state": "accepted", "quantity": promised, "uom": "EA", "shipped": "0", "cancelled": "0",
        "returned": "0", "promised": [{"quantity": promised}],
    });
    let answer =
        json!({"order": id(), "state": state, "as_of": "7f3a.L1.S0.P0", "account": "C-1", "lines": [line]});
    serde_json::from_value(answer).unwrap()
}

/// Doubled, lost, oversold and in flight of one order.
#[track_caller]
fn check(verdicts: &[(&str, &str)], now: Option<&str>, in_effect: usize, want: (usize, usize, usize, usize)) {
    let verdicts = verdicts.iter().map(|(state, promised)| answer(state, promised)).collect();
    let told = Told { verdicts, now: now.map(|state| answer(state, "3")) };
    let sales = BTreeMap::from([(id().to_string(), Sales { in_effect, without_effect: 1 })]);
    let available = BTreeMap::from([("A".to_owned(), Decimal::from_micros(5_000_000))]);
    let tally = tally(&[told], &sales, &available);
    assert_eq!((tally.doubled, tally.lost, tally.oversold, tally.in_flight), want, "{tally:?}");
}

#[test]
fn what_was_promised_is_there_once() {
    check(&[("accepted", "3")], Some("acknowledged"), 1, (0, 0, 0, 0));
    check(&[("accepted", "3"), ("dispatched", "3")], Some("acknowledged"), 1, (0, 0, 0, 0));
    check(&[("accepted", "3")], Some("dispatched"), 0, (0, 0, 0, 1));
    check(&[("accepted", "3")], Some("dead_lettered"), 0, (0, 0, 0, 0));
    check(&[("rejected", "0")], Some("rejected"), 0, (0, 0, 0, 0));
}

#[test]
fn what_is_wrong_is_counted() {
    // Twice in the ERP; two verdicts; there without a promise.
    check(&[("accepted", "3")], Some("acknowledged"), 2, (1, 0, 0, 0));
    check(&[("accepted", "3"), ("accepted", "2")], Some("acknowledged"), 1, (1, 0, 0, 0));
    check(&[("rejected", "0")], Some("rejected"), 1, (1, 0, 0, 0));
    // Acknowledged and not there; unknown to the node; without a verdict.
    check(&[("accepted", "3")], Some("acknowledged"), 0, (0, 1, 0, 0));
    check(&[("accepted", "3")], None, 0, (0, 1, 0, 0));
    check(&[], Some("accepted"), 0, (0, 1, 0, 0));
    // Six of five.
    check(&[("accepted", "6")], Some("acknowledged"), 1, (0, 0, 1, 0));
}
