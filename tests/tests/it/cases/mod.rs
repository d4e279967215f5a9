//! The worked baskets of `tests/cases`, through the same doors as in a node: changes as JSON messages into the
//! fold, requests as JSON into the lookup, answers as JSON out of it. `tests/cases/README.md` says what the
//! files mean.

mod publisher;

use std::path::{Path, PathBuf};

use pannier_core::lookup::{Caller, Lookup, LookupRefusal};
use pannier_protocol::api::{ErrorCode, LookupAnswer, decode_lookup};
use pannier_protocol::{Encoding, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use publisher::Publisher;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    now: String,
    changes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    #[serde(default)]
    changes: String,
    caught_up_to: Option<String>,
    basket: Vec<Basket>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Basket {
    now: Option<String>,
    caught_up_to: Option<String>,
    #[serde(default)]
    changes: String,
    request: String,
    answer: Option<String>,
    refusal: Option<String>,
    #[serde(default)]
    reviews: usize,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn worked_baskets_are_answered_as_derived() {
    let world: World = read(&folder().join("world.toml"));
    let paths = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let is_case =
        |path: &PathBuf| path.extension().is_some_and(|e| e == "toml") && !path.ends_with("world.toml");
    let mut paths: Vec<_> = paths.filter(is_case).collect();
    paths.sort();
    let mut wrong = Vec::new();
    let mut answered = 0;
    for path in &paths {
        let case: Case = read(path);
        assert!(case.basket.len() >= 2, "rule {} has fewer than two baskets", case.rule);
        for (at, basket) in case.basket.iter().enumerate() {
            answered += 1;
            if let Err(difference) = run(&world, &case, basket) {
                let name = path.file_name().unwrap().to_string_lossy();
                wrong.push(format!("{name}, basket {}: {difference}", at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {answered} baskets:\n{}", wrong.len(), wrong.join("\n"));
    assert!(paths.len() >= 30, "{} case files", paths.len());
}

fn run(world: &World, case: &Case, basket: &Basket) -> Result<(), String> {
    let published = Timestamp::parse(&world.now).unwrap();
    let mut publisher = Publisher::new(published);
    for changes in [&world.changes, &case.changes, &basket.changes] {
        changes.lines().filter(|line| !line.trim().is_empty()).for_each(|line| publisher.line(line));
    }
    let now = basket.now.as_deref().map_or(published, |now| Timestamp::parse(now).unwrap());
    match basket.caught_up_to.as_deref().or(case.caught_up_to.as_deref()) {
        Some("never") => {}
        Some(instant) => publisher.tick(Timestamp::parse(instant).unwrap()),
        None => publisher.tick(now),
    }
    let request = decode_lookup(Encoding::Json, basket.request.as_bytes()).unwrap();
    let (ledger, catalog) = (publisher.ledger.reader(), publisher.catalog.reader());
    let lookup = Lookup { ledger: &ledger, catalog: &catalog, dictionary: &publisher.dictionary };
    let answer = lookup.answer(&request, now, Caller { may_explain: true });
    if publisher.reviews.len() != basket.reviews {
        return Err(format!("{} reviews are wanted, not {:?}", basket.reviews, publisher.reviews));
    }
    compare(answer, basket)
}

fn compare(answer: Result<LookupAnswer, LookupRefusal>, basket: &Basket) -> Result<(), String> {
    match (answer, &basket.answer, &basket.refusal) {
        (Ok(answer), Some(wanted), None) => {
            let wanted: Value = serde_json::from_str(wanted).unwrap();
            differ("answer", &wanted, &serde_json::to_value(&answer).unwrap())
        }
        (Err(refusal), None, Some(wanted)) => {
            let code = match refusal {
                LookupRefusal::UnknownAccount => ErrorCode::UnknownAccount,
                LookupRefusal::AccountBlocked => ErrorCode::AccountBlocked,
                LookupRefusal::InvalidRequest { .. } => ErrorCode::InvalidRequest,
            };
            if code.as_str() == wanted {
                Ok(())
            } else {
                Err(format!("{wanted} is wanted, not {}", code.as_str()))
            }
        }
        (Ok(answer), ..) => {
            Err(format!("a refusal is wanted, not {}", serde_json::to_string(&answer).unwrap()))
        }
        (Err(refusal), ..) => Err(format!("an answer is wanted, not: {refusal}")),
    }
}

/// Where `found` lacks something that is `wanted`.
fn differ(path: &str, wanted: &Value, found: &Value) -> Result<(), String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().try_for_each(|(key, value)| {
            differ(&format!("{path}.{key}"), value, found.get(key).unwrap_or(&Value::Null))
        }),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let pairs = wanted.iter().zip(found).enumerate();
            pairs
                .into_iter()
                .try_for_each(|(at, (wanted, found))| differ(&format!("{path}[{at}]"), wanted, found))
        }
        _ if wanted == found => Ok(()),
        _ => Err(format!("{path} is {found}; {wanted} is wanted")),
    }
}
