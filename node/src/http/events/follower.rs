//! The task behind one stream of events.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use pannier_core::ledger::orders::{OrdersReader, following};
use pannier_protocol::api::OrderStep;
use pannier_protocol::{EffectId, OrderId, StreamSequence};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::limits::{EVENT_HEARTBEAT, EVENT_LOOK_PAUSE};
use crate::progress::Snapshot;

/// How long browsers wait before they connect again.
const RETRY: &[u8] = b"retry: 1000\n\n";
const HEARTBEAT: &[u8] = b":\n\n";
const SKIPPED: &[u8] = b": that step is not kept here; what follows it and is kept comes\n\n";

/// The task behind one stream.
pub(super) struct Follower {
    pub(super) orders: OrdersReader,
    pub(super) order: OrderId,
    /// The last step that was sent, here or on an earlier connection.
    pub(super) last: Option<EffectId>,
    pub(super) frames: mpsc::Sender<Bytes>,
    pub(super) taken_within: Duration,
    pub(super) progress: watch::Receiver<Snapshot>,
    pub(super) stop: CancellationToken,
    pub(super) place: OwnedSemaphorePermit,
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing can follow.
    Over,
    /// The client hung up.
    Gone,
    /// The client did not take what it was sent.
    Slow,
    Stopping,
}

impl Follower {
    /// Until the stream ends; a client that was too slow loses its connection.
    pub(super) async fn counted(mut self, gauge: &Gauge, cut: &CancellationToken) {
        gauge.inc();
        let Err(end) = self.tell().await;
        gauge.dec();
        drop(self.place);
        tracing::debug!(?end, "a stream of events ended");
        if end == End::Slow {
            cut.cancel();
        }
    }

    async fn tell(&mut self) -> Result<Infallible, End> {
        self.send(Bytes::from_static(RETRY)).await?;
        let record = self.orders.order(&self.order).ok_or(End::Over)?;
        if self.last.is_some_and(|last| !record.steps.iter().any(|step| step.id == last)) {
            self.send(Bytes::from_static(SKIPPED)).await?;
        }
        loop {
            // Marked as seen before it is looked at, so that what comes meanwhile wakes.
            let looked = self.progress.borrow_and_update().applied.ledger;
            self.look().await?;
            self.pause().await?;
            self.wait(looked).await?;
        }
    }

    /// Sends what is new.
    async fn look(&mut self) -> Result<(), End> {
        let record = self.orders.order(&self.order).ok_or(End::Over)?;
        for step in &record.steps {
            if self.last < Some(step.id) {
                self.send(frame(step)).await?;
                self.last = Some(step.id);
            }
        }
        if following(record.state).is_empty() { Err(End::Over) } else { Ok(()) }
    }

    /// Entries come in hundreds a second, and none of them needs to be told sooner.
    async fn pause(&mut self) -> Result<(), End> {
        let paused = self.stop.run_until_cancelled(tokio::time::sleep(EVENT_LOOK_PAUSE)).await;
        paused.ok_or(End::Stopping)
    }

    /// Until the fold has gone on; meanwhile a sign of life now and then.
    async fn wait(&mut self, looked: StreamSequence) -> Result<(), End> {
        loop {
            let moved = self.progress.wait_for(|snapshot| snapshot.applied.ledger > looked);
            tokio::select! {
                () = self.stop.cancelled() => return Err(End::Stopping),
                () = self.frames.closed() => return Err(End::Gone),
                moved = tokio::time::timeout(EVENT_HEARTBEAT, moved) => match moved {
                    Ok(Ok(_)) => return Ok(()),
                    Ok(Err(_)) => return Err(End::Stopping),
                    Err(_) => {}
                },
            }
            self.send(Bytes::from_static(HEARTBEAT)).await?;
        }
    }

    async fn send(&self, frame: Bytes) -> Result<(), End> {
        let sent = self.stop.run_until_cancelled(self.frames.send_timeout(frame, self.taken_within)).await;
        match sent.ok_or(End::Stopping)? {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(End::Slow),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(End::Gone),
        }
    }
}

/// JSON has no line breaks of its own, so the step is one line.
fn frame(step: &OrderStep) -> Bytes {
    let data = serde_json::to_string(step).expect("a step has string keys and is always JSON");
    Bytes::from(format!("id: {}\ndata: {data}\n\n", step.id))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::progress::Progress;

    #[tokio::test]
    async fn a_client_that_takes_nothing_loses_its_connection() {
        let (frames, mut body) = mpsc::channel(1);
        frames.try_send(Bytes::from_static(HEARTBEAT)).unwrap();
        let places = Arc::new(Semaphore::new(1));
        let (progress, cut) = (Progress::default(), CancellationToken::new());
        let follower = Follower {
            orders: OrdersReader::default(),
            order: OrderId::parse("3m5h9q2k7c0000000000000001").unwrap(),
            last: None,
            frames,
            taken_within: Duration::from_millis(1),
            progress: progress.subscribe(),
            stop: CancellationToken::new(),
            place: Arc::clone(&places).try_acquire_owned().unwrap(),
        };
        let gauge = Gauge::default();
        follower.counted(&gauge, &cut).await;
        assert!(cut.is_cancelled());
        assert_eq!((gauge.get(), places.available_permits()), (0, 1));
        assert_eq!(body.recv().await.as_deref(), Some(HEARTBEAT));
        assert_eq!(body.recv().await, None);
    }
}
