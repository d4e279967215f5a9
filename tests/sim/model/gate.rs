//! Which messages count: the first of each number under the claim in force.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Envelope};

use crate::sim::broker::Stored;

#[derive(Default)]
pub(super) struct Gate {
    claims: BTreeMap<Subject, u64>,
    seen: BTreeSet<(Subject, u64, u64)>,
}

impl Gate {
    pub(super) fn counts(&mut self, stored: &Stored, envelope: &Envelope) -> bool {
        if envelope.changes.iter().any(|change| matches!(change, Change::Claim(_))) {
            self.claims.insert(stored.subject.clone(), stored.sequence.0);
            return true;
        }
        let epoch = envelope.epoch.as_ref().map_or(0, |epoch| epoch.claim.0);
        let in_force = self.claims.get(&stored.subject) == Some(&epoch);
        in_force && self.seen.insert((stored.subject.clone(), epoch, envelope.sequence.0))
    }
}
