use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use bytes::Bytes;
use futures_util::StreamExt as _;
use pannier_protocol::{Encoding, StreamSequence};
use pannier_streams::consumer::{Consumer, End, Event, Interruption, Loss, Options, Position};
use pannier_streams::server::SyncInterval;
use pannier_streams::{Streams, stored};
use pannier_tests::TestBroker;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::writer::copy_folder;

/// Nothing in these tests takes this long; what does hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running consumer and what it has shown so far.
struct Follower {
    events: mpsc::Receiver<Event>,
    run: JoinHandle<End>,
    texts: Vec<String>,
    sequences: Vec<u64>,
    interruptions: Vec<Interruption>,
}

fn follow(test: &TestBroker, streams: &Streams, after: Option<Position>) -> Follower {
    let options = Options { stream: streams.ledger.clone(), incarnation: streams.incarnation.clone(), after };
    let (consumer, events) = Consumer::new(test.broker.clone(), options);
    let run = tokio::spawn(consumer.run());
    Follower { events, run, texts: Vec::new(), sequences: Vec::new(), interruptions: Vec::new() }
}

impl Follower {
    async fn event(&mut self) -> Event {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event in time").expect("the consumer runs")
    }

    /// Reads on until the last message is `text`.
    async fn until(&mut self, text: &str) {
        while self.texts.last().map(String::as_str) != Some(text) {
            match self.event().await {
                Event::Batch(batch) => {
                    for delivery in batch {
                        self.sequences.push(delivery.stream_sequence.0);
                        self.texts.push(String::from_utf8_lossy(&delivery.payload).into_owned());
                    }
                }
                Event::Interrupted { reason } => self.interruptions.push(reason),
                Event::CaughtUp { .. } => {}
                Event::Lost(loss) => panic!("{loss}"),
            }
        }
    }

    async fn until_caught_up(&mut self) -> StreamSequence {
        loop {
            match self.event().await {
                Event::CaughtUp { up_to } => return up_to,
                Event::Lost(loss) => panic!("{loss}"),
                Event::Batch(batch) => self.sequences.extend(batch.iter().map(|d| d.stream_sequence.0)),
                Event::Interrupted { reason } => self.interruptions.push(reason),
            }
        }
    }

    async fn until_lost(mut self) -> Loss {
        loop {
            if let Event::Lost(loss) = self.event().await {
                assert_eq!(self.run.await.unwrap(), End::Lost(loss.clone()));
                return loss;
            }
        }
    }
}

async fn publish(test: &TestBroker, texts: &[&str]) {
    for text in texts {
        let bytes = Bytes::from((*text).to_owned());
        test.broker.context().publish("pna.v1.ledger.control", bytes).await.unwrap().await.unwrap();
    }
}

async fn position_at(test: &TestBroker, streams: &Streams, sequence: u64) -> Position {
    let found = stored::message_at(&test.broker, &streams.ledger, StreamSequence(sequence)).await;
    Position::from(&found.unwrap().unwrap())
}

async fn only_consumer(test: &TestBroker, streams: &Streams) -> String {
    use futures_util::TryStreamExt;
    let stream = test.broker.context().get_stream(&streams.ledger).await.unwrap();
    let names: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}

#[tokio::test]
async fn everything_comes_once_and_in_order() {
    let (test, streams) = TestBroker::start_with_streams().await;
    let mut empty = follow(&test, &streams, None);
    assert_eq!(empty.until_caught_up().await, StreamSequence(0), "an empty stream is at its end");
    publish(&test, &["a", "b", "c"]).await;
    empty.until("c").await;
    let mut late = follow(&test, &streams, None);
    assert_eq!(late.until_caught_up().await, StreamSequence(3));
    assert_eq!(late.sequences, [1, 2, 3], "caught up comes after the messages");
    let mut resumed = follow(&test, &streams, Some(position_at(&test, &streams, 2).await));
    publish(&test, &["d"]).await;
    resumed.until("d").await;
    assert_eq!(resumed.texts, ["c", "d"]);
    drop(resumed.events);
    assert_eq!(resumed.run.await.unwrap(), End::Unwanted);
}

#[tokio::test]
async fn content_types_are_told_apart() {
    let (test, streams) = TestBroker::start_with_streams().await;
    for content_type in ["application/msgpack", "application/json; charset=utf-8", "text/csv"] {
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", content_type);
        let subject = "pna.v1.ledger.control";
        let publishing = test.broker.context().publish_with_headers(subject, headers, Bytes::new());
        publishing.await.unwrap().await.unwrap();
    }
    publish(&test, &["none"]).await;
    let mut follower = follow(&test, &streams, None);
    let mut encodings = Vec::new();
    while encodings.len() < 4 {
        if let Event::Batch(batch) = follower.event().await {
            encodings.extend(batch.iter().map(|delivery| delivery.encoding));
        }
    }
    let expected = [Some(Encoding::MessagePack), Some(Encoding::Json), None, Some(Encoding::MessagePack)];
    assert_eq!(encodings, expected);
}

/// Trap: a consumer that vanishes before its first message starts again with all of the stream, in the
/// client's own ordered consumers.
#[tokio::test]
async fn a_vanished_consumer_is_replaced_from_the_position() {
    let (test, streams) = TestBroker::start_with_streams().await;
    publish(&test, &["a", "b", "c"]).await;
    let mut follower = follow(&test, &streams, Some(position_at(&test, &streams, 3).await));
    assert_eq!(follower.until_caught_up().await, StreamSequence(3));
    let name = only_consumer(&test, &streams).await;
    test.broker.context().delete_consumer_from_stream(&name, &streams.ledger).await.unwrap();
    publish(&test, &["d"]).await;
    follower.until("d").await;
    assert_eq!(follower.texts, ["d"]);
    assert_eq!(follower.interruptions, [Interruption::Silent]);
    assert_eq!(follower.until_caught_up().await, StreamSequence(4));
}

#[tokio::test]
async fn a_restart_of_the_broker_loses_and_doubles_nothing() {
    let (mut test, streams) = TestBroker::start_with_streams().await;
    let mut follower = follow(&test, &streams, None);
    publish(&test, &["a", "b"]).await;
    follower.until("b").await;
    for round in ["c", "d"] {
        test.server.restart().await.unwrap();
        let mut link = test.broker.link();
        link.wait_for(|link| link.connected).await.unwrap();
        while test.broker.context().query_account().await.is_err() {}
        publish(&test, &[round]).await;
        follower.until(round).await;
    }
    assert_eq!(follower.texts, ["a", "b", "c", "d"]);
    assert_eq!(follower.interruptions, [Interruption::Reconnected; 2]);
}

/// Restores the store as it was after three messages, publishes `after` to it, and returns what a consumer
/// says that had applied five.
async fn loss_after_rollback(after: &[&str]) -> Loss {
    let (mut test, streams) = TestBroker::start_with_streams().await;
    publish(&test, &["a", "b", "c"]).await;
    let (store, copy) = (test.folder.path().join("store"), test.folder.path().join("copy"));
    test.server.kill().await;
    copy_folder(&store, &copy);
    test.server.start_again().await.unwrap();
    let mut link = test.broker.link();
    link.wait_for(|link| link.connects == 2).await.unwrap();
    publish(&test, &["d", "e"]).await;
    let mut follower = follow(&test, &streams, None);
    follower.until("e").await;
    test.server.kill().await;
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&copy, &store).unwrap();
    test.server.start_again().await.unwrap();
    link.wait_for(|link| link.connects == 3).await.unwrap();
    publish(&test, after).await;
    follower.until_lost().await
}

/// Trap: past the end of a stream that was rolled back servers wait silently.
#[tokio::test]
async fn a_stream_that_ends_before_the_position_is_lost() {
    let loss = loss_after_rollback(&[]).await;
    let (applied, last) = (StreamSequence(5), StreamSequence(3));
    assert_eq!(loss, Loss::RolledBack { stream: "PNA_LEDGER".into(), applied, last });
}

/// Trap: sequences are used again, so that a stream looks right that is another.
#[tokio::test]
async fn a_stream_with_other_messages_at_the_position_is_lost() {
    let loss = loss_after_rollback(&["x", "y", "z"]).await;
    assert_eq!(loss, Loss::Diverged { stream: "PNA_LEDGER".into(), applied: StreamSequence(5) });
}

/// Trap: a deleted stream looks like silence.
#[tokio::test]
async fn a_deleted_or_recreated_stream_is_lost() {
    let (test, streams) = TestBroker::start_with_streams().await;
    publish(&test, &["a", "b"]).await;
    let context = test.broker.context();
    let config = context.get_stream(&streams.ledger).await.unwrap().cached_info().config.clone();
    let recreate = async |config: Config| {
        let mut follower = follow(&test, &streams, None);
        follower.until_caught_up().await;
        context.delete_stream(&streams.ledger).await.unwrap();
        context.create_stream(config).await.unwrap();
        follower.until_lost().await
    };
    let loss = recreate(config.clone()).await;
    assert!(matches!(loss, Loss::RolledBack { last: StreamSequence(0), .. }), "{loss}");
    publish(&test, &["a"]).await;
    let mut follower = follow(&test, &streams, None);
    follower.until("a").await;
    let metadata = [("pannier.incarnation".to_owned(), "another".to_owned())].into();
    let loss = recreate(Config { metadata, ..config }).await;
    assert!(matches!(loss, Loss::OtherIncarnation { found: Some(_), .. }), "{loss}");
    let loss = follower.until_lost().await;
    assert!(matches!(loss, Loss::OtherIncarnation { .. }), "{loss}");
    let gone = Streams { ledger: "PNA_NOWHERE".to_owned(), ..streams.clone() };
    let loss = follow(&test, &gone, None).until_lost().await;
    assert_eq!(loss, Loss::Deleted { stream: "PNA_NOWHERE".into() });
}

/// Trap: what is left of a stream is not its beginning.
#[tokio::test]
async fn messages_that_aged_out_are_missed() {
    let (test, streams) = TestBroker::start_with_streams().await;
    publish(&test, &["a", "b", "c", "d"]).await;
    let [second, first] = [position_at(&test, &streams, 2).await, position_at(&test, &streams, 1).await];
    let stream = test.broker.context().get_stream(&streams.ledger).await.unwrap();
    let config = stream.cached_info().config.clone();
    let shorter = Config { max_messages: 2, discard: DiscardPolicy::Old, ..config };
    test.broker.context().update_stream(shorter).await.unwrap();
    for after in [None, Some(first)] {
        let loss = follow(&test, &streams, after).until_lost().await;
        assert!(matches!(loss, Loss::AgedOut { first: StreamSequence(3), .. }), "{loss}");
    }
    let mut complete = follow(&test, &streams, Some(second));
    complete.until("d").await;
    assert_eq!(complete.texts, ["c", "d"], "nothing is missing behind the last that aged out");
}

/// Trap: a subscription that holds its capacity drops what comes next, and flow control, once it has seen a
/// fast receiver, sends more small messages ahead than the client's default capacity.
#[tokio::test]
async fn a_slow_receiver_loses_nothing() {
    const MESSAGES: u64 = 160_000;
    let test = TestBroker::start_synced(SyncInterval::Every(Duration::from_secs(120))).await;
    let streams =
        pannier_streams::init(&test.broker, &pannier_protocol::subject::Prefix::default(), 1).await.unwrap();
    for _ in 0..MESSAGES / 4_000 {
        let mut acks = Vec::new();
        for _ in 0..4_000 {
            let publishing = test.broker.context().publish("pna.v1.ledger.control", Bytes::from_static(b"x"));
            acks.push(publishing.await.unwrap());
        }
        for ack in acks {
            ack.await.unwrap();
        }
    }
    let mut follower = follow(&test, &streams, None);
    while follower.sequences.len() < 50_000 {
        if let Event::Batch(batch) = follower.event().await {
            follower.sequences.extend(batch.iter().map(|d| d.stream_sequence.0));
        }
    }
    let stream = test.broker.context().get_stream(&streams.ledger).await.unwrap();
    // Nothing is received until the broker has sent all, or its flow control waits: that is when it says that it idles.
    let name = only_consumer(&test, &streams).await;
    let delivered_on = stream.consumer_info(name).await.unwrap().config.deliver_subject.unwrap();
    let mut overheard = test.connect().await.client().subscribe(delivered_on).await.unwrap();
    let idles = async {
        loop {
            let message = overheard.next().await.unwrap();
            let headers = message.headers.unwrap_or_default();
            if let Some(last) = headers.get("Nats-Last-Consumer") {
                break last.to_string();
            }
        }
    };
    let before = tokio::time::timeout(PATIENCE, idles).await.expect("the broker comes to its end");
    assert_eq!(follower.until_caught_up().await, StreamSequence(MESSAGES));
    assert_eq!(follower.interruptions, [], "sent before anything was received: {before}");
    assert!(follower.sequences.iter().copied().eq(1..=MESSAGES));
}
