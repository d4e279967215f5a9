//! `pannier bench`: what this machine, or a cluster, can do. Every figure is measured beside what it is compared
//! with, in one run, in turn.

mod closed;
mod distributor;
mod goals;
mod load;
mod lookups;
mod orders;
mod start;
mod usage;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// A shop's traffic at a rate, or as fast as it goes: latencies, errors, and the highest rate that keeps a p99. Against a
    /// cluster, or a node of its own.
    Load(Box<load::Args>),
    /// Two results of `load` side by side.
    Compare(load::CompareArgs),
    /// Judged orders a second with a broker that syncs its disk before it answers, many in a message and one in a
    /// message. Starts its own broker and nodes, each run from nothing.
    Orders(orders::Args),
    /// Baskets a second beside Redis and a bare server, in turn, each server on one core. Starts all of them, with a
    /// generated distributor.
    Lookups(lookups::Args),
    /// Answers every request with the same bytes: what `lookups` compares HTTP figures with.
    #[command(hide = true)]
    Bare(lookups::BareArgs),
    /// What is wanted of a node beside what it does, goal by goal: runs the commands that measure them.
    Goals(goals::Args),
    /// How long a node takes until it answers: from the log, from another node, from the object store and from its own disk.
    /// Starts its own broker and nodes with a generated distributor.
    Start(start::Args),
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Load(args) => Box::pin(load::run(*args)).await,
        Command::Compare(args) => load::compare(&args),
        Command::Orders(args) => Box::pin(orders::run(args)).await,
        Command::Lookups(args) => Box::pin(lookups::run(args)).await,
        Command::Bare(args) => lookups::run_bare(args).await,
        Command::Goals(args) => goals::run(args).await,
        Command::Start(args) => Box::pin(start::run(args)).await,
    }
}
