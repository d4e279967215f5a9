//! Messages of which a subject has one for ever: reviews and dispatches.
//!
//! The message-id window would let a repetition through after two minutes; "expected last sequence of the
//! subject: 0" holds as long as the message is there. Nobody owns these subjects, several nodes publish
//! the same entry, and it does not matter whose is stored.

use bytes::Bytes;
use pannier_protocol::{Encoding, StreamSequence};
use xxhash_rust::xxh3::xxh3_128;

use crate::attempt::{Attempt, Settled, Verdict};
use crate::connect::Broker;

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Created {
    Stored(StreamSequence),
    /// The subject has its message, this one or another's.
    Existed(StreamSequence),
    /// It can never be stored as it is.
    Refused {
        reason: String,
    },
    /// Not known: create it again later.
    Unsettled {
        reason: String,
    },
}

/// Publishes to `subject` of `stream` if the subject has no message yet.
pub async fn create(
    broker: &Broker,
    stream: &str,
    subject: &str,
    encoding: Encoding,
    payload: Bytes,
) -> Created {
    let attempt = Attempt {
        stream: stream.to_owned(),
        subject: subject.to_owned(),
        expected: StreamSequence(0),
        message_id: format!("{subject}-{:032x}", xxh3_128(&payload)),
        content_type: encoding.content_type(),
        payload,
    };
    let settled = attempt
        .settle(broker, |last| match last {
            None => Verdict::NotYet,
            Some(message) => Verdict::Stop(message.stream_sequence),
        })
        .await;
    match settled {
        Settled::Landed(sequence) => Created::Stored(sequence),
        Settled::Stopped(sequence) => Created::Existed(sequence),
        Settled::Refused(reason) => Created::Refused { reason },
        Settled::Unsettled(reason) => Created::Unsettled { reason },
    }
}
