//! What warehouses can ship of a line, and the plan over them.

use pannier_protocol::Decimal;
use pannier_protocol::change::SourcingMode;
use smallvec::SmallVec;

use super::position::{Atp, Few};
use crate::dictionary::WarehouseNo;
use crate::quantity::Exact;

/// What one warehouse can ship of the line, in whole order units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ladder {
    pub(crate) warehouse: WarehouseNo,
    pub(crate) now: Decimal,
    /// Days from today, from 0; cumulative, `now` included; each value holds until the next day named.
    pub(crate) steps: Few<(i32, Decimal)>,
}

/// Which quantity leaves where and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// By day, within a day in sourcing order.
    pub(crate) shipments: Few<Shipment>,
    /// The day on which the line is covered whole.
    pub(crate) full_day: Option<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shipment {
    /// Index of the ladder.
    pub(crate) at: usize,
    /// `None`: from the shelf, now.
    pub(crate) day: Option<i32>,
    pub(crate) quantity: Decimal,
}

impl Ladder {
    /// `ingredients` are what one order unit takes, in base units of each, with their ATP at the warehouse.
    /// One floor at the order's unit: what is left of a component is not lost to an inner one.
    pub(crate) fn new(warehouse: WarehouseNo, ingredients: &[(Exact, Atp)], step: Decimal) -> Option<Self> {
        let units = |amounts: &[i128]| {
            let each = ingredients.iter().zip(amounts);
            let each = each.map(|((per_unit, atp), amount)| atp.whole_steps(*amount, *per_unit, step));
            // `None` is the least: what cannot be computed is not there.
            let micros = each.min()??.saturating_mul(i128::from(step.micros()));
            Some(i64::try_from(micros).map_or(Decimal::MAX, Decimal::from_micros))
        };
        let mut days: Few<i32> =
            ingredients.iter().flat_map(|(_, atp)| atp.steps.iter().map(|s| s.0)).collect();
        days.sort_unstable();
        days.dedup();
        let mut amounts: Few<i128> = ingredients.iter().map(|(_, atp)| atp.now).collect();
        let now = units(&amounts)?;
        let spoils = ingredients.iter().any(|(_, atp)| atp.spoils());
        let (mut left, mut lost) = (now, SmallVec::from_elem(0_i128, ingredients.len()) as Few<i128>);
        let mut steps = Few::with_capacity(days.len());
        for day in days {
            for (at, (per_unit, atp)) in ingredients.iter().enumerate() {
                if spoils {
                    // What spoiled while the rest of the unit was awaited does not come back.
                    lost[at] = lost[at].max(atp.lost(day, left, *per_unit)?);
                }
                amounts[at] = atp.at(day).checked_sub(lost[at])?;
            }
            let there = units(&amounts)?;
            left = if spoils { left.max(there) } else { there };
            steps.push((day, left));
        }
        Some(Self { warehouse, now, steps })
    }

    fn at(&self, day: i32) -> Decimal {
        let mut steps = self.steps.iter().rev();
        steps.find(|(from, _)| *from <= day).map_or(Decimal::ZERO, |(_, units)| *units)
    }

    /// `Some(None)`: by what is on the shelf.
    fn covers(&self, quantity: Decimal) -> Option<Option<i32>> {
        if self.now >= quantity {
            return Some(None);
        }
        self.steps.iter().find(|(_, units)| *units >= quantity).map(|(day, _)| Some(*day))
    }
}

/// The sum over the warehouses of what they have now.
pub(crate) fn available(ladders: &[Ladder]) -> Decimal {
    sum(ladders.iter().map(|ladder| ladder.now))
}

fn sum(quantities: impl Iterator<Item = Decimal>) -> Decimal {
    quantities.fold(Decimal::ZERO, |sum, one| sum.checked_add(one).unwrap_or(Decimal::MAX))
}

/// `ladders` are the eligible warehouses in sourcing order.
pub(crate) fn plan(ladders: &[Ladder], quantity: Decimal, mode: SourcingMode) -> Plan {
    match mode {
        SourcingMode::Split => split(ladders, quantity),
        SourcingMode::ShipComplete => ship_complete(ladders, quantity),
        SourcingMode::Single => {
            let covering = |at: &usize| ladders[*at].covers(quantity);
            let soonest = (0..ladders.len()).filter(|at| covering(at).is_some()).min_by_key(covering);
            let Some(ladder) = ladders.get(soonest.unwrap_or(0)) else {
                return Plan::default();
            };
            let mut plan = split(std::slice::from_ref(ladder), quantity);
            plan.shipments.iter_mut().for_each(|shipment| shipment.at = soonest.unwrap_or(0));
            plan
        }
    }
}

/// A line being covered.
struct Covering<'l> {
    ladders: &'l [Ladder],
    taken: Few<Decimal>,
    open: Decimal,
    plan: Plan,
}

impl<'l> Covering<'l> {
    fn new(ladders: &'l [Ladder], quantity: Decimal) -> Self {
        Self {
            ladders,
            taken: SmallVec::from_elem(Decimal::ZERO, ladders.len()),
            open: quantity,
            plan: Plan::default(),
        }
    }

    /// Takes what is there by then, warehouse by warehouse; `None`: what is on the shelves.
    fn take(&mut self, day: Option<i32>) {
        for (at, ladder) in self.ladders.iter().enumerate() {
            let there = day.map_or(ladder.now, |day| ladder.at(day));
            let left = there.checked_sub(self.taken[at]).map_or(Decimal::ZERO, Decimal::clamped);
            let quantity = left.min(self.open);
            if !quantity.is_positive() {
                continue;
            }
            self.taken[at] = self.taken[at].checked_add(quantity).unwrap_or(Decimal::MAX);
            self.open = self.open.checked_sub(quantity).map_or(Decimal::ZERO, Decimal::clamped);
            self.plan.shipments.push(Shipment { at, day, quantity });
            if self.open.is_zero() {
                self.plan.full_day = Some(day.unwrap_or(0));
            }
        }
    }
}

fn days(ladders: &[Ladder]) -> Few<i32> {
    let mut days: Few<i32> =
        ladders.iter().flat_map(|ladder| ladder.steps.iter().map(|step| step.0)).collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// What each has, as it has it.
fn split(ladders: &[Ladder], quantity: Decimal) -> Plan {
    let mut covering = Covering::new(ladders, quantity);
    covering.take(None);
    for day in days(ladders) {
        if covering.open.is_zero() {
            break;
        }
        covering.take(Some(day));
    }
    covering.plan
}

/// Nothing before the day on which all together cover the line.
fn ship_complete(ladders: &[Ladder], quantity: Decimal) -> Plan {
    let mut covering = Covering::new(ladders, quantity);
    if available(ladders) >= quantity {
        covering.take(None);
        return covering.plan;
    }
    let together = |day: &i32| sum(ladders.iter().map(|ladder| ladder.at(*day)));
    if let Some(day) = days(ladders).into_iter().find(|day| together(day) >= quantity) {
        covering.take(Some(day));
    }
    covering.plan
}
