//! What an order's words become in a sale, and each button of it.

use pannier_adapters::runner::sink::{
    Backend, BackendError, Cancellation, Confirmation, Document, DocumentState, Withdrawn,
};
use pannier_adapters::tryton::Orders;
use pannier_protocol::order::{Dispatch, DispatchKind, OrderRequestFacts};
use pannier_tests::{Database, Tryton};
use serde_json::{Value, from_value, json};

use super::{PATIENT, backend, create, price, with_lines};
use crate::sink::{dispatch, order};

fn line(item: &str, quantity: &str, uom: &str, price: Value) -> Value {
    json!([{"line": "L-1", "item": item, "quantity": quantity, "uom": uom, "price": price,
        "promised": [{"quantity": quantity, "warehouse": "MAIN"}]}])
}

fn promised(parts: Value) -> Dispatch {
    let mut order = create("promised");
    order.lines[0].promised = from_value(parts).unwrap();
    order
}

fn with_facts(facts: Value) -> Dispatch {
    Dispatch { facts: from_value::<OrderRequestFacts>(facts).unwrap(), ..create("facts") }
}

async fn check_refusals(backend: &Orders) {
    let five = || price("1.25", "5.00", "u");
    for (order, class, text) in [
        (
            Dispatch { account: from_value(json!("NOBODY")).unwrap(), ..create("r") },
            "Poison",
            "party with the code NOBODY",
        ),
        (
            Dispatch { currency: from_value(json!("XTS")).unwrap(), ..create("r") },
            "Poison",
            "currency with the code XTS",
        ),
        (with_facts(json!({"ship_to": "NOWHERE"})), "Poison", "party with the code NOWHERE"),
        (with_lines("r", line("GHOST", "4", "u", five())), "Poison", "product with the code GHOST"),
        (
            with_lines("r", line("ITEM-001", "4", "box", price("1.25", "5.00", "box"))),
            "Poison",
            "symbol box for product ITEM-001",
        ),
        // A unit of another category.
        (
            with_lines("r", line("ITEM-001", "4", "kg", price("1.25", "5.00", "kg"))),
            "Poison",
            "symbol kg for product ITEM-001",
        ),
        (
            with_lines("r", line("ITEM-001", "1000", "u", price("1.23456", "1234.56", "u"))),
            "Poison",
            "no unit price with 4 digits",
        ),
        (
            promised(json!([{"quantity": "4", "warehouse": "ATTIC"}])),
            "Poison",
            "warehouse with the code ATTIC",
        ),
        (promised(json!([{"quantity": "4"}])), "Poison", "set orders.warehouse"),
        (
            promised(json!([{"quantity": "2", "warehouse": "MAIN"}, {"quantity": "2", "warehouse": "EAST"}])),
            "Poison",
            "EAST and MAIN",
        ),
        // Tryton's own rule.
        (
            with_lines("r", line("ITEM-001", "2.5", "u", price("2", "5.00", "u"))),
            "Business",
            "exceeds the limit",
        ),
    ] {
        let error = backend.create_draft(&order).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(class), "{error:?}\nexpected {class} {text}");
        assert!(error.to_string().contains(text), "{error:?}\nexpected {text}");
    }
    assert!(backend.list(order("r")).await.unwrap().is_empty(), "a refused one leaves nothing behind");
}

async fn check_words(tryton: &Tryton, backend: &Orders) {
    let facts = json!({"ship_to": "CUST-002", "ship_to_address": "Dock 4", "purchase_order": "PO-77", "channel": "web",
        "requested_date": "2026-12-24", "ship_complete": true, "references": {"cart": "c-9 \u{e9}"}});
    let lines = json!([
        {"line": "L-1", "item": "ITEM-001", "quantity": "4", "uom": "u", "price": price("1.2345", "4.94", "u"),
            "promised": [{"quantity": "4", "warehouse": "EAST"}]},
        {"line": "L-2", "item": "ITEM-004", "quantity": "2", "uom": "cs", "price": price("4.25", "102.00", "u"), "promised": []},
    ]);
    let facts = from_value(facts).unwrap();
    let order = Dispatch { facts, ..with_lines("words", lines) };
    backend.create_draft(&order).await.unwrap();
    let sales = tryton.sales(&order.order.to_string()).await;
    let [sale] = &sales[..] else { panic!("{sales:?}") };
    for (path, want) in [
        ("/party/code", json!("CUST-001")),
        ("/shipment_party/code", json!("CUST-002")),
        ("/warehouse/code", json!("EAST")),
        ("/description", json!("PO-77")),
        ("/comment", json!("channel: web\nship to: Dock 4\nship complete\ncart: c-9 \u{e9}")),
        ("/shipping_date", json!({"__class__": "date", "year": 2026, "month": 12, "day": 24})),
        ("/lines/0/product/code", json!("ITEM-001")),
        ("/lines/0/quantity", json!(4.0)),
        ("/lines/0/unit/symbol", json!("u")),
        ("/lines/0/unit_price/decimal", json!("1.2345")),
        ("/lines/0/note", json!("L-1")),
        ("/lines/1/product/code", json!("ITEM-004")),
        ("/lines/1/unit/symbol", json!("cs")),
        ("/lines/1/note", json!("L-2")),
    ] {
        assert_eq!(sale.pointer(path), Some(&want), "{path} of {sale}");
    }
    let cases = sale.pointer("/lines/1/unit_price/decimal").and_then(Value::as_str).unwrap();
    assert_eq!(cases.parse::<f64>().unwrap(), 51.0, "of a case, not of a piece");
}

async fn draft(backend: &Orders, key: &str) -> Document {
    backend.create_draft(&create(key)).await.unwrap()
}

async fn check_buttons(tryton: &Tryton, backend: &Orders) {
    let (a, b) = (draft(backend, "buttons").await, draft(backend, "buttons").await);
    let states = async || {
        let mut listed = backend.list(order("buttons")).await.unwrap();
        listed.sort_by_key(|document| document.id.as_str().parse::<i64>().unwrap());
        listed.into_iter().map(|document| document.state).collect::<Vec<_>>()
    };
    assert_eq!(states().await, [DocumentState::Draft, DocumentState::Draft], "the same reference twice");
    for _ in 0..2 {
        assert_eq!(backend.cancel(&a).await.unwrap(), Withdrawn::Cancelled);
        assert_eq!(backend.confirm(&a).await.unwrap(), Confirmation::Cancelled);
    }
    let first = backend.confirm(&b).await.unwrap();
    let Confirmation::Confirmed(confirmed) = &first else { panic!("{first:?}") };
    let sales = tryton.sales(&order("buttons").to_string()).await;
    let numbers = sales.iter().map(|sale| &sale["number"]).filter(|number| !number.is_null());
    assert_eq!(numbers.collect::<Vec<_>>(), [confirmed.document.as_str()], "{sales:?}");
    assert_eq!(backend.confirm(&b).await.unwrap(), first, "again");
    assert_eq!(backend.cancel(&b).await.unwrap(), Withdrawn::InEffect);
    assert_eq!(states().await, [DocumentState::Cancelled, DocumentState::InEffect]);

    let cancel = dispatch("buttons", DispatchKind::Cancel, 2);
    for _ in 0..2 {
        assert_eq!(backend.cancel_order(&cancel, &b).await.unwrap(), Cancellation::Cancelled);
    }
    assert_eq!(states().await, [DocumentState::Cancelled, DocumentState::TakenBack]);
    assert_eq!(backend.confirm(&b).await.unwrap(), Confirmation::Cancelled, "taken back for good");
    let sales = tryton.sales(&order("buttons").to_string()).await;
    let invoices: Vec<&Value> = sales.iter().filter_map(|sale| sale.pointer("/invoices/0/state")).collect();
    assert_eq!(invoices, [&json!("cancelled")], "nobody pays for it");
}

/// A process that died between Tryton's two transactions.
async fn check_unprocessed(tryton: &Tryton, backend: &Orders) {
    let document = draft(backend, "unprocessed").await;
    let id: i64 = document.id.as_str().parse().unwrap();
    tryton.press("sale.sale", id, &["quote"]).await;
    tryton.sql(&format!("UPDATE sale_sale SET state = 'confirmed', sale_date = date('now') WHERE id = {id}"));
    assert_eq!(tryton.sales(&order("unprocessed").to_string()).await[0]["shipments"], json!([]));
    assert_eq!(backend.list(order("unprocessed")).await.unwrap()[0].state, DocumentState::InEffect);
    let confirmation = backend.confirm(&document).await.unwrap();
    assert!(matches!(confirmation, Confirmation::Confirmed(_)), "{confirmation:?}");
    let sale = &tryton.sales(&order("unprocessed").to_string()).await[0];
    assert_eq!((&sale["state"], &sale["shipments"][0]["state"]), (&json!("processing"), &json!("waiting")));
    let shipment = sale["shipments"][0]["id"].as_i64().unwrap();
    tryton.press("stock.shipment.out", shipment, &["assign_try", "pick"]).await;
    let asked =
        backend.cancel_order(&dispatch("unprocessed", DispatchKind::Cancel, 2), &document).await.unwrap();
    assert!(
        matches!(&asked, Cancellation::TooLate { reason } if reason.contains("is picked already")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn words_and_buttons() {
    let tryton = Tryton::start(Database::Sqlite).await;
    let backend = backend(&tryton, &tryton.address(), PATIENT);
    check_refusals(&backend).await;
    check_words(&tryton, &backend).await;
    check_buttons(&tryton, &backend).await;
    check_unprocessed(&tryton, &backend).await;
    let denied =
        pannier_adapters::tryton::Rest::new(tryton.state["url"].as_str().unwrap(), "another-key", 1, PATIENT);
    let query = pannier_adapters::tryton::Query::of("sale.sale", &["number"]);
    let error = denied.unwrap().search::<Value>(&query).await.unwrap_err().to_string();
    assert!(error.contains("refuses the key"), "{error}");
}

/// What the whole way rests on: of a confirm and a cancel that meet, one is refused and knows it.
#[tokio::test]
async fn confirm_and_cancel_exclude_each_other() {
    let tryton = Tryton::start(Database::Postgres).await;
    let backend = backend(&tryton, &tryton.address(), PATIENT);
    for at in 0..8 {
        let key = format!("race-{at}");
        let document = draft(&backend, &key).await;
        let id = document.id.as_str().parse().unwrap();
        tryton.press("sale.sale", id, &["quote"]).await;
        let (confirmed, cancelled) = tokio::join!(backend.confirm(&document), backend.cancel(&document));
        let both = (confirmed, cancelled);
        let is_one = match &both {
            (Ok(Confirmation::Confirmed(_)), Ok(withdrawn)) => *withdrawn == Withdrawn::InEffect,
            (Ok(Confirmation::Cancelled), Ok(withdrawn)) => *withdrawn == Withdrawn::Cancelled,
            // Unknown is an answer too: it is asked again.
            (Err(BackendError::Transient(_)), _) | (_, Err(BackendError::Transient(_))) => true,
            _ => false,
        };
        assert!(is_one, "{both:?}");
        let state = backend.list(order(&key)).await.unwrap()[0].state;
        let says = matches!(both.0, Ok(Confirmation::Confirmed(_)));
        assert!(!says || state == DocumentState::InEffect, "{both:?} and then {state:?}");
    }
}
