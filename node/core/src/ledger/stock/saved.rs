//! The stock of one source as a checkpoint keeps it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::balances::{CapRow, CreditRow};
use super::record::ItemStock;
use super::table::StockRows;
use crate::checkpoint::{Ranks, Renumber};
use crate::dictionary::{AccountNo, ItemNo, ScopeNo};

/// What one entry left, collected and not looked into yet.
pub(crate) struct FrozenStock {
    items: Vec<(ItemNo, Arc<ItemStock>)>,
    credit: Vec<(AccountNo, CreditRow)>,
    caps: Vec<((ScopeNo, Option<ItemNo>), CapRow)>,
}

/// One record of a source's table.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SavedStock {
    Item(ItemNo, ItemStock),
    Credit(AccountNo, CreditRow),
    Cap(ScopeNo, Option<ItemNo>, CapRow),
}

impl Renumber for ItemStock {
    fn renumber(&mut self, ranks: &Ranks) {
        for cell in &mut self.cells {
            cell.warehouse.renumber(ranks);
            cell.uom.renumber(ranks);
            cell.class.renumber(ranks);
        }
        self.cells.sort_by_key(|cell| cell.warehouse);
        let Some(beside) = &mut self.beside else { return };
        for line in &mut beside.supply {
            line.warehouse.renumber(ranks);
            line.uom.renumber(ranks);
        }
        beside.supply.sort_by(|a, b| (a.warehouse, &a.reference).cmp(&(b.warehouse, &b.reference)));
        for lots in &mut beside.lots {
            lots.warehouse.renumber(ranks);
            lots.uom.renumber(ranks);
        }
        beside.lots.sort_by_key(|lots| lots.warehouse);
        for safety in &mut beside.safety {
            safety.warehouse.renumber(ranks);
            safety.uom.renumber(ranks);
        }
        beside.safety.sort_by_key(|safety| safety.warehouse);
    }
}

impl FrozenStock {
    /// By rank of the ids.
    pub(crate) fn records(&mut self, ranks: &Ranks) -> impl Iterator<Item = SavedStock> {
        for (item, _) in &mut self.items {
            item.renumber(ranks);
        }
        for (account, _) in &mut self.credit {
            account.renumber(ranks);
        }
        for ((contract, item), _) in &mut self.caps {
            contract.renumber(ranks);
            item.renumber(ranks);
        }
        self.items.sort_by_key(|(item, _)| *item);
        self.credit.sort_by_key(|(account, _)| *account);
        self.caps.sort_by_key(|(key, _)| *key);
        let items = self.items.iter().map(|(item, record)| {
            let mut record = ItemStock::clone(record);
            record.renumber(ranks);
            SavedStock::Item(*item, record)
        });
        let credit = self.credit.iter().map(|(account, row)| SavedStock::Credit(*account, row.clone()));
        let caps =
            self.caps.iter().map(|((contract, item), row)| SavedStock::Cap(*contract, *item, row.clone()));
        items.chain(credit).chain(caps)
    }
}

impl StockRows {
    pub(crate) fn freeze(&self) -> FrozenStock {
        let Self { items, balances, .. } = self;
        FrozenStock {
            items: items.iter().map(|it| (*it.key(), Arc::clone(it.value()))).collect(),
            credit: balances.credit.iter().map(|it| (*it.key(), it.value().clone())).collect(),
            caps: balances.caps.iter().map(|it| (*it.key(), it.value().clone())).collect(),
        }
    }

    /// Puts a record back that is not there yet.
    pub(crate) fn restore(&self, saved: SavedStock) {
        let digest = match saved {
            SavedStock::Item(item, record) => {
                let digest = record.digest();
                self.items.insert(item, Arc::new(record));
                digest
            }
            SavedStock::Credit(account, row) => {
                let digest = row.hash.value();
                self.balances.credit.insert(account, row);
                digest
            }
            SavedStock::Cap(contract, item, row) => {
                let digest = row.hash.value();
                self.balances.caps.insert((contract, item), row);
                digest
            }
        };
        self.add_to_digest(digest);
    }
}
