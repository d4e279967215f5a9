//! The gate over a naive table: scripts as data here, random streams in `model`.

mod cases;
mod model;
mod script;
mod table;
mod trust;
