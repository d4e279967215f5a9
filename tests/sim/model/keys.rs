//! What a key was used for: for 7 days of ledger time, to the millisecond.

use pannier_protocol::order::{Fingerprint, HoldId, KeyedBy, OrderId};

use super::Model;

pub(super) const KEPT_MS: i64 = 7 * 24 * 3_600_000;

/// Account, operation, key.
pub(crate) type Key = (String, &'static str, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Order(OrderId),
    Hold(HoldId),
    Unknown,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) outcome: Outcome,
    pub(crate) position: u64,
    pub(crate) until: i64,
}

fn named(operation: &'static str, keyed: &KeyedBy) -> Key {
    (keyed.account.to_string(), operation, keyed.key.to_string())
}

impl Model {
    /// What a key answers now.
    pub(crate) fn remembered(&self, key: &Key) -> Option<&Remembered> {
        let known = self.keys.get(key)?;
        (self.clock < known.until).then_some(known)
    }

    pub(super) fn is_first(&self, operation: &'static str, keyed: &KeyedBy) -> bool {
        self.remembered(&named(operation, keyed)).is_none()
    }

    pub(super) fn remember(&mut self, operation: &'static str, keyed: &KeyedBy, outcome: Outcome) {
        let (fingerprint, position) = (keyed.fingerprint, self.position);
        let remembered = Remembered { fingerprint, outcome, position, until: self.clock + KEPT_MS };
        self.keys.insert(named(operation, keyed), remembered);
    }

    pub(super) fn is_late(&self, keyed: &KeyedBy) -> bool {
        self.stream_time > keyed.judge_before.millis()
    }
}
