//! The documented requests: one for each rule that the showcase shows, with what must be in the answer.
//!
//! An answer also carries what moves (positions, ages, dates); so the documented one is a part of it, and
//! is compared as such: every key that it has must be there with that value, lists element by element.

use std::path::Path;

use anyhow::Context;
use pannier_protocol::Encoding;
use pannier_protocol::api::{LookupRequest, decode_lookup};
use serde::Deserialize;
use serde_json::Value;

/// One file of `requests/`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documented {
    /// Its file's name without the extension.
    #[serde(skip)]
    pub name: String,
    /// As numbered in the semantics of price (1) and availability (2).
    pub rule: String,
    /// One sentence for people.
    pub shows: String,
    /// Body of `POST /v1/price-availability`.
    pub request: Value,
    #[serde(default = "ok")]
    pub status: u16,
    pub answer: Value,
}

fn ok() -> u16 {
    200
}

impl Documented {
    /// The one that `up` shows and `--check` sends.
    pub fn first() -> anyhow::Result<Self> {
        let documented: Self = serde_json::from_str(include_str!("requests/01-contract.json"))?;
        Ok(Self { name: "01-contract".to_owned(), ..documented })
    }

    /// The request as its type, whose fields are in the documented order.
    pub fn body(&self) -> anyhow::Result<LookupRequest> {
        Ok(decode_lookup(Encoding::Json, &serde_json::to_vec(&self.request)?)?)
    }

    /// All of a folder, in order of their names.
    pub fn read_all(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            let documented: Self =
                serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            all.push(Self { name, ..documented });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }
}

/// Where `got` lacks what is documented; `None`: nowhere.
pub fn difference(documented: &Value, got: &Value) -> Option<String> {
    differs_at("answer", documented, got)
}

fn differs_at(path: &str, documented: &Value, got: &Value) -> Option<String> {
    match (documented, got) {
        (Value::Object(documented), Value::Object(got)) => documented.iter().find_map(|(key, value)| {
            differs_at(&format!("{path}.{key}"), value, got.get(key).unwrap_or(&Value::Null))
        }),
        (Value::Array(documented), Value::Array(got)) if documented.len() == got.len() => documented
            .iter()
            .zip(got)
            .enumerate()
            .find_map(|(at, (value, got))| differs_at(&format!("{path}[{at}]"), value, got)),
        (documented, got) if documented == got => None,
        (documented, got) => Some(format!("{path} is {got}, documented is {documented}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_documented_answer_is_a_part() {
        let got = json!({"a": 1, "list": [{"x": "1", "y": 2}], "moves": "now"});
        for (documented, want) in [
            (json!({"a": 1}), None),
            (json!({"list": [{"x": "1"}], "none": null}), None),
            (json!({"a": 2}), Some("answer.a is 1, documented is 2")),
            (json!({"list": []}), Some("answer.list is [{\"x\":\"1\",\"y\":2}], documented is []")),
            (json!({"list": [{"x": "2"}]}), Some("answer.list[0].x is \"1\", documented is \"2\"")),
            (json!({"b": 1}), Some("answer.b is null, documented is 1")),
        ] {
            assert_eq!(difference(&documented, &got).as_deref(), want);
        }
    }

    #[test]
    fn every_documented_request_is_one() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sample/requests");
        let all = Documented::read_all(&folder).unwrap();
        assert!(all.len() >= 40);
        for documented in all {
            assert!(documented.body().is_ok(), "{}: {:?}", documented.name, documented.body());
        }
    }
}
