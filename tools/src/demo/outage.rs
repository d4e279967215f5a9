//! What nodes answer while no broker is there: lookups from what they know, with an age that grows and a state that
//! follows from it, and orders with 503 and when to ask again.

use std::time::Duration;

use pannier_client::{CallError, HttpClient, Options};
use pannier_protocol::api::{ErrorCode, FreshnessState, LookupAnswer, MaxStaleness, OrderState};
use pannier_protocol::{IdempotencyKey, SourceId};
use serde::Serialize;
use tokio::time::{Instant, interval};

use super::load::STALENESS_MS_MAX;
use crate::stage::world;

const PROBE_EVERY: Duration = Duration::from_millis(200);
/// A node has noticed by then that its broker is gone; before, an order may be on its way: 202.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
/// Clocks are estimated: an answer may think itself younger by so much.
const CLOCK_SLACK_MS: u64 = 250;
const TRY: Duration = Duration::from_secs(10);

/// What the nodes answered meanwhile.
#[derive(Debug, Default, Serialize)]
pub(super) struct Outage {
    pub(super) seconds: u64,
    pub(super) lookups: u64,
    /// Not answered, younger than the time since the brokers left, or in a state that its age denies.
    pub(super) lookups_wrong: u64,
    /// 503 with `Retry-After`.
    pub(super) orders_refused: u64,
    /// Any other answer, but `pending` at the beginning.
    pub(super) orders_wrong: u64,
}

/// Asks every node all the time.
pub(super) async fn bear(addresses: &[String], lasts: Duration) -> anyhow::Result<Outage> {
    let began = Instant::now();
    let options = Options { deadline: TRY, ..Options::default() };
    let nodes = addresses.iter().map(|address| HttpClient::new(address, options.clone()));
    let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
    let mut outage = Outage { seconds: lasts.as_secs(), ..Outage::default() };
    let (mut pace, mut number) = (interval(PROBE_EVERY), 0);
    while began.elapsed() < lasts {
        pace.tick().await;
        for node in &nodes {
            number += 1;
            outage.look_up(node, number, began).await?;
            outage.order(node, number, began).await?;
        }
    }
    Ok(outage)
}

impl Outage {
    async fn look_up(&mut self, node: &HttpClient, number: usize, began: Instant) -> anyhow::Result<()> {
        let mut basket = world::basket(number, 1)?;
        let bound = Some(STALENESS_MS_MAX);
        basket.max_staleness_ms = Some(MaxStaleness { price: bound, availability: bound });
        let gone_ms = u64::try_from(began.elapsed().as_millis())?;
        self.lookups += 1;
        match node.lookup(&basket).await {
            Ok(answer) if is_honest(&answer, gone_ms) => {}
            Ok(answer) => {
                self.lookups_wrong += 1;
                tracing::error!(gone_ms, ?answer, "it is older than it says");
            }
            Err(error) => {
                self.lookups_wrong += 1;
                tracing::error!(%error, "a lookup without brokers");
            }
        }
        Ok(())
    }

    async fn order(&mut self, node: &HttpClient, number: usize, began: Instant) -> anyhow::Result<()> {
        let key = IdempotencyKey::new(&format!("outage-{number}"))?;
        let request = world::order(&SourceId::new("outage")?, u64::try_from(number)?)?;
        let is_noticed = began.elapsed() >= NOTICED_WITHIN;
        match node.place_order(&key, &request).await {
            Err(CallError::Problem { problem, retry_after: Some(_) })
                if problem.code == ErrorCode::LedgerUnavailable =>
            {
                self.orders_refused += 1;
            }
            Ok(answer) if answer.state == OrderState::Pending && !is_noticed => {}
            told => {
                self.orders_wrong += 1;
                tracing::error!(?told, "an order without brokers");
            }
        }
        Ok(())
    }
}

/// Whether the answer is as old as the brokers are gone, and says of each part what its age makes of it.
fn is_honest(answer: &LookupAnswer, gone_ms: u64) -> bool {
    let parts = answer.lines.iter().filter_map(|line| line.freshness.as_ref());
    parts.flat_map(|pair| [pair.price, pair.availability]).flatten().all(|part| {
        let is_stale = part.age_ms.is_none_or(|age| age > STALENESS_MS_MAX);
        let is_old_enough = part.age_ms.is_none_or(|age| age + CLOCK_SLACK_MS >= gone_ms);
        is_old_enough && is_stale == (part.state == FreshnessState::Stale)
    })
}
