//! The table: a map of records, one writer, many readers.

use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use pannier_protocol::ItemId;
use pannier_protocol::change::{Change, InvalidateScope, SnapshotScope, Table};
use pannier_protocol::subject::Subject;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::balances::{Balances, CapRow, CreditRow};
use super::record::{ItemStock, StockCell};
use super::scope::Selection;
use super::write::Draft;
use crate::dictionary::{AccountNo, Dictionary, ItemNo, ScopeNo};
use crate::freshness::RowFacts;
use crate::limits::TABLE_SHARDS_STOCK;
use crate::rows::{RowRejection, Rows, Stated};

/// The rows of one source: cells, supply, lots, safety stock, credit and caps.
pub struct StockRows {
    dictionary: Arc<Dictionary>,
    pub(super) items: DashMap<ItemNo, Arc<ItemStock>, FxBuildHasher>,
    pub(super) balances: Balances,
    /// Written by the writer alone.
    digest: Mutex<u128>,
}

impl StockRows {
    pub fn new(dictionary: Arc<Dictionary>) -> Self {
        Self {
            dictionary,
            items: DashMap::with_hasher_and_shard_amount(FxBuildHasher, TABLE_SHARDS_STOCK),
            balances: Balances::new(),
            digest: Mutex::new(0),
        }
    }

    /// The item's stock at all warehouses, as one batch left it.
    pub fn find_item(&self, item: ItemNo) -> Option<Arc<ItemStock>> {
        self.items.get(&item).map(|record| Arc::clone(&record))
    }

    /// This and the next two: what there is, in no order.
    pub(crate) fn item_numbers(&self) -> Vec<ItemNo> {
        self.items.iter().map(|record| *record.key()).collect()
    }

    pub(crate) fn credit_accounts(&self) -> Vec<AccountNo> {
        self.balances.credit.iter().map(|row| *row.key()).collect()
    }

    pub(crate) fn capped(&self) -> Vec<(ScopeNo, Option<ItemNo>)> {
        self.balances.caps.iter().map(|row| *row.key()).collect()
    }

    pub fn find_credit(&self, account: AccountNo) -> Option<CreditRow> {
        self.balances.find_credit(account)
    }

    /// A contract's cap of one item; without an item, the cap over all its items. Both may hold at once.
    pub fn find_cap(&self, contract: ScopeNo, item: Option<ItemNo>) -> Option<CapRow> {
        self.balances.find_cap(contract, item)
    }

    /// Whether there is any cap.
    pub fn has_caps(&self) -> bool {
        self.balances.caps_count() > 0
    }

    /// Cells that an invalidation of `scope` on this chain, `chain`, would condemn. Walks over them all.
    pub fn count_in(&self, scope: &InvalidateScope, chain: &Subject) -> u64 {
        let of_record = |no: ItemNo, record: &ItemStock| {
            let lies_in = |cell: &&StockCell| {
                let item = Some(self.dictionary.items.name(no));
                let warehouse = Some(self.dictionary.warehouses.name(cell.warehouse));
                RowFacts { item, warehouse, ..RowFacts::default() }.lie_in(scope, chain)
            };
            record.cells().iter().filter(lies_in).count() as u64
        };
        self.items.iter().map(|record| of_record(*record.key(), record.value())).sum()
    }

    pub(super) fn add_to_digest(&self, moved: u128) {
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        *digest = digest.wrapping_add(moved);
    }
}

/// The records that a batch touches, each read once and put back once.
struct Touched<'t> {
    rows: &'t StockRows,
    drafts: FxHashMap<ItemNo, Draft<'t>>,
}

impl<'t> Touched<'t> {
    fn draft(&mut self, item: ItemNo, stated: &Stated<'_>) -> &mut Draft<'t> {
        let draft = match self.drafts.entry(item) {
            Entry::Occupied(draft) => draft.into_mut(),
            Entry::Vacant(place) => {
                let record = self.rows.find_item(item).map_or_else(ItemStock::default, |r| (*r).clone());
                let dictionary = &self.rows.dictionary;
                place.insert(Draft { before: record.digest(), record, dictionary, version: stated.version })
            }
        };
        draft.version = stated.version;
        draft
    }

    /// For changes that make a row: their item gets a number.
    fn interned(&mut self, item: &ItemId, stated: &Stated<'_>) -> &mut Draft<'t> {
        self.draft(self.rows.dictionary.items.intern(item.as_str()), stated)
    }

    fn known(&mut self, item: &ItemId, stated: &Stated<'_>) -> Option<&mut Draft<'t>> {
        let item = self.rows.dictionary.items.get(item.as_str())?;
        Some(self.draft(item, stated))
    }

    /// The map is walked in no order; every record goes to a place of its own and digests only add up.
    fn put_back(self) -> u128 {
        let mut moved: u128 = 0;
        for (item, draft) in self.drafts {
            moved = moved.wrapping_sub(draft.before).wrapping_add(draft.record.digest());
            match draft.record.finished() {
                Some(record) => drop(self.rows.items.insert(item, Arc::new(record))),
                None => drop(self.rows.items.remove(&item)),
            }
        }
        moved
    }
}

impl StockRows {
    /// Returns by how much the digest moves at once; records move it when they are put back.
    fn apply_one(&self, stated: &Stated<'_>, touched: &mut Touched<'_>) -> Result<u128, RowRejection> {
        let (version, dictionary) = (stated.version, &self.dictionary);
        match stated.change {
            Change::StockSet(set) => touched.interned(&set.item, stated).set_cell(set, stated.change),
            Change::StockAdjust(adjust) => {
                let item = dictionary.items.intern(adjust.item.as_str());
                touched.draft(item, stated).adjust_cell(adjust)?;
            }
            Change::StockRemoved(removed) => {
                if let Some(draft) = touched.known(&removed.item, stated) {
                    draft.remove_cell(removed);
                }
            }
            Change::SupplySet(set) => touched.interned(&set.item, stated).set_supply(set, stated.change),
            Change::SupplyRemoved(removed) => {
                if let Some(draft) = touched.known(&removed.item, stated) {
                    draft.remove_supply(removed);
                }
            }
            Change::LotsSet(set) => touched.interned(&set.item, stated).set_lots(set, stated.change),
            Change::SafetySet(set) => touched.interned(&set.item, stated).set_safety(set, stated.change),
            Change::OversellSet(set) => touched.interned(&set.item, stated).set_oversell(set, stated.change),
            Change::Credit(credit) => return Ok(self.balances.set_credit(credit, version, dictionary)),
            Change::CreditRemoved(removed) => return Ok(self.balances.remove_credit(removed, dictionary)),
            Change::Cap(cap) => return Ok(self.balances.set_cap(cap, version, dictionary)),
            Change::CapRemoved(removed) => return Ok(self.balances.remove_cap(removed, dictionary)),
            Change::Item(_)
            | Change::ItemRemoved(_)
            | Change::Reference(_)
            | Change::ReferenceRemoved(_)
            | Change::Account(_)
            | Change::AccountRemoved(_)
            | Change::Scope(_)
            | Change::ScopeRemoved(_)
            | Change::Prices(_)
            | Change::PricesRemoved(_)
            | Change::Policy(_)
            | Change::Claim(_)
            | Change::Tick(_)
            | Change::Invalidate(_)
            | Change::UnitBegin(_)
            | Change::UnitCommit(_)
            | Change::SnapshotBegin(_)
            | Change::SnapshotEnd(_)
            | Change::Part(_)
            | Change::SnapshotApproved(_)
            | Change::RuleVersionActivated(_)
            | Change::Command(_)
            | Change::Event(_)
            | Change::Decision(_) => {}
        }
        Ok(0)
    }
}

impl Rows for StockRows {
    fn aside(&self) -> Self {
        Self::new(Arc::clone(&self.dictionary))
    }

    fn apply(&self, batch: &[Stated<'_>]) -> Vec<RowRejection> {
        let mut touched = Touched { rows: self, drafts: FxHashMap::default() };
        let (mut rejections, mut moved) = (Vec::new(), 0_u128);
        for stated in batch {
            match self.apply_one(stated, &mut touched) {
                Ok(by) => moved = moved.wrapping_add(by),
                Err(rejection) => rejections.push(rejection),
            }
        }
        self.add_to_digest(moved.wrapping_add(touched.put_back()));
        rejections
    }

    fn rows_count(&self, scope: &SnapshotScope) -> u64 {
        let selection = Selection::new(scope, &self.dictionary);
        let records: u64 = self.items.iter().map(|record| record.rows_count(selection)).sum();
        let credit = if selection.has_table(Table::Credit) { self.balances.credit_count() } else { 0 };
        let caps = if selection.has_table(Table::Caps) { self.balances.caps_count() } else { 0 };
        records + credit + caps
    }

    fn rows_missing_in(&self, aside: &Self, scope: &SnapshotScope) -> u64 {
        let selection = Selection::new(scope, &self.dictionary);
        let records = self.items.iter().map(|record| match aside.find_item(*record.key()) {
            Some(other) => record.rows_missing_in(&other, selection),
            None => record.rows_count(selection),
        });
        let mut missing = records.sum();
        if selection.has_table(Table::Credit) {
            missing += self.balances.credit_missing_in(&aside.balances);
        }
        if selection.has_table(Table::Caps) {
            missing += self.balances.caps_missing_in(&aside.balances);
        }
        missing
    }

    fn share_outside(&self, aside: &Self, scope: &SnapshotScope) {
        let selection = Selection::new(scope, &self.dictionary);
        let mut moved: u128 = 0;
        for record in &self.items {
            let before = aside.find_item(*record.key());
            let Some(merged) = ItemStock::merged_outside(record.value(), before.as_ref(), selection) else {
                continue;
            };
            let digest_before = before.map_or(0, |before| before.digest());
            moved = moved.wrapping_sub(digest_before).wrapping_add(merged.digest());
            aside.items.insert(*record.key(), merged);
        }
        if !selection.has_table(Table::Credit) {
            moved = moved.wrapping_add(self.balances.share_credit(&aside.balances));
        }
        if !selection.has_table(Table::Caps) {
            moved = moved.wrapping_add(self.balances.share_caps(&aside.balances));
        }
        aside.add_to_digest(moved);
    }

    fn digest(&self) -> u128 {
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
