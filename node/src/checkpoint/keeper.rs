//! Writes a checkpoint every so often, off the threads that answer and apply.

use std::sync::Arc;
use std::time::Duration;

use pannier_core::checkpoint::{Busy, SinkClosed};
use pannier_protocol::Timestamp;

use super::Taken;
use super::folder::{Folder, FolderError, Name};
use super::standing::Kept;
use super::taker::{TakenError, Taker};
use crate::app::App;
use crate::clock::Moment;
use crate::limits::{CHECKPOINT_BUSY_PAUSE, CHECKPOINT_PROGRESS_INTERVAL};
use crate::metrics::OfReason;
use crate::progress::State;
use crate::shutdown::Tasks;

pub(crate) struct Keeper {
    pub(crate) app: Arc<App>,
    pub(crate) tasks: Tasks,
    pub(crate) folder: Folder,
    pub(crate) taker: Taker,
}

/// What a written checkpoint was.
#[derive(Debug)]
struct Written {
    name: Name,
    kept: Kept,
    rows: u64,
    bytes: u64,
    paused: Duration,
    took: Duration,
}

/// Why there is none this time.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Busy(Busy),
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No failure.
    #[error("the node is stopping, or refuses what its streams hold")]
    Over,
}

impl Keeper {
    /// Until the node stops or its tables can no longer be trusted. A node that read its tables from the folder waits
    /// for an interval first: nothing is lost with what it has.
    pub(crate) async fn run(self) {
        let stop = self.tasks.token();
        let interval = self.app.config.checkpoint.interval;
        let mut progress = self.app.progress.subscribe();
        let ready = progress.wait_for(|snapshot| snapshot.state == State::Ready);
        if !matches!(stop.run_until_cancelled(ready).await, Some(Ok(_))) {
            return;
        }
        let mut pause = if self.app.checkpoints.newest().is_some() { interval } else { Duration::ZERO };
        // What is due before its time does not wait; a failure does.
        let wait = async |pause| _ = tokio::time::timeout(pause, self.app.checkpoints.due.notified()).await;
        while stop.run_until_cancelled(wait(pause)).await.is_some() {
            pause = match self.keep().await {
                Ok(written) => {
                    self.show(&written);
                    interval
                }
                Err(KeepError::Over) => return,
                Err(KeepError::Busy(busy)) => {
                    tracing::info!(%busy, "no checkpoint yet");
                    self.count("busy");
                    interval.min(CHECKPOINT_BUSY_PAUSE)
                }
                Err(KeepError::Folder(error)) => {
                    tracing::error!(%error, "writing a checkpoint; trying again after the next interval");
                    self.count("disk");
                    interval
                }
            };
        }
    }

    async fn keep(&self) -> Result<Written, KeepError> {
        // A ledger in which nothing happens grows no older: what is taken now has all of it.
        let whole_at = self.app.progress.read().ledger_lag().map(|lag| {
            let lag = i64::try_from(lag.as_millis()).unwrap_or(i64::MAX);
            self.app.clock.now().plus_millis(-lag)
        });
        let taken = self.taker.take().await?;
        let (folder, tasks) = (self.folder.clone(), self.tasks.clone());
        let writing = tokio::task::spawn_blocking(move || write(&folder, taken, whole_at, &tasks));
        match writing.await {
            Ok(written) => written,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    fn show(&self, written: &Written) {
        let Written { name, kept, rows, bytes, paused, took } = written;
        let (paused_ms, took_ms) = (paused.as_secs_f64() * 1_000.0, took.as_millis());
        tracing::info!(%name, rows, bytes, paused_ms, took_ms, "checkpoint written");
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let metrics = &self.app.metrics;
        metrics.checkpoints_written.inc();
        metrics.checkpoint_rows.set(count(*rows));
        metrics.checkpoint_size.set(count(*bytes));
        metrics.checkpoint_write.set(took.as_secs_f64());
        metrics.checkpoint_pause.set(paused.as_secs_f64());
        self.app.checkpoints.set(kept.clone(), metrics);
    }

    fn count(&self, reason: &'static str) {
        self.app.metrics.checkpoints_failed.get_or_create(&OfReason { reason }).inc();
    }
}

/// Writes the tables as they are into a folder that nothing is ever read from by itself; says where, or why not.
pub(crate) async fn keep_evidence(app: &App, tasks: &Tasks) -> String {
    let (Some(folder), Some(taker)) = (Folder::of(&app.config.checkpoint), app.giver.taker.get()) else {
        return "without checkpoint.folder nothing of it is kept".to_owned();
    };
    let taken = match taker.take().await {
        Ok(taken) => taken,
        Err(error) => return format!("nothing of it is kept: {error}"),
    };
    let (folder, tasks) = (folder.evidence(), tasks.clone());
    let shown = folder.path().display().to_string();
    match tokio::task::spawn_blocking(move || write(&folder, taken, None, &tasks)).await {
        Ok(Ok(written)) => format!("its tables stand in {shown} as {}", written.name),
        Ok(Err(error)) => format!("nothing of it is kept: {error}"),
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

impl From<TakenError> for KeepError {
    fn from(error: TakenError) -> Self {
        match error {
            TakenError::Busy(busy) => Self::Busy(busy),
            TakenError::Over => Self::Over,
        }
    }
}

/// Given up as soon as the node is to stop. `whole_at`: up to when it surely has all entries.
fn write(
    folder: &Folder,
    taken: Taken,
    whole_at: Option<Timestamp>,
    tasks: &Tasks,
) -> Result<Written, KeepError> {
    let began = Moment::now();
    let Taken { frozen, head, paused } = taken;
    let name = Name::of(&head);
    folder.open()?;
    let mut draft = folder.draft(&name)?;
    let (mut failed, mut shown) = (None, began);
    let mut sink = |bytes: &[u8]| {
        if tasks.is_stopping() {
            return Err(SinkClosed);
        }
        if shown.elapsed() >= CHECKPOINT_PROGRESS_INTERVAL {
            shown = Moment::now();
            tracing::info!(%name, bytes = draft.bytes(), "writing a checkpoint");
        }
        draft.write(bytes).map_err(|error| {
            failed = Some(error);
            SinkClosed
        })
    };
    let rows = frozen.write(&head, &mut sink);
    if let Some(error) = failed {
        return Err(error.into());
    }
    let rows = rows.map_err(|SinkClosed| KeepError::Over)?;
    let bytes = draft.keep()?;
    folder.prune(&name.incarnation)?;
    let kept = Kept::of(&head);
    let kept = Kept { whole_at: kept.whole_at.max(whole_at.unwrap_or(Timestamp::MIN)), ..kept };
    Ok(Written { name, kept, rows, bytes, paused, took: began.elapsed() })
}
