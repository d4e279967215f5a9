//! What no repetition helps, and what is taken back.

use pannier_adapters::runner::sink::BackendError;
use pannier_protocol::order::{DispatchKind, FailureClass, OrderEvent};

use super::erp::{Op, Turn};
use super::{Stage, dispatch, order, pause};

#[tokio::test]
async fn what_can_never_be_taken_is_said_and_the_next_order_comes() {
    let mut stage = Stage::set().await;
    let refused =
        |error: fn(String) -> BackendError| (Op::Create, Turn::Refuse(error("no such item".to_owned())));
    let turns = vec![refused(BackendError::Poison), refused(BackendError::Business)];
    let limits = super::SinkLimits { orders: 1, ..super::QUICK };
    let mut process = stage.start_with(stage.erp.connect(turns), limits).await;
    let garbage = stage.streams.prefix.dispatch(&super::source(), &order("garbage"), 3);
    stage.publish(&garbage, b"\xc1".to_vec()).await;
    stage.publish("pna.v1.dispatch.erp.nobody.1", b"\xc1".to_vec()).await;
    for key in ["poison", "business", "good"] {
        stage.create(key).await;
    }
    for (key, generation, class, text) in [
        ("garbage", 3, FailureClass::Poison, "cannot be read"),
        ("poison", 1, FailureClass::Poison, "no such item"),
        ("business", 1, FailureClass::Business, "no such item"),
    ] {
        let OrderEvent::Failed(failed) = stage.event().await else { panic!("{key} fails") };
        assert_eq!((failed.order, failed.generation, failed.class), (order(key), generation, class), "{key}");
        assert!(failed.reason.contains(text), "{}", failed.reason);
    }
    assert_eq!(stage.next().await, ("acknowledged", order("good")));
    let status = process.until("all are settled", |status| status.done == 1).await;
    assert_eq!(status.failed, 4);
    let review = "pna.v1.review.dispatch.erp-2";
    let entry =
        pannier_streams::stored::last_message(&stage.test.broker, &stage.streams.review, review).await;
    assert!(entry.unwrap().is_some(), "what names no order is shown to people");
    process.stop().await;
}

/// Both dispatches are in hand at once: the cancel waits until the create is done.
#[tokio::test]
async fn a_cancel_waits_for_the_create_that_is_under_way() {
    let mut stage = Stage::set().await;
    let (turn, came, go) = pause();
    let patient = super::SinkLimits { call_max: super::PATIENCE, ..super::QUICK };
    let mut process = stage.start_with(stage.erp.connect(vec![(Op::Confirm, turn)]), patient).await;
    stage.create("a").await;
    came.await.unwrap();
    stage.dispatch(&dispatch("a", DispatchKind::Cancel, 2)).await;
    process.until("both are in hand", |status| status.in_hand == 2).await;
    go.send(()).unwrap();
    assert_eq!(stage.next().await, ("acknowledged", order("a")));
    assert_eq!(stage.next().await, ("cancelled", order("a")));
    process.until("both are done", |status| status.done == 2).await;
    assert_eq!(stage.erp.count(order("a")), [0, 0, 1]);
    process.stop().await;
}

/// The create of a process that died comes again after the cancel was carried out.
#[tokio::test]
async fn a_create_that_comes_again_after_its_cancel_creates_nothing() {
    let mut stage = Stage::set().await;
    let (turn, came, _go) = pause();
    let first = stage.start(stage.erp.connect(vec![(Op::Confirm, turn)])).await;
    stage.create("a").await;
    came.await.unwrap();
    first.kill().await;
    stage.dispatch(&dispatch("a", DispatchKind::Cancel, 2)).await;
    let mut second = stage.start(stage.erp.connect(Vec::new())).await;
    assert_eq!(stage.next().await, ("cancelled", order("a")));
    let status = second.until("both are settled", |status| status.done + status.superseded == 2).await;
    assert_eq!((status.done, status.superseded), (1, 1));
    assert_eq!(stage.erp.count(order("a")), [0, 0, 1], "the draft is cancelled, and no other made");
    second.stop().await;
}
