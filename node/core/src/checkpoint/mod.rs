//! The whole state of both folds as bytes, exact at one position of each stream, and back.
//!
//! The problem: without it a node starts at genesis, the streams can have no age limit, and a start takes as long as
//! all of history. A walk over tables that change meanwhile gives a state that never was; an incremental dump of rows
//! changed since the last one needs the last one to be right.
//!
//! The design: between two entries the one writer collects the records of all tables, which are immutable and shared
//! ([`Frozen::take`]: pointers, no rows), and goes on; another thread turns them into bytes ([`Frozen::write`]).
//! Rejected: saved pre-images of what changes while the tables are walked. They make the writer's stop shorter still
//! and put a branch into every write of every table; the stop is one pointer a scope, item and order.
//!
//! - `frames`: sections, frames and checksums, without a word about what is in them.
//! - `ranks`: interned numbers are those of one process; in the bytes stands the rank of the id among all ids, so two
//!   nodes with equal state write equal bytes, and a loader that interns ids by rank takes the numbers as they are.
//! - `write`, `load`: the sections, in the order in which a loader can use them.
//!
//! A chain in the middle of a snapshot or unit has half a table aside; [`Busy`] says so, and the shell tries later.

mod encoding;
mod frames;
mod head;
mod load;
mod ranks;
#[cfg(test)]
pub(crate) mod tests;
mod write;

pub(crate) use encoding::{instant, shared, shared_option, wide};
pub use frames::{Section, SinkClosed};
pub use head::{FORMAT_VERSION, Head, LastMessage};
pub use load::{LoadError, Loaded, Loader};
pub(crate) use ranks::{Ranks, Renumber};
pub use write::{Busy, Frozen};
