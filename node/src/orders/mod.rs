//! Orders and holds on their way into the ledger and back as verdicts.

pub mod committer;
pub mod verdict;

pub use committer::{Committer, Fate, SubmitError, Ticket};
