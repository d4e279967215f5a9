//! What Tryton did and what the adapter heard of it are two things.

use pannier_tests::{Database, Tryton};

use super::proxy::{Act, Proxy, gate};
use super::{HASTY, ONE_BY_ONE, backend, create};
use crate::sink::{Stage, order};

const CREATE: &str = "POST /erp/rest/model/sale.sale?";
const QUOTE: &str = "/quote";
const CONFIRM: &str = "/confirm";
const CANCEL: &str = "/cancel";

/// As another of Tryton's interfaces answers.
const ERROR_UNDER_200: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 52\r\n\r\n\
    {\"id\": 1, \"error\": [\"UserError\", [\"no\", \"\", null]]}   ";
const NOT_AVAILABLE: &str =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n";

/// One in effect, and beside it what the faults alone leave behind.
#[track_caller]
fn check(count: [usize; 3], want: [usize; 3], what: &str) {
    let is_as_wanted = count[1] == want[1] && count[0] >= want[0] && count[2] >= want[2];
    assert!(is_as_wanted, "{what}: drafts, in effect, cancelled {count:?}, expected {want:?} at least");
}

#[tokio::test]
async fn an_answer_that_is_lost_or_mangled_leaves_one_in_effect() {
    let tryton = Tryton::start(Database::Sqlite).await;
    let proxy = Proxy::start(tryton.address());
    let mut stage = Stage::set().await;
    let process = stage.start_with(backend(&tryton, &proxy.address, HASTY), ONE_BY_ONE).await;
    for (at, (rules, want)) in [
        (vec![(CREATE, Act::Lose)], [0, 1, 1]),
        (vec![(CREATE, Act::Garbage), (CREATE, Act::Cut)], [0, 1, 2]),
        (vec![(CREATE, Act::Answer(ERROR_UNDER_200))], [0, 1, 0]),
        (vec![(CREATE, Act::Answer(NOT_AVAILABLE))], [0, 1, 0]),
        (vec![(QUOTE, Act::Cut), (CONFIRM, Act::Lose)], [0, 1, 0]),
        (vec![(CONFIRM, Act::Garbage)], [0, 1, 0]),
        (vec![(CREATE, Act::Cut), (CANCEL, Act::Garbage), (CONFIRM, Act::Cut)], [0, 1, 1]),
        (vec![(CONFIRM, Act::Answer(ERROR_UNDER_200))], [0, 1, 0]),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("k{at}");
        proxy.plan(rules);
        stage.dispatch(&create(&key)).await;
        assert_eq!(stage.next().await, ("acknowledged", order(&key)), "case {at}");
        assert_eq!(proxy.left(), [""; 0], "case {at}: every fault met the order");
        let count = tryton.count(&order(&key).to_string()).await;
        check(count, want, &key);
    }
    process.stop().await;
}

/// The request is carried out when its caller has given it up and done the whole order.
#[tokio::test]
async fn a_commit_after_the_timeout_changes_nothing_in_effect() {
    let tryton = Tryton::start(Database::Sqlite).await;
    let proxy = Proxy::start(tryton.address());
    let mut stage = Stage::set().await;
    let process = stage.start_with(backend(&tryton, &proxy.address, HASTY), ONE_BY_ONE).await;
    for (late, want) in [
        // A draft without effect stays.
        (CREATE, [1, 1, 0]),
        (QUOTE, [0, 1, 0]),
        (CONFIRM, [0, 1, 0]),
    ] {
        let (gate, mut keeper) = gate();
        proxy.plan(vec![(late, Act::Late(gate))]);
        stage.dispatch(&create(late)).await;
        keeper.came().await;
        assert_eq!(stage.next().await, ("acknowledged", order(late)), "{late}");
        let count = tryton.count(&order(late).to_string()).await;
        assert_eq!(count[1], 1, "{late}: done without it");
        keeper.open().await;
        let count = tryton.count(&order(late).to_string()).await;
        check(count, want, late);
    }
    process.stop().await;
}
