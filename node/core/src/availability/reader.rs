//! Reads an item's stock of the sources that own it, and notes what it asked.

use std::sync::Arc;

use pannier_protocol::change::Table;
use pannier_protocol::order::NeedCell;
use pannier_protocol::{LocalDate, SourceId, Timestamp, WarehouseId};

use super::StockQuestion;
use crate::catalog::{ItemRecord, PolicySet};
use crate::dictionary::{Dictionary, ItemNo, WarehouseNo};
use crate::freshness::{Consulted, RowFacts};
use crate::ledger::{
    CellLots, CellRows, ItemPromises, ItemStock, LedgerTables, PositionTerms, SafetyStock, StockCell,
    StockChain, SupplyLine,
};
use crate::live::LiveStock;
use crate::ownership::OwnershipInForce;
use crate::rows::RowVersion;
use crate::sourcing::Position;

/// Reads for one line, and remembers on what the answer rests.
pub(super) struct Reader<'a> {
    ledger: &'a LedgerTables,
    policies: &'a PolicySet,
    ownership: &'a OwnershipInForce,
    dictionary: &'a Dictionary,
    today: LocalDate,
    now: Timestamp,
    live: &'a [LiveStock],
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
    promises: Option<Arc<ItemPromises>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(question: &StockQuestion<'a>) -> Self {
        Self {
            ledger: question.ledger,
            policies: &question.catalog.policies,
            ownership: &question.catalog.ownership,
            dictionary: question.dictionary,
            today: question.today,
            now: question.now,
            live: question.live,
            consulted: Consulted::default(),
            flags: Flags { owner_missing: question.ledger.chains.is_empty(), ..Flags::default() },
        }
    }

    /// Promises before the sources' rows: an order that a figure begins to contain is released after the figure is
    /// there, so between the two it is subtracted twice, and never not at all.
    pub(super) fn records<'r>(&self, item: &'r ItemRecord) -> Records<'r> {
        let promises = self.ledger.promises.of(item.item);
        let of_chain = |chain: &StockChain| match self.live_of(chain, item.item) {
            Some(live) => Some(Arc::clone(&live.stock)),
            None => chain.rows.find_item(item.item),
        };
        let by_chain = self.ledger.chains.iter().map(of_chain).collect();
        Records { item, by_chain, promises }
    }

    fn live_of(&self, chain: &StockChain, item: ItemNo) -> Option<&'a LiveStock> {
        self.live.iter().find(|live| live.item == item && live.chain.source == chain.source)
    }

    /// The chain that an item's rows come from: what its source said when it was asked, else its table.
    fn chain(&self, at: usize, item: &ItemRecord) -> &'a StockChain {
        let chain = &self.ledger.chains[at];
        self.live_of(chain, item.item).map_or(chain, |live| &live.chain)
    }

    /// All warehouses where any source has the item or expects it. Their set rests on every chain that may
    /// add one.
    pub(super) fn warehouses(&mut self, records: &Records<'_>) -> Vec<WarehouseNo> {
        let class = records.item.class_id.as_ref();
        let ownership = self.ownership;
        for table in [Table::Stock, Table::Supply] {
            for owner in ownership.owners(table, class) {
                self.owner_chain(owner, records.item);
            }
            if ownership.owner(table, None, class).is_none() {
                for at in 0..self.ledger.chains.len() {
                    self.consulted.note(&self.chain(at, records.item).status);
                }
            }
        }
        records.by_chain.iter().flatten().flat_map(|record| record.warehouses()).collect()
    }

    fn owner_chain(&mut self, owner: &SourceId, item: &ItemRecord) -> Option<usize> {
        let Ok(at) = self.ledger.chains.binary_search_by(|chain| chain.source.cmp(owner)) else {
            self.flags.owner_missing = true;
            return None;
        };
        self.consulted.note(&self.chain(at, item).status);
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
        let found = |at: usize| records.by_chain[at].as_deref().and_then(&find);
        if let Some(owner) = self.ownership.owner(table, warehouse, records.item.class_id.as_ref()) {
            let at = self.owner_chain(owner, records.item)?;
            return Some((found(at)?, self.chain(at, records.item)));
        }
        for at in 0..self.ledger.chains.len() {
            let chain = self.chain(at, records.item);
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

    /// What the warehouse has of the item by day, less what is promised.
    pub(super) fn position(&mut self, records: &Records<'_>, warehouse: WarehouseNo) -> Position {
        let selected = self.selected(records, warehouse);
        let rows = CellRows {
            cell: selected.cell.map(|(cell, _)| cell),
            safety: selected.safety.map(|(safety, _)| safety),
            lots: selected.lots.map(|(lots, _)| lots),
            supply: selected.supply.map_or(&[][..], |(lines, _)| lines),
            promised: records.promises.as_deref().map_or(&[][..], |promises| promises.at(warehouse)),
        };
        let sourcing = &self.policies.sourcing;
        let terms = PositionTerms {
            base_uom: records.item.base_uom,
            today: self.today,
            now: self.now,
            horizon_days: sourcing.horizon_days,
            past_due: sourcing.past_due,
        };
        let counted = terms.position(&rows);
        self.flags.stale_unit |= counted.stale_unit;
        counted.position
    }

    /// Whose rows count at a warehouse: what a verdict reads later. An owner is named though it has no row yet.
    pub(super) fn sources(&mut self, records: &Records<'_>, warehouse: WarehouseNo) -> NeedCell {
        let selected = self.selected(records, warehouse);
        let id = WarehouseId::new(self.dictionary.warehouses.name(warehouse)).ok();
        let class = records.item.class_id.as_ref();
        let source = |table, chain: Option<&StockChain>| {
            let owner = self.ownership.owner(table, id.as_ref(), class);
            owner.or(chain.map(|chain| &chain.source)).cloned()
        };
        NeedCell {
            stock: source(Table::Stock, selected.cell.map(|(_, chain)| chain)),
            supply: source(Table::Supply, selected.supply.map(|(_, chain)| chain)),
            lots: source(Table::Lots, selected.lots.map(|(_, chain)| chain))
                .filter(|_| records.item.lot_tracked),
            safety: source(Table::Safety, selected.safety.map(|(_, chain)| chain)),
        }
    }

    /// The rows that count, with the condemned ones noted.
    fn selected<'r>(&mut self, records: &'r Records<'_>, warehouse: WarehouseNo) -> Selected<'r, 'a> {
        let item = records.item;
        let id = WarehouseId::new(self.dictionary.warehouses.name(warehouse)).ok();
        let id = id.as_ref();
        let cell = self.select(records, Table::Stock, id, |record| record.cell(warehouse));
        let safety = self.select(records, Table::Safety, id, |record| record.safety(warehouse));
        let lots =
            item.lot_tracked.then(|| self.select(records, Table::Lots, id, |record| record.lots(warehouse)));
        let lots = lots.flatten();
        let supply = self.select(records, Table::Supply, id, |record| {
            Some(record.supply(warehouse)).filter(|lines| !lines.is_empty())
        });
        let versions = [cell.map(|(cell, chain)| (cell.version, chain))]
            .into_iter()
            .chain([safety.map(|(safety, chain)| (safety.version, chain))])
            .chain([lots.map(|(lots, chain)| (lots.version, chain))])
            .flatten()
            .chain(supply.iter().flat_map(|(lines, chain)| lines.iter().map(|line| (line.version, *chain))));
        for (version, chain) in versions {
            self.note_condemned(chain, version, item, warehouse);
        }
        Selected { cell, safety, lots, supply }
    }
}

/// The rows that count at one warehouse, with the chains that state them.
struct Selected<'r, 'a> {
    cell: Option<(&'r StockCell, &'a StockChain)>,
    safety: Option<(&'r SafetyStock, &'a StockChain)>,
    lots: Option<(&'r CellLots, &'a StockChain)>,
    supply: Option<(&'r [SupplyLine], &'a StockChain)>,
}
