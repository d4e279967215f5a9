//! What Tryton knows, to changes: stock per warehouse, supply, items, accounts and price lists.
//!
//! ```text
//!                              rows, place read to, messages, in one transaction
//! REST > poll > intake > model --------------------------------------------------> runner's store > nodes
//! ```
//!
//! `table` and `row` say which columns are read and what they mean, `stock` and `catalog` what follows from them. The
//! rows are kept beside what was published, so a restart goes on where it was.
//!
//! Turned down: balances asked of Tryton itself (a computed field, seconds for a large company, and of another instant
//! than the moves that came since), and publishing rows as they come (one order would be seven messages, the price
//! job thousands that say nothing).

mod catalog;
mod cell;
mod config;
mod intake;
mod model;
mod poll;
mod row;
mod stock;
mod table;
mod tables;
mod text;

use std::time::Duration;

use pannier_protocol::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

pub use config::{CatalogConfig, PollConfig};

use super::{ConfigError, RestError, TrytonConfig};
use crate::limits::{SOURCE_RETRY_DELAY_MAX, SOURCE_RETRY_DELAY_MIN};
use crate::runner::{
    CaughtUp, DrainError, OpenError, Positions, Runner, RunnerConfig, StoreError, decode, encode, now,
};
use catalog::Terms;
use intake::{Batch, Intake};
use poll::{Cursor, Part, Poll};

/// Why publishing ended. What was read is in the state: it goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("source: missing; say who publishes, as in source = \"tryton\"")]
    NoSource,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Drain(#[from] DrainError),
    #[error(transparent)]
    Rest(#[from] RestError),
}

/// Publishes until `shutdown`; nothing, where the configuration names no source.
pub async fn run(config: TrytonConfig, shutdown: CancellationToken) -> Result<(), SourceError> {
    if config.source.is_none() {
        shutdown.cancelled().await;
        return Ok(());
    }
    let work = async {
        let mut source = Source::open(&config).await?;
        source.work(&config).await
    };
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = work => ended,
    }
}

/// Reads all of Tryton once over REST, publishes what differs from what was published before, and returns where that
/// stands: wait for it with `at_least`.
pub async fn load_once(config: TrytonConfig) -> Result<Positions, SourceError> {
    let mut source = Source::open(&config).await?;
    source.reconcile().await?;
    source.publish().await
}

/// Where the cursor is kept.
const CURSOR_NOTE: &str = "poll/cursor";

/// Publishes one Tryton.
struct Source {
    runner: Runner,
    /// Away while a batch is taken in.
    intake: Option<Intake>,
    poll: Poll,
    cursor: Cursor,
    caught_up: CaughtUp,
    /// When each part is to be asked again.
    due: Due,
}

/// The next instants.
struct Due {
    reconcile: Instant,
    catalog: Instant,
    failures: u32,
}

impl Source {
    async fn open(config: &TrytonConfig) -> Result<Self, SourceError> {
        let source = config.source.clone().ok_or(SourceError::NoSource)?;
        let rest = config.rest()?;
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
        let cursor = intake.desk().note(CURSOR_NOTE)?;
        let cursor = cursor.map(|bytes| decode(&bytes)).transpose()?.filter(|_| intake.is_begun());
        let due = Due { reconcile: Instant::now(), catalog: Instant::now(), failures: 0 };
        Ok(Self {
            runner,
            intake: Some(intake),
            poll: Poll::new(&rest, config.poll.overlap_ms),
            cursor: cursor.unwrap_or_default(),
            caught_up: CaughtUp::default(),
            due,
        })
    }

    async fn work(&mut self, config: &TrytonConfig) -> Result<(), SourceError> {
        let every = |ms| {
            let mut interval = tokio::time::interval(Duration::from_millis(ms));
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let (mut polls, mut ticks) = (every(config.poll.every_ms), every(config.catalog.tick_ms));
        loop {
            tokio::select! {
                _ = polls.tick() => match self.look(&config.poll).await {
                    Ok(says) => {
                        self.due.failures = 0;
                        if says {
                            self.publish().await?;
                        }
                    }
                    Err(SourceError::Rest(error)) => {
                        let pause = self.due.pause();
                        tracing::warn!(%error, ?pause, "Tryton cannot be read; trying again");
                        polls.reset_after(pause);
                    }
                    Err(error) => return Err(error),
                },
                _ = ticks.tick() => {
                    self.publish().await?;
                }
                subjects = self.runner.resync_requests() => {
                    self.runner.repeat(&subjects)?;
                    self.runner.drain().await?;
                }
            }
        }
    }

    /// Whether anything is to be published.
    async fn look(&mut self, config: &PollConfig) -> Result<bool, SourceError> {
        if self.due.reconcile <= Instant::now() {
            let says = self.reconcile().await?;
            self.due.reconcile = Instant::now() + Duration::from_millis(config.reconcile_ms);
            self.due.catalog = Instant::now() + Duration::from_millis(config.catalog_every_ms);
            return Ok(says);
        }
        let mut says = false;
        if self.due.catalog <= Instant::now() {
            says = self.changed(Part::Catalog).await?;
            self.due.catalog = Instant::now() + Duration::from_millis(config.catalog_every_ms);
        }
        Ok(self.changed(Part::Stock).await? || says)
    }

    async fn changed(&mut self, part: Part) -> Result<bool, SourceError> {
        let (begun, mut cursor) = (now(), self.cursor);
        let Some(intake) = &self.intake else { return Ok(false) };
        let batch = self.poll.changed(part, &mut cursor, intake.model()).await?;
        let says = self.take(batch, begun, cursor).await?;
        let at = Some(self.runner.desk().broker_time(begun));
        match part {
            Part::Stock => self.caught_up.ledger = at,
            Part::Catalog => (self.caught_up.shared, self.caught_up.families) = (at, at),
        }
        Ok(says)
    }

    async fn reconcile(&mut self) -> Result<bool, SourceError> {
        let (begun, mut cursor) = (now(), self.cursor);
        let batch = self.poll.all(&mut cursor).await?;
        let says = self.take(batch, begun, cursor).await?;
        let at = Some(self.runner.desk().broker_time(begun));
        self.caught_up = CaughtUp { ledger: at, shared: at, families: at };
        Ok(says)
    }

    /// On a blocking thread: it waits for the disk.
    async fn take(
        &mut self,
        mut batch: Batch,
        begun: Timestamp,
        cursor: Cursor,
    ) -> Result<bool, SourceError> {
        let Some(mut intake) = self.intake.take() else { return Ok(false) };
        batch.position = u64::try_from(begun.millis()).unwrap_or(0);
        batch.notes.push((CURSOR_NOTE.to_owned(), Some(encode(&cursor)?)));
        let (intake, taken) = blocking(move || {
            let taken = intake.take(batch, now());
            (intake, taken)
        })
        .await;
        self.intake = Some(intake);
        self.cursor = cursor;
        Ok(taken?)
    }

    /// Everything that was taken in, then until when Tryton was read.
    async fn publish(&mut self) -> Result<Positions, SourceError> {
        self.runner.drain().await?;
        self.runner.tick(&self.caught_up)?;
        Ok(self.runner.drain().await?)
    }
}

impl Due {
    /// Longer with every failure in a row.
    fn pause(&mut self) -> Duration {
        let longer = 2_u32.saturating_pow(self.failures.min(FAILURES_COUNTED));
        self.failures = self.failures.saturating_add(1);
        SOURCE_RETRY_DELAY_MIN.saturating_mul(longer).min(SOURCE_RETRY_DELAY_MAX)
    }
}

/// Beyond it the pause is at its longest anyway.
const FAILURES_COUNTED: u32 = 16;
/// In the adapter's folder.
const STATE_FILE: &str = "source.redb";

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod model_tests;
