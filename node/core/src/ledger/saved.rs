//! The ledger's fold as a checkpoint keeps it.

use std::sync::Arc;

use pannier_protocol::subject::Subject;
use pannier_protocol::{Decimal, SourceId, StreamSequence, Timestamp};
use serde::{Deserialize, Serialize};

use super::orders::{FrozenOrders, SavedOrders};
use super::stock::FrozenStock;
use super::{ItemPromises, Ledger, Promised, StockRows};
use crate::checkpoint::{Ranks, Renumber, instant};
use crate::dictionary::{ItemNo, ScopeNo};
use crate::freshness::SavedStatus;
use crate::gate::{Chain, OpenChain, SavedChain, SavedOpen};

/// What one entry left, collected and not looked into yet.
pub(crate) struct FrozenLedger {
    pub(crate) position: StreamSequence,
    pub(crate) digest: u128,
    pub(crate) fold: SavedFold,
    /// By source.
    pub(crate) chains: Vec<(SavedChain, FrozenStock)>,
    pub(crate) orders: FrozenOrders,
    promises: Vec<(ItemNo, Arc<ItemPromises>)>,
    caps: Vec<((ScopeNo, Option<ItemNo>), Decimal)>,
}

/// What is neither a table nor a chain of stock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedFold {
    pub(crate) rules: u32,
    #[serde(with = "instant")]
    pub(crate) clock: Timestamp,
    stamps_apart_count: u64,
    control: SavedOpen,
    others: Vec<(Subject, SavedOpen)>,
}

/// What is promised of one item, or used of one cap.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SavedPromise {
    Item(ItemNo, Vec<Promised>),
    Cap(ScopeNo, Option<ItemNo>, Decimal),
}

impl FrozenLedger {
    /// By rank of the ids.
    pub(crate) fn promises(&mut self, ranks: &Ranks) -> impl Iterator<Item = SavedPromise> {
        for (item, _) in &mut self.promises {
            item.renumber(ranks);
        }
        for ((contract, item), _) in &mut self.caps {
            contract.renumber(ranks);
            item.renumber(ranks);
        }
        self.promises.sort_by_key(|(item, _)| *item);
        self.caps.sort_by_key(|(key, _)| *key);
        let items = self.promises.iter().map(|(item, promises)| {
            let mut promised = promises.promised.to_vec();
            for it in &mut promised {
                it.warehouse.renumber(ranks);
                it.uom.renumber(ranks);
            }
            promised.sort_unstable();
            SavedPromise::Item(*item, promised)
        });
        items.chain(
            self.caps.iter().map(|((contract, item), used)| SavedPromise::Cap(*contract, *item, *used)),
        )
    }
}

impl Ledger {
    /// The state at [`super::LedgerReader::position`]. The error is the chain that cannot be kept now.
    pub(crate) fn freeze(&self) -> Result<FrozenLedger, Subject> {
        let mut chains = Vec::with_capacity(self.stock.len());
        for (source, chain) in &self.stock {
            let saved = chain.save().ok_or_else(|| Subject::Stock(source.clone()))?;
            chains.push((saved, chain.rows().freeze()));
        }
        let promises = self.promises.items.iter().map(|it| (*it.key(), Arc::clone(it.value())));
        let others = self.others.iter().map(|(subject, chain)| (subject.clone(), chain.save()));
        Ok(FrozenLedger {
            position: self.reader.position(),
            digest: self.digest(),
            fold: SavedFold {
                rules: self.rules,
                clock: self.clock,
                stamps_apart_count: self.stamps_apart_count,
                control: self.control.save(),
                others: others.collect(),
            },
            chains,
            orders: self.orders.freeze(),
            promises: promises.collect(),
            caps: self.promises.caps.iter().map(|it| (*it.key(), *it.value())).collect(),
        })
    }

    /// Of the chains of both streams.
    pub(crate) fn save_statuses(&self) -> Vec<SavedStatus> {
        self.board.save()
    }

    pub(crate) fn restore_fold(&mut self, saved: SavedFold) {
        let incarnation = &self.reader.incarnation().clone();
        (self.rules, self.clock, self.stamps_apart_count) =
            (saved.rules, saved.clock, saved.stamps_apart_count);
        self.control = OpenChain::restore(saved.control, incarnation.clone());
        let open = |(subject, saved)| (subject, OpenChain::restore(saved, incarnation.clone()));
        self.others = saved.others.into_iter().map(open).collect();
    }

    /// A chain with rows to be filled; `None` when the board has no room for it.
    pub(crate) fn restore_chain(&mut self, source: SourceId, saved: SavedChain) -> Option<Arc<StockRows>> {
        let status = self.board.chain(&saved.subject)?;
        let rows = StockRows::new(Arc::clone(&self.dictionary));
        let incarnation = self.reader.incarnation().clone();
        let chain = Chain::restore(saved, rows, status, Arc::clone(&self.board), incarnation);
        let rows = Arc::clone(chain.rows());
        self.stock.insert(source, chain);
        Some(rows)
    }

    pub(crate) fn restore_promise(&mut self, saved: SavedPromise) {
        match saved {
            SavedPromise::Item(item, promised) => self.promises.put(item, promised),
            SavedPromise::Cap(contract, item, used) => self.promises.put_cap(contract, item, used),
        }
    }

    pub(crate) fn restore_orders(&mut self, saved: SavedOrders) {
        self.orders.restore(saved);
    }

    /// Shows what was put back; entries after `position` can be applied.
    pub(crate) fn restored(&mut self, position: StreamSequence) {
        self.publish();
        self.reader.position.raise(position);
    }
}
