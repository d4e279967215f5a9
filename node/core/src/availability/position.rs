//! What one warehouse has of one item by day, in base units, and what of it may be promised.

use std::collections::BTreeMap;

use pannier_protocol::Decimal;

use super::taken::TakenOf;
use crate::quantity::Exact;

/// Stock of one item at one warehouse, read once. Amounts are millionths of a base unit, days are counted
/// from today.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// On hand less quarantine, allocated, safety stock and expired lots; negative where more is bespoken
    /// than there is.
    pub(super) shelf: i128,
    /// Supply, and negative demand, from 0 to the horizon.
    pub(super) moves: Vec<(i32, i128)>,
    /// Lots by the first day on which they cannot be sold any more.
    pub(super) losses: Vec<(i32, i128)>,
}

/// Available to promise, in base units.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Atp {
    /// What is on the shelf, bounded by ATP of today.
    pub(super) now: Exact,
    /// From day 0; each value holds until the next day named.
    pub(super) steps: Vec<(i32, Exact)>,
}

impl Position {
    /// `ATP(d) = min over t in [d, horizon] of projected(t)`: what is promised for a day is not taken from
    /// under a later demand. With `keeping`, nothing leaves before day d, so lots that expire until then are
    /// no part of ATP(d). `None`: a sum is out of range.
    pub(super) fn atp(&self, taken: Option<&TakenOf>, keeping: bool) -> Option<Atp> {
        let mut shelf = exact(self.shelf)?;
        // Per day: what comes, and what spoils.
        let mut days: BTreeMap<i32, (Exact, Exact)> = BTreeMap::from([(0, (Exact::ZERO, Exact::ZERO))]);
        for (day, amount) in &self.moves {
            let (comes, _) = days.entry(*day).or_insert((Exact::ZERO, Exact::ZERO));
            *comes = comes.checked_add(exact(*amount)?)?;
        }
        for (day, amount) in self.losses.iter().filter(|_| keeping) {
            let (_, spoils) = days.entry(*day).or_insert((Exact::ZERO, Exact::ZERO));
            *spoils = spoils.checked_add(exact(*amount)?)?;
        }
        if let Some(taken) = taken {
            shelf = shelf.checked_sub(taken.shelf)?;
            for (day, quantity) in &taken.dated {
                let (comes, _) = days.entry(*day).or_insert((Exact::ZERO, Exact::ZERO));
                *comes = comes.checked_sub(*quantity)?;
            }
        }
        let (mut projected, mut spoiled) = (shelf, Exact::ZERO);
        let mut steps = Vec::with_capacity(days.len());
        let mut losses = Vec::with_capacity(days.len());
        for (day, (comes, spoils)) in days {
            projected = projected.checked_add(comes)?;
            spoiled = spoiled.checked_add(spoils)?;
            steps.push((day, projected));
            losses.push(spoiled);
        }
        let mut least = projected;
        for ((_, value), spoiled) in steps.iter_mut().zip(losses).rev() {
            least = least.min(*value);
            *value = least.checked_sub(spoiled)?;
        }
        Some(Atp { now: shelf.min(steps[0].1), steps })
    }
}

impl Atp {
    pub(super) fn at(&self, day: i32) -> Exact {
        let steps = self.steps.iter().rev();
        steps.clone().find(|(from, _)| *from <= day).map_or(Exact::ZERO, |(_, value)| *value)
    }
}

fn exact(micros: i128) -> Option<Exact> {
    Exact::new(micros, i128::from(Decimal::SCALE))
}
