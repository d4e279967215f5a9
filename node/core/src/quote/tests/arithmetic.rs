//! What the winning row makes of the quantity.

use super::world::Ask;
use super::{check, world};

#[test]
fn a_pack_price_is_not_rounded_before_it_is_multiplied() {
    // adempiere#2975: 10 a pack of 3, 20 pieces: 66.67, not 20 x 3.33 = 66.60.
    let lines = r#"
        {"item":{"item":"T","base_uom":"EA","uoms":[{"uom":"PK","numerator":3,"denominator":1}]}}
        prices list L USD A||PK|||||10 T||PK|||||10
        prices list L JPY A||PK|||||10
        prices list L KWD A||PK|||||0.333
    "#;
    check(
        lines,
        &[
            (Ask { item: "T", quantity: "20", ..Ask::default() }, "10 PK 66.67 list"),
            (Ask { quantity: "20", ..Ask::default() }, "10 PK 50.00 list"),
            (Ask { quantity: "1", ..Ask::default() }, "10 PK 2.50 list"),
            // 2.5 yen, half away from zero; 0.08325 dinars of three decimals.
            (Ask { currency: "JPY", ..Ask::default() }, "10 PK 3 list"),
            (Ask { currency: "KWD", ..Ask::default() }, "0.333 PK 0.083 list"),
        ],
    );
}

#[test]
fn rounding_is_the_tenants() {
    let lines = "prices list L USD A||PK|||||0.5";
    // 0.125 apiece.
    for (rounding, want) in [("half_away", "0.13"), ("half_even", "0.12"), ("up", "0.13"), ("down", "0.12")] {
        let policy = format!(r#"{{"policy":{{"version":1,"document":{{"rounding":"{rounding}"}}}}}}"#);
        let want = format!("0.5 PK {want} list");
        check(&format!("{lines}\n{policy}"), &[(Ask::default(), &want)]);
    }
}

#[test]
fn prices_are_per_one_hundred_or_thousand() {
    let lines = "prices list L USD A||||100|||7 B||||1000|||7 N|||||||7";
    check(
        lines,
        &[
            (Ask { quantity: "30", ..Ask::default() }, "7 per 100 EA 2.10 list"),
            (Ask { item: "B", quantity: "30", ..Ask::default() }, "7 per 1000 EA 0.21 list"),
            (Ask { item: "N", quantity: "30", ..Ask::default() }, "7 EA 210.00 list"),
        ],
    );
}

#[test]
fn prices_are_shown_per_unit_of_the_row_and_of_the_order() {
    let quote = world("prices list L USD A||PK|||||10\nprices account C USD A||EA||100|||240").quote(Ask {
        uom: Some("BX"),
        quantity: "2",
        ..Ask::default()
    });
    let price = quote.price.unwrap();
    // 2.4 a piece, 24 a box; the list: 10 a pack of 4 is 250 per 100 pieces.
    assert_eq!(
        (price.unit_price.to_string(), price.per.to_string(), price.uom.as_str()),
        ("240".to_owned(), "100".to_owned(), "EA")
    );
    assert_eq!(price.order_unit_price.to_string(), "24");
    assert_eq!(price.extended.to_string(), "48.00");
    assert_eq!(price.list_price.unwrap().to_string(), "250");
}

#[test]
fn breaks_are_compared_in_their_own_unit() {
    let lines = "prices list L USD A||EA||||BX|0=5,2=4,5=3";
    let of = |quantity, uom| Ask { quantity, uom: Some(uom), ..Ask::default() };
    check(
        lines,
        &[
            (of("19", "EA"), "5 EA 95.00 list"),
            // The bound itself counts: 20 pieces are 2 boxes, and so are 5 packs of 4.
            (of("20", "EA"), "4 EA 80.00 list"),
            (of("5", "PK"), "4 EA 80.00 list"),
            (of("12.5", "PK"), "3 EA 150.00 list"),
        ],
    );
}

#[test]
fn below_its_first_break_a_row_does_not_match() {
    let lines = "
        prices account C USD A|||||||10=1
        prices list L USD A|||||||2
    ";
    check(
        lines,
        &[
            (Ask { quantity: "9.999999", ..Ask::default() }, "2 EA 20.00 list"),
            (Ask { quantity: "10", ..Ask::default() }, "1 EA 10.00 customer_price"),
        ],
    );
}

#[test]
fn incremental_tiers_price_what_lies_between_their_bounds() {
    // 60 pieces at 0/10/50: 10, 40 and 10 of them.
    let lines = "prices list L USD A|||||incremental||0=5,10=4,50=3 B|||||incremental||10=4,50=3";
    let of = |quantity| Ask { quantity, ..Ask::default() };
    check(
        lines,
        &[
            (of("60"), "4 EA 240.00 list"),
            (of("10"), "5 EA 50.00 list"),
            (of("11"), "4.909091 EA 54.00 list"),
            // Below the first bound the first price.
            (Ask { item: "B", ..of("60") }, "3.833333 EA 230.00 list"),
            (Ask { item: "B", ..of("5") }, "4 EA 20.00 list"),
        ],
    );
}

#[test]
fn the_ladder_and_the_next_break_are_of_the_winning_row() {
    let world = world(
        "prices list L USD A||EA||100||BX|0=500,2=400,5=300
         prices promotion SALE USD A|||||list_percent_off||10
         levels promotion:additive list:first",
    );
    let price = world.quote(Ask { quantity: "20", ..Ask::default() }).price.unwrap();
    assert_eq!(price.unit_price.to_string(), "360");
    let shown = |step: &pannier_protocol::api::BreakShown| {
        format!("{} {} {}", step.min_quantity, step.uom, step.unit_price)
    };
    // Before discounts.
    let ladder: Vec<_> = price.breaks.unwrap().iter().map(shown).collect();
    assert_eq!(ladder, ["0 BX 500", "2 BX 400", "5 BX 300"]);
    assert_eq!(price.next_break.as_ref().map(shown).as_deref(), Some("5 BX 300"));
    let top = world.quote(Ask { quantity: "50", ..Ask::default() }).price.unwrap();
    assert_eq!(top.next_break, None);
}

#[test]
fn a_row_in_a_unit_that_the_item_lacks_does_not_match() {
    let lines = "
        prices account C USD B||BX|||||1 A||EA||||CASE|1
        prices list L USD B|||||||2 A|||||||3
    ";
    check(
        lines,
        &[(Ask { item: "B", ..Ask::default() }, "2 EA 2.00 list"), (Ask::default(), "3 EA 3.00 list")],
    );
}

#[test]
fn derived_rows_start_from_the_list_price_with_its_break() {
    let lines = "
        header contract K account:C
        prices list L USD A|||||||0=10,10=8
        prices contract K USD A|||||list_multiplier||0.5 B|||||list_multiplier||0.5
        prices group G1 USD B|||||||3
    ";
    check(
        lines,
        &[
            (Ask::default(), "5 EA 5.00 customer_contract K"),
            (Ask { quantity: "10", ..Ask::default() }, "4 EA 40.00 customer_contract K"),
            // Without a list price there is no hit, and the walk goes on.
            (Ask { item: "B", ..Ask::default() }, "3 EA 3.00 group_item_price"),
        ],
    );
    // What is shown is rounded, what is multiplied is not: 30 x 13.3333334.
    check(
        "prices list L USD A||||1000|||20000
         prices account C USD A|||||list_percent_off||33.333333",
        &[(Ask { quantity: "30", ..Ask::default() }, "13.333333 EA 400.00 customer_price")],
    );
}

#[test]
fn chain_discounts_state_where_they_round() {
    // 9.99 - 10% = 8.991, - 3% = 8.72127; rounded after each step 8.99, then 8.7203 to 8.72.
    let lines =
        |method: &str| format!("prices list L USD A|||||||9.99\nprices account C USD A|||||{method}||10");
    let hundred = Ask { quantity: "100", ..Ask::default() };
    check(&lines("chain:3"), &[(hundred, "8.72127 EA 872.13 customer_price")]);
    check(&lines("chain2:3"), &[(hundred, "8.72 EA 872.00 customer_price")]);
}

#[test]
fn out_of_range_is_refused_and_falls_to_no_other_price() {
    let lines = "
        prices account C USD A||BX|||||9000000000000
        prices list L USD A|||||||1
    ";
    check(lines, &[(Ask { uom: Some("BX"), quantity: "9000000000000", ..Ask::default() }, "OutOfRange")]);
}

#[test]
fn the_ladder_of_a_derived_row_has_the_list_prices_of_its_bounds() {
    let derived = world(
        "prices list L USD A|||||||0=10,10=8
         prices account C USD A|||||list_percent_off|BX|0=10,1=20,5=50",
    );
    let ladder = |quantity| {
        let price = derived.quote(Ask { quantity, ..Ask::default() }).price.unwrap();
        let steps = price.breaks.unwrap();
        let shown: Vec<_> =
            steps.iter().map(|step| format!("{} {}", step.min_quantity, step.unit_price)).collect();
        (
            price.unit_price.to_string(),
            shown.join(", "),
            price.next_break.map(|next| next.unit_price.to_string()),
        )
    };
    // 10 pieces are a box: 8 - 20%; 50 are five: 8 - 50%.
    let steps = "0 9, 1 6.4, 5 4".to_owned();
    assert_eq!(ladder("1"), ("9".to_owned(), steps.clone(), Some("6.4".to_owned())));
    assert_eq!(ladder("20"), ("6.4".to_owned(), steps.clone(), Some("4".to_owned())));
    assert_eq!(ladder("50"), ("4".to_owned(), steps, None));
}
