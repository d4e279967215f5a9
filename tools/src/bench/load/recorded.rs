//! What was answered, as it is kept: latencies by kind, errors by kind, and what every second was like.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::draw::Kind;

/// Of the curve of latency by percentile: so many nines, in steps.
const PERCENTILES: [f64; 21] = [
    0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 97.5, 99.0, 99.5,
    99.9, 99.95, 99.99, 100.0,
];

/// One request.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    /// When it should have been asked.
    pub(super) due: Instant,
    pub(super) done: Instant,
    /// In a word; `None`: answered.
    pub(super) error: Option<String>,
}

/// Takes outcomes in and shows how it goes.
pub(super) struct Recorder {
    begin: Instant,
    lasts: Duration,
    kinds: BTreeMap<Kind, Kept>,
    seconds: Vec<Histogram<u64>>,
    errors_by_second: Vec<u64>,
    shown: usize,
}

struct Kept {
    latency: Histogram<u64>,
    errors: BTreeMap<String, u64>,
}

/// A run, as it is written to a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Recorded {
    pub(super) kinds: Vec<KindRecorded>,
    pub(super) seconds: Vec<Second>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KindRecorded {
    pub(super) kind: String,
    pub(super) answered: u64,
    pub(super) per_second: f64,
    /// From when they were due; of those that were answered.
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) max_ms: f64,
    /// Percentile and milliseconds.
    pub(super) curve: Vec<(f64, f64)>,
    /// By what went wrong.
    pub(super) errors: BTreeMap<String, u64>,
}

/// By when requests were due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Second {
    pub(super) answered: u64,
    pub(super) errors: u64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Recorder {
    pub(super) fn new(lasts: Duration) -> anyhow::Result<Self> {
        let seconds = usize::try_from(lasts.as_secs().max(1))?;
        Ok(Self {
            begin: super::arrivals::now(),
            lasts,
            kinds: BTreeMap::new(),
            seconds: (0..seconds).map(|_| histogram()).collect::<anyhow::Result<_>>()?,
            errors_by_second: vec![0; seconds],
            shown: 0,
        })
    }

    /// Requests that were due before belong to the warm-up.
    pub(super) fn begin(&mut self, begin: Instant) {
        self.begin = begin;
    }

    pub(super) fn take(&mut self, outcome: Outcome) {
        let Some(after) = outcome.due.checked_duration_since(self.begin).filter(|it| *it < self.lasts) else {
            return;
        };
        let second = usize::try_from(after.as_secs()).unwrap_or(usize::MAX).min(self.seconds.len() - 1);
        self.show(second);
        let kept = self.kinds.entry(outcome.kind).or_insert_with(Kept::new);
        match outcome.error {
            Some(error) => {
                *kept.errors.entry(error).or_default() += 1;
                self.errors_by_second[second] += 1;
            }
            None => {
                let took = outcome.done.saturating_duration_since(outcome.due);
                let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                kept.latency.saturating_record(took);
                self.seconds[second].saturating_record(took);
            }
        }
    }

    /// One line a second, of the one that is over.
    fn show(&mut self, second: usize) {
        if second <= self.shown {
            return;
        }
        let over = self.second(self.shown);
        let of = self.seconds.len();
        let line = format!(
            "{}/{of} s: {} answered, {} errors, p50 {:.2} ms, p99 {:.2} ms",
            self.shown + 1,
            over.answered,
            over.errors,
            over.p50_ms,
            over.p99_ms
        );
        if std::io::stderr().is_terminal() {
            eprint!("\r{line:<78}");
        } else {
            eprintln!("{line}");
        }
        self.shown = second;
    }

    fn second(&self, at: usize) -> Second {
        let latency = &self.seconds[at];
        Second {
            answered: latency.len(),
            errors: self.errors_by_second[at],
            p50_ms: quantile(latency, 0.5),
            p99_ms: quantile(latency, 0.99),
            max_ms: quantile(latency, 1.0),
        }
    }

    pub(super) fn recorded(&self) -> anyhow::Result<Recorded> {
        if std::io::stderr().is_terminal() {
            eprintln!();
        }
        ensure!(!self.kinds.is_empty(), "nothing was answered within {:?}; measure longer", self.lasts);
        let kinds = self.kinds.iter().map(|(kind, kept)| KindRecorded {
            kind: kind.name().to_owned(),
            answered: kept.latency.len(),
            per_second: kept.latency.len() as f64 / self.lasts.as_secs_f64(),
            p50_ms: quantile(&kept.latency, 0.5),
            p90_ms: quantile(&kept.latency, 0.9),
            p99_ms: quantile(&kept.latency, 0.99),
            p999_ms: quantile(&kept.latency, 0.999),
            max_ms: quantile(&kept.latency, 1.0),
            curve: PERCENTILES.iter().map(|of| (*of, quantile(&kept.latency, of / 100.0))).collect(),
            errors: kept.errors.clone(),
        });
        let seconds = (0..self.seconds.len()).map(|at| self.second(at)).collect();
        Ok(Recorded { kinds: kinds.collect(), seconds })
    }
}

impl Kept {
    fn new() -> Self {
        Self { latency: histogram().expect("bounds of a histogram"), errors: BTreeMap::new() }
    }
}

/// Microseconds up to ten minutes; three digits.
fn histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 600_000_000, 3).context("make a histogram")
}

/// In milliseconds; 0 of nothing.
fn quantile(latency: &Histogram<u64>, quantile: f64) -> f64 {
    latency.value_at_quantile(quantile) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_counts_from_when_a_request_was_due() {
        let mut recorder = Recorder::new(Duration::from_secs(2)).unwrap();
        let begin = super::super::arrivals::now();
        recorder.begin(begin);
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let outcome = |due, done, error: Option<&str>| Outcome {
            kind: Kind::Lookup,
            due: at(due),
            done: at(done),
            error: error.map(str::to_owned),
        };
        // One that had to wait for a place for a second, and took no time then.
        for it in
            [outcome(100, 1_100, None), outcome(1_500, 1_501, None), outcome(200, 300, Some("not_ready"))]
        {
            recorder.take(it);
        }
        recorder.take(Outcome { due: begin - Duration::from_millis(1), ..outcome(0, 1, None) });
        let recorded = recorder.recorded().unwrap();
        let kind = &recorded.kinds[0];
        assert_eq!((kind.answered, kind.errors["not_ready"]), (2, 1));
        assert!((990.0..1_010.0).contains(&kind.max_ms), "{kind:?}");
        assert_eq!(
            (recorded.seconds[0].answered, recorded.seconds[0].errors, recorded.seconds[1].answered),
            (1, 1, 1)
        );
    }
}
