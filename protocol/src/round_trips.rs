//! Values that no fixture has: fixtures with their leaves changed at random, and bytes that nobody meant.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::api::decode_lookup;
use crate::codec::{decode_envelope, encode, encode_envelope};
use crate::{Decimal, Encoding, Envelope, LocalDate, Timestamp};

fn read(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1");
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn messages() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1/changes");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".json")).collect();
    names.sort();
    names.iter().map(|name| read(&format!("changes/{name}"))).collect()
}

static MESSAGES: LazyLock<Vec<Value>> = LazyLock::new(messages);

fn leaves<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::Object(map) => map.values_mut().for_each(|inner| leaves(inner, found)),
        Value::Array(list) => list.iter_mut().for_each(|inner| leaves(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(value),
    }
}

/// What may stand where `old` stands: of the same type, as far as its look tells.
fn like(old: &Value, text: &str, number: i64) -> Value {
    match old {
        Value::Number(_) => json!(number.unsigned_abs()),
        Value::Bool(_) => json!(number % 2 == 0),
        Value::String(old) if Decimal::parse(old).is_ok() => json!(Decimal::from_micros(number).to_string()),
        Value::String(old) if Timestamp::parse(old).is_ok() => {
            json!(Timestamp::from_millis(number % 250_000_000_000_000).to_string())
        }
        Value::String(old) if LocalDate::parse(old).is_ok() => {
            let day = LocalDate::parse("2026-11-23").unwrap().plus_days((number % 100_000) as i32).unwrap();
            json!(day.to_string())
        }
        Value::String(_) => json!(text),
        Value::Null | Value::Array(_) | Value::Object(_) => old.clone(),
    }
}

/// `changes` are (which leaf, text, number).
fn changed(mut value: Value, changes: &[(usize, String, i64)]) -> Vec<u8> {
    let mut found = Vec::new();
    leaves(&mut value, &mut found);
    for (at, text, number) in changes {
        let count = found.len();
        let leaf = &mut found[at % count];
        **leaf = like(leaf, text, *number);
    }
    serde_json::to_vec(&value).unwrap()
}

fn check(envelope: &Envelope) -> Result<(), TestCaseError> {
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let bytes = encode_envelope(encoding, envelope).unwrap();
        let again = decode_envelope(encoding, &bytes);
        prop_assert_eq!(again.as_ref(), Ok(envelope));
        prop_assert_eq!(again.map(|again| again.digest()), Ok(envelope.digest()));
    }
    Ok(())
}

fn leaf_changes() -> impl Strategy<Value = Vec<(usize, String, i64)>> {
    prop::collection::vec((any::<usize>(), "\\PC{1,12}|[\"\\\\/é東\u{1F529}]{1,4}", any::<i64>()), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_survive_both_encodings(which: prop::sample::Index, changes in leaf_changes()) {
        let bytes = changed(which.get(&MESSAGES).clone(), &changes);
        if let Ok(envelope) = decode_envelope(Encoding::Json, &bytes) {
            check(&envelope)?;
        }
    }

    #[test]
    fn lookups_survive_both_encodings(changes in leaf_changes()) {
        let bytes = changed(read("lookup_request.json"), &changes);
        if let Ok(request) = decode_lookup(Encoding::Json, &bytes) {
            for encoding in [Encoding::Json, Encoding::MessagePack] {
                let bytes = encode(encoding, &request).unwrap();
                let again = decode_lookup(encoding, &bytes);
                prop_assert_eq!(again.as_ref(), Ok(&request));
            }
        }
    }

    /// Bytes damaged on the way are refused, or are another message; they are never a panic.
    #[test]
    fn damaged_bytes_are_refused_or_mean_something(
        which: prop::sample::Index,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let json = serde_json::to_vec(which.get(&MESSAGES)).unwrap();
        let envelope = decode_envelope(Encoding::Json, &json).unwrap();
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let mut bytes = encode_envelope(encoding, &envelope).unwrap();
            for (at, byte) in &damage {
                *at.get_mut(&mut bytes) = *byte;
            }
            if let Ok(other) = decode_envelope(encoding, &bytes) {
                check(&other)?;
            }
        }
    }

    #[test]
    fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_envelope(Encoding::MessagePack, &bytes).is_err());
        prop_assert!(decode_envelope(Encoding::Json, &bytes).is_err());
    }
}
