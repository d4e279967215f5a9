//! What is delivered, through receivers and nodes that fail.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Delivery, Receiver, Reply, Sending, check, document, has_all, place, steps};
use crate::node::checkout::{checkout, second_node};

/// Each event fails first, in a way of its own.
fn first_time_fails(delivery: &Delivery, seen: &[Delivery]) -> Reply {
    const WAYS: [Reply; 4] = [Reply::Status(500), Reply::Hang, Reply::Break, Reply::Status(302)];
    let is_known = seen.iter().any(|before| before.id == delivery.id);
    let others: std::collections::BTreeSet<&str> = seen.iter().map(|before| before.id.as_str()).collect();
    if is_known { Reply::Status(200) } else { WAYS[others.len() % WAYS.len()] }
}

#[tokio::test]
async fn every_step_is_told_signed_and_in_its_order_by_whichever_node_there_is() {
    let (running, _wms) = checkout().await;
    let (other, _http) = second_node(&running).await;
    let mut receiver = Receiver::start(first_time_fails).await;
    let state = running.test.folder.path().join("webhook");
    let document = document(&receiver, &[&other, &running.node], &running.test.server.url(), &state);
    let mut sending = Sending::start(&document);

    let mut orders = Vec::new();
    for at in 0..3 {
        orders.push(place(&running, &format!("k{at}"), "web").await);
        place(&running, &format!("e{at}"), "edi").await;
    }
    let mut expected = BTreeMap::new();
    for order in &orders {
        expected.insert(order.clone(), steps(&running, order, 2).await);
    }
    let seen = receiver.until("placed and dispatched", |seen| has_all(seen, &expected)).await;
    check(&seen, &expected);

    // Nobody listens, and the node that was asked is gone.
    receiver.die().await;
    other.stop().await.unwrap();
    let mut erp = running.publisher("ledger.event.erp").await;
    for (at, order) in orders.iter().enumerate() {
        let document = format!("SO-{at}");
        erp.send(
            json!([{"event": {"acknowledged": {"order": order, "generation": 1, "document": document}}}]),
        )
        .await;
        let line = json!({"line": "1", "shipped": "1"});
        erp.send(json!([{"event": {"progressed": {"order": order, "lines": [line]}}}])).await;
        expected.insert(order.clone(), steps(&running, order, 4).await);
    }
    sending.until("it finds nobody", |status| status.failed > 0 && status.pending > 0).await;
    receiver.come_back().await;
    let seen = receiver.until("acknowledged and shipped", |seen| has_all(seen, &expected)).await;
    check(&seen, &expected);
    let last = &seen.iter().rfind(|delivery| delivery.order() == orders[0]).unwrap().body;
    assert_eq!((&last["type"], &last["data"]["channel"]), (&json!("order.shipped"), &json!("web")), "{last}");
    assert_eq!((&last["data"]["account"], &last["data"]["purchase_order"]), (&json!("C-1"), &json!("PO-k0")));

    let status = sending.until("nothing waits", |status| status.pending == 0).await;
    assert_eq!((status.delivered, status.given_up, status.missed), (12, 0, 0));
    sending.stop().await;
    running.node.stop().await.unwrap();
}

/// The place that the process goes on from is one of another ledger: that is told, and then what the new one has.
#[tokio::test]
async fn what_nodes_do_not_keep_any_more_is_told_to_the_receiver() {
    let receiver = Receiver::start(|_, _| Reply::Status(200)).await;
    let state = tempfile::tempdir().unwrap();
    let mut expected = BTreeMap::new();
    for round in 0..2 {
        let (running, _wms) = checkout().await;
        let order = place(&running, &format!("k{round}"), "web").await;
        expected.insert(order.clone(), steps(&running, &order, 2).await);
        let nats = running.test.server.url();
        let sending = Sending::start(&document(&receiver, &[&running.node], &nats, state.path()));
        receiver.until("all that is kept", |seen| has_all(seen, &expected)).await;
        let status = *sending.status.borrow();
        assert_eq!(status.missed, round, "{status:?}");
        sending.stop().await;
        running.node.stop().await.unwrap();
    }
    let (missed, steps): (Vec<_>, Vec<_>) =
        receiver.seen().into_iter().partition(|it| it.body["type"] == "orders.missed");
    check(&steps, &expected);
    let [missed] = missed.as_slice() else { panic!("told once: {missed:?}") };
    assert!(missed.id.starts_with("missed-"), "{missed:?}");
}
