//! What may be promised of a line: by the definition of semantics 2.3, day by day, over everything that was ever said and
//! promised.

use pannier_protocol::api::OrderLineState;
use pannier_protocol::change::SourcingMode;
use pannier_protocol::order::{IfShort, Need, NeedCell, StockLine, StockTerms};
use pannier_protocol::{ItemId, LocalDate, WarehouseId};

use super::orders::{Line, Part, When};
use super::overlay::taken_by;
use super::{Micros, Model, micros};

/// What earlier lines of the same command took.
struct Taken {
    item: ItemId,
    warehouse: WarehouseId,
    when: When,
    quantity: Micros,
}

/// What each warehouse of a line can have shipped by then, in whole steps.
struct Reach {
    now: Vec<Micros>,
    /// By day, then by warehouse.
    days: Vec<Vec<Micros>>,
}

impl Model {
    pub(super) fn judge_lines<'l>(
        &self,
        lines: impl Iterator<Item = &'l StockLine>,
        terms: &StockTerms,
    ) -> Vec<Line> {
        let mut taken = Vec::new();
        let mut judged = Vec::new();
        for stock in lines {
            let line = self.judge_line(stock, terms, &taken);
            for part in &line.parts {
                for need in &line.needs {
                    let (item, warehouse) = (need.item.clone(), part.warehouse.clone());
                    let quantity = taken_by(need, part.units);
                    taken.push(Taken { item, warehouse, when: part.when, quantity });
                }
            }
            judged.push(line);
        }
        judged
    }

    fn judge_line(&self, stock: &StockLine, terms: &StockTerms, taken: &[Taken]) -> Line {
        let wanted = micros(stock.quantity);
        let today = terms.zone.date_at(self.now()).expect("a day");
        let reach = self.reach(stock, terms, today, taken);
        let mut parts = plan(&reach, &stock.warehouses, wanted, terms.mode, today);
        let now: Micros = parts.iter().filter(|part| part.when == When::Now).map(|part| part.units).sum();
        let first = stock.warehouses[0].clone();
        let rejected = Line { state: OrderLineState::Rejected, ..Line::of(stock) };
        let state = if now >= wanted {
            OrderLineState::Accepted
        } else if stock.needs.iter().all(|need| self.may_oversell(need)) {
            parts = vec![Part { warehouse: first, when: When::Now, units: wanted }];
            OrderLineState::Accepted
        } else if stock.if_short == IfShort::Partial && now > 0 {
            parts.retain(|part| part.when == When::Now);
            OrderLineState::Accepted
        } else if stock.if_short == IfShort::Backorder && stock.needs.iter().all(|need| need.backorder) {
            let rest = wanted - parts.iter().map(|part| part.units).sum::<Micros>();
            if rest > 0 {
                parts.push(Part { warehouse: first, when: When::Someday, units: rest });
            }
            OrderLineState::Backordered
        } else {
            return rejected;
        };
        let quantity = parts.iter().map(|part| part.units).sum();
        Line { state, quantity, parts, ..Line::of(stock) }
    }

    fn may_oversell(&self, need: &Need) -> bool {
        let said = need.cells.iter().filter_map(|cell| self.sources.of(cell.stock.as_ref()));
        said.filter_map(|said| said.oversell.get(&need.item)).any(|allowed| *allowed)
    }

    fn reach(&self, stock: &StockLine, terms: &StockTerms, today: LocalDate, taken: &[Taken]) -> Reach {
        let step = micros(stock.step);
        let mut reach =
            Reach { now: Vec::new(), days: vec![Vec::new(); usize::from(terms.horizon_days) + 1] };
        for (at, warehouse) in stock.warehouses.iter().enumerate() {
            let atps = stock.needs.iter().map(|need| {
                let (shelf, moves) = self.position(need, &need.cells[at], warehouse, terms, (today, taken));
                let whole = |base: Micros| {
                    base.max(0) * i128::from(need.denominator) / (i128::from(need.numerator) * step) * step
                };
                let days: Vec<Micros> = atp(shelf, &moves, i32::from(terms.horizon_days));
                (whole(shelf.min(days[0])), days.into_iter().map(whole).collect::<Vec<_>>())
            });
            let atps: Vec<_> = atps.collect();
            reach.now.push(atps.iter().map(|(now, _)| *now).min().unwrap_or(0));
            for (day, there) in reach.days.iter_mut().enumerate() {
                there.push(atps.iter().map(|(_, days)| days[day]).min().unwrap_or(0));
            }
        }
        reach
    }

    /// What is on the shelf, and what comes and goes by day, of one item at one warehouse.
    fn position(
        &self,
        need: &Need,
        cell: &NeedCell,
        warehouse: &WarehouseId,
        terms: &StockTerms,
        (today, taken): (LocalDate, &[Taken]),
    ) -> (Micros, Vec<(i32, Micros)>) {
        let horizon = i32::from(terms.horizon_days);
        let place = (need.item.clone(), warehouse.clone());
        let figure = self.sources.of(cell.stock.as_ref()).and_then(|said| said.figures.get(&place));
        let safety = self.sources.of(cell.safety.as_ref()).and_then(|said| said.safety.get(&place));
        let mut shelf = figure.map_or(0, |figure| figure.sellable) - safety.copied().unwrap_or(0);
        let mut moves: Vec<(i32, Micros)> = Vec::new();
        let mut promise = |when: When, quantity: Micros| match when {
            When::Now => shelf -= quantity,
            When::On(date) => moves.push((date.days_since(today).clamp(0, horizon), -quantity)),
            When::Someday => moves.push((horizon, -quantity)),
        };
        for take in self.promised(&need.item, warehouse) {
            promise(take.when, take.open());
        }
        for other in taken.iter().filter(|it| it.item == need.item && it.warehouse == *warehouse) {
            promise(other.when, other.quantity);
        }
        let supply = self.sources.of(cell.supply.as_ref()).map(|said| &said.supply);
        for ((item, at, _), supply) in supply.into_iter().flatten() {
            let due = supply.date.days_since(today);
            if *item == need.item && at == warehouse && (0..=horizon).contains(&due) {
                moves.push((due, supply.quantity));
            }
        }
        (shelf, moves)
    }
}

/// By day: `min over t in [d, horizon] of projected(t)`.
fn atp(shelf: Micros, moves: &[(i32, Micros)], horizon: i32) -> Vec<Micros> {
    let projected = |t: i32| shelf + moves.iter().filter(|(at, _)| *at <= t).map(|it| it.1).sum::<Micros>();
    (0..=horizon).map(|day| (day..=horizon).map(projected).min().unwrap_or(0)).collect()
}

/// Spreads a line over warehouses and days.
fn plan(
    reach: &Reach,
    warehouses: &[WarehouseId],
    wanted: Micros,
    mode: SourcingMode,
    today: LocalDate,
) -> Vec<Part> {
    let all: Vec<usize> = (0..warehouses.len()).collect();
    let days = 0..reach.days.len();
    match mode {
        SourcingMode::Split => fill(reach, warehouses, &all, wanted, true, days, today),
        SourcingMode::ShipComplete => {
            if reach.now.iter().sum::<Micros>() >= wanted {
                return fill(reach, warehouses, &all, wanted, true, 0..0, today);
            }
            let together = |day: &usize| reach.days[*day].iter().sum::<Micros>() >= wanted;
            match days.clone().find(together) {
                Some(day) => fill(reach, warehouses, &all, wanted, false, day..day + 1, today),
                None => Vec::new(),
            }
        }
        SourcingMode::Single => {
            let now = all.iter().find(|at| reach.now[**at] >= wanted);
            let soonest =
                || days.clone().find_map(|day| all.iter().find(|at| reach.days[day][**at] >= wanted));
            let only = now.or_else(soonest).copied().unwrap_or(0);
            fill(reach, warehouses, &[only], wanted, true, days, today)
        }
    }
}

/// Takes what is there, on the shelf first and then day by day, within each in sourcing order.
fn fill(
    reach: &Reach,
    warehouses: &[WarehouseId],
    from: &[usize],
    wanted: Micros,
    shelf: bool,
    days: std::ops::Range<usize>,
    today: LocalDate,
) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut taken = vec![0; warehouses.len()];
    let mut open = wanted;
    let shelf = shelf.then_some((When::Now, &reach.now));
    let dated = days.map(|day| {
        let date = today.plus_days(i32::try_from(day).unwrap_or(0)).expect("a day");
        (When::On(date), &reach.days[day])
    });
    for (when, there) in shelf.into_iter().chain(dated) {
        for at in from {
            let units = (there[*at] - taken[*at]).clamp(0, open);
            if units > 0 {
                taken[*at] += units;
                open -= units;
                parts.push(Part { warehouse: warehouses[*at].clone(), when, units });
            }
        }
    }
    parts
}
