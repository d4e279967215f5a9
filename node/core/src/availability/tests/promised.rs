//! What orders and holds promise is not promised again (semantics 2.2, 2.11, 2.12).

use expect_test::expect;

use super::{World, cell, item, supply};

fn world() -> World {
    let rest = r#","backorder":true"#;
    let stock =
        [cell("A", "DAL", "10", ""), supply("A", "DAL", "PO-1", 2, "5"), supply("A", "DAL", "PO-2", 4, "5")];
    World::new(&[item("A", rest)]).stock("wms", &stock)
}

#[test]
fn what_is_promised_now_is_off_the_shelf() {
    world().promised(&["A DAL 7 now"]).check(
        &["A 5 EA"],
        &expect![[r#"
            A 5 EA: partial 3 (DAL 3), whole by 2026-11-25: 2026-11-23 DAL 3, 2026-11-25 DAL 2
        "#]],
    );
}

#[test]
fn more_promised_than_there_is_is_nothing_and_eats_what_comes() {
    world().promised(&["A DAL 12 now"]).check(
        &["A 4 EA"],
        &expect![[r#"
            A 4 EA: backorder 0 (DAL 0), whole by 2026-11-27: 2026-11-25 DAL 3, 2026-11-27 DAL 1
        "#]],
    );
}

#[test]
fn a_hold_counts_to_the_moment_it_ends() {
    world().promised(&["A DAL 7 now 1", "A DAL 2 now 0", "A DAL 1 now -1"]).check(
        &["A 5 EA"],
        &expect![[r#"
            A 5 EA: partial 3 (DAL 3), whole by 2026-11-25: 2026-11-23 DAL 3, 2026-11-25 DAL 2
        "#]],
    );
}

#[test]
fn what_is_promised_of_supply_is_taken_from_it() {
    world().promised(&["A DAL 4 2"]).check(
        &["A 20 EA"],
        &expect![[r#"
            A 20 EA: partial 10 (DAL 10), never whole: 2026-11-23 DAL 10, 2026-11-25 DAL 1, 2026-11-27 DAL 5
        "#]],
    );
}

/// The oldest promise without a day has the first claim on what comes.
#[test]
fn what_is_promised_without_a_day_keeps_what_comes() {
    world().promised(&["A DAL 10 now", "A DAL 8 someday"]).check(
        &["A 5 EA"],
        &expect![[r#"
            A 5 EA: backorder 0 (DAL 0), never whole: 2026-11-25 DAL 2
        "#]],
    );
}

/// A promise in a former base unit is never converted: nothing is known of what it leaves.
#[test]
fn a_promise_in_a_former_unit_leaves_nothing_to_promise() {
    let rows = [r#"{"item":{"item":"A","base_uom":"PC"}}"#.to_owned()];
    let cell = r#"{"stock_set":{"item":"A","warehouse":"DAL","uom":"PC","on_hand":"10"}}"#.to_owned();
    World::new(&rows).stock("wms", &[cell]).promised(&["A DAL 1 now"]).check(
        &["A 5 PC"],
        &expect![[r#"
            A 5 PC: out_of_stock 0 (DAL 0), never whole: , stale unit
        "#]],
    );
}
