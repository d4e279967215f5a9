//! `pannier demo`: what Pannier promises, shown on this machine with everything real and everything failing.

mod audit;
mod cluster;
mod erp;
mod load;
mod orders;
mod outage;
mod shop;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Orders into a real ERP, through two nodes, while customers repeat themselves, nodes, adapter and broker are
    /// killed and the ERP stands still. Fails when an order is lost or doubled, or stock was promised twice.
    Orders(orders::Args),
    /// Three brokers and three nodes under load: all restarted one after the other, a node lost, and with
    /// `--outage` no broker left for a while. Fails when a lookup failed on every node, an order was lost or doubled, or the
    /// nodes' tables differ.
    Cluster(cluster::Args),
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Orders(args) => Box::pin(orders::run(args)).await,
        Command::Cluster(args) => Box::pin(cluster::run(args)).await,
    }
}
