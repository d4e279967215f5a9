//! What changes slowly: items, accounts, price scopes and policies, a chain of rows per source and partition.

pub mod accounts;
mod derived;
mod fold;
pub mod items;
mod policies;
mod prices;
mod references;
mod rows;
mod saved;
mod select;
mod sharded;
mod tables;
#[cfg(test)]
mod tests;
pub mod uoms;

pub use accounts::{AccountContext, AccountRecord, AccountRefusal, find_account};
pub use fold::{Catalog, CatalogReader};
pub use items::{FoundItem, ItemRecord, KitPart, RelationRecord, UomRecord, find_item};
pub use policies::PolicySet;
pub use prices::{DatedRow, Header, Place, Pricing, Row, Scope, Target, Terms, show_row};
pub(crate) use prices::{RowKey, SavedScope, SavedScopes, Served};
pub use references::{NumberOf, ReferenceRecord};
pub use rows::CatalogRows;
pub(crate) use saved::{FrozenCatalog, SavedCatalogFold, SavedRecord};
pub use tables::{CatalogChain, CatalogTables, ChainSet};
pub use uoms::{OrderUnit, UnknownUnit};
