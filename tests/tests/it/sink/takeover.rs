//! A process dies or is paused at the worst moment, and another takes over.

use pannier_adapters::runner::sink::SinkLimits;
use pannier_protocol::order::DispatchKind;

use super::erp::{Op, Turn};
use super::{PATIENCE, QUICK, Stage, dispatch, order, pause};

/// Kills the first process when its call of `op` has come, before it is carried out.
async fn check_kill_before(op: Op, want: [usize; 3]) {
    let mut stage = Stage::set().await;
    let (turn, came, _go) = pause();
    let first = stage.start(stage.erp.connect(vec![(op, turn)])).await;
    stage.create("a").await;
    came.await.unwrap();
    first.kill().await;
    let mut second = stage.start(stage.erp.connect(Vec::new())).await;
    assert_eq!(stage.next().await, ("acknowledged", order("a")));
    let status = second.until("the order is done", |status| status.done == 1).await;
    assert_eq!(status.redelivered, 1);
    assert_eq!(stage.erp.count(order("a")), want, "drafts, in effect, cancelled: {op:?}");
    second.stop().await;
}

#[tokio::test]
async fn a_kill_leaves_exactly_one_in_effect() {
    check_kill_before(Op::Create, [0, 1, 0]).await;
    check_kill_before(Op::Confirm, [0, 1, 1]).await;
}

#[tokio::test]
async fn a_kill_after_confirm_is_acknowledged_by_the_next() {
    let mut stage = Stage::set().await;
    // The answer never comes; the next process finds the document in effect.
    let mut first = stage.start(stage.erp.connect(vec![(Op::Confirm, Turn::Hang)])).await;
    stage.create("a").await;
    first.until("it is in hand", |status| status.in_hand == 1).await;
    while stage.erp.count(order("a"))[1] == 0 {
        tokio::task::yield_now().await;
    }
    first.kill().await;
    let mut second = stage.start(stage.erp.connect(Vec::new())).await;
    assert_eq!(stage.next().await, ("acknowledged", order("a")));
    second.until("the order is done", |status| status.done == 1).await;
    assert_eq!(stage.erp.count(order("a")), [0, 1, 0]);
    second.stop().await;
}

/// The process dies between confirm and acknowledgement, and before the next one looks a human takes the document back.
#[tokio::test]
async fn what_was_taken_back_unseen_is_told_and_not_made_again() {
    let mut stage = Stage::set().await;
    let mut first = stage.start(stage.erp.connect(vec![(Op::Confirm, Turn::Hang)])).await;
    stage.create("a").await;
    first.until("it is in hand", |status| status.in_hand == 1).await;
    while stage.erp.count(order("a"))[1] == 0 {
        tokio::task::yield_now().await;
    }
    first.kill().await;
    stage.erp.take_back(order("a"));
    let mut second = stage.start(stage.erp.connect(Vec::new())).await;
    assert_eq!(stage.next().await, ("acknowledged", order("a")));
    assert_eq!(stage.next().await, ("cancelled", order("a")));
    second.until("the order is done", |status| status.done == 1).await;
    assert_eq!(stage.erp.count(order("a")), [0, 0, 1]);
    // An operator sends it again all the same.
    stage.dispatch(&dispatch("a", DispatchKind::Create, 2)).await;
    assert_eq!(stage.next().await, ("acknowledged", order("a")));
    assert_eq!(stage.erp.count(order("a")), [0, 1, 1]);
    second.stop().await;
}

/// The older process's call is on its way to the backend when the newer one takes over, and arrives when that one has
/// done the whole order.
async fn check_late(op: Op, want: [usize; 3]) {
    let mut stage = Stage::set().await;
    let (turn, came, go) = pause();
    let older = stage.start_with(stage.erp.connect(vec![(op, turn)]), PATIENT).await;
    stage.create("a").await;
    came.await.unwrap();
    let mut newer = stage.start(stage.erp.connect(Vec::new())).await;
    older.until_fenced().await;
    assert_eq!(stage.next().await, ("acknowledged", order("a")));
    newer.until("the order is done", |status| status.done == 1).await;
    let before = stage.erp.carried_out();
    go.send(()).unwrap();
    stage.erp.until_carried_out(before + 1).await;
    assert_eq!(stage.erp.count(order("a")), want, "drafts, in effect, cancelled: {op:?}");
    newer.stop().await;
}

/// A call that outlives its process is not given up by it before.
const PATIENT: SinkLimits = SinkLimits { call_max: PATIENCE, ..QUICK };

#[tokio::test]
async fn a_call_that_arrives_after_the_takeover_changes_nothing() {
    // A draft without effect stays.
    check_late(Op::Create, [1, 1, 0]).await;
    check_late(Op::Confirm, [0, 1, 1]).await;
}

#[tokio::test]
async fn a_confirm_that_arrives_before_the_newers_cancel_wins() {
    let mut stage = Stage::set().await;
    let (turn, came, go) = pause();
    let older = stage.start_with(stage.erp.connect(vec![(Op::Confirm, turn)]), PATIENT).await;
    stage.create("a").await;
    came.await.unwrap();
    let (turn, cancelling, cancel) = pause();
    let mut newer = stage.start_with(stage.erp.connect(vec![(Op::Cancel, turn)]), PATIENT).await;
    older.until_fenced().await;
    // The newer one has listed both drafts and is about to cancel the older one's.
    cancelling.await.unwrap();
    assert_eq!(stage.erp.count(order("a")), [2, 0, 0]);
    let before = stage.erp.carried_out();
    go.send(()).unwrap();
    stage.erp.until_carried_out(before + 1).await;
    cancel.send(()).unwrap();
    assert_eq!(stage.next().await, ("acknowledged", order("a")));
    newer.until("the order is done", |status| status.done == 1).await;
    assert_eq!(stage.erp.count(order("a")), [0, 1, 1], "the newer one gave its own draft up");
    newer.stop().await;
}

/// Nobody was quick enough to stop it: it goes on after the takeover as if nothing had happened.
#[tokio::test]
async fn an_older_process_that_goes_on_confirms_what_the_newer_finds_and_says_nothing() {
    let mut stage = Stage::set().await;
    let (turn, came, go) = pause();
    let older = stage.start_with(stage.erp.connect(vec![(Op::Confirm, turn)]), PATIENT).await;
    stage.create("a").await;
    came.await.unwrap();
    let mut newer = stage.start(stage.erp.connect(Vec::new())).await;
    go.send(()).unwrap();
    older.until_fenced().await;
    assert_eq!(stage.next().await, ("acknowledged", order("a")));
    let status = newer.until("the order is done", |status| status.done == 1).await;
    assert_eq!((stage.erp.count(order("a")), status.redelivered), ([0, 1, 0], 1));
    newer.stop().await;
}

/// Between list and confirm: the older one has listed, is stopped there, and asks before it changes anything.
#[tokio::test]
async fn an_older_process_that_has_listed_does_nothing_more() {
    let mut stage = Stage::set().await;
    let (turn, came, go) = pause();
    let (first, second) = ((Op::Create, Turn::Pass), (Op::List, turn));
    let older = stage.start_with(stage.erp.connect(vec![first, second]), PATIENT).await;
    stage.create("a").await;
    came.await.unwrap();
    let mut newer = stage.start(stage.erp.connect(Vec::new())).await;
    let before = stage.erp.carried_out();
    go.send(()).unwrap();
    older.until_fenced().await;
    stage.erp.until_carried_out(before + 1).await;
    assert_eq!(stage.next().await, ("acknowledged", order("a")));
    newer.until("the order is done", |status| status.done == 1).await;
    assert_eq!(stage.erp.count(order("a")), [0, 1, 1]);
    newer.stop().await;
}
