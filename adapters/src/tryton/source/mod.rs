//! What Tryton knows, to changes: stock per warehouse, supply, items, accounts and price lists.
//!
//! Two ways lead in, and one model makes changes of what either brings:
//!
//! ```text
//! REST, polled           ask, poll   --\                    rows, place read to, messages
//!                                       > intake > model ------------------------------------> runner's store > nodes
//! PostgreSQL's own log   follow, log --/       (all of it in one transaction of the store)
//! ```
//!
//! `table` and `row` say which columns are read and what they mean, `stock` and `catalog` what follows from them. The
//! rows are kept beside what was published, so a restart goes on where it was.
//!
//! Turned down: balances asked of Tryton itself (a computed field, seconds for a large company, and of another instant
//! than the moves that came since), and publishing rows as they come (one order would be seven messages, the price
//! job thousands that say nothing).

mod ask;
mod catalog;
mod cell;
mod config;
mod follow;
mod intake;
mod log;
mod model;
mod pgoutput;
mod poll;
mod publication;
mod publish;
mod row;
mod stock;
mod table;
mod tables;
mod text;

use tokio_util::sync::CancellationToken;

pub use config::{CatalogConfig, PollConfig, ReplicationConfig};
pub use log::LogError;
pub use pgoutput::DecodeError;
pub use publication::PublicationError;

use super::{ConfigError, RestError, TrytonConfig};
use crate::runner::{DrainError, OpenError, Positions, StoreError};
use ask::Asker;
use follow::Follower;

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
    #[error("cannot listen for live questions of nodes: {0}")]
    Questions(String),
    #[error(transparent)]
    Rest(#[from] RestError),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Publishes until `shutdown`; nothing, where the configuration names no source.
pub async fn run(config: TrytonConfig, shutdown: CancellationToken) -> Result<(), SourceError> {
    if config.source.is_none() {
        shutdown.cancelled().await;
        return Ok(());
    }
    let work = async {
        match Follower::open(&config).await? {
            Some(mut follower) => follower.work(&config).await,
            None => Asker::open(&config).await?.work(&config).await,
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = work => ended,
    }
}

/// Reads all of Tryton once over REST, publishes what differs from what was published before, and returns where that
/// stands: wait for it with `at_least`.
pub async fn load_once(config: TrytonConfig) -> Result<Positions, SourceError> {
    Asker::open(&config).await?.once().await
}

#[cfg(test)]
mod model_tests;
