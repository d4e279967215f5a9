//! The IO shell around the core: it feeds the streams to the fold, answers lookups over HTTP, and tells
//! operators how it is. Everything that decides something lives in `pannier-core`.

mod app;
mod asking;
mod checkpoint;
pub mod clock;
pub mod config;
mod feed;
mod http;
pub mod identity;
mod lag;
pub mod limits;
mod members;
mod metrics;
mod node;
mod openapi;
pub mod orders;
mod price_holds;
pub mod progress;
mod quic;
pub mod shutdown;
mod sources;

pub use config::{Config, ConfigError};
pub use node::{Handle, Node, StartError};
pub use price_holds::random_secret;
pub use shutdown::Failure;
