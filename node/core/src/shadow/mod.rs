//! How a source whose rows do not count compares with those whose rows do: what an operator looks at before a handover.
//!
//! The problem: a new ERP is filled beside the old one, and nobody knows whether its rows say the same. Rejected: digests of
//! both, which tell that they differ and not where; and answering every lookup twice, which tells of what is asked today
//! and not of the contract that is used once a quarter. So rows are compared key by key, in what a lookup reads of them, and
//! by the rule that chooses whose row counts. Nothing of it is served or remembered.
//!
//! Tables are walked while they change; keys are listed first, so that nobody waits for a lock meanwhile.

mod balances;
mod prices;
mod records;
mod stock;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use pannier_protocol::api::operator::{ComparedSource, TableDrift};
use pannier_protocol::change::Table;
use pannier_protocol::order::HandoverScope;
use pannier_protocol::{ClassId, SourceId, Timestamp, WarehouseId};

use self::tally::{Facts, Tally};
use crate::catalog::CatalogTables;
use crate::dictionary::Dictionary;
use crate::freshness::ChainState;
use crate::ledger::LedgerTables;

/// What is compared with what. `catalog` says whose rows count.
pub struct Comparison<'a> {
    pub ledger: &'a LedgerTables,
    pub catalog: &'a CatalogTables,
    pub dictionary: &'a Dictionary,
    pub now: Timestamp,
    /// Compared wherever it is not the owner.
    pub shadow: &'a SourceId,
    /// Only what this one owns; without: whoever does.
    pub owner: Option<&'a SourceId>,
    pub scope: &'a HandoverScope,
    /// Of each table so many of the worst are told.
    pub worst_max: usize,
}

/// The row of each source that has one, by source id.
type Sources<'a, R> = Vec<(&'a SourceId, R)>;

/// What ownership of a row depends on.
#[derive(Clone, Copy)]
struct Place<'a> {
    table: Table,
    warehouse: Option<&'a WarehouseId>,
    class: Option<&'a ClassId>,
}

/// A row in what lookups read of it: two that are equal give equal answers.
trait Compared: PartialEq {
    fn facts(&self, names: &Dictionary) -> Facts;
}

/// By table, in the order of its declaration.
type Tallies = BTreeMap<Table, Tally>;

impl Comparison<'_> {
    /// Tables of which any row was compared. Takes as long as walking over all of them does.
    pub fn run(&self) -> Vec<TableDrift> {
        let mut tallies = Tallies::new();
        self.stock(&mut tallies);
        self.balances(&mut tallies);
        for chains in std::iter::once(&self.catalog.chains.shared).chain(&self.catalog.chains.families) {
            self.records(chains, &mut tallies);
            self.prices(chains, &mut tallies);
        }
        let shown = tallies.into_iter().map(|(table, tally)| {
            let sources = std::iter::once(self.shadow).chain(&tally.owners);
            let sources = sources.map(|source| self.standing(source, table)).collect();
            tally.shown(table, sources)
        });
        shown.collect()
    }

    /// Compares one key, whose rows are these.
    fn compare<R: Compared>(
        &self,
        tallies: &mut Tallies,
        place: Place<'_>,
        rows: &Sources<'_, R>,
        key: impl FnOnce() -> String,
    ) {
        let scope = self.scope;
        let is_meant = scope.has(place.table)
            && scope.warehouse.as_ref().is_none_or(|named| Some(named) == place.warehouse)
            && scope.class.as_ref().is_none_or(|named| Some(named) == place.class);
        let Some((lowest, _)) = rows.first() else { return };
        let rule = self.catalog.ownership.owner(place.table, place.warehouse, place.class);
        let owner = rule.unwrap_or(lowest);
        if !is_meant || owner == self.shadow || self.owner.is_some_and(|only| only != owner) {
            return;
        }
        let of = |source: &SourceId| rows.iter().find(|(it, _)| *it == source).map(|(_, row)| row);
        let tally = tallies.entry(place.table).or_insert_with(|| Tally::new(self.worst_max));
        tally.note(owner, (of(owner), of(self.shadow)), key, self.dictionary);
    }

    /// How far a source's chains of a table can be trusted.
    fn standing(&self, source: &SourceId, table: Table) -> ComparedSource {
        let ledger = self.ledger.chains.iter().filter(|_| is_of_ledger(table));
        let ledger = ledger.filter(|chain| chain.source == *source).map(|chain| chain.status.load());
        let catalog = std::iter::once(&self.catalog.chains.shared).chain(&self.catalog.chains.families);
        let catalog = catalog.flatten().filter(|chain| !is_of_ledger(table) && chain.source == *source);
        let states: Vec<_> = ledger.chain(catalog.map(|chain| chain.status.load())).collect();
        let is_sound = |state: &ChainState| state.loaded && !state.suspect;
        let oldest = states.iter().map(|state| state.caught_up_to).min().flatten();
        ComparedSource {
            source: source.clone(),
            age_ms: oldest.map(|at| self.now.millis_since(at)),
            suspect: states.is_empty() || !states.iter().all(|state| is_sound(state)),
        }
    }
}

fn is_of_ledger(table: Table) -> bool {
    match table {
        Table::Stock | Table::Supply | Table::Lots | Table::Safety | Table::Credit | Table::Caps => true,
        Table::Items
        | Table::References
        | Table::Accounts
        | Table::Scopes
        | Table::Prices
        | Table::Policies
        | Table::All => false,
    }
}

/// The rows of all sources by key; sources come in the order of their ids.
fn by_key<'a, K: Ord, R>(
    sources: impl IntoIterator<Item = (&'a SourceId, Vec<(K, R)>)>,
) -> BTreeMap<K, Sources<'a, R>> {
    let mut keys: BTreeMap<K, Sources<'a, R>> = BTreeMap::new();
    for (source, rows) in sources {
        for (key, row) in rows {
            keys.entry(key).or_default().push((source, row));
        }
    }
    keys
}

/// Each once, in order.
fn distinct<N: Ord>(numbers: impl IntoIterator<Item = Vec<N>>) -> Vec<N> {
    let mut all: Vec<N> = numbers.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    all
}
