//! From the folds to bytes.

use std::sync::Arc;

use pannier_protocol::Incarnation;
use pannier_protocol::subject::Subject;

use super::frames::{FrameWriter, Section, SinkClosed};
use super::head::{Head, LastMessage};
use super::ranks::{Counts, Ranks};
use crate::catalog::{Catalog, FrozenCatalog};
use crate::dictionary::Dictionary;
use crate::freshness::SavedStatus;
use crate::ledger::{FrozenLedger, Ledger};
use crate::limits::CHECKPOINT_IDS;

/// A chain has half a table aside, which a checkpoint does not hold; there can be one once it has not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} has a unit or snapshot open or parked; there is a checkpoint once it has ended")]
pub struct Busy {
    pub subject: Subject,
}

/// The state of both folds between two entries: what is shared with the tables, which go on.
pub struct Frozen {
    dictionary: Arc<Dictionary>,
    ids: Counts,
    incarnation: Incarnation,
    statuses: Vec<SavedStatus>,
    ledger: FrozenLedger,
    catalog: FrozenCatalog,
}

impl Frozen {
    /// To be called by the one writer of both, between two entries. Costs a pointer a record and no more.
    pub fn take(ledger: &Ledger, catalog: &Catalog) -> Result<Self, Busy> {
        let busy = |subject| Busy { subject };
        let (frozen, catalog) = (ledger.freeze().map_err(busy)?, catalog.freeze().map_err(busy)?);
        Ok(Self {
            dictionary: Arc::clone(ledger.dictionary()),
            ids: Ranks::counts(ledger.dictionary()),
            incarnation: ledger.reader().incarnation().clone(),
            statuses: ledger.save_statuses(),
            ledger: frozen,
            catalog,
        })
    }

    /// What the checkpoint will say of itself. `last_ledger` and `last_catalog` are the last messages applied.
    pub fn head(&self, last_ledger: Option<LastMessage>, last_catalog: Option<LastMessage>) -> Head {
        Head {
            incarnation: self.incarnation.clone(),
            rules: self.ledger.fold.rules,
            ledger: self.ledger.position,
            clock: self.ledger.fold.clock,
            catalog: self.catalog.positions.clone(),
            ledger_digest: self.ledger.digest,
            catalog_digest: self.catalog.digest,
            last_ledger,
            last_catalog,
        }
    }

    /// Hands the bytes to `sink`, a frame at a time; how many records and price rows they were.
    pub fn write(
        self,
        head: &Head,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), SinkClosed>,
    ) -> Result<u64, SinkClosed> {
        let (ranks, names) = Ranks::new(&self.dictionary, self.ids);
        let (ledger, catalog) = (self.ledger, self.catalog);
        let mut out = FrameWriter::begin(sink)?;
        out.record(head, 1)?;
        out.end(Section::Ids)?;
        for (kind, names) in names.iter().enumerate() {
            for names in names.chunks(CHECKPOINT_IDS) {
                out.record(&(kind, names), names.len() as u64)?;
            }
        }
        out.end(Section::Fold)?;
        out.record(&(&ledger.fold, &catalog.fold), 1)?;
        out.end(Section::Statuses)?;
        self.statuses.iter().try_for_each(|status| out.record(status, 1))?;
        out.end(Section::Chains)?;
        let chains = ledger.chains.iter().map(|(chain, _)| chain);
        chains.chain(catalog.chains.iter().map(|(chain, _)| chain)).try_for_each(|it| out.record(it, 1))?;
        out.end(Section::Stock)?;
        write_tables(&mut out, &ranks, ledger, catalog)?;
        out.end(Section::End)?;
        out.end(Section::End)?;
        Ok(out.rows_total())
    }
}

/// Each record with the number of its chain in the section of chains.
fn write_tables(
    out: &mut FrameWriter<'_>,
    ranks: &Ranks,
    mut ledger: FrozenLedger,
    mut catalog: FrozenCatalog,
) -> Result<(), SinkClosed> {
    let stock_count = ledger.chains.len();
    for (at, (_, stock)) in ledger.chains.iter_mut().enumerate() {
        stock.records(ranks).try_for_each(|record| out.record(&(at, record), 1))?;
    }
    out.end(Section::Promises)?;
    ledger.promises(ranks).try_for_each(|promise| out.record(&promise, 1))?;
    out.end(Section::Orders)?;
    ledger.orders.records(ranks).try_for_each(|record| out.record(&record, 1))?;
    out.end(Section::Catalog)?;
    for (at, (_, rows)) in catalog.chains.iter_mut().enumerate() {
        rows.visit_records(ranks, |record| out.record(&(stock_count + at, record), 1))?;
    }
    out.end(Section::Prices)?;
    for (at, (_, rows)) in catalog.chains.into_iter().enumerate() {
        let at = stock_count + at;
        rows.visit_prices(ranks, |saved| match saved.rows_count() {
            0 => out.record(&(at, saved), 0),
            count => out.compact(&(at, saved), count),
        })?;
    }
    Ok(())
}
