//! The one integration-test binary: one module a subject.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in helpers too")]

mod files;
mod node;
mod streams;
