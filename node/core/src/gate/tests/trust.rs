//! What a chain says of itself to lookups, beside its rows.

use pannier_protocol::Timestamp;
use pannier_protocol::change::{InvalidateMode, InvalidateScope};

use super::script::Stream;
use crate::gate::GateMode;

/// The chain after a script: when its source was last read to its end (in messages of the script), what is parked.
#[track_caller]
fn check_fresh(script: &str, want: i64, parked: &[&str]) {
    let mut stream = Stream::new(GateMode::On);
    for line in script.lines().map(str::trim) {
        match line.strip_prefix("approve ") {
            Some(id) => drop(stream.approve(id)),
            None => drop(stream.send(line)),
        }
    }
    let state = stream.chain.status().load();
    assert_eq!(state.caught_up_to.map(Timestamp::millis), Some(want), "{script}");
    let shown: Vec<&str> = state.parked.iter().map(|parked| parked.id.as_str()).collect();
    assert_eq!(shown, parked, "{script}");
}

/// Nobody sees what a snapshot said that waits or was of no use, so that no tick may call its chain fresh.
#[test]
fn ticks_wait_with_a_snapshot_that_is_not_in_force() {
    let parked = "claim
        1 A=1 B=1 C=1
        2 tick
        3 begin:s
        4 part:s A=2
        5 end:s
        6 tick
        7 A=3
        8 tick";
    check_fresh(parked, 3, &["s"]);
    check_fresh(&format!("{parked}\napprove s"), 9, &[]);
    check_fresh(&format!("{parked}\n9 begin:t\n10 part:t A=1 B=1 C=1\n11 end:t\n12 tick"), 13, &[]);
    let refused = "claim
        1 A=1 B=1
        2 tick
        3 begin:s
        4 part:s A=2 B=1
        5 end:s:bad
        6 tick";
    check_fresh(refused, 3, &[]);
    check_fresh(&format!("{refused}\n7 begin:t\n8 part:t A=1 B=1\n9 end:t"), 7, &[]);
}

/// What could not be added to a figure is missing in it until it is stated anew.
#[test]
fn a_figure_that_could_not_be_changed_is_condemned() {
    let condemned = |script: &str| {
        let mut stream = Stream::new(GateMode::On);
        script.lines().map(str::trim).for_each(|line| drop(stream.send(line)));
        let state = stream.chain.status().load();
        let told = state.condemned.iter().map(|it| {
            let InvalidateScope::Item(item) = &it.scope else { panic!("{it:?}") };
            assert_eq!(it.mode, InvalidateMode::Soft);
            format!("{item} up to {}", it.up_to.1)
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(condemned("claim\n1 A=1\n2 A+1"), Vec::<String>::new());
    assert_eq!(condemned("claim\n1 A=1\n2 A=2 B+1 A+1"), ["B up to 2"]);
    // A snapshot that was read before the change was made does not have it either; one that began later does.
    let snapshot = "claim\n1 A=1 B=1\n2 begin:s\n3 part:s A=1 B=1\n4 C+1\n5 end:s";
    assert_eq!(condemned(snapshot), ["C up to 5"]);
    assert_eq!(condemned(&format!("{snapshot}\n6 begin:t\n7 part:t A=1 B=1\n8 end:t")), Vec::<String>::new());
}
