use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::response::Response;
use bytes::Bytes;
use pannier_protocol::StreamSequence;
use pannier_streams::work::{Begin, Options, Settled, Task, Work, WorkError};
use pannier_streams::{Streams, stored};
use pannier_tests::TestBroker;

const PATIENCE: Duration = Duration::from_secs(30);

fn options(streams: &Streams, in_flight_max: usize) -> Options {
    Options {
        stream: streams.dispatch.clone(),
        durable: "sink-erp".to_owned(),
        filter: "pna.v1.dispatch.erp.*.*".to_owned(),
        in_flight_max,
        aside_max: 0,
        ack_wait: Duration::from_secs(30),
        begin: Begin::First,
    }
}

async fn publish(test: &TestBroker, backend: &str, count: u32) {
    for order in 1..=count {
        let subject = format!("pna.v1.dispatch.{backend}.{order}.1");
        test.broker.context().publish(subject, Bytes::from_static(b"x")).await.unwrap().await.unwrap();
    }
}

async fn next(work: &mut Work) -> Task {
    tokio::time::timeout(PATIENCE, work.next(true)).await.expect("a task in time").unwrap()
}

async fn consumer(test: &TestBroker, streams: &Streams) -> async_nats::jetstream::consumer::Info {
    let stream = test.broker.context().get_stream(&streams.dispatch).await.unwrap();
    let mut consumer: PullConsumer = stream.get_consumer("sink-erp").await.unwrap();
    consumer.info().await.unwrap().clone()
}

#[tokio::test]
async fn work_is_one_backends_and_bounded_until_it_is_done() {
    let (test, streams) = TestBroker::start_with_streams().await;
    publish(&test, "other", 1).await;
    publish(&test, "erp", 3).await;
    let mut work = Work::open(&test.broker, options(&streams, 2)).await.unwrap();
    let (first, second) = (next(&mut work).await, next(&mut work).await);
    assert_eq!((first.subject.as_str(), first.deliveries), ("pna.v1.dispatch.erp.1.1", 1));
    assert_eq!(second.stream_sequence, StreamSequence(3));
    {
        let mut third = std::pin::pin!(work.next(true));
        assert!(futures_util::poll!(third.as_mut()).is_pending());
        assert_eq!(consumer(&test, &streams).await.num_waiting, 0, "without room nothing is asked for");
        assert_eq!(first.done().await, Settled::Confirmed);
        let third = tokio::time::timeout(PATIENCE, third).await.unwrap().unwrap();
        assert_eq!(third.subject, "pna.v1.dispatch.erp.3.1");
        assert_eq!(third.terminate().await, Settled::Confirmed);
    }
    assert_eq!(second.done().await, Settled::Confirmed);
    let info = consumer(&test, &streams).await;
    assert_eq!((info.num_ack_pending, info.num_pending), (0, 0), "all are settled, the terminated one too");
}

#[tokio::test]
async fn what_stands_aside_makes_room_as_long_as_not_too_much_does() {
    let (test, streams) = TestBroker::start_with_streams().await;
    publish(&test, "erp", 3).await;
    let mut work = Work::open(&test.broker, Options { aside_max: 1, ..options(&streams, 1) }).await.unwrap();
    let first = next(&mut work).await;
    assert!(futures_util::poll!(std::pin::pin!(work.next(true))).is_pending(), "there is room for one");
    first.stand_aside();
    first.stand_aside();
    let second = next(&mut work).await;
    second.stand_aside();
    assert_eq!(work.aside(), 1, "one may");
    assert!(futures_util::poll!(std::pin::pin!(work.next(true))).is_pending());
    assert_eq!(consumer(&test, &streams).await.num_waiting, 0, "without room nothing is asked for");
    assert_eq!(first.done().await, Settled::Confirmed);
    assert_eq!(work.aside(), 0);
    second.stand_aside();
    let third = next(&mut work).await;
    for task in [second, third] {
        assert_eq!(task.done().await, Settled::Confirmed);
    }
    assert_eq!((work.aside(), consumer(&test, &streams).await.num_ack_pending), (0, 0));
}

#[tokio::test]
async fn a_message_that_is_given_back_comes_again_without_end_and_takes_up_room_meanwhile() {
    let (test, streams) = TestBroker::start_with_streams().await;
    publish(&test, "erp", 1).await;
    let mut work = Work::open(&test.broker, options(&streams, 1)).await.unwrap();
    for deliveries in 1..=20 {
        let task = next(&mut work).await;
        assert_eq!((task.subject.as_str(), task.deliveries), ("pna.v1.dispatch.erp.1.1", deliveries));
        assert_eq!(task.again_after(Duration::from_millis(20)).await, Settled::Confirmed);
    }
    let task = next(&mut work).await;
    assert_eq!(task.again_after(Duration::from_secs(3_600)).await, Settled::Confirmed);
    publish(&test, "erp", 2).await;
    let mut other = std::pin::pin!(work.next(true));
    assert!(futures_util::poll!(other.as_mut()).is_pending());
    let info = consumer(&test, &streams).await;
    assert_eq!((info.num_waiting, info.num_ack_pending, info.num_pending), (0, 1, 2), "nothing is asked for");
}

#[tokio::test]
async fn what_is_worked_on_is_given_to_nobody_else_and_what_is_dropped_is() {
    let (test, streams) = TestBroker::start_with_streams().await;
    publish(&test, "erp", 1).await;
    let short = Options { ack_wait: Duration::from_secs(4), ..options(&streams, 1) };
    let mut first = Work::open(&test.broker, short.clone()).await.unwrap();
    let mut second = Work::open(&test.connect().await, short).await.unwrap();
    let task = next(&mut first).await;
    {
        let mut other = std::pin::pin!(second.next(true));
        for _ in 0..6 {
            let waited = tokio::time::timeout(Duration::from_secs(1), other.as_mut()).await;
            assert!(waited.is_err(), "it is worked on");
            task.in_progress().await;
        }
    }
    drop(task);
    let again = next(&mut second).await;
    assert_eq!((again.deliveries, again.done().await), (2, Settled::Confirmed));
}

#[tokio::test]
async fn a_lost_consumer_is_an_error_and_not_a_new_one() {
    let (test, streams) = TestBroker::start_with_streams().await;
    publish(&test, "erp", 3).await;
    let resumed = Options { begin: Begin::Resume, ..options(&streams, 8) };
    let gone = Work::open(&test.broker, resumed).await.err().unwrap();
    assert!(matches!(gone, WorkError::Gone { .. }) && !gone.is_temporary(), "{gone}");
    let after = Options { begin: Begin::After(StreamSequence(2)), ..options(&streams, 8) };
    let mut work = Work::open(&test.broker, after).await.unwrap();
    assert_eq!(next(&mut work).await.stream_sequence, StreamSequence(3), "an operator says what is done");
    let stream = test.broker.context().get_stream(&streams.dispatch).await.unwrap();
    stream.delete_consumer("sink-erp").await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, work.next(true)).await.unwrap();
    assert!(matches!(ended, Err(WorkError::Gone { .. })), "under a running process too");
}

#[tokio::test]
async fn a_consumer_is_what_was_asked_for_or_is_made_so() {
    let (test, streams) = TestBroker::start_with_streams().await;
    Work::open(&test.broker, options(&streams, 2)).await.unwrap();
    Work::open(&test.broker, options(&streams, 5)).await.unwrap();
    let info = consumer(&test, &streams).await;
    assert_eq!((info.config.max_ack_pending, info.config.max_deliver), (10, -1));
}

/// A pause is the one way to make a consumer stall on purpose.
#[tokio::test]
async fn a_stalled_consumer_is_made_anew_behind_what_was_done() {
    let (test, streams) = TestBroker::start_with_streams().await;
    publish(&test, "erp", 3).await;
    let mut work = Work::open(&test.broker, options(&streams, 2)).await.unwrap();
    let (first, second) = (next(&mut work).await, next(&mut work).await);
    for task in [first, second] {
        assert_eq!(task.done().await, Settled::Confirmed);
    }
    let info = stored::stream_info(&test.broker, &streams.dispatch).await.unwrap();
    let hour = 3_600_000;
    let until = info.broker_time.unwrap().plus_millis(hour);
    let request = serde_json::json!({ "pause_until": until });
    let subject = format!("CONSUMER.PAUSE.{}.sink-erp", streams.dispatch);
    let paused: Response<serde_json::Value> = test.broker.context().request(subject, &request).await.unwrap();
    assert!(matches!(&paused, Response::Ok(answer) if answer["paused"] == true), "{paused:?}");
    assert_eq!(
        next(&mut work).await.stream_sequence,
        StreamSequence(3),
        "and what was done does not come again"
    );
}
