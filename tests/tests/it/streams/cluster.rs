use pannier_protocol::StreamSequence;
use pannier_protocol::subject::Prefix;
use pannier_streams::consumer::{Consumer, Event, Options};
use pannier_streams::writer::{Kept, LostReason};
use pannier_streams::{Outcome, Streams, Writer};
use pannier_tests::TestCluster;

use super::writer::{chain, claim, draft, kept};

async fn start() -> (TestCluster, Streams) {
    let cluster = TestCluster::start().await;
    let streams = pannier_streams::init(&cluster.broker, &Prefix::default(), 3).await.unwrap();
    (cluster, streams)
}

async fn leader(cluster: &TestCluster, streams: &Streams) -> Option<usize> {
    let stream = cluster.broker.context().get_stream(&streams.ledger).await.ok()?;
    let name = stream.cached_info().cluster.as_ref()?.leader.clone()?;
    ["n1", "n2", "n3"].iter().position(|server| *server == name)
}

/// Trap: while a stream has no leader publishes are answered by nobody (503), or not at all, or are stored
/// without an answer.
#[tokio::test]
async fn the_death_of_a_leader_loses_and_doubles_nothing() {
    const MESSAGES: u64 = 40;
    let (mut cluster, streams) = start().await;
    let mut writer = claim(&cluster.broker, &streams).await.unwrap();
    let options =
        Options { stream: streams.ledger.clone(), incarnation: streams.incarnation.clone(), after: None };
    let (consumer, mut events) = Consumer::new(cluster.connect().await, options);
    tokio::spawn(consumer.run());
    let publishing = async {
        for position in 1..=MESSAGES {
            let mut outcome = writer.publish(draft(position)).await;
            while matches!(outcome, Outcome::Unsettled { .. }) {
                outcome = writer.settle().await;
            }
            assert!(matches!(outcome, Outcome::Stored(_)), "{position}: {outcome:?}");
        }
    };
    let mut sequences = Vec::new();
    let mut following = async || {
        while sequences.len() <= MESSAGES as usize {
            match events.recv().await.unwrap() {
                Event::Batch(batch) => sequences.extend(batch.iter().map(|d| d.stream_sequence.0)),
                Event::CaughtUp { .. } | Event::Interrupted { .. } => {}
                Event::Lost(loss) => panic!("{loss}"),
            }
        }
    };
    let led = leader(&cluster, &streams).await.unwrap();
    let killing = cluster.servers[led].kill();
    let all = async { tokio::join!(publishing, following(), killing) };
    tokio::time::timeout(std::time::Duration::from_secs(60), all).await.unwrap();
    assert!(sequences.iter().copied().eq(1..=MESSAGES + 1), "{sequences:?}");
}

/// Trap: in a cluster a publish that meets another one of the same subject, or of the same message id, in
/// flight is refused by codes of its own (10164, 10158).
#[tokio::test]
async fn publishes_that_meet_in_flight_are_settled() {
    let (cluster, streams) = start().await;
    let mut writer = claim(&cluster.broker, &streams).await.unwrap();
    let other = cluster.connect().await;
    for round in 0..5 {
        let token = Some(writer.token());
        let kept = Kept { token, ..kept(writer.epoch(), round) };
        let mut twin = Writer::resume(&other, &streams, chain(), kept).await.unwrap();
        // The same message of one writer by two connections is one message.
        let both = tokio::join!(writer.publish(draft(round)), twin.publish(draft(round)));
        let stored = Outcome::Stored(StreamSequence(round + 2));
        assert_eq!(both, (stored.clone(), stored));
    }
    let mut twin = Writer::resume(&other, &streams, chain(), kept(writer.epoch(), 5)).await.unwrap();
    let (a, b) = tokio::join!(writer.publish(draft(100)), twin.publish(draft(200)));
    let mut outcomes = [a, b];
    outcomes.sort_by_key(|outcome| matches!(outcome, Outcome::Lost(_)));
    let stored = Outcome::Stored(StreamSequence(7));
    assert_eq!(outcomes, [stored, Outcome::Lost(LostReason::Forked)], "of two messages one is stored");
}

/// Trap: a server in lame-duck mode keeps its clients for minutes unless they go.
#[tokio::test]
async fn a_client_leaves_a_server_that_is_about_to_stop() {
    let cluster = TestCluster::start().await;
    let before = cluster.broker.client().server_info().server_name;
    let at = ["n1", "n2", "n3"].iter().position(|name| *name == before).unwrap();
    let mut link = cluster.broker.link();
    let connects = link.borrow().connects;
    cluster.servers[at].signal("ldm").await.unwrap();
    let again = link.wait_for(|link| link.connected && link.connects > connects);
    tokio::time::timeout(std::time::Duration::from_secs(10), again).await.unwrap().unwrap();
    assert_ne!(cluster.broker.client().server_info().server_name, before);
}
