//! What node and adapters share of NATS JetStream.

pub mod config;
pub mod connect;
pub mod limits;
pub mod server;
pub mod stored;

pub use config::{ConfigError, Streams, init, open};
pub use connect::{Broker, ConnectError};
