//! Changes that go on beside the load: stock of generated items, at a rate, by the source that has said it.

use std::time::Duration;

use anyhow::Context;
use pannier_protocol::Change;
use pannier_streams::{Broker, Streams};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::generate::{STOCK, Shape};
use crate::stage::world::source;

const TURN: Duration = Duration::from_millis(10);
/// Changes in one message, at most.
const BATCH: usize = 500;

/// Until it is dropped: how many changes a second it could publish is what it returns when nobody waits any more.
pub(super) async fn blow(
    broker: &Broker,
    streams: &Streams,
    shape: Shape,
    per_second: u32,
    lasts: Duration,
) -> anyhow::Result<f64> {
    let mut held = source(broker, streams, &format!("ledger.stock.{STOCK}")).await?;
    let (began, mut turns) = (Instant::now(), interval(TURN));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = 0_u64;
    while began.elapsed() < lasts {
        turns.tick().await;
        let due = (began.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
        while said < due && began.elapsed() < lasts {
            let count = (due - said).min(BATCH as u64);
            let cell = |at: u64| {
                let number = said + at;
                // Another figure every time round.
                shape.cells(number % shape.items).next().map(|cell| with_more(cell, number / shape.items))
            };
            let changes: Option<Vec<Change>> = (0..count).map(cell).collect();
            held.publish(changes.context("an item has cells")?, None).await?;
            said += count;
        }
    }
    Ok(said as f64 / began.elapsed().as_secs_f64())
}

fn with_more(mut cell: Change, round: u64) -> Change {
    if let Change::StockSet(set) = &mut cell {
        let more = i64::try_from(round % 1_000).unwrap_or(0) * 1_000_000;
        set.on_hand = pannier_protocol::Decimal::from_micros(set.on_hand.micros().saturating_add(more));
    }
    cell
}
