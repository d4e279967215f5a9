//! From the store to the receiver.

use std::sync::Arc;
use std::time::Duration;

use pannier_protocol::Timestamp;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, Failure};
use super::event::Lane;
use super::lanes::Lanes;
use super::store::Store;
use super::{WebhookError, WebhookStatus, blocking};
use crate::limits::{WEBHOOK_PENDING_MAX, WEBHOOK_STOP_MAX};
use crate::runner::now;
use crate::runner::sink::BackendError;
use crate::runner::sink::breaker::{Breaker, Permit};

pub(super) struct Deliver {
    store: Arc<Store>,
    endpoint: Arc<Endpoint>,
    at_once: usize,
    give_up: Duration,
    lanes: Lanes,
    breaker: Breaker,
    /// The receiver asked to be left alone until then; from the beginning on, as all times here.
    quiet_until: Duration,
    began: Instant,
    tasks: JoinSet<Result<Delivered, WebhookError>>,
    status: watch::Sender<WebhookStatus>,
    given_up: Arc<Notify>,
}

/// One attempt.
struct Delivered {
    number: u64,
    lane: Lane,
    id: String,
    taken_at: Timestamp,
    outcome: Result<(), Failure>,
}

/// What is said to the store of several attempts at once: one sync of the disk.
#[derive(Default)]
struct Settled {
    delivered: Vec<u64>,
    given_up: Vec<(u64, String)>,
    done: Vec<Lane>,
    again: Vec<Lane>,
}

type Ended = Result<Result<Delivered, WebhookError>, JoinError>;

impl Deliver {
    pub(super) fn new(
        (store, endpoint): (Arc<Store>, Arc<Endpoint>),
        config: &super::WebhookConfig,
        status: watch::Sender<WebhookStatus>,
        given_up: Arc<Notify>,
    ) -> Self {
        Self {
            store,
            endpoint,
            at_once: config.at_once,
            give_up: Duration::from_millis(config.give_up_ms),
            lanes: Lanes::new(Duration::from_millis(config.retry_ms_max)),
            breaker: Breaker::default(),
            quiet_until: Duration::ZERO,
            began: Instant::now(),
            tasks: JoinSet::new(),
            status,
            given_up,
        }
    }

    /// What waits from earlier; before anything is taken in.
    pub(super) async fn load(&mut self) -> Result<(), WebhookError> {
        let store = Arc::clone(&self.store);
        self.push(blocking(move || store.pending()).await?);
        Ok(())
    }

    /// Until it is stopped; what is under way then is finished, or is delivered again by the next process.
    pub(super) async fn run(
        mut self,
        mut taken: mpsc::Receiver<Vec<(u64, Lane)>>,
        stop: CancellationToken,
    ) -> Result<(), WebhookError> {
        loop {
            self.begin();
            let wake = self.next_wake();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.tasks.join_next() => self.settle(ended).await?,
                Some(more) = taken.recv(), if self.lanes.len() < WEBHOOK_PENDING_MAX => self.push(more),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
        let finish = async {
            while let Some(ended) = self.tasks.join_next().await {
                self.settle(ended).await?;
            }
            Ok(())
        };
        timeout(WEBHOOK_STOP_MAX, finish).await.unwrap_or(Ok(()))
    }

    fn push(&mut self, taken: Vec<(u64, Lane)>) {
        for (number, lane) in taken {
            self.lanes.push(number, lane);
        }
        self.show();
    }

    /// Begins as many deliveries as may be under way.
    fn begin(&mut self) {
        let now = self.began.elapsed();
        self.lanes.wake(now);
        while now >= self.quiet_until && self.tasks.len() < self.at_once && self.lanes.is_ready() {
            if self.breaker.permit(now) != Permit::Go {
                return;
            }
            let Some((number, lane)) = self.lanes.begin() else { return self.breaker.abandon() };
            let (store, endpoint) = (Arc::clone(&self.store), Arc::clone(&self.endpoint));
            self.tasks.spawn(async move {
                let event = blocking(move || store.event(number)).await?;
                let event = event.ok_or(WebhookError::Lost { number })?;
                let outcome = endpoint.deliver(&event).await;
                Ok(Delivered { number, lane, id: event.id, taken_at: event.taken_at, outcome })
            });
        }
    }

    /// When something may begin that nothing under way announces.
    fn next_wake(&self) -> Option<Instant> {
        let now = self.began.elapsed();
        let begins = self.breaker.opens_until().into_iter().chain([self.quiet_until]);
        let begins = begins.filter(|until| *until > now && self.lanes.is_ready());
        let next = begins.chain(self.lanes.next_wake()).min()?;
        Some(self.began + next)
    }

    async fn settle(&mut self, ended: Ended) -> Result<(), WebhookError> {
        let mut settled = Settled::default();
        let mut next = Some(ended);
        while let Some(ended) = next {
            self.note(ended??, &mut settled);
            next = self.tasks.try_join_next();
        }
        let Settled { delivered, given_up, done, again } = settled;
        let any_given_up = !given_up.is_empty();
        self.status.send_modify(|status| {
            status.delivered += delivered.len() as u64;
            status.failed += again.len() as u64;
            status.given_up += given_up.len() as u64;
        });
        if !done.is_empty() {
            let store = Arc::clone(&self.store);
            blocking(move || store.settle(&delivered, &given_up)).await?;
        }
        if any_given_up {
            self.given_up.notify_one();
        }
        let now = self.began.elapsed();
        done.into_iter().for_each(|lane| self.lanes.done(lane));
        again.into_iter().for_each(|lane| self.lanes.again(lane, now));
        self.show();
        Ok(())
    }

    fn note(&mut self, attempt: Delivered, settled: &mut Settled) {
        let Delivered { number, lane, id, taken_at, outcome } = attempt;
        let at = self.began.elapsed();
        self.breaker.tell(outcome.as_ref().copied().map_err(|failure| &failure.error), at);
        if let Some(after) = outcome.as_ref().err().and_then(|failure| failure.after) {
            tracing::warn!(?after, "the receiver asks to be left alone");
            self.quiet_until = self.quiet_until.max(at + after);
        }
        let age = Duration::from_millis(now().millis_since(taken_at));
        match outcome.map_err(|failure| failure.error) {
            Ok(()) => {
                tracing::debug!(id, "delivered");
                settled.delivered.push(number);
                settled.done.push(lane);
            }
            Err(error) if matches!(error, BackendError::Poison(_)) || age >= self.give_up => {
                tracing::error!(id, %error, ?age, "an event is given up; it goes to the review list");
                settled.given_up.push((number, format!("given up after {} s: {error}", age.as_secs())));
                settled.done.push(lane);
            }
            Err(error) => {
                tracing::warn!(id, %error, "an event is not delivered yet; trying again");
                settled.again.push(lane);
            }
        }
    }

    fn show(&self) {
        let (breaker, pending) = (self.breaker.state(self.began.elapsed()), self.lanes.len());
        self.status.send_modify(|status| (status.breaker, status.pending) = (breaker, pending));
    }
}
