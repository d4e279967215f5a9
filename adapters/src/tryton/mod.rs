//! The adapter of Tryton 8.2: what it knows to changes, and orders into it.
//!
//! Both halves speak to the same database, and name things alike: an item is a product by its `code`, a unit is a
//! `product.uom` by its `symbol`, a warehouse is a `stock.location` of type `warehouse` by its `code`, an account
//! or ship-to is a party by its `code`. An order is the `sale.sale` whose `reference` is the order's id; the
//! internal `note` of a `sale.line` is the name of the order's line.

mod config;
mod orders;
mod rest;
pub mod source;
mod value;

pub use config::{ConfigError, Key, OrdersConfig, TrytonConfig};
pub use orders::{Orders, OrdersError, ProgressError, SeenError};
pub use rest::{Query, Rest, RestConfigError, RestError};
use source::SourceError;
use tokio_util::sync::CancellationToken;
pub use value::{Amount, Day, Flag, Moment, Quantity};

/// Why the adapter ended.
#[derive(Debug, thiserror::Error)]
pub enum TrytonError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Orders(#[from] OrdersError),
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Runs what the configuration names until `stop`; orders in hand are finished first. When one half cannot go on,
/// the other one stops too: an adapter that does half of its work is not noticed.
pub async fn run(config: TrytonConfig, stop: CancellationToken) -> Result<(), TrytonError> {
    let rest = config.rest()?;
    let stop = stop.child_token();
    let ended = || stop.clone().drop_guard();
    let publish = async {
        let _ended = ended();
        Box::pin(source::run(config.clone(), stop.clone())).await
    };
    let take = async {
        let _ended = ended();
        Box::pin(orders::run(&config, rest, stop.clone())).await
    };
    let (published, taken) = tokio::join!(publish, take);
    published?;
    taken?;
    Ok(())
}
