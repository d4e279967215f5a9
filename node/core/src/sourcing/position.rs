//! What one warehouse has of one item by day, in base units, and what of it may be promised.

use pannier_protocol::Decimal;
use smallvec::{SmallVec, smallvec};

use super::taken::{self, TakenOf};
use crate::quantity::Exact;

/// Most items have a shelf and nothing dated: two of these take no allocation.
pub(super) type Few<T> = SmallVec<[T; 2]>;

/// Stock of one item at one warehouse, read once. Amounts are millionths of a base unit, days are counted
/// from today.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// On hand less quarantine, allocated, safety stock and expired lots; negative where more is bespoken
    /// than there is.
    pub(crate) shelf: i128,
    /// Supply, and negative demand, from 0 to the horizon.
    pub(crate) moves: Vec<(i32, i128)>,
    /// Lots by the first day on which they cannot be sold any more.
    pub(crate) losses: Vec<(i32, i128)>,
}

/// Available to promise. Amounts count parts of a millionth of a base unit: whole numbers, for a rational that is
/// reduced at every step costs most of a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Atp {
    /// Parts in a millionth; 1 unless earlier lines took fractions of it.
    pub(crate) parts: i128,
    /// What is on the shelf, bounded by ATP of today.
    pub(crate) now: i128,
    /// From day 0; each value holds until the next day named.
    pub(crate) steps: Few<(i32, i128)>,
    /// What of the shelf cannot be sold any more from a day on, cumulative; not yet part of `steps`, for what
    /// left before does not spoil. Empty where nothing leaves before (`keeping`): there the steps are less of it.
    spoiled: Few<(i32, i128)>,
}

/// What happens to a position on a day, and, summed up, how it stands at the end of it.
#[derive(Clone, Copy)]
struct Event {
    day: i32,
    comes: i128,
    spoils: i128,
}

impl Position {
    /// `ATP(d) = min over t in [d, horizon] of projected(t)`: what is promised for a day is not taken from
    /// under a later demand. With `keeping`, nothing leaves before day d, so lots that expire until then are
    /// no part of ATP(d). `None`: a sum is out of range.
    pub(crate) fn atp(&self, taken: Option<&TakenOf>, keeping: bool) -> Option<Atp> {
        let parts = taken.map_or(Some(1), TakenOf::parts)?;
        let mut shelf = self.shelf.checked_mul(parts)?;
        let mut events: Few<Event> = smallvec![Event { day: 0, comes: 0, spoils: 0 }];
        for (day, amount) in &self.moves {
            events.push(Event { day: *day, comes: amount.checked_mul(parts)?, spoils: 0 });
        }
        for (day, amount) in &self.losses {
            events.push(Event { day: *day, comes: 0, spoils: amount.checked_mul(parts)? });
        }
        // What earlier lines take now leaves before it spoils.
        let mut spoiled: i128 = 0;
        if let Some(taken) = taken {
            let now = taken::in_parts(taken.shelf, parts)?;
            shelf = shelf.checked_sub(now)?;
            spoiled = spoiled.checked_sub(now)?;
            for (day, quantity) in &taken.dated {
                let comes = taken::in_parts(*quantity, parts)?.checked_neg()?;
                events.push(Event { day: *day, comes, spoils: 0 });
            }
        }
        events.sort_unstable_by_key(|event| event.day);

        // Projected and spoiled at the end of each day.
        let mut ends: Few<Event> = SmallVec::with_capacity(events.len());
        let mut projected = shelf;
        for event in events {
            projected = projected.checked_add(event.comes)?;
            spoiled = spoiled.checked_add(event.spoils)?;
            if ends.last().is_some_and(|end| end.day == event.day) {
                ends.pop();
            }
            ends.push(Event { day: event.day, comes: projected, spoils: spoiled.max(0) });
        }
        let mut least = projected;
        let mut steps: Few<(i32, i128)> = SmallVec::with_capacity(ends.len());
        for end in ends.iter().rev() {
            least = least.min(end.comes);
            steps.push((end.day, if keeping { least.checked_sub(end.spoils)? } else { least }));
        }
        steps.reverse();
        let spoils = ends.iter().filter(|end| !keeping && end.spoils > 0);
        let spoiled = spoils.map(|end| (end.day, end.spoils)).collect();
        Some(Atp { parts, now: shelf.min(steps[0].1), steps, spoiled })
    }
}

impl Atp {
    pub(crate) fn at(&self, day: i32) -> i128 {
        let mut steps = self.steps.iter().rev();
        steps.find(|(from, _)| *from <= day).map_or(0, |(_, value)| *value)
    }

    /// Whether anything on the shelf spoils before the horizon unless it leaves.
    pub(crate) fn spoils(&self) -> bool {
        !self.spoiled.is_empty()
    }

    /// What is lost by a day when only `left` order units went before it; below 0: nothing.
    pub(crate) fn lost(&self, day: i32, left: Decimal, per_unit: Exact) -> Option<i128> {
        let mut spoiled = self.spoiled.iter().rev();
        let Some((_, spoiled)) = spoiled.find(|(from, _)| *from <= day) else {
            return Some(0);
        };
        let left = i128::from(left.micros()).checked_mul(self.parts)?.checked_mul(per_unit.numerator())?;
        spoiled.checked_sub(left.checked_div(per_unit.denominator())?)
    }

    /// How many whole steps of an order unit `amount` makes, where one unit takes `per_unit` base units; never
    /// below 0. One division: nothing is rounded before.
    pub(crate) fn whole_steps(&self, amount: i128, per_unit: Exact, step: Decimal) -> Option<i128> {
        let divisor = self.parts.checked_mul(per_unit.numerator())?.checked_mul(i128::from(step.micros()))?;
        amount.max(0).checked_mul(per_unit.denominator())?.checked_div(divisor)
    }
}
