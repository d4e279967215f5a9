//! One publish with one expectation, repeated until it is known what became of it.
//!
//! A timeout or a broken connection means *unknown*: the message may have been stored, may be on its way,
//! may go out after a reconnect. Taking it for a failure and sending something else doubles or loses data.
//! So an attempt never changes: same bytes, same message id, same expected last sequence of the subject.
//! However often it is sent, the broker stores it at most once, and after anything but an acknowledgement
//! the subject's last message is read from the leader to see who got the place.
//!
//! The client's own publish maps most refusals to one "other" kind, so the request is made here and the
//! error code read from the answer. What the codes mean:
//!
//! | code | meaning | then |
//! |---|---|---|
//! | 10071 | wrong last sequence of the subject | read |
//! | 10164 | the same, with a publish to that subject still in flight in the cluster | wait, read |
//! | 10158 | the same message id is still in flight | wait, read |
//! | 10167 | too many requests | wait longer, read |
//! | 10077 | the store failed or is full: unknown | wait, read |
//! | none in time | unknown | read |
//! | no responders | election, restart, no JetStream | wait, send again |
//! | 10052, 10054, 10057, 10060, 10076, 10109 | invalid, too large, another stream, sealed | refused for good |
//! | any other | unknown | wait, read |

use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM, NATS_MESSAGE_ID};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{HeaderMap, Request};
use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use pannier_protocol::StreamSequence;
use tokio::time::{Instant, sleep};

use crate::connect::Broker;
use crate::limits::{
    OVERLOAD_PAUSE, PUBLISH_RETRY_DELAY_MAX, PUBLISH_RETRY_DELAY_MIN, PUBLISH_SETTLE_MAX, REQUEST_TIMEOUT,
};
use crate::stored::{CONTENT_TYPE, ReadError, Stored, StoredDigest, last_message};

/// A message that is to become the subject's next.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) stream: String,
    pub(crate) subject: String,
    /// Stream sequence of the subject's last message; 0: it has none.
    pub(crate) expected: StreamSequence,
    /// Never the same for two contents or two writers: within the duplicate window the broker would drop the
    /// second and acknowledge it with the sequence of the first.
    pub(crate) message_id: String,
    pub(crate) content_type: &'static str,
    pub(crate) payload: Bytes,
}

/// What the subject's last message says about an attempt.
pub(crate) enum Verdict<S> {
    Landed(StreamSequence),
    /// The expectation still holds: sending again is right.
    NotYet,
    /// It did not land, or it does not matter any more.
    Stop(S),
}

/// What became of an attempt.
pub(crate) enum Settled<S> {
    Landed(StreamSequence),
    Stopped(S),
    /// The broker will never take it.
    Refused(String),
    /// Not known within [`PUBLISH_SETTLE_MAX`]; settle the same attempt again.
    Unsettled(String),
}

enum Sent {
    Acknowledged(StreamSequence),
    Refused { code: u64, reason: String },
    NoResponders,
    Unknown(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    SendAgain(Duration),
    Read(Duration),
    GiveUp,
}

impl Attempt {
    pub(crate) fn digest(&self) -> StoredDigest {
        StoredDigest::of(&self.subject, &self.payload)
    }

    /// Whether `message` is this attempt, stored.
    pub(crate) fn is(&self, message: &Stored) -> bool {
        message.header(NATS_MESSAGE_ID.as_ref()) == Some(&self.message_id)
    }

    /// Sends until `judge`, asked about the subject's last message, or an acknowledgement says what
    /// became of it.
    pub(crate) async fn settle<S>(
        &self,
        broker: &Broker,
        judge: impl Fn(Option<&Stored>) -> Verdict<S>,
    ) -> Settled<S> {
        let deadline = Instant::now() + PUBLISH_SETTLE_MAX;
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(PUBLISH_RETRY_DELAY_MIN)
            .with_max_delay(PUBLISH_RETRY_DELAY_MAX)
            .without_max_times()
            .with_jitter()
            .build();
        let mut unknown = false;
        loop {
            let pause = pauses.next().unwrap_or(PUBLISH_RETRY_DELAY_MAX);
            let sent = self.send(broker).await;
            let (next, reason) = match sent {
                Sent::Acknowledged(sequence) => return Settled::Landed(sequence),
                Sent::NoResponders => (Next::SendAgain(pause), "nobody answers for the stream".to_owned()),
                Sent::Unknown(reason) => {
                    unknown = true;
                    (Next::Read(Duration::ZERO), reason)
                }
                Sent::Refused { code, reason } => (after_refusal(code, unknown, pause), reason),
            };
            match next {
                Next::GiveUp => return Settled::Refused(reason),
                Next::SendAgain(pause) => sleep(pause).await,
                Next::Read(wait) => {
                    sleep(wait).await;
                    match self.read(broker, deadline).await.map(|last| judge(last.as_ref())) {
                        Ok(Verdict::Landed(sequence)) => return Settled::Landed(sequence),
                        Ok(Verdict::Stop(why)) => return Settled::Stopped(why),
                        Ok(Verdict::NotYet) => sleep(pause).await,
                        Err(error) => return Settled::Unsettled(format!("{reason}; then {error}")),
                    }
                }
            }
            if Instant::now() >= deadline {
                return Settled::Unsettled(reason);
            }
            tracing::debug!(subject = self.subject, reason, "publishing the same message again");
        }
    }

    async fn send(&self, broker: &Broker) -> Sent {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, self.message_id.as_str());
        headers.insert(NATS_EXPECTED_STREAM, self.stream.as_str());
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, self.expected.to_string());
        headers.insert(CONTENT_TYPE, self.content_type);
        let request =
            Request::new().headers(headers).payload(self.payload.clone()).timeout(Some(REQUEST_TIMEOUT));
        let message = match broker.client().send_request(self.subject.clone(), request).await {
            Ok(message) => message,
            Err(error) => {
                return match error.kind() {
                    RequestErrorKind::NoResponders => Sent::NoResponders,
                    RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                        Sent::Refused { code: CODE_CLIENT, reason: error.to_string() }
                    }
                    RequestErrorKind::TimedOut | RequestErrorKind::Other => Sent::Unknown(error.to_string()),
                };
            }
        };
        match serde_json::from_slice::<Response<PublishAck>>(&message.payload) {
            Ok(Response::Ok(ack)) if ack.duplicate => Sent::Unknown("stored before, by its id".to_owned()),
            Ok(Response::Ok(ack)) => Sent::Acknowledged(StreamSequence(ack.sequence)),
            Ok(Response::Err { error }) => {
                Sent::Refused { code: error.error_code().0, reason: error.to_string() }
            }
            Err(error) => Sent::Unknown(format!("unreadable acknowledgement: {error}")),
        }
    }

    /// The subject's last message; asked for until the leader answers or time is up.
    async fn read(&self, broker: &Broker, deadline: Instant) -> Result<Option<Stored>, ReadError> {
        loop {
            match last_message(broker, &self.stream, &self.subject).await {
                Err(error) if error.is_temporary() && Instant::now() < deadline => {
                    sleep(PUBLISH_RETRY_DELAY_MAX).await;
                }
                answer => return answer,
            }
        }
    }
}

/// Stands for a refusal by the client itself, before anything was sent.
const CODE_CLIENT: u64 = 0;

fn after_refusal(code: u64, unknown: bool, pause: Duration) -> Next {
    match code {
        10_071 => Next::Read(Duration::ZERO),
        10_167 => Next::Read(pause.max(OVERLOAD_PAUSE)),
        // An earlier send of the same bytes may have been taken: that is for the stream to say.
        CODE_CLIENT | 10_052 | 10_054 | 10_057 | 10_060 | 10_076 | 10_109 if !unknown => Next::GiveUp,
        _ => Next::Read(pause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_is_next() {
        let pause = Duration::from_millis(50);
        for (code, wanted) in [
            (10_071, Next::Read(Duration::ZERO)),
            (10_164, Next::Read(pause)),
            (10_158, Next::Read(pause)),
            (10_167, Next::Read(OVERLOAD_PAUSE)),
            (10_077, Next::Read(pause)),
            (10_054, Next::GiveUp),
            (10_060, Next::GiveUp),
            (CODE_CLIENT, Next::GiveUp),
            (19_999, Next::Read(pause)),
        ] {
            assert_eq!(after_refusal(code, false, pause), wanted, "{code}");
        }
        assert_eq!(
            after_refusal(10_054, true, pause),
            Next::Read(pause),
            "an earlier send may have been taken"
        );
    }
}
