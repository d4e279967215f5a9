//! The tables of one request.
//!
//! The order of reads is what makes `as_of` a floor: positions first, then the table sets, then rows, and the
//! status of the chains last. A row may be newer than `as_of` says and never older; a chain that became suspect
//! while its rows were read is seen as suspect.

use std::sync::Arc;

use pannier_protocol::{AccountId, AsOf, Partition};

use crate::catalog::{AccountContext, AccountRefusal, CatalogReader, CatalogTables, accounts};
use crate::dictionary::Dictionary;
use crate::ledger::{LedgerReader, LedgerTables};
use crate::ownership::OwnershipInForce;

/// Where the tables come from.
#[derive(Clone, Copy)]
pub(crate) struct Readers<'a> {
    pub(crate) ledger: &'a LedgerReader,
    pub(crate) catalog: &'a CatalogReader,
    pub(crate) dictionary: &'a Dictionary,
}

/// What one request reads to its end.
pub(crate) struct Opened {
    pub(crate) as_of: AsOf,
    pub(crate) account: Option<AccountContext>,
    pub(crate) ledger: Arc<LedgerTables>,
    pub(crate) catalog: CatalogTables,
}

impl Readers<'_> {
    /// Without an account: for an anonymous visitor.
    pub(crate) fn open(
        &self,
        account: Option<&AccountId>,
        ship_to: Option<&AccountId>,
    ) -> Result<Opened, AccountRefusal> {
        let ledger_position = self.ledger.position();
        let shared_position = self.catalog.position(Partition::Shared);
        let (_, tables) = self.tables();
        let account = match account {
            Some(account) => Some(accounts::resolve(&tables, self.dictionary, account, ship_to)?),
            None => None,
        };
        let partition = account.as_ref().map_or(Partition::Shared, AccountContext::partition);
        let as_of = AsOf {
            incarnation: self.ledger.incarnation().clone(),
            ledger: ledger_position,
            shared: shared_position,
            partition: self.catalog.position(partition),
        };
        // After the positions: what is loaded here is at least as new as they say.
        let (ledger, catalog) = self.tables();
        Ok(Opened { as_of, account, ledger, catalog })
    }

    fn tables(&self) -> (Arc<LedgerTables>, CatalogTables) {
        tables_in_force(self.ledger, self.catalog)
    }
}

/// With whose rows count: by the policies, or by the last handover.
pub fn tables_in_force(ledger: &LedgerReader, catalog: &CatalogReader) -> (Arc<LedgerTables>, CatalogTables) {
    let ledger = ledger.load();
    let position = |partition| catalog.position(partition);
    let handed_over = ledger.handed_over.as_ref().filter(|handed_over| handed_over.is_reached(position));
    let mut tables = CatalogTables::clone(&catalog.load());
    if let Some(handed_over) = handed_over {
        tables.hand_over(&handed_over.ownership);
    }
    (ledger, tables)
}

/// Whose rows lookups of this moment choose.
pub fn ownership_in_force(ledger: &LedgerReader, catalog: &CatalogReader) -> Arc<OwnershipInForce> {
    tables_in_force(ledger, catalog).1.ownership
}
