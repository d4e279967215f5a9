//! From source systems to change streams: one [`runner`] that every adapter uses, and one module a
//! source system.

mod cause;
mod document;
pub mod files;
pub mod limits;
pub mod runner;
pub mod tryton;
pub mod webhook;
