use clap::{FromArgMatches, Subcommand};
use expect_test::expect;
use pannier_protocol::api::operator::{OrderShown, OrderWhole, Reroute};
use serde_json::json;

use super::{list, routes, show};

const ORDER: &str = "2f35yzft4vdbe7f2bc5t399rj5";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What who has a dead letter before them would look for.
#[test]
fn a_dead_letter_is_replayed_by_either_name() {
    for act in ["redispatch", "replay"] {
        let arguments = ["orders", act, "--by", "jane", "--reason", "postal code added", ORDER];
        let command = super::Command::augment_subcommands(clap::Command::new("orders"));
        let matches = command.try_get_matches_from(arguments).unwrap();
        let parsed = super::Command::from_arg_matches(&matches).unwrap();
        assert!(matches!(parsed, super::Command::Redispatch(_)), "{act}");
    }
}

#[test]
fn routes_are_read_in_their_order() {
    let told =
        routes("[[rules]]\ncompany = \"US\"\nbackend = \"erp-us\"\n[[rules]]\nbackend = \"erp\"").unwrap();
    let backends: Vec<_> = told.iter().map(|rule| rule.backend.to_string()).collect();
    assert_eq!(backends, ["erp-us", "erp"]);
    for (text, want) in [
        ("rules = []", "no rule in it"),
        ("[[rules]]\ncompany = \"US\"", "missing field `backend`"),
        ("[[rules]]\nbackend = \"ERP\"", "source \"ERP\""),
        ("[[rules]]\nbackend = \"erp\"\ncolour = 1", "unknown field `colour`"),
    ] {
        let error = format!("{:#}", routes(text).unwrap_err());
        assert!(error.contains(want), "{text}: {error}");
    }
}

#[test]
fn a_dry_run_says_what_nobody_would_take() {
    let line = |route: serde_json::Value| routes::line(&serde_json::from_value::<Reroute>(route).unwrap());
    let told = [
        line(json!({"from": "erp-1", "to": "erp-2", "orders_count": 21, "open_count": 5, "first": [ORDER]})),
        line(json!({"from": "erp-1", "orders_count": 1, "open_count": 1, "first": [ORDER]})),
        line(json!({"to": "erp-1", "orders_count": 1, "open_count": 1, "first": [ORDER]})),
    ];
    expect![[r#"
        erp-1 -> erp-2  21 orders, 5 open: 2f35yzft4vdbe7f2bc5t399rj5 ...
        erp-1 -> review  1 orders, 1 open  NO RULE TAKES THEM: 2f35yzft4vdbe7f2bc5t399rj5
        review -> erp-1  1 orders, 1 open: 2f35yzft4vdbe7f2bc5t399rj5"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn an_order_is_shown_with_its_whole_life() {
    let step = |id: &str, state: &str, what: &str, trace: Option<&str>| json!({"id": id, "at": "2026-11-23T09:00:01Z", "state": state, "what": what, "traceparent": trace});
    let whole: OrderWhole = serde_json::from_value(json!({
        "order": {
            "order": ORDER, "state": "dead_lettered", "as_of": "7f3a.L81300.S0.P0", "account": "C-1001",
            "purchase_order": "PO-778", "reasons": ["refused_by_backend"], "currency": "USD", "total": "144",
            "backend": "erp-1",
            "lines": [{
                "line": "1", "item": "SKU-4711", "state": "accepted", "reasons": [], "quantity": "12", "uom": "BX",
                "promised": [{"quantity": "12", "date": "2026-11-23", "warehouse": "DAL"}],
                "price": {"unit_price": "1.2", "per": "1", "uom": "EA", "extended": "144", "level": "list"},
                "shipped": "0", "cancelled": "2", "returned": "0",
            }],
        },
        "position": 81_240, "key": "cart-8841-1", "generation": 2, "placed_at": "2026-11-23T09:00:01Z",
        "facts": {"ship_to_address": "5 Elm St, 75201", "ship_complete": false, "references": {"cart": "8841"}},
        "placed_facts": {"ship_to_address": "5 Elm St", "ship_complete": false, "references": {"cart": "8841"}},
        "steps": [
            step("81240.0", "accepted", "placed: accepted", Some(TRACE)),
            step("81241.0", "dispatched", "handed to the backend's queue", None),
            step("81290.1", "dead_lettered", "refused by the backend after 1 attempts: no postal code", None),
        ],
    }))
    .unwrap();
    expect![[r#"
        Order 2f35yzft4vdbe7f2bc5t399rj5   dead_lettered   144 USD
          account         C-1001
          purchase order  PO-778
          reasons         refused_by_backend
          backend         erp-1, generation 2
          placed          2026-11-23T09:00:01Z   at 81240   key cart-8841-1
          address         5 Elm St, 75201   (edited; was: 5 Elm St)
          references      cart=8841

        Lines
          1      SKU-4711             12 BX        accepted              144
                 promised 12 on 2026-11-23 from DAL
                 cancelled 2

        Timeline
          2026-11-23T09:00:01Z      81240.0     accepted           placed: accepted
                                                                   trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
          2026-11-23T09:00:01Z      81241.0     dispatched         handed to the backend's queue
          2026-11-23T09:00:01Z      81290.1     dead_lettered      refused by the backend after 1 attempts: no postal code
    "#]]
    .assert_eq(&show::shown(&whole).unwrap());

    let listed: OrderShown = serde_json::from_value(json!({
        "order": ORDER, "state": "review", "account": "C-1001", "position": 81_240, "total": "144",
        "placed_at": "2026-11-23T09:00:01Z", "currency": "USD", "lines_count": 1, "generation": 0,
        "last": step("81240.0", "review", "placed: review", None),
    }))
    .unwrap();
    expect!["2f35yzft4vdbe7f2bc5t399rj5  review               0  -         C-1001        144 USD         2026-11-23T09:00:01Z  placed: review"]
        .assert_eq(&list::line(&listed));
}
