//! Tasks that are named, joined, and never die silently.
//!
//! A panic in a bare `tokio::spawn` is seen by whoever awaits the handle, and nobody does. Here every task of
//! the node is spawned under a name; the first one that panics or fails is kept as the reason, everything is
//! told to stop, and [`Tasks::join`] hands the reason to whoever runs the node.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a node ended that nobody had asked to stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("task {task} panicked: {message}; this is a bug: report it with the log")]
    Panicked { task: &'static str, message: String },
    #[error("{reason}")]
    Failed { task: &'static str, reason: String },
    #[error("tasks were still running {grace:?} after the node was told to stop")]
    StopTimedOut { grace: Duration },
}

/// A cheap handle on all tasks of one node.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    failure: Arc<OnceLock<Failure>>,
}

impl Tasks {
    pub fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            failure: Arc::new(OnceLock::new()),
        }
    }

    /// Runs until the task ends; it is to end by itself when [`Tasks::stopping`] does.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.clone();
        self.tracker.spawn(async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                tasks.fail(Failure::Panicked { task: name, message: panic_message(panic.as_ref()) });
            }
        });
    }

    /// The same on a thread of its own, for work that does not yield.
    pub fn spawn_thread<F>(&self, name: &'static str, work: F) -> std::io::Result<()>
    where
        F: FnOnce() + Send + 'static,
    {
        let tasks = self.clone();
        // Held until the thread ends, so that joining waits for it like for a task.
        let token = self.tracker.token();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(work)) {
                tasks.fail(Failure::Panicked { task: name, message: panic_message(panic.as_ref()) });
            }
            drop(token);
        })?;
        Ok(())
    }

    /// Stops everything with a reason; only the first one counts.
    pub fn fail(&self, failure: Failure) {
        tracing::error!(reason = %failure, "stopping the node");
        let _ = self.failure.set(failure);
        self.stop.cancel();
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Ends when the node is to stop.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Cancelled when the node is to stop.
    pub fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits until the node is told to stop and every task has ended, at most `grace` after the word.
    pub async fn join(&self, grace: Duration) -> Result<(), Failure> {
        self.stopping().await;
        self.tracker.close();
        let joined = tokio::time::timeout(grace, self.tracker.wait()).await;
        match self.failure.get() {
            Some(failure) => Err(failure.clone()),
            None => joined.map_err(|_| Failure::StopTimedOut { grace }),
        }
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_panic_stops_the_others_and_is_the_reason() {
        let tasks = Tasks::new();
        let other = tasks.clone();
        tasks.spawn("waits", async move { other.stopping().await });
        tasks.spawn("breaks", async { panic!("on purpose") });
        let failure = tasks.join(GRACE).await.unwrap_err();
        assert_eq!(failure, Failure::Panicked { task: "breaks", message: "on purpose".into() });
    }

    #[tokio::test]
    async fn a_panicking_thread_is_the_reason_too() {
        let tasks = Tasks::new();
        tasks.spawn_thread("breaks", || panic!("{}", "on purpose")).unwrap();
        let failure = tasks.join(GRACE).await.unwrap_err();
        assert_eq!(failure, Failure::Panicked { task: "breaks", message: "on purpose".into() });
    }

    #[tokio::test]
    async fn a_task_that_ignores_the_word_is_named_by_the_timeout() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending());
        tasks.stop();
        let grace = Duration::from_millis(10);
        assert_eq!(tasks.join(grace).await, Err(Failure::StopTimedOut { grace }));
    }
}
