//! Many seeds of the simulation, or one with its trace.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::bail;
use clap::Parser;
use pannier_tests::sim::{self, Options};

/// Runs the simulation of orders and holds; the first seed that fails ends it.
#[derive(Debug, Parser)]
#[command(name = "tests/sim/run")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Turns of actors in a run.
    #[arg(long, default_value_t = sim::STEPS)]
    steps: usize,
    /// Write what happens, line by line.
    #[arg(long)]
    trace: bool,
    /// Run each seed twice, and compare the two to the byte.
    #[arg(long)]
    twice: bool,
    /// Go on after a seed that fails.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let steps = arguments.steps;
    let mut out = std::io::stdout().lock();
    let (mut entries, mut failed, mut seen) = (0, Vec::new(), BTreeMap::<String, usize>::new());
    for seed in arguments.from..arguments.from.saturating_add(arguments.seeds) {
        let options = Options { seed, steps };
        if arguments.twice
            && let Err(difference) = sim::twice(options)
        {
            bail!("seed {seed} is not one run: {difference}");
        }
        let (trace, failure) = match sim::run(options) {
            Ok(report) => {
                entries += report.entries;
                report.seen.into_iter().for_each(|(what, count)| *seen.entry(what).or_default() += count);
                (report.trace, None)
            }
            Err(failure) => {
                let told = failure.told(steps);
                (failure.trace, Some(told))
            }
        };
        if arguments.trace {
            trace.lines().iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
        if let Some(told) = failure {
            writeln!(out, "{told}")?;
            failed.push(seed);
            if !arguments.keep_going {
                break;
            }
        }
    }
    for (what, count) in seen {
        writeln!(out, "{count:>9} {what}")?;
    }
    writeln!(out, "{entries:>9} entries")?;
    if failed.is_empty() {
        return Ok(());
    }
    bail!("seeds that failed: {failed:?}")
}
