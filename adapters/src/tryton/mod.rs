//! The adapter of Tryton 8.2: what it knows to changes, and orders into it.
//!
//! Both halves speak to the same database, and name things alike: an item is a product by its `code`, a unit is a
//! `product.uom` by its `symbol`, a warehouse is a `stock.location` of type `warehouse` by its `code`, an account
//! or ship-to is a party by its `code`. An order is the `sale.sale` whose `reference` is the order's id; the
//! internal `note` of a `sale.line` is the name of the order's line.

mod config;
mod rest;
mod value;

pub use config::{ConfigError, Key, OrdersConfig, TrytonConfig};
pub use rest::{Query, Rest, RestConfigError, RestError};
pub use value::{Amount, Day, Flag, Moment, Quantity};
