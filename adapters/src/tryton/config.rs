//! What an operator writes: one TOML document, documented key by key in `deploy/tryton.toml`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pannier_protocol::subject::Prefix;
use pannier_protocol::{SourceId, WarehouseId, Zone};
use pannier_streams::limits::ACK_WAIT;
use serde::Deserialize;

use super::rest::{Rest, RestConfigError};
use super::source::{CatalogConfig, PollConfig, ReplicationConfig};
use crate::document::{self, DocumentError};
use crate::limits::{
    INTERVAL_MS_MIN, ORDERS_AGAIN_MS_MIN, PROGRESS_OVERLAP_MS_DEFAULT, PROGRESS_POLL_MS_DEFAULT,
    PROGRESS_RECONCILE_MS_DEFAULT, REST_REQUEST_MAX_DEFAULT, SINK_CALL_MAX_DEFAULT, SINK_ORDERS_MAX,
    TRYTON_ORDERS_DEFAULT, TRYTON_REQUESTS_BURST_DEFAULT, TRYTON_REQUESTS_PER_SECOND_DEFAULT,
};
use crate::runner::sink::SinkLimits;

/// The whole document.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrytonConfig {
    /// Who publishes what Tryton knows; without it nothing is published.
    pub source: Option<SourceId>,
    /// As rules of order routing call it; without it no orders are taken.
    pub backend: Option<SourceId>,
    /// A folder for the adapter's own durable state.
    pub state: PathBuf,
    #[serde(default = "document::default_nats")]
    pub nats: String,
    #[serde(default)]
    pub prefix: Prefix,
    /// With the database: `http://127.0.0.1:8000/database`.
    pub url: String,
    /// Of a validated user application of the kind `rest`.
    pub key: Option<Key>,
    /// A file that holds the key, instead.
    pub key_file: Option<PathBuf>,
    /// Id of the company there.
    pub company: i64,
    /// In which days of Tryton are meant.
    #[serde(default = "Zone::utc")]
    pub zone: Zone,
    /// A request that has no answer by then is given up, in ms.
    #[serde(default = "default_request_ms_max")]
    pub request_ms_max: u64,
    #[serde(default)]
    pub orders: OrdersConfig,
    #[serde(default)]
    pub catalog: CatalogConfig,
    #[serde(default)]
    pub poll: PollConfig,
    /// Instead of polls, where the database can be reached.
    pub replication: Option<ReplicationConfig>,
}

/// A secret: it is not shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Key(pub String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// How orders are handed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrdersConfig {
    /// Handed over at once.
    pub at_once: usize,
    /// Steps of handing over: a step is up to a handful of requests.
    pub steps_per_second: u32,
    /// At once, after a pause.
    pub steps_burst: u32,
    /// A step that is not done by then is given up and found out about, in ms.
    pub step_ms_max: u64,
    /// An order whose process died is taken up by the next one after this, in ms.
    pub again_ms: u64,
    /// Of lines that were promised from no warehouse; without, such an order becomes a dead letter.
    pub warehouse: Option<WarehouseId>,
    /// How often Tryton is asked for shipments, in ms.
    pub poll_ms: u64,
    /// How far each poll looks back before the last change seen, in ms: longer than any transaction there.
    pub overlap_ms: u64,
    /// How often all open orders are compared, in ms.
    pub reconcile_ms: u64,
}

impl Default for OrdersConfig {
    fn default() -> Self {
        Self {
            at_once: TRYTON_ORDERS_DEFAULT,
            steps_per_second: TRYTON_REQUESTS_PER_SECOND_DEFAULT,
            steps_burst: TRYTON_REQUESTS_BURST_DEFAULT,
            step_ms_max: u64::try_from(SINK_CALL_MAX_DEFAULT.as_millis()).unwrap_or(u64::MAX),
            again_ms: u64::try_from(ACK_WAIT.as_millis()).unwrap_or(u64::MAX),
            warehouse: None,
            poll_ms: PROGRESS_POLL_MS_DEFAULT,
            overlap_ms: PROGRESS_OVERLAP_MS_DEFAULT,
            reconcile_ms: PROGRESS_RECONCILE_MS_DEFAULT,
        }
    }
}

fn default_request_ms_max() -> u64 {
    u64::try_from(REST_REQUEST_MAX_DEFAULT.as_millis()).unwrap_or(u64::MAX)
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("{0}")]
    Value(String),
    #[error(transparent)]
    Rest(#[from] RestConfigError),
}

impl TrytonConfig {
    /// Reads and checks a document; relative paths in it are taken from its own folder.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::parse(&document::read(path)?)?;
        let base = path.parent().unwrap_or(Path::new("."));
        config.state = base.join(&config.state);
        config.key_file = config.key_file.map(|file| base.join(file));
        if let Some(replication) = &mut config.replication {
            replication.rebase(base);
        }
        Ok(config)
    }

    /// Checks a document's text.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = document::parse(text)?;
        config.check().map_err(ConfigError::Value)?;
        Rest::new(&config.url, "", config.company, config.request_max())?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let orders = &self.orders;
        let said = |ok: bool, text: &str| if ok { Ok(()) } else { Err(text.to_owned()) };
        let is_interval = |ms: u64| ms >= INTERVAL_MS_MIN;
        said(self.source.is_some() || self.backend.is_some(), "neither source nor backend: nothing to do")?;
        said(self.company > 0, "company: an id is above 0")?;
        said(self.request_ms_max > 0, "request_ms_max: at least 1 ms")?;
        let at_once = format!("orders.at_once: 1 to {SINK_ORDERS_MAX}");
        said((1..=SINK_ORDERS_MAX).contains(&orders.at_once), &at_once)?;
        said(orders.steps_per_second > 0, "orders.steps_per_second: at least 1")?;
        said(orders.steps_burst > 0, "orders.steps_burst: at least 1")?;
        said(orders.step_ms_max > 0, "orders.step_ms_max: at least 1 ms")?;
        let again = format!("orders.again_ms: at least {ORDERS_AGAIN_MS_MIN} ms");
        said(orders.again_ms >= ORDERS_AGAIN_MS_MIN, &again)?;
        for (name, ms) in [("poll_ms", orders.poll_ms), ("reconcile_ms", orders.reconcile_ms)] {
            said(is_interval(ms), &format!("orders.{name}: at least {INTERVAL_MS_MIN} ms"))?;
        }
        self.catalog.check()?;
        self.poll.check()?;
        self.replication.as_ref().map_or(Ok(()), ReplicationConfig::check)
    }

    pub fn request_max(&self) -> Duration {
        Duration::from_millis(self.request_ms_max)
    }

    /// The client of this configuration; reads the key's file.
    pub fn rest(&self) -> Result<Rest, ConfigError> {
        let key = match (&self.key, &self.key_file) {
            (Some(Key(key)), _) => key.clone(),
            (None, Some(file)) => document::read(file)?.trim().to_owned(),
            (None, None) => {
                let text = "key: missing; set key_file, key, or PANNIER_TRYTON_KEY";
                return Err(ConfigError::Value(text.to_owned()));
            }
        };
        Ok(Rest::new(&self.url, &key, self.company, self.request_max())?)
    }
}

impl OrdersConfig {
    pub fn limits(&self) -> SinkLimits {
        SinkLimits {
            orders: self.at_once,
            requests_per_second: self.steps_per_second,
            requests_burst: self.steps_burst,
            call_max: Duration::from_millis(self.step_ms_max),
            ack_wait: Duration::from_millis(self.again_ms),
            ..SinkLimits::default()
        }
    }
}

#[cfg(test)]
mod tests;
