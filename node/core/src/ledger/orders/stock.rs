//! Lines against the ledger's stock: the same arithmetic as a lookup's, over the cells that the command names.

use std::collections::BTreeMap;

use pannier_protocol::api::OrderLineState;
use pannier_protocol::order::{IfShort, Need, NeedCell, OrderReason, PromisedPart, StockLine, StockTerms};
use pannier_protocol::{Decimal, LocalDate, SourceId, Timestamp, WarehouseId};

use super::record::{Allocation, LineRecord, Promise, Take, base_units};
use crate::dictionary::Dictionary;
use crate::gate::Chain;
use crate::ledger::{CellRows, ItemPromises, ItemStock, PositionTerms, PromiseRows, StockRows};
use crate::quantity::Exact;
use crate::sourcing::{self, Ladder, Plan, Position, Sourced, Taken};

/// The chains of `ledger.stock.*` by source.
pub type StockChains = BTreeMap<SourceId, Chain<StockRows>>;

/// What a verdict reads of stock, at one entry.
#[derive(Clone, Copy)]
pub(super) struct Stock<'a> {
    pub(super) chains: &'a StockChains,
    pub(super) promises: &'a PromiseRows,
    pub(super) dictionary: &'a Dictionary,
    /// Ledger time.
    pub(super) now: Timestamp,
}

/// A line with what each of its warehouses can ship.
struct Planned<'l> {
    line: &'l StockLine,
    today: LocalDate,
    ladders: Vec<Ladder>,
    plan: Plan,
}

impl Stock<'_> {
    fn record(&self, source: Option<&SourceId>, need: &Need) -> Option<std::sync::Arc<ItemStock>> {
        let item = self.dictionary.items.get(need.item.as_str())?;
        self.chains.get(source?)?.rows().find_item(item)
    }

    fn position(
        &self,
        need: &Need,
        cell: &NeedCell,
        warehouse: &WarehouseId,
        terms: &StockTerms,
    ) -> Position {
        let Some(today) = terms.zone.date_at(self.now) else { return Position::default() };
        let item = self.dictionary.items.intern(need.item.as_str());
        let warehouse = self.dictionary.warehouses.intern(warehouse.as_str());
        let [stock, safety, lots, supply] = [&cell.stock, &cell.safety, &cell.lots, &cell.supply]
            .map(|source| self.record(source.as_ref(), need));
        let promises = self.promises.of(item);
        let rows = CellRows {
            cell: stock.as_deref().and_then(|record| record.cell(warehouse)),
            safety: safety.as_deref().and_then(|record| record.safety(warehouse)),
            lots: lots.as_deref().filter(|_| need.lot_tracked).and_then(|record| record.lots(warehouse)),
            supply: supply.as_deref().map_or(&[][..], |record| record.supply(warehouse)),
            promised: promises.as_deref().map_or(&[][..], |promises: &ItemPromises| promises.at(warehouse)),
        };
        let terms = PositionTerms {
            base_uom: self.dictionary.uoms.intern(need.base_uom.as_str()),
            today,
            now: self.now,
            horizon_days: terms.horizon_days,
            past_due: terms.past_due,
        };
        terms.position(&rows).position
    }

    /// `None`: the day cannot be told in the tenant's zone.
    fn planned<'l>(&self, line: &'l StockLine, terms: &StockTerms, taken: &Taken) -> Option<Planned<'l>> {
        let needs: Option<Vec<sourcing::Need>> = line.needs.iter().map(|need| self.need(need)).collect();
        let needs = needs.filter(|needs| !needs.is_empty());
        let sourced = Sourced { needs: needs.as_deref(), mode: terms.mode, step: line.step, taken };
        let ladders = line.warehouses.iter().enumerate().map(|(at, warehouse)| {
            let positions =
                line.needs.iter().map(|need| self.position(need, &need.cells[at], warehouse, terms));
            let positions: Vec<Position> = positions.collect();
            sourced.ladder(self.dictionary.warehouses.intern(warehouse.as_str()), &positions)
        });
        let ladders: Vec<Ladder> = ladders.collect();
        let plan = sourcing::plan(&ladders, line.quantity, terms.mode);
        Some(Planned { line, today: terms.zone.date_at(self.now)?, ladders, plan })
    }

    fn need(&self, need: &Need) -> Option<sourcing::Need> {
        let per_unit = Exact::new(i128::from(need.numerator), i128::from(need.denominator))?;
        Some(sourcing::Need { item: self.dictionary.items.intern(need.item.as_str()), per_unit })
    }

    /// Whether more may be promised than there is, of every item that the line takes.
    fn may_oversell(&self, line: &StockLine) -> bool {
        let flagged = |need: &Need| {
            let sources = need.cells.iter().filter_map(|cell| cell.stock.as_ref());
            let mut records = sources.filter_map(|source| self.record(Some(source), need));
            records.any(|record| record.oversell().is_some_and(|oversell| oversell.allowed))
        };
        !line.needs.is_empty() && !line.warehouses.is_empty() && line.needs.iter().all(flagged)
    }

    /// What of the line can be promised by its own rules; later lines find what it takes in `taken`.
    pub(super) fn judge(&self, line: &StockLine, terms: &StockTerms, taken: &mut Taken) -> LineRecord {
        let short = || {
            let reasons = vec![OrderReason::OutOfStock];
            LineRecord::without_stock(line.line.clone(), OrderLineState::Rejected, reasons)
        };
        let Some(planned) = self.planned(line, terms, taken) else { return short() };
        let now = sum(planned.plan.shipments.iter().filter(|it| it.day.is_none()).map(|it| it.quantity));
        let covers = now >= line.quantity;
        let mut parts = planned.parts();
        let (mut state, mut reasons) = (OrderLineState::Accepted, Vec::new());
        if !covers && self.may_oversell(line) {
            parts = vec![(line.warehouses[0].clone(), Promise::Now, line.quantity)];
        } else if !covers {
            match line.if_short {
                IfShort::Partial if now.is_positive() => {
                    parts.retain(|(_, when, _)| *when == Promise::Now);
                    reasons.push(OrderReason::Short);
                }
                IfShort::Backorder
                    if !line.warehouses.is_empty() && line.needs.iter().all(|it| it.backorder) =>
                {
                    let promised = sum(parts.iter().map(|(_, _, quantity)| *quantity));
                    let rest = line.quantity.checked_sub(promised).map_or(Decimal::ZERO, Decimal::clamped);
                    if rest.is_positive() {
                        parts.push((line.warehouses[0].clone(), Promise::Someday, rest));
                    }
                    state = OrderLineState::Backordered;
                }
                IfShort::Partial | IfShort::Backorder | IfShort::Reject => return short(),
            }
        }
        match planned.record(parts, state, reasons) {
            Some(record) => {
                self.take(&record, planned.today, taken);
                record
            }
            None => short(),
        }
    }

    /// Notes what a line took, so that the next one of the same command finds less.
    fn take(&self, record: &LineRecord, today: LocalDate, taken: &mut Taken) {
        for allocation in &record.allocations {
            let day = match allocation.when {
                Promise::Now => None,
                Promise::On(date) => Some(date.days_since(today).max(0)),
                // Beyond all supply: kept from every day before.
                Promise::Someday => Some(i32::from(u16::MAX)),
            };
            let warehouse = self.dictionary.warehouses.intern(allocation.warehouse.as_str());
            for take in &allocation.takes {
                let item = self.dictionary.items.intern(take.item.as_str());
                let quantity = Exact::from_decimal(take.quantity);
                taken.add(&sourcing::Taking { item, warehouse, day, quantity });
            }
        }
    }
}

type PlannedPart = (WarehouseId, Promise, Decimal);

impl Planned<'_> {
    fn parts(&self) -> Vec<PlannedPart> {
        debug_assert_eq!(self.ladders.len(), self.line.warehouses.len());
        let shipments = self.plan.shipments.iter().filter_map(|shipment| {
            let when = match shipment.day {
                None => Promise::Now,
                Some(day) => Promise::On(self.today.plus_days(day)?),
            };
            Some((self.line.warehouses[shipment.at].clone(), when, shipment.quantity))
        });
        shipments.collect()
    }

    /// `None`: a quantity is out of range.
    fn record(
        &self,
        parts: Vec<PlannedPart>,
        state: OrderLineState,
        reasons: Vec<OrderReason>,
    ) -> Option<LineRecord> {
        let quantity = sum(parts.iter().map(|(_, _, quantity)| *quantity));
        let promised = parts.iter().map(|(warehouse, when, quantity)| PromisedPart {
            quantity: *quantity,
            date: match when {
                Promise::Now => Some(self.today),
                Promise::On(date) => Some(*date),
                Promise::Someday => None,
            },
            warehouse: Some(warehouse.clone()),
        });
        let promised = promised.collect();
        let allocations: Option<Vec<Allocation>> =
            parts.into_iter().map(|part| self.allocation(part)).collect();
        let empty = LineRecord::without_stock(self.line.line.clone(), state, reasons);
        Some(LineRecord { quantity, promised, allocations: allocations?, ..empty })
    }

    fn allocation(&self, (warehouse, when, units): PlannedPart) -> Option<Allocation> {
        let at = self.line.warehouses.iter().position(|known| *known == warehouse)?;
        let takes = self.line.needs.iter().map(|need| {
            Some(Take {
                item: need.item.clone(),
                uom: need.base_uom.clone(),
                source: need.cells[at].stock.clone(),
                quantity: base_units(need, units)?,
                reflected: Decimal::ZERO,
            })
        });
        Some(Allocation { units, warehouse, when, takes: takes.collect::<Option<_>>()? })
    }
}

pub(super) fn sum(quantities: impl Iterator<Item = Decimal>) -> Decimal {
    quantities.fold(Decimal::ZERO, |sum, one| sum.checked_add(one).unwrap_or(Decimal::MAX))
}
