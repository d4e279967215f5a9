//! A closed loop: so many clients, each of which asks again as soon as it is answered. It finds what a server can do at
//! most; latencies of it are those under full load, not of a shop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What was measured once the warm-up was over.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) answered: u64,
    pub(super) took: Duration,
    /// In microseconds.
    pub(super) latency: Histogram<u64>,
}

impl Measured {
    pub(super) fn per_second(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }

    /// Milliseconds.
    pub(super) fn quantile(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// One client.
pub(super) trait Ask: Send + 'static {
    /// The request of that number, each once among all clients, until it is answered.
    fn ask(&mut self, number: u64) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// The first error of a client ends the run.
pub(super) async fn run<A: Ask>(
    clients: Vec<A>,
    warm_up: Duration,
    measured: Duration,
) -> anyhow::Result<Measured> {
    let next = Arc::new(AtomicU64::new(0));
    let begin = Instant::now() + warm_up;
    let end = begin + measured;
    let mut loops = JoinSet::new();
    for mut client in clients {
        let next = Arc::clone(&next);
        loops.spawn(async move {
            let mut latency = histogram()?;
            while Instant::now() < end {
                let asked = Instant::now();
                client.ask(next.fetch_add(1, Ordering::Relaxed)).await?;
                let answered = Instant::now();
                if asked >= begin && answered < end {
                    latency.saturating_record(u64::try_from((answered - asked).as_micros())?);
                }
            }
            anyhow::Ok(latency)
        });
    }
    let mut latency = histogram()?;
    while let Some(one) = loops.join_next().await {
        latency.add(one??).context("add histograms")?;
    }
    ensure!(!latency.is_empty(), "nothing was answered within {measured:?}; measure longer");
    Ok(Measured { answered: latency.len(), took: measured, latency })
}

/// Microseconds up to a minute, which is longer than any request may take; three digits.
fn histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).context("make a histogram")
}
