//! What the winning row makes of the quantity.

use super::check;
use super::world::Ask;

#[test]
fn a_pack_price_is_not_rounded_before_it_is_multiplied() {
    // adempiere#2975: 10 a pack of 4, 20 pieces: 50, not 20 x 2.5 rounded earlier, nor 7 x (10 / 3).
    check(
        "prices list L USD A||PK|||||10
         prices list L JPY A||PK|||||10",
        &[
            (Ask { quantity: "20", ..Ask::default() }, "10 PK 50.00 list"),
            (Ask { quantity: "1", ..Ask::default() }, "10 PK 2.50 list"),
            (Ask { quantity: "1", currency: "JPY", ..Ask::default() }, "10 PK 3 list"),
        ],
    );
}
