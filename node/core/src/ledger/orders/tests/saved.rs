//! Orders through a checkpoint: a ledger that is read back at every step is the one that went on.

use serde_json::json;

use super::world::{World, order_id};
use crate::checkpoint::tests::ledger_through_bytes;

/// Of each kind of state something: holds, backorders, reviews, keys, events, acts, what ends by time.
fn step(world: &mut World, at: usize) {
    match at {
        0 => world.stock("A DAL 10", &json!({})),
        1 => drop(world.place_lines("k", &["A 4"])),
        2 => drop(world.hold("h", &["A 3"], 60, false)),
        3 => drop(world.place_lines("k2", &["A 9 backorder"])),
        4 => world.publish_outbox(),
        5 => {
            let order = order_id("k").to_string();
            world.event(&json!({"acknowledged": {"order": order, "generation": 1, "document": "SO-1"}}));
        }
        6 => world.stock("A DAL 2", &json!({})),
        7 => drop(world.place_lines("k", &["A 4"])),
        8 => world.now += 61_000,
        9 => drop(world.place_lines("k3", &["A 1", "B 2 backorder"])),
        10 => {
            let released = json!({"order": order_id("k").to_string(), "by": "jane", "reason": "counted"});
            world.decide(&json!({ "release_overlay": released }));
        }
        11 => world.now += 8 * 24 * 3_600 * 1_000,
        12 => drop(world.place_lines("k4", &["A 1"])),
        _ => world.stock("A CHI 50", &json!({})),
    }
}

#[test]
fn orders_go_on_after_a_checkpoint_as_they_would_have() {
    let (mut live, mut again) = (World::new(), World::new());
    for at in 0..14 {
        step(&mut live, at);
        step(&mut again, at);
        again.ledger = ledger_through_bytes(&again.ledger);
        assert_eq!(again.ledger.digest(), live.ledger.digest(), "step {at}");
        assert_eq!(again.outbox(), live.outbox(), "step {at}");
        for cell in ["DAL", "CHI"] {
            assert_eq!(again.promised("A", cell), live.promised("A", cell), "step {at}");
        }
        let steps = |world: &World| {
            let orders = world.ledger.reader();
            format!("{:?}", orders.orders().steps_after(None, orders.position(), 100).steps)
        };
        assert_eq!(steps(&again), steps(&live), "step {at}");
    }
}
