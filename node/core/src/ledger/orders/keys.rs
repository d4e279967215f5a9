//! Idempotency records: what a key was used for, for 7 days of ledger time. Those of operators' acts stand apart: they
//! belong to no account, and what became of an act is told by its record alone.

use pannier_protocol::order::KeyedBy;
use pannier_protocol::{AccountId, Fingerprint, HoldId, IdempotencyKey, OrderId, StreamSequence, Timestamp};
use serde::{Deserialize, Serialize};

/// A key belongs to an account and an operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId {
    pub account: AccountId,
    pub operation: Operation,
    pub key: IdempotencyKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    PlaceOrder,
    CancelOrder,
    PlaceHold,
    ChangeHold,
    ReleaseHold,
}

/// What became of the first command with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    pub fingerprint: Fingerprint,
    pub outcome: KeyOutcome,
    pub position: StreamSequence,
    /// Ledger time at which it is forgotten.
    pub until: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOutcome {
    Order(OrderId),
    Hold(HoldId),
    /// There is no such order or hold of the account.
    Unknown,
    /// It came after `judge_before`; for good.
    Expired,
}

/// What became of the first act of an operator with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActRecord {
    pub fingerprint: Fingerprint,
    pub outcome: ActOutcome,
    pub position: StreamSequence,
    /// Ledger time at which it is forgotten.
    pub until: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActOutcome {
    /// In one sentence, what changed.
    Changed(String),
    /// In one sentence, why nothing did.
    Ignored(String),
}

impl KeyId {
    pub fn new(operation: Operation, keyed: &KeyedBy) -> Self {
        Self { account: keyed.account.clone(), operation, key: keyed.key.clone() }
    }
}
