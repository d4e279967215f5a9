//! The one integration-test binary: one module a subject.

mod streams;
