//! Group commit against a real nats-server: what is told to submitters is what stands in the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use pannier_node::Node;
use pannier_node::orders::committer::Options;
use pannier_node::orders::{Committer, Fate, SubmitError, Ticket};
use pannier_protocol::codec::decode_envelope;
use pannier_protocol::order::{Command, KeyedBy, ReleaseHold};
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    AccountId, Change, Encoding, Fingerprint, HoldId, IdempotencyKey, SourceId, StreamSequence, Timestamp,
};
use pannier_streams::{Broker, Streams, stored};
use pannier_tests::TestBroker;
use tokio_util::sync::CancellationToken;

use super::{NOW, PATIENCE, Running, config};

/// A command that is told apart by its key.
fn command(key: &str, judge_before: Timestamp) -> Command {
    let (account, key) = (AccountId::new("C-1").unwrap(), IdempotencyKey::new(key).unwrap());
    let hold = HoldId::derive(&account, &key);
    let fingerprint = Fingerprint::of(&key);
    let keyed = KeyedBy { account, key, fingerprint, judge_before, traceparent: None };
    Command::ReleaseHold(ReleaseHold { hold, keyed })
}

fn in_time(key: &str) -> Command {
    command(key, NOW.plus_millis(30_000))
}

struct Committing {
    committer: Committer,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(broker: &Broker, streams: &Streams) -> Committing {
    let (broker, streams) = (broker.clone(), streams.clone());
    let node = SourceId::new("n1").unwrap();
    let (committer, commit) =
        Committer::new(Options { broker, streams, node, group_commands: 1_024, now: Box::new(|| NOW) });
    let stop = CancellationToken::new();
    let task = tokio::spawn(commit.run(stop.clone()));
    Committing { committer, stop, task }
}

impl Committing {
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Every command in the ledger: key to where it stands, each time that it does.
async fn in_ledger(broker: &Broker, streams: &Streams) -> BTreeMap<String, Vec<(StreamSequence, u32)>> {
    let last = stored::stream_info(broker, &streams.ledger).await.unwrap().last;
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for sequence in 1..=last.0 {
        let position = StreamSequence(sequence);
        let message = stored::message_at(broker, &streams.ledger, position).await.unwrap().unwrap();
        let envelope = decode_envelope(Encoding::MessagePack, &message.payload).unwrap();
        for (index, change) in (0..).zip(&envelope.changes) {
            if let Change::Command(command) = change {
                let key = command.keyed_by().unwrap().key.to_string();
                found.entry(key).or_default().push((position, index));
            }
        }
    }
    found
}

async fn stored_at(mut ticket: Ticket) -> (StreamSequence, u32) {
    let fate = ticket.fate(PATIENCE).await;
    let Fate::Stored { position, index } = fate else { panic!("{fate:?}") };
    (position, index)
}

#[tokio::test]
async fn commands_of_many_requests_share_a_message() {
    let (test, streams) = TestBroker::start_with_streams().await;
    let committing = start(&test.broker, &streams);
    let submitted =
        (0..200).map(|n| (format!("k{n}"), committing.committer.submit(in_time(&format!("k{n}"))).unwrap()));
    let submitted: Vec<_> = submitted.collect();
    let mut told = BTreeMap::new();
    for (key, ticket) in submitted {
        told.insert(key, vec![stored_at(ticket).await]);
    }
    assert_eq!(in_ledger(&test.broker, &streams).await, told, "each once, where its submitter was told");
    let messages = stored::stream_info(&test.broker, &streams.ledger).await.unwrap().messages;
    assert!(messages <= 20, "{messages} messages for 200 commands");
    committing.end().await;
}

/// The broker is killed with commands on their way, and comes back: what was told is what is there.
#[tokio::test]
async fn a_broker_that_dies_loses_and_doubles_nothing() {
    let (mut test, streams) = TestBroker::start_with_streams().await;
    let committing = start(&test.broker, &streams);
    stored_at(committing.committer.submit(in_time("before")).unwrap()).await;
    test.server.kill().await;
    let mut waiting = Vec::new();
    for n in 0..20 {
        waiting.push((format!("k{n}"), committing.committer.submit(in_time(&format!("k{n}"))).unwrap()));
    }
    // The first group is on its way when its submitter gives up waiting, and nobody may say that it failed.
    let mut early = committing.committer.submit(in_time("early")).unwrap();
    let early_fate = early.fate(Duration::from_millis(200)).await;
    assert!(matches!(early_fate, Fate::Unknown | Fate::NotHandedOver), "{early_fate:?}");
    test.server.start_again().await.unwrap();
    let mut told = BTreeMap::new();
    for (key, ticket) in waiting {
        told.insert(key, stored_at(ticket).await);
    }
    let mut found = in_ledger(&test.broker, &streams).await;
    assert!(found.values().all(|places| places.len() == 1), "{found:?}");
    assert!(found.remove("before").is_some());
    let early_is_there = found.remove("early").is_some();
    assert_eq!(early_is_there, early_fate == Fate::Unknown, "withdrawn is never stored");
    let found: BTreeMap<_, _> = found.into_iter().map(|(key, mut places)| (key, places.remove(0))).collect();
    assert_eq!(found, told);
    committing.end().await;
}

#[tokio::test]
async fn who_takes_the_subject_leaves_nothing_in_doubt() {
    let (test, streams) = TestBroker::start_with_streams().await;
    let (old, new) = (start(&test.broker, &streams), start(&test.connect().await, &streams));
    stored_at(old.committer.submit(in_time("a")).unwrap()).await;
    let heir = stored_at(new.committer.submit(in_time("b")).unwrap()).await;
    let mut fenced = old.committer.submit(in_time("c")).unwrap();
    let fate = fenced.fate(PATIENCE).await;
    let Fate::Superseded { by } = fate else { panic!("{fate:?}") };
    assert!(by > heir.0);
    let found = in_ledger(&test.broker, &streams).await;
    assert_eq!(
        found.keys().map(String::as_str).collect::<Vec<_>>(),
        ["a", "b"],
        "not there before the claim, so nowhere"
    );
    stored_at(old.committer.submit(in_time("c")).unwrap()).await;
    old.end().await;
    new.end().await;
}

#[tokio::test]
async fn what_is_not_handed_over_is_never_stored() {
    let (test, streams) = TestBroker::start_with_streams().await;
    let (broker, node) = (test.broker.clone(), SourceId::new("n1").unwrap());
    let options =
        Options { broker, streams: streams.clone(), node, group_commands: 1_024, now: Box::new(|| NOW) };
    let (committer, commit) = Committer::new(options);
    let mut withdrawn = committer.submit(in_time("withdrawn")).unwrap();
    assert_eq!(withdrawn.fate(Duration::ZERO).await, Fate::NotHandedOver);
    drop(committer.submit(in_time("dropped")).unwrap());
    let mut late = committer.submit(command("late", NOW.plus_millis(-1))).unwrap();
    let kept = committer.submit(in_time("kept")).unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(commit.run(stop.clone()));
    let kept = stored_at(kept).await;
    assert_eq!(late.fate(PATIENCE).await, Fate::NotHandedOver, "it could only be judged expired");
    assert_eq!(in_ledger(&test.broker, &streams).await, BTreeMap::from([("kept".to_owned(), vec![kept])]));
    stop.cancel();
    task.await.unwrap();
    assert_eq!(committer.submit(in_time("after")).unwrap_err(), SubmitError::Unavailable);
}

#[tokio::test]
async fn a_node_that_is_started_again_claims_again() {
    let Running { test, streams, node, .. } =
        Running::start_with(|config| config.node.name = "east-1".to_owned()).await;
    let far = || NOW.plus_millis(1_000_000_000_000);
    let submit = async |node: &Node, key: &str| {
        stored_at(node.handle().committer().unwrap().submit(command(key, far())).unwrap()).await
    };
    let first = submit(&node, "one").await;
    node.stop().await.unwrap();
    let mut config = config(&test.server.url());
    config.node.name = "east-1".to_owned();
    let again = Node::start(config).await.unwrap();
    assert!(again.handle().ready().await);
    let second = submit(&again, "two").await;
    assert_eq!(second.0.0, first.0.0 + 2, "a claim stands between them");
    let subject = streams.prefix.full(&Subject::Order(SourceId::new("east-1").unwrap()));
    let last = stored::last_message(&test.broker, &streams.ledger, &subject).await.unwrap().unwrap();
    let envelope = decode_envelope(Encoding::MessagePack, &last.payload).unwrap();
    assert_eq!(envelope.epoch.unwrap().claim.0, first.0.0 + 1);
    again.stop().await.unwrap();
}
