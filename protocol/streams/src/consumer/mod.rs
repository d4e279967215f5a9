//! A stream from one position on: every message once, in order, until the stream is no longer the same.
//!
//! The client has ordered consumers, push and pull, and neither is used. Both start again with *all*
//! messages when they are re-created before their first one, whatever start was asked for; the pull one
//! notices a vanished consumer after 35 to 65 s unless its requests expire every 2 s, the push one after
//! 10 s; and none looks whether the stream still holds what was applied. What is left of them when those
//! are replaced is one request. So this is a plain push consumer without acknowledgements: push, because one
//! subscription receives several hundred thousand small messages a second without a request in between
//! and its heartbeat can be as short as is wanted; flow control bounds what is under way.
//!
//! - The order check is our own: the consumer's numbers must be dense and the stream's must rise past the
//!   position. Anything else, silence past [`SILENCE_MAX`](crate::limits::SILENCE_MAX), or a reconnect: subscribe again from the position.
//! - After each (re)subscribe, and before anything is handed on, the message at the position is read from
//!   the leader and its digest compared. A stream that was deleted, made anew or rolled back would
//!   otherwise look like silence or, once its sequences are used again, like the right one.
//!   A verdict counts when two answers [`LOSS_CONFIRM`] apart agree: a deposed leader may answer once.
//! - *Caught up* means: everything that was in the stream when it was subscribed has been handed on.

mod check;
mod push;

use std::fmt;

use bytes::Bytes;
use pannier_protocol::{Encoding, Incarnation, StreamSequence, Timestamp};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::connect::Broker;
use crate::limits::{BATCHES_MAX, LOSS_CONFIRM, RESUBSCRIBE_DELAY};
use crate::stored::{Stored, StoredDigest};

/// A message as the broker delivered it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Full, with the prefix.
    pub subject: async_nats::Subject,
    pub stream_sequence: StreamSequence,
    /// The leader's clock when it stored the message; it may go back.
    pub stream_time: Timestamp,
    /// `None`: its content type is neither of ours.
    pub encoding: Option<Encoding>,
    pub payload: Bytes,
}

/// The last message that was applied, and how to know it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub stream_sequence: StreamSequence,
    pub digest: StoredDigest,
}

impl Delivery {
    /// The position of one who applied this message.
    pub fn position(&self) -> Position {
        let digest = StoredDigest::of(&self.subject, &self.payload);
        Position { stream_sequence: self.stream_sequence, digest }
    }
}

impl From<&Stored> for Position {
    fn from(stored: &Stored) -> Self {
        Self { stream_sequence: stored.stream_sequence, digest: stored.digest() }
    }
}

/// What to consume.
#[derive(Debug, Clone)]
pub struct Options {
    pub stream: String,
    /// The life of the deployment that the stream must belong to.
    pub incarnation: Incarnation,
    /// `None`: from genesis, which must still be there.
    pub after: Option<Position>,
}

/// What the receiver sees, in this order of things.
#[derive(Debug)]
pub enum Event {
    /// At least one message; they follow on what came before.
    Batch(Vec<Delivery>),
    /// Everything up to here has been handed on, and it reaches at least to what was the stream's end when
    /// it was subscribed.
    CaughtUp { up_to: StreamSequence },
    /// The subscription broke; the next [`Event::CaughtUp`] is for a new subscription.
    Interrupted { reason: Interruption },
    /// The stream is not the one that was followed. Nothing comes after this.
    Lost(Loss),
}

/// Why a subscription was given up and made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// Neither message nor heartbeat for [`SILENCE_MAX`](crate::limits::SILENCE_MAX).
    Silent,
    /// The consumer's numbers are not dense: messages were dropped on the way.
    Gap,
    /// A message at or before the position, or one that is no delivery.
    OutOfOrder,
    Reconnected,
    /// The server said that the consumer is over.
    Ended,
}

/// How a stream departed from the one that was followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    #[error("stream {stream} was deleted")]
    Deleted { stream: String },
    #[error("stream {stream} belongs to incarnation {found:?}, not to {wanted}: it was made anew")]
    OtherIncarnation { stream: String, wanted: Incarnation, found: Option<Incarnation> },
    #[error("stream {stream} ends at {last}, and {applied} was applied: the broker was rolled back")]
    RolledBack { stream: String, applied: StreamSequence, last: StreamSequence },
    #[error("stream {stream} has another message at {applied} than was applied: the broker was rolled back")]
    Diverged { stream: String, applied: StreamSequence },
    #[error(
        "stream {stream} begins at {first}, and {applied} is the last that was applied: what is between aged out"
    )]
    AgedOut { stream: String, applied: StreamSequence, first: StreamSequence },
}

/// Why a consumer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Lost(Loss),
    /// The receiver was dropped.
    Unwanted,
}

/// Follows one stream; see the module's documentation.
#[derive(Debug)]
pub struct Consumer {
    broker: Broker,
    options: Options,
    events: mpsc::Sender<Event>,
    last: Last,
}

/// The last message handed on. Its digest is only needed when subscribing.
#[derive(Debug)]
enum Last {
    Applied(Option<Position>),
    Delivered(Delivery),
}

impl Last {
    fn position(&self) -> Option<Position> {
        match self {
            Self::Applied(position) => *position,
            Self::Delivered(delivery) => Some(delivery.position()),
        }
    }

    fn stream_sequence(&self) -> StreamSequence {
        match self {
            Self::Applied(position) => position.map_or(StreamSequence(0), |p| p.stream_sequence),
            Self::Delivered(delivery) => delivery.stream_sequence,
        }
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "silent",
            Self::Gap => "gap",
            Self::OutOfOrder => "out_of_order",
            Self::Reconnected => "reconnected",
            Self::Ended => "ended",
        })
    }
}

impl Consumer {
    /// Nothing happens before [`Consumer::run`]. The channel holds [`BATCHES_MAX`] events; a receiver that
    /// is slow slows the broker down, and loses nothing.
    pub fn new(broker: Broker, options: Options) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(BATCHES_MAX);
        let last = Last::Applied(options.after);
        (Self { broker, options, events, last }, receiver)
    }

    /// Follows the stream, through reconnects and restarts of the broker, until it is lost or nobody
    /// receives any more.
    pub async fn run(mut self) -> End {
        loop {
            let subscribed = push::subscribe(&self.broker, &self.options, self.last.stream_sequence()).await;
            // Looked at also where subscribing failed: that the stream is gone may be the reason.
            let end = match self.check_twice().await {
                Ok(info) => info.last,
                Err(loss) => {
                    tracing::error!(%loss, "the stream is not the one that was followed");
                    let _ = self.events.send(Event::Lost(loss.clone())).await;
                    return End::Lost(loss);
                }
            };
            let subscription = match subscribed {
                Ok(subscription) => subscription,
                Err(error) => {
                    tracing::warn!(stream = self.options.stream, error, "subscribing again");
                    tokio::select! {
                        () = self.events.closed() => return End::Unwanted,
                        () = sleep(RESUBSCRIBE_DELAY) => continue,
                    }
                }
            };
            let Some(reason) = self.pump(subscription, end).await else { return End::Unwanted };
            tracing::warn!(stream = self.options.stream, %reason, "subscription broke, subscribing again");
            if self.events.send(Event::Interrupted { reason }).await.is_err() {
                return End::Unwanted;
            }
        }
    }

    /// Hands on until the subscription breaks, and says why; `None` when nobody receives any more.
    async fn pump(
        &mut self,
        mut subscription: push::Subscription,
        end: StreamSequence,
    ) -> Option<Interruption> {
        let mut caught_up = false;
        loop {
            if !caught_up && (subscription.is_drained() || self.last.stream_sequence() >= end) {
                caught_up = true;
                let up_to = self.last.stream_sequence();
                self.events.send(Event::CaughtUp { up_to }).await.ok()?;
            }
            let received = tokio::select! {
                () = self.events.closed() => return None,
                received = subscription.receive(self.last.stream_sequence()) => received,
            };
            if let Some(last) = received.deliveries.last() {
                self.last = Last::Delivered(last.clone());
                self.events.send(Event::Batch(received.deliveries)).await.ok()?;
            }
            if received.broken.is_some() {
                return received.broken;
            }
            // Only now, so that a slow receiver is felt by the broker.
            subscription.answer(received.flow_control).await;
        }
    }

    /// A loss counts when it is found twice.
    async fn check_twice(&self) -> Result<crate::stored::StreamInfo, Loss> {
        let position = self.last.position();
        loop {
            let loss = match check::check(&self.broker, &self.options, position).await {
                Ok(info) => return Ok(info),
                Err(loss) => loss,
            };
            tracing::warn!(%loss, "asking once more");
            sleep(LOSS_CONFIRM).await;
            match check::check(&self.broker, &self.options, position).await {
                Err(again) if std::mem::discriminant(&again) == std::mem::discriminant(&loss) => {
                    return Err(again);
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
}
