//! Orders and holds on their way into the ledger and back as verdicts, and what the verdicts want done.

pub mod committer;
pub(crate) mod desk;
pub(crate) mod operators;
pub(crate) mod outbox;
pub mod verdict;

pub use committer::{Committer, Fate, SubmitError, Ticket};
