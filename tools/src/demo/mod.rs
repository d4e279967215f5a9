//! `pannier demo`: what Pannier promises, shown on this machine with everything real and everything failing.

mod audit;
mod erp;
mod orders;
mod shop;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Orders into a real ERP, through two nodes, while customers repeat themselves, nodes, adapter and broker are
    /// killed and the ERP stands still. Fails when an order is lost or doubled, or stock was promised twice.
    Orders(orders::Args),
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Orders(args) => Box::pin(orders::run(args)).await,
    }
}
