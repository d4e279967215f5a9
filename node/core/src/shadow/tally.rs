//! What the comparison of one table came to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::api::operator::{ComparedSource, Drift, TableDrift};
use pannier_protocol::change::Table;
use pannier_protocol::{Decimal, SourceId};

use super::Compared;
use crate::dictionary::Dictionary;

/// A row in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) amount: Option<Amount>,
    pub(super) named: BTreeMap<&'static str, String>,
}

/// What makes one difference larger than another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Amount {
    /// Millionths of a unit; two of different units cannot be subtracted.
    Of { micros: i128, unit: u32 },
    /// Compared in percent of the owner's.
    Relative { micros: i128 },
}

impl Facts {
    /// What is empty counts as not said.
    pub(super) fn new(named: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self { amount: None, named: named.into_iter().filter(|(_, text)| !text.is_empty()).collect() }
    }

    pub(super) fn with(mut self, amount: Amount) -> Self {
        self.amount = Some(amount);
        self
    }

    /// Without what `other` says as well.
    fn beside(&self, other: Option<&Self>) -> BTreeMap<String, String> {
        let same = |name: &str| other.is_some_and(|other| other.named.get(name) == self.named.get(name));
        let shown = self.named.iter().filter(|(name, _)| !same(name));
        shown.map(|(name, text)| ((*name).to_owned(), text.clone())).collect()
    }
}

impl Compared for Facts {
    fn facts(&self, _names: &Dictionary) -> Facts {
        self.clone()
    }
}

pub(super) struct Tally {
    equal: u64,
    different: u64,
    missing: u64,
    extra: u64,
    pub(super) owners: BTreeSet<SourceId>,
    worst_max: usize,
    /// Sorted, the worst first.
    worst: Vec<Drift>,
}

impl Tally {
    pub(super) fn new(worst_max: usize) -> Self {
        let (equal, different, missing, extra) = (0, 0, 0, 0);
        Self { equal, different, missing, extra, owners: BTreeSet::new(), worst_max, worst: Vec::new() }
    }

    /// Of one key: the owner's row and the shadow's, of which one is there at least.
    pub(super) fn note<R: Compared>(
        &mut self,
        owner: &SourceId,
        (owned, shadow): (Option<&R>, Option<&R>),
        key: impl FnOnce() -> String,
        names: &Dictionary,
    ) {
        if !self.owners.contains(owner) {
            self.owners.insert(owner.clone());
        }
        let count = match (owned, shadow) {
            (Some(owned), Some(shadow)) if owned == shadow => &mut self.equal,
            (Some(_), Some(_)) => &mut self.different,
            (Some(_), None) => &mut self.missing,
            (None, Some(_)) => &mut self.extra,
            (None, None) => return,
        };
        *count += 1;
        if owned == shadow {
            return;
        }
        let (owned, shadow) = (owned.map(|row| row.facts(names)), shadow.map(|row| row.facts(names)));
        let by = apart(owned.as_ref(), shadow.as_ref());
        let is_full = self.worst.len() >= self.worst_max;
        if is_full && self.worst.last().is_none_or(|least| rank(by) > rank(least.by)) {
            return;
        }
        let shown = |facts: &Option<Facts>, other: &Option<Facts>| {
            facts.as_ref().map_or_else(BTreeMap::new, |facts| facts.beside(other.as_ref()))
        };
        let (key, owner) = (key(), owner.clone());
        let drift = Drift { key, owner, by, owned: shown(&owned, &shadow), shadow: shown(&shadow, &owned) };
        let place = |drift: &Drift| (rank(drift.by), drift.key.clone());
        let at = self.worst.partition_point(|known| place(known) <= place(&drift));
        self.worst.insert(at, drift);
        self.worst.truncate(self.worst_max);
    }

    pub(super) fn shown(self, table: Table, sources: Vec<ComparedSource>) -> TableDrift {
        let Self { equal, different, missing, extra, worst, .. } = self;
        TableDrift {
            table,
            equal_count: equal,
            different_count: different,
            missing_count: missing,
            extra_count: extra,
            sources,
            worst,
        }
    }
}

/// What cannot be measured comes before all that can.
fn rank(by: Option<Decimal>) -> Reverse<(bool, Option<Decimal>)> {
    Reverse((by.is_none(), by))
}

fn apart(owned: Option<&Facts>, shadow: Option<&Facts>) -> Option<Decimal> {
    let amount = |facts: Option<&Facts>| facts.map(|facts| facts.amount.clone());
    let micros = match (amount(owned), amount(shadow)) {
        (Some(Some(Amount::Of { micros: a, unit })), Some(Some(Amount::Of { micros: b, unit: other })))
            if unit == other =>
        {
            (a - b).abs()
        }
        (Some(Some(Amount::Of { micros, .. })), None) | (None, Some(Some(Amount::Of { micros, .. }))) => {
            micros.abs()
        }
        (Some(Some(Amount::Relative { micros: a })), Some(Some(Amount::Relative { micros: b })))
            if a != 0 =>
        {
            (a - b).abs().checked_mul(HUNDRED)? / a.abs()
        }
        (Some(Some(Amount::Relative { .. })), None) | (None, Some(Some(Amount::Relative { .. }))) => HUNDRED,
        (_, _) => return None,
    };
    Some(Decimal::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)))
}

/// A hundred percent, in millionths.
const HUNDRED: i128 = 100_000_000;
