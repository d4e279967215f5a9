//! `/v1/operator/openapi.json`: the document of the operators' listener, made like the other one and held against its
//! own route table. It is a document of its own because whoever integrates a checkout has no business with it.

mod handover;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use pannier_protocol::api::operator::{
    ActAnswer, ActRequest, ClusterShown, DispatchBacklog, EditRequest, EventPage, HandoverDryRun,
    HandoverRequest, HandoverShown, HoldPage, InvalidateDryRun, InvalidateRequest, OrderPage, OrderWhole,
    Overcommits, PoliciesShown, RecoveryPage, RedispatchRequest, ReleaseRequest, ResyncAnswer, ResyncRequest,
    ReviewPage, RoutingDryRun, RoutingRequest, RoutingShown, ShadowShown, SourcesShown,
};
use pannier_protocol::api::{ErrorCode, Problem};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::examples::ORDER;
use super::{collect, echoed_headers, echoed_parameters, examples, headers, plain, reference, refusals};
use crate::http::operator::routes::{OrderAct, Route};

const INFO: &str = "What operators of a Pannier deployment see and decide, on a listener of their own that is meant for \
    the machine itself or a trusted network: nobody is authenticated. Acts are entries of the ledger with who and \
    why, need an Idempotency-Key, and are answered once the node's own fold has passed them with what became of \
    them. JSON alone; errors are RFC 9457 problem documents with a stable `code`.";

/// The whole document, as it is sent.
pub(crate) fn document() -> Bytes {
    let paths: Map<String, Value> =
        Route::ALL.into_iter().map(|route| (route.path().to_owned(), path(route))).collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pannier, for operators",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": INFO,
        },
        "paths": paths,
        "components": {"schemas": schemas(), "headers": headers()},
    });
    Bytes::from(document.to_string())
}

fn path(route: Route) -> Value {
    match route {
        Route::Orders => json!({"get": shown::<OrderPage>(
            "operator_orders", "Orders in the order of the ledger; `review` and `dead_lettered` are the queues",
            page("state", "One of the states of an order.", "review"), &orders_page())}),
        Route::Order => json!({"get": shown::<OrderWhole>(
            "operator_order", "One order with its whole life", vec![order_named()], &order_whole())}),
        Route::Act(act) => json!({"post": order_act(act)}),
        Route::Events => json!({"get": events()}),
        Route::Holds => json!({"get": shown::<HoldPage>(
            "operator_holds", "Holds in the order of the ledger",
            page("state", "One of the states of a hold.", "held"),
            &json!({"holds": [examples::hold_answer()]}))}),
        Route::Sources => json!({"get": shown::<SourcesShown>(
            "operator_sources", "Every chain of every source, and how far it can be trusted", Vec::new(), &sources())}),
        Route::Review => json!({"get": shown::<ReviewPage>(
            "operator_review", "What could not be applied or delivered, the oldest first",
            page("kind", "The kind of entry, as in its subject.", "snapshot"), &review())}),
        Route::Dispatch => json!({"get": shown::<DispatchBacklog>(
            "operator_dispatch", "What waits for which backend", Vec::new(), &backlog())}),
        Route::Overcommits => json!({"get": shown::<Overcommits>(
            "operator_overcommits", "Cells of which more is promised than there is", Vec::new(), &overcommits())}),
        Route::Routing => json!({
            "get": shown::<RoutingShown>(
                "operator_routing", "The rules of order routing in force", Vec::new(), &routing(true)),
            "put": put_routing(),
        }),
        Route::Handover => handover::path(),
        Route::Policies => handover::policies_path(),
        Route::Shadow => handover::shadow_path(),
        Route::Invalidate => json!({"post": post_invalidate()}),
        Route::Resync => json!({"post": post_resync()}),
        Route::Recovery => json!({"get": shown::<RecoveryPage>(
            "operator_recovery", "What a node still knows of orders that its streams have lost, for `pannier recover`",
            vec![json!({"name": "from", "in": "query", "required": false, "description": "The number of the first part.",
                "schema": {"type": "integer", "minimum": 0}, "example": 0})],
            &recovery())}),
        Route::Cluster => json!({"get": shown::<ClusterShown>(
            "operator_cluster", "Every node: state, how far it is, whether its tables agree", Vec::new(), &cluster())}),
        Route::OpenApi => json!({"get": plain(
            "This document", "application/json", json!({"type": "object"}), json!({"openapi": "3.1.0"}))}),
    }
}

const SHOW_CODES: [ErrorCode; 4] =
    [ErrorCode::InvalidRequest, ErrorCode::UnknownOrder, ErrorCode::Internal, ErrorCode::NotReady];
const ACT_CODES: [ErrorCode; 9] = [
    ErrorCode::InvalidRequest,
    ErrorCode::IdempotencyKeyMissing,
    ErrorCode::UnknownOrder,
    ErrorCode::TooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::KeyReused,
    ErrorCode::Internal,
    ErrorCode::NotReady,
    ErrorCode::LedgerUnavailable,
];

fn shown<A: ToSchema>(id: &str, summary: &str, parameters: Vec<Value>, example: &Value) -> Value {
    let mut responses = refusals(&SHOW_CODES);
    responses.insert("200".to_owned(), response::<A>(summary, example));
    let mut all = echoed_parameters();
    all.extend(parameters);
    json!({"operationId": id, "summary": summary, "parameters": all, "responses": responses})
}

fn response<A: ToSchema>(description: &str, example: &Value) -> Value {
    json!({"description": description, "headers": echoed_headers(), "content": content::<A>(example)})
}

fn content<T: ToSchema>(example: &Value) -> Value {
    json!({"application/json": {"schema": reference::<T>(), "example": example}})
}

fn act<B: ToSchema>(
    id: &str,
    (summary, description): (&str, &str),
    parameters: Vec<Value>,
    body: &Value,
) -> Value {
    let mut responses = refusals(&ACT_CODES);
    responses
        .insert("200".to_owned(), response::<ActAnswer>("Judged: changed, or ignored and why.", &answered()));
    let pending = "In the ledger, or possibly so, and not judged in time: ask again with the same key.";
    responses.insert("202".to_owned(), response::<ActAnswer>(pending, &answered()));
    let mut all = echoed_parameters();
    all.push(json!({
        "name": "Idempotency-Key", "in": "header", "required": true,
        "description": "Drawn once for this act and sent with every attempt at it.",
        "schema": {"type": "string", "maxLength": 64}, "example": "jane-8841-1",
    }));
    all.extend(parameters);
    json!({
        "operationId": id, "summary": summary, "description": description, "parameters": all,
        "requestBody": {"required": true, "content": content::<B>(body)}, "responses": responses,
    })
}

fn order_act(which: OrderAct) -> Value {
    let order = || vec![order_named()];
    match which {
        OrderAct::Approve => act::<ActRequest>(
            "approve_order",
            ("Lets an order through that is held for review", ""),
            order(),
            &why(),
        ),
        OrderAct::Reject => act::<ActRequest>(
            "reject_order",
            ("Refuses an order that is held for review", "What it kept is released."),
            order(),
            &why(),
        ),
        OrderAct::Redispatch => act::<RedispatchRequest>(
            "redispatch_order",
            (
                "Closes a dispatch and opens the next",
                "The replay of a dead letter, or a move to another backend.",
            ),
            order(),
            &redispatch(),
        ),
        OrderAct::Edit => act::<EditRequest>(
            "edit_order",
            (
                "Corrects a dead letter or an order in review, and sends it again",
                "Lines, units, account and ship-to are what was promised and priced: cancel and place again.",
            ),
            order(),
            &edit(),
        ),
        OrderAct::Dismiss => act::<ActRequest>(
            "dismiss_order",
            ("Closes a dead letter that nobody will replay", "What it promised is released."),
            order(),
            &why(),
        ),
        OrderAct::Release => act::<ReleaseRequest>(
            "release_order",
            (
                "Counts what an order promised as contained in its source's figures",
                "For stock that a human counted and no source confirms.",
            ),
            order(),
            &release(),
        ),
    }
}

fn dry(description: &str) -> Value {
    json!({
        "name": "dry_run", "in": "query", "required": false, "schema": {"type": "boolean"}, "example": true,
        "description": description,
    })
}

/// An act that can be tried, with the two answers it may have.
fn with_dry_run<D: ToSchema>(mut act: Value, tried: &Value) -> Value {
    act["responses"]["200"]["content"]["application/json"] = json!({
        "schema": {"oneOf": [reference::<ActAnswer>(), reference::<D>()]},
        "examples": {"done": {"value": answered()}, "dry_run": {"value": tried}},
    });
    act
}

fn post_invalidate() -> Value {
    let summary = "Condemns rows that are not to be trusted any more";
    let description = "As far as this node has read the chains: what their sources send later is trusted. Soft: \
        served and flagged; hard: not served until sent anew. The sources are asked for a snapshot.";
    let parameters = vec![dry("Count what would be condemned, and write nothing; no key is needed then.")];
    let act = act::<InvalidateRequest>("invalidate", (summary, description), parameters, &invalidate());
    with_dry_run::<InvalidateDryRun>(act, &condemned())
}

fn post_resync() -> Value {
    let codes = [
        ErrorCode::InvalidRequest,
        ErrorCode::TooLarge,
        ErrorCode::UnsupportedMediaType,
        ErrorCode::Internal,
        ErrorCode::NotReady,
        ErrorCode::LedgerUnavailable,
    ];
    let summary = "Asks sources to send chains anew";
    let mut responses = refusals(&codes);
    responses.insert(
        "202".to_owned(),
        response::<ResyncAnswer>(summary, &json!({"asked": ["ledger.stock.wms-1"]})),
    );
    json!({
        "operationId": "resync", "summary": summary, "parameters": echoed_parameters(),
        "description": "Nobody acknowledges a request: whether a snapshot came is seen in the list of sources.",
        "requestBody": {"required": true, "content": content::<ResyncRequest>(&resync())}, "responses": responses,
    })
}

fn put_routing() -> Value {
    let dry = dry("Tell where known orders would go, and write nothing; no key is needed then.");
    let summary = "Replaces the rules of order routing";
    let description = "The first rule that matches decides; an order that none matches is held for review. Orders \
        that have a backend keep it.";
    let put = act::<RoutingRequest>("put_routing", (summary, description), vec![dry], &routing(false));
    with_dry_run::<RoutingDryRun>(put, &dry_run())
}

fn order_named() -> Value {
    json!({
        "name": "order", "in": "path", "required": true, "description": "As it was answered.",
        "schema": {"type": "string"}, "example": ORDER,
    })
}

/// Parameters of what is listed in pages: `by` narrows it.
fn page(by: &str, description: &str, example: &str) -> Vec<Value> {
    let query = |name: &str, description: &str, example: Value| {
        json!({"name": name, "in": "query", "required": false, "description": description,
               "schema": {"type": "string"}, "example": example})
    };
    let mut parameters = vec![query(by, description, json!(example))];
    if by == "state" {
        parameters.push(query("account", "Of this account alone.", json!("C-1001")));
    }
    if example == "review" {
        parameters.push(query("backend", "Of this backend alone.", json!("erp-1")));
    }
    parameters.push(query("limit", "Entries of a page, at most 200.", json!("50")));
    parameters.push(query("cursor", "`next` of the page before.", json!("81240.2f35yzft4vdbe7f2bc5t399rj5")));
    parameters
}

/// The node may not be where the caller was told to go on from.
fn events() -> Value {
    let parameter = |name: &str, description: &str, example: &str| {
        json!({"name": name, "in": "query", "required": false, "description": description,
               "schema": {"type": "string"}, "example": example})
    };
    let parameters = vec![
        parameter("channel", "Of orders of this channel alone.", "web"),
        parameter("limit", "Steps looked at, at most 200.", "50"),
        parameter(
            "after",
            "`next` of the page before; without: from the first that is kept.",
            "7f3a.81240.0",
        ),
    ];
    let summary =
        "What happened to orders, in the order of the ledger: for whoever passes it on to a channel";
    let mut events = shown::<EventPage>("operator_events", summary, parameters, &event_page());
    let codes = [&SHOW_CODES[..], &[ErrorCode::Behind]].concat();
    events["responses"]["503"] = refusals(&codes)["503"].clone();
    events
}

fn schemas() -> Value {
    let mut all = Vec::new();
    collect::<OrderPage>(&mut all);
    collect::<OrderWhole>(&mut all);
    collect::<HoldPage>(&mut all);
    collect::<SourcesShown>(&mut all);
    collect::<ReviewPage>(&mut all);
    collect::<DispatchBacklog>(&mut all);
    collect::<Overcommits>(&mut all);
    collect::<RoutingShown>(&mut all);
    collect::<RoutingDryRun>(&mut all);
    collect::<EventPage>(&mut all);
    collect::<ActRequest>(&mut all);
    collect::<RedispatchRequest>(&mut all);
    collect::<EditRequest>(&mut all);
    collect::<ReleaseRequest>(&mut all);
    collect::<RoutingRequest>(&mut all);
    collect::<HandoverRequest>(&mut all);
    collect::<HandoverDryRun>(&mut all);
    collect::<HandoverShown>(&mut all);
    collect::<PoliciesShown>(&mut all);
    collect::<ShadowShown>(&mut all);
    collect::<InvalidateRequest>(&mut all);
    collect::<InvalidateDryRun>(&mut all);
    collect::<ResyncRequest>(&mut all);
    collect::<ResyncAnswer>(&mut all);
    collect::<ClusterShown>(&mut all);
    collect::<RecoveryPage>(&mut all);
    collect::<ActAnswer>(&mut all);
    collect::<Problem>(&mut all);
    let schemas: Map<String, Value> = all.into_iter().map(|(name, schema)| (name, json!(schema))).collect();
    Value::Object(schemas)
}

fn why() -> Value {
    json!({"by": "jane", "reason": "known customer"})
}

fn redispatch() -> Value {
    json!({"closes": 1, "backend": "erp-2", "by": "jane", "reason": "moved with the Dallas branch"})
}

fn edit() -> Value {
    json!({"closes": 1, "set": {"ship_to_address": "5 Elm St, Dallas TX 75201"}, "clear": ["requested_date"],
           "by": "jane", "reason": "the ERP wants a postal code"})
}

fn release() -> Value {
    json!({"line": "1", "by": "jane", "reason": "counted on the shelf"})
}

fn invalidate() -> Value {
    json!({"scope": {"contract": "K-7"}, "mode": "hard", "by": "jane", "reason": "the ERP sent last year's prices"})
}

fn condemned() -> Value {
    json!({"as_of": "7f3a.L81242.S0.P0", "rows_count": 120,
           "chains": [{"subject": "catalog.09.erp-1", "epoch": 415, "sequence": 77, "rows_count": 120}]})
}

fn resync() -> Value {
    json!({"subjects": ["ledger.stock.wms-1"], "by": "jane", "reason": "counted after the flood"})
}

fn cluster() -> Value {
    let at = json!({"ledger": 81_240, "catalog": 551});
    json!({"asked": "n1", "connected": true, "members": [{
        "member": {
            "node": "n2", "build": "0.1.0", "rules_known": 2, "rules": 2, "incarnation": "7f3a", "state": "ready",
            "applied": at, "ledger_lag_ms": 0, "lookups_in_flight": 3, "http": "127.0.0.1:8080",
            "operator": "127.0.0.1:8081", "at": "2026-11-23T09:00:01Z",
            "digests": [{"stream": "ledger", "position": 81_240, "digest": "9f86d081884c7d659a2feaa0c55ad015"}],
        },
        "heard_ms": 400, "silent": false, "agreement": {"agrees": {"ledger": 81_240, "catalog": 0}},
    }]})
}

fn recovery() -> Value {
    json!({"node": "n1", "incarnation": "7f3a", "state": "refused", "ledger": 81_240, "catalog": 551,
           "detail": "stream PNA_LEDGER ends at 81200, and 81240 was applied: the broker was rolled back",
           "format": 1, "parts_count": 1, "parts": ["AAAAAA=="]})
}

fn answered() -> Value {
    json!({"outcome": "changed", "detail": "approved by jane: known customer", "position": 81_242,
           "as_of": "7f3a.L81242.S0.P0", "order": examples::order_answer()})
}

fn orders_page() -> Value {
    json!({
        "as_of": "7f3a.L81242.S0.P0",
        "orders": [{
            "order": ORDER, "state": "review", "account": "C-1001", "purchase_order": "PO-778",
            "reasons": ["suspected_duplicate"], "position": 81_240, "placed_at": "2026-11-23T09:00:01Z",
            "total": "144", "currency": "USD", "lines_count": 1, "backend": "erp-1", "generation": 0,
            "last": {"id": "81240.0", "at": "2026-11-23T09:00:01Z", "state": "review", "what": "placed: review"},
        }],
        "next": format!("81240.{ORDER}"),
    })
}

fn event_page() -> Value {
    json!({
        "as_of": "7f3a.L81242.S0.P0",
        "events": [{
            "order": ORDER, "account": "C-1001", "channel": "web", "purchase_order": "PO-778",
            "step": {"id": "81240.0", "at": "2026-11-23T09:00:01Z", "state": "review", "what": "placed: review"},
        }],
        "next": "7f3a.81240.0", "more": true,
    })
}

fn order_whole() -> Value {
    json!({
        "order": examples::order_answer(), "position": 81_240, "key": "cart-8841-1", "generation": 1,
        "placed_at": "2026-11-23T09:00:01Z", "facts": {"purchase_order": "PO-778", "ship_complete": false},
        "steps": examples::order_steps()["steps"],
    })
}

fn sources() -> Value {
    json!({"chains": [{
        "subject": "ledger.stock.wms-1", "source": "wms-1", "epoch": 9, "sequence": 88_120,
        "suspect": "messages are missing", "snapshot_wanted": false, "loaded": true, "age_ms": 180,
        "invalidations_count": 0, "parked": [{"epoch": 9, "id": "nightly-2026-11-23"}],
    }]})
}

fn review() -> Value {
    json!({"entries": [{
        "position": 12, "subject": "review.order.7f3a-L81240-0", "stored_at": "2026-11-23T09:00:01Z",
        "entry": {"kind": "order", "order": ORDER, "reason": "order is held for review", "stream": "ledger",
                  "stream_sequence": 81_240},
    }], "next": "13"})
}

fn backlog() -> Value {
    json!({"as_of": "7f3a.L81242.S0.P0", "backends": [{
        "backend": "erp-1", "outbox_count": 0, "dispatched_count": 14, "cancel_asked_count": 1, "review_count": 2,
        "dead_lettered_count": 1, "oldest_at": "2026-11-23T08:58:12Z",
    }]})
}

fn overcommits() -> Value {
    json!({"as_of": "7f3a.L81242.S0.P0", "cells": [{
        "item": "SKU-4711", "warehouse": "DAL", "since": 81_200, "orders": [ORDER], "orders_count": 1,
    }]})
}

/// In force, or as it is put.
fn routing(in_force: bool) -> Value {
    let mut shown = json!({
        "rules": [{"warehouse": "DAL", "backend": "erp-2"}, {"backend": "erp-1"}],
        "by": "jane", "reason": "Dallas has its own ERP",
    });
    if in_force {
        shown["position"] = json!(412);
    }
    shown
}

fn dry_run() -> Value {
    json!({"as_of": "7f3a.L81242.S0.P0", "routes": [
        {"from": "erp-1", "to": "erp-2", "orders_count": 7, "open_count": 5, "first": [ORDER]},
        {"from": "erp-1", "orders_count": 1, "open_count": 1, "first": [ORDER]},
    ]})
}
