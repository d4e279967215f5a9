//! The figures of a run.

use std::time::Duration;

use hdrhistogram::Histogram;

pub(crate) struct Report {
    pub(crate) baskets: u64,
    pub(crate) lines: u64,
    pub(crate) events: u64,
    pub(crate) contradictions: u64,
    pub(crate) mismatches: u64,
    /// Lines that the node refused because a message was missing, as it must.
    pub(crate) refused_suspect: u64,
    pub(crate) duplicates: u64,
    pub(crate) old_duplicates: u64,
    pub(crate) late_epochs: u64,
    pub(crate) reordered: u64,
    pub(crate) new_epochs: u64,
    pub(crate) restarts: u64,
    pub(crate) elapsed: Duration,
    /// Microseconds from a lookup's first byte to its answer, `at_least` included.
    pub(crate) lookups: Histogram<u64>,
}

impl Report {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            baskets: 0,
            lines: 0,
            events: 0,
            contradictions: 0,
            mismatches: 0,
            refused_suspect: 0,
            duplicates: 0,
            old_duplicates: 0,
            late_epochs: 0,
            reordered: 0,
            new_epochs: 0,
            restarts: 0,
            elapsed: Duration::ZERO,
            lookups: Histogram::new(3)?,
        })
    }

    #[expect(clippy::print_stdout, reason = "the report is what the command is for")]
    pub(crate) fn print(&self) {
        let rate = self.events as f64 / self.elapsed.as_secs_f64();
        let latency = |quantile| self.lookups.value_at_quantile(quantile);
        println!(
            "lookups {} (lines {}), mismatches {}, refused while a message was missing {}",
            self.baskets, self.lines, self.mismatches, self.refused_suspect
        );
        println!("price events {}, {rate:.0}/s beside the lookups", self.events);
        println!(
            "injected: duplicates {}, old duplicates {}, late epochs {}, reordered {}, new epochs {}, restarts {}",
            self.duplicates,
            self.old_duplicates,
            self.late_epochs,
            self.reordered,
            self.new_epochs,
            self.restarts
        );
        println!("lines that the data itself contradicts {}", self.contradictions);
        println!(
            "lookup with at_least, publish to answer not counted: p50 {} us, p99 {} us; {:.0} s in all",
            latency(0.5),
            latency(0.99),
            self.elapsed.as_secs_f64()
        );
    }
}
