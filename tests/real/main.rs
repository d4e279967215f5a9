//! One year of real tills against a node: every answered price must be the till's. See `README.md` beside this.

mod chain;
mod chaos;
mod replay;
mod report;
mod shelf;
mod till;

use std::path::PathBuf;

use clap::Parser;

/// Replays till lines through JetStream and a node.
#[derive(Parser)]
struct Options {
    /// What `export.py` wrote.
    #[arg(long)]
    tills: PathBuf,
    /// Stop after so many baskets.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    baskets: usize,
    /// Seed of the injected faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Negative control: apply everything as it comes. The run must then show mismatches.
    #[arg(long)]
    gate_off: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let baskets = till::read(&options.tills, options.baskets)?;
    let report = replay::run(&baskets, options.seed, options.gate_off).await?;
    report.print();
    anyhow::ensure!(
        report.mismatches == 0 || options.gate_off,
        "{} prices were not the till's",
        report.mismatches
    );
    anyhow::ensure!(
        report.mismatches > 0 || !options.gate_off,
        "without the gate nothing went wrong: no proof"
    );
    Ok(())
}
