//! How much a chain can be trusted: what lookups read of it beside its rows.
//!
//! *Suspect* is one flag of the chain and never written into rows: which keys a missing message touched
//! cannot be known, so a row that looks right proves nothing, and neither does a row that is not there.
//!
//! A reader probes rows first and asks the status after. The writer raises the flag before it applies the
//! message that raised it, so whoever saw the rows sees the flag. Lowering is the other way round: a snapshot
//! that heals comes with a status of its own, and a reader that still holds the old rows holds the old, suspect
//! status with them. Rejected: one status for the life of the chain, which would call rows fresh that were
//! loaded before they were healed.

mod board;
mod condemned;
mod consulted;
mod saved;
mod status;
#[cfg(test)]
mod tests;

pub use board::Board;
pub use condemned::{Condemned, RowFacts};
pub use consulted::{Consulted, Standing};
pub(crate) use saved::SavedStatus;
pub use status::{ChainState, ChainStatus, Parked};
