//! What can never be delivered, and a receiver that is busy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pannier_client::{HttpClient, Options};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{PATIENCE, Receiver, Reply, Sending, check, document, has_all, place, steps};
use crate::node::Running;
use crate::node::checkout::checkout;

/// Entries of the review list by webhook id, once there are so many.
async fn reviews(running: &Running, count: usize) -> BTreeMap<String, Value> {
    let operators = format!("http://{}", running.node.operator_addr());
    let operators = HttpClient::new(&operators, Options::default()).unwrap();
    let listed = async {
        loop {
            let page = operators.get("/v1/operator/review?kind=webhook").await.unwrap();
            let page: Value = serde_json::from_slice(page.body()).unwrap();
            let entries = page["entries"].as_array().unwrap();
            if entries.len() >= count {
                let entry = |it: &Value| {
                    (it["entry"]["webhook_id"].as_str().unwrap().to_owned(), it["entry"].clone())
                };
                return entries.iter().map(entry).collect();
            }
        }
    };
    timeout(PATIENCE, listed).await.expect("they are reviewed in time")
}

#[tokio::test]
async fn what_the_receiver_never_takes_goes_to_review_and_holds_up_nothing() {
    let (running, _wms) = checkout().await;
    let mut expected = BTreeMap::new();
    for key in ["gone", "broken", "good"] {
        let order = place(&running, key, "web").await;
        expected.insert(order.clone(), steps(&running, &order, 2).await);
    }
    let order = |key: &'static str| json!(format!("PO-{key}"));
    let receiver = Receiver::start(move |delivery, _| match &delivery.body["data"]["purchase_order"] {
        po if *po == order("gone") => Reply::Status(410),
        po if *po == order("broken") && delivery.body["type"] == "order.accepted" => Reply::Status(500),
        _ => Reply::Status(200),
    })
    .await;
    let state = running.test.folder.path().join("webhook");
    let document = document(&receiver, &[&running.node], &running.test.server.url(), &state);
    let mut sending = Sending::start(&format!("{document}give_up_ms = 2000\n"));

    let status = sending.until("nothing waits", |status| status.delivered > 0 && status.pending == 0).await;
    assert_eq!((status.delivered, status.given_up), (3, 3), "{status:?}");
    assert!(status.failed >= 2, "what may pass is tried again: {status:?}");
    // Each was told until it was given up, and the next one of the order only then.
    check(&receiver.seen(), &expected);

    let reviews = reviews(&running, 3).await;
    let is_given_up = |(id, _): &&(String, String)| reviews.contains_key(id);
    assert_eq!(expected.values().flatten().filter(is_given_up).count(), 3);
    for (id, entry) in &reviews {
        assert_eq!(entry["kind"], "webhook", "{id}");
        let po = entry["body"]["data"]["purchase_order"].as_str().unwrap();
        let reason = entry["reason"].as_str().unwrap();
        match po {
            "PO-gone" => assert!(reason.ends_with("the receiver wants no more events (410)"), "{reason}"),
            "PO-broken" => assert!(reason.ends_with("s: answered 500"), "{reason}"),
            other => panic!("{other}: {reason}"),
        }
    }
    sending.stop().await;

    // What was given up does not come again, and what was delivered neither.
    let before = receiver.seen().len();
    receiver.follow(|_, _| Reply::Status(200));
    let another = place(&running, "later", "web").await;
    expected.insert(another.clone(), steps(&running, &another, 2).await);
    let sending = Sending::start(&document);
    let later = BTreeMap::from([(another.clone(), expected[&another].clone())]);
    let seen = receiver.until("what is new", |seen| has_all(seen, &later)).await;
    check(&seen[before..], &later);
    sending.stop().await;
    running.node.stop().await.unwrap();
}

#[tokio::test]
async fn a_receiver_that_says_how_long_it_is_busy_is_left_alone_as_long() {
    let (running, _wms) = checkout().await;
    let order = place(&running, "busy", "web").await;
    let expected = BTreeMap::from([(order.clone(), steps(&running, &order, 2).await)]);
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let receiver = Receiver::start(move |_, seen| {
        noted.lock().unwrap().push(Instant::now());
        if seen.is_empty() { Reply::Busy(3) } else { Reply::Status(200) }
    })
    .await;
    let state = running.test.folder.path().join("webhook");
    let sending = Sending::start(&document(&receiver, &[&running.node], &running.test.server.url(), &state));
    let seen = receiver.until("both steps", |seen| has_all(seen, &expected)).await;
    check(&seen, &expected);
    let times = times.lock().unwrap().clone();
    // Without being asked it would have come again after two seconds at the latest.
    assert!(times.len() == 3 && times[1] - times[0] >= Duration::from_secs(3), "{times:?}");
    sending.stop().await;
    running.node.stop().await.unwrap();
}
