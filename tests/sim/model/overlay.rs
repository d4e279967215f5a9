//! What is promised and in no figure yet: promised, less what was given back, less what the figure contains (semantics
//! 2.11), worked out from what the source said last.

use std::collections::BTreeMap;

use pannier_protocol::order::{Need, ReleaseOverlay};
use pannier_protocol::{ItemId, WarehouseId};

use super::holds::Hold;
use super::orders::{Line, Order, Part, When};
use super::sources::Contains;
use super::{Micros, Model};

pub(super) const AGE_MS_MAX: i64 = 24 * 3_600_000;

/// What one part takes of one item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Take {
    pub(crate) item: ItemId,
    pub(crate) warehouse: WarehouseId,
    pub(crate) when: When,
    pub(crate) quantity: Micros,
    pub(crate) contained: Micros,
    /// Of a hold.
    pub(crate) expires: Option<i64>,
}

impl Take {
    pub(crate) fn open(&self) -> Micros {
        self.quantity - self.contained
    }
}

/// Base units that so many units of a line take, rounded up to a millionth.
pub(super) fn taken_by(need: &Need, units: Micros) -> Micros {
    let (product, denominator) = (units * i128::from(need.numerator), i128::from(need.denominator));
    (product + denominator - 1) / denominator
}

impl Model {
    /// The takes of an order's line, part by part. A name is cumulative for line and warehouse: what it contains goes to
    /// the parts first to last, once.
    pub(crate) fn takes(&self, order: &Order, line: &Line) -> Vec<Take> {
        let mut left: BTreeMap<(ItemId, WarehouseId), Micros> = BTreeMap::new();
        let mut takes = Vec::new();
        for part in &line.parts {
            for need in &line.needs {
                let quantity = taken_by(need, part.units);
                let place = (need.item.clone(), part.warehouse.clone());
                let left = left
                    .entry(place)
                    .or_insert_with(|| self.said_to_contain(order, line, need, &part.warehouse));
                let contained = quantity.min(*left);
                *left -= contained;
                let (item, warehouse) = (need.item.clone(), part.warehouse.clone());
                takes.push(Take { item, warehouse, when: part.when, quantity, contained, expires: None });
            }
        }
        takes
    }

    fn said_to_contain(&self, order: &Order, line: &Line, need: &Need, warehouse: &WarehouseId) -> Micros {
        let at = line.warehouses.iter().position(|it| it == warehouse).unwrap_or(0);
        let keeper = need.cells[at].stock.as_ref();
        let figure = self
            .sources
            .of(keeper)
            .and_then(|said| said.figures.get(&(need.item.clone(), warehouse.clone())));
        match (figure.and_then(|figure| figure.contains.as_ref()), keeper) {
            (Some(Contains::Named(named)), _) => {
                named.get(&(order.placed.order.to_string(), line.name.clone())).copied().unwrap_or(0)
            }
            (Some(Contains::UpTo(position)), Some(keeper)) => {
                let from = order.positions.get(keeper);
                if from.is_some_and(|from| from <= position) { Micros::MAX } else { 0 }
            }
            _ => 0,
        }
    }

    /// No figure contains a hold.
    pub(crate) fn takes_of_hold(&self, hold: &Hold, line: &Line) -> Vec<Take> {
        let take = |part: &Part, need: &Need| Take {
            item: need.item.clone(),
            warehouse: part.warehouse.clone(),
            when: part.when,
            quantity: taken_by(need, part.units),
            contained: 0,
            expires: Some(hold.expires),
        };
        let parts = line.parts.iter();
        parts.flat_map(|part| line.needs.iter().map(move |need| take(part, need))).collect()
    }

    /// Everything that is promised and in no figure, of orders and of live holds.
    pub(crate) fn all_promised(&self) -> Vec<Take> {
        let orders =
            self.standing().flat_map(|order| order.lines.iter().flat_map(|line| self.takes(order, line)));
        let live = self.holds.values().filter(|hold| self.is_live(hold));
        let holds = live.flat_map(|hold| hold.lines.iter().flat_map(|line| self.takes_of_hold(hold, line)));
        orders.chain(holds).filter(|take| take.open() > 0).collect()
    }

    pub(super) fn promised(&self, item: &ItemId, warehouse: &WarehouseId) -> Vec<Take> {
        let mut all = self.all_promised();
        all.retain(|take| take.item == *item && take.warehouse == *warehouse);
        all
    }

    pub(super) fn is_open_on_stock(&self, order: &Order) -> bool {
        order.lines.iter().flat_map(|line| self.takes(order, line)).any(|take| take.open() > 0)
    }

    /// Looks at what figures contain; what contains less of an order than it did is told.
    pub(super) fn reflect(&mut self, tell: bool) {
        for at in 0..self.orders.len() {
            if self.orders[at].shrunk {
                continue;
            }
            let order = &self.orders[at];
            let mut now: BTreeMap<(String, WarehouseId, String), Micros> = BTreeMap::new();
            let mut most = now.clone();
            for line in &order.lines {
                for take in self.takes(order, line) {
                    let place = (line.name.clone(), take.warehouse, take.item.to_string());
                    *now.entry(place.clone()).or_insert(0) += take.contained;
                    *most.entry(place).or_insert(0) += take.quantity;
                }
            }
            // What was given back was not forgotten.
            let before = |place: &_| order.contained.get(place).copied().unwrap_or(0);
            let forgot = now.iter().any(|(place, contained)| *contained < before(place).min(most[place]));
            let id = order.placed.order;
            self.orders[at].contained = now;
            if forgot && tell {
                self.alarm("restored", id);
            }
        }
        self.tell_overcommit();
    }

    /// A shelf that has less than is promised from it is told once, until it recovers.
    pub(super) fn tell_overcommit(&mut self) {
        let mut items: Vec<(ItemId, WarehouseId)> =
            self.sources.said.values().flat_map(|said| said.figures.keys().cloned()).collect();
        items.sort();
        items.dedup();
        let now: Vec<Take> = self.all_promised().into_iter().filter(|take| take.when == When::Now).collect();
        for place in items {
            let here = now.iter().filter(|take| (&take.item, &take.warehouse) == (&place.0, &place.1));
            let promised: Micros = here.map(Take::open).sum();
            let said = self.sources.said.values();
            let most = said.clone().filter_map(|said| said.figures.get(&place)).map(|it| it.sellable).max();
            let oversold = said.clone().any(|said| said.oversell.get(&place.0) == Some(&true));
            let short = promised > most.unwrap_or(0).max(0) && !oversold;
            if !short {
                self.overcommitted.remove(&place);
            } else if self.overcommitted.insert(place.clone()) {
                self.alarm("overcommit", format!("{} at {}", place.0, place.1));
            }
        }
    }

    /// An order that its backend has and no figure contains is told after a day, once.
    pub(super) fn tell_old_overlays(&mut self) {
        for at in 0..self.orders.len() {
            let order = &self.orders[at];
            let old = order.acknowledged_at.is_some_and(|since| since + AGE_MS_MAX <= self.clock);
            if order.shrunk || order.told_old || !old {
                continue;
            }
            let (id, open) = (order.placed.order, self.is_open_on_stock(order));
            self.orders[at].told_old = true;
            if open {
                self.alarm("overlay", id);
            }
        }
    }

    pub(super) fn release_overlay(&mut self, release: &ReleaseOverlay) {
        let Some(at) = self.find(&release.order).filter(|at| !self.orders[*at].shrunk) else {
            return self.alarm("event", release.order);
        };
        for line in &mut self.orders[at].lines {
            if release.line.as_ref().is_none_or(|only| only.as_str() == line.name) {
                line.parts.clear();
            }
        }
    }
}
