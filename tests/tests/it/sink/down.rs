//! The backend is away, slow, or answers nonsense.

use std::sync::atomic::Ordering;

use async_nats::jetstream::consumer::{Info, PullConsumer};
use pannier_adapters::runner::sink::BreakerState;

use super::erp::{Op, Turn};
use super::{PATIENCE, Stage, order};

async fn consumer(stage: &Stage) -> Info {
    let stream = stage.test.broker.context().get_stream(&stage.streams.dispatch).await.unwrap();
    let mut consumer: PullConsumer = stream.get_consumer("sink-erp").await.unwrap();
    consumer.info().await.unwrap().clone()
}

#[tokio::test]
async fn nothing_is_pulled_while_the_backend_is_down_and_one_probe_finds_it_back() {
    let mut stage = Stage::set().await;
    stage.erp.is_down.store(true, Ordering::SeqCst);
    let mut process = stage.start(stage.erp.connect(Vec::new())).await;
    let keys: Vec<String> = (0..10).map(|at| format!("k{at}")).collect();
    for key in &keys {
        stage.create(key).await;
    }
    process.until("the breaker opens", |status| status.breaker == BreakerState::Open).await;
    // Several probes long, and longer than the broker waits before it gives a dispatch to another.
    let probes = async {
        while stage.erp.refused.load(Ordering::SeqCst) < 5 {
            let info = consumer(&stage).await;
            assert!(info.num_ack_pending <= 2, "no more than may be worked on: {}", info.num_ack_pending);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, probes).await.expect("probes in time");
    let info = consumer(&stage).await;
    assert_eq!((info.num_waiting, info.num_pending), (0, 8), "nothing is asked for");
    stage.erp.is_down.store(false, Ordering::SeqCst);
    let status = process.until("all are done", |status| status.done == 10).await;
    assert_eq!(status.breaker, BreakerState::Closed);
    assert_eq!(status.redelivered, 0, "what was in hand stayed there");
    for key in &keys {
        assert_eq!(stage.erp.count(order(key)), [0, 1, 0], "{key}");
    }
    assert_eq!(stage.next().await.0, "acknowledged");
    process.stop().await;
}

/// Calls are carried out and their answers lost: a create leaves a draft each time, and a confirm counts.
#[tokio::test]
async fn a_commit_after_the_timeout_and_an_unreadable_answer_leave_one_in_effect() {
    for (turns, want) in [
        (vec![(Op::Create, Turn::Hang)], [0, 1, 1]),
        (vec![(Op::Create, Turn::Garbage), (Op::Create, Turn::Garbage)], [0, 1, 2]),
        (vec![(Op::Confirm, Turn::Hang)], [0, 1, 0]),
        (vec![(Op::Confirm, Turn::Garbage)], [0, 1, 0]),
        (vec![(Op::Create, Turn::Hang), (Op::Cancel, Turn::Hang), (Op::Confirm, Turn::Garbage)], [0, 1, 1]),
    ] {
        let mut stage = Stage::set().await;
        let mut process = stage.start(stage.erp.connect(turns)).await;
        stage.create("a").await;
        assert_eq!(stage.next().await, ("acknowledged", order("a")));
        process.until("the order is done", |status| status.done == 1).await;
        assert_eq!(stage.erp.count(order("a")), want, "drafts, in effect, cancelled");
        process.stop().await;
    }
}

#[tokio::test]
async fn a_backend_that_refuses_a_second_document_has_one_whatever_is_repeated() {
    for turns in [Vec::new(), vec![(Op::Create, Turn::Hang)], vec![(Op::Confirm, Turn::Garbage)]] {
        let mut stage = Stage::set().await;
        let mut process = stage.start(stage.erp.connect(turns).unique()).await;
        stage.create("a").await;
        assert_eq!(stage.next().await, ("acknowledged", order("a")));
        process.until("the order is done", |status| status.done == 1).await;
        assert_eq!(stage.erp.count(order("a")), [0, 1, 0]);
        process.stop().await;
    }
}
