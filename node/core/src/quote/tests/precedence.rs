//! Which row wins: levels, their policies, ties, whom scopes serve.

use super::world::{Ask, expand, read, show};
use super::{check, world};

#[test]
fn the_default_levels_are_walked_first_to_last() {
    // Each row is of the next level; they are taken away from the top.
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

/// Two rows of one level, of which the first wins.
#[track_caller]
fn check_tie(lines: &str, ask: Ask<'_>, winner: &str) {
    let quote = world(lines).quote(ask);
    let explain = quote.explain.unwrap();
    assert_eq!(explain.row.as_deref(), Some(winner));
    assert!(explain.rejected.iter().all(|rejected| rejected.row != winner), "{:?}", explain.rejected);
    assert!(!explain.rejected.is_empty());
}

#[test]
fn ties_end_with_the_more_specific_item_key() {
    // The class row is of the nearer list and later.
    check_tie(
        r#"prices list L2 USD A|||||||1
           {"account":{"account":"C","root":"C","lists":["L","L2"]}}
           prices list L USD |bolts||||||2"#,
        Ask::default(),
        "list L2: A",
    );
}

#[test]
fn ties_end_with_the_more_specific_customer_key() {
    // The farther ancestor names the warehouse.
    check_tie(
        "header contract NEAR account:P
         header contract FAR account:Q
         prices contract NEAR USD A|||||||1
         prices contract FAR USD A|||DAL||||2",
        Ask { warehouse: Some("DAL"), ..Ask::default() },
        "contract NEAR: A",
    );
}

#[test]
fn ties_end_with_the_row_of_the_warehouse() {
    // The other is in the order's unit.
    let lines = "prices list L USD A||EA|DAL||||1 A||BX|||||2";
    check_tie(lines, Ask { warehouse: Some("DAL"), uom: Some("BX"), ..Ask::default() }, "list L: A EA @DAL");
    check_tie(lines, Ask { uom: Some("EA"), ..Ask::default() }, "list L: A BX");
}

#[test]
fn ties_end_with_the_row_in_the_orders_unit() {
    // The other has reached a higher break.
    let lines = "prices list L USD A||BX|||||1 A||EA|||||0=2,5=1.5";
    check_tie(lines, Ask { uom: Some("BX"), ..Ask::default() }, "list L: A BX");
    check_tie(lines, Ask { quantity: "10", ..Ask::default() }, "list L: A EA");
    // Neither is: the break decides.
    check_tie(lines, Ask { uom: Some("PK"), quantity: "2", ..Ask::default() }, "list L: A EA");
}

#[test]
fn ties_end_with_the_highest_satisfied_break() {
    // The other began later. 2 boxes are 20 pieces.
    check_tie(
        "header contract K1 account:C
         header contract K2 account:C
         prices contract K1 USD 2026-01-01.. A||||||BX|0=2,2=1
         prices contract K2 USD 2026-02-01.. A|||||||0=2,15=1",
        Ask { quantity: "20", ..Ask::default() },
        "contract K1: A",
    );
}

#[test]
fn ties_end_with_the_latest_from_then_the_later_message_then_the_name() {
    let both = "header contract K1 account:C\nheader contract K2 account:C\n";
    let from = "prices contract K1 USD 2026-02-01.. A|||||||1\nprices contract K2 USD 2026-01-01.. A|||||||2";
    check_tie(&format!("{both}{from}"), Ask::default(), "contract K1: A");
    let sequence = "prices contract K2 USD A|||||||2\nprices contract K1 USD A|||||||1";
    check_tie(&format!("{both}{sequence}"), Ask::default(), "contract K1: A");

    let mut world = world(both);
    let erp = pannier_protocol::SourceId::new("erp").unwrap();
    for contract in ["K2", "K1"] {
        let change = read(&expand(&format!("prices contract {contract} USD A|||||||1")));
        world.state(&erp, pannier_protocol::Partition::Shared, &change, 99);
    }
    assert_eq!(show(&world.quote(Ask::default())), "1 EA 1.00 customer_contract K1");
}

#[test]
fn a_contract_wins_even_when_dearer_or_the_lower_of_it_and_promotion() {
    let lines = "
        header contract K account:C
        prices contract K USD A|||||||10
        prices promotion SALE USD A|||||||8
        prices list L USD A|||||||5
    ";
    check(lines, &[(Ask::default(), "10 EA 10.00 customer_contract K")]);
    let lowest = "levels customer_contract:lowest promotion:first list:first";
    // The promotion's hit ends the walk: the list is not asked.
    check(&format!("{lines}{lowest}"), &[(Ask::default(), "8 EA 8.00 promotion")]);
    let lowest = "levels customer_contract:lowest promotion:lowest list:first";
    check(&format!("{lines}{lowest}"), &[(Ask::default(), "5 EA 5.00 list")]);
}

#[test]
fn a_lowest_level_gives_its_cheapest_row_and_keeps_a_draw() {
    check(
        "prices promotion DEAR USD A||EA|||||9
         prices promotion CHEAP USD |bolts||||||8
         prices list L USD A|||||||8
         levels promotion:lowest list:first",
        &[(Ask::default(), "8 EA 8.00 promotion")],
    );
}

#[test]
fn additive_levels_add_their_percents_to_where_the_walk_ends() {
    let lines = "
        header contract K account:C
        prices contract K USD A|||||list_percent_off||10
        prices promotion SALE USD A|||||list_percent_off||5
        prices account C USD A|||||||200
        prices list L USD A|||||||100
    ";
    for (levels, want) in [
        // 100 - 15%; the topmost contributor is shown.
        ("customer_contract:additive promotion:additive list:first", "85 EA 85.00 customer_contract K"),
        ("promotion:additive customer_contract:additive customer_price:first", "170 EA 170.00 promotion"),
        // Nothing below: off the list price.
        ("promotion:additive ship_to_contract:first", "95 EA 95.00 promotion"),
        // A percent at a level that is not additive is a price of its own.
        ("promotion:additive customer_contract:first list:first", "85.5 EA 85.50 promotion"),
        // A fixed row there ends the walk.
        ("promotion:additive customer_price:additive list:first", "190 EA 190.00 promotion"),
        // Of two below each other the lower: 100 - 10% - 5% against 200 - 10%.
        (
            "customer_contract:additive customer_price:lowest promotion:additive list:first",
            "85 EA 85.00 customer_contract K",
        ),
    ] {
        check(&format!("{lines}levels {levels}"), &[(Ask::default(), want)]);
    }
}

#[test]
fn discounts_do_not_go_below_nothing_and_need_a_price() {
    let lines = "
        prices promotion SALE USD A|||||list_percent_off||70
        prices account C USD A|||||list_percent_off||60
        levels promotion:additive customer_price:additive list:first
    ";
    check(lines, &[(Ask::default(), "NoPrice")]);
    check(&format!("{lines}\nprices list L USD A|||||||9"), &[(Ask::default(), "0 EA 0.00 promotion")]);
}

#[test]
fn contract_only_accounts_never_get_the_list_price() {
    let lines = r#"
        {"account":{"account":"C","root":"C","groups":["G1"],"contract_only":true,"lists":["L"]}}
        prices list L USD A|||||||9 B|||||||10
        prices account C USD A|||||||8
        prices promotion SALE USD A|||||||7
        header contract K account:C
        prices contract K USD B|||||list_multiplier||0.5
    "#;
    check(
        lines,
        &[
            (Ask::default(), "NotOnContract"),
            // The list is what a contract row derives from, all the same.
            (Ask { item: "B", ..Ask::default() }, "5 EA 5.00 customer_contract K"),
        ],
    );
}

#[test]
fn no_price_is_not_nothing_and_nothing_is_a_price() {
    let lines = "prices list L USD B|||||||0";
    check(lines, &[(Ask::default(), "NoPrice"), (Ask { item: "B", ..Ask::default() }, "0 EA 0.00 list")]);
}

#[test]
fn a_row_in_another_currency_is_no_match() {
    let lines = "
        header contract K account:C
        prices contract K EUR A|||||||1
        prices list L USD A|||||||2
    ";
    check(
        lines,
        &[
            (Ask::default(), "2 EA 2.00 list"),
            (Ask { currency: "EUR", ..Ask::default() }, "1 EA 1.00 customer_contract K"),
            (Ask { currency: "JPY", ..Ask::default() }, "NoPrice"),
        ],
    );
}

#[test]
fn a_named_contract_must_serve_the_account() {
    let lines = "
        header contract K account:C
        header contract OTHER account:D
        header contract BOTH account:C group:G2
        prices contract K USD A|||||||1
        prices contract OTHER USD A|||||||2
        prices contract BOTH USD A|||||||3
    ";
    let named = |contract| Ask { contract: Some(contract), ..Ask::default() };
    check(
        lines,
        &[
            (named("BOTH"), "3 EA 3.00 line_contract BOTH"),
            (named("OTHER"), "3 EA 3.00 customer_contract BOTH"),
            (named("NONE"), "3 EA 3.00 customer_contract BOTH"),
            (named(""), "3 EA 3.00 customer_contract BOTH"),
        ],
    );
}

#[test]
fn promotions_are_for_their_members() {
    let lines = "
        header promotion FOR-P account:P
        header promotion FOR-G2 group:G2
        header promotion FOR-C account:C
        prices promotion FOR-P USD A|||||||1
        prices promotion FOR-G2 USD A|||||||2 B|||||||2
        prices promotion FOR-C USD A|||||||3
        prices promotion ALL USD A|||||||4 N|||||||4 B|||||||4
        prices list LIST USD A|||||||9
    ";
    check(
        lines,
        &[
            // An ancestor's promotion is not inherited; the account's own comes before its group's.
            (Ask::default(), "3 EA 3.00 promotion"),
            (Ask { item: "B", ..Ask::default() }, "2 EA 2.00 promotion"),
            (Ask { item: "N", ..Ask::default() }, "4 EA 4.00 promotion"),
            (Ask { account: None, ..Ask::default() }, "4 EA 4.00 promotion"),
        ],
    );
}

#[test]
fn rows_of_a_warehouse_are_for_lines_that_name_it() {
    let lines = "prices list L USD A|||DAL||||1 A|||||||2 B|||DAL||||3";
    let at = |warehouse| Ask { warehouse, ..Ask::default() };
    check(
        lines,
        &[
            (at(None), "2 EA 2.00 list"),
            (at(Some("DAL")), "1 EA 1.00 list"),
            (at(Some("HOU")), "2 EA 2.00 list"),
            (Ask { item: "B", ..at(Some("HOU")) }, "NoPrice"),
        ],
    );
    let levels = "levels list@named:first";
    check(&format!("{lines}\n{levels}"), &[(at(None), "NoPrice"), (at(Some("DAL")), "1 EA 1.00 list")]);
    let levels = "levels list@without:first";
    check(&format!("{lines}\n{levels}"), &[(at(Some("DAL")), "2 EA 2.00 list")]);
}

#[test]
fn what_a_list_lacks_comes_from_its_parent() {
    let lines = r#"
        {"scope":{"scope":{"list":"L"},"parent":{"list":"M","multiplier":"0.9"}}}
        {"scope":{"scope":{"list":"M"},"parent":{"list":"BASE","multiplier":"0.5"}}}
        prices list BASE USD A|||||||100 B|||||||100 N|||||||100
        prices list M USD A|||||||60 B|||||list_percent_off||20
        prices list L USD |bolts||||||55
    "#;
    check(
        lines,
        &[
            // Its own class row, though the parent has the item.
            (Ask::default(), "55 EA 55.00 list"),
            (Ask { item: "N", ..Ask::default() }, "45 EA 45.00 list"),
        ],
    );
    // A derived row in a list starts from the list above: (100 x 0.5 - 20%) x 0.9.
    let own = r#"{"scope_removed":{"scope":{"list":"L"}}}
        {"scope":{"scope":{"list":"L"},"parent":{"list":"M","multiplier":"0.9"}}}"#;
    check(
        &format!("{lines}\n{own}"),
        &[(Ask::default(), "54 EA 54.00 list"), (Ask { item: "B", ..Ask::default() }, "36 EA 36.00 list")],
    );
}

#[test]
fn a_change_of_the_base_reprices_what_derives_from_it() {
    let mut world = world(
        r#"{"scope":{"scope":{"list":"L"},"parent":{"list":"BASE","multiplier":"0.9"}}}
           header contract K account:C
           prices list BASE USD A|||||||100
           prices contract K USD A|||||chain2:5+5||10"#,
    );
    // 90 - 10% = 81, - 5% = 76.95, - 5% = 73.1025, rounded to 73.10.
    assert_eq!(show(&world.quote(Ask::default())), "73.1 EA 73.10 customer_contract K");
    world.add("erp", pannier_protocol::Partition::Shared, "prices list BASE USD A|||||||10");
    // 9, 8.10, 7.695 rounded to 7.70, 7.315 rounded to 7.32.
    assert_eq!(show(&world.quote(Ask::default())), "7.32 EA 7.32 customer_contract K");
}

#[test]
fn derived_rows_start_from_the_winner_of_the_list_levels() {
    let lines = r#"
        {"account":{"account":"C","root":"Q","lists":["L","L2"]}}
        header contract K account:C
        prices contract K USD A|||||list_percent_off||10 N|||||list_percent_off||10
        prices list L USD A|||||||10 N|||||||5
        prices list L2 USD A|||||||8 |bolts||||||1
    "#;
    let contract = r#"{"name":"contract","customer":"customer_contract"}"#;
    for (levels, want) in [
        (r#"{"name":"list","customer":"list"}"#, "9 EA 9.00 contract K"),
        // The list level takes the cheapest of its rows.
        (r#"{"name":"list","customer":"list","policy":"lowest"}"#, "0.9 EA 0.90 contract K"),
        // Two list levels: the first has no row, the second has.
        (
            r#"{"name":"here","customer":"list","warehouse":"named"},{"name":"list","customer":"list","item":"item"}"#,
            "9 EA 9.00 contract K",
        ),
        (
            r#"{"name":"classes","customer":"list","item":"class"},{"name":"list","customer":"list","item":"item"}"#,
            "0.9 EA 0.90 contract K",
        ),
    ] {
        let policy = format!(r#"{{"policy":{{"version":1,"document":{{"levels":[{contract},{levels}]}}}}}}"#);
        check(&format!("{lines}{policy}"), &[(Ask::default(), want)]);
    }
}

#[test]
fn lists_that_two_sources_make_a_cycle_of_end_where_it_would_begin_again() {
    let list = |list: &str, parent: &str| {
        format!(
            r#"{{"scope":{{"scope":{{"list":"{list}"}},"parent":{{"list":"{parent}","multiplier":"0.5"}}}}}}"#
        )
    };
    let mut world = world(&format!(
        "{}\nprices list L USD A|||||list_percent_off||10\nprices list M USD B|||||||8",
        list("L", "M")
    ));
    world.add("other", pannier_protocol::Partition::Shared, &list("M", "L"));
    assert_eq!(show(&world.quote(Ask::default())), "NoPrice");
    assert_eq!(show(&world.quote(Ask { item: "B", ..Ask::default() })), "4 EA 4.00 list");
}
