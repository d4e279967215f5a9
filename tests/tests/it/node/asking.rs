//! Policy `ask`: what lookups get of a source that is asked, and what of one that does not answer well.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use futures_util::future::join_all;
use pannier_node::Config;
use pannier_node::limits::ASK_FAILURES_MAX;
use pannier_protocol::ask::Question;
use pannier_protocol::{AsOf, Encoding};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{PATIENCE, Publisher, Running};

/// The longest that may be configured: nothing of what is to be seen at once may take so long.
const LONG: Duration = Duration::from_secs(5);
/// What is to be late is late soon.
const SHORT: Duration = Duration::from_millis(50);

/// A node whose tables have 10 of `SKU-1` and are always past their budget.
struct Asking {
    run: Arc<Running>,
    at: AsOf,
    desk: Publisher,
}

impl Asking {
    async fn start(wait: Duration, unanswered: &str) -> Self {
        Self::start_with(unanswered, |config| config.ask.wait = wait).await
    }

    async fn start_with(unanswered: &str, change: impl FnOnce(&mut Config)) -> Self {
        let run = Running::start_with(change).await;
        let (mut erp, _, at) = run.load_item().await;
        erp.send(json!([{"item": {"item": "SKU-2", "base_uom": "EA"}}])).await;
        let desk = run.publisher("catalog.shared.desk").await;
        let mut asking = Self { run: Arc::new(run), at, desk };
        asking.say(unanswered).await;
        asking
    }

    /// The policy's next version.
    async fn say(&mut self, unanswered: &str) {
        let rule =
            json!({"table": "availability", "budget_ms": 1_000, "past": "ask", "unanswered": unanswered});
        let document = json!({"staleness": {"rules": [rule], "suspect": "refuse"}});
        let version = self.desk.sequence + 1;
        let policy = json!([{"policy": {"version": version, "document": document}}]);
        self.at.shared = self.desk.send(policy).await;
    }

    async fn source(&self) -> Source {
        let client = self.run.test.broker.client().clone();
        let questions = client.subscribe("pna.v1.ask.wms-1").await.unwrap();
        // The server has taken the subscription when it answers what was sent behind it.
        client.request("pna.v1.ask.nobody", bytes::Bytes::new()).await.unwrap_err();
        Source { client, questions }
    }

    /// `ok 7 fresh true`: status, available, state and whether it is live.
    async fn line(&self) -> String {
        line_of(&self.run.ask(&self.at).await)
    }

    /// Of `SKU-2`, which has no stock.
    async fn other(&self) -> String {
        let path = format!("/v1/price-availability/SKU-2?quantity=1&at_least={}", self.at);
        let response = self.run.http.get(&path).await.unwrap();
        line_of(&serde_json::from_slice(response.body()).unwrap())
    }

    /// A lookup under way.
    fn asked(&self) -> JoinHandle<String> {
        let (run, at) = (Arc::clone(&self.run), self.at.clone());
        tokio::spawn(async move { line_of(&run.ask(&at).await) })
    }

    /// Of a metric without its prefix.
    async fn metric(&self, name: &str) -> u64 {
        let page = self.run.metrics().await;
        let value = page.lines().find_map(|line| line.strip_prefix(&format!("pannier_{name} ")));
        value.map_or(0, |value| value.parse().unwrap())
    }

    async fn outcome(&self, outcome: &str) -> u64 {
        self.metric(&format!("ask_question_total{{outcome=\"{outcome}\"}}")).await
    }

    /// Until so many lookups wait for a source.
    async fn until_waiting(&self, count: u64) {
        let reached = async { while self.metric("ask_waiting_count").await != count {} };
        timeout(PATIENCE, reached).await.expect("lookups wait for the source");
    }
}

fn line_of(answer: &Value) -> String {
    let line = &answer["lines"][0];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let fresh = &line["freshness"]["availability"];
    let (status, available) = (text(&line["status"]), text(&line["availability"]["available"]));
    format!("{status} {available} {} {}", text(&fresh["state"]), fresh["live"] == json!(true))
}

const LIVE: &str = "ok 7 fresh true";
const REFUSED: &str = "stale - - false";
const FLAGGED: &str = "ok 10 stale false";

/// What answers questions.
struct Source {
    client: async_nats::Client,
    questions: Subscriber,
}

impl Source {
    async fn question(&mut self) -> Message {
        timeout(PATIENCE, self.questions.next()).await.expect("a question").unwrap()
    }

    async fn reply(&self, question: &Message, body: impl Into<bytes::Bytes>) {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Content-Type", "application/json");
        let to = question.reply.clone().unwrap();
        self.client.publish_with_headers(to, headers, body.into()).await.unwrap();
    }

    async fn answer(&self, question: &Message, on_hand: &str) {
        self.reply(question, rows("wms-1", "SKU-1", on_hand, now())).await;
    }
}

fn now() -> pannier_protocol::Timestamp {
    pannier_node::clock::Clock::machine_now()
}

fn rows(source: &str, item: &str, on_hand: &str, read_at: pannier_protocol::Timestamp) -> String {
    let cell = json!({"stock_set": {"item": item, "warehouse": "DAL", "uom": "EA", "on_hand": on_hand}});
    let rows = json!({"read_at": read_at, "changes": [cell]});
    json!({"version": 1, "source": source, "says": {"rows": rows}}).to_string()
}

#[tokio::test]
async fn a_source_is_asked_for_one_reply_and_nothing_of_it_stays() {
    let mut asking = Asking::start(LONG, "refuse").await;
    let mut source = asking.source().await;
    let lookup = asking.asked();
    let question = source.question().await;
    let asked = Question::decode(Encoding::MessagePack, &question.payload).unwrap();
    let want = json!({"version": 1, "within_ms": 5_000, "about": {"stock": {"item": "SKU-1"}}});
    assert_eq!(serde_json::to_value(&asked).unwrap(), want);
    source.answer(&question, "7").await;
    assert_eq!(lookup.await.unwrap(), LIVE);
    // It went past the gate and into no table.
    let lookup = asking.asked();
    let question = source.question().await;
    source
        .reply(&question, json!({"version": 1, "source": "wms-1", "says": {"nothing": "busy"}}).to_string())
        .await;
    assert_eq!(lookup.await.unwrap(), REFUSED);
    drop(source);
    asking.say("serve").await;
    assert_eq!(asking.line().await, FLAGGED);
    assert_eq!((asking.outcome("answered").await, asking.outcome("nothing").await), (1, 1));
}

#[tokio::test]
async fn a_hundred_lookups_of_one_key_are_one_question() {
    let asking = Asking::start(LONG, "refuse").await;
    let mut source = asking.source().await;
    let lookups: Vec<_> = (0..100).map(|_| asking.asked()).collect();
    let question = source.question().await;
    asking.until_waiting(100).await;
    source.answer(&question, "7").await;
    for line in join_all(lookups).await {
        assert_eq!(line.unwrap(), LIVE);
    }
    assert_eq!((asking.outcome("answered").await, asking.metric("ask_joined_total").await), (1, 99));
    // The next one asks again.
    let lookup = asking.asked();
    let question = source.question().await;
    source.answer(&question, "7").await;
    assert_eq!(lookup.await.unwrap(), LIVE);
    assert_eq!((asking.outcome("answered").await, asking.metric("ask_joined_total").await), (2, 99));
}

#[tokio::test]
async fn where_nobody_answers_policy_holds_at_once() {
    let mut asking = Asking::start(LONG, "refuse").await;
    let refused = timeout(LONG / 2, asking.line()).await.expect("nobody is there, so nobody is waited for");
    assert_eq!(refused, REFUSED);
    asking.say("serve").await;
    assert_eq!(timeout(LONG / 2, asking.line()).await.unwrap(), FLAGGED);
    assert_eq!(asking.outcome("no_responders").await, 2);
}

#[tokio::test]
async fn a_late_reply_finds_nobody() {
    let asking = Asking::start(SHORT, "refuse").await;
    let mut source = asking.source().await;
    let lookup = asking.asked();
    let late = source.question().await;
    assert_eq!(lookup.await.unwrap(), REFUSED);
    assert_eq!(asking.outcome("late").await, 1);
    // The next one has a question of its own, and what comes to the first is for nobody.
    let lookup = asking.asked();
    let question = source.question().await;
    source.answer(&late, "99").await;
    assert_ne!(late.reply, question.reply);
    assert_eq!(lookup.await.unwrap(), REFUSED);
    assert_eq!(asking.outcome("late").await, 2);
}

#[tokio::test]
async fn what_is_no_reply_counts_for_nothing() {
    let asking = Asking::start(LONG, "serve").await;
    let mut source = asking.source().await;
    let old = now().plus_millis(-60_000);
    for (what, body) in [
        ("no bytes", String::new()),
        ("no JSON", "<html>".to_owned()),
        ("of another item", rows("wms-1", "SKU-2", "7", now())),
        ("of another source", rows("erp-1", "SKU-1", "7", now())),
    ] {
        let lookup = asking.asked();
        let question = source.question().await;
        source.reply(&question, body).await;
        assert_eq!(lookup.await.unwrap(), FLAGGED, "{what}");
    }
    assert_eq!(asking.outcome("garbage").await, 4);
    let lookup = asking.asked();
    let question = source.question().await;
    source.reply(&question, rows("wms-1", "SKU-1", "7", old)).await;
    assert_eq!(lookup.await.unwrap(), FLAGGED, "read before it was asked");
    assert_eq!(asking.outcome("old").await, 1);
}

#[tokio::test]
async fn a_source_that_fails_in_a_row_is_left_alone_until_one_question_finds_it_back() {
    let asking = Asking::start(LONG, "refuse").await;
    for _ in 0..ASK_FAILURES_MAX {
        assert_eq!(asking.line().await, REFUSED);
    }
    let failed = u64::from(ASK_FAILURES_MAX);
    assert_eq!((asking.outcome("no_responders").await, asking.outcome("open").await), (failed, 0));
    let mut source = asking.source().await;
    assert_eq!(asking.line().await, REFUSED);
    assert_eq!(asking.outcome("open").await, 1);
    // After a while one question goes through.
    let answered = async {
        loop {
            let lookup = asking.asked();
            tokio::select! {
                line = lookup => assert_eq!(line.unwrap(), REFUSED),
                question = source.questions.next() => return question.unwrap(),
            }
        }
    };
    let question = timeout(PATIENCE, answered).await.expect("a question goes through");
    assert_eq!(asking.other().await, REFUSED, "one at a time");
    source.answer(&question, "7").await;
    let closed = async { while asking.outcome("answered").await == 0 {} };
    timeout(PATIENCE, closed).await.expect("the question is answered");
    for _ in 0..2 {
        let lookup = asking.asked();
        let question = source.question().await;
        source.answer(&question, "7").await;
        assert_eq!(lookup.await.unwrap(), LIVE);
    }
}

#[tokio::test]
async fn questions_are_bounded_and_end_with_those_who_wait() {
    let bound = |config: &mut Config| (config.ask.wait, config.ask.in_flight) = (LONG, 1);
    let asking = Asking::start_with("refuse", bound).await;
    let mut source = asking.source().await;
    let held = asking.asked();
    let first = source.question().await;
    assert_eq!(timeout(LONG / 2, asking.other()).await.expect("it is not asked"), REFUSED);
    assert_eq!(asking.outcome("busy").await, 1);
    // Who asked hangs up: there is room again, and the same key is a question again.
    held.abort();
    asking.until_waiting(0).await;
    let lookup = asking.asked();
    let question = source.question().await;
    source.answer(&first, "99").await;
    source.answer(&question, "7").await;
    assert_eq!(lookup.await.unwrap(), LIVE);
}
