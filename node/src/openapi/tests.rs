use std::collections::BTreeSet;

use pannier_protocol::Encoding;
use pannier_protocol::api::{decode_hold, decode_lookup, decode_order};

use super::*;

fn parsed() -> Value {
    serde_json::from_slice(&document()).unwrap()
}

/// Calls `visit` with every object of the document.
fn walk(value: &Value, visit: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(fields);
            fields.values().for_each(|value| walk(value, visit));
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_route_and_method_is_documented_and_nothing_else() {
    let document = parsed();
    let paths = document["paths"].as_object().unwrap();
    let documented: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
    assert_eq!(documented, Route::ALL.into_iter().map(Route::path).collect());
    for route in Route::ALL {
        let methods: Vec<String> = paths[route.path()].as_object().unwrap().keys().cloned().collect();
        let allowed = route.allow().to_lowercase();
        let allowed: Vec<&str> = allowed.split(", ").filter(|method| *method != "head").collect();
        assert_eq!(methods, allowed, "{}", route.path());
    }
}

#[test]
fn every_reference_points_at_something() {
    let document = parsed();
    let mut references = BTreeSet::new();
    walk(&document, &mut |fields| {
        references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
    });
    assert!(references.contains("#/components/schemas/LookupRequest"));
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} points at nothing");
    }
}

#[test]
fn every_code_is_documented_where_it_can_happen() {
    let document = parsed();
    let mut documented = BTreeSet::new();
    walk(&document["paths"], &mut |fields| {
        let Some(examples) = fields.get("examples").and_then(Value::as_object) else { return };
        for (name, example) in examples {
            let problem: Problem = serde_json::from_value(example["value"].clone()).unwrap();
            assert_eq!(problem.code.as_str(), name);
            documented.insert(problem.code);
        }
    });
    for code in ErrorCode::ALL {
        assert_eq!(documented.contains(&code), answered_today(code), "{}", code.as_str());
    }
    let schema = document["components"]["schemas"]["ErrorCode"]["enum"].as_array().unwrap();
    let named: Vec<&str> = schema.iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!(named, ErrorCode::ALL.map(ErrorCode::as_str));
}

/// The two of wrong paths belong to no path, and a request whose first is still running waits for its verdict.
fn answered_today(code: ErrorCode) -> bool {
    match code {
        ErrorCode::InvalidRequest
        | ErrorCode::Unauthenticated
        | ErrorCode::UnknownAccount
        | ErrorCode::NotAcceptable
        | ErrorCode::AccountBlocked
        | ErrorCode::TooLarge
        | ErrorCode::UnsupportedMediaType
        | ErrorCode::TooManyRequests
        | ErrorCode::Internal
        | ErrorCode::Behind
        | ErrorCode::NotReady
        | ErrorCode::IdempotencyKeyMissing
        | ErrorCode::UnknownOrder
        | ErrorCode::KeyReused
        | ErrorCode::LedgerUnavailable => true,
        ErrorCode::NotFound | ErrorCode::MethodNotAllowed | ErrorCode::InProgress => false,
    }
}

#[test]
fn examples_are_what_the_types_read() {
    let request = examples::request().to_string();
    decode_lookup(Encoding::Json, request.as_bytes()).unwrap();
    let answer: LookupAnswer = serde_json::from_value(examples::answer()).unwrap();
    assert_eq!(json!(answer), examples::answer());
    decode_order(Encoding::Json, examples::order_request().to_string().as_bytes()).unwrap();
    decode_hold(Encoding::Json, examples::hold_request().to_string().as_bytes()).unwrap();
    let order: OrderAnswer = serde_json::from_value(examples::order_answer()).unwrap();
    assert_eq!(json!(order), examples::order_answer());
    let hold: HoldAnswer = serde_json::from_value(examples::hold_answer()).unwrap();
    assert_eq!(json!(hold), examples::hold_answer());
    let steps: OrderSteps = serde_json::from_value(examples::order_steps()).unwrap();
    assert_eq!(json!(steps), examples::order_steps());
    let query: Vec<String> =
        PARAMETERS.iter().map(|(name, _)| format!("{name}={}", examples::parameter(name))).collect();
    assert!(query.iter().all(|pair| !pair.ends_with('=')), "{query:?}");
    crate::http::query::lookup_of("SKU-4711", &query.join("&")).unwrap();
}

#[test]
fn every_operation_has_a_summary_and_every_body_an_example() {
    let document = parsed();
    walk(&document["paths"], &mut |fields| {
        if fields.contains_key("responses") {
            assert!(fields.contains_key("summary"), "{fields:?}");
        }
        if let Some(content) = fields.get("content").and_then(Value::as_object) {
            for (kind, body) in content.iter().filter(|(kind, _)| *kind != "application/msgpack") {
                assert!(body.get("example").or(body.get("examples")).is_some(), "{kind}: {body}");
            }
        }
    });
}
