//! What is read first: whether the rest can be.

use pannier_protocol::limits::PARTITIONS;
use pannier_protocol::{Incarnation, StreamSequence, Timestamp};
use serde::{Deserialize, Serialize};

use super::{instant, wide};

/// Of what this build writes; it reads no other.
pub const FORMAT_VERSION: u32 = 1;

/// Which state it is, and how to know that it was read right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    pub incarnation: Incarnation,
    /// In force in the ledger.
    pub rules: u32,
    pub ledger: StreamSequence,
    /// Ledger time there: how old the state is. The same on every node.
    #[serde(with = "instant")]
    pub clock: Timestamp,
    /// By number of the family partitions, then shared.
    pub catalog: Vec<StreamSequence>,
    #[serde(with = "wide")]
    pub ledger_digest: u128,
    #[serde(with = "wide")]
    pub catalog_digest: u128,
    /// The last messages applied of both streams, by which the shell knows the streams again.
    pub last_ledger: Option<LastMessage>,
    pub last_catalog: Option<LastMessage>,
}

/// A message of a stream and what was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMessage {
    pub stream_sequence: StreamSequence,
    #[serde(with = "wide")]
    pub digest: u128,
}

impl Head {
    /// One position a family partition and one of shared.
    pub(super) const PARTITIONS: usize = PARTITIONS as usize + 1;
}
