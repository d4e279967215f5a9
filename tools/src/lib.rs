//! What the one binary `pannier` is made of, a module a command, for it and for the tests.

mod broker;
mod chain;
pub mod cli;
pub mod init;
pub mod policy;
pub mod publish;
pub mod review;
pub mod sample;
pub mod snapshot;
mod walk;

pub use broker::BrokerArgs;
