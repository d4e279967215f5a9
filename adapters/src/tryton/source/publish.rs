//! What both ways in have in common: batches to the store, the store to the broker, and until when Tryton was read.

use std::time::Duration;

use pannier_protocol::Timestamp;
use pannier_protocol::subject::Prefix;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::SourceError;
use super::catalog::Terms;
use super::config::CatalogConfig;
use super::intake::{Batch, Intake};
use super::model::Model;
use crate::limits::{SOURCE_RETRY_DELAY_MAX, SOURCE_RETRY_DELAY_MIN};
use crate::runner::{CaughtUp, Desk, Positions, Questions, Runner, RunnerConfig, now};
use crate::tryton::TrytonConfig;

/// The runner with the model.
pub(super) struct Publisher {
    runner: Runner,
    /// Away while a batch is taken in.
    intake: Option<Intake>,
    pub(super) caught_up: CaughtUp,
    is_begun: bool,
}

impl Publisher {
    pub(super) async fn open(config: &TrytonConfig) -> Result<Self, SourceError> {
        let source = config.source.clone().ok_or(SourceError::NoSource)?;
        let runner = Runner::open(&RunnerConfig {
            source: source.clone(),
            prefix: config.prefix.clone(),
            nats: config.nats.clone(),
            state: config.state.join(STATE_FILE),
        })
        .await?;
        let CatalogConfig { base_list, backorder, .. } = config.catalog.clone();
        let terms = Terms { zone: config.zone.clone(), base_list, backorder };
        let (desk, company) = (runner.desk(), config.company);
        let intake = blocking(move || Intake::open(source, desk, company, terms, now())).await?;
        let is_begun = intake.is_begun();
        Ok(Self { runner, intake: Some(intake), caught_up: CaughtUp::default(), is_begun })
    }

    pub(super) fn desk(&self) -> Desk {
        self.runner.desk()
    }

    /// What nodes want to know at once.
    pub(super) async fn questions(&self, prefix: &Prefix) -> Result<Questions, SourceError> {
        self.runner.questions(prefix).await.map_err(|error| SourceError::Questions(error.to_string()))
    }

    /// Whether rows were published before, by the same rules: else the next batch has to be all of them.
    pub(super) fn is_begun(&self) -> bool {
        self.is_begun
    }

    pub(super) fn model(&self) -> Option<&Model> {
        self.intake.as_ref().map(Intake::model)
    }

    /// Durable when it returns; on a blocking thread, for it waits for the disk. Whether anything is to be published.
    pub(super) async fn take(&mut self, batch: Batch) -> Result<bool, SourceError> {
        let Some(mut intake) = self.intake.take() else { return Ok(false) };
        let (intake, taken) = blocking(move || {
            let taken = intake.take(batch, now());
            (intake, taken)
        })
        .await;
        self.intake = Some(intake);
        self.is_begun |= taken.is_ok();
        Ok(taken?)
    }

    /// All of it was read to its end at `at`, by this machine's clock.
    pub(super) fn read_to(&mut self, at: Timestamp) {
        let at = Some(self.runner.desk().broker_time(at));
        self.caught_up = CaughtUp { ledger: at, shared: at, families: at };
    }

    /// Everything that was taken in, then until when Tryton was read.
    pub(super) async fn publish(&mut self) -> Result<Positions, SourceError> {
        self.runner.drain().await?;
        self.runner.tick(&self.caught_up)?;
        Ok(self.runner.drain().await?)
    }

    /// Waits for nodes that miss something, and repeats it.
    pub(super) async fn repeat_on_request(&mut self) -> Result<(), SourceError> {
        let subjects = self.runner.resync_requests().await;
        self.runner.repeat(&subjects)?;
        self.runner.drain().await?;
        Ok(())
    }

    /// While Tryton is away what it said last is repeated, with the time of that.
    pub(super) async fn wait(&mut self, pause: Duration, ticks: &mut Interval) -> Result<(), SourceError> {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                _ = ticks.tick() => { self.publish().await?; }
                subjects = self.runner.resync_requests() => {
                    self.runner.repeat(&subjects)?;
                    self.runner.drain().await?;
                }
            }
        }
    }
}

/// In the adapter's folder.
const STATE_FILE: &str = "source.redb";

/// Longer with every failure in a row.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    pub(super) fn next(&mut self) -> Duration {
        let longer = 2_u32.saturating_pow(self.failures.min(FAILURES_COUNTED));
        self.failures = self.failures.saturating_add(1);
        SOURCE_RETRY_DELAY_MIN.saturating_mul(longer).min(SOURCE_RETRY_DELAY_MAX)
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Beyond it the pause is at its longest anyway.
const FAILURES_COUNTED: u32 = 16;

pub(super) fn every(ms: u64) -> Interval {
    let mut interval = tokio::time::interval(Duration::from_millis(ms));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
