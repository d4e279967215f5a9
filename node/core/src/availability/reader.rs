//! Reads an item's stock of the sources that own it, and notes what it asked.

use std::sync::Arc;

use pannier_protocol::change::{PastDue, Receipt, Table};
use pannier_protocol::{Decimal, LocalDate, SourceId, WarehouseId};

use super::StockQuestion;
use super::position::Position;
use crate::catalog::{ItemRecord, PolicySet};
use crate::dictionary::{Dictionary, UomNo, WarehouseNo};
use crate::freshness::{Consulted, RowFacts};
use crate::ledger::{ItemStock, LedgerTables, StockCell, StockChain, SupplyLine};
use crate::rows::RowVersion;

/// Reads for one line, and remembers on what the answer rests.
pub(super) struct Reader<'a> {
    ledger: &'a LedgerTables,
    policies: &'a PolicySet,
    dictionary: &'a Dictionary,
    today: LocalDate,
    pub(super) consulted: Consulted,
    pub(super) flags: Flags,
}

/// What freshness does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// A row is stated in a unit that is no longer the item's base unit, and counted nothing.
    pub stale_unit: bool,
    /// The source that owns rows of the answer, or, where nobody owns them, every source, has never sent any.
    pub owner_missing: bool,
}

/// An item's records, each taken once, so that one batch of a source is seen whole.
pub(super) struct Records<'a> {
    pub(super) item: &'a ItemRecord,
    by_chain: Vec<Option<Arc<ItemStock>>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(question: &StockQuestion<'a>) -> Self {
        Self {
            ledger: question.ledger,
            policies: &question.catalog.policies,
            dictionary: question.dictionary,
            today: question.today,
            consulted: Consulted::default(),
            flags: Flags { owner_missing: question.ledger.chains.is_empty(), ..Flags::default() },
        }
    }

    pub(super) fn records<'r>(&self, item: &'r ItemRecord) -> Records<'r> {
        let by_chain = self.ledger.chains.iter().map(|chain| chain.rows.find_item(item.item)).collect();
        Records { item, by_chain }
    }

    /// All warehouses where any source has the item or expects it. Their set rests on every chain that may
    /// add one.
    pub(super) fn warehouses(&mut self, records: &Records<'_>) -> Vec<WarehouseNo> {
        let class = records.item.class_id.as_ref();
        let (ledger, policies) = (self.ledger, self.policies);
        for table in [Table::Stock, Table::Supply] {
            for owner in policies.owners(table, class) {
                self.owner_chain(owner);
            }
            if policies.owner(table, None, class).is_none() {
                ledger.chains.iter().for_each(|chain| self.consulted.note(&chain.status));
            }
        }
        records.by_chain.iter().flatten().flat_map(|record| record.warehouses()).collect()
    }

    fn owner_chain(&mut self, owner: &SourceId) -> Option<usize> {
        let Ok(at) = self.ledger.chains.binary_search_by(|chain| chain.source.cmp(owner)) else {
            self.flags.owner_missing = true;
            return None;
        };
        self.consulted.note(&self.ledger.chains[at].status);
        Some(at)
    }

    /// The rows that count: the owner's; without an owner, those of the lowest source id that has some.
    fn select<'r, T>(
        &mut self,
        records: &'r Records<'_>,
        table: Table,
        warehouse: Option<&WarehouseId>,
        find: impl Fn(&'r ItemStock) -> Option<T>,
    ) -> Option<(T, &'a StockChain)> {
        let (ledger, policies) = (self.ledger, self.policies);
        let found = |at: usize| records.by_chain[at].as_deref().and_then(&find);
        if let Some(owner) = policies.owner(table, warehouse, records.item.class_id.as_ref()) {
            let at = self.owner_chain(owner)?;
            return Some((found(at)?, &ledger.chains[at]));
        }
        for (at, chain) in ledger.chains.iter().enumerate() {
            self.consulted.note(&chain.status);
            if let Some(rows) = found(at) {
                return Some((rows, chain));
            }
        }
        None
    }

    fn note_condemned(
        &mut self,
        chain: &StockChain,
        version: RowVersion,
        item: &ItemRecord,
        warehouse: WarehouseNo,
    ) {
        let facts = || RowFacts {
            item: Some(item.id.as_str()),
            warehouse: Some(self.dictionary.warehouses.name(warehouse)),
            ..RowFacts::default()
        };
        if let Some(mode) = chain.status.condemns(version, facts) {
            self.consulted.note_invalidated(mode);
        }
    }

    /// What the warehouse has of the item by day. Only rows in the item's base unit count: with a row that
    /// lowers stock in another unit the whole warehouse counts nothing, for how much it lowers is unknown.
    pub(super) fn position(&mut self, records: &Records<'_>, warehouse: WarehouseNo) -> Position {
        let item = records.item;
        let id = WarehouseId::new(self.dictionary.warehouses.name(warehouse)).ok();
        let id = id.as_ref();
        let mut usable = true;
        let mut shelf: i128 = 0;
        let cell = self.select(records, Table::Stock, id, |record| record.cell(warehouse));
        if let Some((cell, chain)) = cell {
            self.note_condemned(chain, cell.version, item, warehouse);
            usable &= self.is_base(item, cell.uom);
            shelf += sellable(cell);
        }
        let safety = self.select(records, Table::Safety, id, |record| record.safety(warehouse));
        if let Some((safety, chain)) = safety {
            self.note_condemned(chain, safety.version, item, warehouse);
            usable &= self.is_base(item, safety.uom);
            shelf -= micros(safety.quantity);
        }
        let mut losses = Vec::new();
        if item.lot_tracked {
            let lots = self.select(records, Table::Lots, id, |record| record.lots(warehouse));
            if let Some((lots, chain)) = lots {
                self.note_condemned(chain, lots.version, item, warehouse);
                usable &= self.is_base(item, lots.uom);
                for lot in &lots.lots {
                    let Some(expires) = lot.expires else { continue };
                    match expires.days_since(self.today) {
                        ..0 => shelf -= micros(lot.quantity),
                        left => losses.push((left.saturating_add(1), micros(lot.quantity))),
                    }
                }
            }
        }
        let receipts = cell.map_or(&[][..], |(cell, _)| cell.receipts());
        let lines = self.select(records, Table::Supply, id, |record| {
            Some(record.supply(warehouse)).filter(|lines| !lines.is_empty())
        });
        let mut moves = Vec::new();
        for (line, chain) in
            lines.iter().flat_map(|(lines, chain)| lines.iter().map(move |line| (line, *chain)))
        {
            self.note_condemned(chain, line.version, item, warehouse);
            if !self.is_base(item, line.uom) {
                usable &= !line.quantity.is_negative();
                continue;
            }
            moves.extend(
                self.expected_on(line.date, line.quantity).map(|day| (day, still_to_come(line, receipts))),
            );
        }
        if usable { Position { shelf, moves, losses } } else { Position::default() }
    }

    fn is_base(&mut self, item: &ItemRecord, uom: UomNo) -> bool {
        self.flags.stale_unit |= uom != item.base_uom;
        uom == item.base_uom
    }

    /// Days from today; `None` for supply that does not count. Demand that is past due counts today.
    fn expected_on(&self, date: LocalDate, quantity: Decimal) -> Option<i32> {
        let sourcing = &self.policies.sourcing;
        let day = match (date.days_since(self.today), sourcing.past_due) {
            (..0, _) if quantity.is_negative() => 0,
            (..0, PastDue::Ignore) => return None,
            (..0, PastDue::Days(lag)) => i32::from(lag),
            (day, _) => day,
        };
        (day <= i32::from(sourcing.horizon_days)).then_some(day)
    }
}

/// On hand that nobody has: allocation is taken off only where the source has not done so.
fn sellable(cell: &StockCell) -> i128 {
    let allocated = if cell.on_hand_is_net { 0 } else { micros(cell.allocated) };
    micros(cell.on_hand) - micros(cell.quarantine) - allocated
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
