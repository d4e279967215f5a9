//! Client of Pannier nodes: one module a transport, all with the same calls, so that a caller changes
//! transport by changing the type that it makes. HTTP is [`HttpClient`]; QUIC will stand beside it as
//! `quic`, and shares [`CallError`].
//!
//! A transport asks one node once: one that retried by itself would hide which node answered and double the
//! load of one that is behind. [`Nodes`] is what retries, on the next node; every call of it can be repeated
//! without harm, orders since their key names them.

mod error;
mod http;
pub mod limits;
mod nodes;

pub use error::{AddressError, CallError, ReadyError, SendError};
pub use http::{HttpClient, Options};
pub use nodes::Nodes;
