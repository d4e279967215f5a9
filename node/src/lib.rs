//! The IO shell around the core: it feeds the streams to the fold, answers lookups over HTTP, and tells
//! operators how it is. Everything that decides something lives in `pannier-core`.

pub mod clock;
pub mod config;
pub mod identity;
pub mod limits;
pub mod shutdown;

pub use config::Config;
