//! The paths of orders and holds.

use pannier_protocol::api::{
    CancelRequest, ErrorCode, HoldAnswer, HoldChangeRequest, HoldRequest, OrderAnswer, OrderRequest,
    OrderSteps,
};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{both_encodings, echoed_headers, echoed_parameters, examples, refusals};

/// What every act can be refused with.
const ACT_CODES: [ErrorCode; 14] = [
    ErrorCode::InvalidRequest,
    ErrorCode::IdempotencyKeyMissing,
    ErrorCode::Unauthenticated,
    ErrorCode::UnknownAccount,
    ErrorCode::UnknownOrder,
    ErrorCode::NotAcceptable,
    ErrorCode::AccountBlocked,
    ErrorCode::TooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::KeyReused,
    ErrorCode::TooManyRequests,
    ErrorCode::Internal,
    ErrorCode::NotReady,
    ErrorCode::LedgerUnavailable,
];
const SHOW_CODES: [ErrorCode; 5] = [
    ErrorCode::Unauthenticated,
    ErrorCode::UnknownOrder,
    ErrorCode::NotAcceptable,
    ErrorCode::Internal,
    ErrorCode::NotReady,
];

const EVENTS_CODES: [ErrorCode; 8] = [
    ErrorCode::InvalidRequest,
    ErrorCode::Unauthenticated,
    ErrorCode::UnknownOrder,
    ErrorCode::NotAcceptable,
    ErrorCode::TooManyRequests,
    ErrorCode::Internal,
    ErrorCode::Behind,
    ErrorCode::NotReady,
];

pub(super) fn orders() -> Value {
    let pending = "Sent to the ledger and not judged in time: ask at `Location`.";
    json!({"post": act::<OrderAnswer>(
        "place_order",
        "Places an order",
        "Judged in one step with the reservation of its stock, in the same way by every node. A judged order is 201 \
         whatever the verdict; the same key and request get the same answer for 7 days. A `price_hold` that this \
         deployment did not sign is 400; one that is over or of another line is judged, and never priced silently.",
        (None, Some(both_encodings::<OrderRequest>(&examples::order_request()))),
        &[("201", "Durable and judged."), ("202", pending)],
        &examples::order_answer(),
    )})
}

pub(super) fn order() -> Value {
    json!({"get": shown::<OrderAnswer>("order", "Where an order stands", "order", &examples::order_answer())})
}

pub(super) fn order_events() -> Value {
    let steps = examples::order_steps();
    let mut operation = shown::<OrderSteps>("order_events", "The life of an order", "order", &steps);
    operation["description"] = json!(
        "Steps as they are kept: the first and the last of a long life. With `Accept: text/event-stream` they come as \
         server-sent events, the ones to come too: `id` is the step's, which is the same on every node, `data` the step \
         as JSON. With `Last-Event-ID` exactly the steps after that one come, from any node. A comment every 15 s says \
         that the stream is alive. It ends when nothing can follow any more; behind the last step of such an order the \
         answer is 204, and browsers stop asking."
    );
    let mut responses = refusals(&EVENTS_CODES);
    responses.insert("200".to_owned(), operation["responses"]["200"].take());
    let step = steps["steps"][0].clone();
    let frame = format!("id: {}\ndata: {step}\n\n", step["id"].as_str().unwrap_or_default());
    responses["200"]["content"]["text/event-stream"] =
        json!({"schema": {"type": "string"}, "example": frame});
    responses.insert("204".to_owned(), json!({
        "description": "Nothing can follow the step named by `Last-Event-ID`.", "headers": echoed_headers(),
    }));
    operation["responses"] = Value::Object(responses);
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "Of server-sent events: the `id` of the last one that arrived.",
            "schema": {"type": "string"}, "example": "81234.0",
        }));
    }
    json!({"get": operation})
}

pub(super) fn order_cancel() -> Value {
    json!({"post": act::<OrderAnswer>(
        "cancel_order",
        "Takes an order back",
        "An order that its backend may have already is cancelled there: `cancel_asked` until it answers.",
        (Some("order"), Some(both_encodings::<CancelRequest>(&json!({"reason": "ordered twice"})))),
        &[("200", "Judged."), ("202", "Sent to the ledger and not judged in time.")],
        &examples::order_answer(),
    )})
}

pub(super) fn holds() -> Value {
    json!({"post": act::<HoldAnswer>(
        "place_hold",
        "Keeps stock for an account until a moment",
        "All lines whole or none, unless `partial`. An order that names the hold takes its stock over in one step.",
        (None, Some(both_encodings::<HoldRequest>(&examples::hold_request()))),
        &[("201", "Durable and judged."), ("202", "Sent to the ledger and not judged in time.")],
        &examples::hold_answer(),
    )})
}

pub(super) fn hold() -> Value {
    let done = [("200", "Judged."), ("202", "Sent to the ledger and not judged in time.")];
    let change = both_encodings::<HoldChangeRequest>(&json!({"keep": {"1": "4"}}));
    let answer = examples::hold_answer();
    json!({
        "get": shown::<HoldAnswer>("hold", "What is held", "hold", &answer),
        "patch": act::<HoldAnswer>("change_hold", "Moves a hold's end, or gives a part of it back",
            "Ends are absolute: a repeated request extends once.", (Some("hold"), Some(change)), &done, &answer),
        "delete": act::<HoldAnswer>("release_hold", "Gives a hold back", "", (Some("hold"), None), &done, &answer),
    })
}

/// `path`: what the path names; `body`: what is sent.
fn act<A: ToSchema>(
    id: &str,
    summary: &str,
    description: &str,
    (path, body): (Option<&str>, Option<Value>),
    outcomes: &[(&str, &str)],
    example: &Value,
) -> Value {
    let mut responses = refusals(&ACT_CODES);
    for (status, description) in outcomes {
        let content = both_encodings::<A>(example);
        let response = json!({"description": description, "headers": echoed_headers(), "content": content});
        responses.insert((*status).to_owned(), response);
    }
    let mut parameters = echoed_parameters();
    parameters.extend(path.map(named));
    parameters.push(json!({
        "name": "Idempotency-Key", "in": "header", "required": true,
        "description": "Drawn once for this act and sent with every attempt at it.",
        "schema": {"type": "string", "maxLength": 64}, "example": "cart-8841-1",
    }));
    let mut operation = json!({
        "operationId": id, "summary": summary, "description": description, "parameters": parameters,
        "responses": responses,
    });
    if let Some(content) = body {
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

fn shown<A: ToSchema>(id: &str, summary: &str, named_by: &str, example: &Value) -> Value {
    let mut responses = refusals(&SHOW_CODES);
    let content = both_encodings::<A>(example);
    let response = json!({"description": summary, "headers": echoed_headers(), "content": content});
    responses.insert("200".to_owned(), response);
    let mut parameters = echoed_parameters();
    parameters.push(named(named_by));
    json!({"operationId": id, "summary": summary, "parameters": parameters, "responses": responses})
}

fn named(name: &str) -> Value {
    json!({
        "name": name, "in": "path", "required": true, "description": "As it was answered.",
        "schema": {"type": "string"}, "example": examples::ORDER,
    })
}
