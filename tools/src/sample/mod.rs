//! The sample distributor: some twenty showcase items and six accounts made by hand, one for each rule of
//! pricing and availability, and as many generated items as are asked for.

mod command;
pub mod distributor;

pub mod files;
mod generate;
pub mod requests;
mod tpcds;

use anyhow::Context;
use pannier_protocol::{LocalDate, Timestamp, Zone};

use self::distributor::Distributor;
pub use command::{Args, ContentArgs, run};

/// Whose midnight begins the distributor's business day; also said by `policy.toml`.
pub const BUSINESS_ZONE: &str = "America/Chicago";
/// Generated items, unless more or fewer are asked for.
pub const ITEMS: usize = 500;
/// The policies of the sample's tenant, as `pannier policy apply` takes them.
pub const POLICY: &str = include_str!("policy.toml");

/// The showcase with `items` generated items beside it; the same arguments give the same distributor.
pub fn distributor(items: usize, seed: u64) -> anyhow::Result<Distributor> {
    let mut distributor = Distributor::showcase()?;
    if items > 0 {
        let week = tpcds::last_week().context("draw numbers from TPC-DS")?;
        generate::add_items(&mut distributor, &week, items, seed)?;
    }
    Ok(distributor)
}

/// The distributor's business day at `now`.
pub fn business_day(now: Timestamp) -> anyhow::Result<LocalDate> {
    let zone = Zone::parse(BUSINESS_ZONE).context("the sample's zone")?;
    zone.date_at(now).context("an instant past the calendar")
}

#[cfg(test)]
mod tests;
