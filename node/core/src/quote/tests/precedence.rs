//! Which row wins: levels, policies, ties, dates.

use super::world::{Ask, show};
use super::{check, world};

#[test]
fn the_default_levels_are_walked_first_to_last() {
    // Each price is a level; rows are taken away from the top.
    let rows = [
        ("line_contract K-LINE", "prices contract K-LINE USD A|||||||0.5"),
        ("ship_to_contract K-SHIP", "prices contract K-SHIP USD A|||||||1"),
        ("customer_contract K-OWN", "prices contract K-OWN USD A|||||||2"),
        ("ancestor_contract K-NEAR", "prices contract K-NEAR USD A|||||||3"),
        ("ancestor_contract K-FAR", "prices contract K-FAR USD A|||||||4"),
        ("group_contract K-G1", "prices contract K-G1 USD A|||||||5"),
        ("group_contract K-G2", "prices contract K-G2 USD A|||||||6"),
        ("customer_price", "prices account C USD A|||||||7"),
        ("group_item_price", "prices group G1 USD A|||||||8"),
        ("group_item_price", "prices group G2 USD A|||||||9"),
        ("group_class_price", "prices group G1 USD |bolts||||||10"),
        ("promotion", "prices promotion SALE USD A|||||||11"),
        ("list", "prices list L USD A|||||||12"),
    ];
    let headers = "
        header contract K-SHIP account:C-1
        header contract K-OWN account:C
        header contract K-NEAR account:P
        header contract K-FAR account:Q
        header contract K-G1 group:G1
        header contract K-G2 group:G2
        header contract K-LINE account:Q
    ";
    for at in 0..rows.len() {
        let lines: Vec<&str> = rows[at..].iter().map(|(_, line)| *line).collect();
        let world = world(&format!("{headers}\n{}", lines.join("\n")));
        let contract = (at == 0).then_some("K-LINE");
        let ask = Ask { ship_to: Some("C-1"), contract, ..Ask::default() };
        let shown = show(&world.quote(ask));
        let want = rows[at].0;
        assert!(shown.ends_with(want), "{shown} is not of {want}");
    }
}
