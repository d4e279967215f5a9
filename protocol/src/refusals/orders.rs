//! Orders and holds that are well-formed and wrong: in the ledger, and as a client sends them.

use serde_json::{Value, json};

use super::changes::check_change;
use super::folder;
use crate::api::{decode_hold, decode_order};
use crate::limits::{
    EFFECTS_DONE_MAX, ORDER_BYTES_MAX, ORDER_LINES_MAX, ORDER_NEEDS_MAX, ORDER_REFERENCES_MAX,
};
use crate::{DecodeError, Encoding};

const ORDER: &str = "ledger.order.erp-1";
const EVENT: &str = "ledger.event.erp-1";
const CONTROL: &str = "ledger.control";

fn fixture(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

/// The first change of a fixture.
fn first_change(name: &str) -> Value {
    fixture(&format!("changes/{name}.json"))["changes"][0].take()
}

fn with(mut value: Value, pointer: &str, field: Value) -> Value {
    *value.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = field;
    value
}

/// One field of the fixture's change is another; `want` is what follows the kind.
#[track_caller]
fn check_field(subject: &str, kind: &str, (pointer, field): (&str, Value), want: &str) {
    let (outer, inner) = kind.split_once('.').unwrap();
    let change = first_change(&format!("{outer}_{inner}"));
    check_change(subject, &change.to_string(), "ok");
    let wrong = with(change, &format!("/{outer}/{inner}{pointer}"), field);
    let want = if want == "ok" { want.to_owned() } else { format!("changes[0].{kind}.{want}") };
    check_change(subject, &wrong.to_string(), &want);
}

#[test]
fn commands_say_what_is_wrong() {
    let not_derived = "3m5h9q2k7c0000000000000001";
    let no_id = r#""O-1" is no order id; give it as it was answered, as in "3m5h9q2k7c0000000000000001""#;
    let stock = first_change("command_place_order")["command"]["place_order"]["lines"][0]["stock"].take();
    let mut second = first_change("command_place_order")["command"]["place_order"]["lines"][1].take();
    second["stock"]["line"] = json!("1");
    for (pointer, field, want) in [
        ("/order", json!(not_derived), "order: the id is not the one of account and key"),
        ("/order", json!("O-1"), &*format!("order: {no_id}")),
        ("/keyed/key", json!("k-other"), "order: the id is not the one of account and key"),
        ("/total", json!("-0.01"), "total: must not be negative"),
        ("/credit/amount", json!("-1"), "credit.amount: must not be negative"),
        ("/terms/horizon_days", json!(731), "terms.horizon_days: at most 730 days"),
        ("/terms/horizon_days", json!(730), "ok"),
        ("/lines", json!([]), "lines: at least one line"),
        ("/lines/1", second, "lines.line: two lines have one name"),
        ("/lines/0/stock/quantity", json!("0"), "lines.quantity: must be above 0"),
        ("/lines/0/stock/step", json!("0"), "lines.step: must be above 0"),
        (
            "/lines/0/stock/needs/0/numerator",
            json!(0),
            "lines.needs.numerator: numerator and denominator must be above 0",
        ),
        (
            "/lines/0/stock/needs/0/denominator",
            json!(-1),
            "lines.needs.numerator: numerator and denominator must be above 0",
        ),
        (
            "/lines/0/stock/warehouses",
            json!(["DAL"]),
            "lines.needs.cells: one cell for each warehouse of the line",
        ),
        ("/lines/0/price/per", json!("0"), "lines.price.per: must be above 0"),
        ("/lines/0/caps/0/amount", json!("-1"), "lines.caps: must not be negative"),
    ] {
        check_field(ORDER, "command.place_order", (pointer, field), want);
    }
    for (pointer, field, want) in [
        ("/hold", json!(not_derived), "hold: the id is not the one of account and key"),
        ("/terms/horizon_days", json!(731), "terms.horizon_days: at most 730 days"),
        ("/lines", json!([]), "lines: at least one line"),
        ("/lines", json!([stock, stock]), "lines.line: two lines have one name"),
        ("/lines/0/quantity", json!("-1"), "lines.quantity: must be above 0"),
    ] {
        check_field(ORDER, "command.place_hold", (pointer, field), want);
    }
    check_field(ORDER, "command.change_hold", ("/keep", json!({"1": "-1"})), "keep: must not be negative");
    let mut nothing = first_change("command_change_hold");
    nothing["command"]["change_hold"].as_object_mut().unwrap().retain(|name, _| name != "expires_at");
    check_change(ORDER, &nothing.to_string(), "ok");
    nothing["command"]["change_hold"].as_object_mut().unwrap().retain(|name, _| name != "keep");
    let want = "expires_at: neither a new end nor quantities to keep: nothing to change";
    check_change(ORDER, &nothing.to_string(), &format!("changes[0].command.change_hold.{want}"));
    check_field(ORDER, "command.effects_done", ("/effects", json!([])), "effects: at least one");
    let unlike = r#"effects[0]: "+7.0" is no effect id; give it as it was answered, as in "81234.2""#;
    check_field(ORDER, "command.effects_done", ("/effects", json!(["+7.0"])), unlike);
}

#[test]
fn events_and_decisions_say_what_is_wrong() {
    let first = "generations start at 1";
    check_field(EVENT, "event.acknowledged", ("/generation", json!(0)), &format!("generation: {first}"));
    check_field(EVENT, "event.failed", ("/generation", json!(0)), &format!("generation: {first}"));
    check_field(EVENT, "event.cancelled", ("/generation", json!(0)), &format!("generation: {first}"));
    for quantity in ["shipped", "cancelled", "returned", "restocked"] {
        let field = (&*format!("/lines/0/{quantity}"), json!("-1"));
        let want = format!("lines.{quantity}: must not be negative");
        check_field(EVENT, "event.progressed", field, &want);
    }
    let line = |line: &str, rest: Value| {
        let mut fields = json!({ "line": line });
        fields.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        fields
    };
    for (lines, want) in [
        (json!([line("1", json!({})), line("2", json!({}))]), "ok"),
        (json!([line("1", json!({})), line("1", json!({}))]), "lines.line: two lines have one name"),
        (json!([line("1", json!({"returned": "2", "restocked": "2"}))]), "ok"),
        (json!([line("1", json!({"restocked": "2"}))]), "ok"),
        (
            json!([line("1", json!({"returned": "2", "restocked": "2.5"}))]),
            "lines.restocked: more than was returned",
        ),
    ] {
        check_field(EVENT, "event.progressed", ("/lines", lines), want);
    }
    check_field(CONTROL, "decision.redispatch", ("/closes", json!(0)), &format!("closes: {first}"));
    check_field(CONTROL, "decision.edit", ("/closes", json!(0)), "ok");
    let nothing =
        "set: neither facts to set nor facts to clear: to send it again as it is, redispatch it".to_owned();
    check_field(CONTROL, "decision.edit", ("/set", json!({})), &nothing);
    for (clear, want) in [
        (json!(["requested_date"]), "clear: a fact is set and cleared"),
        (json!(["references"]), "ok"),
        (
            json!(["lines"]),
            "clear[0]: unknown variant `lines`, expected one of `ship_to_address`, `purchase_order`, \
             `requested_date`, `references`",
        ),
    ] {
        let mut edit = first_change("decision_edit");
        edit["decision"]["edit"]["clear"] = clear;
        let want = if want == "ok" { want.to_owned() } else { format!("changes[0].decision.edit.{want}") };
        check_change(CONTROL, &edit.to_string(), &want);
    }
}

#[test]
fn commands_events_and_decisions_have_their_places() {
    let place_of = |name: &str| match name.split_once('_').unwrap().0 {
        "command" => ORDER,
        "event" => EVENT,
        _ => CONTROL,
    };
    let places = [ORDER, EVENT, CONTROL, "ledger.stock.erp-1", "catalog.shared.erp-1"];
    for name in ["command_release_hold", "event_cancelled", "decision_dismiss"] {
        let change = first_change(name).to_string();
        let kind = name.replacen('_', ".", 1);
        for subject in places {
            let no_place = format!("changes[0].{kind}: has no place on {subject}; see WIRE.md, Changes");
            check_change(subject, &change, if subject == place_of(name) { "ok" } else { &no_place });
        }
    }
}

#[test]
fn lists_of_orders_are_bounded() {
    let change = first_change("command_place_order");
    let line = &change["command"]["place_order"]["lines"][0];
    let need = &line["stock"]["needs"][0];
    let many = |of: &Value, count: usize| Value::Array(vec![of.clone(); count]);
    let references = |count: usize| (0..count).map(|at| (format!("r{at}"), json!("x"))).collect::<Value>();
    let text = json!("x".repeat(1025));
    let long = "a text has 1025 bytes; the most is 1024";
    for (pointer, field, want) in [
        ("/lines", many(&json!(1), 0), "lines: at least one line"),
        ("/lines/0/stock/needs", many(need, ORDER_NEEDS_MAX), "ok"),
        (
            "/lines/0/stock/needs",
            many(need, ORDER_NEEDS_MAX + 1),
            "lines[0].stock.needs: more than 64 elements; split it",
        ),
        ("/facts/references", references(ORDER_REFERENCES_MAX), "ok"),
        (
            "/facts/references",
            references(ORDER_REFERENCES_MAX + 1),
            "facts.references: more than 32 entries; leave some out",
        ),
        ("/facts/ship_to_address", text.clone(), &*format!("facts.ship_to_address: {long}")),
        ("/doubts/0/detail", text, &*format!("doubts[0].detail: {long}")),
    ] {
        check_field(ORDER, "command.place_order", (pointer, field), want);
    }
    let effects = |count: usize| many(&json!("1.0"), count);
    check_field(ORDER, "command.effects_done", ("/effects", effects(EFFECTS_DONE_MAX)), "ok");
    let split = "effects: more than 1024 elements; split it";
    check_field(ORDER, "command.effects_done", ("/effects", effects(EFFECTS_DONE_MAX + 1)), split);
}

fn told<T>(decoded: Result<T, DecodeError>) -> String {
    let told = decoded.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
    told.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Lines named `0`, `1`, ... of an order and of a hold alike.
fn lines(count: usize) -> Value {
    (0..count).map(|at| json!({"line": at.to_string(), "item": "A", "quantity": "1"})).collect()
}

#[test]
fn requests_name_each_line_once() {
    let twice =
        json!([{"line": "1", "item": "A", "quantity": "1"}, {"line": "1", "item": "B", "quantity": "1"}]);
    let unnamed = json!([{"line": "", "item": "A", "quantity": "1"}]);
    for (lines, want) in [
        (lines(1), "ok"),
        (lines(ORDER_LINES_MAX), "ok"),
        (lines(ORDER_LINES_MAX + 1), "lines: more than 500 elements; split it"),
        (json!([]), "lines: at least one line"),
        (twice, "lines[1].line: two lines have one name"),
        (unnamed, "lines[0].line: an id is empty; give 1 to 64 bytes"),
    ] {
        let order = with(fixture("order_request.json"), "/lines", lines.clone()).to_string();
        assert_eq!(told(decode_order(Encoding::Json, order.as_bytes())), want);
        let hold = with(fixture("hold_request.json"), "/lines", lines).to_string();
        assert_eq!(told(decode_hold(Encoding::Json, hold.as_bytes())), want);
    }
    let large = vec![b' '; ORDER_BYTES_MAX + 1];
    let too_large = format!("{} bytes; the most is {ORDER_BYTES_MAX}", large.len());
    assert_eq!(told(decode_order(Encoding::Json, &large)), too_large);
    assert_eq!(told(decode_hold(Encoding::Json, &large)), too_large);
}

#[test]
fn orders_say_what_is_wrong() {
    let line = r#""lines":[{"line":"1","item":"A","quantity":"1"}]"#;
    for (fields, want) in [
        (r#""account":"A""#, "ok"),
        (r#""account":"""#, "account: an id is empty; give 1 to 64 bytes"),
        (
            r#""account":"A","hold":"H-1""#,
            r#"hold: "H-1" is no hold id; give it as it was answered, as in "3m5h9q2k7c0000000000000002""#,
        ),
        (r#""account":"A","references":{"a":"1","a":"2"}"#, "references: two entries are named a"),
        (r#""account":"A","references":{"":"1"}"#, "references.: an id is empty; give 1 to 64 bytes"),
        (
            r#""account":"A","requested_date":"soon""#,
            r#"requested_date: "soon" is no date, as in "2026-11-23""#,
        ),
    ] {
        let text = format!("{{{fields},{line}}}");
        assert_eq!(told(decode_order(Encoding::Json, text.as_bytes())), want, "{text}");
    }
}

#[test]
fn handovers_say_what_is_wrong() {
    let order = "2f35yzft4vdbe7f2bc5t399rj5";
    let moved = json!([{"order": order, "document": "A"}, {"order": order, "document": "B"}]);
    let by_class = json!({"tables": ["items"], "class": "PIPE"});
    for (pointer, field, want) in [
        ("/scope", json!({"tables": []}), "ok"),
        ("/scope/tables", json!(["stock", "stock"]), "scope.tables: a table is named twice"),
        (
            "/scope/tables",
            json!(["policies"]),
            "scope.tables: policies are the tenant's, whoever published them",
        ),
        (
            "/scope/tables",
            json!(["all"]),
            "scope.warehouse: only stock, supply, lots, safety and orders are handed over by warehouse",
        ),
        ("/scope", by_class, "scope.class: only items and prices are handed over by class"),
        ("/to", json!("erp-1"), "to: it is the old source"),
        ("/backends/to", json!("erp-1"), "backends.to: it is the old backend"),
        ("/backends", json!(null), "moved: orders move with backends alone: name them"),
        ("/moved", moved, "moved: an order is named twice"),
    ] {
        check_field(CONTROL, "decision.handover", (pointer, field), want);
    }
    let mut neither = first_change("decision_handover");
    let handover = neither.pointer_mut("/decision/handover").unwrap().as_object_mut().unwrap();
    handover.remove("backends");
    handover.remove("moved");
    handover["scope"] = json!({"tables": []});
    let want = "changes[0].decision.handover.scope.tables: neither tables nor orders";
    check_change(CONTROL, &neither.to_string(), want);
}
