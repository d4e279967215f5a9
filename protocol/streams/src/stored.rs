//! What a stream holds, as its leader says. Direct gets are not used: a replica may be far behind, and
//! every decision taken from these reads (did my publish land, is my position still there) needs the
//! present.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::RequestErrorKind;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{LastRawMessageError, LastRawMessageErrorKind};
use bytes::Bytes;
use pannier_protocol::{Incarnation, StreamSequence, Timestamp};
use xxhash_rust::xxh3::Xxh3;

use crate::config::{METADATA_AGE_MAX, METADATA_INCARNATION};
use crate::connect::Broker;

/// The header that says how a payload is encoded; without it, MessagePack.
pub const CONTENT_TYPE: &str = "Content-Type";

/// A message of a stream.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Full, with the prefix.
    pub subject: String,
    pub stream_sequence: StreamSequence,
    /// The leader's clock when it was stored.
    pub stream_time: Timestamp,
    pub headers: HeaderMap,
    pub payload: Bytes,
}

/// XXH3-128 of subject and payload: tells whether a stream still holds the message that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredDigest(pub u128);

impl StoredDigest {
    pub fn of(subject: &str, payload: &[u8]) -> Self {
        let mut hash = Xxh3::new();
        hash.update(subject.as_bytes());
        hash.update(&[0]);
        hash.update(payload);
        Self(hash.digest128())
    }
}

impl Stored {
    pub fn digest(&self) -> StoredDigest {
        StoredDigest::of(&self.subject, &self.payload)
    }

    /// The text of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

/// A stream's configuration as the server has it, and what it holds.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    /// Raw, so that fields which this client does not know are seen too.
    pub config: serde_json::Map<String, serde_json::Value>,
    pub messages: u64,
    /// 0 where nothing was ever stored.
    pub first: StreamSequence,
    /// When it was stored; `None` where nothing is there.
    pub first_time: Option<Timestamp>,
    pub last: StreamSequence,
    /// The server's clock when it answered.
    pub broker_time: Option<Timestamp>,
}

impl StreamInfo {
    /// How many servers hold the stream.
    pub fn replicas(&self) -> Option<u64> {
        self.config.get("num_replicas")?.as_u64()
    }

    /// How long messages were to be kept when the stream was made; `None`: for good.
    pub fn age_max(&self) -> Option<Duration> {
        let seconds = self.config.get("metadata")?.get(METADATA_AGE_MAX)?.as_str()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// The life of the ledger that the stream belongs to; `None` where nobody wrote it there.
    pub fn incarnation(&self) -> Option<Incarnation> {
        Incarnation::new(self.config.get("metadata")?.get(METADATA_INCARNATION)?.as_str()?).ok()
    }
}

/// Why the leader's answer is not known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    #[error("there is no stream {stream}")]
    NoStream { stream: String },
    /// Nobody answered in time: broker down, no leader, no permission.
    #[error("reading stream {stream}: {reason}")]
    Unanswered { stream: String, reason: String },
    #[error("reading stream {stream} was refused: {reason} ({code})")]
    Refused { stream: String, code: u64, reason: String },
}

impl ReadError {
    /// Whether asking again can help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unanswered { .. } => true,
            Self::NoStream { .. } => false,
            // JetStream not (yet) available, no leader, or overloaded.
            Self::Refused { code, .. } => matches!(code, 10_008 | 10_009 | 10_039 | 10_167),
        }
    }

    fn of(stream: &str, error: &async_nats::jetstream::Error) -> Self {
        let stream = stream.to_owned();
        if error.error_code() == ErrorCode::STREAM_NOT_FOUND {
            return Self::NoStream { stream };
        }
        Self::Refused { stream, code: error.error_code().0, reason: error.to_string() }
    }
}

/// Configuration and state of `stream`.
pub async fn stream_info(broker: &Broker, stream: &str) -> Result<StreamInfo, ReadError> {
    let subject = format!("STREAM.INFO.{stream}");
    let answer = broker.context().request(subject, &serde_json::json!({})).await;
    let info: serde_json::Value = match answer {
        Ok(Response::Ok(info)) => info,
        Ok(Response::Err { error }) => return Err(ReadError::of(stream, &error)),
        Err(error) => {
            let reason = match error.kind() {
                RequestErrorKind::NoResponders => "JetStream is not available there".to_owned(),
                RequestErrorKind::TimedOut | RequestErrorKind::InvalidSubject | RequestErrorKind::Other => {
                    error.to_string()
                }
            };
            return Err(ReadError::Unanswered { stream: stream.to_owned(), reason });
        }
    };
    let config = info["config"].as_object().cloned().unwrap_or_default();
    let number = |name: &str| info["state"][name].as_u64().unwrap_or_default();
    Ok(StreamInfo {
        config,
        messages: number("messages"),
        first: StreamSequence(number("first_seq")),
        first_time: info["state"]["first_ts"]
            .as_str()
            .filter(|_| number("messages") > 0)
            .and_then(|text| Timestamp::parse(text).ok()),
        last: StreamSequence(number("last_seq")),
        broker_time: info["ts"].as_str().and_then(|text| Timestamp::parse(text).ok()),
    })
}

/// The last message of one subject; `None` where there is none.
pub async fn last_message(broker: &Broker, stream: &str, subject: &str) -> Result<Option<Stored>, ReadError> {
    let handle = broker.context().get_stream_no_info(stream).await;
    let handle = handle.map_err(|error| unanswered(stream, &error))?;
    found(stream, handle.get_last_raw_message_by_subject(subject).await)
}

/// The message at a sequence of the stream; `None` where it is not (aged out, deleted, never there).
pub async fn message_at(
    broker: &Broker,
    stream: &str,
    sequence: StreamSequence,
) -> Result<Option<Stored>, ReadError> {
    let handle = broker.context().get_stream_no_info(stream).await;
    let handle = handle.map_err(|error| unanswered(stream, &error))?;
    found(stream, handle.get_raw_message(sequence.0).await)
}

/// The first message at or after a sequence whose subject matches `subject`, wildcards allowed; `None` past the last.
pub async fn next_message(
    broker: &Broker,
    stream: &str,
    subject: &str,
    from: StreamSequence,
) -> Result<Option<Stored>, ReadError> {
    let handle = broker.context().get_stream_no_info(stream).await;
    let handle = handle.map_err(|error| unanswered(stream, &error))?;
    found(stream, handle.get_first_raw_message_by_subject(subject, from.0).await)
}

/// The last stream sequence of each subject, in the order asked for; `None` for a subject without one.
pub async fn last_sequences(
    broker: &Broker,
    stream: &str,
    subjects: &[String],
) -> Result<Vec<Option<StreamSequence>>, ReadError> {
    let mut sequences = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let last = last_message(broker, stream, subject).await?;
        sequences.push(last.map(|message| message.stream_sequence));
    }
    Ok(sequences)
}

fn unanswered(stream: &str, error: &dyn std::error::Error) -> ReadError {
    ReadError::Unanswered { stream: stream.to_owned(), reason: error.to_string() }
}

fn found(
    stream: &str,
    answer: Result<StreamMessage, LastRawMessageError>,
) -> Result<Option<Stored>, ReadError> {
    let message = match answer {
        Ok(message) => message,
        Err(error) => {
            return match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(cause)
                    if cause.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
                {
                    Ok(None)
                }
                LastRawMessageErrorKind::JetStream(cause) => Err(ReadError::of(stream, &cause)),
                LastRawMessageErrorKind::InvalidSubject | LastRawMessageErrorKind::Other => {
                    Err(unanswered(stream, &error))
                }
            };
        }
    };
    Ok(Some(Stored {
        subject: message.subject.to_string(),
        stream_sequence: StreamSequence(message.sequence),
        stream_time: timestamp(message.time),
        headers: message.headers,
        payload: message.payload,
    }))
}

/// Whole milliseconds, towards the past.
pub(crate) fn timestamp(time: time::OffsetDateTime) -> Timestamp {
    let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
    Timestamp::from_millis(i64::try_from(millis).unwrap_or_default())
}
