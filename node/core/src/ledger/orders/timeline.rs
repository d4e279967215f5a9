//! The steps of all orders in one line, as the ledger made them: for who follows all orders rather than one.
//!
//! An order keeps its own steps, and to find those of all orders after a place would walk over all of them, each time
//! that somebody looks. So their ids stand here once more. All of it follows from the records: it is in no digest, and
//! every node has the same.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use pannier_protocol::api::OrderStep;
use pannier_protocol::{EffectId, OrderId, StreamSequence};

use super::record::OrderRecord;
use super::state::OrdersReader;

#[derive(Default)]
pub(super) struct Timeline(RwLock<Line>);

#[derive(Default)]
struct Line {
    orders: BTreeMap<EffectId, OrderId>,
    /// The last step that was here and is not any more.
    forgotten: Option<EffectId>,
}

/// Steps after a place.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Of the record that has it, each.
    pub steps: Vec<(Arc<OrderRecord>, OrderStep)>,
    /// Not all that came after the place is kept.
    pub missed: bool,
    /// The last one looked at.
    pub next: Option<EffectId>,
    /// There is more to be asked for.
    pub more: bool,
}

impl Timeline {
    /// The last step that is not kept any more.
    pub(super) fn forgotten(&self) -> Option<EffectId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).forgotten
    }

    pub(super) fn forget(&self, up_to: Option<EffectId>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).forgotten = up_to;
    }

    /// What an order's steps were, and are now.
    pub(super) fn note(&self, order: OrderId, before: &[OrderStep], after: &[OrderStep]) {
        let last = before.last().map(|step| step.id);
        let new = after.len() - after.partition_point(|step| Some(step.id) <= last);
        let has_lost = before.len() + new > after.len();
        if new == 0 && !has_lost {
            return;
        }
        let mut line = self.0.write().unwrap_or_else(PoisonError::into_inner);
        line.orders.extend(after[after.len() - new..].iter().map(|step| (step.id, order)));
        if has_lost {
            let is_lost = |step: &&OrderStep| after.binary_search_by_key(&step.id, |step| step.id).is_err();
            for step in before.iter().filter(is_lost) {
                line.orders.remove(&step.id);
                line.forgotten = line.forgotten.max(Some(step.id));
            }
        }
    }

    /// At most `count` after a place, none of an entry after `up_to`; whether some were forgotten, and whether there
    /// are more.
    fn after(
        &self,
        after: Option<EffectId>,
        up_to: StreamSequence,
        count: usize,
    ) -> (Vec<(EffectId, OrderId)>, bool, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let until = EffectId { position: up_to, index: u32::MAX };
        let line = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let missed = after.is_some() && after < line.forgotten;
        if after >= Some(until) {
            return (Vec::new(), missed, false);
        }
        let mut rest = line.orders.range((from, Bound::Included(until)));
        let found = rest.by_ref().take(count).map(|(id, order)| (*id, *order)).collect();
        (found, missed, rest.next().is_some())
    }
}

impl OrdersReader {
    /// The steps of all orders after one of them, at most `count`, in the order of the ledger. None of an entry after
    /// `up_to`, up to which the fold must have passed: the steps of one entry are not written in their order.
    pub fn steps_after(&self, after: Option<EffectId>, up_to: StreamSequence, count: usize) -> Stretch {
        let (found, mut missed, more) = self.0.timeline.after(after, up_to, count);
        let next = found.last().map(|(id, _)| *id);
        let mut steps = Vec::with_capacity(found.len());
        for (id, order) in found {
            let step = self.order(&order).and_then(|record| {
                let at = record.steps.binary_search_by_key(&id, |step| step.id).ok()?;
                let step = record.steps[at].clone();
                Some((record, step))
            });
            // Forgotten between the two looks.
            missed |= step.is_none() && after.is_some();
            steps.extend(step);
        }
        Stretch { steps, missed, next, more }
    }
}

#[cfg(test)]
mod tests {
    use pannier_protocol::Timestamp;
    use pannier_protocol::api::OrderState;

    use super::*;

    fn steps(ids: &[&str]) -> Vec<OrderStep> {
        let step = |id: &&str| OrderStep {
            id: id.parse().unwrap(),
            at: Timestamp::default(),
            state: OrderState::Accepted,
            what: String::new(),
            traceparent: None,
        };
        ids.iter().map(step).collect()
    }

    /// `9.0 9.1 missed more`
    fn shown(timeline: &Timeline, after: &str, up_to: u64) -> String {
        let (found, missed, more) = timeline.after(after.parse().ok(), StreamSequence(up_to), 2);
        let mut words: Vec<String> = found.iter().map(|(id, _)| id.to_string()).collect();
        words.extend(missed.then(|| "missed".to_owned()));
        words.extend(more.then(|| "more".to_owned()));
        words.join(" ")
    }

    #[test]
    fn steps_stand_in_the_order_of_the_ledger_and_what_is_gone_is_told() {
        let timeline = Timeline::default();
        let [a, b] = ["3m5h9q2k7c0000000000000001", "3m5h9q2k7c0000000000000002"]
            .map(|id| OrderId::parse(id).unwrap());
        let first = steps(&["5.0", "7.1"]);
        timeline.note(a, &[], &first);
        timeline.note(b, &[], &steps(&["7.0"]));
        // Nothing new.
        timeline.note(a, &first, &first);
        for (after, up_to, want) in [
            ("", 9, "5.0 7.0 more"),
            ("", 5, "5.0"),
            ("", 4, ""),
            ("5.0", 9, "7.0 7.1"),
            ("5.0", 6, ""),
            ("7.0", 7, "7.1"),
            ("7.1", 7, ""),
            ("8.0", 7, ""),
        ] {
            assert_eq!(shown(&timeline, after, up_to), want, "{after} {up_to}");
        }
        // One in the middle makes room, and then the order is over.
        let second = steps(&["5.0", "8.0"]);
        timeline.note(a, &first, &second);
        assert_eq!(shown(&timeline, "7.1", 9), "8.0");
        assert_eq!(shown(&timeline, "7.0", 9), "8.0 missed");
        timeline.note(a, &second, &[]);
        for (after, want) in [("", "7.0"), ("7.0", "missed"), ("7.4294967295", "missed"), ("8.0", "")] {
            assert_eq!(shown(&timeline, after, 9), want, "{after}");
        }
    }
}
