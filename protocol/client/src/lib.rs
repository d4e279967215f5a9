//! Client of Pannier nodes: one module a transport, [`HttpClient`] and [`QuicClient`], with the same calls.
//! [`NodeClient`] is whichever an address names, so that a caller changes transport by changing the address.
//!
//! A transport asks one node once: one that retried by itself would hide which node answered and double the
//! load of one that is behind. [`Nodes`] is what retries, on the next node; every call of it can be repeated
//! without harm, orders since their key names them.
//!
//! [`PeerClient`] is for nodes: it takes the state of one that runs.

mod dial;
mod error;
mod http;
pub mod limits;
mod node;
mod nodes;
mod peer;
mod quic;

pub use error::{AddressError, CallError, ReadyError, SendError};
pub use http::{HttpClient, Options};
pub use node::NodeClient;
pub use nodes::Nodes;
pub use peer::{Given, PeerClient, TakeError};
pub use quic::QuicClient;
