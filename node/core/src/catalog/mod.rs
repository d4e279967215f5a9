//! What changes slowly: items, accounts, price scopes and policies, a chain of rows per source and partition.

mod items;
mod policies;
mod tables;

pub use items::{ItemRecord, KitPart, RelationRecord, UomRecord};
pub use policies::PolicySet;
pub use tables::{CatalogChain, CatalogRows, CatalogTables};
