//! The deterministic core of a node, without IO: entries of the two streams go in, tables and effects come
//! out, and lookups read the tables. It knows no clock, no socket and no randomness; the same entries give
//! the same state to the bit.
//!
//! **Architecture Invariant:** `ledger` imports nothing of `catalog`; a verdict depends on the ledger alone.

pub mod availability;
mod basket;
pub mod catalog;
pub mod checkpoint;
pub mod dictionary;
pub mod entry;
pub mod freshness;
pub mod gate;
pub mod intake;
pub mod ledger;
pub mod limits;
pub mod live;
pub mod lookup;
pub mod ownership;
pub mod quantity;
pub mod quote;
pub mod rows;
pub mod shadow;
mod sourcing;
pub mod watermark;
