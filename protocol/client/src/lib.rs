//! Client of a Pannier node: one module a transport, all with the same `lookup`, so that a caller changes
//! transport by changing the type that it makes. HTTP is [`HttpClient`]; QUIC will stand beside it as
//! `quic`, and shares [`LookupError`].
//!
//! A client that retries by itself would hide which node answered and double the load of one that is
//! behind: retrying, and on which node, is the caller's. What a caller needs for it is in the errors.

mod error;
mod http;
pub mod limits;

pub use error::{AddressError, LookupError, ReadyError, SendError};
pub use http::{HttpClient, Options};
