//! Tryton is away, or hangs; orders wait, and are there once when it is back.

use pannier_adapters::runner::sink::{BreakerState, SinkLimits};
use pannier_tests::{Database, Tryton};
use rustix::process::{Pid, Signal, kill_process};

use super::proxy::Proxy;
use super::{HASTY, ONE_BY_ONE, backend, create};
use crate::sink::{Process, Stage, order};

async fn check_once(tryton: &Tryton, keys: &[&str]) {
    for key in keys {
        let count = tryton.count(&order(key).to_string()).await;
        assert_eq!(count[1], 1, "{key}: drafts, in effect, cancelled {count:?}");
    }
}

async fn until_open(process: &mut Process) {
    process.until("the breaker opens", |status| status.breaker == BreakerState::Open).await;
}

#[tokio::test]
async fn orders_wait_for_a_tryton_that_is_away_or_hangs() {
    let tryton = Tryton::start(Database::Sqlite).await;
    let mut proxy = Proxy::start(tryton.address());
    let stage = Stage::set().await;
    let limits = SinkLimits { orders: 2, ..ONE_BY_ONE };
    let mut process = stage.start_with(backend(&tryton, &proxy.address, HASTY), limits).await;

    proxy.close().await;
    for key in ["a", "b", "c"] {
        stage.dispatch(&create(key)).await;
    }
    until_open(&mut process).await;
    assert_eq!(tryton.sales(&order("a").to_string()).await.len(), 0);
    proxy.open();
    let status = process.until("all three are done", |status| status.done == 3).await;
    assert_eq!((status.failed, status.breaker), (0, BreakerState::Closed));
    check_once(&tryton, &["a", "b", "c"]).await;

    let trytond = Pid::from_raw(tryton.process_id()).unwrap();
    kill_process(trytond, Signal::STOP).unwrap();
    for key in ["d", "e"] {
        stage.dispatch(&create(key)).await;
    }
    until_open(&mut process).await;
    kill_process(trytond, Signal::CONT).unwrap();
    let status = process.until("the two others are done", |status| status.done == 5).await;
    assert_eq!(status.failed, 0);
    check_once(&tryton, &["a", "b", "c", "d", "e"]).await;
    process.stop().await;
}
