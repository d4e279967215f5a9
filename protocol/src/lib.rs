//! Everything that crosses a process boundary of Pannier: change messages, lookup requests and
//! answers, ids, decimals, subjects and limits. It holds no clock, no randomness, no IO and no async:
//! what is here is a function of its arguments, so a publisher in another language can be held
//! against it byte by byte (`WIRE.md`).

pub mod api;
pub mod as_of;
pub mod ask;
pub mod change;
pub mod codec;
pub mod decimal;
pub mod envelope;
pub mod frame;
pub mod id;
pub mod limits;
pub mod money;
pub mod order;
pub mod partition;
pub mod peer;
pub mod subject;
pub mod time;
pub mod uom;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod round_trips;

pub use as_of::{AsOf, Incarnation};
pub use change::Change;
pub use codec::{DecodeError, Encoding};
pub use decimal::Decimal;
pub use envelope::{Envelope, Epoch, InvalidMessage, MessageDigest, SourceSequence, StreamSequence};
pub use id::*;
pub use money::{Currency, Money};
pub use order::{EffectId, Fingerprint, HoldId, OrderId};
pub use partition::Partition;
pub use time::{DateEdge, LocalDate, Timestamp, Zone};
