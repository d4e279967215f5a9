//! The streams of one deployment: what they must be, made once by `init`, checked by everybody else.
//!
//! A server drops options that it does not know, and an operator's tool can change a stream under a running
//! deployment; either can turn "never loses a message" into "usually". So nobody creates a stream on the
//! way to something else: `init` creates, everyone reads back what the server really has and compares it
//! field by field, unknown fields included. Replicas, placement and description are the operator's.
//!
//! `created` is no identity (a stream can be made again within its precision and after a clock change):
//! the *incarnation*, drawn at `init`, is kept in the metadata of ledger and catalog. It is kept in those of
//! dispatches and history too: an order's id is derived, so the dispatches of a ledger before would stand
//! in the place of this one's.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, RetentionPolicy, Source, StorageType, SubjectTransform,
};
use pannier_protocol::Incarnation;
use pannier_protocol::limits::MESSAGE_BYTES_MAX;
use pannier_protocol::subject::Prefix;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::connect::Broker;
use crate::limits::{
    CHECKPOINT_AGE_MAX, CONFIG_ATTEMPTS_MAX, DISPATCH_AGE_MAX, DUPLICATE_WINDOW, HEADER_BYTES_MAX,
    HISTORY_AGE_MAX, MEMBER_AGE_MAX, MEMBER_BYTES_MAX, RECONNECT_DELAY_MAX,
};
use crate::stored::{ReadError, StreamInfo, stream_info};

/// Key of the incarnation in a stream's metadata.
pub const METADATA_INCARNATION: &str = "pannier.incarnation";
/// Key of the age that the stream was made with, in seconds; a stream without it keeps everything. What an operator's tool
/// shortens afterwards is lost for nodes that do not know of it.
pub const METADATA_AGE_MAX: &str = "pannier.age_max_seconds";

/// Fields that an operator may choose, and a default that means "off" for the rest.
const OPERATORS_FIELDS: [&str; 3] = ["num_replicas", "placement", "description"];

/// The streams of one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    pub prefix: Prefix,
    /// Names of the streams.
    pub ledger: String,
    pub catalog: String,
    pub review: String,
    /// What backends are asked to do.
    pub dispatch: String,
    /// The life of orders, copied from the ledger by the broker.
    pub history: String,
    /// The bucket of who is alive; its stream is named after it.
    pub members: String,
    /// The bucket of checkpoints; its stream is named after it.
    pub checkpoints: String,
    pub incarnation: Incarnation,
    pub ages: Ages,
}

/// How long entries are kept; `None`: for good. What is older is in checkpoints alone. The operator's to choose when the
/// streams are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ages {
    pub ledger: Option<Duration>,
    pub catalog: Option<Duration>,
}

/// One field of a stream that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub field: String,
    pub wanted: String,
    pub found: String,
}

/// Why the streams cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "there is no stream {stream}; run `pannier init`, which creates those that are missing and changes no other"
    )]
    Missing { stream: String },
    #[error(
        "stream {stream} is not what it must be:\n{}\ncorrect it, or start with a new prefix",
        lines(differences)
    )]
    Differs { stream: String, differences: Vec<Difference> },
    #[error(
        "stream {stream} has no {METADATA_INCARNATION} in its metadata; it was not made by `pannier init`"
    )]
    NoIncarnation { stream: String },
    #[error(
        "{ledger} belongs to incarnation {of_ledger} and {other} to {of_other}: one of them was made anew; \
         restore it, or remove all streams of this prefix and run `pannier init`"
    )]
    TwoIncarnations { ledger: String, of_ledger: Incarnation, other: String, of_other: Incarnation },
    #[error("creating stream {stream} failed: {reason}")]
    NotCreated { stream: String, reason: String },
    #[error(transparent)]
    Read(#[from] ReadError),
}

fn lines(differences: &[Difference]) -> String {
    let lines: Vec<String> = differences.iter().map(|d| format!("  {d}")).collect();
    lines.join("\n")
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: must be {}, is {}", self.field, self.wanted, self.found)
    }
}

/// Creates what is missing, then checks everything. Run again it changes nothing, so that one that was
/// broken off can be repeated.
pub async fn init(broker: &Broker, prefix: &Prefix, replicas: usize) -> Result<Streams, ConfigError> {
    init_with(broker, prefix, replicas, Ages::default()).await
}

/// The same for streams that do not keep everything.
pub async fn init_with(
    broker: &Broker,
    prefix: &Prefix,
    replicas: usize,
    ages: Ages,
) -> Result<Streams, ConfigError> {
    let mut incarnation = None;
    for name in ["LEDGER", "CATALOG"] {
        if let Some(info) = existing(broker, &prefix.stream(name)).await? {
            incarnation = incarnation.or(info.incarnation());
        }
    }
    let incarnation = incarnation.unwrap_or_else(|| draw_incarnation(broker));
    for config in configs(prefix, &incarnation, replicas, ages) {
        let stream = config.name.clone();
        let mut attempt = 1;
        while existing(broker, &stream).await?.is_none() {
            match broker.context().create_stream(config.clone()).await {
                Ok(_) => tracing::info!(stream, %incarnation, "stream created"),
                // A cluster that has just started places nothing yet; and a timeout may have created it.
                Err(error) if attempt < CONFIG_ATTEMPTS_MAX && replicas > 1 => {
                    tracing::warn!(%error, attempt, stream, "trying again");
                    attempt += 1;
                    tokio::time::sleep(RECONNECT_DELAY_MAX).await;
                }
                Err(error) => return Err(ConfigError::NotCreated { stream, reason: error.to_string() }),
            }
        }
    }
    open(broker, prefix).await
}

/// Reads every stream back and compares it with what it must be. Waits out a broker that is not ready.
pub async fn open(broker: &Broker, prefix: &Prefix) -> Result<Streams, ConfigError> {
    let [ledger, catalog] = [prefix.stream("LEDGER"), prefix.stream("CATALOG")];
    let of_ledger = incarnation_of(broker, &ledger).await?;
    let [review, dispatch, history] = ["REVIEW", "DISPATCH", "HISTORY"].map(|name| prefix.stream(name));
    for other in [&catalog, &dispatch, &history] {
        let (of_other, other) = (incarnation_of(broker, other).await?, other.clone());
        if of_ledger != of_other {
            return Err(ConfigError::TwoIncarnations { ledger, of_ledger, other, of_other });
        }
    }
    let mut ages = Ages::default();
    for (stream, age) in [(&ledger, &mut ages.ledger), (&catalog, &mut ages.catalog)] {
        *age = existing(broker, stream).await?.and_then(|info| info.age_max());
    }
    for config in configs(prefix, &of_ledger, 1, ages) {
        let stream = config.name.clone();
        let info = existing(broker, &stream).await?;
        let info = info.ok_or_else(|| ConfigError::Missing { stream: stream.clone() })?;
        let differences = differences(&wanted(&config), &info.config);
        if !differences.is_empty() {
            return Err(ConfigError::Differs { stream, differences });
        }
    }
    let [members, checkpoints] = ["MEMBERS", "CHECKPOINTS"].map(|name| prefix.stream(name));
    let (prefix, incarnation) = (prefix.clone(), of_ledger);
    Ok(Streams {
        prefix,
        ledger,
        catalog,
        review,
        dispatch,
        history,
        members,
        checkpoints,
        incarnation,
        ages,
    })
}

async fn incarnation_of(broker: &Broker, stream: &str) -> Result<Incarnation, ConfigError> {
    let info = existing(broker, stream).await?;
    let info = info.ok_or_else(|| ConfigError::Missing { stream: stream.to_owned() })?;
    info.incarnation().ok_or_else(|| ConfigError::NoIncarnation { stream: stream.to_owned() })
}

/// `None` where the stream does not exist; asks again while the broker is not ready.
async fn existing(broker: &Broker, stream: &str) -> Result<Option<StreamInfo>, ConfigError> {
    let mut attempt = 1;
    loop {
        match stream_info(broker, stream).await {
            Ok(info) => return Ok(Some(info)),
            Err(ReadError::NoStream { .. }) => return Ok(None),
            Err(error) if error.is_temporary() && attempt < CONFIG_ATTEMPTS_MAX => {
                tracing::warn!(%error, attempt, "asking again");
                attempt += 1;
                tokio::time::sleep(RECONNECT_DELAY_MAX).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// 12 hexadecimal digits, new with every call.
fn draw_incarnation(broker: &Broker) -> Incarnation {
    let drawn = xxh3_128(broker.client().new_inbox().as_bytes());
    Incarnation::new(&format!("{drawn:032x}")[..12]).expect("hexadecimal digits are an incarnation")
}

/// What each stream of the deployment must be.
fn configs(prefix: &Prefix, incarnation: &Incarnation, replicas: usize, ages: Ages) -> Vec<Config> {
    let aged = |age: Option<Duration>, mut config: Config| {
        config.max_age = age.unwrap_or(Duration::ZERO);
        let seconds = age.map(|age| (METADATA_AGE_MAX.to_owned(), age.as_secs().to_string()));
        config.metadata.extend(seconds);
        config
    };
    let metadata = HashMap::from([(METADATA_INCARNATION.to_owned(), incarnation.to_string())]);
    let durable = |name: &str, subjects: Vec<String>| Config {
        name: prefix.stream(name),
        subjects,
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_age: Duration::ZERO,
        max_message_size: (MESSAGE_BYTES_MAX + HEADER_BYTES_MAX) as i32,
        duplicate_window: DUPLICATE_WINDOW,
        deny_delete: true,
        deny_purge: true,
        allow_direct: false,
        num_replicas: replicas,
        metadata: metadata.clone(),
        ..Config::default()
    };
    vec![
        aged(ages.ledger, durable("LEDGER", prefix.ledger())),
        aged(ages.catalog, durable("CATALOG", prefix.catalog())),
        // One entry a subject, which the broker itself holds to; browsed, and cleaned up by operators.
        Config {
            max_messages_per_subject: 1,
            discard_new_per_subject: true,
            deny_delete: false,
            deny_purge: false,
            allow_direct: true,
            metadata: HashMap::new(),
            ..durable("REVIEW", prefix.review())
        },
        // Create-only holds as long as the message does: longer than an order can stay open.
        Config { max_age: DISPATCH_AGE_MAX, ..durable("DISPATCH", prefix.dispatches()) },
        Config {
            max_age: HISTORY_AGE_MAX,
            sources: Some(vec![life_of_orders(prefix)]),
            // The broker adds a header that names the origin: a limit as tight as the ledger's would end the
            // copying at the first message that fills it.
            max_message_size: (MESSAGE_BYTES_MAX + 2 * HEADER_BYTES_MAX) as i32,
            ..durable("HISTORY", Vec::new())
        },
        members(prefix, replicas),
        checkpoints(prefix, replicas),
    ]
}

/// The stream under an object store, as clients of NATS lay one out.
fn checkpoints(prefix: &Prefix, replicas: usize) -> Config {
    let bucket = prefix.stream("CHECKPOINTS");
    Config {
        name: format!("OBJ_{bucket}"),
        subjects: vec![format!("$O.{bucket}.C.>"), format!("$O.{bucket}.M.>")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_age: CHECKPOINT_AGE_MAX,
        max_message_size: -1,
        duplicate_window: DUPLICATE_WINDOW,
        allow_rollup: true,
        allow_direct: true,
        num_replicas: replicas,
        ..Config::default()
    }
}

/// The stream under a key-value bucket. On disk although all of it is said anew once a second: a broker that stands alone
/// forgets a stream in memory when it restarts, stream and all, and nodes create none.
fn members(prefix: &Prefix, replicas: usize) -> Config {
    let bucket = prefix.stream("MEMBERS");
    Config {
        name: format!("KV_{bucket}"),
        subjects: vec![format!("$KV.{bucket}.>")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: 1,
        max_consumers: -1,
        max_age: MEMBER_AGE_MAX,
        max_message_size: MEMBER_BYTES_MAX,
        duplicate_window: DUPLICATE_WINDOW,
        deny_delete: true,
        allow_rollup: true,
        allow_direct: true,
        num_replicas: replicas,
        ..Config::default()
    }
}

/// Several filters of one source are spelled as transforms; one without a destination leaves the subject as it is.
fn life_of_orders(prefix: &Prefix) -> Source {
    let same = |subject| SubjectTransform { source: subject, destination: String::new() };
    Source {
        name: prefix.stream("LEDGER"),
        subject_transforms: prefix.history().into_iter().map(same).collect(),
        ..Source::default()
    }
}

fn wanted(config: &Config) -> serde_json::Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => unreachable!("a stream configuration is a JSON object"),
    }
}

/// Every field that either side has, in order of name.
fn differences(
    wanted: &serde_json::Map<String, Value>,
    found: &serde_json::Map<String, Value>,
) -> Vec<Difference> {
    let mut fields: Vec<&String> = wanted.keys().chain(found.keys()).collect();
    fields.sort_unstable();
    fields.dedup();
    let mut differences = Vec::new();
    for field in fields {
        if OPERATORS_FIELDS.contains(&field.as_str()) {
            continue;
        }
        let (want, find) = (wanted.get(field), found.get(field));
        let same = match field.as_str() {
            "metadata" => ours(want) == ours(find),
            "subjects" => sorted(want) == sorted(find),
            _ => want == find || (is_off(want) && is_off(find)),
        };
        if !same {
            let shown = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
            differences.push(Difference { field: field.clone(), wanted: shown(want), found: shown(find) });
        }
    }
    differences
}

/// Whether a field says nothing beyond the server's default. A limit of 0 and of -1 are the same: none.
fn is_off(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::Number(number)) => matches!(number.as_i64(), Some(0 | -1)),
        Some(Value::String(text)) => matches!(text.as_str(), "" | "none" | "default"),
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Bool(true)) => false,
    }
}

/// The metadata that is Pannier's; servers add their own.
fn ours(metadata: Option<&Value>) -> Vec<(&String, &Value)> {
    let Some(Value::Object(fields)) = metadata else { return Vec::new() };
    fields.iter().filter(|(key, _)| key.starts_with("pannier.")).collect()
}

fn sorted(subjects: Option<&Value>) -> Vec<&str> {
    let list = subjects.and_then(Value::as_array);
    let mut subjects: Vec<&str> = list.into_iter().flatten().filter_map(Value::as_str).collect();
    subjects.sort_unstable();
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> serde_json::Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn check(wanted: &str, found: &str, differing: &[&str]) {
        let differences = differences(&fields(wanted), &fields(found));
        let names: Vec<&str> = differences.iter().map(|d| d.field.as_str()).collect();
        assert_eq!(names, differing, "{wanted} against {found}");
    }

    #[test]
    fn fields_are_compared_both_ways() {
        check(r#"{"discard":"new"}"#, r#"{"discard":"old"}"#, &["discard"]);
        check(r#"{"deny_purge":true}"#, "{}", &["deny_purge"]);
        check("{}", r#"{"allow_rollup_hdrs":true}"#, &["allow_rollup_hdrs"]);
        check("{}", r#"{"an_option_of_tomorrow":7}"#, &["an_option_of_tomorrow"]);
        check(r#"{"max_age":0}"#, r#"{"max_age":3600000000000}"#, &["max_age"]);
        check(r#"{"max_bytes":-1}"#, r#"{"max_bytes":0,"compression":"none"}"#, &[]);
        check(r#"{"num_replicas":1}"#, r#"{"num_replicas":3,"placement":{"tags":["a"]}}"#, &[]);
        check(r#"{"subjects":["a","b"]}"#, r#"{"subjects":["b","a"]}"#, &[]);
        check(r#"{"subjects":["a"]}"#, r#"{"subjects":["a","b"]}"#, &["subjects"]);
        let own = r#"{"metadata":{"pannier.incarnation":"a"}}"#;
        check(own, r#"{"metadata":{"pannier.incarnation":"a","_nats.level":"3"}}"#, &[]);
        check(own, r#"{"metadata":{"pannier.incarnation":"b"}}"#, &["metadata"]);
        check(own, "{}", &["metadata"]);
    }
}
