//! Messages that are well-formed and wrong, a row each: the change, and what its publisher is told.

use std::collections::BTreeMap;

use crate::Encoding;
use crate::codec::decode_envelope;
use crate::subject::Subject;

#[track_caller]
pub(super) fn check_change(subject: &str, change: &str, want: &str) {
    let text = format!(
        r#"{{"version":1,"source":"erp-1","epoch":{{"incarnation":"7f3a","claim":4}},"sequence":1,
            "position":0,"sent_at":"2026-11-23T09:00:00Z","changes":[{change}]}}"#
    );
    check_message(subject, &text, want);
}

#[track_caller]
fn check_message(subject: &str, text: &str, want: &str) {
    let told = match decode_envelope(Encoding::Json, text.as_bytes()) {
        Err(error) => error.to_string(),
        Ok(envelope) => match envelope.check(&Subject::parse(subject).unwrap()) {
            Err(error) => error.to_string(),
            Ok(()) => "ok".to_owned(),
        },
    };
    let told = told.split(" at line ").next().unwrap_or_default();
    assert_eq!(told, want, "{text}");
}

const STOCK: &str = "ledger.stock.erp-1";
pub(super) const SHARED: &str = "catalog.shared.erp-1";
const FAMILY: &str = "catalog.09.erp-1";

#[test]
fn envelopes_say_what_is_wrong() {
    let claim = r#"[{"claim":{"instance":"i"}}]"#;
    let removed = r#"[{"item_removed":{"item":"A"}}]"#;
    let epoch = r#""epoch":{"incarnation":"7f3a","claim":4},"#;
    let check = |version: &str, source: &str, epoch: &str, sequence: &str, changes: &str, want: &str| {
        let rest = r#""position":0,"sent_at":"2026-11-23T09:00:00Z""#;
        let text = format!(
            r#"{{"version":{version},"source":"{source}",{epoch}"sequence":{sequence},{rest},"changes":{changes}}}"#
        );
        check_message(SHARED, &text, want);
    };
    check("1", "erp-1", epoch, "1", removed, "ok");
    check("1", "erp-1", epoch, "1", "[]", "ok");
    check("1", "erp-1", "", "0", claim, "ok");
    check("0", "erp-1", epoch, "1", removed, "version: versions start at 1");
    let newer = "is newer than 1, the highest that this build reads: upgrade it";
    check("2", "erp-1", epoch, "1", removed, &format!("envelope version 2 {newer}"));
    check("2", "erp-1", epoch, "1", r#"{"of":"tomorrow"}"#, &format!("envelope version 2 {newer}"));
    check("65536", "erp-1", epoch, "1", removed, &format!("envelope version 65535 {newer}"));
    check("1", "ERP", epoch, "1", removed, "source: source \"ERP\" is not 1 to 32 of a-z, 0-9, '-' and '_'");
    check("1", "erp-2", epoch, "1", removed, "source: is not the source that the subject names");
    check("1", "erp-1", "", "1", removed, "epoch: is missing; only a claim has none");
    check("1", "erp-1", epoch, "0", claim, "epoch: a claim has none: its place becomes the epoch");
    check("1", "erp-1", "", "1", claim, "sequence: is 0 in a claim");
    check("1", "erp-1", epoch, "0", removed, "sequence: must be 1 to 281474976710655");
    check("1", "erp-1", epoch, "281474976710656", removed, "sequence: must be 1 to 281474976710655");
    let zero = r#""epoch":{"incarnation":"7f3a","claim":0},"#;
    check("1", "erp-1", zero, "1", removed, "epoch.claim: stream sequences start at 1");
    let two = r#"[{"claim":{"instance":"i"}},{"item_removed":{"item":"A"}}]"#;
    let alone = "changes[0].claim: stands alone in its message; send the others in one of their own";
    check("1", "erp-1", "", "0", two, alone);
    let late = r#"[{"item_removed":{"item":"A"}},{"part":{"of":"S"}}]"#;
    check("1", "erp-1", epoch, "1", late, "changes[1].part: must be the first change of its message");
    let mixed = r#"[{"part":{"of":"S"}},{"tick":{"caught_up_to":"2026-11-23T09:00:00Z","subjects":[]}}]"#;
    check("1", "erp-1", epoch, "1", mixed, "changes[1].tick: is no row, and only rows follow a part mark");
}

#[test]
fn changes_have_their_places() {
    let no_place = |kind: &str, subject: &str| {
        format!("changes[0].{kind}: has no place on {subject}; see WIRE.md, Changes")
    };
    let item = r#"{"item_removed":{"item":"A"}}"#;
    check_change(SHARED, item, "ok");
    check_change(FAMILY, item, &no_place("item_removed", FAMILY));
    check_change(STOCK, item, &no_place("item_removed", STOCK));
    let stock = r#"{"stock_removed":{"item":"A","warehouse":"W"}}"#;
    check_change(STOCK, stock, "ok");
    check_change(SHARED, stock, &no_place("stock_removed", SHARED));
    let contract = r#"{"scope_removed":{"scope":{"contract":"K"}}}"#;
    check_change(SHARED, contract, "ok");
    check_change(FAMILY, contract, "ok");
    let list = r#"{"scope_removed":{"scope":{"list":"L"}}}"#;
    check_change(SHARED, list, "ok");
    check_change(FAMILY, list, &no_place("scope_removed", FAMILY));
    let rules = r#"{"rule_version_activated":{"version":2}}"#;
    check_change("ledger.control", rules, "ok");
    check_change(STOCK, rules, &no_place("rule_version_activated", STOCK));
}

#[test]
fn stock_changes_say_what_is_wrong() {
    for (field, value, want) in [
        (
            "on_hand",
            "12,5",
            r#"changes[0].stock_set.on_hand: "12,5" is not a decimal; write digits with at most one point, as in "12.5""#,
        ),
        (
            "on_hand",
            "0.0000001",
            r#"changes[0].stock_set.on_hand: "0.0000001" is more than 6 digits after the point"#,
        ),
        (
            "on_hand",
            "9223372036854.775808",
            r#"changes[0].stock_set.on_hand: "9223372036854.775808" is out of range; the largest is 9223372036854.775807"#,
        ),
        ("allocated", "-1", "changes[0].stock_set.allocated: must not be negative"),
        ("quarantine", "-1", "changes[0].stock_set.quarantine: must not be negative"),
        ("on_hand", "-1", "ok"),
        ("item", "", "changes[0].stock_set.item: an id is empty; give 1 to 64 bytes"),
        (
            "item",
            "a\\u0007",
            "changes[0].stock_set.item: an id has a control character at byte 1; remove it at the source",
        ),
    ] {
        let mut fields = BTreeMap::from([("item", "A"), ("warehouse", "W"), ("uom", "EA"), ("on_hand", "1")]);
        fields.insert(field, value);
        let body: Vec<_> = fields.iter().map(|(key, value)| format!(r#""{key}":"{value}""#)).collect();
        check_change(STOCK, &format!(r#"{{"stock_set":{{{}}}}}"#, body.join(",")), want);
    }
    let cell = r#""item":"A","warehouse":"W","uom":"EA""#;
    for (change, want) in [
        (
            format!(
                r#"{{"stock_set":{{{cell},"on_hand":"1","receipts":[{{"reference":"P","received":"-1"}}]}}}}"#
            ),
            "stock_set.receipts: must not be negative",
        ),
        (
            format!(r#"{{"stock_adjust":{{{cell},"receipts":[{{"reference":"P","received":"-1"}}]}}}}"#),
            "stock_adjust.receipts: must not be negative",
        ),
        (
            format!(
                r#"{{"supply_set":{{{cell},"reference":"P","date":"2026-12-01","quantity":"1","received":"-1"}}}}"#
            ),
            "supply_set.received: must not be negative",
        ),
        (
            format!(r#"{{"supply_set":{{{cell},"reference":"P","date":"2026-02-30","quantity":"1"}}}}"#),
            r#"supply_set.date: "2026-02-30" is no date, as in "2026-11-23""#,
        ),
        (
            format!(r#"{{"lots_set":{{{cell},"lots":[{{"lot":"L","quantity":"-1"}}]}}}}"#),
            "lots_set.lots: must not be negative",
        ),
        (
            format!(r#"{{"safety_set":{{{cell},"quantity":"-1"}}}}"#),
            "safety_set.quantity: must not be negative",
        ),
        (
            r#"{"credit":{"account":"A","currency":"usd","balance":"1"}}"#.into(),
            r#"credit.currency: "usd" is no ISO 4217 currency code; write three capitals, as in "EUR""#,
        ),
        (
            r#"{"credit":{"account":"A","currency":"USD","balance":"1","limit":"-1"}}"#.into(),
            "credit.limit: must not be negative",
        ),
        (
            r#"{"cap":{"contract":"K","basis":"amount","limit":"-1","consumed":"0"}}"#.into(),
            "cap.limit: must not be negative",
        ),
        (
            r#"{"cap":{"contract":"K","basis":"amount","limit":"1","consumed":"-1"}}"#.into(),
            "cap.consumed: must not be negative",
        ),
    ] {
        check_change(STOCK, &change, &format!("changes[0].{want}"));
    }
}

#[test]
fn catalog_changes_say_what_is_wrong() {
    let uom = |rest: &str| format!(r#"{{"item":{{"item":"A","base_uom":"EA","uoms":[{rest}]}}}}"#);
    let relation = |item: &str, n: u32| {
        format!(
            r#"{{"item":{{"item":"A","base_uom":"EA","relations":[{{"relation":"substitute","item":"{item}","uom":"EA","numerator":{n},"denominator":1}}]}}}}"#
        )
    };
    let kit = |item: &str, quantity: &str| {
        format!(
            r#"{{"item":{{"item":"A","base_uom":"EA","kit":[{{"item":"{item}","quantity":"{quantity}","uom":"EA"}}]}}}}"#
        )
    };
    for (change, want) in [
        (uom(r#"{"uom":"BX","numerator":0,"denominator":1}"#), "item.uoms: numerator and denominator must be above 0"),
        (uom(r#"{"uom":"EA","numerator":2,"denominator":1}"#), "item.uoms: the base unit must be 1/1"),
        (uom(r#"{"uom":"BX","numerator":2,"denominator":1},{"uom":"BX","numerator":3,"denominator":1}"#), "item.uoms: a unit stands twice"),
        (uom(r#"{"uom":"BX","numerator":2,"denominator":1,"multiple":"0"}"#), "item.uoms.multiple: must be above 0"),
        (uom(r#"{"uom":"BX","numerator":2,"denominator":1,"minimum":"-1"}"#), "item.uoms.minimum: must be above 0"),
        (kit("A", "1"), "item.kit: a kit does not contain itself"),
        (kit("B", "0"), "item.kit.quantity: must be above 0"),
        (relation("A", 1), "item.relations: an item does not stand for itself"),
        (relation("B", 0), "item.relations: a ratio must be above 0"),
        (format!(r#"{{"item":{{"item":"A","base_uom":"EA","description":"{}"}}}}"#, "x".repeat(1025)), "item.description: a text has 1025 bytes; the most is 1024"),
        (r#"{"account":{"account":"A","parent":"A","root":"A"}}"#.into(), "account.parent: an account is not its own parent; leave it out for a root"),
        (r#"{"policy":{"version":0,"document":{"rounding":"up"}}}"#.into(), "policy.version: versions start at 1"),
        (r#"{"policy":{"version":1,"document":{"levels":[]}}}"#.into(), "policy.document.levels: 1 to 32 levels"),
        (r#"{"policy":{"version":1,"document":{"levels":[{"name":"","customer":"list"}]}}}"#.into(), "policy.document.levels.name: 1 to 64 bytes"),
        (r#"{"policy":{"version":1,"document":{"levels":[{"name":"a","customer":"list"},{"name":"a","customer":"list"}]}}}"#.into(), "policy.document.levels.name: two levels have one name"),
        (r#"{"policy":{"version":1,"document":{"sourcing":{"mode":"split","horizon_days":731,"past_due":"ignore"}}}}"#.into(), "policy.document.sourcing.horizon_days: at most 730 days"),
        (r#"{"policy":{"version":1,"document":{"business_zone":"Mars/Olympus"}}}"#.into(), r#"policy.document.business_zone: "Mars/Olympus" is no IANA time zone of the compiled-in database, as in "America/Chicago""#),
        (r#"{"policy":{"version":1,"document":{"business_zone":"Etc/Unknown"}}}"#.into(), r#"policy.document.business_zone: "Etc/Unknown" is no IANA time zone of the compiled-in database, as in "America/Chicago""#),
    ] {
        check_change(SHARED, &change, &format!("changes[0].{want}"));
    }
}

#[test]
fn prices_and_marks_say_what_is_wrong() {
    let row =
        |row: &str| format!(r#"{{"prices":{{"scope":{{"list":"L"}},"currency":"USD","rows":[{row}]}}}}"#);
    let dates = |from: &str, inclusive: bool, to: &str| {
        let edge = |date: &str, inclusive: bool| {
            format!(r#"{{"date":"{date}","inclusive":{inclusive},"zone":"UTC"}}"#)
        };
        format!(
            r#"{{"scope":{{"scope":{{"list":"L"}},"from":{},"to":{}}}}}"#,
            edge(from, inclusive),
            edge(to, false)
        )
    };
    let scope = |rest: &str| format!(r#"{{"snapshot_begin":{{"id":"S","cut":1,"scope":{{{rest}}}}}}}"#);
    for (change, want) in [
        (
            row(r#"["A","C",null,null,1,"fixed",null,[["0","1"]]]"#),
            "prices.rows: a row names either an item or a class",
        ),
        (
            row(r#"[null,null,null,null,1,"fixed",null,[["0","1"]]]"#),
            "prices.rows: a row names either an item or a class",
        ),
        (
            row(r#"["A",null,null,null,10,"fixed",null,[["0","1"]]]"#),
            "prices.rows.per: a price is per 1, 100 or 1000",
        ),
        (
            row(r#"["A",null,null,null,1,"fixed",null,[]]"#),
            r#"prices.rows.breaks: at least one break; [["0", price]] without a ladder"#,
        ),
        (
            row(r#"["A",null,null,null,1,"fixed",null,[["5","1"],["5","2"]]]"#),
            "prices.rows.breaks: bounds must rise; two equal bounds are refused",
        ),
        (
            row(r#"["A",null,null,null,1,"fixed",null,[["-1","1"]]]"#),
            "prices.rows.breaks: must not be negative",
        ),
        (
            row(r#"["A",null,null,null,1,"fixed",null,[["0","-1"]]]"#),
            "prices.rows.breaks: must not be negative",
        ),
        (
            row(r#"["A",null,null,null,1,"list_percent_off",null,[["0","101"]]]"#),
            "prices.rows.breaks: a discount is 0 to 100 percent",
        ),
        (
            row(r#"["A",null,null,null,1,{"list_chain":{"percents":["-1"]}},null,[["0","1"]]]"#),
            "prices.rows.breaks: a discount is 0 to 100 percent",
        ),
        (
            row(r#"["A",null,null,null,1,{"list_chain":{"percents":[],"round_digits":7}},null,[["0","1"]]]"#),
            "prices.rows.method: round_digits is 0 to 6",
        ),
        (
            row(r#"["A",null,null,null,1,{"list_chain":{"percents":[],"round":7}},null,[["0","1"]]]"#),
            "prices.rows[0][5].list_chain.round: unknown field `round`, expected `percents` or `round_digits`",
        ),
        (
            row(r#"["A",null,null,null,1,"fixed",null]"#),
            "prices.rows[0]: invalid length 7, expected a tuple of size 8",
        ),
        (row(r#"["A",null,null,null,1,"fixed",null,[["0","1"]],1]"#), "prices.rows[0]: trailing characters"),
        (dates("2026-02-01", true, "2026-02-01"), "scope.to: ends at or before it starts"),
        (
            dates("2026-02-01", false, "2026-02-02"),
            "scope.from: a start is inclusive; give the first day that counts",
        ),
        (
            r#"{"scope":{"scope":{"list":"L"},"parent":{"list":"M","multiplier":"-1"}}}"#.into(),
            "scope.parent.multiplier: must not be negative",
        ),
        (
            r#"{"prices_removed":{"scope":{"list":"L"},"currency":"USD","rows":[[null,null,null,null]]}}"#
                .into(),
            "prices_removed.rows: a row names either an item or a class",
        ),
        (
            scope(r#""table":"items","warehouse":"W""#),
            "snapshot_begin.scope.warehouse: only stock, supply, lots and safety are kept by warehouse",
        ),
        (
            scope(r#""table":"items","prices":{"kind":"list"}"#),
            "snapshot_begin.scope.prices: only scopes and prices are kept by price scope",
        ),
        (
            r#"{"snapshot_end":{"id":"S","rows":1,"hash":"AB"}}"#.into(),
            "snapshot_end.hash: 64 lower-case hex digits of SHA-256 are expected",
        ),
        (
            r#"{"unit_commit":{"id":"S","count":1,"hash":""}}"#.into(),
            "unit_commit.hash: 64 lower-case hex digits of SHA-256 are expected",
        ),
    ] {
        check_change(SHARED, &change, &format!("changes[0].{want}"));
    }
}
