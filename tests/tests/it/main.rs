//! The one integration-test binary: one module a subject.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in helpers too")]

mod bench;
mod cases;
mod checkpoints;
mod demo;
mod files;
mod node;
mod python;
mod quic;
mod sim;
mod sink;
mod streams;
mod tryton;
mod webhook;
