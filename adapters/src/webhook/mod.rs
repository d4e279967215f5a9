//! Order events to the receiver of a channel, as signed webhooks.
//!
//! A channel polls, holds a stream open, or wants to be told; the last one is a program of its own and no work of nodes:
//! a receiver that hangs must not cost a lookup anything, and who remembers what was delivered needs a disk. What it
//! tells are the steps that the *fold* reached, verdicts included, which no message of the ledger says; so it asks nodes
//! for them (`/v1/operator/events`), and any node continues where another one stopped, since steps bear places of the
//! ledger.
//!
//! - `follow`: pages of nodes into the store, with the place to go on from in the same transaction.
//! - `store`: what waits; out of it only when the receiver has it, or when it is given up.
//! - `lanes`: the events of one order one after the other. `deliver`: attempts, breaker, giving up.
//! - `endpoint`, `signature`: one attempt, in the way of Standard Webhooks.
//! - `bury`: what was given up, onto the review list.
//!
//! At least once, and in the order of each order: an attempt whose answer got lost is repeated under the same id, and
//! the next event of the order waits for it. Rejected: effects in the fold's outbox, which would put two more entries
//! into the ledger for each step and each receiver, and a receiver that is away would grow what every node remembers.

mod bury;
mod config;
mod deliver;
mod endpoint;
mod event;
mod follow;
mod lanes;
mod signature;
mod store;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

pub use config::{ConfigError, WebhookConfig};
pub use signature::{SecretError, Secrets};

use crate::runner::sink::BreakerState;
use crate::runner::{OpenError, StoreError};
use bury::Bury;
use deliver::Deliver;
use endpoint::Endpoint;
use follow::Follow;
use store::Store;

/// Why the process ended.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("event {number} is not in the state any more: this is a defect")]
    Lost { number: u64 },
    #[error("a task of the process ended by itself: this is a defect")]
    Task(#[from] JoinError),
}

/// What operators see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WebhookStatus {
    pub breaker: BreakerState,
    /// Events that wait or are under way.
    pub pending: usize,
    /// Since the start: events delivered, attempts that failed, events given to review.
    pub delivered: u64,
    pub failed: u64,
    pub given_up: u64,
    /// Times that steps were lost before this process asked for them.
    pub missed: u64,
}

/// Delivers the events of one channel to one receiver. See the module.
pub struct Webhook {
    config: WebhookConfig,
    store: Arc<Store>,
    endpoint: Arc<Endpoint>,
    status: watch::Sender<WebhookStatus>,
}

impl Webhook {
    /// Opens the state. Nodes and broker need not be there.
    pub fn open(config: WebhookConfig, secrets: Secrets) -> Result<Self, WebhookError> {
        let endpoint = Arc::new(Endpoint::new(&config, secrets)?);
        let store = Arc::new(Store::open(&config.state)?);
        Ok(Self { config, store, endpoint, status: watch::Sender::default() })
    }

    pub fn status(&self) -> watch::Receiver<WebhookStatus> {
        self.status.subscribe()
    }

    /// Until `stop`; deliveries under way are finished first.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WebhookError> {
        let Self { config, store, endpoint, status } = self;
        let given_up = Arc::new(Notify::new());
        let (taken, pages) = mpsc::channel(1);
        let bury = Bury {
            store: Arc::clone(&store),
            nats: config.nats.clone(),
            prefix: config.prefix.clone(),
            host: endpoint.host().to_owned(),
            given_up: Arc::clone(&given_up),
        };
        let follow = Follow {
            store: Arc::clone(&store),
            nodes: config.nodes().map_err(ConfigError::Value)?,
            channel: config.channel.clone(),
            poll: Duration::from_millis(config.poll_ms),
            taken,
            status: status.clone(),
        };
        let mut deliver = Deliver::new((store, endpoint), &config, status, given_up);
        deliver.load().await?;
        let failed = |ended: Result<Infallible, WebhookError>| ended.map(|never| match never {});
        tokio::select! {
            ended = deliver.run(pages, stop) => ended,
            ended = follow.run() => failed(ended),
            ended = bury.run() => failed(ended),
        }
    }
}

/// Runs until `stop`.
pub async fn run(
    config: WebhookConfig,
    secrets: Secrets,
    stop: CancellationToken,
) -> Result<(), WebhookError> {
    Webhook::open(config, secrets)?.run(stop).await
}

/// On a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, WebhookError> {
    Ok(tokio::task::spawn_blocking(call).await??)
}
