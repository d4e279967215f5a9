//! Caps of contracts: what does not fit falls through or is split.

use super::world::{Ask, show};
use super::{check, world};

const CONTRACT: &str = "
    header contract K account:C
    prices contract K USD A|||||||7 B|||||||5
    prices list L USD A|||||||10 B|||||||8
";

/// Caps, a basket of (item, quantity, unit), and the price of each line.
#[track_caller]
fn check_basket(caps: &[&str], lines: &[(&str, &str, &str, &str)]) {
    let caps = caps.iter().map(|cap| format!(r#"{{"cap":{{"contract":"K",{cap}}}}}"#));
    let world = world(&format!("{CONTRACT}{}", caps.collect::<Vec<_>>().join("\n")));
    let asks: Vec<_> = lines
        .iter()
        .map(|(item, quantity, uom, _)| Ask { item, quantity, uom: Some(uom), ..Ask::default() })
        .collect();
    let shown: Vec<_> = world.quotes(&asks).iter().map(show).collect();
    let wanted: Vec<_> = lines.iter().map(|(_, _, _, want)| (*want).to_owned()).collect();
    assert_eq!(shown, wanted);
}

#[test]
fn past_the_cap_a_line_falls_through() {
    check_basket(
        &[r#""basis":"quantity","limit":"100","consumed":"90""#],
        &[("A", "11", "EA", "10 EA 110.00 list"), ("A", "10", "EA", "7 EA 70.00 customer_contract K")],
    );
}

#[test]
fn past_the_cap_a_line_is_split() {
    check_basket(
        &[r#""basis":"quantity","limit":"100","consumed":"90","past":"split""#],
        &[
            // (10 x 7 + 10 x 10) / 20
            (
                "A",
                "20",
                "EA",
                "8.5 EA 170.00 customer_contract K [10 at 7 customer_contract] [10 at 10 list]",
            ),
            ("A", "1", "EA", "10 EA 10.00 list"),
        ],
    );
    // A cap counts base units; the parts are in the unit ordered.
    check_basket(
        &[r#""basis":"quantity","limit":"15","consumed":"0","past":"split""#],
        &[(
            "A",
            "2",
            "BX",
            "7.75 EA 155.00 customer_contract K [1.5 at 7 customer_contract] [0.5 at 10 list]",
        )],
    );
}

#[test]
fn a_cap_of_an_amount_gives_whole_units_for_what_is_left() {
    check_basket(
        &[r#""basis":"amount","limit":"100","consumed":"50","past":"split""#],
        &[("A", "10", "EA", "7.9 EA 79.00 customer_contract K [7 at 7 customer_contract] [3 at 10 list]")],
    );
    check_basket(
        &[r#""basis":"amount","limit":"100","consumed":"30""#],
        &[("A", "10", "EA", "7 EA 70.00 customer_contract K"), ("A", "1", "EA", "10 EA 10.00 list")],
    );
}

#[test]
fn lines_use_up_a_cap_in_order() {
    check_basket(
        &[r#""basis":"quantity","limit":"10","consumed":"0""#],
        &[
            ("A", "6", "EA", "7 EA 42.00 customer_contract K"),
            ("A", "6", "EA", "10 EA 60.00 list"),
            ("B", "4", "EA", "5 EA 20.00 customer_contract K"),
            ("B", "1", "EA", "8 EA 8.00 list"),
        ],
    );
}

#[test]
fn the_caps_of_item_and_contract_both_hold() {
    check_basket(
        &[
            r#""item":"A","basis":"quantity","limit":"5","consumed":"0","past":"split""#,
            r#""basis":"quantity","limit":"8","consumed":"0""#,
        ],
        &[
            ("A", "6", "EA", "7.5 EA 45.00 customer_contract K [5 at 7 customer_contract] [1 at 10 list]"),
            ("B", "4", "EA", "8 EA 32.00 list"),
            ("B", "3", "EA", "5 EA 15.00 customer_contract K"),
        ],
    );
}

#[test]
fn past_a_cap_the_next_contract_of_the_level_prices() {
    check(
        r#"header contract K account:C
           header contract K2 account:C
           prices contract K2 USD A|||||||9
           prices contract K USD A|||||||7
           {"cap":{"contract":"K","basis":"quantity","limit":"1","consumed":"1"}}"#,
        &[(Ask::default(), "9 EA 9.00 customer_contract K2")],
    );
}

#[test]
fn a_line_that_is_refused_uses_up_nothing() {
    let world = world(&format!(
        r#"{CONTRACT}
        {{"account":{{"account":"C","root":"C","contract_only":true}}}}
        {{"cap":{{"contract":"K","basis":"quantity","limit":"10","consumed":"0","past":"split"}}}}"#
    ));
    let of = |quantity| Ask { quantity, ..Ask::default() };
    let shown: Vec<_> = world.quotes(&[of("11"), of("10"), of("1")]).iter().map(show).collect();
    assert_eq!(shown, ["NotOnContract", "7 EA 70.00 customer_contract K", "NotOnContract"]);
}

#[test]
fn free_goods_fit_under_any_amount() {
    check(
        r#"header contract K account:C
           prices contract K USD A|||||||0
           {"cap":{"contract":"K","basis":"amount","limit":"0","consumed":"0","past":"split"}}"#,
        &[(Ask { quantity: "1000", ..Ask::default() }, "0 EA 0.00 customer_contract K")],
    );
}

#[test]
fn only_the_contract_whose_cap_is_used_up_is_left_out() {
    let lines = r#"
        header contract OFF account:C-1
        prices contract OFF USD A|||||list_percent_off||10
        levels ship_to_contract:additive customer_contract:first list:first
    "#;
    for (past, want) in [
        // 10 - 10%: the discount's contract has no cap.
        ("fall_through", "9 EA 27.00 ship_to_contract OFF"),
        // 2 at 7 - 10%, 1 at 10 - 10%.
        ("split", "7.2 EA 21.60 ship_to_contract OFF [2 at 6.3 ship_to_contract] [1 at 9 ship_to_contract]"),
    ] {
        let cap = format!(
            r#"{{"cap":{{"contract":"K","basis":"quantity","limit":"2","consumed":"0","past":"{past}"}}}}"#
        );
        let ask = Ask { ship_to: Some("C-1"), quantity: "3", ..Ask::default() };
        check(&format!("{CONTRACT}{lines}{cap}"), &[(ask, want)]);
    }
}

#[test]
fn a_contract_that_prices_twice_is_used_once() {
    let levels = r#"{"policy":{"version":1,"document":{"levels":[
        {"name":"discount","customer":"customer_contract","item":"class","policy":"additive"},
        {"name":"price","customer":"customer_contract","item":"item"},{"name":"list","customer":"list"}]}}}"#;
    let lines = r#"
        header contract K account:C
        prices contract K USD A|||||||7 |bolts||||list_percent_off||10
        prices list L USD A|||||||10
        {"cap":{"contract":"K","basis":"quantity","limit":"2","consumed":"0"}}
    "#;
    let world = world(&format!("{lines}{}", levels.replace('\n', " ")));
    let shown: Vec<_> = world.quotes(&[Ask::default(); 3]).iter().map(show).collect();
    assert_eq!(shown, ["6.3 EA 6.30 discount K", "6.3 EA 6.30 discount K", "10 EA 10.00 list"]);
}

#[test]
fn a_price_past_an_amount_holds_until_the_contract_is_priced_anew() {
    // 50 are left: 10 at 7 do not fit, 10 at 5 will.
    let lines = r#"
        header contract K account:C
        prices contract K USD 2026-01-01..2026-08-01 A|||||||7
        prices contract K USD 2026-08-01.. A|||||||5
        prices list L USD A|||||||10
    "#;
    let cap = |basis: &str| {
        format!(r#"{{"cap":{{"contract":"K","basis":"{basis}","limit":"50","consumed":"0"}}}}"#)
    };
    let of = |quantity, at| Ask { quantity, at, ..Ask::default() };
    check(
        &format!("{lines}{}", cap("amount")),
        &[
            (of("10", "2026-06-15T12:00:00Z"), "10 EA 100.00 list until 2026-08-01T00:00:00Z"),
            (of("10", "2026-08-01T00:00:00Z"), "5 EA 50.00 customer_contract K"),
        ],
    );
    check(&format!("{lines}{}", cap("quantity")), &[(of("51", "2026-06-15T12:00:00Z"), "10 EA 510.00 list")]);
}
