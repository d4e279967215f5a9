//! An order keeps failing: is it the order, or the backend?

use std::sync::atomic::Ordering;

use pannier_adapters::limits::{BREAKER_TRANSIENT_MAX, SINK_ATTEMPTS_MAX};
use pannier_adapters::runner::sink::{BackendError, BreakerState, SinkLimits};
use pannier_protocol::order::{DispatchKind, FailureClass, OrderEvent};
use tokio::sync::oneshot;

use super::erp::{Op, Turn};
use super::{PATIENCE, Process, QUICK, Stage, dispatch, order};

fn locked() -> BackendError {
    BackendError::Transient("locked".to_owned())
}

/// An order whose confirms fail when the test says so, each only then.
struct Stuck {
    stage: Stage,
    process: Process,
    gates: std::vec::IntoIter<(oneshot::Receiver<()>, oneshot::Sender<()>)>,
}

impl Stuck {
    async fn begin(attempts: u32) -> Self {
        let stage = Stage::set().await;
        let (mut turns, mut gates) = (Vec::new(), Vec::new());
        for _ in 0..attempts {
            let (came, arrived) = oneshot::channel();
            let (release, go) = oneshot::channel();
            turns.push((Op::Confirm, Turn::PauseAndRefuse { came, go, error: locked() }));
            gates.push((arrived, release));
        }
        let patient = SinkLimits { call_max: PATIENCE, ..QUICK };
        let erp = stage.erp.connect(Vec::new()).with(order("stuck"), turns);
        let process = stage.start_with(erp, patient).await;
        stage.create("stuck").await;
        Self { stage, process, gates: gates.into_iter() }
    }

    /// Lets the next confirm fail after another dispatch was dealt with, which says `kind`.
    async fn fail_beside(&mut self, kind: &str, key: &str) {
        let (came, go) = self.gates.next().unwrap();
        tokio::time::timeout(PATIENCE, came).await.expect("the next attempt in time").unwrap();
        match kind {
            "acknowledged" => self.stage.create(key).await,
            _ => self.stage.dispatch(&dispatch(key, DispatchKind::Cancel, 2)).await,
        }
        assert_eq!(self.stage.next().await, (kind, order(key)));
        go.send(()).unwrap();
    }
}

/// An order that fails while others get through does not stay in hand for ever, and holds nobody up meanwhile.
#[tokio::test]
async fn an_order_that_alone_keeps_failing_is_given_up() {
    let mut stuck = Stuck::begin(SINK_ATTEMPTS_MAX).await;
    for at in 1..=SINK_ATTEMPTS_MAX {
        stuck.fail_beside("acknowledged", &format!("other-{at}")).await;
    }
    let Stuck { mut stage, mut process, .. } = stuck;
    let OrderEvent::Failed(failed) = stage.event().await else { panic!("it is given up") };
    assert_eq!((failed.order, failed.class), (order("stuck"), FailureClass::Poison));
    assert_eq!(failed.attempts, SINK_ATTEMPTS_MAX);
    assert!(failed.reason.contains("given up after 12 attempts, the last one: locked"), "{}", failed.reason);
    stage.create("last").await;
    assert_eq!(stage.next().await, ("acknowledged", order("last")));
    let done = u64::from(SINK_ATTEMPTS_MAX) + 1;
    process.until("the last one is done", |status| status.done == done).await;
    assert_eq!(stage.erp.count(order("stuck")), [1, 0, 0], "a draft without effect");
    process.stop().await;
}

/// Drafts and an order in effect are taken back: no proof that an order could be taken.
#[tokio::test]
async fn an_order_is_not_given_up_for_what_else_the_backend_can_do() {
    let mut stuck = Stuck::begin(SINK_ATTEMPTS_MAX + 2).await;
    stuck.fail_beside("acknowledged", "other-1").await;
    stuck.fail_beside("cancelled", "other-1").await;
    for at in 2..=SINK_ATTEMPTS_MAX + 1 {
        let key = format!("other-{at}");
        stuck.stage.erp.create_late(order(&key));
        stuck.fail_beside("cancelled", &key).await;
    }
    let Stuck { mut stage, mut process, .. } = stuck;
    assert_eq!(stage.next().await, ("acknowledged", order("stuck")), "when its confirm succeeds");
    let dealt = u64::from(SINK_ATTEMPTS_MAX) + 3;
    let status = process.until("all are done", |status| status.done == dealt).await;
    assert_eq!((status.failed, status.aside), (0, 0));
    assert_eq!(stage.erp.count(order("stuck")), [0, 1, 0]);
    process.stop().await;
}

/// There is one place, and an order that never gets through.
#[tokio::test]
async fn an_order_that_failed_makes_room_for_others() {
    let mut stage = Stage::set().await;
    let always = (0..1_000).map(|_| (Op::Create, Turn::Refuse(locked()))).collect();
    let erp = stage.erp.connect(Vec::new()).with(order("stuck"), always);
    let mut process = stage.start_with(erp, SinkLimits { orders: 1, ..QUICK }).await;
    stage.create("stuck").await;
    process.until("it stands aside", |status| status.aside == 1).await;
    // As of a quiet day: its failures are in a row, and nothing else shows that the backend is well.
    process.until("the breaker opens", |status| status.breaker == BreakerState::Open).await;
    let keys: Vec<String> = (0..5).map(|at| format!("k{at}")).collect();
    for key in &keys {
        stage.create(key).await;
    }
    for key in &keys {
        assert_eq!(stage.next().await, ("acknowledged", order(key)));
    }
    let status = process.until("the others are done", |status| status.done == 5).await;
    assert_eq!((status.in_hand, status.aside, status.failed), (1, 1, 0));
    process.kill().await;
}

/// Reading goes well all the time: it closes no breaker, and makes no failure an order's own.
#[tokio::test]
async fn a_backend_that_can_only_be_read_keeps_all_orders_until_it_is_well() {
    let stage = Stage::set().await;
    stage.erp.is_read_only.store(true, Ordering::SeqCst);
    let mut process = stage.start(stage.erp.connect(Vec::new())).await;
    let keys: Vec<String> = (0..6).map(|at| format!("k{at}")).collect();
    for key in &keys {
        stage.create(key).await;
    }
    process.until("the breaker opens", |status| status.breaker == BreakerState::Open).await;
    let probes = BREAKER_TRANSIENT_MAX + 2;
    let erp = &stage.erp;
    let until_probed = process.until("probes fail", |status| {
        assert_ne!(status.breaker, BreakerState::Closed, "only a change that succeeds closes it");
        erp.refused.load(Ordering::SeqCst) >= probes
    });
    let status = until_probed.await;
    assert_eq!((status.done, status.failed), (0, 0));
    stage.erp.is_read_only.store(false, Ordering::SeqCst);
    let status = process.until("all are done", |status| status.done == 6).await;
    assert_eq!((status.breaker, status.failed, status.redelivered), (BreakerState::Closed, 0, 0));
    for key in &keys {
        assert_eq!(stage.erp.count(order(key)), [0, 1, 0], "{key}");
    }
    process.stop().await;
}
