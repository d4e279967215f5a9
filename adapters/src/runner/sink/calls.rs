//! The only way to a backend: through the breaker, at its pace, for a bounded time, and not once fenced.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pannier_protocol::StreamSequence;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::SinkLimits;
use super::backend::{Backend, BackendError};
use super::breaker::{Breaker, BreakerState, Permit};
use super::fence::Fence;
use super::pace::Pace;

/// Why a call has no result.
#[derive(Debug)]
pub(super) enum CallError {
    Backend(BackendError),
    /// Another process claimed the backend: nothing more may be done.
    Fenced {
        by: StreamSequence,
    },
}

impl From<BackendError> for CallError {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

/// Whether a call changes something there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Reads,
    Changes,
}

pub(super) struct Calls<B> {
    pub(super) backend: B,
    fence: Fence,
    call_max: Duration,
    began: Instant,
    control: Mutex<Control>,
    breaker: watch::Sender<BreakerState>,
}

struct Control {
    breaker: Breaker,
    pace: Pace,
}

/// A permitted call; dropped without an outcome it gives its place back.
struct Permitted<'c, B: Backend> {
    calls: &'c Calls<B>,
    told: bool,
}

impl<B: Backend> Drop for Permitted<'_, B> {
    fn drop(&mut self) {
        if !self.told {
            self.calls.change(|breaker, _| breaker.abandon());
        }
    }
}

impl<B: Backend> Calls<B> {
    pub(super) fn new(backend: B, fence: Fence, limits: &SinkLimits) -> Self {
        let pace = Pace::new(limits.requests_per_second, limits.requests_burst);
        Self {
            backend,
            fence,
            call_max: limits.call_max,
            began: Instant::now(),
            control: Mutex::new(Control { breaker: Breaker::default(), pace }),
            breaker: watch::Sender::default(),
        }
    }

    /// Changes with every call's outcome, also where the state stays the same.
    pub(super) fn breaker(&self) -> watch::Receiver<BreakerState> {
        self.breaker.subscribe()
    }

    pub(super) fn may_pull(&self, under_way: usize) -> bool {
        self.control().breaker.may_pull(self.began.elapsed(), under_way)
    }

    /// When an open breaker becomes half-open.
    pub(super) fn opens_until(&self) -> Option<Instant> {
        self.control().breaker.opens_until().map(|until| self.began + until)
    }

    /// Waits until the backend may be asked, asks, and takes note of how it went.
    pub(super) async fn call<'c, T, F>(
        &'c self,
        kind: Call,
        ask: impl FnOnce(&'c B) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, BackendError>>,
    {
        let mut permitted = self.permit().await;
        if kind == Call::Changes
            && let Some(by) = self.fence.check().await
        {
            return Err(CallError::Fenced { by });
        }
        let outcome = match timeout(self.call_max, ask(&self.backend)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(BackendError::Transient(format!("no answer within {:?}", self.call_max))),
        };
        permitted.told = true;
        let told = outcome.as_ref().map(|_| ());
        self.change(|breaker, now| match kind {
            Call::Reads => breaker.tell_read(told, now),
            Call::Changes => breaker.tell(told, now),
        });
        outcome.map_err(CallError::Backend)
    }

    async fn permit(&self) -> Permitted<'_, B> {
        let mut changes = self.breaker();
        loop {
            changes.mark_unchanged();
            let wait = {
                let mut control = self.control();
                let now = self.began.elapsed();
                match control.breaker.permit(now) {
                    Permit::Wait(wait) => wait,
                    Permit::Go => match control.pace.take(now) {
                        None => return Permitted { calls: self, told: false },
                        wait => {
                            control.breaker.abandon();
                            wait
                        }
                    },
                }
            };
            tokio::select! {
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                changed = changes.changed() => changed.unwrap_or_default(),
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Breaker, Duration)) {
        let (before, after) = {
            let mut control = self.control();
            let now = self.began.elapsed();
            let before = control.breaker.state(now);
            change(&mut control.breaker, now);
            (before, control.breaker.state(now))
        };
        if before != after {
            tracing::warn!(%before, %after, "circuit breaker of the backend");
        }
        self.breaker.send_replace(after);
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
