//! One dispatch, from the message to its acknowledgement.

use std::sync::atomic::Ordering;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use pannier_protocol::limits::{MESSAGE_BYTES_MAX, TEXT_BYTES_MAX};
use pannier_protocol::order::{
    Dispatch, DispatchKind, FailureClass, OrderAcknowledged, OrderCancelled, OrderEvent, OrderFailed, OrderId,
};
use pannier_protocol::{Encoding, StreamSequence, codec};
use pannier_streams::limits::IN_PROGRESS_PER_ACK_WAIT;
use pannier_streams::work::{Settled, Task};
use pannier_streams::{Created, create, stored};
use tokio::time::{interval, sleep};

use super::Shared;
use super::backend::{Backend, BackendError, Cancellation, Confirmed};
use super::calls::CallError;
use super::once::{self, Found, Memory, Placed};
use super::scribe::RecordError;
use crate::limits::{RETRY_DELAY_MAX, SINK_ATTEMPTS_MAX, SINK_RETRY_DELAY_MIN};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dealt {
    /// The backend did as it was told, or had.
    Done,
    /// A later dispatch of the order takes its place.
    Superseded,
    /// A review or a dead letter.
    Failed,
    /// It bears no order's name; a review entry says so.
    Unreadable,
}

/// The order and generation that a subject names.
fn named(subject: &str) -> Option<(OrderId, u32)> {
    let mut tokens = subject.rsplit('.');
    let generation = tokens.next()?.parse().ok()?;
    Some((tokens.next()?.parse().ok()?, generation))
}

/// Deals with one message; what is said about it is stored before it is acknowledged. Says so to the broker all the
/// time, so that nobody else gets it meanwhile.
pub(super) async fn deal<B: Backend>(shared: &Shared<B>, task: Task) -> Result<Dealt, RecordError> {
    let mut ticks = interval(shared.limits.ack_wait / IN_PROGRESS_PER_ACK_WAIT);
    let dealt = {
        let mut work = std::pin::pin!(work(shared, &task));
        loop {
            tokio::select! {
                dealt = &mut work => break dealt?,
                _ = ticks.tick() => task.in_progress().await,
            }
        }
    };
    let subject = task.subject.clone();
    let settled = if dealt == Dealt::Unreadable { task.terminate().await } else { task.done().await };
    if settled == Settled::Unconfirmed {
        tracing::warn!(subject, "not acknowledged; it will come again, and be found done");
    }
    Ok(dealt)
}

async fn work<B: Backend>(shared: &Shared<B>, task: &Task) -> Result<Dealt, RecordError> {
    let Some((order, generation)) = named(&task.subject) else {
        review(shared, task).await;
        return Ok(Dealt::Unreadable);
    };
    let dispatch = match read(shared, task, order, generation) {
        Ok(dispatch) => dispatch,
        Err(reason) => {
            let error = BackendError::Poison(format!("the dispatch cannot be read: {reason}"));
            return record(shared, failed(order, generation, &error, 1), None).await;
        }
    };
    // A cancel must not look for documents while the create makes one.
    let _turn = shared.turns.take(order).await;
    let traceparent = dispatch.traceparent.clone();
    let mut dealt = Dealt::Superseded;
    for event in attempts(shared, task, &dispatch).await? {
        dealt = record(shared, event, traceparent.clone()).await?;
    }
    Ok(dealt)
}

/// Stores what is said about the order; what a human has to look at is in the log too.
async fn record<B>(
    shared: &Shared<B>,
    event: OrderEvent,
    traceparent: Option<String>,
) -> Result<Dealt, RecordError> {
    let mut dealt = Dealt::Done;
    if let OrderEvent::Failed(OrderFailed { order, generation, class, reason, attempts }) = &event {
        tracing::warn!(%order, generation, attempts, ?class, reason, "the order goes to a human");
        dealt = Dealt::Failed;
    }
    shared.scribe.record(event, traceparent).await?;
    Ok(dealt)
}

fn read<B>(shared: &Shared<B>, task: &Task, order: OrderId, generation: u32) -> Result<Dispatch, String> {
    let encoding = task.encoding.ok_or("its content type is neither MessagePack nor JSON")?;
    let dispatch: Dispatch =
        codec::decode(encoding, &task.payload, MESSAGE_BYTES_MAX).map_err(|error| error.to_string())?;
    if (dispatch.order, dispatch.generation, &dispatch.backend) != (order, generation, &shared.source) {
        return Err("its subject names another order, generation or backend".to_owned());
    }
    Ok(dispatch)
}

/// Until there is something to say about the order; nothing: a later dispatch says it.
async fn attempts<B: Backend>(
    shared: &Shared<B>,
    task: &Task,
    dispatch: &Dispatch,
) -> Result<Vec<OrderEvent>, RecordError> {
    let (order, generation) = (dispatch.order, dispatch.generation);
    let delay_max = shared.limits.retry_delay_max;
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(SINK_RETRY_DELAY_MIN.min(delay_max))
        .with_max_delay(delay_max)
        .without_max_times()
        .with_jitter()
        .build();
    let (mut memory, mut tried, mut own_fault) = (Memory::default(), 0_u32, 0_u32);
    let mut placed = shared.placed.load(Ordering::Relaxed);
    loop {
        tried = tried.saturating_add(1);
        let attempted = {
            let _room = shared.room.acquire().await;
            attempt(shared, dispatch, &mut memory).await
        };
        let error = match attempted {
            Ok(events) => return Ok(events),
            Err(CallError::Fenced { by }) => return Err(RecordError::Fenced { by }),
            Err(CallError::Backend(error)) => error,
        };
        match &error {
            BackendError::Business(_) | BackendError::Poison(_) => {
                return Ok(vec![failed(order, generation, &error, tried)]);
            }
            BackendError::Down(_) => {}
            // What the backend does for nobody is no order's fault, however long that lasts. That it can be read,
            // or had done an order before, shows nothing.
            BackendError::Transient(_) => {
                let others = shared.placed.load(Ordering::Relaxed);
                own_fault += u32::from(others > placed);
                placed = others;
                task.stand_aside();
            }
        }
        if own_fault >= SINK_ATTEMPTS_MAX {
            let error =
                BackendError::Poison(format!("given up after {tried} attempts, the last one: {error}"));
            return Ok(vec![failed(order, generation, &error, tried)]);
        }
        tracing::warn!(%order, generation, tried, %error, "the backend did not take the dispatch; trying again");
        sleep(pauses.next().unwrap_or(delay_max)).await;
    }
}

async fn attempt<B: Backend>(
    shared: &Shared<B>,
    dispatch: &Dispatch,
    memory: &mut Memory,
) -> Result<Vec<OrderEvent>, CallError> {
    let Dispatch { order, generation, .. } = *dispatch;
    let is_superseded = latest(shared, order).await > generation;
    let confirmed = match dispatch.kind {
        DispatchKind::Cancel if is_superseded => return Ok(Vec::new()),
        DispatchKind::Cancel => {
            return Ok(vec![match once::cancel(&shared.calls, dispatch).await? {
                Cancellation::Cancelled => cancelled(order, generation, "cancelled as asked"),
                Cancellation::TooLate { reason } => {
                    failed(order, generation, &BackendError::Business(reason), 1)
                }
            }]);
        }
        // A cancel came before it was done: nothing new is made, and what was made is not kept secret.
        DispatchKind::Create if is_superseded => match once::adopt(&shared.calls, order).await? {
            Found::InEffect(confirmed) => confirmed,
            Found::Changed | Found::Others(_) => return Ok(Vec::new()),
        },
        DispatchKind::Create => match once::place(&shared.calls, dispatch, memory).await? {
            Placed::Made(confirmed) => {
                shared.placed.fetch_add(1, Ordering::Relaxed);
                confirmed
            }
            Placed::Found(confirmed) => confirmed,
            // First that it had it: what is not acknowledged may still be on its way, and is called back.
            Placed::TakenBack(document) => {
                let had = Confirmed { document, reflected_from: Vec::new() };
                let reason = "taken back at the backend before it was acknowledged";
                return Ok(vec![acknowledged(order, generation, had), cancelled(order, generation, reason)]);
            }
        },
    };
    Ok(vec![acknowledged(order, generation, confirmed)])
}

fn acknowledged(order: OrderId, generation: u32, confirmed: Confirmed) -> OrderEvent {
    let Confirmed { document, reflected_from } = confirmed;
    OrderEvent::Acknowledged(OrderAcknowledged { order, generation, document, reflected_from })
}

fn cancelled(order: OrderId, generation: u32, reason: &str) -> OrderEvent {
    OrderEvent::Cancelled(OrderCancelled { order, generation: Some(generation), reason: reason.to_owned() })
}

/// The highest generation that was dispatched; waits for a broker that does not answer.
async fn latest<B>(shared: &Shared<B>, order: OrderId) -> u32 {
    let streams = &shared.streams;
    let subject = format!("{}.dispatch.{}.{order}.*", streams.prefix.as_str(), shared.source);
    loop {
        match stored::last_message(&shared.broker, &streams.dispatch, &subject).await {
            Ok(last) => {
                return last.and_then(|last| named(&last.subject)).map_or(0, |(_, generation)| generation);
            }
            Err(error) => {
                tracing::warn!(%order, %error, "cannot tell whether the dispatch is the order's latest");
                sleep(RETRY_DELAY_MAX).await;
            }
        }
    }
}

fn failed(order: OrderId, generation: u32, error: &BackendError, attempts: u32) -> OrderEvent {
    let class = if matches!(error, BackendError::Business(_)) {
        FailureClass::Business
    } else {
        FailureClass::Poison
    };
    let mut reason = error.to_string();
    reason.truncate(reason.floor_char_boundary(TEXT_BYTES_MAX));
    // The wire takes generations from 1, and a subject may name anything.
    OrderEvent::Failed(OrderFailed { order, generation: generation.max(1), class, reason, attempts })
}

/// A message that no order can be told from has its place in the reviews.
async fn review<B>(shared: &Shared<B>, task: &Task) {
    let StreamSequence(sequence) = task.stream_sequence;
    let subject = shared.streams.prefix.review_entry("dispatch", &format!("{}-{sequence}", shared.source));
    let entry = serde_json::json!({
        "kind": "dispatch",
        "subject": task.subject,
        "stream_sequence": sequence,
        "reason": "the subject names no order and generation: it was not published by a node",
    });
    tracing::warn!(
        subject = task.subject,
        sequence,
        review = subject,
        "a dispatch of no order goes to a human"
    );
    let payload = Bytes::from(entry.to_string());
    let mut pause = Duration::ZERO;
    loop {
        sleep(pause).await;
        match create(&shared.broker, &shared.streams.review, &subject, Encoding::Json, payload.clone()).await
        {
            Created::Stored(_) | Created::Existed(_) => return,
            Created::Refused { reason } => {
                return tracing::error!(subject, reason, "review entry refused");
            }
            Created::Unsettled { reason } => tracing::warn!(subject, reason, "review entry not stored yet"),
        }
        pause = RETRY_DELAY_MAX;
    }
}
