//! How far a clock is from the broker's, asked of a real server.

use std::time::SystemTime;

use pannier_protocol::Timestamp;
use pannier_streams::clock::broker_offset;
use pannier_tests::TestBroker;

/// This machine's clock, set `ahead` ms forward.
#[expect(clippy::disallowed_methods, reason = "the clock whose offset is measured")]
fn clock(ahead: i64) -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap()).plus_millis(ahead)
}

#[tokio::test]
async fn a_clock_that_is_off_is_noticed() {
    let (test, streams) = TestBroker::start_with_streams().await;
    for ahead in [0, 300_000, -7_200_000] {
        let offset = broker_offset(&test.broker, &streams.ledger, || clock(ahead)).await.unwrap();
        // The server runs on this machine: half of the longest round trip is all that it can be wrong by.
        assert!((offset + ahead).abs() <= 500, "{ahead}: {offset}");
    }
    let unknown = broker_offset(&test.broker, "NONE", || clock(0)).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no stream NONE");
    test.server.stop().await;
}
