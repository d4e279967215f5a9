//! A broker that lost the end of the ledger, and a node that had read it.

use pannier_protocol::api::OrderState;
use serde_json::{Value, json};

use super::super::{KeyId, Operation, OrderRecord, RECOVERY_FORMAT, RecoveryRecord};
use super::world::{CONTROL, ORDERS, World, account, decode, key, order_id};
use crate::entry::Effect;

/// What every ledger here has, up to its last synced entry.
fn kept() -> World {
    let mut world = World::new();
    world.stock("A DAL 20", &json!({}));
    world.place_lines("early", &["A 2"]);
    world.place_lines("acked", &["A 1"]);
    world.publish_outbox();
    world
}

/// And then was lost.
fn lost() -> World {
    let mut world = kept();
    world.event(&json!({"acknowledged": {"order": id("acked"), "generation": 1, "document": "SO-7"}}));
    world.place_lines("late", &["A 4"]);
    world.place_lines("asked back", &["A 1"]);
    world.publish_outbox();
    let cancel = json!({"cancel_order": {"order": id("asked back"), "keyed": world.keyed("c", "x")}});
    world.send_json(ORDERS, &json!({ "command": cancel }));
    world.place_lines("short", &["A 90"]);
    world.hold("h", &["A 3"], 60, false);
    world.stock(
        "A DAL 18",
        &json!({"reflects": {"lines": [
        {"order": id("early"), "line": "1", "quantity": "2"}]}}),
    );
    world
}

fn id(name: &str) -> String {
    order_id(name).to_string()
}

fn part(of: &World, records: Option<&str>, done: bool) -> Value {
    let up_to = of.ledger.reader().position();
    json!({"recover": {"up_to": up_to, "format": RECOVERY_FORMAT, "records": records, "done": done,
        "by": "jane", "reason": "the store was put back"}})
}

/// As `pannier recover` does.
fn recover(world: &mut World, from: &World) {
    while world.ledger.reader().position() < from.ledger.reader().position() {
        world.decide(&part(from, None, false));
    }
    for records in from.ledger.reader().orders().recoverable().unwrap() {
        world.decide(&part(from, Some(&records), false));
    }
    assert!(!world.ledger.reader().orders().recovery().unwrap().done);
    world.decide(&part(from, None, true));
}

#[test]
fn what_customers_were_told_is_true_again() {
    let (lost, mut world) = (lost(), kept());
    recover(&mut world, &lost);
    for name in ["early", "acked", "late", "asked back", "short"] {
        let (before, after) = (lost.record(name), world.record(name));
        let told = |it: &OrderRecord| {
            let lines: Vec<_> = it.lines.iter().map(|line| (line.state, line.promised.clone())).collect();
            (it.state, it.position, it.generation, it.document.clone(), it.cancel_asked, lines)
        };
        assert_eq!(told(&after), told(&before), "{name}");
    }
    let orders = world.ledger.reader().orders().clone();
    let keys =
        [("late", Operation::PlaceOrder), ("c", Operation::CancelOrder), ("short", Operation::PlaceOrder)];
    for (name, operation) in keys {
        let id = KeyId { account: account(), operation, key: key(name) };
        assert_eq!(orders.key(&id), lost.ledger.reader().orders().key(&id), "{name}");
    }
    assert_eq!(world.hold_state("h"), lost.hold_state("h"));
    // The figure of 18 that contains `early` is lost as well: 2 + 1 + 4 + 1, and the hold.
    assert_eq!((lost.promised("A", "DAL"), world.promised("A", "DAL")), ("9".to_owned(), "11".to_owned()));
    assert_eq!(world.place_lines("more", &["A 10"]), OrderState::Rejected, "20 less 11");
    assert_eq!(world.place_lines("late", &["A 4"]), OrderState::Dispatched, "its key is known");
    assert_eq!(world.promised("A", "DAL"), "11");
}

#[test]
fn what_was_on_its_way_is_sent_again_in_its_generation() {
    let (lost, mut world) = (lost(), kept());
    assert_eq!(world.outbox(), Vec::<String>::new());
    recover(&mut world, &lost);
    let mut outbox = world.outbox();
    outbox.sort();
    // `asked back`, and then `early` and `late`; `acked` is with its backend.
    assert_eq!(outbox, ["cancel 2 to erp", "create 1 to erp", "create 1 to erp"]);
}

#[test]
fn parts_may_come_again_and_undo_nothing() {
    let (lost, mut world) = (lost(), kept());
    recover(&mut world, &lost);
    world.event(&json!({"acknowledged": {"order": id("late"), "generation": 1, "document": "SO-9"}}));
    let before =
        (world.record("late").steps.len(), world.record("early").steps.len(), world.promised("A", "DAL"));
    recover(&mut world, &lost);
    let after =
        (world.record("late").steps.len(), world.record("early").steps.len(), world.promised("A", "DAL"));
    assert_eq!(after, before);
    assert_eq!(world.state("late"), OrderState::Acknowledged);
    let up_to = lost.ledger.reader().position();
    let recovery = world.ledger.reader().orders().recovery().unwrap();
    assert!(recovery.done && recovery.up_to == up_to && recovery.since > up_to, "{recovery:?}");
}

/// The ledger is left with more of one order than the node knew: both went on.
#[test]
fn what_the_ledger_knows_more_of_stays() {
    let (lost, mut world) = (lost(), kept());
    while world.ledger.reader().position() < lost.ledger.reader().position() {
        world.decide(&part(&lost, None, false));
    }
    world.event(&json!({"acknowledged": {"order": id("early"), "generation": 1, "document": "SO-1"}}));
    recover(&mut world, &lost);
    assert_eq!(world.record("early").document.unwrap().as_str(), "SO-1");
    assert_eq!(world.state("late"), OrderState::Dispatched);
}

#[test]
fn a_part_that_cannot_be_read_is_an_alarm_and_one_of_another_build_a_stop() {
    let mut world = kept();
    for records in ["!", "AAAA", "//////////8="] {
        let mut bad = part(&world, Some(records), false);
        world.decide(&bad);
        assert_eq!(world.outbox().pop().unwrap(), "alarm event", "{records}");
        bad["recover"]["format"] = json!(RECOVERY_FORMAT + 1);
        assert_eq!(world.ledger.reader().orders().recovery(), None::<RecoveryRecord>);
    }
    let mut newer = part(&world, None, false);
    newer["recover"]["format"] = json!(RECOVERY_FORMAT + 1);
    let change = decode(&json!({ "decision": newer }));
    let effects = world.send(CONTROL, &[change]);
    let [Effect::Stop { needs }] = &effects[..] else { panic!("{effects:?}") };
    assert!(needs.contains("this build reads"), "{needs}");
}
