//! The adapter as a process: killed, paused, taken over. Each order is in Tryton once in effect.
//!
//! On PostgreSQL, where a confirm and a cancel that meet exclude each other.

use std::path::{Path, PathBuf};

use pannier::stage::{Process, Program};
use pannier_protocol::order::OrderEvent;
use pannier_tests::{Database, Tryton};

use super::proxy::{Act, Proxy, gate};
use super::{PATIENT, create, document};
use crate::sink::{PATIENCE, Stage, order};

const LIST: &str = "GET /erp/rest/model/sale.sale?f=number&f=state&f=shipments.number";
const QUOTE: &str = "/quote";
const CONFIRM: &str = "/confirm";

/// `pannier adapter tryton` with a state of its own, at `address` for Tryton.
fn start(stage: &Stage, tryton: &Tryton, name: &str, address: &str) -> Process {
    let folder = tryton.folder.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("tryton.toml");
    let text = document(tryton, address, PATIENT, &stage.test.server.url(), Path::new("state"));
    std::fs::write(&file, text).unwrap();
    let arguments = ["adapter", "tryton", "--config", file.to_str().unwrap()].map(str::to_owned).to_vec();
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_pannier_under_test"));
    Process::start(name, Program { binary, arguments, environment: Vec::new() }, &folder).unwrap()
}

/// The next thing said, which is that this order is in Tryton.
async fn acknowledged(stage: &mut Stage, key: &str) {
    assert_eq!(stage.next().await, ("acknowledged", order(key)));
}

async fn until_ended(process: &mut Process) -> bool {
    let ended = async {
        loop {
            if let Some(status) = process.ended() {
                return status.success();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the process that was taken over ends")
}

/// The older process stands still at its request `at`, carried out or not, while a newer one does the whole order.
#[tokio::test]
async fn a_process_that_is_paused_and_goes_on_after_the_takeover_doubles_nothing() {
    let tryton = Tryton::start(Database::Postgres).await;
    let mut stage = Stage::set().await;
    for (name, skip, at, is_carried_out) in [
        // Between list and confirm: the second list is answered to a process that stands still.
        ("list", Some(LIST), LIST, true),
        ("quote", None, QUOTE, true),
        ("confirm", None, CONFIRM, false),
    ] {
        let proxy = Proxy::start(tryton.address());
        let (gate, mut keeper) = gate();
        let act = if is_carried_out { Act::Hold(gate) } else { Act::Late(gate) };
        let pass = skip.map(|text| (text, Act::Pass));
        proxy.plan(pass.into_iter().chain([(at, act)]).collect());
        let mut older = start(&stage, &tryton, &format!("older-{name}"), &proxy.address);
        stage.dispatch(&create(name)).await;
        keeper.came().await;
        older.pause().unwrap();
        let newer = start(&stage, &tryton, &format!("newer-{name}"), &tryton.address());
        acknowledged(&mut stage, name).await;
        keeper.open().await;
        older.go_on().unwrap();
        assert!(!until_ended(&mut older).await, "it says why it ended");
        let count = tryton.count(&order(name).to_string()).await;
        assert_eq!(count, [0, 1, 1], "{name}: drafts, in effect, cancelled");
        // Else it would be the next order's first process.
        assert!(newer.stop().await.unwrap().success());
    }
}

/// Killed at its n-th request, carried out or not, and started again: nobody knows more than Tryton and the broker.
#[tokio::test]
async fn a_process_that_is_killed_anywhere_loses_and_doubles_nothing() {
    let tryton = Tryton::start(Database::Postgres).await;
    let proxy = Proxy::start(tryton.address());
    let mut stage = Stage::set().await;
    let keys: Vec<String> = (0..5).map(|at| format!("k{at}")).collect();
    for key in &keys {
        stage.dispatch(&create(key)).await;
    }
    let mut random = 20_261_125_u64;
    let mut adapter = start(&stage, &tryton, "killed", &proxy.address);
    for _ in 0..4 {
        // SplitMix, for the same places each time.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let requests = 6 + u32::try_from((random >> 33) % 24).unwrap();
        let until = proxy.passed() + requests;
        tokio::time::timeout(PATIENCE, proxy.until_passed(until)).await.expect("requests in time");
        adapter.kill().await.unwrap();
        adapter.start_again().unwrap();
    }
    let mut left: Vec<_> = keys.iter().map(|key| order(key)).collect();
    while !left.is_empty() {
        let event = stage.event().await;
        assert!(matches!(event, OrderEvent::Acknowledged(_)), "{event:?}");
        left.retain(|order| order != event.order());
    }
    for key in &keys {
        let count = tryton.count(&order(key).to_string()).await;
        assert_eq!(count[1], 1, "{key}: drafts, in effect, cancelled {count:?}");
    }
    assert!(adapter.stop().await.unwrap().success());
}
