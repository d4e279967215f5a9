use async_nats::jetstream::stream::Config;
use pannier_protocol::StreamSequence;
use pannier_protocol::subject::Prefix;
use pannier_streams::config::{self, ConfigError};
use pannier_streams::stored;
use pannier_tests::TestBroker;

#[tokio::test]
async fn init_creates_once_and_is_repeatable() {
    let (test, streams) = TestBroker::start_with_streams().await;
    let again = config::init(&test.broker, &Prefix::default(), 1).await.unwrap();
    assert_eq!(again, streams, "a second init changes nothing");
    assert_eq!(config::open(&test.broker, &Prefix::default()).await.unwrap(), streams);
    let info = stored::stream_info(&test.broker, &streams.ledger).await.unwrap();
    assert_eq!(info.incarnation().as_ref(), Some(&streams.incarnation));
    assert!(info.broker_time.is_some());
    let other = config::init(&test.broker, &Prefix::new("other").unwrap(), 1).await.unwrap();
    assert_ne!(other.incarnation, streams.incarnation, "each deployment has a life of its own");
}

#[tokio::test]
async fn a_node_creates_nothing() {
    let test = TestBroker::start().await;
    let error = config::open(&test.broker, &Prefix::default()).await.unwrap_err();
    assert!(matches!(&error, ConfigError::Missing { stream } if stream == "PNA_LEDGER"), "{error}");
    assert!(error.to_string().contains("pannier init"));
    assert!(test.broker.context().get_stream("PNA_LEDGER").await.is_err());
}

/// Changes one stream as an operator's tool would, and expects that `open` names the field.
async fn check_refused(stream: &str, field: &str, change: impl FnOnce(&mut Config)) {
    let (test, _) = TestBroker::start_with_streams().await;
    let mut config = test.broker.context().get_stream(stream).await.unwrap().cached_info().config.clone();
    change(&mut config);
    test.broker.context().update_stream(config).await.unwrap();
    let error = config::open(&test.broker, &Prefix::default()).await.unwrap_err();
    let ConfigError::Differs { stream: named, differences } = &error else { panic!("{error}") };
    assert_eq!((named.as_str(), differences[0].field.as_str()), (stream, field), "{error}");
}

#[tokio::test]
async fn a_changed_stream_is_refused() {
    check_refused("PNA_LEDGER", "max_age", |c| c.max_age = std::time::Duration::from_secs(3_600)).await;
    check_refused("PNA_LEDGER", "allow_direct", |c| c.allow_direct = true).await;
    check_refused("PNA_CATALOG", "discard", |c| {
        c.discard = async_nats::jetstream::stream::DiscardPolicy::Old;
    })
    .await;
    check_refused("PNA_DISPATCH", "max_age", |c| c.max_age = std::time::Duration::from_secs(3_600)).await;
    check_refused("PNA_HISTORY", "sources", |c| c.sources = None).await;
    check_refused("PNA_REVIEW", "subjects", |c| c.subjects.push("more.*".to_owned())).await;
}

#[tokio::test]
async fn a_ledger_made_anew_does_not_match_its_catalog() {
    let (test, streams) = TestBroker::start_with_streams().await;
    test.broker.context().delete_stream(&streams.ledger).await.unwrap();
    let other = Prefix::new("other").unwrap();
    config::init(&test.broker, &other, 1).await.unwrap();
    let mut config =
        test.broker.context().get_stream(other.stream("LEDGER")).await.unwrap().cached_info().config.clone();
    config.name = streams.ledger.clone();
    config.subjects = streams.prefix.ledger();
    test.broker.context().create_stream(config).await.unwrap();
    let error = config::open(&test.broker, &streams.prefix).await.unwrap_err();
    assert!(matches!(error, ConfigError::TwoIncarnations { .. }), "{error}");
}

/// Two streams came later than the others.
#[tokio::test]
async fn init_adds_what_a_deployment_lacks() {
    let (test, streams) = TestBroker::start_with_streams().await;
    for stream in [&streams.dispatch, &streams.history] {
        test.broker.context().delete_stream(stream).await.unwrap();
    }
    let error = config::open(&test.broker, &streams.prefix).await.unwrap_err();
    assert!(matches!(&error, ConfigError::Missing { stream } if *stream == streams.dispatch), "{error}");
    assert_eq!(config::init(&test.broker, &streams.prefix, 1).await.unwrap(), streams);
}

/// The broker copies them by itself, with the place in the ledger that they came from.
#[tokio::test]
async fn the_history_has_the_life_of_orders_and_nothing_else() {
    let (test, streams) = TestBroker::start_with_streams().await;
    let full = vec![7_u8; pannier_protocol::limits::MESSAGE_BYTES_MAX];
    for (subject, payload) in [
        ("ledger.stock.wms", vec![1]),
        ("ledger.order.n1", full.clone()),
        ("ledger.event.erp", vec![2]),
        ("ledger.control", vec![3]),
    ] {
        let subject = format!("pna.v1.{subject}");
        test.broker.context().publish(subject, payload.into()).await.unwrap().await.unwrap();
    }
    let arrived = async {
        while stored::stream_info(&test.broker, &streams.history).await.unwrap().messages < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), arrived).await.expect("copied in time");
    for (sequence, subject, origin) in
        [(1, "pna.v1.ledger.order.n1", 2), (2, "pna.v1.ledger.event.erp", 3), (3, "pna.v1.ledger.control", 4)]
    {
        let found = stored::message_at(&test.broker, &streams.history, StreamSequence(sequence)).await;
        let message = found.unwrap().unwrap();
        let source = message.header("Nats-Stream-Source").unwrap_or_default();
        let place = source.split(' ').nth(1).unwrap_or_default();
        assert_eq!((message.subject.as_str(), place), (subject, origin.to_string().as_str()), "{source}");
    }
}
