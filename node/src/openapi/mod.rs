//! `/v1/openapi.json`: schemas generated from the wire types, paths written here and held against the route
//! table and the error codes by a test. Rejected: attributes on the handlers, which would spread one document
//! over all of them and still say nothing of examples and headers.

mod examples;
pub(crate) mod operator;
mod orders;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use pannier_protocol::api::{
    CancelRequest, ErrorCode, HoldAnswer, HoldChangeRequest, HoldRequest, LookupAnswer, LookupRequest,
    OrderAnswer, OrderRequest, OrderSteps, Problem,
};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::http::query::PARAMETERS;
use crate::http::routes::Route;

/// The whole document, as it is sent.
pub(crate) fn document() -> Bytes {
    let paths: Map<String, Value> =
        Route::ALL.into_iter().map(|route| (route.path().to_owned(), path(route))).collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pannier",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": INFO,
        },
        "paths": paths,
        "components": {"schemas": schemas(), "headers": headers()},
    });
    Bytes::from(document.to_string())
}

const INFO: &str = "Price and availability for a distributor's checkout, from memory, with proof of how fresh \
    each answer is. Decimals are strings in JSON and integers of millionths in MessagePack; instants are RFC \
    3339 in JSON and milliseconds since 1970 in MessagePack. MessagePack maps carry the same names as JSON. \
    Every error is an RFC 9457 problem document with a stable `code`.";

fn path(route: Route) -> Value {
    match route {
        Route::Lookup => json!({"post": lookup()}),
        Route::LookupItem => json!({"get": lookup_item()}),
        Route::Orders => orders::orders(),
        Route::Order => orders::order(),
        Route::OrderEvents => orders::order_events(),
        Route::OrderCancel => orders::order_cancel(),
        Route::Holds => orders::holds(),
        Route::Hold => orders::hold(),
        Route::OpenApi => json!({"get": plain(
            "This document", "application/json", json!({"type": "object"}), json!({"openapi": "3.1.0"}))}),
        Route::Health => json!({"get": plain(
            "Whether the process is alive", "text/plain", json!({"type": "string"}), json!("alive\n"))}),
        Route::Ready => json!({"get": ready()}),
        Route::Metrics => json!({"get": plain(
            "Metrics for Prometheus", "application/openmetrics-text", json!({"type": "string"}),
            json!("# TYPE pannier_node_ready_state gauge\npannier_node_ready_state 1\n# EOF\n"))}),
    }
}

fn lookup() -> Value {
    json!({
        "operationId": "lookup",
        "summary": "What a basket costs one account, and when it can have it",
        "description": "Lines consume stock and caps from each other in their order. A line with a problem says \
            so in its `status` and never fails the basket. With `hold` in `include`, of an account's prices as of now, \
            each line has the signed promise of its price; a node without keys for it answers 400.",
        "parameters": echoed_parameters(),
        "requestBody": {"required": true, "content": both_encodings::<LookupRequest>(&examples::request())},
        "responses": lookup_responses(&LOOKUP_CODES),
    })
}

fn lookup_item() -> Value {
    let mut parameters = echoed_parameters();
    parameters.push(json!({
        "name": "item", "in": "path", "required": true, "description": "The item's number, percent-encoded.",
        "schema": {"type": "string", "maxLength": 64}, "example": "SKU-4711",
    }));
    parameters.extend(PARAMETERS.iter().map(|(name, description)| {
        json!({"name": name, "in": "query", "required": false, "description": description,
               "schema": {"type": "string"}, "example": examples::parameter(name)})
    }));
    json!({
        "operationId": "lookup_item",
        "summary": "The same for one item",
        "description": "A basket of one line named `1`.",
        "parameters": parameters,
        "responses": lookup_responses(&LOOKUP_ITEM_CODES),
    })
}

/// What a lookup can be refused with.
const LOOKUP_CODES: [ErrorCode; 11] = [
    ErrorCode::InvalidRequest,
    ErrorCode::Unauthenticated,
    ErrorCode::UnknownAccount,
    ErrorCode::NotAcceptable,
    ErrorCode::AccountBlocked,
    ErrorCode::TooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::TooManyRequests,
    ErrorCode::Internal,
    ErrorCode::Behind,
    ErrorCode::NotReady,
];
/// The same without a body.
const LOOKUP_ITEM_CODES: [ErrorCode; 9] = [
    ErrorCode::InvalidRequest,
    ErrorCode::Unauthenticated,
    ErrorCode::UnknownAccount,
    ErrorCode::NotAcceptable,
    ErrorCode::AccountBlocked,
    ErrorCode::TooManyRequests,
    ErrorCode::Internal,
    ErrorCode::Behind,
    ErrorCode::NotReady,
];

fn lookup_responses(codes: &[ErrorCode]) -> Value {
    let mut responses = refusals(codes);
    let answered = json!({
        "description": "The answer, with the state of every source that it rests on.",
        "headers": echoed_headers(),
        "content": both_encodings::<LookupAnswer>(&examples::answer()),
    });
    responses.insert("200".to_owned(), answered);
    Value::Object(responses)
}

fn ready() -> Value {
    let body = |state: &str, detail: &str, applied: u64| json!({"application/json": {"schema": {"type": "object"}, "example": examples::readiness(state, detail, applied)}});
    json!({
        "operationId": "readyz",
        "summary": "Whether the node may be asked",
        "description": "Ready is caught up with the streams as they were when the node started.",
        "responses": {
            "200": {"description": "Ready.", "content": body("ready", "", 81_240)},
            "503": {"description": "Not ready; `detail` says why.",
                    "content": body("catching_up", "catching up with the streams as they were at start", 5_000)},
        },
    })
}

fn plain(summary: &str, content_type: &str, schema: Value, example: Value) -> Value {
    json!({"summary": summary, "responses": {"200": {
        "description": summary, "content": {content_type: {"schema": schema, "example": example}}}}})
}

/// Problem documents by status, an example for each code.
fn refusals(codes: &[ErrorCode]) -> Map<String, Value> {
    let mut by_status: Map<String, Value> = Map::new();
    for code in codes {
        let response = by_status.entry(code.status().to_string()).or_insert_with(|| {
            let mut headers = echoed_headers();
            if matches!(code.status(), 429 | 503) {
                headers["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
            }
            json!({"description": "", "headers": headers, "content": {"application/problem+json": {
                "schema": reference::<Problem>(), "examples": {}}}})
        });
        let text = response["description"].as_str().unwrap_or_default();
        let text = format!(
            "{text}{}`{}`: {}",
            if text.is_empty() { "" } else { "\n\n" },
            code.as_str(),
            code.documentation()
        );
        response["description"] = json!(text);
        response["content"]["application/problem+json"]["examples"][code.as_str()] =
            json!({"summary": code.title(), "value": examples::problem(*code)});
    }
    by_status
}

fn both_encodings<T: ToSchema>(example: &Value) -> Value {
    json!({
        "application/json": {"schema": reference::<T>(), "example": example},
        "application/msgpack": {"schema": reference::<T>()},
    })
}

fn reference<T: ToSchema>() -> Value {
    json!({"$ref": format!("#/components/schemas/{}", T::name())})
}

fn schemas() -> Value {
    let mut all: Vec<(String, RefOr<Schema>)> = Vec::new();
    collect::<LookupRequest>(&mut all);
    collect::<LookupAnswer>(&mut all);
    collect::<OrderRequest>(&mut all);
    collect::<OrderAnswer>(&mut all);
    collect::<OrderSteps>(&mut all);
    collect::<CancelRequest>(&mut all);
    collect::<HoldRequest>(&mut all);
    collect::<HoldChangeRequest>(&mut all);
    collect::<HoldAnswer>(&mut all);
    collect::<Problem>(&mut all);
    let schemas: Map<String, Value> = all.into_iter().map(|(name, schema)| (name, json!(schema))).collect();
    Value::Object(schemas)
}

fn collect<T: ToSchema + PartialSchema>(all: &mut Vec<(String, RefOr<Schema>)>) {
    all.push((T::name().into_owned(), T::schema()));
    T::schemas(all);
}

fn headers() -> Value {
    json!({
        "X-Correlation-ID": {"description": "As sent; on an error, drawn where none was sent.",
                             "schema": {"type": "string"}, "example": "cart-8841"},
        "traceparent": {"description": "As sent.", "schema": {"type": "string"}},
        "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}, "example": 1},
    })
}

fn echoed_headers() -> Value {
    json!({
        "X-Correlation-ID": {"$ref": "#/components/headers/X-Correlation-ID"},
        "traceparent": {"$ref": "#/components/headers/traceparent"},
    })
}

fn echoed_parameters() -> Vec<Value> {
    let header = |name: &str, description: &str, example: &str| {
        json!({"name": name, "in": "header", "required": false, "description": description,
               "schema": {"type": "string"}, "example": example})
    };
    vec![
        header("X-Correlation-ID", "Up to 128 visible ASCII characters; echoed.", "cart-8841"),
        header(
            "traceparent",
            "W3C trace context, version 00; echoed.",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ]
}
