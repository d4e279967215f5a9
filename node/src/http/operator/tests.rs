//! Requests of operators as they arrive; what needs a broker is tested against one.

use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;

use super::respond;
use super::routes::{OrderAct, Route};
use crate::app::App;
use crate::http::tests::{Answered, ready, starting};

const ORDER: &str = "2f35yzft4vdbe7f2bc5t399rj5";
const WHY: &str = r#"{"by":"jane","reason":"known"}"#;

async fn ask(app: &App, method: &str, path: &str, key: Option<&str>, body: &str) -> Answered {
    let mut request = Request::builder().method(method).uri(format!("/v1/operator/{path}"));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Full::new(body.to_owned().into())).unwrap();
    Answered::of(respond(app, request).await).await
}

#[test]
fn paths_are_matched_whole() {
    for (method, path, want, refusal) in [
        ("GET", "/v1/operator/orders", Some(Route::Orders), None),
        ("GET", "/v1/operator/orders/a", Some(Route::Order), None),
        ("POST", "/v1/operator/orders/a/approve", Some(Route::Act(OrderAct::Approve)), None),
        ("GET", "/v1/operator/orders/a/edit", Some(Route::Act(OrderAct::Edit)), Some("method_not_allowed")),
        ("PUT", "/v1/operator/routing", Some(Route::Routing), None),
        ("DELETE", "/v1/operator/routing", Some(Route::Routing), Some("method_not_allowed")),
        ("GET", "/v1/operator/orders/a/b", None, Some("not_found")),
        ("GET", "/v1/operator/events", Some(Route::Events), None),
        ("GET", "/v1/orders", None, Some("not_found")),
        ("GET", "/v1/price-availability", None, Some("not_found")),
    ] {
        let method: Method = method.parse().unwrap();
        let (route, result) = Route::find(&method, path);
        let told = result.err().map(|refusal| refusal.code().as_str());
        assert_eq!((route, told), (want, refusal), "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_listed_on_an_empty_ledger_is_empty() {
    let app = ready();
    for (path, want) in [
        (
            "orders?state=review&backend=erp-1&account=C-1&limit=200",
            json!({"as_of": "7f3a.L0.S0.P0", "orders": []}),
        ),
        ("holds?state=held", json!({"holds": []})),
        ("events?channel=web", json!({"as_of": "7f3a.L0.S0.P0", "events": [], "next": "7f3a.0.4294967295"})),
        (
            "events?after=6e2b.81240.0",
            json!({"as_of": "7f3a.L0.S0.P0", "missed": true, "events": [], "next": "7f3a.0.4294967295"}),
        ),
        ("sources", json!({"chains": []})),
        ("dispatch", json!({"as_of": "7f3a.L0.S0.P0", "backends": []})),
        ("overcommits", json!({"as_of": "7f3a.L0.S0.P0", "cells": []})),
        ("routing", json!({"rules": []})),
    ] {
        let answered = ask(&app, "GET", path, None, "").await;
        assert_eq!((answered.status, answered.json()), (200, want), "{path}");
    }
    let openapi = ask(&app, "GET", "openapi.json", None, "").await;
    assert_eq!(openapi.json()["openapi"], "3.1.0");
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let app = ready();
    let approve = &format!("orders/{ORDER}/approve");
    for (method, path, key, body, want) in [
        (
            "GET",
            "orders?status=review",
            None,
            "",
            "invalid_request: status: no parameter of this path; it takes state, backend",
        ),
        (
            "GET",
            "orders?state=held",
            None,
            "",
            "invalid_request: state: unknown variant `held`, expected one of `pending`",
        ),
        ("GET", "orders?limit=201", None, "", "invalid_request: limit: \"201\" is not 1 to 200"),
        ("GET", "orders?limit=1&limit=2", None, "", "invalid_request: limit: given twice"),
        ("GET", "orders?cursor=7", None, "", "invalid_request: cursor: no cursor; give back the `next`"),
        (
            "GET",
            "events?after=7.0",
            None,
            "",
            "invalid_request: after: no place of an event; give back the `next`",
        ),
        ("GET", "review?kind=a.b", None, "", "invalid_request: kind: a kind is of a to z and _"),
        ("GET", "review", None, "", "not_ready: the streams are not checked yet"),
        ("GET", "orders/x", None, "", "unknown_order: "),
        ("GET", &format!("orders/{ORDER}"), None, "", "unknown_order: "),
        ("POST", approve, Some("k"), WHY, "unknown_order: "),
        ("PUT", "routing", None, r#"{"rules":[],"by":"jane","reason":"r"}"#, "idempotency_key_missing: "),
        ("PUT", "routing", Some("k"), r#"{"rules":[]}"#, "invalid_request: .: missing field `by`"),
        (
            "PUT",
            "routing?dry_run=1",
            Some("k"),
            "{}",
            "invalid_request: dry_run: \"1\" is neither true nor false",
        ),
        ("PUT", "routing", Some("k"), r#"{"rules":[],"by":"jane","reason":"r"}"#, "ledger_unavailable: "),
        ("POST", "invalidate", Some("k"), r#"{"scope":"item"}"#, "invalid_request: scope.item: invalid type"),
        ("POST", "invalidate", None, "{}", "idempotency_key_missing: "),
        (
            "POST",
            "invalidate?dry_run=true",
            None,
            r#"{"scope":{"source":"erp-9"},"mode":"hard","by":"jane","reason":"r"}"#,
            "invalid_request: scope: no chain of that source is known",
        ),
        (
            "POST",
            "resync",
            None,
            r#"{"subjects":["ledger.stock.wms-9"],"by":"jane","reason":"r"}"#,
            "invalid_request: subjects: no chain ledger.stock.wms-9 is known; GET /v1/operator/sources",
        ),
        ("DELETE", "routing", None, "", "method_not_allowed: this path takes GET, HEAD, PUT"),
        ("GET", "nothing", None, "", "not_found: "),
    ] {
        let problem = ask(&app, method, path, key, body).await.problem();
        assert!(problem.starts_with(want), "{method} {path}\n  {problem}\ndoes not start with\n  {want}");
    }
    let problem = ask(&starting(), "GET", "orders", None, "").await.problem();
    assert!(problem.starts_with("not_ready: "), "{problem}");
}

#[tokio::test]
async fn rules_are_tried_without_writing_anything() {
    let rules = r#"{"rules":[{"backend":"erp-1"}],"by":"jane","reason":"r"}"#;
    let answered = ask(&ready(), "PUT", "routing?dry_run=true", None, rules).await;
    assert_eq!((answered.status, answered.json()), (200, json!({"as_of": "7f3a.L0.S0.P0", "routes": []})));
}
