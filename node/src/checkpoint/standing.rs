//! What is known of the newest checkpoint of this node, and how well checkpoints cover what the ledger is going to lose.
//!
//! Where the ledger keeps its entries for so long and no longer, a node that starts needs a checkpoint that is younger, and
//! a right one. One is *confirmed* when another node's tables were equal to this one's at its positions or past them:
//! what it holds and the entries behind it lead to the same state. A node that is alone can ask nobody, and takes its
//! own word. As long as the ledger begins at its first entry, that counts as a checkpoint of that time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pannier_core::checkpoint::Head;
use pannier_protocol::api::operator::MemberPositions;
use pannier_protocol::{StreamSequence, Timestamp};

use tokio::sync::Notify;

use super::folder::Name;
use crate::metrics::{Metrics, OfStream};

/// One that stands on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) ledger: StreamSequence,
    pub(crate) catalog: StreamSequence,
    /// It has every entry that came before.
    pub(crate) whole_at: Timestamp,
    pub(crate) is_confirmed: bool,
}

/// Written by the keeper and by whoever hears of other nodes, read by everybody.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// A checkpoint is wanted before its time.
    pub(crate) due: Notify,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    newest: Option<Kept>,
    /// The highest positions at which another node had the same tables.
    agreed: MemberPositions,
    /// A node can start for sure from a state that has every entry before this.
    covered: Option<Timestamp>,
    /// `None`: the ledger keeps everything.
    age_max: Option<Duration>,
}

/// How much of the ledger's age has passed since the newest confirmed checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cover {
    Good,
    /// More than a third: somebody must look.
    Old,
    /// More than two thirds: what is ordered now could be lost to every node that starts.
    TooOld,
}

impl Kept {
    pub(crate) fn of(head: &Head) -> Self {
        let Name { ledger, catalog, .. } = Name::of(head);
        Self { ledger, catalog, whole_at: head.clock, is_confirmed: false }
    }

    fn is_within(&self, agreed: MemberPositions) -> bool {
        self.ledger <= agreed.ledger && self.catalog <= agreed.catalog
    }
}

impl Standing {
    pub(crate) fn set(&self, kept: Kept, metrics: &Metrics) {
        for (stream, position) in [("ledger", kept.ledger), ("catalog", kept.catalog)] {
            let position = i64::try_from(position.0).unwrap_or(i64::MAX);
            metrics.checkpoint_position.get_or_create(&OfStream { stream }).set(position);
        }
        self.lock().newest = Some(kept);
    }

    pub(crate) fn newest(&self) -> Option<Kept> {
        self.lock().newest.clone()
    }

    /// A checkpoint up to there is right, by what other nodes said since this one runs.
    pub(crate) fn agreed_up_to(&self) -> MemberPositions {
        self.lock().agreed
    }

    /// How long the ledger keeps entries.
    pub(crate) fn limit(&self, age_max: Option<Duration>) {
        self.lock().age_max = age_max;
    }

    /// A node can start from a state that has every entry before this: a confirmed checkpoint of any node, the one that this
    /// node began with, or nothing, where the ledger begins then.
    pub(crate) fn covered(&self, at: Timestamp) {
        let mut known = self.lock();
        known.covered = known.covered.max(Some(at));
    }

    /// Another node had the same tables at these positions; `None`: there is no other node.
    pub(crate) fn agreed(&self, at: Option<MemberPositions>) {
        let mut known = self.lock();
        if let Some(at) = at {
            known.agreed.ledger = known.agreed.ledger.max(at.ledger);
            known.agreed.catalog = known.agreed.catalog.max(at.catalog);
        }
        let Some(newest) = &mut known.newest else { return };
        if newest.is_confirmed || at.is_some_and(|at| !newest.is_within(at)) {
            return;
        }
        newest.is_confirmed = true;
        let (ledger, catalog, whole_at) = (newest.ledger, newest.catalog, newest.whole_at);
        known.covered = known.covered.max(Some(whole_at));
        tracing::info!(%ledger, %catalog, by_itself = at.is_none(), "checkpoint confirmed");
    }

    pub(crate) fn cover(&self, now: Timestamp) -> Cover {
        let known = self.lock();
        match (known.age_max, known.covered) {
            (Some(age_max), Some(covered)) => {
                Cover::of(Duration::from_millis(now.millis_since(covered)), age_max)
            }
            (_, _) => Cover::Good,
        }
    }

    /// Refreshes what depends on the time.
    pub(crate) fn show(&self, now: Timestamp, metrics: &Metrics) {
        let known = self.lock();
        let age = |at: Timestamp| f64::from(u32::try_from(now.millis_since(at) / 1_000).unwrap_or(u32::MAX));
        if let Some(kept) = known.newest.as_ref().filter(|kept| kept.whole_at > Timestamp::MIN) {
            metrics.checkpoint_age.set(age(kept.whole_at));
        }
        if let Some(covered) = known.covered.filter(|at| *at > Timestamp::MIN) {
            metrics.checkpoint_confirmed_age.set(age(covered));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing that holds the lock can leave it half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cover {
    fn of(age: Duration, age_max: Duration) -> Self {
        if age > age_max / 3 * 2 {
            Self::TooOld
        } else if age > age_max / 3 {
            Self::Old
        } else {
            Self::Good
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::parse("2026-11-23T09:00:00Z").unwrap().plus_millis(second * 1_000)
    }

    fn positions(ledger: u64, catalog: u64) -> MemberPositions {
        MemberPositions { ledger: StreamSequence(ledger), catalog: StreamSequence(catalog) }
    }

    fn kept(ledger: u64, catalog: u64, whole_at: Timestamp) -> Kept {
        let (ledger, catalog) = (StreamSequence(ledger), StreamSequence(catalog));
        Kept { ledger, catalog, whole_at, is_confirmed: false }
    }

    #[test]
    fn orders_stop_before_the_ledger_loses_what_no_checkpoint_has() {
        let standing = Standing::default();
        assert_eq!(standing.cover(at(1_000_000)), Cover::Good, "the ledger keeps everything");
        standing.limit(Some(Duration::from_secs(90)));
        standing.covered(at(0));
        for (second, want) in [(30, Cover::Good), (31, Cover::Old), (60, Cover::Old), (61, Cover::TooOld)] {
            assert_eq!(standing.cover(at(second)), want, "after {second} s");
        }
        // Written, and nobody has the same tables yet.
        standing.set(kept(7, 3, at(50)), &Metrics::new());
        assert_eq!(standing.cover(at(61)), Cover::TooOld);
        standing.agreed(Some(positions(7, 2)));
        standing.agreed(Some(positions(6, 9)));
        assert_eq!(standing.cover(at(61)), Cover::TooOld, "it stands past where they agreed");
        standing.agreed(Some(positions(9, 3)));
        assert_eq!(standing.cover(at(61)), Cover::Good);
        assert!(standing.newest().unwrap().is_confirmed);
        // Another node's is older.
        standing.covered(at(10));
        assert_eq!(standing.cover(at(80)), Cover::Good);
    }

    #[test]
    fn a_node_that_is_alone_takes_its_own_word() {
        let standing = Standing::default();
        standing.agreed(None);
        standing.limit(Some(Duration::from_secs(90)));
        standing.set(kept(7, 3, at(50)), &Metrics::new());
        standing.agreed(None);
        assert!(standing.newest().unwrap().is_confirmed);
        assert_eq!(standing.cover(at(81)), Cover::Old);
    }
}
