//! The file adapter: flat files of a legacy export to changes, by a mapping and without code.
//!
//! The usual way, a script per customer that loads a table, fails quietly: a half-written file is read as a whole
//! one, a comma is taken for a point, a bad row stops the good ones or vanishes, a re-sent export of yesterday
//! undoes today. Here what a file is, when it is complete, how its cells are written and what it is the whole of
//! is said in a mapping that is checked before any file is (`deploy/files.toml`); what does not fit is rejected
//! with line, column and reason, or parked as a whole until an operator says otherwise.
//!
//! A file goes through `folder` (complete?), `sheet` (bytes to records), `rows` (records to what they say),
//! `compose` (with what other files said), `intake` (one submission to the [runner](crate::runner)).

mod compose;
mod config;
mod field;
mod folder;
mod intake;
mod mapping;
mod pattern;
mod row;
mod rows;
mod sheet;
mod table;
mod value;

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use config::{
    BreakColumns, Case, Column, ColumnKeys, Complete, ConfigError, Covers, Cut, DateRules, DayOfEnd,
    FileConfig, FilesConfig, Format, FormatKind, IdRules, Marker, Mode, NumberRules, Pad, Sign, Trim, Words,
};
pub use folder::{ApproveError, FolderError, ParkedFile, approve, parked};
pub use intake::{IntakeError, TakenFile};
pub use mapping::MappingError;
pub use row::Reject;
pub use table::{FieldSpec, FileTable};

use crate::runner::{DrainError, OpenError, Positions, Runner, RunnerConfig, StoreError};
use intake::{Intake, Look};

/// Why the adapter ended. What was taken is in its state: it goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Drain(#[from] DrainError),
}

/// What a load did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    pub files: Vec<TakenFile>,
    /// The last messages published: wait for them with `at_least`.
    pub positions: Positions,
}

/// Runs until `shutdown`: takes files as they become complete, repeats ticks, answers resync requests.
pub async fn run(config: FilesConfig, shutdown: CancellationToken) -> Result<(), FilesError> {
    let work = async {
        let mut adapter = Adapter::open(&config).await?;
        adapter.work(&config).await
    };
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = work => ended,
    }
}

/// Takes every file that is complete, or becomes so by staying unchanged, publishes all of it and returns.
/// `progress` is called after each look that took files.
pub async fn load_once(
    config: FilesConfig,
    mut progress: impl FnMut(&TakenFile),
) -> Result<Summary, FilesError> {
    let mut adapter = Adapter::open(&config).await?;
    let mut summary = Summary::default();
    loop {
        let look = adapter.look().await?;
        look.taken.iter().for_each(&mut progress);
        summary.files.extend(look.taken);
        if look.settling == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(config.poll_ms)).await;
    }
    summary.positions = adapter.publish().await?;
    Ok(summary)
}

struct Adapter {
    runner: Runner,
    /// Away while a look is under way.
    intake: Option<Intake>,
}

impl Adapter {
    async fn open(config: &FilesConfig) -> Result<Self, FilesError> {
        let runner = Runner::open(&RunnerConfig {
            source: config.source.clone(),
            prefix: config.prefix.clone(),
            nats: config.nats.clone(),
            state: config.state.clone(),
        })
        .await?;
        let intake = Intake::open(config, runner.desk())?;
        Ok(Self { runner, intake: Some(intake) })
    }

    async fn work(&mut self, config: &FilesConfig) -> Result<(), FilesError> {
        let every = |ms| {
            let mut interval = tokio::time::interval(Duration::from_millis(ms));
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let (mut polls, mut ticks) = (every(config.poll_ms), every(config.tick_ms));
        loop {
            tokio::select! {
                _ = polls.tick() => {
                    if !self.look().await?.taken.is_empty() {
                        self.publish().await?;
                    }
                }
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

    /// Reads and stores on a blocking thread.
    async fn look(&mut self) -> Result<Look, FilesError> {
        let Some(mut intake) = self.intake.take() else { return Ok(Look::default()) };
        let looked = tokio::task::spawn_blocking(move || {
            let look = intake.look();
            (intake, look)
        });
        match looked.await {
            Ok((intake, look)) => {
                self.intake = Some(intake);
                Ok(look?)
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Everything that was taken, then ticks with the exports' cut times.
    async fn publish(&mut self) -> Result<Positions, FilesError> {
        self.runner.drain().await?;
        if let Some(intake) = &self.intake {
            self.runner.tick(&intake.caught_up()?)?;
        }
        Ok(self.runner.drain().await?)
    }
}

#[cfg(test)]
mod intake_tests;
#[cfg(test)]
mod mapping_tests;
#[cfg(test)]
mod sheet_tests;
