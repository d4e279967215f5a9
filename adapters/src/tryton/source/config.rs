//! What an operator decides about publishing; documented key by key in `deploy/tryton.toml`.

use std::path::{Path, PathBuf};

use pannier_protocol::ListId;
use serde::Deserialize;

use crate::document;
use crate::limits::{
    INTERVAL_MS_MIN, POLL_CATALOG_MS_DEFAULT, POLL_MS_DEFAULT, POLL_OVERLAP_MS_DEFAULT,
    POLL_RECONCILE_MS_DEFAULT, SOURCE_TICK_MS_DEFAULT,
};
use crate::tryton::{ConfigError, Key};

/// What is said of items and prices that Tryton does not say itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogConfig {
    /// The list that the items' own list prices make; it is asked after an account's own one.
    pub base_list: ListId,
    /// Whether orders past what is there are taken.
    pub backorder: bool,
    /// How often the tick is repeated, in ms.
    pub tick_ms: u64,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        let base_list = ListId::new("LIST").expect("letters are an id");
        Self { base_list, backorder: false, tick_ms: SOURCE_TICK_MS_DEFAULT }
    }
}

/// How Tryton is asked for what changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PollConfig {
    /// Of moves, sales and purchases, in ms.
    pub every_ms: u64,
    /// Of items, parties, prices and places, in ms.
    pub catalog_every_ms: u64,
    /// How far each poll looks back before the last change it saw, in ms: longer than any transaction there.
    pub overlap_ms: u64,
    /// How often all of it is read and compared, in ms: only so are deletions seen.
    pub reconcile_ms: u64,
}

impl Default for PollConfig {
    fn default() -> Self {
        Self {
            every_ms: POLL_MS_DEFAULT,
            catalog_every_ms: POLL_CATALOG_MS_DEFAULT,
            overlap_ms: POLL_OVERLAP_MS_DEFAULT,
            reconcile_ms: POLL_RECONCILE_MS_DEFAULT,
        }
    }
}

/// How the database's log is followed, instead of polls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicationConfig {
    pub host: String,
    #[serde(default = "default_port")]
    pub port: u16,
    pub database: String,
    /// A role with LOGIN, REPLICATION and SELECT.
    pub user: String,
    pub password: Option<Key>,
    /// A file that holds the password, instead.
    pub password_file: Option<PathBuf>,
    /// Of the tables that are read.
    #[serde(default = "default_name")]
    pub publication: String,
    /// Made at the first start; it keeps the log while the adapter is away, so drop it when the adapter goes for good.
    #[serde(default = "default_name")]
    pub slot: String,
}

fn default_port() -> u16 {
    5432
}

fn default_name() -> String {
    "pannier".to_owned()
}

/// A check's result: what is wrong, by key.
type Checked = Result<(), String>;

fn said(ok: bool, text: &str) -> Checked {
    if ok { Ok(()) } else { Err(text.to_owned()) }
}

impl CatalogConfig {
    pub(in crate::tryton) fn check(&self) -> Checked {
        said(self.tick_ms >= INTERVAL_MS_MIN, &format!("catalog.tick_ms: at least {INTERVAL_MS_MIN} ms"))
    }
}

impl PollConfig {
    pub(in crate::tryton) fn check(&self) -> Checked {
        for (name, ms) in [
            ("every_ms", self.every_ms),
            ("catalog_every_ms", self.catalog_every_ms),
            ("reconcile_ms", self.reconcile_ms),
        ] {
            said(ms >= INTERVAL_MS_MIN, &format!("poll.{name}: at least {INTERVAL_MS_MIN} ms"))?;
        }
        Ok(())
    }
}

impl ReplicationConfig {
    pub(in crate::tryton) fn check(&self) -> Checked {
        let is_name = |name: &str| {
            let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(known)
        };
        said(!self.host.is_empty(), "replication.host: missing")?;
        said(is_name(&self.slot), "replication.slot: 1 to 63 of a-z, 0-9 and '_'")?;
        said(is_name(&self.publication), "replication.publication: 1 to 63 of a-z, 0-9 and '_'")
    }

    /// Reads the password's file.
    pub(super) fn password(&self) -> Result<String, ConfigError> {
        match (&self.password, &self.password_file) {
            (Some(Key(password)), _) => Ok(password.clone()),
            (None, Some(file)) => Ok(document::read(file)?.trim().to_owned()),
            (None, None) => Ok(String::new()),
        }
    }

    /// Paths are taken from the folder of the document.
    pub(in crate::tryton) fn rebase(&mut self, base: &Path) {
        self.password_file = self.password_file.take().map(|file| base.join(file));
    }
}

/// What PostgreSQL allows.
const NAME_BYTES_MAX: usize = 63;
