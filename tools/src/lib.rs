//! What the one binary `pannier` is made of, a module a command, for it and for the tests.

pub mod adapter;
pub mod bench;
mod broker;
mod chain;
pub mod cli;
pub mod cluster;
pub mod demo;
pub mod generate;
pub mod handover;
mod in_force;
pub mod init;
pub mod invalidate;
pub mod node;
pub mod operator;
pub mod orders;
pub mod policy;
pub mod publish;
pub mod recover;
pub mod review;
pub mod rules;
pub mod sample;
pub mod shadow;
pub mod snapshot;
pub mod stage;
pub mod up;
mod walk;

pub use broker::BrokerArgs;
