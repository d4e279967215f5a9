//! What stands between a stream that may lose, repeat, fork and reorder, and tables that must not be wrong.
//!
//! Broker and writers promise one fenced writer a subject and one message after the other. The gate is there
//! because foreign publishers break such promises and brokers lose data: it believes nothing but the epoch
//! (the place of a claim in the stream, which nobody can invent), the dense sequence within it, and the digest
//! of what it has seen. What does not fit is dropped, never guessed at; what may be missing makes the whole
//! chain *suspect* until the source has repeated it.
//!
//! Rejected: waiting for the missing message (JetStream keeps order, so it will not come), and marking the
//! rows that it would have touched (which ones cannot be known).
//!
//! - [`SequenceGate`]: a window over sequence numbers; says what a message is to its chain.
//! - [`Chain`]: gate, open units and snapshots, and the live rows of one source on one subject.
//! - [`OpenChain`]: the same for entries without rows: duplicates dropped, gaps counted.
//!
//! **Architecture Invariant:** whatever comes in, a message changes rows at most once, and a message of a
//! lower epoch than the last claim's never does.

mod chain;
mod doubt;
mod open;
mod outcome;
mod read;
mod saved;
mod scope;
mod sequence;
mod snapshots;
mod staging;
#[cfg(test)]
mod tests;
mod window;

pub use chain::Chain;
pub(crate) use chain::open;
pub use open::OpenChain;
pub use outcome::Outcome;
pub use read::{Message, ReadError, Shape, read};
pub(crate) use saved::{SavedChain, SavedOpen};
pub use sequence::{Numbered, SequenceGate, Verdict};

/// Whether the gate judges. `Off` applies everything as it comes, repeated, late and forked: it exists to
/// measure what the gate is worth, and no configuration of a node reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GateMode {
    #[default]
    On,
    Off,
}
