//! Messages that somebody must deal with, each given out until it is acknowledged.
//!
//! The client's pull streams ask ahead of what is worked on, and what waits in their buffers ages towards its
//! redelivery while nobody works on it; its batches stop polling at a heartbeat. A pull is one request, so
//! it is made here: for as many messages as there is room, never for more, and for none while
//! the caller says that it could not deal with any.
//!
//! - **Room.** At most `in_flight_max` messages are out: in the caller's hands, or given back with a delay, which the
//!   broker still counts against `max_ack_pending`. There are no naks without a delay and no `max_deliver`: a
//!   message that is given up is given up by the caller, who has recorded why ([`Task::terminate`]).
//!   One that takes long, and must not keep others waiting, is stood aside ([`Task::stand_aside`]): at most
//!   `aside_max` are out on top.
//! - **Time.** Who works on a message says so ([`Task::in_progress`]), else it is given to another after
//!   `ack_wait`. So a task may come twice, to two processes at once: what is done with it must bear that.
//! - **Acknowledgements** are confirmed by the broker. One that is not after several attempts is a redelivery.
//! - **Watchdog.** Consumers stop giving now and then after a change of leaders. One that has messages and room and
//!   gives none for [`WORK_STALLED_MAX`] is made anew behind what was acknowledged without a hole. A consumer that
//!   an operator paused looks the same: stop the process instead.
//! - **A consumer that is gone** is never silently made from the start of the stream: everything of months would be
//!   done again. [`Begin`] says what is meant.

mod durable;
mod task;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use pannier_protocol::StreamSequence;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use crate::connect::Broker;
use crate::limits::{PULL_EXPIRES, PULL_GRACE, PULL_RETRY_DELAY, WORK_STALLED_MAX};

pub use task::{Settled, Task};

/// What is worked on, and how much at once.
#[derive(Debug, Clone)]
pub struct Options {
    pub stream: String,
    /// Name of the consumer; whoever gives the same one shares the work.
    pub durable: String,
    /// The subjects, full.
    pub filter: String,
    /// Most messages out at once of this process; the broker gives out twice as many at most, so that a
    /// successor is not kept waiting by what a dead process holds.
    pub in_flight_max: usize,
    /// Most messages that may be stood aside.
    pub aside_max: usize,
    /// [`ACK_WAIT`](crate::limits::ACK_WAIT) but for tests.
    pub ack_wait: Duration,
    pub begin: Begin,
}

/// What a consumer that does not exist means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Nobody worked on this before: all messages.
    First,
    /// It has existed, and its loss is an error.
    Resume,
    /// An operator says what is done: everything up to here.
    After(StreamSequence),
}

/// Why there is no work to be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WorkError {
    #[error(
        "consumer {durable} of {stream} is gone, and with it what was done: look up the last message that was dealt \
         with and start after it"
    )]
    Gone { stream: String, durable: String },
    #[error(
        "consumer {durable} of {stream} must have {wanted}, has {found}: remove it and start after its last message"
    )]
    Differs { stream: String, durable: String, wanted: String, found: String },
    #[error("consumer {durable} of {stream}: {reason}")]
    NotReady { stream: String, durable: String, reason: String },
}

impl WorkError {
    /// Whether trying again can help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::NotReady { .. })
    }
}

/// One consumer of a stream's work. See the module's documentation.
pub struct Work {
    broker: Broker,
    options: Options,
    inbox: String,
    subscriber: Subscriber,
    room: Arc<Semaphore>,
    aside: Arc<Semaphore>,
    delayed: Delayed,
    /// Came when there was no room: late answers to requests that had ended.
    parked: VecDeque<Message>,
    request: Option<Pull>,
    /// When something came last, or nothing was due.
    stirred: Instant,
}

struct Pull {
    missing: usize,
    ends: Instant,
}

/// Places of messages that were given back with a delay.
type Delayed = Arc<Mutex<Vec<(Instant, OwnedSemaphorePermit)>>>;

/// Where a message's place may go before it is dealt with.
struct Places {
    delayed: Delayed,
    aside: Arc<Semaphore>,
}

enum Happened {
    Message(Option<Box<Message>>),
    Time,
}

impl Work {
    /// Finds or makes the consumer.
    pub async fn open(broker: &Broker, options: Options) -> Result<Self, WorkError> {
        durable::ensure(broker, &options).await?;
        let inbox = broker.client().new_inbox();
        let subscribed = broker.client().subscribe(inbox.clone()).await;
        let subscriber = subscribed.map_err(|error| durable::not_ready(&options, &error))?;
        Ok(Self {
            broker: broker.clone(),
            room: Arc::new(Semaphore::new(options.in_flight_max)),
            aside: Arc::new(Semaphore::new(options.aside_max)),
            options,
            inbox,
            subscriber,
            delayed: Delayed::default(),
            parked: VecDeque::new(),
            request: None,
            stirred: Instant::now(),
        })
    }

    /// The next message. Without `pull` nothing new is asked for, and only what was under way comes. Dropped before
    /// it is ready it has taken nothing.
    pub async fn next(&mut self, pull: bool) -> Result<Task, WorkError> {
        if !pull {
            self.stirred = Instant::now();
        }
        loop {
            let due = self.free_due();
            if !self.parked.is_empty()
                && let Ok(slot) = Arc::clone(&self.room).try_acquire_owned()
                && let Some(message) = self.parked.pop_front()
            {
                let places = Places { delayed: Arc::clone(&self.delayed), aside: Arc::clone(&self.aside) };
                if let Some(task) = Task::new(&self.broker, message, slot, places) {
                    return Ok(task);
                }
                continue;
            }
            if pull && self.request.is_none() && self.room.available_permits() > 0 {
                self.ask().await?;
            }
            if self.stirred.elapsed() > WORK_STALLED_MAX {
                self.watch().await?;
            }
            match self.wait(due).await {
                Happened::Message(Some(message)) => self.take(*message).await?,
                Happened::Message(None) => {
                    sleep(PULL_RETRY_DELAY).await;
                    return Err(self.not_ready("the connection was closed"));
                }
                Happened::Time => {}
            }
        }
    }

    /// How many messages are stood aside.
    pub fn aside(&self) -> usize {
        self.options.aside_max.saturating_sub(self.aside.available_permits())
    }

    /// Until something comes, a request is over, room is made, or a delay is.
    async fn wait(&mut self, due: Option<Instant>) -> Happened {
        let ends = self.request.as_ref().map(|request| request.ends);
        let is_idle = self.request.is_none() && self.room.available_permits() == 0;
        let wake = [ends, due].into_iter().flatten().min();
        tokio::select! {
            message = self.subscriber.next() => Happened::Message(message.map(Box::new)),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                if ends.is_some_and(|ends| ends <= Instant::now()) {
                    self.request = None;
                }
                Happened::Time
            }
            _ = self.room.acquire(), if is_idle => Happened::Time,
        }
    }

    async fn take(&mut self, message: Message) -> Result<(), WorkError> {
        match message.status {
            None | Some(StatusCode::OK) => {
                self.stirred = Instant::now();
                self.parked.push_back(message);
                if let Some(request) = &mut self.request {
                    request.missing = request.missing.saturating_sub(1);
                    if request.missing == 0 {
                        self.request = None;
                    }
                }
            }
            Some(StatusCode::IDLE_HEARTBEAT) => {}
            // The request is over: its time, a new leader, the broker's own bound, a removed consumer.
            Some(status) => {
                self.request = None;
                if status != StatusCode::TIMEOUT && status != StatusCode::NOT_FOUND {
                    let said = message.description.as_deref().unwrap_or_default();
                    tracing::warn!(durable = self.options.durable, %status, said, "pull request ended");
                    durable::ensure(&self.broker, &self.resumed()).await?;
                    sleep(PULL_RETRY_DELAY).await;
                }
            }
        }
        Ok(())
    }

    async fn ask(&mut self) -> Result<(), WorkError> {
        let missing = self.room.available_permits();
        let expires = u64::try_from(PULL_EXPIRES.as_nanos()).unwrap_or(u64::MAX);
        let request = serde_json::json!({ "batch": missing, "expires": expires }).to_string();
        let Options { stream, durable, .. } = &self.options;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}");
        let (inbox, client) = (self.inbox.clone(), self.broker.client());
        let sent = client.publish_with_reply(subject, inbox, Bytes::from(request)).await;
        sent.map_err(|error| durable::not_ready(&self.options, &error))?;
        self.request = Some(Pull { missing, ends: Instant::now() + PULL_EXPIRES + PULL_GRACE });
        Ok(())
    }

    /// Asks why nothing came for a while.
    async fn watch(&mut self) -> Result<(), WorkError> {
        self.stirred = Instant::now();
        if self.room.available_permits() == 0 {
            return Ok(());
        }
        if durable::renew_stalled(&self.broker, &self.resumed()).await? {
            self.request = None;
        }
        Ok(())
    }

    /// Once open, a consumer that is gone is a loss.
    fn resumed(&self) -> Options {
        Options { begin: Begin::Resume, ..self.options.clone() }
    }

    /// Frees the places of messages whose delay is over; when the next one is.
    fn free_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut delayed = self.delayed.lock().unwrap_or_else(PoisonError::into_inner);
        delayed.retain(|(due, _)| *due > now);
        delayed.iter().map(|(due, _)| *due).min()
    }

    fn not_ready(&self, reason: &str) -> WorkError {
        let Options { stream, durable, .. } = self.options.clone();
        WorkError::NotReady { stream, durable, reason: reason.to_owned() }
    }
}
