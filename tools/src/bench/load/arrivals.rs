//! When requests are due. In an open loop customers come when they come: a server that is slow is asked no less, and how
//! long an answer took counts from when it was due, not from when there was room to ask (no coordinated omission).

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Exp};
use tokio::sync::mpsc;

/// How requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Pattern {
    /// At random, as independent customers come: bursts and gaps.
    Poisson,
    /// One every so often.
    Even,
}

/// The times of all requests of a run, from its beginning on.
pub(super) struct Arrivals {
    at: f64,
    end: f64,
    gap: f64,
    drawn: Option<(Exp<f64>, SmallRng)>,
}

impl Arrivals {
    pub(super) fn new(rate: f64, pattern: Pattern, lasts: Duration, seed: u64) -> anyhow::Result<Self> {
        let drawn = match pattern {
            Pattern::Even => None,
            Pattern::Poisson => Some((Exp::new(rate)?, SmallRng::seed_from_u64(seed))),
        };
        Ok(Self { at: 0.0, end: lasts.as_secs_f64(), gap: 1.0 / rate, drawn })
    }

    /// Hands each out when it is due, from a thread of its own: timers of the runtime are as coarse as a fast answer takes.
    /// Whoever takes them may be late; they wait, and keep the time at which they were due.
    pub(super) fn send(self, begin: Instant, to: mpsc::Sender<Instant>) -> std::io::Result<()> {
        let work = move || {
            for after in self {
                let due = begin + after;
                std::thread::sleep(due.saturating_duration_since(now()));
                if to.blocking_send(due).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("arrivals".to_owned()).spawn(work).map(drop)
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.at += match &mut self.drawn {
            None => self.gap,
            Some((gaps, random)) => gaps.sample(random),
        };
        (self.at < self.end).then(|| Duration::from_secs_f64(self.at))
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(rate: f64, pattern: Pattern, seed: u64) -> Vec<Duration> {
        Arrivals::new(rate, pattern, Duration::from_secs(10), seed).unwrap().collect()
    }

    #[test]
    fn as_many_come_as_were_asked_for() {
        let even = all(100.0, Pattern::Even, 1);
        assert!((998..=1_000).contains(&even.len()), "{}", even.len());
        assert_eq!(even[9].as_millis(), 100);
        let random = all(1_000.0, Pattern::Poisson, 1);
        assert!((9_500..10_500).contains(&random.len()), "{}", random.len());
        assert!(random.is_sorted());
    }

    #[test]
    fn a_seed_gives_the_same_customers() {
        assert_eq!(all(500.0, Pattern::Poisson, 7), all(500.0, Pattern::Poisson, 7));
        assert_ne!(all(500.0, Pattern::Poisson, 7), all(500.0, Pattern::Poisson, 8));
    }
}
