//! Requests as they arrive, answers as they leave; the catalog is empty, so every item is `not_found`.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use pannier_core::gate::GateMode;
use pannier_protocol::api::{LookupAnswer, LookupRequest};
use pannier_protocol::{Encoding, Incarnation, StreamSequence, codec};
use serde_json::Value;

use super::service::{Connection, respond};
use crate::app::{App, Tables};
use crate::clock::Moment;
use crate::config::Config;
use crate::progress::Positions;

const LOOKUP: &str = "/v1/price-availability";
const BASKET: &str = r#"{"account":null,"lines":[{"line":"1","item":"SKU-1","quantity":"1"}]}"#;

pub(super) fn starting() -> App {
    let limits = "[lookup]\nin_flight = 2\nbulk_in_flight = 1\nat_least_wait_ms = 1";
    App::new(Config::parse("", limits, []).unwrap(), GateMode::On).unwrap()
}

/// A node of incarnation `7f3a` that has caught up with streams ending at L5 S7.
pub(super) fn ready() -> App {
    let app = starting();
    let incarnation = Incarnation::new("7f3a").unwrap();
    let positions = Positions { ledger: StreamSequence(5), catalog: StreamSequence(7) };
    assert!(app.tables.set(Tables::build(incarnation.clone(), GateMode::On).0).is_ok());
    app.progress.opened(incarnation, positions, Moment::now());
    app.progress.applied(positions);
    app
}

pub(super) struct Answered {
    pub(super) status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `code: detail` of a problem document.
    pub(super) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["correlation_id"], self.header("x-correlation-id").unwrap());
        format!("{}: {}", problem["code"].as_str().unwrap(), problem["detail"].as_str().unwrap())
    }
}

async fn ask(
    app: &App,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answered {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    Answered::of(respond(app, &Connection::default(), request).await).await
}

impl Answered {
    pub(super) async fn of(response: http::Response<impl Body<Data = Bytes, Error = Infallible>>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}

async fn post(app: &App, body: &str) -> Answered {
    ask(app, "POST", LOOKUP, &[("content-type", "application/json")], body.to_owned()).await
}

#[track_caller]
fn starts(text: &str, want: &str) {
    assert!(text.starts_with(want), "\n  {text}\ndoes not start with\n  {want}");
}

#[tokio::test]
async fn a_basket_is_answered_in_the_encoding_asked_for() {
    let app = ready();
    let answered = post(&app, BASKET).await;
    assert_eq!((answered.status, answered.header("content-type")), (200, Some("application/json")));
    assert_eq!(answered.json()["lines"][0]["status"], "not_found");

    let request: LookupRequest = serde_json::from_str(BASKET).unwrap();
    let packed = codec::encode(Encoding::MessagePack, &request).unwrap();
    let headers = [("content-type", "application/msgpack")];
    let answered = ask(&app, "POST", LOOKUP, &headers, packed.clone()).await;
    assert_eq!((answered.status, answered.header("content-type")), (200, Some("application/msgpack")));
    let answer: LookupAnswer = codec::decode(Encoding::MessagePack, &answered.body, 4_096).unwrap();
    assert_eq!(answer.lines[0].item, "SKU-1");

    let headers = [("content-type", "application/msgpack"), ("accept", "application/json")];
    let answered = ask(&app, "POST", LOOKUP, &headers, packed).await;
    assert_eq!(answered.json()["lines"][0]["item"], "SKU-1");

    let answered = ask(&app, "GET", "/v1/price-availability/SKU%2F1?quantity=2", &[], "").await;
    assert_eq!((answered.status, answered.json()["lines"][0]["item"].clone()), (200, "SKU/1".into()));
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let app = ready();
    let lines = |line: &str| format!(r#"{{"account":null,"lines":[{line}]}}"#);
    let line = r#"{"line":"1","item":"SKU-1","quantity":"1"}"#;
    let cases = [
        (String::new(), 400, "invalid_request: .: EOF while parsing a value"),
        ("{".into(), 400, "invalid_request: "),
        ("[]".into(), 400, "invalid_request: "),
        (format!("{BASKET} x"), 400, "invalid_request: .: trailing characters"),
        (r#"{"account":null}"#.into(), 400, "invalid_request: .: missing field `lines`"),
        (lines(""), 400, "invalid_request: lines: a basket has at least one line"),
        (lines(&vec![line; 501].join(",")), 400, "invalid_request: lines: more than 500 elements"),
        (
            lines(r#"{"line":"1","item":4711,"quantity":"1"}"#),
            400,
            "invalid_request: lines[0].item: invalid type: integer `4711`",
        ),
        (
            lines(r#"{"line":"","item":"a","quantity":"1"}"#),
            400,
            "invalid_request: lines[0].line: 1 to 64 bytes name the line",
        ),
        (lines(r#"{"line":"1","item":"a"}"#), 400, "invalid_request: lines[0]: missing field `quantity`"),
        (
            lines(r#"{"line":"1","item":"a","quantity":"1","qty":1}"#),
            400,
            "invalid_request: lines[0].qty: unknown field `qty`",
        ),
        (r#"{"account":"","lines":[]}"#.into(), 400, "invalid_request: account: an id is empty"),
        (
            r#"{"currency":"usd","lines":[]}"#.into(),
            400,
            "invalid_request: currency: \"usd\" is no ISO 4217 currency code",
        ),
        (
            r#"{"pricing_date":"today","lines":[]}"#.into(),
            400,
            "invalid_request: pricing_date: \"today\" is no RFC 3339 instant",
        ),
        (r#"{"include":["cost"],"lines":[]}"#.into(), 400, "invalid_request: include"),
        (
            r#"{"priority":"high","lines":[]}"#.into(),
            400,
            "invalid_request: priority: unknown variant `high`",
        ),
        (r#"{"at_least":"7","lines":[]}"#.into(), 400, "invalid_request: at_least: \"7\" is no position"),
        (
            r#"{"max_staleness_ms":5,"lines":[]}"#.into(),
            400,
            "invalid_request: max_staleness_ms: invalid type: integer `5`",
        ),
        (format!("{}{}", "[".repeat(33), "]".repeat(33)), 400, "invalid_request: nested deeper than 32"),
        (" ".repeat(512 * 1024 + 1), 413, "too_large: the body is larger than 524288 bytes"),
        (BASKET.replace("null", "\"nobody\""), 404, "unknown_account: "),
    ];
    for (body, status, want) in cases {
        let answered = post(&app, &body).await;
        starts(&answered.problem(), want);
        assert_eq!(answered.status, status, "{want}");
    }
}

#[tokio::test]
async fn wrong_paths_methods_and_encodings_have_their_codes() {
    let app = ready();
    type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], u16, &'static str);
    let cases: [Case; 7] = [
        ("GET", "/nothing", &[], 404, "not_found: there is nothing at this path"),
        ("GET", LOOKUP, &[], 405, "method_not_allowed: this path takes POST"),
        ("DELETE", "/metrics", &[], 405, "method_not_allowed: this path takes GET, HEAD"),
        (
            "POST",
            LOOKUP,
            &[("content-type", "text/csv")],
            415,
            "unsupported_media_type: content type \"text/csv\"",
        ),
        ("POST", LOOKUP, &[("accept", "text/html")], 406, "not_acceptable: "),
        (
            "GET",
            "/v1/price-availability/x?sku=1",
            &[],
            400,
            "invalid_request: sku: no parameter of this path",
        ),
        ("GET", "/v1/price-availability/%", &[], 400, "invalid_request: item: a % is not followed by"),
    ];
    for (method, path, headers, status, want) in cases {
        let answered = ask(&app, method, path, headers, BASKET).await;
        starts(&answered.problem(), want);
        assert_eq!(answered.status, status, "{want}");
        assert_eq!(answered.header("allow").is_some(), status == 405, "{want}");
    }
}

#[tokio::test]
async fn ids_are_echoed_on_answers_and_refusals() {
    let app = ready();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("x-correlation-id", "cart-8841"), ("traceparent", trace)];
    for (path, status) in [("/v1/price-availability/x", 200), ("/nothing", 404)] {
        let answered = ask(&app, "GET", path, &headers, "").await;
        assert_eq!(answered.status, status);
        assert_eq!(answered.header("x-correlation-id"), Some("cart-8841"));
        assert_eq!(answered.header("traceparent"), Some(trace));
    }
    let drawn = ask(&app, "GET", "/nothing", &[("x-correlation-id", "not one")], "").await;
    assert_ne!(drawn.header("x-correlation-id"), Some("not one"));
}

#[tokio::test]
async fn a_node_that_is_not_ready_answers_no_lookups() {
    let app = starting();
    let answered = post(&app, BASKET).await;
    assert_eq!(answered.problem(), "not_ready: waiting for NATS");
    assert_eq!((answered.status, answered.header("retry-after")), (503, Some("1")));
    assert_eq!(ask(&app, "GET", "/readyz", &[], "").await.status, 503);
    assert_eq!(ask(&app, "GET", "/healthz", &[], "").await.status, 200);

    let app = ready();
    let answered = ask(&app, "GET", "/readyz", &[], "").await;
    assert_eq!(answered.status, 200);
    assert_eq!(answered.json()["applied"], serde_json::json!({"ledger": 5, "catalog": 7}));
    app.progress.refuse("the streams were made anew".into());
    assert_eq!(post(&app, BASKET).await.problem(), "not_ready: the streams were made anew");
    assert_eq!(ask(&app, "GET", "/readyz", &[], "").await.json()["state"], "refused");

    // Told to stop: a balancer looks elsewhere, and what is under way is still answered.
    let app = ready();
    app.progress.stopping();
    let answered = ask(&app, "GET", "/readyz", &[], "").await;
    assert_eq!((answered.status, answered.json()["state"].clone()), (503, "stopping".into()));
    assert_eq!(post(&app, BASKET).await.status, 200);
}

#[tokio::test]
async fn at_least_is_reached_flagged_or_behind() {
    let app = ready();
    let at_least = |token: &str| BASKET.replace("null", &format!("null,\"at_least\":\"{token}\""));
    let reached = post(&app, &at_least("7f3a.L5.S7.P3")).await;
    assert_eq!((reached.status, reached.json().get("other_incarnation")), (200, None));
    let other = post(&app, &at_least("beef.L900.S1.P1")).await;
    assert_eq!((other.status, other.json()["other_incarnation"].clone()), (200, true.into()));
    let behind = post(&app, &at_least("7f3a.L6.S7.P3")).await;
    starts(&behind.problem(), "behind: the node is not yet at 7f3a.L6.S7.P3, after ");
    assert_eq!((behind.status, behind.header("retry-after")), (503, Some("1")));
    assert_eq!(app.metrics.at_least_waiting.get(), 0);
}

#[tokio::test]
async fn a_lookup_that_waits_goes_on_when_the_node_gets_there() {
    let mut app = ready();
    app.config.lookup.at_least_wait = std::time::Duration::from_secs(60);
    let there = Positions { ledger: StreamSequence(6), catalog: StreamSequence(7) };
    let body = BASKET.replace("null", r#"null,"at_least":"7f3a.L6.S7.P3""#);
    let applied = async {
        while app.metrics.at_least_waiting.get() == 0 {
            tokio::task::yield_now().await;
        }
        app.progress.applied(there);
    };
    let (answered, ()) = tokio::join!(post(&app, &body), applied);
    assert_eq!(answered.status, 200);
}

#[tokio::test]
async fn a_busy_node_sheds_bulk_first() {
    let app = ready();
    let bulk = BASKET.replace("null", r#"null,"priority":"bulk""#);
    assert_eq!(post(&app, &bulk).await.status, 200);
    let _one = app.admission.enter(&app.metrics.lookups_in_flight).unwrap();
    assert_eq!(post(&app, BASKET).await.status, 200);
    let shed = post(&app, &bulk).await;
    starts(&shed.problem(), "too_many_requests: 2 lookups are under way, and those of priority bulk");
    assert_eq!((shed.status, shed.header("retry-after")), (429, Some("1")));
    let _two = app.admission.enter(&app.metrics.lookups_in_flight).unwrap();
    starts(&post(&app, BASKET).await.problem(), "too_many_requests: 2 lookups are under way, which is all");
}

#[tokio::test]
async fn metrics_count_by_documented_path_and_code() {
    let app = ready();
    post(&app, BASKET).await;
    ask(&app, "GET", "/v1/price-availability/x?sku=1", &[], "").await;
    ask(&app, "GET", "/secret/path", &[], "").await;
    let page = ask(&app, "GET", "/metrics", &[], "").await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    for want in [
        r#"pannier_http_requests_total{route="/v1/price-availability",outcome="ok"} 1"#,
        r#"pannier_http_requests_total{route="/v1/price-availability/{item}",outcome="invalid_request"} 1"#,
        r#"pannier_http_requests_total{route="none",outcome="not_found"} 1"#,
        r#"pannier_lookup_lines_total{status="not_found"} 1"#,
    ] {
        assert!(page.contains(want), "{want} is not in\n{page}");
    }
    assert!(!page.contains("secret"));
}

#[tokio::test]
async fn streams_of_events_are_bounded_and_negotiated() {
    let app = ready();
    let path = "/v1/orders/3m5h9q2k7c0000000000000001/events";
    let follow = async |last: &str| {
        let headers = [("accept", "text/event-stream"), ("last-event-id", last)];
        ask(&app, "GET", path, &headers, "").await
    };
    starts(&follow("").await.problem(), "unknown_order: ");
    starts(&follow("x").await.problem(), "invalid_request: Last-Event-ID: no id of an event");
    // Told by a node that is further than this one.
    starts(&follow("9.0").await.problem(), "behind: the node is not yet at 7f3a.L9.S0.P0");
    let all = app.event_streams.available_permits();
    let _held = app.event_streams.try_acquire_many(u32::try_from(all).unwrap()).unwrap();
    let refused = follow("").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    starts(&refused.problem(), "too_many_requests: 1024 streams of order events are open");
}
