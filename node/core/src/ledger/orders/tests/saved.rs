//! Orders through a checkpoint: a ledger that is read back at every step is the one that went on.

use serde_json::json;

use super::world::{CONTROL, World, order_id};
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
        13 => world.stock("A CHI 50", &json!({})),
        14 => drop(world.place_lines("k5", &["A 1"])),
        15 => world.send_json(CONTROL, &json!({"rule_version_activated": {"version": 3}})),
        16 => world.decide(&json!({"handover": {
            "scope": {"tables": []}, "from": "wms", "to": "wms2", "backends": {"from": "erp", "to": "erp2"},
            "snapshots": [], "replaces": 0, "ownership": {"rules": []}, "by": "jane", "reason": "go live",
        }})),
        _ => {
            let order = order_id("k5").to_string();
            world.event(&json!({"cancelled": {"order": order, "generation": 2, "reason": "never made"}}));
        }
    }
}

#[test]
fn orders_go_on_after_a_checkpoint_as_they_would_have() {
    let (mut live, mut again) = (World::new(), World::new());
    for at in 0..18 {
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
