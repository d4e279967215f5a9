//! Holds (semantics 2.12): all or nothing or explicitly partial, idempotent, ending exactly.

use pannier_protocol::api::{HoldState, OrderState};
use pannier_protocol::order::{Command, OrderReason};
use pannier_protocol::{HoldId, Timestamp};
use serde_json::{Value, json};

use super::world::{World, account, decode, key};

fn world() -> World {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    world
}

fn hold_id(name: &str) -> HoldId {
    HoldId::derive(&account(), &key(name))
}

fn change(world: &mut World, hold: &str, name: &str, rest: &Value) {
    let keyed = serde_json::to_value(world.keyed(name, &rest.to_string())).unwrap();
    let mut change = json!({"hold": hold_id(hold).to_string(), "keyed": keyed});
    change.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    world.command(Command::ChangeHold(decode(&change)));
}

#[test]
fn a_hold_is_whole_or_nothing_or_says_that_it_is_partial() {
    let mut world = world();
    assert_eq!(world.hold("h", &["A 8", "A 4"], 60, false), HoldState::Refused);
    assert_eq!(world.promised("A", "DAL"), "0");
    assert_eq!(world.hold("i", &["A 8", "A 4"], 60, true), HoldState::Held);
    assert_eq!(world.promised("A", "DAL"), "10");
    assert_eq!(world.place_lines("k", &["A 1"]), OrderState::Rejected);
    // The same request again holds once.
    assert_eq!(world.hold("i", &["A 8", "A 4"], 60, true), HoldState::Held);
    assert_eq!(world.promised("A", "DAL"), "10");
}

#[test]
fn a_hold_ends_to_the_moment_before_the_entry_of_that_moment_is_judged() {
    let mut world = world();
    world.hold("h", &["A 10"], 60, false);
    world.now += 59_999;
    assert_eq!(world.place_lines("k", &["A 1"]), OrderState::Rejected);
    world.now += 1;
    assert_eq!(world.place_lines("l", &["A 10"]), OrderState::Accepted);
    assert_eq!(world.hold_state("h"), HoldState::Expired);
}

#[test]
fn a_hold_is_extended_shrunk_and_released() {
    let mut world = world();
    world.hold("h", &["A 10"], 60, false);
    let until = Timestamp::from_millis(world.now + 120_000).to_string();
    change(&mut world, "h", "x", &json!({ "expires_at": until }));
    world.now += 60_000;
    change(&mut world, "h", "y", &json!({"keep": {"1": "4"}}));
    assert_eq!((world.hold_state("h"), world.promised("A", "DAL").as_str()), (HoldState::Held, "4"));
    // Never more than it has.
    change(&mut world, "h", "z", &json!({"keep": {"1": "9"}}));
    assert_eq!(world.promised("A", "DAL"), "4");
    let keyed = serde_json::to_value(world.keyed("r", "release")).unwrap();
    let release = json!({"hold": hold_id("h").to_string(), "keyed": keyed});
    world.command(Command::ReleaseHold(decode(&release)));
    assert_eq!((world.hold_state("h"), world.promised("A", "DAL").as_str()), (HoldState::Released, "0"));
}

/// Ledger time is past the new end when the wish is judged: nothing of the hold is left for an order of the same group.
#[test]
fn a_hold_that_is_moved_into_the_past_is_over_at_once() {
    let mut world = world();
    world.hold("h", &["A 10"], 60, false);
    let before = Timestamp::from_millis(world.now).to_string();
    change(&mut world, "h", "x", &json!({ "expires_at": before }));
    assert_eq!(world.hold_state("h"), HoldState::Expired);
    let mut order = world.order("k", &["A 10"]);
    order.hold = Some(hold_id("h"));
    assert_eq!(world.place(order), OrderState::Accepted);
    assert_eq!(world.record("k").reasons, [OrderReason::HoldUnknown]);
}

/// The shelf is as short as it was: an order that tried in between is no news.
#[test]
fn a_hold_that_is_left_to_its_owner_is_told_short_once() {
    let mut world = world();
    world.hold("h", &["A 10"], 60, false);
    world.stock("A DAL 3", &json!({}));
    assert_eq!(world.outbox(), ["alarm overcommit"]);
    let mut order = world.order("k", &["A 10"]);
    order.hold = Some(hold_id("h"));
    assert_eq!(world.place(order), OrderState::Rejected);
    assert_eq!((world.hold_state("h"), world.outbox().len()), (HoldState::Held, 1));
}

/// A key is forgotten after 7 days, and what it holds then is still held.
#[test]
fn a_hold_that_outlives_its_key_is_not_forgotten() {
    let mut world = world();
    world.hold("h", &["A 10"], 60, false);
    for day in 0..8 {
        let until = Timestamp::from_millis(world.now + 24 * 3_600_000).to_string();
        change(&mut world, "h", &format!("x{day}"), &json!({ "expires_at": until }));
        world.now += 24 * 3_600_000 - 1;
    }
    assert_eq!(world.place_lines("k", &["A 1"]), OrderState::Rejected);
    assert_eq!((world.hold_state("h"), world.promised("A", "DAL").as_str()), (HoldState::Held, "10"));
    world.now += 1;
    assert_eq!(world.place_lines("l", &["A 10"]), OrderState::Accepted);
    assert!(world.ledger.reader().orders().hold(&hold_id("h")).is_none());
}

#[test]
fn an_order_takes_its_hold_over_in_one_step_or_leaves_it() {
    let mut world = world();
    world.hold("h", &["A 10"], 60, false);
    let ordered = |world: &World, name: &str, line: &str| {
        let mut order = world.order(name, &[line]);
        order.hold = Some(hold_id("h"));
        order
    };
    let order = ordered(&world, "k", "A 11");
    assert_eq!(world.place(order), OrderState::Rejected);
    assert_eq!((world.hold_state("h"), world.promised("A", "DAL").as_str()), (HoldState::Held, "10"));
    let order = ordered(&world, "l", "A 10");
    assert_eq!(world.place(order), OrderState::Accepted);
    assert_eq!((world.hold_state("h"), world.promised("A", "DAL").as_str()), (HoldState::Ordered, "10"));
    // A hold that is over keeps nothing for whoever names it.
    let order = ordered(&world, "m", "A 1");
    world.place(order);
    assert_eq!(world.record("m").reasons, [OrderReason::HoldUnknown, OrderReason::OutOfStock]);
}
