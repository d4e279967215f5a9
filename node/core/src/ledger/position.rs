//! What one warehouse has of one item by day, from the rows that count: the one place that subtracts, for
//! lookups and for verdicts.

use pannier_protocol::change::{PastDue, Receipt};
use pannier_protocol::{Decimal, LocalDate, Timestamp};

use super::promises::{Promised, When};
use super::{CellLots, SafetyStock, StockCell, SupplyLine};
use crate::dictionary::UomNo;
use crate::sourcing::Position;

/// The rows of one item at one warehouse, each of the source whose row counts, and what is promised of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CellRows<'r> {
    pub(crate) cell: Option<&'r StockCell>,
    pub(crate) safety: Option<&'r SafetyStock>,
    /// Of items that are lot-tracked only.
    pub(crate) lots: Option<&'r CellLots>,
    pub(crate) supply: &'r [SupplyLine],
    pub(crate) promised: &'r [Promised],
}

/// How they are counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PositionTerms {
    pub(crate) base_uom: UomNo,
    pub(crate) today: LocalDate,
    pub(crate) now: Timestamp,
    pub(crate) horizon_days: u16,
    pub(crate) past_due: PastDue,
}

/// A position, and whether a row in another unit was met.
pub(crate) struct Counted {
    pub(crate) position: Position,
    pub(crate) stale_unit: bool,
}

impl PositionTerms {
    /// Only rows in the item's base unit count: with a row that lowers stock in another unit the whole warehouse
    /// counts nothing, for how much it lowers is unknown.
    pub(crate) fn position(&self, rows: &CellRows<'_>) -> Counted {
        let mut counting =
            Counting { terms: self, position: Position::default(), usable: true, stale_unit: false };
        counting.shelf(rows);
        counting.supply(rows);
        counting.promised(rows.promised);
        let position = if counting.usable { counting.position } else { Position::default() };
        Counted { position, stale_unit: counting.stale_unit }
    }

    /// Days from today; `None` for supply that does not count. Demand that is past due counts today.
    fn expected_on(&self, date: LocalDate, quantity: Decimal) -> Option<i32> {
        let day = match (date.days_since(self.today), self.past_due) {
            (..0, _) if quantity.is_negative() => 0,
            (..0, PastDue::Ignore) => return None,
            (..0, PastDue::Days(lag)) => i32::from(lag),
            (day, _) => day,
        };
        (day <= i32::from(self.horizon_days)).then_some(day)
    }
}

struct Counting<'t> {
    terms: &'t PositionTerms,
    position: Position,
    usable: bool,
    stale_unit: bool,
}

impl Counting<'_> {
    fn is_base(&mut self, uom: UomNo) -> bool {
        self.stale_unit |= uom != self.terms.base_uom;
        uom == self.terms.base_uom
    }

    fn shelf(&mut self, rows: &CellRows<'_>) {
        if let Some(cell) = rows.cell {
            self.usable &= self.is_base(cell.uom);
            self.position.shelf += cell.sellable();
        }
        if let Some(safety) = rows.safety {
            self.usable &= self.is_base(safety.uom);
            self.position.shelf -= micros(safety.quantity);
        }
        let Some(lots) = rows.lots else { return };
        self.usable &= self.is_base(lots.uom);
        for lot in &lots.lots {
            let Some(expires) = lot.expires else { continue };
            match expires.days_since(self.terms.today) {
                ..0 => self.position.shelf -= micros(lot.quantity),
                left => self.position.losses.push((left.saturating_add(1), micros(lot.quantity))),
            }
        }
    }

    fn supply(&mut self, rows: &CellRows<'_>) {
        let receipts = rows.cell.map_or(&[][..], StockCell::receipts);
        for line in rows.supply {
            if !self.is_base(line.uom) {
                self.usable &= !line.quantity.is_negative();
                continue;
            }
            let day = self.terms.expected_on(line.date, line.quantity);
            self.position.moves.extend(day.map(|day| (day, still_to_come(line, receipts))));
        }
    }

    /// A promise whose day has come is demand of today; one beyond the horizon, or without a day, of its last.
    fn promised(&mut self, promised: &[Promised]) {
        let horizon = i32::from(self.terms.horizon_days);
        for promised in promised {
            if promised.expires.is_some_and(|expires| expires <= self.terms.now) {
                continue;
            }
            self.usable &= self.is_base(promised.uom);
            let quantity = micros(promised.quantity);
            let day = match promised.when {
                When::Now => {
                    self.position.shelf -= quantity;
                    continue;
                }
                When::On(date) => date.days_since(self.terms.today).clamp(0, horizon),
                When::Someday => horizon,
            };
            self.position.moves.push((day, -quantity));
        }
    }
}

/// A line less what was received of it beyond what its owner has seen.
fn still_to_come(line: &SupplyLine, receipts: &[Receipt]) -> i128 {
    let received = receipts.iter().find(|receipt| receipt.reference == line.reference);
    let unseen = received.map_or(0, |receipt| (micros(receipt.received) - micros(line.received)).max(0));
    let quantity = micros(line.quantity);
    if quantity < 0 { quantity } else { (quantity - unseen).max(0) }
}

fn micros(decimal: Decimal) -> i128 {
    i128::from(decimal.micros())
}
