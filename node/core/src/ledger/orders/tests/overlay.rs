//! What is promised and in no figure yet (semantics 2.11).

use pannier_protocol::api::OrderState;
use serde_json::json;

use super::world::{STOCK, World, decode, order_id};

/// 10 of A at DAL, 4 of them promised by order `k`.
fn world() -> World {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    assert_eq!(world.place_lines("k", &["A 4"]), OrderState::Accepted);
    world.publish_outbox();
    world
}

fn acknowledge(world: &mut World, position: u64) {
    let from = json!([{"source": "wms", "position": position}]);
    let order = order_id("k").to_string();
    world.event(&json!({"acknowledged": {"order": order, "generation": 1, "document": "SO-1", "reflected_from": from}}));
}

fn named(quantity: &str) -> serde_json::Value {
    json!({"reflects": {"lines": [{"order": order_id("k").to_string(), "line": "1", "quantity": quantity}]}})
}

/// The nightly export knows nothing of the order: the stock is promised all the same.
#[test]
fn an_absolute_overwrite_does_not_forget_orders() {
    let mut world = world();
    world.stock("A DAL 10", &json!({}));
    assert_eq!(world.promised("A", "DAL"), "4");
    assert_eq!(world.place_lines("l", &["A 7"]), OrderState::Rejected);
    assert_eq!(world.place_lines("m", &["A 6"]), OrderState::Accepted);
}

#[test]
fn a_figure_that_names_the_order_releases_what_it_names() {
    let mut world = world();
    world.stock("A DAL 9", &named("1"));
    assert_eq!(world.promised("A", "DAL"), "3");
    world.stock("A DAL 6", &named("4"));
    assert_eq!(world.promised("A", "DAL"), "0");
    // What was named stays so until it is said anew.
    world.stock("A DAL 5", &json!({}));
    assert_eq!(world.promised("A", "DAL"), "0");
    assert_eq!(world.place_lines("l", &["A 5"]), OrderState::Accepted);
}

/// 10 now, 6 in three days and 4 someday, all from DAL: what is named of the line is there once.
#[test]
fn what_is_named_of_a_line_counts_once_over_its_parts() {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    let supply = json!({"item": "A", "warehouse": "DAL", "uom": "EA", "reference": "PO", "date": "2026-11-26", "quantity": "6"});
    world.send_json(STOCK, &json!({ "supply_set": supply }));
    assert_eq!(world.place_lines("k", &["A 20 backorder"]), OrderState::Backordered);
    world.stock("A DAL 7", &named("3"));
    assert_eq!(world.promised("A", "DAL"), "17");
    world.stock("A DAL 0", &named("12"));
    assert_eq!(world.promised("A", "DAL"), "8");
}

#[test]
fn a_figure_at_or_past_the_position_releases_the_order_whichever_comes_first() {
    let at = |position: u64| json!({"reflects": {"position": position}});
    let mut later = world();
    acknowledge(&mut later, 70);
    later.stock("A DAL 10", &at(69));
    assert_eq!(later.promised("A", "DAL"), "4");
    later.stock("A DAL 6", &at(70));
    assert_eq!(later.promised("A", "DAL"), "0");

    let mut before = world();
    before.stock("A DAL 6", &at(70));
    assert_eq!(before.promised("A", "DAL"), "4");
    acknowledge(&mut before, 70);
    assert_eq!(before.promised("A", "DAL"), "0");
}

/// An ERP that was restored from a backup: its snapshot does not contain the order any more.
#[test]
fn a_snapshot_that_forgot_the_order_puts_it_back_and_asks() {
    let mut world = world();
    world.stock("A DAL 6", &named("4"));
    assert_eq!((world.promised("A", "DAL"), world.outbox()), ("0".into(), vec![]));
    let begin = json!({"snapshot_begin": {"id": "s", "scope": {"table": "stock"}, "cut": 1_000}});
    world.send_json(STOCK, &begin);
    let cell = json!({"stock_set": {"item": "A", "warehouse": "DAL", "uom": "EA", "on_hand": "10"}});
    let part = [decode(&json!({"part": {"of": "s"}})), decode(&cell)];
    let payload = world.send_part(&part);
    let end = json!({"snapshot_end": {"id": "s", "rows": 1, "hash": payload}});
    world.send_json(STOCK, &end);
    assert_eq!((world.promised("A", "DAL"), world.outbox()), ("4".into(), vec!["alarm restored".to_owned()]));
    assert_eq!(world.place_lines("l", &["A 7"]), OrderState::Rejected);
}

/// The document that the figure contained is closed with its generation.
#[test]
fn a_new_generation_is_in_no_figure_yet() {
    let mut world = world();
    acknowledge(&mut world, 70);
    world.stock("A DAL 6", &json!({"reflects": {"position": 70}}));
    assert_eq!(world.promised("A", "DAL"), "0");
    let order = order_id("k").to_string();
    world.decide(&json!({"redispatch": {"order": order, "closes": 1, "by": "jane", "reason": "moved"}}));
    assert_eq!((world.state("k"), world.promised("A", "DAL").as_str()), (OrderState::Accepted, "4"));
    assert_eq!(world.outbox(), ["create 2 to erp"], "nobody forgot anything");
}

/// Both generations were acknowledged, and nobody wrote to the ledger for days: the order is told once.
#[test]
fn an_order_that_was_sent_again_is_told_to_be_old_once() {
    let mut world = world();
    acknowledge(&mut world, 70);
    let order = order_id("k").to_string();
    world.decide(&json!({"redispatch": {"order": order, "closes": 1, "by": "jane", "reason": "moved"}}));
    world.publish_outbox();
    world.now += 3_600_000;
    let again = json!({"order": order, "generation": 2, "document": "SO-2"});
    world.event(&json!({ "acknowledged": again }));
    world.now += 48 * 3_600_000;
    world.stock("B DAL 1", &json!({}));
    assert_eq!(world.outbox(), ["alarm overlay"]);
}

#[test]
fn a_source_that_corrects_below_what_is_promised_is_told_once() {
    let mut world = world();
    world.stock("A DAL 3", &json!({}));
    world.stock("A DAL 2", &json!({}));
    assert_eq!(world.outbox(), ["alarm overcommit"]);
    world.stock("A DAL 9", &json!({}));
    world.stock("A DAL 1", &json!({}));
    assert_eq!(world.outbox(), ["alarm overcommit", "alarm overcommit"]);
}

/// Never by silence: a day after the backend had it a human is asked, and decides.
#[test]
fn an_order_that_no_figure_confirms_is_told_and_released_by_a_human() {
    let mut world = world();
    acknowledge(&mut world, 70);
    world.now += 24 * 3_600_000;
    world.stock("A DAL 10", &json!({}));
    assert_eq!((world.promised("A", "DAL"), world.outbox()), ("4".into(), vec!["alarm overlay".to_owned()]));
    let order = order_id("k").to_string();
    world.decide(&json!({"release_overlay": {"order": order, "by": "jane", "reason": "counted"}}));
    assert_eq!(world.promised("A", "DAL"), "0");
}

/// What the figure contains of the rest it contained before: nothing was forgotten.
#[test]
fn a_part_that_is_cancelled_after_the_figure_had_it_is_no_restore() {
    let mut world = world();
    world.stock("A DAL 6", &named("4"));
    let order = order_id("k").to_string();
    world.event(&json!({"progressed": {"order": order, "lines": [{"line": "1", "cancelled": "1"}]}}));
    assert_eq!((world.promised("A", "DAL"), world.outbox()), ("0".into(), vec![]));
}

/// 4 of 3 to the piece take 1.333334; of them 3 take 1 and nothing more.
#[test]
fn what_is_kept_of_a_fraction_takes_no_crumb_more() {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    let mut order = world.order("k", &["A 4"]);
    order.lines[0].stock.needs[0].denominator = 3;
    world.place(order);
    assert_eq!(world.promised("A", "DAL"), "1.333334");
    let order = order_id("k").to_string();
    world.event(&json!({"progressed": {"order": order, "lines": [{"line": "1", "cancelled": "1"}]}}));
    assert_eq!(world.promised("A", "DAL"), "1");
}

/// What was shipped before the rest was cancelled is gone, and the figure has it still.
#[test]
fn an_order_that_is_cancelled_half_way_keeps_what_was_shipped() {
    let mut world = world();
    acknowledge(&mut world, 70);
    let order = order_id("k").to_string();
    world.event(&json!({"progressed": {"order": order, "lines": [{"line": "1", "shipped": "3"}]}}));
    world.event(&json!({"cancelled": {"order": order, "reason": "the rest is broken"}}));
    assert_eq!((world.state("k"), world.promised("A", "DAL").as_str()), (OrderState::Cancelled, "3"));
    world.stock("A DAL 7", &named("3"));
    assert_eq!(world.promised("A", "DAL"), "0");
}

#[test]
fn a_line_that_is_cancelled_in_part_gives_that_part_back() {
    let mut world = world();
    acknowledge(&mut world, 70);
    let order = order_id("k").to_string();
    let progress = |cancelled: &str| json!({"progressed": {"order": order, "lines": [{"line": "1", "cancelled": cancelled}]}});
    world.event(&progress("1"));
    world.event(&progress("1"));
    assert_eq!(world.promised("A", "DAL"), "3");
    world.event(&progress("4"));
    assert_eq!((world.promised("A", "DAL"), world.state("k")), ("0".into(), OrderState::Cancelled));
}
