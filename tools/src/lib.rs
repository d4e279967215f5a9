//! What the one binary `pannier` is made of, a module a command, for it and for the tests.

pub mod sample;
