//! The highest rate that keeps a p99: doubled until it does not, then found between the two.

use super::{Report, Run, Scene};

/// The first rate, where none is given.
const FIRST: f64 = 250.0;
/// Close enough: the step between the two is at most this share of the lower.
const CLOSE: f64 = 0.05;
const STEPS_MAX: usize = 24;

/// The report of the highest that kept it.
pub(super) async fn find(scene: &Scene<'_>, run: Run, p99_ms: f64) -> anyhow::Result<Report> {
    let mut search = Search { rate: run.rate.unwrap_or(FIRST), kept: None, missed: None };
    let mut best = None;
    for _ in 0..STEPS_MAX {
        let report = scene.measure(Run { rate: Some(search.rate), ..run }).await?;
        let is_kept = keeps(&report, p99_ms);
        let (p99, word) = (worst_p99(&report), if is_kept { "kept" } else { "missed" });
        eprintln!("{:.0} a second: p99 {p99:.2} ms: {word}", search.rate);
        if is_kept {
            best = Some(Report { highest_rate: Some(search.rate), ..report });
        }
        if !search.next(is_kept) {
            break;
        }
    }
    best.ok_or_else(|| {
        anyhow::anyhow!("no rate down to {:.0} a second keeps a p99 of {p99_ms} ms", search.rate)
    })
}

/// Nothing failed, and all that was due was answered in time.
fn keeps(report: &Report, p99_ms: f64) -> bool {
    worst_p99(report) <= p99_ms && report.recorded.kinds.iter().all(|kind| kind.errors.is_empty())
}

fn worst_p99(report: &Report) -> f64 {
    report.recorded.kinds.iter().map(|kind| kind.p99_ms).fold(0.0, f64::max)
}

struct Search {
    rate: f64,
    kept: Option<f64>,
    missed: Option<f64>,
}

impl Search {
    /// The next rate to be tried, in `rate`; false: it is found.
    fn next(&mut self, is_kept: bool) -> bool {
        if is_kept {
            self.kept = Some(self.rate);
        } else {
            self.missed = Some(self.rate);
        }
        self.rate = match (self.kept, self.missed) {
            (Some(kept), Some(missed)) if missed - kept <= kept * CLOSE => return false,
            (Some(kept), Some(missed)) => (kept + missed) / 2.0,
            (Some(kept), None) => kept * 2.0,
            (None, _) => self.rate / 2.0,
        };
        self.rate >= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_just_below_what_is_too_much() {
        for (limit, first) in [(3_000.0, FIRST), (90.0, FIRST), (1_000_000.0, FIRST), (10.0, 4_000.0)] {
            let mut search = Search { rate: first, kept: None, missed: None };
            let steps = (0..STEPS_MAX).take_while(|_| search.next(search.rate <= limit)).count();
            let kept = search.kept.unwrap();
            assert!(kept <= limit && kept >= limit * 0.9 && steps < STEPS_MAX, "{limit}: {kept} in {steps}");
        }
    }
}
