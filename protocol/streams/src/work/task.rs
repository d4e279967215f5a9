//! One message in somebody's hands.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Message;
use async_nats::jetstream::{self, AckKind};
use bytes::Bytes;
use pannier_protocol::{Encoding, StreamSequence, Timestamp};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use crate::connect::Broker;
use crate::limits::{ACK_ATTEMPTS_MAX, PULL_RETRY_DELAY};
use crate::stored::{CONTENT_TYPE, timestamp};

use super::Places;

/// Whether the broker confirmed what became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Settled {
    Confirmed,
    /// It may come again.
    Unconfirmed,
}

/// A message to be dealt with. Dropped, it is given out again after the broker's `ack_wait`.
pub struct Task {
    /// Full, with the prefix.
    pub subject: String,
    pub stream_sequence: StreamSequence,
    pub stream_time: Timestamp,
    /// How often it was given out, this time included.
    pub deliveries: u64,
    /// `None`: its content type is neither of ours.
    pub encoding: Option<Encoding>,
    pub payload: Bytes,
    message: jetstream::Message,
    slot: Mutex<OwnedSemaphorePermit>,
    places: Places,
}

impl Task {
    /// `None` for what is no message of a consumer.
    pub(super) fn new(
        broker: &Broker,
        message: Message,
        slot: OwnedSemaphorePermit,
        places: Places,
    ) -> Option<Self> {
        let message = jetstream::Message { message, context: broker.context().clone() };
        let info = message.info().ok()?;
        let (stream_sequence, stream_time) =
            (StreamSequence(info.stream_sequence), timestamp(info.published));
        let deliveries = u64::try_from(info.delivered).unwrap_or(1);
        let headers = message.headers.as_ref();
        let content_type = headers.and_then(|headers| headers.get(CONTENT_TYPE)).map(|value| value.as_str());
        Some(Self {
            subject: message.subject.to_string(),
            stream_sequence,
            stream_time,
            deliveries,
            encoding: Encoding::of_content_type(content_type).ok(),
            payload: message.payload.clone(),
            message,
            slot: Mutex::new(slot),
            places,
        })
    }

    /// Moves the redelivery `ack_wait` away from now. Sent and not waited for: the next one makes up for a lost one.
    pub async fn in_progress(&self) {
        if let Err(error) = self.message.ack_with(AckKind::Progress).await {
            tracing::debug!(subject = self.subject, %error, "not told that it is worked on");
        }
    }

    /// Makes room for another message while this one stays in hand; where too many stand aside already, or
    /// when it does, nothing changes.
    pub fn stand_aside(&self) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(slot.semaphore(), &self.places.aside) {
            return;
        }
        if let Ok(place) = Arc::clone(&self.places.aside).try_acquire_owned() {
            *slot = place;
        }
    }

    /// It is dealt with, and what was done is stored.
    pub async fn done(self) -> Settled {
        self.settle(AckKind::Ack).await
    }

    /// It can never be dealt with, and why is stored.
    pub async fn terminate(self) -> Settled {
        self.settle(AckKind::Term).await
    }

    /// Comes again after `delay`; until then it takes up room.
    pub async fn again_after(self, delay: Duration) -> Settled {
        let settled = self.settle(AckKind::Nak(Some(delay))).await;
        let slot = self.slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut delayed = self.places.delayed.lock().unwrap_or_else(PoisonError::into_inner);
        delayed.push((Instant::now() + delay, slot));
        settled
    }

    async fn settle(&self, kind: AckKind) -> Settled {
        for _ in 0..ACK_ATTEMPTS_MAX {
            match self.message.double_ack_with(kind).await {
                Ok(()) => return Settled::Confirmed,
                Err(error) => {
                    tracing::warn!(subject = self.subject, %error, "acknowledgement not confirmed; sending it again");
                    sleep(PULL_RETRY_DELAY).await;
                }
            }
        }
        Settled::Unconfirmed
    }
}
