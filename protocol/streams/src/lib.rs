//! What node and adapters share of NATS JetStream: finding and starting a server, connecting, the streams
//! and what they must be, the fenced writer of a subject, create-only messages, the ordered feed of a
//! stream, and work that is given out until it is acknowledged. Everything above works with the outcomes of this crate and never with the client's errors,
//! whose meaning depends on traps that are written down, and tested against a real server, here.

mod attempt;
pub mod checkpoints;
pub mod clock;
pub mod config;
pub mod connect;
pub mod consumer;
pub mod create;
pub mod held;
pub mod limits;
pub mod members;
pub mod server;
pub mod stored;
pub mod work;
pub mod writer;

pub use config::{Ages, ConfigError, Streams, init, init_with, open};
pub use connect::{Broker, ConnectError};
pub use consumer::{Consumer, Delivery, Position};
pub use create::{Created, create};
pub use held::Held;
pub use work::{Task, Work};
pub use writer::{Chain, Draft, Outcome, Writer};
