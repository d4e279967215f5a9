//! How a starting node takes the state of one that runs: over QUIC, a stream a checkpoint.
//!
//! The taker sends a head ([`frame`]), [`CheckpointRequest`], and ends its direction. The giver
//! answers with a head, [`CheckpointAnswer`], and where that is [`CheckpointAnswer::Follows`] with the bytes of a checkpoint
//! until the end of the stream. What they are, and that they are whole, the checkpoint itself says. Nodes alone speak this: both
//! sides show a certificate of the authority that they share.
//!
//! [`frame`]: crate::frame::head

use serde::{Deserialize, Serialize};

use crate::{Incarnation, StreamSequence};

/// What two nodes agree on when they connect.
pub const ALPN: &[u8] = b"pannier-peer/1";

/// What the taker could use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointRequest {
    pub incarnation: Incarnation,
    /// The first entries that the streams still have: a state must not end before them.
    pub ledger_first: StreamSequence,
    pub catalog_first: StreamSequence,
    /// Only a state of the ledger before this entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_before: Option<StreamSequence>,
}

/// What the giver does about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointAnswer {
    Follows {
        /// As it is named on disk.
        name: String,
        /// Where that is known beforehand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// Ask another node.
    Refused {
        /// One sentence.
        reason: String,
    },
}

impl CheckpointRequest {
    /// Whether the streams go on from a state that ends there.
    pub fn is_met_by(&self, ledger: StreamSequence, catalog: StreamSequence) -> bool {
        let goes_on = |stands: StreamSequence, first: StreamSequence| first.0 <= stands.0.saturating_add(1);
        goes_on(ledger, self.ledger_first)
            && goes_on(catalog, self.catalog_first)
            && self.ledger_before.is_none_or(|before| ledger < before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_must_reach_the_streams_and_end_before_what_was_lost() {
        let at = StreamSequence;
        let request = |before: Option<u64>| CheckpointRequest {
            incarnation: Incarnation::new("7f3a").unwrap(),
            ledger_first: at(10),
            catalog_first: at(1),
            ledger_before: before.map(at),
        };
        for (ledger, catalog, before, met) in [
            (9, 0, None, true),
            (8, 0, None, false),
            (u64::MAX, 0, None, true),
            (20, 5, Some(21), true),
            (20, 5, Some(20), false),
        ] {
            assert_eq!(
                request(before).is_met_by(at(ledger), at(catalog)),
                met,
                "{ledger} {catalog} {before:?}"
            );
        }
    }
}
