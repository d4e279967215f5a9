//! From dispatches to a backend: what every adapter hands orders over with.
//!
//! An adapter knows how its backend makes a document; this knows how to have exactly one. Left to each adapter,
//! the same mistakes come back in every one: a lookup before a create that a late commit slips past, an
//! acknowledgement before the event is stored, a retry loop that meets a backend at its recovery with everything
//! that waited, two processes that both believe to be the one.
//!
//! # Writing a backend
//!
//! Implement [`Backend`]. Five calls, each one request or one transaction there; the trait says what each must hold to.
//!
//! 1. Find out how the backend can tell documents of one order: it must store the order's id (26 letters and
//!    digits) where it can be searched *currently*: a reference field, not a search index that lags.
//! 2. Choose the [`Guarantee`]. [`Guarantee::UniqueReference`] where the backend refuses a second document with the
//!    same id: set the unique index up, and refuse to start without it. Everywhere else
//!    [`Guarantee::DraftListConfirm`]: it needs a state of a document in which nothing happens (no reservation, no
//!    mail, no number that must not be lost), and that confirming and cancelling one document exclude each other.
//! 3. Class every failure ([`BackendError`]), by what is *known*. Not whether a call was carried out: transient. That
//!    nobody is there: down. What the backend said no to: business, where a human there can change it; poison, where
//!    only another order could be taken. When in doubt transient: it is tried again, and an order that fails
//!    [`SINK_ATTEMPTS_MAX`](crate::limits::SINK_ATTEMPTS_MAX) times while others get through becomes a dead letter.
//!    An answer that cannot be read is transient: the call may have been carried out.
//! 4. Keep no state, no cache and no retries; return errors without secrets. The runner gives a call up after
//!    [`SinkLimits::call_max`] by dropping its future.
//! 5. [`Sink::open`] claims the backend, [`Sink::run`] works until it is stopped or fenced. What the backend says later
//!    of its own accord (shipments) goes through [`Sink::scribe`].
//!
//! ```no_run
//! use pannier_adapters::runner::sink::{
//!     Backend, BackendError, Cancellation, Confirmation, Confirmed, Document, DocumentState, Guarantee, Sink,
//!     SinkConfig, Withdrawn,
//! };
//! use pannier_protocol::order::{Dispatch, OrderId};
//! # struct Erp;
//! # impl Erp {
//! #     async fn search(&self, _: &str) -> Result<Vec<Document>, BackendError> { Ok(Vec::new()) }
//! #     async fn insert(&self, _: &Dispatch) -> Result<Document, BackendError> { unimplemented!() }
//! #     async fn set(&self, _: &Document, _: DocumentState) -> Result<DocumentState, BackendError> { unimplemented!() }
//! # }
//!
//! impl Backend for Erp {
//!     fn guarantee(&self) -> Guarantee {
//!         Guarantee::DraftListConfirm
//!     }
//!     async fn list(&self, order: OrderId) -> Result<Vec<Document>, BackendError> {
//!         self.search(&order.to_string()).await
//!     }
//!     async fn create_draft(&self, dispatch: &Dispatch) -> Result<Document, BackendError> {
//!         self.insert(dispatch).await
//!     }
//!     async fn cancel(&self, draft: &Document) -> Result<Withdrawn, BackendError> {
//!         let state = self.set(draft, DocumentState::Cancelled).await?;
//!         Ok(if state == DocumentState::InEffect { Withdrawn::InEffect } else { Withdrawn::Cancelled })
//!     }
//!     async fn confirm(&self, document: &Document) -> Result<Confirmation, BackendError> {
//!         if self.set(document, DocumentState::InEffect).await? != DocumentState::InEffect {
//!             return Ok(Confirmation::Cancelled);
//!         }
//!         let (document, reflected_from) = (document.id.clone(), Vec::new());
//!         Ok(Confirmation::Confirmed(Confirmed { document, reflected_from }))
//!     }
//!     async fn cancel_order(&self, _: &Dispatch, _: &Document) -> Result<Cancellation, BackendError> {
//!         Ok(Cancellation::TooLate { reason: "orders are cancelled by telephone".to_owned() })
//!     }
//! }
//!
//! # async fn adapter(config: SinkConfig) -> Result<(), Box<dyn std::error::Error>> {
//! let sink = Sink::open(config, Erp).await?;
//! sink.run(tokio_util::sync::CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it holds
//!
//! - One process a backend: the claim on `ledger.event.<backend>` fences (`fence`). A fenced process stops at once.
//!   The two methods hold also where that comes too late (`once`).
//! - A message is acknowledged after the event that says what became of it is stored, never before (`order`). In
//!   between it comes again, is found done, and is said once more; events are states, not increments.
//! - An order that somebody took back at the backend before it was acknowledged is acknowledged and then cancelled, and not
//!   made again ([`DocumentState::TakenBack`]); a later generation is, for a human said so.
//! - Everything asked of the backend passes the breaker and the pace (`calls`). While the breaker is open nothing
//!   is pulled: what is in hand stays in hand, and one of it is the probe. A call that only reads closes nothing: a
//!   backend with a full disk still answers it.
//! - Whose fault a failure is, the order's or the backend's, only other orders can tell: it is the order's when one
//!   was put into effect meanwhile (`order`). So an order that failed stands aside for others, and where none
//!   gets through all are kept, however long that lasts.
//! - Dispatches of one order are worked on one after the other (`turns`); one that a later dispatch of the order
//!   takes the place of creates nothing.
//!
//! Rejected: giving messages back with a delay while the backend is down (each still counts as given out, and all
//! come back at once), and a lock in the backend's own database (most have none to offer).

mod backend;
pub(crate) mod breaker;
mod calls;
mod fence;
mod once;
mod order;
mod pace;
mod scribe;
mod turns;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use pannier_protocol::subject::{Prefix, Subject};
use pannier_protocol::{Encoding, MarkId, SourceId, StreamSequence};
use pannier_streams::connect::{ConnectError, Options};
use pannier_streams::limits::{ACK_WAIT, PULL_RETRY_DELAY};
use pannier_streams::stored::{ReadError, last_message};
use pannier_streams::work::{self, Begin, Task, Work, WorkError};
use pannier_streams::writer::ClaimError;
use pannier_streams::{Broker, Chain, ConfigError, Streams, Writer};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

pub use backend::{
    Backend, BackendError, Cancellation, Confirmation, Confirmed, Document, DocumentState, Guarantee,
    Withdrawn,
};
pub use breaker::BreakerState;
pub use scribe::{RecordError, Scribe};

use crate::limits::{
    FENCE_INTERVAL, SINK_ASIDE_MAX, SINK_CALL_MAX_DEFAULT, SINK_ORDERS_DEFAULT, SINK_ORDERS_MAX,
    SINK_REQUESTS_BURST_DEFAULT, SINK_REQUESTS_PER_SECOND_DEFAULT, SINK_RETRY_DELAY_MAX, SINK_STOP_MAX,
};
use crate::runner::now;
use calls::Calls;
use fence::Fence;
use order::{Dealt, deal};
use turns::Turns;

/// What a sink needs to know.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Its name in routing rules and subjects.
    pub backend: SourceId,
    pub prefix: Prefix,
    /// NATS URLs with commas between.
    pub nats: String,
    pub limits: SinkLimits,
    /// An operator's answer to [`WorkError::Gone`]: everything up to here was dealt with.
    pub begin_after: Option<StreamSequence>,
}

/// What the backend can bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkLimits {
    /// Worked on at once, 1 to [`SINK_ORDERS_MAX`].
    pub orders: usize,
    /// Calls of [`Backend`].
    pub requests_per_second: u32,
    /// At once, after a pause.
    pub requests_burst: u32,
    /// A call that has no answer by then is given up.
    pub call_max: Duration,
    /// Longest pause before an order is tried again.
    pub retry_delay_max: Duration,
    /// A dispatch whose process died comes again after this; [`ACK_WAIT`] but for tests.
    pub ack_wait: Duration,
}

impl Default for SinkLimits {
    fn default() -> Self {
        Self {
            orders: SINK_ORDERS_DEFAULT,
            requests_per_second: SINK_REQUESTS_PER_SECOND_DEFAULT,
            requests_burst: SINK_REQUESTS_BURST_DEFAULT,
            call_max: SINK_CALL_MAX_DEFAULT,
            retry_delay_max: SINK_RETRY_DELAY_MAX,
            ack_wait: ACK_WAIT,
        }
    }
}

/// Why a sink cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SinkOpenError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Streams(#[from] ConfigError),
    #[error("whether this backend had a process before is not known")]
    Read(#[from] ReadError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error("the backend {backend} cannot be claimed")]
    Claim {
        backend: SourceId,
        #[source]
        source: ClaimError,
    },
}

/// Why a sink ended.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error("a task of the sink ended by itself: this is a defect of the adapter")]
    Task(#[from] JoinError),
}

/// What operators see of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkStatus {
    pub guarantee: Guarantee,
    pub breaker: BreakerState,
    /// Dispatches worked on now.
    pub in_hand: usize,
    /// Of those, the ones that failed and are tried again; others are pulled in their places.
    pub aside: usize,
    /// Since the start: done, given to review or to the dead letters, passed over for a later dispatch.
    pub done: u64,
    pub failed: u64,
    pub superseded: u64,
    /// That had been given out before, to this process or another.
    pub redelivered: u64,
    /// Events that nodes would have refused, and that were not published; the log says of which orders.
    pub unsaid: u64,
}

/// Hands the orders of one backend over. See the module.
pub struct Sink<B> {
    shared: Arc<Shared<B>>,
    work: Work,
    status: watch::Sender<SinkStatus>,
}

/// What all tasks of a sink use.
struct Shared<B> {
    broker: Broker,
    streams: Streams,
    source: SourceId,
    calls: Calls<B>,
    fence: Fence,
    scribe: Scribe,
    turns: Turns,
    /// Attempts that may be under way at once.
    room: Semaphore,
    /// Orders that this process put into effect: what proves that the backend can.
    placed: AtomicU64,
    limits: SinkLimits,
}

impl<B: Backend> Sink<B> {
    /// Connects, waiting for a broker that is not there yet, and claims the backend: from here on a process before
    /// is fenced.
    pub async fn open(config: SinkConfig, backend: B) -> Result<Self, SinkOpenError> {
        let name = format!("pannier sink {}", config.backend);
        let broker = Broker::connect(&Options::new(config.nats.clone(), name)).await?;
        let streams = pannier_streams::open(&broker, &config.prefix).await?;
        Self::open_on(&broker, streams, config, backend).await
    }

    /// The same on a connection that exists.
    pub async fn open_on(
        broker: &Broker,
        streams: Streams,
        config: SinkConfig,
        backend: B,
    ) -> Result<Self, SinkOpenError> {
        let SinkConfig { backend: source, limits, .. } = &config;
        let subject = Subject::Event(source.clone());
        let before = last_message(broker, &streams.ledger, &streams.prefix.full(&subject)).await?;
        let begin = match (config.begin_after, before) {
            (Some(done), _) => Begin::After(done),
            (None, Some(_)) => Begin::Resume,
            (None, None) => Begin::First,
        };
        // Before the claim: a claim without a consumer would look like one that was lost.
        let work = Work::open(broker, work_options(&streams, source, limits, begin)).await?;
        let chain =
            Chain { subject: subject.clone(), source: source.clone(), encoding: Encoding::MessagePack };
        let instance = format!("pid-{}", std::process::id());
        let instance = MarkId::new(&instance).expect("letters and digits are an id");
        let writer = Writer::claim(broker, &streams, chain, &instance, now()).await;
        let writer =
            writer.map_err(|error| SinkOpenError::Claim { backend: source.clone(), source: error })?;
        let (broker, epoch) = (broker.clone(), writer.epoch().clone());
        let fence = Fence { broker: broker.clone(), streams: streams.clone(), subject, epoch };
        let guarantee = backend.guarantee();
        tracing::info!(backend = %source, %guarantee, "backend claimed");
        let calls = Calls::new(backend, fence.clone(), limits);
        let status = watch::Sender::new(SinkStatus {
            guarantee,
            breaker: BreakerState::Closed,
            in_hand: 0,
            aside: 0,
            done: 0,
            failed: 0,
            superseded: 0,
            redelivered: 0,
            unsaid: 0,
        });
        let (scribe, source) = (Scribe::new(writer, status.clone()), source.clone());
        let (turns, limits) = (Turns::default(), *limits);
        let (room, placed) = (Semaphore::new(at_once(&limits)), AtomicU64::new(0));
        let shared = Shared { broker, streams, source, calls, fence, scribe, turns, room, placed, limits };
        Ok(Self { shared: Arc::new(shared), work, status })
    }

    pub fn status(&self) -> watch::Receiver<SinkStatus> {
        self.status.subscribe()
    }

    /// For what the backend says of its own accord.
    pub fn scribe(&self) -> Scribe {
        self.shared.scribe.clone()
    }

    /// Works until it is stopped. What is in hand then is finished within [`SINK_STOP_MAX`], or left to the next
    /// process. After an error everything stops at once.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), SinkError> {
        let mut tasks = JoinSet::new();
        let mut breaker = self.shared.calls.breaker();
        let fence = self.shared.fence.clone();
        let mut look = std::pin::pin!(fenced(&fence));
        loop {
            let state = *breaker.borrow_and_update();
            let aside = self.work.aside();
            self.status.send_modify(|status| {
                (status.breaker, status.in_hand, status.aside) = (state, tasks.len(), aside);
            });
            // What stands aside is no reason to learn nothing of the backend from another order.
            let pull = self.shared.calls.may_pull(tasks.len().saturating_sub(aside));
            let half_open = self.shared.calls.opens_until().filter(|until| *until > Instant::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = tasks.join_next() => self.note(ended??),
                ended = &mut look => return Err(RecordError::Fenced { by: ended }.into()),
                _ = breaker.changed() => {}
                () = sleep_until(half_open.unwrap_or_else(Instant::now)), if half_open.is_some() => {}
                task = self.work.next(pull) => match task {
                    Ok(task) => self.begin(&mut tasks, task),
                    Err(error) if error.is_temporary() => {
                        tracing::warn!(%error, "no dispatches for now");
                        sleep(PULL_RETRY_DELAY).await;
                    }
                    Err(error) => return Err(error.into()),
                },
            }
        }
        let finish = async {
            while let Some(ended) = tasks.join_next().await {
                self.note(ended??);
            }
            Ok(())
        };
        timeout(SINK_STOP_MAX, finish).await.unwrap_or(Ok(()))
    }

    fn begin(&self, tasks: &mut JoinSet<Result<Dealt, RecordError>>, task: Task) {
        self.status.send_modify(|status| status.redelivered += u64::from(task.deliveries > 1));
        let shared = Arc::clone(&self.shared);
        tasks.spawn(async move { deal(&shared, task).await });
    }

    fn note(&self, dealt: Dealt) {
        self.status.send_modify(|status| match dealt {
            Dealt::Done => status.done += 1,
            Dealt::Superseded => status.superseded += 1,
            Dealt::Failed | Dealt::Unreadable => status.failed += 1,
        });
    }
}

/// Until another process claims the backend: one without work would not notice.
async fn fenced(fence: &Fence) -> StreamSequence {
    let mut looks = interval(FENCE_INTERVAL);
    loop {
        looks.tick().await;
        if let Some(by) = fence.check().await {
            return by;
        }
    }
}

fn at_once(limits: &SinkLimits) -> usize {
    limits.orders.clamp(1, SINK_ORDERS_MAX)
}

fn work_options(streams: &Streams, source: &SourceId, limits: &SinkLimits, begin: Begin) -> work::Options {
    work::Options {
        stream: streams.dispatch.clone(),
        durable: format!("sink-{source}"),
        filter: streams.prefix.dispatches_of(source),
        in_flight_max: at_once(limits),
        aside_max: SINK_ASIDE_MAX,
        ack_wait: limits.ack_wait,
        begin,
    }
}
