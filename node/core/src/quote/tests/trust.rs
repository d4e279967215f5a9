//! Whose rows count, what is condemned, what an answer rests on, and how it is explained.

use pannier_protocol::api::RejectedReason;
use pannier_protocol::change::InvalidateMode;
use pannier_protocol::{AccountId, Partition};

use super::world::{Ask, World, show};
use super::{check, world};

const TWO_SOURCES: &str = "
    header contract K account:C
    prices contract K USD A|||||||1
    prices list L USD A|||||||9
";

fn two_sources(more: &str) -> World {
    let mut world = world(TWO_SOURCES);
    world.add(
        "aaa",
        Partition::Shared,
        "header contract K account:D
         prices contract K USD A|||||||2
         prices contract K EUR A|||||||3
         prices list L USD B|||||||8",
    );
    world.add("erp", Partition::Shared, more);
    world
}

fn owners(rules: &[(&str, &str)]) -> String {
    let rules: Vec<_> =
        rules.iter().map(|(table, source)| format!(r#"{{"table":"{table}","source":"{source}"}}"#)).collect();
    format!(r#"{{"policy":{{"version":1,"document":{{"ownership":{{"rules":[{}]}}}}}}}}"#, rules.join(","))
}

#[test]
fn the_owners_rows_count_and_without_one_the_lowest_sources() {
    for (rules, want) in [
        // The header of "aaa" serves another account.
        (&[][..], "9 EA 9.00 list"),
        (&[("scopes", "erp")], "2 EA 2.00 customer_contract K"),
        (&[("scopes", "erp"), ("prices", "erp")], "1 EA 1.00 customer_contract K"),
        (&[("all", "erp")], "1 EA 1.00 customer_contract K"),
        // An owner without a row is silent: nobody else speaks for it.
        (&[("prices", "nobody")], "NoPrice"),
    ] {
        assert_eq!(show(&two_sources(&owners(rules)).quote(Ask::default())), want, "{rules:?}");
    }
    // Where nobody owns prices each key is its lowest source's.
    let world = two_sources(&owners(&[("scopes", "erp")]));
    let euro = Ask { currency: "EUR", ..Ask::default() };
    assert_eq!(show(&world.quote(euro)), "3 EA 3.00 customer_contract K");
    assert_eq!(show(&world.quote(Ask { item: "B", ..Ask::default() })), "8 EA 8.00 list");
}

#[test]
fn family_and_shared_partitions_are_read_together() {
    let mut world = world("prices list L USD A|||||||9\nheader contract G group:G1");
    let family = Partition::of_root(&AccountId::new("Q").unwrap());
    let other = Partition::of_root(&AccountId::new("D").unwrap());
    assert_ne!(family, other);
    world.add("erp", other, "header contract X account:C\nprices contract X USD A|||||||1");
    assert_eq!(show(&world.quote(Ask::default())), "9 EA 9.00 list");
    world.add("erp", family, "prices contract G USD A|||||||2");
    assert_eq!(show(&world.quote(Ask::default())), "2 EA 2.00 group_contract G");
    world.add("erp", family, "header contract K account:C\nprices contract K USD A|||||||3");
    assert_eq!(show(&world.quote(Ask::default())), "3 EA 3.00 customer_contract K");

    // Also where they had nothing: shared, then the family's; nobody else's.
    let places = |ask: Ask<'_>| {
        let quote = world.quote(ask);
        let subjects = quote.consulted.chains().iter().map(|chain| chain.subject().to_string());
        let mut subjects: Vec<_> = subjects.collect();
        subjects.sort();
        subjects
    };
    assert_eq!(places(Ask::default()), [format!("catalog.{family}.erp"), "catalog.shared.erp".to_owned()]);
    assert_eq!(places(Ask { account: None, ..Ask::default() }), ["catalog.shared.erp"]);
}

#[test]
fn chains_that_cannot_matter_are_not_consulted() {
    let consulted = |world: &World| {
        let quote = world.quote(Ask::default());
        let sources = quote.consulted.chains().iter().map(|chain| chain.subject().to_string());
        sources.collect::<Vec<_>>()
    };
    let mut shadow = two_sources("");
    assert_eq!(consulted(&shadow), ["catalog.shared.aaa", "catalog.shared.erp"]);
    shadow.add("erp", Partition::Shared, &owners(&[("all", "erp")]));
    assert_eq!(consulted(&shadow), ["catalog.shared.erp"]);

    // Stock chains only where they hold caps, and only for contracts.
    let mut capped = world(TWO_SOURCES);
    capped.add(
        "wms",
        Partition::Shared,
        r#"{"stock_set":{"item":"A","warehouse":"W","uom":"EA","on_hand":"1"}}"#,
    );
    assert_eq!(consulted(&capped), ["catalog.shared.erp"]);
    capped.add(
        "erp",
        Partition::Shared,
        r#"{"cap":{"contract":"K","basis":"quantity","limit":"9","consumed":"0"}}"#,
    );
    assert_eq!(consulted(&capped), ["catalog.shared.erp", "ledger.stock.erp"]);
}

#[test]
fn condemned_rows_are_refused_or_flagged_and_never_skipped() {
    let lines = "
        header contract K account:C
        prices contract K USD A|||DAL|||list_multiplier||0.5
        prices list L USD A|||||||9
    ";
    let lines = lines.replace("|||DAL|||list_multiplier||0.5", "|||DAL||list_multiplier||0.5");
    let ask = Ask { warehouse: Some("DAL"), ..Ask::default() };
    for (scope, hits) in [
        (r#""all""#, true),
        (r#"{"item":"A"}"#, true),
        (r#"{"item":"B"}"#, false),
        (r#"{"account":"C"}"#, true),
        (r#"{"account":"P"}"#, false),
        (r#"{"contract":"K"}"#, true),
        (r#"{"contract":"L"}"#, false),
        // The list is what the contract's row derives from.
        (r#"{"price_list":"L"}"#, true),
        (r#"{"price_list":"K"}"#, false),
        (r#"{"warehouse":"DAL"}"#, true),
        (r#"{"warehouse":"HOU"}"#, false),
        (r#"{"source":"erp"}"#, true),
        (r#"{"source":"wms"}"#, false),
    ] {
        for (mode, word) in [(InvalidateMode::Hard, "hard"), (InvalidateMode::Soft, "soft")] {
            let mut world = world(&lines);
            world.condemn(&format!(r#"{{"invalidate":{{"scope":{scope},"mode":"{word}","up_to":[]}}}}"#));
            let quote = world.quote(ask);
            assert_eq!(quote.consulted.invalidated(), hits.then_some(mode), "{scope} {word}");
            let refused = hits && mode == InvalidateMode::Hard;
            let want = if refused { "Invalidated" } else { "4.5 EA 4.50 customer_contract K" };
            assert_eq!(show(&quote), want, "{scope} {word}");
        }
    }
    // What is repeated afterwards is not condemned; the rest of what it rests on still is.
    let mut world = world(&lines);
    world.condemn(r#"{"invalidate":{"scope":{"contract":"K"},"mode":"hard","up_to":[]}}"#);
    world.add("erp", Partition::Shared, &lines);
    assert_eq!(show(&world.quote(ask)), "4.5 EA 4.50 customer_contract K");
}

#[test]
fn answers_are_explained_with_what_lost_and_why() {
    let mut world = world(
        r#"header contract K account:C
           header contract CAPPED account:C
           prices contract CAPPED USD 2026-02-01.. A||EA|||||1
           {"cap":{"contract":"CAPPED","basis":"quantity","limit":"0","consumed":"0"}}
           prices contract K USD 2026-01-01..2027-01-01 A|||||||2 A||CASE|||||3 A|||DAL||||4 |bolts||||||5
           prices contract K USD 2025-01-01..2026-01-01 A|||||||6
           prices contract K EUR A|||||||7
           prices account C USD A|||||||1000=8
           prices group G1 USD A|||||list_multiplier||0.5"#,
    );
    world.add("zzz", Partition::Shared, "prices contract K USD A|||||||99");
    let quote = world.quote(Ask::default());
    assert_eq!(show(&quote), "2 EA 2.00 customer_contract K until 2027-01-01T00:00:00Z");
    let explain = quote.explain.unwrap();
    assert_eq!(explain.row.as_deref(), Some("contract K: A"));
    assert_eq!(explain.level.as_deref(), Some("customer_contract"));
    assert_eq!(explain.contract.as_deref(), Some("K"));
    assert_eq!(explain.source.unwrap().as_str(), "erp");
    assert_eq!(explain.source_sequence.unwrap().0, 13);
    let mut rejected: Vec<_> =
        explain.rejected.iter().map(|it| (it.row.as_str(), it.level.as_str(), it.reason)).collect();
    rejected.sort();
    assert_eq!(
        rejected,
        [
            ("account C: A", "customer_price", RejectedReason::BelowFirstBreak),
            ("contract CAPPED: A EA", "customer_contract", RejectedReason::CapExhausted),
            ("contract K: A", "customer_contract", RejectedReason::NotInForce),
            ("contract K: A", "customer_contract", RejectedReason::OtherCurrency),
            ("contract K: A", "customer_contract", RejectedReason::NotOwner),
            ("contract K: A @DAL", "customer_contract", RejectedReason::OtherWarehouse),
            ("contract K: A CASE", "customer_contract", RejectedReason::UnknownUom),
            ("contract K: bolts", "customer_contract", RejectedReason::LessSpecific),
            ("group G1: A", "group_item_price", RejectedReason::NoBasePrice),
        ]
    );

    world.condemn(r#"{"invalidate":{"scope":{"contract":"K"},"mode":"hard","up_to":[]}}"#);
    let explain = world.quote(Ask::default()).explain.unwrap();
    assert_eq!(explain.row, None);
    assert!(explain.rejected.iter().any(|rejected| rejected.reason == RejectedReason::Invalidated));
}

#[test]
fn what_a_lower_level_or_a_lower_price_beat_is_told() {
    let reasons = |levels: &str| {
        let lines = "prices account C USD A|||||||5\nprices promotion SALE USD A|||||||6\nprices list L USD A|||||||7\n";
        let explain = world(&format!("{lines}{levels}")).quote(Ask::default()).explain.unwrap();
        explain.rejected.into_iter().map(|rejected| (rejected.level, rejected.reason)).collect::<Vec<_>>()
    };
    assert_eq!(
        reasons(""),
        [
            ("promotion".to_owned(), RejectedReason::LowerLevel),
            ("list".to_owned(), RejectedReason::LowerLevel)
        ]
    );
    assert_eq!(
        reasons("levels customer_price:lowest promotion:lowest list:first"),
        [
            ("promotion".to_owned(), RejectedReason::DearerThanWinner),
            ("list".to_owned(), RejectedReason::DearerThanWinner)
        ]
    );
}

#[test]
fn nothing_is_explained_where_nothing_was_found() {
    check("", &[(Ask::default(), "NoPrice")]);
    let explain = world("").quote(Ask::default()).explain.unwrap();
    assert_eq!((explain.row, explain.source, explain.rejected.len()), (None, None, 0));
}
