//! Buckets, supply, lots, units, ownership and freshness: what counts at one warehouse.

use std::sync::Arc;

use expect_test::{Expect, expect};
use pannier_protocol::change::{InvalidateMode, InvalidateScope};
use pannier_protocol::{SourceSequence, StreamSequence};

use super::super::raw_available;
use super::{Ask, StockQuestion, TODAY, World, cell, date, decimal, item, now, on, supply};
use crate::catalog::uoms;
use crate::freshness::Condemned;

/// Item A, with these rows of one source.
#[track_caller]
fn check(rest: &str, rows: &[String], lines: &[&str], want: &Expect) {
    World::new(&[item("A", rest)]).stock("wms", rows).check(lines, want);
}

#[test]
fn available_is_on_hand_less_what_is_bespoken() {
    let safety = r#"{"safety_set":{"item":"A","warehouse":"DAL","uom":"EA","quantity":"5"}}"#.to_owned();
    check(
        "",
        &[cell("A", "DAL", "100", r#","allocated":"20","quarantine":"7""#), safety],
        &["A 68", "A 1"],
        &expect![[r#"
            A 68: in_stock 68 (DAL 68), whole by 2026-11-23: 2026-11-23 DAL 68
            A 1: out_of_stock 0 (DAL 0), never whole: 
        "#]],
    );
}

#[test]
fn allocation_is_netted_once() {
    check(
        "",
        &[
            cell("A", "DAL", "80", r#","allocated":"20","on_hand_is_net":true"#),
            cell("A", "AUS", "100", r#","allocated":"20""#),
        ],
        &["A 160"],
        &expect![[r#"
            A 160: in_stock 160 (AUS 80, DAL 80), whole by 2026-11-23: 2026-11-23 AUS 80, 2026-11-23 DAL 80
        "#]],
    );
}

#[test]
fn a_promise_clamps_at_zero_and_operators_see_the_raw_value() {
    let world = World::new(&[item("A", "")]);
    let world = world.stock("wms", &[cell("A", "DAL", "3", r#","allocated":"10""#)]);
    let a = world.item("A");
    let question = StockQuestion {
        ledger: &world.ledger,
        catalog: &world.catalog,
        dictionary: &world.dictionary,
        account: None,
        item: &a,
        unit: uoms::resolve(&a, &world.dictionary, None, None).unwrap(),
        quantity: decimal("1"),
        warehouse: None,
        requested_date: None,
        today: date(TODAY),
        now: now(),
        live: &[],
    };
    let raw: Vec<_> = raw_available(&question).into_iter().map(|(_, raw)| raw.floor()).collect();
    assert_eq!(raw, [-7]);
    world.check(
        &["A 1"],
        &expect![[r#"
            A 1: out_of_stock 0 (DAL 0), never whole: 
        "#]],
    );
}

#[test]
fn supply_due_today_is_in_the_schedule_and_not_available() {
    check(
        "",
        &[cell("A", "DAL", "5", ""), supply("A", "DAL", "PO-1", 0, "10")],
        &["A 12", "A 4"],
        &expect![[r#"
            A 12: partial 5 (DAL 5), whole by 2026-11-23: 2026-11-23 DAL 12
            A 4: out_of_stock 0 (DAL 0), never whole: 2026-11-23 DAL 3
        "#]],
    );
}

#[test]
fn past_due_supply_waits_for_a_date_and_past_due_demand_does_not() {
    let rows = [
        cell("A", "DAL", "5", ""),
        supply("A", "DAL", "PO-1", -1, "10"),
        supply("A", "DAL", "SO-1", -3, "-2"),
    ];
    check(
        "",
        &rows,
        &["A 13"],
        &expect![[r#"
            A 13: partial 3 (DAL 3), never whole: 2026-11-23 DAL 3
        "#]],
    );
    let world = World::new(&[item("A", "")]).stock("wms", &rows);
    world.policy(r#"{"sourcing":{"mode":"split","horizon_days":7,"past_due":{"days":2}}}"#).check(
        &["A 13"],
        &expect![[r#"
            A 13: partial 3 (DAL 3), whole by 2026-11-25: 2026-11-23 DAL 3, 2026-11-25 DAL 10
        "#]],
    );
}

#[test]
fn supply_beyond_the_horizon_is_ignored() {
    let rows = [supply("A", "DAL", "PO-1", 7, "1"), supply("A", "DAL", "PO-2", 8, "1")];
    let world = World::new(&[item("A", r#","backorder":true"#)]).stock("wms", &rows);
    world.policy(r#"{"sourcing":{"mode":"split","horizon_days":7,"past_due":"ignore"}}"#).check(
        &["A 2"],
        &expect![[r#"
            A 2: backorder 0 (DAL 0), never whole: 2026-11-30 DAL 1
        "#]],
    );
}

/// The warehouse system has received 6 of the 10 that the ERP still expects.
#[test]
fn a_receipt_nets_the_supply_line_of_another_source() {
    let received = r#","receipts":[{"reference":"PO-1","received":"6"}]"#;
    let expecting = |already: &str| {
        let line = supply("A", "DAL", "PO-1", 2, "10");
        World::new(&[item("A", "")])
            .stock(
                "erp",
                &[line.replace("\"quantity\"", &format!("\"received\":\"{already}\",\"quantity\""))],
            )
            .stock("wms", &[cell("A", "DAL", "6", received)])
    };
    expecting("0").check(
        &["A 99"],
        &expect![[r#"
            A 99: partial 6 (DAL 6), never whole: 2026-11-23 DAL 6, 2026-11-25 DAL 4
        "#]],
    );
    // By now the ERP has seen 2 of them: only the other 4 are netted.
    expecting("2").check(
        &["A 99"],
        &expect![[r#"
            A 99: partial 6 (DAL 6), never whole: 2026-11-23 DAL 6, 2026-11-25 DAL 6
        "#]],
    );
    expecting("6").check(
        &["A 99"],
        &expect![[r#"
            A 99: partial 6 (DAL 6), never whole: 2026-11-23 DAL 6, 2026-11-25 DAL 10
        "#]],
    );
}

fn lots() -> String {
    let (yesterday, today, soon) = (on(-1), on(0), on(3));
    format!(
        r#"{{"lots_set":{{"item":"A","warehouse":"DAL","uom":"EA","lots":[
            {{"lot":"L1","quantity":"4","expires":"{yesterday}"}},{{"lot":"L2","quantity":"3","expires":"{today}"}},
            {{"lot":"L3","quantity":"2","expires":"{soon}"}},{{"lot":"L4","quantity":"1"}}]}}}}"#
    )
}

#[test]
fn an_expired_lot_is_on_hand_and_not_sellable() {
    let rows = [cell("A", "DAL", "10", ""), lots()];
    check(
        r#","lot_tracked":true"#,
        &rows,
        &["A 6"],
        &expect![[r#"
            A 6: in_stock 6 (DAL 6), whole by 2026-11-23: 2026-11-23 DAL 6
        "#]],
    );
    check(
        "",
        &rows,
        &["A 10"],
        &expect![[r#"
            A 10: in_stock 10 (DAL 10), whole by 2026-11-23: 2026-11-23 DAL 10
        "#]],
    );
}

/// The lots of today and of the third day are gone by the fourth, on which 5 more come.
#[test]
fn what_waits_for_the_whole_line_does_not_count_on_lots_that_expire_first() {
    let world = World::new(&[item("A", r#","lot_tracked":true"#)]);
    let world = world.stock("wms", &[cell("A", "DAL", "10", ""), lots(), supply("A", "DAL", "PO-1", 4, "5")]);
    let sourcing = r#"{"sourcing":{"mode":"ship_complete","horizon_days":7,"past_due":"ignore"}}"#;
    world.policy(sourcing).check(
        &["A 7", "A 6"],
        &expect![[r#"
            A 7: partial 6 (DAL 6), never whole: 
            A 6: in_stock 6 (DAL 6), whole by 2026-11-23: 2026-11-23 DAL 6
        "#]],
    );
}

#[test]
fn what_spoils_before_the_unit_is_whole_is_no_part_of_it() {
    // 6 pieces that expire today and 4 that come on day 3 never make a box; 10 that come on day 4 do.
    let boxes = r#","lot_tracked":true,"uoms":[{"uom":"BX","numerator":10,"denominator":1}]"#;
    let today = r#"{"lots_set":{"item":"A","warehouse":"DAL","uom":"EA","lots":[{"lot":"L1","quantity":"6","expires":"2026-11-23"}]}}"#;
    let rows = [
        cell("A", "DAL", "6", ""),
        today.to_owned(),
        supply("A", "DAL", "PO-1", 3, "4"),
        supply("A", "DAL", "PO-2", 4, "10"),
    ];
    check(
        boxes,
        &rows,
        &["A 1 BX", "A 4 EA"],
        &expect![[r#"
            A 1 BX: out_of_stock 0 (DAL 0), whole by 2026-11-27: 2026-11-27 DAL 1
            A 4 EA: in_stock 6 (DAL 6), whole by 2026-11-23: 2026-11-23 DAL 4
        "#]],
    );
    // What leaves before it expires takes nothing from what comes.
    check(
        boxes,
        &rows,
        &["A 4 EA", "A 16 EA"],
        &expect![[r#"
            A 4 EA: in_stock 6 (DAL 6), whole by 2026-11-23: 2026-11-23 DAL 4
            A 16 EA: partial 2 (DAL 2), whole by 2026-11-27: 2026-11-23 DAL 2, 2026-11-26 DAL 4, 2026-11-27 DAL 10
        "#]],
    );
}

#[test]
fn what_is_sold_is_whole_units_of_each_warehouse() {
    let box_of_ten = r#","uoms":[{"uom":"BX","numerator":10,"denominator":1,"multiple":"2","minimum":"3"}]"#;
    check(
        box_of_ten,
        &[cell("A", "DAL", "39", ""), cell("A", "AUS", "19", "")],
        &["A 1 BX", "A 9"],
        &expect![[r#"
            A 1 BX: in_stock 4 (AUS 1, DAL 3), whole by 2026-11-23: 2026-11-23 AUS 1, 2026-11-23 DAL 3
            A 9: in_stock 18 (AUS 9, DAL 9), whole by 2026-11-23: 2026-11-23 AUS 9
        "#]],
    );
}

/// Thirty metres of a roll are a roll, exactly, however they are taken.
#[test]
fn parts_of_a_base_unit_add_up() {
    let metres = r#","uoms":[{"uom":"M","numerator":1,"denominator":30}]"#;
    check(
        metres,
        &[cell("A", "DAL", "1", "")],
        &["A 7 M", "A 22 M", "A 1 M", "A 1 M"],
        &expect![[r#"
            A 7 M: in_stock 30 (DAL 30), whole by 2026-11-23: 2026-11-23 DAL 7
            A 22 M: in_stock 23 (DAL 23), whole by 2026-11-23: 2026-11-23 DAL 22
            A 1 M: in_stock 1 (DAL 1), whole by 2026-11-23: 2026-11-23 DAL 1
            A 1 M: out_of_stock 0 (DAL 0), never whole: 
        "#]],
    );
}

#[test]
fn a_unit_sold_by_fractions_is_counted_by_them() {
    let kilos = r#","uoms":[{"uom":"EA","numerator":1,"denominator":1,"multiple":"0.25"}]"#;
    check(
        kilos,
        &[cell("A", "DAL", "0.9", "")],
        &["A 0.6"],
        &expect![[r#"
            A 0.6: in_stock 0.75 (DAL 0.75), whole by 2026-11-23: 2026-11-23 DAL 0.75
        "#]],
    );
}

#[test]
fn rows_in_a_unit_that_is_no_longer_the_base_unit_count_nothing() {
    let boxes = r#","uoms":[{"uom":"BX","numerator":10,"denominator":1}]"#;
    let in_boxes = |json: String| json.replace(r#""uom":"EA""#, r#""uom":"BX""#);
    let safety = r#"{"safety_set":{"item":"A","warehouse":"DAL","uom":"BX","quantity":"1"}}"#.to_owned();
    for row in [in_boxes(cell("A", "DAL", "7", "")), safety, in_boxes(supply("A", "DAL", "SO-1", 1, "-1"))] {
        check(
            boxes,
            &[cell("A", "DAL", "5", ""), cell("A", "AUS", "5", ""), row],
            &["A 6"],
            &expect![[r#"
                A 6: partial 5 (AUS 5, DAL 0), never whole: 2026-11-23 AUS 5, stale unit
            "#]],
        );
    }
    check(
        boxes,
        &[cell("A", "DAL", "5", ""), in_boxes(supply("A", "DAL", "PO-1", 1, "1"))],
        &["A 6"],
        &expect![[r#"
            A 6: partial 5 (DAL 5), never whole: 2026-11-23 DAL 5, stale unit
        "#]],
    );
}

#[test]
fn ownership_selects_whose_rows_count() {
    let world = || {
        let world = World::new(&[item("A", "")]);
        let world = world.stock("wms-2", &[cell("A", "DAL", "2", ""), cell("A", "AUS", "20", "")]);
        world.stock("wms-1", &[cell("A", "DAL", "1", "")])
    };
    // Nobody owns: the lowest id that has the cell.
    world().check(
        &["A 1"],
        &expect![[r#"
            A 1: in_stock 21 (AUS 20, DAL 1), whole by 2026-11-23: 2026-11-23 AUS 1
        "#]],
    );
    world().policy(r#"{"ownership":{"rules":[{"table":"stock","source":"wms-2"}]}}"#).check(
        &["A 1"],
        &expect![[r#"
            A 1: in_stock 22 (AUS 20, DAL 2), whole by 2026-11-23: 2026-11-23 AUS 1
        "#]],
    );
    world().policy(r#"{"ownership":{"rules":[{"table":"all","warehouse":"AUS","source":"wms-1"}]}}"#).check(
        &["A 1"],
        &expect![[r#"
                A 1: in_stock 1 (AUS 0, DAL 1), whole by 2026-11-23: 2026-11-23 DAL 1
            "#]],
    );
    world().policy(r#"{"ownership":{"rules":[{"table":"stock","source":"wms-3"}]}}"#).check(
        &["A 1"],
        &expect![[r#"
            A 1: out_of_stock 0 (AUS 0, DAL 0), never whole: , owner missing
        "#]],
    );
}

#[test]
fn without_any_source_nothing_is_known() {
    World::new(&[item("A", "")]).check(
        &["A 1"],
        &expect![[r#"
            A 1: out_of_stock 0 (), never whole: , owner missing
        "#]],
    );
}

#[test]
fn every_chain_that_could_have_said_otherwise_is_noted() {
    let sources = |world: &World| -> Vec<String> {
        let promise = world.promise("A 1", Ask { warehouse: Some("DAL"), ..Ask::default() });
        promise.consulted.chains().iter().map(|chain| chain.subject().to_string()).collect()
    };
    let world = World::new(&[item("A", "")]).stock("wms-1", &[]).stock("wms-2", &[]);
    assert_eq!(sources(&world), ["ledger.stock.wms-1", "ledger.stock.wms-2"]);
    let owned =
        ["stock", "supply", "safety"].map(|table| format!(r#"{{"table":"{table}","source":"wms-2"}}"#));
    let world = world.policy(&format!(r#"{{"ownership":{{"rules":[{}]}}}}"#, owned.join(",")));
    assert_eq!(sources(&world), ["ledger.stock.wms-2"]);
}

/// The set of warehouses rests on the owner of each, also of one that has said nothing of the item so far.
#[test]
fn who_owns_one_warehouse_could_have_added_it() {
    let world = World::new(&[item("A", "")]).stock("wms-1", &[cell("A", "DAL", "1", "")]).stock("wms-2", &[]);
    let of = |table: &str| {
        [
            r#","warehouse":"AUS","source":"wms-2""#,
            r#","source":"wms-1""#,
            r#","warehouse":"HOU","source":"wms-9""#,
        ]
        .map(|rest| format!(r#"{{"table":"{table}"{rest}}}"#))
        .join(",")
    };
    let rules = ["stock", "supply", "safety"].map(of).join(",");
    let world = world.policy(&format!(r#"{{"ownership":{{"rules":[{rules}]}}}}"#));
    let promise = world.promise("A 1", Ask::default());
    let chains: Vec<_> = promise.consulted.chains().iter().map(|c| c.subject().to_string()).collect();
    assert_eq!(chains, ["ledger.stock.wms-2", "ledger.stock.wms-1"]);
    assert!(!promise.flags.owner_missing, "HOU's rule is never reached");
}

/// Condemned up to the message that stated the rows, in these scopes.
#[test]
fn a_condemned_row_condemns_the_line() {
    let check = |scope: &str, up_to: u64, want: Option<InvalidateMode>| {
        let world = World::new(&[item("A", "")]).stock("wms", &[cell("A", "DAL", "1", "")]);
        let json = scope.as_bytes();
        let scope: InvalidateScope =
            pannier_protocol::codec::decode(pannier_protocol::Encoding::Json, json, json.len()).unwrap();
        let up_to = (StreamSequence(0), SourceSequence(up_to));
        let condemned = vec![Condemned { scope, mode: InvalidateMode::Hard, up_to }];
        world.ledger.chains[0].status.update(|state| state.condemned = Arc::new(condemned));
        let consulted = world.promise("A 1", Ask::default()).consulted;
        let standing = consulted.standing(pannier_protocol::Timestamp::from_millis(0), None);
        assert_eq!(standing.invalidated, want, "{up_to:?}");
    };
    check(r#"{"item":"A"}"#, 1, Some(InvalidateMode::Hard));
    check(r#"{"warehouse":"DAL"}"#, 1, Some(InvalidateMode::Hard));
    check(r#"{"source":"wms"}"#, 1, Some(InvalidateMode::Hard));
    check(r#"{"item":"A"}"#, 0, None);
    check(r#"{"item":"B"}"#, 1, None);
    check(r#"{"warehouse":"AUS"}"#, 1, None);
}
