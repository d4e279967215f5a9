//! When prices hold, and until when.

use super::check;
use super::world::Ask;

fn at(instant: &str) -> Ask<'_> {
    Ask { at: instant, ..Ask::default() }
}

#[test]
fn spans_are_half_open_and_begin_at_local_midnight() {
    // Clocks in Chicago go back on 2026-11-01 and forth on 2026-03-08.
    check(
        "prices list L USD ..=2026-03-08@America/Chicago A|||||||1
         prices list L USD 2026-03-09..=2026-11-01@America/Chicago A|||||||2
         prices list L USD 2026-11-02..@America/Chicago A|||||||3",
        &[
            (at("2026-03-09T04:59:59.999Z"), "1 EA 1.00 list until 2026-03-09T05:00:00Z"),
            (at("2026-03-09T05:00:00Z"), "2 EA 2.00 list until 2026-11-02T06:00:00Z"),
            (at("2026-11-02T05:59:59.999Z"), "2 EA 2.00 list until 2026-11-02T06:00:00Z"),
            (at("2026-11-02T06:00:00Z"), "3 EA 3.00 list"),
        ],
    );
}

#[test]
fn rows_to_come_take_effect_at_their_instant() {
    check(
        "prices list L USD 2026-01-01..2026-07-01 A|||||||1
         prices list L USD 2026-07-01..2026-08-01 A|||||||2
         prices list L USD 2026-09-01.. A|||||||3",
        &[
            (at("2025-12-31T23:59:59Z"), "NoPrice"),
            (at("2026-06-30T23:59:59Z"), "1 EA 1.00 list until 2026-07-01T00:00:00Z"),
            (at("2026-07-01T00:00:00Z"), "2 EA 2.00 list until 2026-08-01T00:00:00Z"),
            (at("2026-08-15T00:00:00Z"), "NoPrice"),
            (at("2026-09-01T00:00:00Z"), "3 EA 3.00 list"),
        ],
    );
}

#[test]
fn many_rows_of_one_key_are_searched() {
    let days = (1..=200).map(|day| {
        let date = |plus: i32| {
            let first = pannier_protocol::LocalDate::parse("2026-01-01").unwrap();
            first.plus_days(plus).unwrap().to_string()
        };
        format!("prices list L USD {}..{} A|||||||{day}", date(day - 1), date(day))
    });
    let days: Vec<_> = days.collect();
    check(
        &days.join("\n"),
        &[
            (at("2026-01-01T00:00:00Z"), "1 EA 1.00 list until 2026-01-02T00:00:00Z"),
            (at("2026-04-10T12:00:00Z"), "100 EA 100.00 list until 2026-04-11T00:00:00Z"),
            (at("2026-07-19T23:59:59Z"), "200 EA 200.00 list until 2026-07-20T00:00:00Z"),
            (at("2026-07-20T00:00:00Z"), "NoPrice"),
        ],
    );
}

#[test]
fn a_scope_narrows_its_rows() {
    check(
        "header contract K 2026-06-01..2026-07-01 account:C
         prices contract K USD 2026-01-01..2027-01-01 A|||||||1
         prices list L USD A|||||||9",
        &[
            (at("2026-05-31T23:59:59Z"), "9 EA 9.00 list until 2026-06-01T00:00:00Z"),
            (at("2026-06-15T00:00:00Z"), "1 EA 1.00 customer_contract K until 2026-07-01T00:00:00Z"),
            (at("2026-07-01T00:00:00Z"), "9 EA 9.00 list"),
        ],
    );
}

#[test]
fn a_price_holds_until_its_row_ends_or_is_beaten() {
    let list = "prices list L USD 2026-01-01..2026-12-01 A|||||||9\n";
    for (more, want) in [
        ("", "9 EA 9.00 list until 2026-12-01T00:00:00Z"),
        // Above.
        ("prices account C USD 2026-08-01.. A|||||||5", "9 EA 9.00 list until 2026-08-01T00:00:00Z"),
        // Beside: in the order's unit.
        ("prices list L USD 2026-09-01.. A||EA|||||8", "9 EA 9.00 list until 2026-09-01T00:00:00Z"),
        // Beside, and less specific.
        ("prices list L USD 2026-09-01.. |bolts||||||8", "9 EA 9.00 list until 2026-12-01T00:00:00Z"),
        // Another quantity's, currency's, warehouse's.
        (
            "prices account C USD 2026-08-01.. A|||||||10=5
             prices account C EUR 2026-08-01.. A|||||||5
             prices account C USD 2026-08-01.. A|||DAL||||5",
            "9 EA 9.00 list until 2026-12-01T00:00:00Z",
        ),
        // Below.
        (
            "prices account C USD 2026-01-01..2027-01-01 A|||||||5",
            "5 EA 5.00 customer_price until 2027-01-01T00:00:00Z",
        ),
    ] {
        check(&format!("{list}{more}"), &[(Ask::default(), want)]);
    }
}

#[test]
fn a_price_holds_no_longer_than_what_it_is_made_of() {
    // Of the base, and of what replaces the base.
    check(
        "prices account C USD A|||||list_multiplier||0.5
         prices list L USD 2026-01-01..2026-12-01 A|||||||9",
        &[(Ask::default(), "4.5 EA 4.50 customer_price until 2026-12-01T00:00:00Z")],
    );
    check(
        "prices account C USD A|||||list_multiplier||0.5
         prices list L USD 2026-07-01..2026-12-01 A||EA|||||9
         prices list L USD A|||||||8",
        &[(Ask::default(), "4 EA 4.00 customer_price until 2026-07-01T00:00:00Z")],
    );
    // Of the base's own base.
    check(
        r#"{"scope":{"scope":{"list":"L"},"parent":{"list":"M","multiplier":"0.5"}}}
           prices account C USD A|||||list_multiplier||0.5
           prices list L USD A|||||list_percent_off||10
           prices list M USD 2026-01-01..2026-12-01 A|||||||40
           prices list M USD |bolts||||||40"#,
        &[(Ask::default(), "9 EA 9.00 customer_price until 2026-12-01T00:00:00Z")],
    );
    // Of every additive row, and until one is added.
    let additive = "levels promotion:additive group_price:additive list:first
        prices list L USD A|||||||100
        prices promotion SALE USD 2026-01-01..2026-10-01 A|||||list_percent_off||10\n";
    check(additive, &[(Ask::default(), "90 EA 90.00 promotion until 2026-10-01T00:00:00Z")]);
    check(
        &format!("{additive} prices group G1 USD 2026-08-01.. A|||||list_percent_off||5"),
        &[(Ask::default(), "90 EA 90.00 promotion until 2026-08-01T00:00:00Z")],
    );
}

#[test]
fn a_derived_row_to_come_without_a_list_price_beats_nothing() {
    let lines = "prices group G1 USD A|||||||9
        prices account C USD 2026-08-01.. A|||||list_multiplier||0.5\n";
    check(lines, &[(Ask::default(), "9 EA 9.00 group_item_price")]);
    check(
        &format!("{lines} prices list L USD 2026-10-01.. A|||||||4"),
        &[(Ask::default(), "9 EA 9.00 group_item_price until 2026-10-01T00:00:00Z")],
    );
    // In force already, and ended when the list price comes.
    check(
        "prices group G1 USD A|||||||9
         prices account C USD ..2026-10-01 A|||||list_multiplier||0.5
         prices list L USD 2026-10-01.. A|||||||4",
        &[(Ask::default(), "9 EA 9.00 group_item_price")],
    );
}

#[test]
fn under_a_lowest_level_losers_end_nothing_unless_they_hid_something() {
    let lines = "levels customer_price:lowest promotion:first list:first
        prices account C USD A|||||||10
        prices promotion SALE USD 2026-01-01..2026-08-01 A|||||||12\n";
    check(lines, &[(Ask::default(), "10 EA 10.00 customer_price")]);
    // The dearer promotion ended the walk before the list.
    check(
        &format!("{lines} prices list L USD A|||||||9"),
        &[(Ask::default(), "10 EA 10.00 customer_price until 2026-08-01T00:00:00Z")],
    );
    check(
        &format!("{lines} prices list L USD A|||||||11"),
        &[(Ask::default(), "10 EA 10.00 customer_price")],
    );
    check(
        &format!("{lines} prices list L USD 2026-10-01.. A|||||||9"),
        &[(Ask::default(), "10 EA 10.00 customer_price until 2026-10-01T00:00:00Z")],
    );
}

#[test]
fn many_rows_to_come_that_do_not_match_hide_none_that_does() {
    // Twelve months of a price for a thousand pieces, then one for all.
    let month = |number: u32| match number {
        0..12 => format!("2027-{:02}-01", number + 1),
        _ => "2028-01-01".to_owned(),
    };
    let months =
        (0..12).map(|at| format!("prices account C USD {}..{} A|||||||1000=1\n", month(at), month(at + 1)));
    let lines = format!("prices list L USD A|||||||9\n{}", months.collect::<String>());
    check(&lines, &[(Ask::default(), "9 EA 9.00 list")]);
    check(
        &format!("{lines}prices account C USD 2028-01-01.. A|||||||2"),
        &[(Ask::default(), "9 EA 9.00 list until 2028-01-01T00:00:00Z")],
    );
}
