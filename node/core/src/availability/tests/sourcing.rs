//! Where a line ships from, what it is called, and what it leaves to the next one.

use expect_test::{Expect, expect};

use super::{Ask, World, account, cell, item, supply};

const TWO_SITES: &str = r#"["DAL","AUS"]"#;

/// Item A at three sites, for an account that is served from two of them in this mode.
#[track_caller]
fn check(mode: &str, lines: &[&str], want: &Expect) {
    let sourcing = format!(r#","sourcing":"{mode}""#);
    let world = World::new(&[item("A", ""), account("C", TWO_SITES, &sourcing)]).stock(
        "wms",
        &[
            cell("A", "AUS", "6", ""),
            cell("A", "DAL", "4", ""),
            cell("A", "HOU", "50", ""),
            supply("A", "DAL", "PO-1", 2, "9"),
            supply("A", "AUS", "PO-2", 1, "1"),
        ],
    );
    world.check_asking(Ask { account: Some("C"), ..Ask::default() }, lines, want);
}

#[test]
fn split_takes_what_each_has_as_it_has_it() {
    check(
        "split",
        &["A 5", "A 7", "A 99"],
        &expect![[r#"
            A 5: in_stock 10 (DAL 4, AUS 6), whole by 2026-11-23: 2026-11-23 DAL 4, 2026-11-23 AUS 1
            A 7: partial 5 (DAL 0, AUS 5), whole by 2026-11-25: 2026-11-23 AUS 5, 2026-11-24 AUS 1, 2026-11-25 DAL 1
            A 99: out_of_stock 0 (DAL 0, AUS 0), never whole: 2026-11-25 DAL 8
        "#]],
    );
}

#[test]
fn single_ships_from_the_warehouse_that_covers_the_line_soonest() {
    check(
        "single",
        &["A 4", "A 7", "A 99"],
        &expect![[r#"
            A 4: in_stock 10 (DAL 4, AUS 6), whole by 2026-11-23: 2026-11-23 DAL 4
            A 7: partial 6 (DAL 0, AUS 6), whole by 2026-11-24: 2026-11-23 AUS 6, 2026-11-24 AUS 1
            A 99: out_of_stock 0 (DAL 0, AUS 0), never whole: 2026-11-25 DAL 9
        "#]],
    );
}

#[test]
fn ship_complete_sends_nothing_before_all_is_there() {
    check(
        "ship_complete",
        &["A 99", "A 12", "A 8", "A 1"],
        &expect![[r#"
            A 99: partial 10 (DAL 4, AUS 6), never whole: 
            A 12: partial 10 (DAL 4, AUS 6), whole by 2026-11-25: 2026-11-25 DAL 12
            A 8: partial 7 (DAL 1, AUS 6), whole by 2026-11-24: 2026-11-24 DAL 1, 2026-11-24 AUS 7
            A 1: out_of_stock 0 (DAL 0, AUS 0), never whole: 
        "#]],
    );
}

#[test]
fn a_line_s_warehouse_narrows_the_eligible_ones() {
    let world = || {
        let world = World::new(&[item("A", ""), account("C", TWO_SITES, "")]);
        world.stock("wms", &[cell("A", "DAL", "4", ""), cell("A", "HOU", "50", "")])
    };
    let ask = |warehouse| Ask { account: Some("C"), warehouse: Some(warehouse), ..Ask::default() };
    world().check_asking(
        ask("DAL"),
        &["A 5"],
        &expect![[r#"
            A 5: partial 4 (DAL 4), never whole: 2026-11-23 DAL 4
        "#]],
    );
    let none = expect![[r#"
        A 5: out_of_stock 0 (), never whole: 
    "#]];
    world().check_asking(ask("HOU"), &["A 5"], &none);
    world().check_asking(ask("NOWHERE"), &["A 5"], &none);
}

#[test]
fn the_status_says_what_there_is_now() {
    let check = |rest: &str, on_hand: &str, want: &Expect| {
        let rows = [cell("A", "DAL", on_hand, ""), supply("A", "DAL", "PO-1", 1, "1")];
        World::new(&[item("A", rest)]).stock("wms", &rows).check(&["A 2"], want);
    };
    check(
        "",
        "0",
        &expect![[r#"
            A 2: out_of_stock 0 (DAL 0), never whole: 2026-11-24 DAL 1
        "#]],
    );
    check(
        r#","backorder":true"#,
        "0",
        &expect![[r#"
            A 2: backorder 0 (DAL 0), never whole: 2026-11-24 DAL 1
        "#]],
    );
    check(
        r#","backorder":true,"status":"discontinued""#,
        "0",
        &expect![[r#"
            A 2: discontinued 0 (DAL 0), never whole: 2026-11-24 DAL 1
        "#]],
    );
    check(
        r#","status":"discontinued""#,
        "1",
        &expect![[r#"
            A 2: partial 1 (DAL 1), whole by 2026-11-24: 2026-11-23 DAL 1, 2026-11-24 DAL 1
        "#]],
    );
    check(
        r#","status":"discontinued""#,
        "2",
        &expect![[r#"
            A 2: in_stock 2 (DAL 2), whole by 2026-11-23: 2026-11-23 DAL 2
        "#]],
    );
}

#[test]
fn a_requested_date_is_met_or_not() {
    let check = |requested_date, want: &Expect| {
        let rows = [cell("A", "DAL", "1", ""), supply("A", "DAL", "PO-1", 2, "1")];
        let world = World::new(&[item("A", "")]).stock("wms", &rows);
        world.check_asking(Ask { requested_date: Some(requested_date), ..Ask::default() }, &["A 2"], want);
    };
    check(
        "2026-11-25",
        &expect![[r#"
            A 2: partial 1 (DAL 1), whole by 2026-11-25: 2026-11-23 DAL 1, 2026-11-25 DAL 1, in time
        "#]],
    );
    check(
        "2026-11-24",
        &expect![[r#"
            A 2: partial 1 (DAL 1), whole by 2026-11-25: 2026-11-23 DAL 1, 2026-11-25 DAL 1, late
        "#]],
    );
}

fn part(item: &str, quantity: &str) -> String {
    format!(r#"{{"item":"{item}","quantity":"{quantity}","uom":"EA"}}"#)
}

fn kit(id: &str, parts: &[String], rest: &str) -> String {
    item(id, &format!(r#","kit":[{}]{rest}"#, parts.join(",")))
}

#[test]
fn a_kit_is_the_least_of_its_components_at_one_warehouse() {
    let world = World::new(&[
        kit(
            "KIT",
            &[part("A", "2"), part("B", "1")],
            r#","uoms":[{"uom":"PR","numerator":2,"denominator":1}]"#,
        ),
        item("A", ""),
        item("B", ""),
    ]);
    let world = world.stock(
        "wms",
        &[
            cell("A", "DAL", "9", ""),
            cell("B", "DAL", "3", ""),
            cell("A", "AUS", "2", ""),
            cell("B", "AUS", "50", ""),
            cell("A", "HOU", "50", ""),
            supply("B", "DAL", "PO-1", 2, "9"),
            // A kit's own cell is no stock.
            cell("KIT", "DAL", "7", ""),
        ],
    );
    world.check(
        &["KIT 1 PR", "A 4", "KIT 3", "A 99"],
        &expect![[r#"
            KIT 1 PR: in_stock 1 (AUS 0, DAL 1, HOU 0), whole by 2026-11-23: 2026-11-23 DAL 1
            A 4: in_stock 57 (AUS 2, DAL 5, HOU 50), whole by 2026-11-23: 2026-11-23 AUS 2, 2026-11-23 DAL 2
            KIT 3: partial 1 (AUS 0, DAL 1, HOU 0), never whole: 2026-11-23 DAL 1
            A 99: partial 51 (AUS 0, DAL 1, HOU 50), never whole: 2026-11-23 DAL 1, 2026-11-23 HOU 50
        "#]],
    );
}

/// KIT is 2 A and one INNER of 1.5 A and 1 B: 3.5 A. One floor at the end: 7 A are two kits.
/// The bolts expire tomorrow, the nuts come in three days: they never lie side by side.
#[test]
fn a_kit_does_not_wait_with_a_component_that_expires_first() {
    let expires = super::on(1);
    let lots = format!(
        r#"{{"lots_set":{{"item":"BOLT","warehouse":"DAL","uom":"EA","lots":[{{"lot":"L","quantity":"10","expires":"{expires}"}}]}}}}"#
    );
    let catalog = [
        item("BOLT", r#","lot_tracked":true"#),
        item("NUT", ""),
        kit("SET", &[part("BOLT", "1"), part("NUT", "1")], ""),
    ];
    let rows = [
        cell("BOLT", "DAL", "10", ""),
        lots,
        cell("NUT", "DAL", "2", ""),
        supply("NUT", "DAL", "PO", 3, "8"),
    ];
    World::new(&catalog).stock("wms", &rows).check(
        &["SET 5"],
        &expect![[r#"
            SET 5: partial 2 (DAL 2), never whole: 2026-11-23 DAL 2
        "#]],
    );
}

#[test]
fn components_shared_by_nested_kits_are_counted_once() {
    let world = World::new(&[
        kit("KIT", &[part("A", "2"), part("INNER", "1")], ""),
        kit("INNER", &[part("A", "1.5"), part("B", "1")], ""),
        item("A", ""),
        item("B", ""),
    ]);
    let world = world.stock("wms", &[cell("A", "DAL", "7", ""), cell("B", "DAL", "9", "")]);
    world.check(
        &["KIT 1", "KIT 2", "A 1"],
        &expect![[r#"
            KIT 1: in_stock 2 (DAL 2), whole by 2026-11-23: 2026-11-23 DAL 1
            KIT 2: partial 1 (DAL 1), never whole: 2026-11-23 DAL 1
            A 1: out_of_stock 0 (DAL 0), never whole: 
        "#]],
    );
}

#[test]
fn a_kit_that_cannot_be_taken_apart_sells_nothing() {
    let boxed = |item: &str| part(item, "1").replace("EA", "BX");
    let nested = |at: usize| kit(&format!("K{at}"), &[part(&format!("K{}", at + 1), "1")], "");
    let mut items = vec![
        item("A", ""),
        kit("UNKNOWN", &[part("A", "1"), part("NONE", "1")], ""),
        kit("UNIT", &[boxed("A")], ""),
        kit("PING", &[part("PONG", "1")], ""),
        kit("PONG", &[part("PING", "1")], ""),
        kit("K5", &[part("A", "1")], ""),
    ];
    items.extend((1..5).map(nested));
    let world = World::new(&items).stock("wms", &[cell("A", "DAL", "9", "")]);
    world.check(
        &["UNKNOWN 1", "UNIT 1", "PING 1", "K1 1", "K2 1"],
        &expect![[r#"
            UNKNOWN 1: out_of_stock 0 (), never whole: 
            UNIT 1: out_of_stock 0 (), never whole: 
            PING 1: out_of_stock 0 (), never whole: 
            K1 1: out_of_stock 0 (), never whole: 
            K2 1: in_stock 9 (DAL 9), whole by 2026-11-23: 2026-11-23 DAL 1
        "#]],
    );
}
