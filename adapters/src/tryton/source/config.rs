//! What an operator decides about publishing; documented key by key in `deploy/tryton.toml`.

use pannier_protocol::ListId;
use serde::Deserialize;

use crate::limits::{
    INTERVAL_MS_MIN, POLL_CATALOG_MS_DEFAULT, POLL_MS_DEFAULT, POLL_OVERLAP_MS_DEFAULT,
    POLL_RECONCILE_MS_DEFAULT, SOURCE_TICK_MS_DEFAULT,
};

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
