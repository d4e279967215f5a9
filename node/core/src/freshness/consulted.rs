//! Which chains an answer rests on, also where nothing was found in them.

use std::sync::Arc;

use pannier_protocol::Timestamp;
use pannier_protocol::api::{Freshness, FreshnessState};
use pannier_protocol::change::InvalidateMode;

use super::ChainStatus;

/// The chains that one part of a line (price or availability) consulted, each once, in the order of asking,
/// and the worst condemnation of a row that it used.
#[derive(Debug, Clone, Default)]
pub struct Consulted {
    chains: Vec<Arc<ChainStatus>>,
    invalidated: Option<InvalidateMode>,
}

/// What the chains consulted are worth together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Worst state and greatest age; the age is `None` when a source never said.
    pub freshness: Freshness,
    /// The worst condemnation among the rows used.
    pub invalidated: Option<InvalidateMode>,
    /// The first snapshot of a chain has not ended: what it will say is unknown.
    pub not_loaded: bool,
}

impl Consulted {
    /// The answer rests on this chain, found or not.
    pub fn note(&mut self, chain: &Arc<ChainStatus>) {
        if !self.chains.iter().any(|noted| Arc::ptr_eq(noted, chain)) {
            self.chains.push(Arc::clone(chain));
        }
    }

    /// A row that was used is condemned.
    pub fn note_invalidated(&mut self, mode: InvalidateMode) {
        self.invalidated = self.invalidated.max(Some(mode));
    }

    pub fn merge(&mut self, other: &Self) {
        other.chains.iter().for_each(|chain| self.note(chain));
        self.invalidated = self.invalidated.max(other.invalidated);
    }

    /// The worst condemnation noted so far.
    pub fn invalidated(&self) -> Option<InvalidateMode> {
        self.invalidated
    }

    pub fn chains(&self) -> &[Arc<ChainStatus>] {
        &self.chains
    }

    /// To be asked after the rows were read. `now` is broker time as the node estimates it; a chain older than
    /// `budget_ms`, or whose source never said how old, is stale: a quiet source is not a fresh one. Without chains all is fresh, of age 0.
    pub fn standing(&self, now: Timestamp, budget_ms: Option<u64>) -> Standing {
        let mut state = FreshnessState::Fresh;
        let (mut age_ms, mut not_loaded, mut live) = (Some(0), false, false);
        for chain in &self.chains {
            let one = chain.freshness(now, budget_ms);
            state = state.max(one.state);
            live |= one.live;
            age_ms = age_ms.zip(one.age_ms).map(|(worst, age): (u64, u64)| worst.max(age));
            if !chain.load().loaded {
                // Ticks between the parts of its first snapshot do not make fresh what nobody sees yet.
                state = state.max(FreshnessState::Stale);
                not_loaded = true;
            }
        }
        if self.invalidated.is_some() {
            state = FreshnessState::Invalidated;
        }
        Standing { freshness: Freshness { state, age_ms, live }, invalidated: self.invalidated, not_loaded }
    }
}

impl ChainStatus {
    /// This chain alone; see [`Consulted::standing`].
    pub fn freshness(&self, now: Timestamp, budget_ms: Option<u64>) -> Freshness {
        let (chain, live) = (self.load(), self.asked_of().is_some());
        let age_ms = chain.caught_up_to.map(|at| now.millis_since(at));
        let state = match (chain.suspect, self.is_past(age_ms, budget_ms)) {
            (true, _) => FreshnessState::Suspect,
            (false, true) => FreshnessState::Stale,
            (false, false) => FreshnessState::Fresh,
        };
        Freshness { state, age_ms, live }
    }

    /// What was asked for this reply is as young as it can be had.
    fn is_past(&self, age_ms: Option<u64>, budget_ms: Option<u64>) -> bool {
        let past = age_ms.is_none_or(|age| budget_ms.is_some_and(|budget| age > budget));
        past && self.asked_of().is_none()
    }

    /// Whether its source would have to be asked to answer within the budget.
    pub(crate) fn wants_asking(&self, now: Timestamp, budget_ms: Option<u64>) -> bool {
        self.is_past(self.load().caught_up_to.map(|at| now.millis_since(at)), budget_ms)
    }
}
