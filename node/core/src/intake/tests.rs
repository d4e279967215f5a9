//! Orders against both folds: what the command says of them.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use pannier_protocol::api::{decode_hold, decode_order};
use pannier_protocol::change::Change;
use pannier_protocol::codec::Encoding;
use pannier_protocol::order::{Command, PlaceHold, PlaceOrder, StockLine};
use pannier_protocol::{IdempotencyKey, LineId, OrderId};

use super::{Held, HeldPrice, HeldPrices, Intake, IntakeRefusal, Received};
use crate::lookup::tests::{NOW, Node};

const CATALOG: &str = r#"[
    {"item":{"item":"BOLT","base_uom":"EA","class":"SMALL","backorder":true,
        "uoms":[{"uom":"BX","numerator":10,"denominator":1,"multiple":"2"}]}},
    {"item":{"item":"SAW","base_uom":"EA","entitlement":"tools"}},
    {"item":{"item":"GIFT","base_uom":"EA"}},
    {"item":{"item":"SET","base_uom":"EA","kit":[{"item":"BOLT","quantity":"2","uom":"BX"},{"item":"GIFT","quantity":"1","uom":"EA"}]}},
    {"item":{"item":"BROKEN","base_uom":"EA","kit":[{"item":"NOWHERE","quantity":"1","uom":"EA"}]}},
    {"account":{"account":"TOP","root":"TOP","currency":"USD"}},
    {"account":{"account":"C-1","parent":"TOP","root":"TOP","currency":"USD","company":"US","groups":["G"],"territories":["EAST"]}},
    {"account":{"account":"C-1-01","parent":"C-1","root":"TOP","territories":["EAST","WEST"]}},
    {"account":{"account":"C-1-02","parent":"C-1","root":"TOP","territories":["WEST"]}},
    {"account":{"account":"C-2","root":"C-2","blocked":true}},
    {"account":{"account":"C-3","root":"C-3","contract_only":true}},
    {"scope":{"scope":{"contract":"K-7"},"members":[{"account":"C-1"}]}},
    {"prices":{"scope":{"contract":"K-7"},"currency":"USD","rows":[["BOLT",null,"EA",null,1,"fixed",null,[["0","1.2"]]]]}},
    {"prices":{"scope":{"list":"LIST"},"currency":"USD","rows":[
        ["BOLT",null,"EA",null,1,"fixed",null,[["0","1.5"]]],["SAW",null,"EA",null,1,"fixed",null,[["0","30"]]],
        ["SET",null,"EA",null,1,"fixed",null,[["0","40"]]],["BROKEN",null,"EA",null,1,"fixed",null,[["0","40"]]]]}}]"#;
const STOCK: &str = r#"[
    {"stock_set":{"item":"BOLT","warehouse":"DAL","uom":"EA","on_hand":"100"}},
    {"supply_set":{"item":"BOLT","warehouse":"DAL","uom":"EA","reference":"P-1","date":"2027-01-20","quantity":"5"}},
    {"stock_set":{"item":"GIFT","warehouse":"DAL","uom":"EA","on_hand":"3"}},
    {"credit":{"account":"C-1","currency":"USD","limit":"10","balance":"0"}},
    {"credit":{"account":"TOP","currency":"USD","limit":"1000","balance":"0"}},
    {"cap":{"contract":"K-7","basis":"amount","limit":"50","consumed":"0"}}]"#;

fn node() -> Node {
    let mut node = Node::new();
    node.say("catalog.shared.erp", 1, CATALOG);
    node.say("ledger.stock.wms", 1, STOCK);
    node
}

fn received() -> Received {
    let key = IdempotencyKey::new("k").unwrap();
    Received { key, now: NOW, judge_before: NOW.plus_millis(30_000), traceparent: None }
}

fn order(node: &Node, json: &str, held: &HeldPrices) -> Result<PlaceOrder, IntakeRefusal> {
    let request = decode_order(Encoding::Json, json.as_bytes()).unwrap();
    let (ledger, catalog) = (node.ledger.reader(), node.catalog.reader());
    let intake = Intake { ledger: &ledger, catalog: &catalog, dictionary: &node.dictionary };
    let command = intake.order(&request, received(), held)?;
    let change = Change::Command(Box::new(command.clone()));
    change.check().unwrap_or_else(|error| panic!("{error}: {command:?}"));
    let Command::PlaceOrder(place) = command else { panic!("{command:?}") };
    Ok(*place)
}

fn hold(node: &Node, json: &str) -> Result<PlaceHold, IntakeRefusal> {
    let request = decode_hold(Encoding::Json, json.as_bytes()).unwrap();
    let (ledger, catalog) = (node.ledger.reader(), node.catalog.reader());
    let intake = Intake { ledger: &ledger, catalog: &catalog, dictionary: &node.dictionary };
    let Command::PlaceHold(place) = intake.hold(&request, received())? else { panic!("no hold") };
    Ok(place)
}

fn show_stock(shown: &mut String, line: &StockLine) {
    let StockLine { line, item, quantity, uom, step, if_short, .. } = line;
    write!(shown, "{line}: {quantity} {uom} {item} by {step} {if_short:?}").unwrap();
}

fn show_needs(shown: &mut String, line: &StockLine) {
    for need in &line.needs {
        let backorder = if need.backorder { " backorder" } else { "" };
        write!(
            shown,
            "\n  {}/{} {} {}{backorder}",
            need.numerator, need.denominator, need.base_uom, need.item
        )
        .unwrap();
        for (warehouse, cell) in line.warehouses.iter().zip(&need.cells) {
            let sources = [&cell.stock, &cell.supply, &cell.lots, &cell.safety];
            let named = sources.map(|source| source.as_ref().map_or("-", |source| source.as_str()));
            write!(shown, " {warehouse}: {}", named.join(" ")).unwrap();
        }
    }
}

fn show(place: &PlaceOrder) -> String {
    let mut shown = String::new();
    for line in &place.lines {
        show_stock(&mut shown, &line.stock);
        if let Some(price) = &line.price {
            write!(shown, " at {} = {} {}", price.unit_price, price.extended, price.level).unwrap();
            if let Some(row) = &price.row {
                write!(shown, " ({} {} {})", row.source, row.epoch, row.sequence).unwrap();
            }
        }
        show_needs(&mut shown, &line.stock);
        for cap in &line.caps {
            write!(shown, "\n  cap {} {:?} of {}: {}", cap.contract, cap.item, cap.source, cap.amount)
                .unwrap();
        }
        shown.push('\n');
    }
    for doubt in &place.doubts {
        let line = doubt.line.as_ref().map_or("order", LineId::as_str);
        writeln!(shown, "{line} {:?}: {}", doubt.reason, doubt.detail).unwrap();
    }
    if let Some(credit) = &place.credit {
        writeln!(shown, "credit {} of {}: {}", credit.account, credit.source, credit.amount).unwrap();
    }
    shown
}

/// Of one account's lines, in JSON without the brackets.
#[track_caller]
fn check(node: &Node, account: &str, lines: &str, want: Expect) {
    let place = order(node, &format!(r#"{{"account":"{account}","lines":[{lines}]}}"#), &HeldPrices::new());
    want.assert_eq(&show(&place.unwrap()));
}

#[test]
fn a_line_says_what_it_takes_and_what_it_costs() {
    check(
        &node(),
        "C-1",
        r#"{"line":"1","item":"BOLT","quantity":"2","uom":"BX","if_short":"backorder"},
           {"line":"2","item":"SET","quantity":"1"}"#,
        expect![[r#"
            1: 2 BX BOLT by 1 Backorder at 1.2 = 24 customer_contract (erp 1 1)
              10/1 EA BOLT backorder DAL: wms wms - -
              cap K-7 None of wms: 24
            2: 1 EA SET by 1 Reject at 40 = 40 list (erp 1 1)
              20/1 EA BOLT DAL: wms wms - -
              1/1 EA GIFT DAL: wms - - -
            credit TOP of wms: 64
        "#]],
    );
}

#[test]
fn what_is_wrong_with_a_line_is_a_doubt_of_the_order() {
    check(
        &node(),
        "C-1",
        r#"{"line":"hidden","item":"SAW","quantity":"1"},
           {"line":"unknown","item":"SAX","quantity":"1"},
           {"line":"none","item":"BOLT","quantity":"-1"},
           {"line":"unit","item":"BOLT","quantity":"1","uom":"KG"},
           {"line":"multiple","item":"BOLT","quantity":"3","uom":"BX"},
           {"line":"free","item":"GIFT","quantity":"1"},
           {"line":"broken","item":"BROKEN","quantity":"1"}"#,
        expect![[r#"
            hidden: 1 - SAW by 1 Reject
            unknown: 1 - SAX by 1 Reject
            none: 1 - BOLT by 1 Reject
            unit: 1 KG BOLT by 1 Reject
            multiple: 3 BX BOLT by 1 Reject
            free: 1 EA GIFT by 1 Reject
              1/1 EA GIFT DAL: wms - - -
            broken: 1 EA BROKEN by 1 Reject
            hidden NotFound: no such item
            unknown NotFound: no such item
            none InvalidQuantity: a quantity is a positive decimal of at most 6 places, as a string
            unit InvalidUom: the item is not sold in this unit; ask in one of its units
            multiple OffMultiple: order a multiple of what the unit is sold in, at or above its minimum
            free NoPrice: no price is in force for this item, quantity, currency and date
            broken OutOfStock: the kit cannot be taken apart; its components are to be corrected
            credit TOP of wms: 0
        "#]],
    );
    check(
        &node(),
        "C-3",
        r#"{"line":"1","item":"BOLT","quantity":"1"}"#,
        expect![[r#"
        1: 1 EA BOLT by 1 Reject
          1/1 EA BOLT backorder DAL: wms wms - -
        1 NotOnContract: the account buys at contract prices only, and no contract of its prices this item
    "#]],
    );
}

#[test]
fn data_that_may_not_be_promised_is_a_doubt() {
    let mut node = node();
    node.say(
        "ledger.stock.wms",
        9,
        r#"[{"stock_set":{"item":"BOLT","warehouse":"DAL","uom":"EA","on_hand":"7"}}]"#,
    );
    check(
        &node,
        "C-1",
        r#"{"line":"1","item":"BOLT","quantity":"1"}"#,
        expect![[r#"
        1: 1 EA BOLT by 1 Reject
        1 NotFresh: a message of a source is missing; a snapshot was asked for
        credit TOP of wms: 0
    "#]],
    );
}

#[test]
fn an_account_that_may_not_buy_is_refused_before_anything_is_sent() {
    let of = |account: &str, ship_to: &str| {
        let json = format!(
            r#"{{"account":"{account}","ship_to":{ship_to},"lines":[{{"line":"1","item":"BOLT","quantity":"1"}}]}}"#
        );
        order(&node(), &json, &HeldPrices::new())
    };
    assert_eq!(of("C-2", "null").unwrap_err(), IntakeRefusal::AccountBlocked);
    assert_eq!(of("C-9", "null").unwrap_err(), IntakeRefusal::UnknownAccount);
    assert_eq!(of("C-1", r#""C-3""#).unwrap_err(), IntakeRefusal::UnknownAccount);
    assert_eq!(of("C-1", r#""C-1-01""#).unwrap().doubts, []);
    let elsewhere = of("C-1", r#""C-1-02""#).unwrap();
    expect![[r#"
        1: 1 EA BOLT by 1 Reject at 1.2 = 1.2 customer_contract (erp 1 1)
          1/1 EA BOLT backorder DAL: wms wms - -
          cap K-7 None of wms: 1.2
        order OtherTerritory: the ship-to is in no territory of the account
        credit TOP of wms: 1.2
    "#]]
    .assert_eq(&show(&elsewhere));
    let route = &elsewhere.route;
    assert_eq!(
        format!("{:?} {:?} {:?}", route.company, route.groups, route.territories),
        r#"Some("US") ["G"] ["EAST"]"#
    );
    assert_eq!(elsewhere.order, OrderId::derive(&elsewhere.keyed.account, &elsewhere.keyed.key));
}

/// By policy: no price given, the price of now, a higher one, a lower one, a signed one, a signed one of another line.
#[test]
fn a_price_that_moved_is_what_the_tenant_says() {
    let mut table = String::new();
    for policy in ["honour", "accept_if_lower", "review", "refuse"] {
        let mut node = node();
        let text = format!(
            r#"[{{"policy":{{"version":1,"document":{{"defaults":{{"currency":"USD","lists":["LIST"],"price_moved":"{policy}"}}}}}}}}]"#
        );
        node.say("catalog.shared.pannier", 1, &text);
        for (given, signed) in [
            ("", ""),
            ("12", ""),
            ("13", ""),
            ("11", ""),
            ("11", "2"),
            ("", "2"),
            ("11", "4"),
            ("", "~2"),
            ("", "~4"),
            ("", "!"),
        ] {
            let price = if given.is_empty() { String::new() } else { format!(r#","unit_price":"{given}""#) };
            let json = format!(
                r#"{{"account":"C-1","lines":[{{"line":"1","item":"BOLT","quantity":"2","uom":"BX"{price}}}]}}"#
            );
            let plain = order(&node, &json, &HeldPrices::new()).unwrap();
            let mut held = HeldPrices::new();
            if !signed.is_empty() {
                held.insert(
                    plain.lines[0].stock.line.clone(),
                    match signed.strip_prefix('~') {
                        Some(signed) => Held::Lapsed(hold_of(&plain, signed)),
                        None if signed == "!" => Held::Foreign,
                        None => Held::InForce(hold_of(&plain, signed)),
                    },
                );
            }
            let place = order(&node, &json, &held).unwrap();
            let doubts: Vec<_> = place.doubts.iter().map(|doubt| doubt.reason).collect();
            writeln!(table, "{policy} {given:>2}/{signed:>1}: {} {doubts:?}", place.total).unwrap();
        }
    }
    expect![[r#"
        honour   / : 24 []
        honour 12/ : 24 []
        honour 13/ : 24 [PriceMoved]
        honour 11/ : 24 [PriceMoved]
        honour 11/2: 22 []
        honour   /2: 22 []
        honour 11/4: 24 [PriceHoldInvalid, PriceMoved]
        honour   /~2: 24 [PriceMoved]
        honour   /~4: 24 [PriceHoldInvalid]
        honour   /!: 24 [PriceHoldInvalid]
        accept_if_lower   / : 24 []
        accept_if_lower 12/ : 24 []
        accept_if_lower 13/ : 24 []
        accept_if_lower 11/ : 24 [PriceMoved]
        accept_if_lower 11/2: 24 [PriceMoved]
        accept_if_lower   /2: 24 [PriceMoved]
        accept_if_lower 11/4: 24 [PriceHoldInvalid, PriceMoved]
        accept_if_lower   /~2: 24 [PriceMoved]
        accept_if_lower   /~4: 24 [PriceHoldInvalid]
        accept_if_lower   /!: 24 [PriceHoldInvalid]
        review   / : 24 []
        review 12/ : 24 []
        review 13/ : 24 [PriceMoved]
        review 11/ : 24 [PriceMoved]
        review 11/2: 24 [PriceMoved]
        review   /2: 24 [PriceMoved]
        review 11/4: 24 [PriceHoldInvalid, PriceMoved]
        review   /~2: 24 [PriceMoved]
        review   /~4: 24 [PriceHoldInvalid]
        review   /!: 24 [PriceHoldInvalid]
        refuse   / : 24 []
        refuse 12/ : 24 []
        refuse 13/ : 24 [PriceRefused]
        refuse 11/ : 24 [PriceRefused]
        refuse 11/2: 24 [PriceRefused]
        refuse   /2: 24 [PriceRefused]
        refuse 11/4: 24 [PriceHoldInvalid, PriceRefused]
        refuse   /~2: 24 [PriceRefused]
        refuse   /~4: 24 [PriceHoldInvalid]
        refuse   /!: 24 [PriceHoldInvalid]
    "#]]
    .assert_eq(&table);
}

/// A signed promise of 11 a box.
fn hold_of(plain: &PlaceOrder, quantity: &str) -> HeldPrice {
    let line = &plain.lines[0];
    let decimal = |text: &str| pannier_protocol::Decimal::parse(text).unwrap();
    let mut price = line.price.clone().unwrap();
    (price.unit_price, price.extended) = (decimal("1.1"), decimal("22"));
    HeldPrice {
        item: line.stock.item.clone(),
        uom: line.stock.uom.clone(),
        quantity: decimal(quantity),
        currency: plain.currency,
        contract: None,
        warehouse: None,
        order_unit_price: decimal("11"),
        price,
    }
}

#[test]
fn a_hold_takes_what_its_lines_say_or_is_refused() {
    let ask = |until: &str, line: &str| {
        hold(&node(), &format!(r#"{{"account":"C-1","expires_at":"{until}","lines":[{line}]}}"#))
    };
    let line = r#"{"line":"1","item":"BOLT","quantity":"2","uom":"BX"}"#;
    let place = ask("2027-01-15T09:00:00Z", line).unwrap();
    let mut shown = String::new();
    show_stock(&mut shown, &place.lines[0]);
    show_needs(&mut shown, &place.lines[0]);
    expect![[r#"
        1: 2 BX BOLT by 1 Reject
          10/1 EA BOLT backorder DAL: wms wms - -"#]]
    .assert_eq(&shown);
    for until in ["2027-01-15T08:00:00Z", "2027-01-16T08:00:00.001Z"] {
        let refused = ask(until, line);
        assert!(
            matches!(refused, Err(IntakeRefusal::InvalidRequest { field: "expires_at", .. })),
            "{refused:?}"
        );
    }
    let refused = ask("2027-01-15T09:00:00Z", r#"{"line":"1","item":"SAW","quantity":"2"}"#).unwrap_err();
    expect![[r#"
        1 of the lines cannot be held; leave them out, or correct what `lines` says of them
        Lines { doubts: [IntakeDoubt { line: Some("1"), reason: NotFound, detail: "no such item" }] }"#]]
    .assert_eq(&format!("{refused}\n{refused:?}"));
}

#[test]
fn the_fingerprint_is_of_the_request_and_not_of_what_became_of_it() {
    let of = |node: &Node, quantity: &str| {
        let json =
            format!(r#"{{"account":"C-1","lines":[{{"line":"1","item":"BOLT","quantity":"{quantity}"}}]}}"#);
        order(node, &json, &HeldPrices::new()).unwrap()
    };
    let (before, mut later) = (node(), node());
    later.say(
        "catalog.shared.erp",
        2,
        r#"[{"prices":{"scope":{"contract":"K-7"},"currency":"USD","rows":[["BOLT",null,"EA",null,1,"fixed",null,[["0","9"]]]]}}]"#,
    );
    let (one, other) = (of(&before, "1"), of(&later, "1.0"));
    assert_ne!(one.total, other.total);
    assert_eq!(one.keyed.fingerprint, other.keyed.fingerprint);
    assert_ne!(one.keyed.fingerprint, of(&before, "2").keyed.fingerprint);
}
