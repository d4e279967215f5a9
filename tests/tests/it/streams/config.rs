use async_nats::jetstream::stream::Config;
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
