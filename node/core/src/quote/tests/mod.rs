//! Semantics 1 and 5 "Price" in worked cases.

mod arithmetic;
mod caps;
mod dates;
mod naive;
mod precedence;
mod resolution;
mod trust;
mod world;

use world::{Ask, World, show};

/// Items, accounts and units that most cases share: `C-1` ships for `C`, which is below `P` and `Q`.
const BASE: &str = r#"
    {"item":{"item":"A","base_uom":"EA","class":"bolts","uoms":[{"uom":"BX","numerator":10,"denominator":1},{"uom":"PK","numerator":4,"denominator":1}]}}
    {"item":{"item":"B","base_uom":"EA","class":"bolts"}}
    {"item":{"item":"N","base_uom":"EA"}}
    {"account":{"account":"C","root":"Q","parent":"P","groups":["G1","G2"],"lists":["L"]}}
    {"account":{"account":"C-1","root":"Q","parent":"C","groups":["G2"]}}
    {"account":{"account":"P","root":"Q","parent":"Q"}}
    {"account":{"account":"Q","root":"Q"}}
    {"account":{"account":"D","root":"D","contract_only":true}}
"#;

fn world(lines: &str) -> World {
    let mut world = World::new(BASE);
    world.add("erp", pannier_protocol::Partition::Shared, lines);
    world
}

/// One catalog, and what it answers to each question.
#[track_caller]
fn check(lines: &str, cases: &[(Ask<'_>, &str)]) {
    let world = world(lines);
    for (ask, want) in cases {
        assert_eq!(show(&world.quote(*ask)), *want, "{ask:?}");
    }
}
