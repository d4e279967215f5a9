//! Bad input: what a publisher and a client are told, for every field. The fixtures name the fields; each is
//! given a value of another type, left out, and joined by one that does not exist. The errors are listed in
//! `fixtures/refusals.txt`; `UPDATE_EXPECT=1` writes it anew. What is well-formed and wrong: `refusals/changes.rs`
//! and `refusals/orders.rs`.

mod changes;
mod orders;

use std::collections::BTreeMap;
use std::fs;

use expect_test::expect_file;
use serde_json::{Value, json};

use self::changes::{SHARED, check_change};
use crate::api::{decode_hold, decode_lookup, decode_order};
use crate::codec::{decode, decode_envelope, encode_envelope};
use crate::limits::{LOOKUP_BYTES_MAX, LOOKUP_LINES_MAX, MESSAGE_BYTES_MAX, MESSAGE_CHANGES_MAX};
use crate::order::Dispatch;
use crate::{Change, DecodeError, Encoding, Envelope};

/// JSON pointers of everything inside a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut visit = |key: String, inner: &Value| {
        let pointer = format!("{at}/{key}");
        pointers(inner, &pointer, found);
        found.push(pointer);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| visit(key.clone(), inner)),
        Value::Array(list) => list.iter().enumerate().for_each(|(at, inner)| visit(at.to_string(), inner)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn of_another_type(value: &Value) -> Value {
    match value {
        Value::String(_) => json!(7.5),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => json!("!"),
    }
}

/// The pointer with every index as `*`: a field, wherever it stands.
fn field(pointer: &str) -> String {
    let steps = pointer.split('/').skip(1);
    let named = steps.map(|step| if step.bytes().all(|b| b.is_ascii_digit()) { "*" } else { step });
    named.collect::<Vec<_>>().join(".")
}

/// Every field of `message` with what happens when it is wrong or missing.
fn refusals(message: &Value, decode: impl Fn(&Value) -> Result<(), DecodeError>) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    let mut found = Vec::new();
    pointers(message, "", &mut found);
    for pointer in found {
        let mut wrong = message.clone();
        let target = wrong.pointer_mut(&pointer).unwrap();
        *target = of_another_type(target);
        let told = decode(&wrong).map_or_else(|error| error.to_string(), |()| "taken".to_owned());
        lines.entry(format!("{} wrong", field(&pointer))).or_insert(told);

        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let mut without = message.clone();
        if let Some(map) = without.pointer_mut(parent).unwrap().as_object_mut() {
            map.remove(key);
            let told = decode(&without).map_or_else(|error| error.to_string(), |()| "optional".to_owned());
            lines.entry(format!("{} absent", field(&pointer))).or_insert(told);
        }
        let mut more = message.clone();
        if let Some(map) = more.pointer_mut(&pointer).unwrap().as_object_mut() {
            map.insert("surprise".into(), json!(1));
            assert!(decode(&more).is_err(), "{pointer}/surprise is taken");
        }
    }
    lines
}

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1")
}

/// What is told about every field of a fixture of the API or of a work queue.
fn asked<T>(
    name: &str,
    file: &str,
    decode: impl Fn(Encoding, &[u8]) -> Result<T, DecodeError>,
) -> Vec<(String, String)> {
    let request: Value = serde_json::from_slice(&fs::read(folder().join(file)).unwrap()).unwrap();
    let decode = |request: &Value| decode(Encoding::Json, &serde_json::to_vec(request).unwrap()).map(drop);
    refusals(&request, decode).into_iter().map(|(field, told)| (format!("{name}: {field}"), told)).collect()
}

#[test]
fn every_field_has_its_error() {
    let mut lines = BTreeMap::new();
    let mut paths: Vec<_> =
        fs::read_dir(folder().join("changes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let message: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let decode = |message: &Value| {
            decode_envelope(Encoding::Json, &serde_json::to_vec(message).unwrap()).map(drop)
        };
        lines.extend(refusals(&message, decode));
    }
    lines.extend(asked("lookup", "lookup_request.json", decode_lookup));
    lines.extend(asked("order", "order_request.json", decode_order));
    lines.extend(asked("hold", "hold_request.json", decode_hold));
    lines.extend(asked("dispatch", "dispatch.json", |encoding, bytes| {
        decode::<Dispatch>(encoding, bytes, MESSAGE_BYTES_MAX)
    }));
    let listed: String = lines.iter().map(|(field, told)| format!("{field} | {told}\n")).collect();
    expect_file!["../fixtures/refusals.txt"].assert_eq(&listed);
}

#[test]
fn limits_hold_before_anything_is_made_of_the_bytes() {
    let large = vec![b' '; MESSAGE_BYTES_MAX + 1];
    let told = decode_envelope(Encoding::Json, &large);
    assert_eq!(told, Err(DecodeError::TooLarge { bytes: large.len(), max: MESSAGE_BYTES_MAX }));
    let large = vec![b' '; LOOKUP_BYTES_MAX + 1];
    let told = decode_lookup(Encoding::Json, &large);
    assert_eq!(told, Err(DecodeError::TooLarge { bytes: large.len(), max: LOOKUP_BYTES_MAX }));

    let change = r#"{"item_removed":{"item":"A"}},"#;
    let many = change.repeat(MESSAGE_CHANGES_MAX + 1);
    check_change(SHARED, many.trim_end_matches(','), "changes: more than 1024 elements; split it");
    let most = change.repeat(MESSAGE_CHANGES_MAX);
    check_change(SHARED, most.trim_end_matches(','), "ok");

    let line = r#"{"line":"1","item":"A","quantity":"1"},"#;
    let lines = |count: usize| format!(r#"{{"lines":[{}]}}"#, line.repeat(count).trim_end_matches(','));
    check_lookup(&lines(LOOKUP_LINES_MAX), "ok");
    check_lookup(&lines(LOOKUP_LINES_MAX + 1), "lines: more than 500 elements; split it");
    check_lookup(&lines(0), "lines: a basket has at least one line");
    check_lookup(&format!("{}1{}", "[".repeat(33), "]".repeat(33)), "nested deeper than 32");

    // A MessagePack list that claims four thousand million changes, in a message of a hundred bytes.
    let envelope: Envelope = serde_json::from_str(
        r#"{"version":1,"source":"a","sequence":0,"position":0,"sent_at":"2026-11-23T09:00:00Z","changes":[]}"#,
    )
    .unwrap();
    let mut bytes = encode_envelope(Encoding::MessagePack, &envelope).unwrap();
    assert_eq!(bytes.pop(), Some(0x90));
    bytes.extend([0xdd, 0xff, 0xff, 0xff, 0xff]);
    let told = decode_envelope(Encoding::MessagePack, &bytes).unwrap_err().to_string();
    assert_eq!(told, ".: claims more elements than the message has bytes (byte 64)");
}

#[track_caller]
fn check_lookup(text: &str, want: &str) {
    let told = decode_lookup(Encoding::Json, text.as_bytes());
    let told = told.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
    assert_eq!(told.split(" at line ").next().unwrap_or_default(), want, "{text}");
}

#[test]
fn lookups_say_what_is_wrong() {
    let with = |field: &str| format!(r#"{{{field},"lines":[{{"line":"1","item":"A","quantity":"1"}}]}}"#);
    for (field, want) in [
        (r#""account":"""#, "account: an id is empty; give 1 to 64 bytes"),
        (
            r#""currency":"usd""#,
            r#"currency: "usd" is no ISO 4217 currency code; write three capitals, as in "EUR""#,
        ),
        (
            r#""pricing_date":"tomorrow""#,
            r#"pricing_date: "tomorrow" is no RFC 3339 instant, as in "2026-11-23T09:00:00Z""#,
        ),
        (
            r#""at_least":"81234""#,
            r#"at_least: "81234" is no position; give back an `as_of` as it was answered, as in "7f3a.L81240.S551.P90""#,
        ),
        (
            r#""max_staleness_ms":{"price":-1}"#,
            "max_staleness_ms.price: invalid value: integer `-1`, expected u64",
        ),
        (
            r#""acount":"A""#,
            "acount: unknown field `acount`, expected one of `account`, `ship_to`, `currency`, `channel`, `pricing_date`, `max_staleness_ms`, `at_least`, `include`, `priority`, `lines`",
        ),
        (r#""account":"A","account":"B""#, ".: duplicate field `account`"),
    ] {
        check_lookup(&with(field), want);
    }
    let line = |fields: &str| format!(r#"{{"lines":[{{{fields}}}]}}"#);
    check_lookup(
        &line(r#""line":"","item":"A","quantity":"1""#),
        "lines[0].line: 1 to 64 bytes name the line",
    );
    let requested = line(r#""line":"1","item":"A","quantity":"1","requested_date":"23.11.2026""#);
    check_lookup(&requested, r#"lines[0].requested_date: "23.11.2026" is no date, as in "2026-11-23""#);
    // What is no quantity is told on its line.
    for quantity in
        ["\"\"", "\"-1\"", "\"0\"", "\"1e3\"", "5", "-5", "1.5", "true", "null", "99999999999999999999"]
    {
        let request = line(&format!(r#""line":"1","item":"A","quantity":{quantity}"#));
        let request = decode_lookup(Encoding::Json, request.as_bytes()).unwrap();
        assert!(matches!(request.lines[0].quantity, crate::api::RequestedQuantity::Invalid(_)), "{quantity}");
    }
}

#[test]
fn messagepack_has_one_form() {
    let told = |value: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        value(&mut bytes);
        let change = decode::<Change>(Encoding::MessagePack, &bytes, MESSAGE_BYTES_MAX);
        change.map_or_else(|error| error.to_string(), |change| format!("{change:?}"))
    };
    let kind = b"\x81\xacitem_removed";
    assert_eq!(
        told(&|b| b.extend([kind, &b"\x81\xa4item\xa1A"[..]].concat())),
        r#"ItemRemoved(ItemRemoved { item: "A" })"#
    );
    // The field by its number, the id as binary, the kind by its number.
    assert_eq!(
        told(&|b| b.extend([kind, &b"\x81\x00\xa1A"[..]].concat())),
        ".: a map's keys are text (byte 15)"
    );
    assert_eq!(
        told(&|b| b.extend([kind, &b"\x81\xa4item\xc4\x01A"[..]].concat())),
        ".: binary has no meaning here; text is a string (byte 20)"
    );
    assert_eq!(told(&|b| b.extend(b"\x81\x0d\x81\xa4item\xa1A")), ".: a map's keys are text (byte 1)");
    // Decimals are integers, and no text.
    let safety = |quantity: &[u8]| {
        [b"\x81\xaasafety_set\x84\xa4item\xa1A\xa9warehouse\xa1W\xa3uom\xa1E\xa8quantity", quantity].concat()
    };
    assert!(told(&|b| b.extend(safety(b"\x01"))).contains("quantity: 0.000001"));
    let text = told(&|b| b.extend(safety(b"\xa11")));
    assert_eq!(
        text,
        "safety_set.quantity: invalid type: string \"1\", expected a decimal as an integer of millionths"
    );
    let wide = told(&|b| b.extend(safety(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff")));
    assert_eq!(wide, "safety_set.quantity: out of range; the largest is 9223372036854.775807");
}
