//! What sources and operators have condemned. An invalidation names, per chain, the last message that it
//! condemns; a row is condemned when it was stated at or before that, whichever of the two arrived first.
//!
//! Condemnations are part of the chain's status, so that they leave together with the rows that they
//! condemned: a snapshot brings a new status, and who still reads the old rows still sees them condemned.
//! Rejected: marking the rows, which a late row escapes and which costs a walk over the table.

use pannier_protocol::change::{InvalidateMode, InvalidateScope, PriceScope};
use pannier_protocol::subject::Subject;
use pannier_protocol::{SourceSequence, StreamSequence};
use serde::{Deserialize, Serialize};

use super::ChainStatus;
use crate::limits::INVALIDATIONS_MAX;
use crate::rows::RowVersion;

/// What a row is about, as far as it is; external ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowFacts<'a> {
    pub item: Option<&'a str>,
    pub account: Option<&'a str>,
    pub contract: Option<&'a str>,
    /// A price list or promotion.
    pub list: Option<&'a str>,
    pub warehouse: Option<&'a str>,
}

/// One invalidation in force on one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condemned {
    pub scope: InvalidateScope,
    pub mode: InvalidateMode,
    /// Epoch and sequence of the last message that is condemned.
    pub up_to: (StreamSequence, SourceSequence),
}

impl ChainStatus {
    /// Whether a row of this chain is condemned, and how badly. `facts` is only asked for where the chain has an
    /// invalidation in force.
    pub fn condemns<'a>(
        &self,
        version: RowVersion,
        facts: impl FnOnce() -> RowFacts<'a>,
    ) -> Option<InvalidateMode> {
        let state = self.state();
        if state.condemned.is_empty() {
            return None;
        }
        let (stated_at, facts) = (state.stated_at(version), facts());
        let in_force = state.condemned.iter().filter(|condemned| stated_at <= condemned.up_to);
        in_force.filter(|it| facts.lie_in(&it.scope, self.subject())).map(|it| it.mode).max()
    }
}

/// One entry for a scope and mode, up to the greatest point named. Past [`INVALIDATIONS_MAX`] the first becomes
/// one of the whole chain.
pub(super) fn put(condemned: &mut Vec<Condemned>, new: Condemned) {
    match condemned.iter_mut().find(|old| old.scope == new.scope && old.mode == new.mode) {
        Some(old) => old.up_to = old.up_to.max(new.up_to),
        None => condemned.push(new),
    }
    if condemned.len() > INVALIDATIONS_MAX {
        let first = condemned.iter().position(|old| old.scope != InvalidateScope::All).unwrap_or_default();
        let widened = Condemned { scope: InvalidateScope::All, ..condemned.remove(first) };
        put(condemned, widened);
    }
}

impl<'a> RowFacts<'a> {
    /// Of rows of a price scope, whatever item they price.
    pub(crate) fn of_scope(scope: &'a PriceScope) -> Self {
        match scope {
            PriceScope::Contract(id) => Self { contract: Some(id.as_str()), ..Self::default() },
            PriceScope::Promotion(id) | PriceScope::List(id) => {
                Self { list: Some(id.as_str()), ..Self::default() }
            }
            PriceScope::Account(id) => Self { account: Some(id.as_str()), ..Self::default() },
            PriceScope::Group(_) => Self::default(),
        }
    }
}

impl RowFacts<'_> {
    /// Whether an invalidation of `scope` on `chain` is about the row.
    pub(crate) fn lie_in(&self, scope: &InvalidateScope, chain: &Subject) -> bool {
        match scope {
            InvalidateScope::All => true,
            InvalidateScope::Item(id) => self.item == Some(id.as_str()),
            InvalidateScope::Account(id) => self.account == Some(id.as_str()),
            InvalidateScope::Contract(id) => self.contract == Some(id.as_str()),
            InvalidateScope::PriceList(id) => self.list == Some(id.as_str()),
            InvalidateScope::Warehouse(id) => self.warehouse == Some(id.as_str()),
            InvalidateScope::Source(id) => chain.source() == Some(id),
        }
    }
}
