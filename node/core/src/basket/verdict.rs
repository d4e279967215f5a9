//! What the freshness of the chains consulted means for a line: served, flagged or refused, by the caller's
//! bound and the tenant's policy (semantics 3.2, 3.4).

use pannier_protocol::api::{Freshness, FreshnessState, LineStatus, MaxStaleness};
use pannier_protocol::change::{InDoubt, InvalidateMode, PastBudget, StalenessRule, StalenessTable};
use pannier_protocol::{ClassId, Timestamp};

use crate::availability::Flags;
use crate::catalog::PolicySet;
use crate::freshness::Consulted;

/// How old one part of an answer may be, and what happens past it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// The tighter of the caller's bound and the tenant's budget; `None`: any age will do.
    pub(crate) budget_ms: Option<u64>,
    past: InDoubt,
    /// Past it the source is asked, and `past` is for where it says nothing.
    pub(crate) asks: bool,
    suspect: InDoubt,
}

/// Why policy does not let a part of a line be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: LineStatus,
    pub(crate) detail: &'static str,
}

impl Budget {
    pub(crate) fn new(
        policies: &PolicySet,
        table: StalenessTable,
        class: Option<&ClassId>,
        asked: Option<MaxStaleness>,
    ) -> Self {
        let asked = asked.and_then(|bounds| match table {
            StalenessTable::Price => bounds.price,
            StalenessTable::Availability => bounds.availability,
        });
        let rule = rule(policies, table, class);
        let ruled = rule.map(|rule| rule.budget_ms);
        let past = rule.map_or(InDoubt::Serve, |rule| match rule.past {
            PastBudget::Serve => InDoubt::Serve,
            PastBudget::Refuse => InDoubt::Refuse,
            PastBudget::Ask => rule.unanswered,
        });
        Self {
            budget_ms: asked.into_iter().chain(ruled).min(),
            past,
            asks: rule.is_some_and(|rule| rule.past == PastBudget::Ask),
            suspect: policies.staleness.suspect,
        }
    }

    /// A chain that the answer rests on has nothing to say yet.
    pub(crate) fn not_loaded(&self) -> Result<(), Refused> {
        let detail = "a source that may know better has not sent its first snapshot";
        match self.suspect {
            InDoubt::Serve => Ok(()),
            InDoubt::Refuse => Err(Refused { status: LineStatus::NotLoaded, detail }),
        }
    }

    /// The state to show, or why nothing is shown.
    pub(crate) fn judge(&self, consulted: &Consulted, now: Timestamp) -> Result<Freshness, Refused> {
        let standing = consulted.standing(now, self.budget_ms);
        let refused = |status, detail| Err(Refused { status, detail });
        if standing.invalidated == Some(InvalidateMode::Hard) {
            return refused(
                LineStatus::Invalidated,
                "its source has condemned this data and not sent it anew yet",
            );
        }
        if standing.not_loaded {
            self.not_loaded()?;
        }
        if consulted.chains().iter().any(|chain| chain.load().suspect) && self.suspect == InDoubt::Refuse {
            return refused(
                LineStatus::Suspect,
                "a message of a source is missing; a snapshot was asked for",
            );
        }
        if standing.freshness.state == FreshnessState::Stale && self.past == InDoubt::Refuse {
            return refused(LineStatus::Stale, "the source was last read to its end too long ago");
        }
        Ok(standing.freshness)
    }
}

impl Budget {
    /// What stock rests on: the chains consulted, and what freshness does not say of it.
    pub(crate) fn judge_stock(
        &self,
        consulted: &Consulted,
        flags: Flags,
        now: Timestamp,
    ) -> Result<Freshness, Refused> {
        if flags.owner_missing {
            self.not_loaded()?;
        }
        let judged = self.judge(consulted, now)?;
        // A cell in a unit that is no longer the item's base unit counted nothing; its source is to restate it.
        // Of a source that never sent anything nobody knows how old that is.
        let doubtful = flags.stale_unit || flags.owner_missing;
        let state = if doubtful { judged.state.max(FreshnessState::Stale) } else { judged.state };
        let age_ms = judged.age_ms.filter(|_| !flags.owner_missing);
        Ok(Freshness { state, age_ms, live: judged.live })
    }
}

/// The rule of the class before one for all.
fn rule<'a>(
    policies: &'a PolicySet,
    table: StalenessTable,
    class: Option<&ClassId>,
) -> Option<&'a StalenessRule> {
    let rules = || policies.staleness.rules.iter().filter(move |rule| rule.table == table);
    let of_class = class.and_then(|class| rules().find(|rule| rule.class.as_ref() == Some(class)));
    of_class.or_else(|| rules().find(|rule| rule.class.is_none()))
}
