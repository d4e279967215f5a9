use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::stream::Config;
use bytes::Bytes;
use futures_util::FutureExt;
use pannier_protocol::change::{Change, Tick};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Encoding, Epoch, MarkId, SourceId, SourceSequence, StreamSequence, Timestamp, codec};
use pannier_streams::limits::REQUEST_TIMEOUT;
use pannier_streams::writer::{ClaimError, Kept, LostReason, ResumeError};
use pannier_streams::{Broker, Chain, Created, Draft, Outcome, Streams, Writer, create, stored};
use pannier_tests::TestBroker;

pub(super) fn chain() -> Chain {
    let source = SourceId::new("wms-1").unwrap();
    Chain { subject: Subject::Stock(source.clone()), source, encoding: Encoding::MessagePack }
}

/// As a process goes on that kept nothing but numbers.
pub(super) fn kept(epoch: &Epoch, acknowledged: u64) -> Kept<'_> {
    Kept { epoch, acknowledged: SourceSequence(acknowledged), token: None }
}

/// A message that differs from others in its position.
pub(super) fn draft(position: u64) -> Draft {
    let at = Timestamp::from_millis(1_790_000_000_000 + position as i64);
    let tick = Change::Tick(Tick { caught_up_to: at, subjects: Vec::new() });
    Draft { position, sent_at: at, traceparent: None, transaction: None, changes: vec![tick] }
}

pub(super) async fn claim(broker: &Broker, streams: &Streams) -> Result<Writer, ClaimError> {
    let instance = MarkId::new("test").unwrap();
    Writer::claim(broker, streams, chain(), &instance, Timestamp::from_millis(1_790_000_000_000)).await
}

async fn start() -> (TestBroker, Streams, Writer) {
    let (test, streams) = TestBroker::start_with_streams().await;
    let writer = claim(&test.broker, &streams).await.unwrap();
    (test, streams, writer)
}

async fn messages(test: &TestBroker, streams: &Streams) -> u64 {
    stored::stream_info(&test.broker, &streams.ledger).await.unwrap().messages
}

async fn change_ledger(test: &TestBroker, streams: &Streams, change: impl FnOnce(&mut Config)) {
    let stream = test.broker.context().get_stream(&streams.ledger).await.unwrap();
    let mut config = stream.cached_info().config.clone();
    change(&mut config);
    test.broker.context().update_stream(config).await.unwrap();
}

#[tokio::test]
async fn messages_are_numbered_and_typed() {
    let (test, streams, mut writer) = start().await;
    assert_eq!(writer.epoch().claim, StreamSequence(1));
    for sequence in 1..=3 {
        assert_eq!(writer.publish(draft(sequence)).await, Outcome::Stored(StreamSequence(sequence + 1)));
    }
    let subject = streams.prefix.full(writer.subject());
    let last = stored::last_message(&test.broker, &streams.ledger, &subject).await.unwrap().unwrap();
    assert_eq!(last.header("Content-Type"), Some("application/msgpack"));
    let envelope = codec::decode_envelope(Encoding::MessagePack, &last.payload).unwrap();
    assert_eq!((envelope.sequence, envelope.epoch.as_ref()), (SourceSequence(3), Some(writer.epoch())));
    let absent = streams.prefix.full(&Subject::Control);
    let lasts = stored::last_sequences(&test.broker, &streams.ledger, &[subject, absent]).await.unwrap();
    assert_eq!(lasts, [Some(StreamSequence(4)), None]);
}

#[tokio::test]
async fn a_later_claim_fences_the_writer_before() {
    let (test, streams, mut zombie) = start().await;
    let _ = zombie.publish(draft(1)).await;
    let mut heir = claim(&test.connect().await, &streams).await.unwrap();
    assert!(heir.epoch().claim > zombie.epoch().claim);
    assert_eq!(zombie.publish(draft(2)).await, Outcome::Fenced { by: StreamSequence(3) });
    assert_eq!(heir.publish(draft(2)).await, Outcome::Stored(StreamSequence(4)));
    assert_eq!(zombie.publish(draft(3)).await, Outcome::Fenced { by: heir.epoch().claim });
    assert_eq!(messages(&test, &streams).await, 4, "nothing of the zombie's is in the stream");
}

#[tokio::test]
pub(super) async fn claims_at_the_same_time_have_one_winner() {
    let (test, streams) = TestBroker::start_with_streams().await;
    let others = [test.connect().await, test.connect().await, test.connect().await];
    let [a, b, c] = &others;
    let claims = tokio::join!(claim(a, &streams), claim(b, &streams), claim(c, &streams));
    let mut writers = [claims.0.unwrap(), claims.1.unwrap(), claims.2.unwrap()];
    writers.sort_by_key(|writer| writer.epoch().claim);
    let [first, second, last] = &mut writers;
    assert!(matches!(first.publish(draft(1)).await, Outcome::Fenced { .. }));
    assert!(matches!(second.publish(draft(1)).await, Outcome::Fenced { .. }));
    assert!(matches!(last.publish(draft(1)).await, Outcome::Stored(_)));
}

/// Trap: a refused publish may be one's own, sent before the process was killed and stored after the next one had
/// looked. By the token that it kept with its messages it knows its own.
#[tokio::test]
async fn a_refusal_by_ones_own_message_is_success() {
    let (test, streams, mut killed) = start().await;
    let (epoch, token) = (killed.epoch().clone(), killed.token().clone());
    let kept = Kept { token: Some(&token), ..kept(&epoch, 0) };
    let mut writer = Writer::resume(&test.connect().await, &streams, chain(), kept).await.unwrap();
    assert_eq!(killed.publish(draft(1)).await, Outcome::Stored(StreamSequence(2)));
    assert_eq!(writer.publish(draft(1)).await, Outcome::Stored(StreamSequence(2)));
    assert_eq!(messages(&test, &streams).await, 2, "the claim and the message, once");
    assert_eq!(writer.publish(draft(2)).await, Outcome::Stored(StreamSequence(3)));
}

/// Trap: a publish that was given up is on its way all the same.
#[tokio::test]
async fn a_publish_given_up_half_way_is_settled_before_the_next() {
    let (test, streams, mut writer) = start().await;
    // Polled once: sent, and dropped before the acknowledgement can be there.
    assert_eq!(writer.publish(draft(1)).now_or_never(), None);
    assert!(matches!(writer.publish(draft(2)).await, Outcome::Unsettled { .. }), "not before it is settled");
    assert_eq!(writer.settle().await, Outcome::Stored(StreamSequence(2)));
    assert_eq!(writer.publish(draft(2)).await, Outcome::Stored(StreamSequence(3)));
    assert_eq!(messages(&test, &streams).await, 3);
}

/// Trap: a timeout means unknown. The broker stands still, so the first send times out, and it is taken
/// all the same when the broker goes on.
#[tokio::test]
async fn a_timeout_is_not_a_failure() {
    let (test, streams, mut writer) = start().await;
    test.signal("-STOP");
    let publishing = tokio::spawn(async move { (writer.publish(draft(1)).await, writer) });
    // Longer than the writer waits for one acknowledgement: that it runs out is what is tested.
    tokio::time::sleep(REQUEST_TIMEOUT + Duration::from_millis(300)).await;
    assert!(!publishing.is_finished());
    test.signal("-CONT");
    let (outcome, mut writer) = publishing.await.unwrap();
    assert_eq!(outcome, Outcome::Stored(StreamSequence(2)));
    assert_eq!(writer.publish(draft(2)).await, Outcome::Stored(StreamSequence(3)));
    assert_eq!(messages(&test, &streams).await, 3);
}

#[tokio::test]
async fn a_publish_outlives_a_restart_of_the_broker() {
    let (mut test, streams, mut writer) = start().await;
    test.server.kill().await;
    let publishing = tokio::spawn(async move { writer.publish(draft(1)).await });
    test.server.start_again().await.unwrap();
    assert_eq!(publishing.await.unwrap(), Outcome::Stored(StreamSequence(2)));
    assert_eq!(messages(&test, &streams).await, 2);
}

/// Trap: a publish without an expectation is accepted from anyone.
#[tokio::test]
async fn a_message_without_a_claim_is_noticed() {
    let (test, streams, mut writer) = start().await;
    let subject = streams.prefix.full(writer.subject());
    test.broker.context().publish(subject, Bytes::from_static(b"?")).await.unwrap().await.unwrap();
    assert_eq!(writer.publish(draft(1)).await, Outcome::Lost(LostReason::Foreign));
    let mut again = claim(&test.broker, &streams).await.unwrap();
    assert_eq!(again.publish(draft(1)).await, Outcome::Stored(StreamSequence(4)));
}

/// Trap: two processes on one saved state have one epoch; deduplication by (epoch, sequence) alone would
/// acknowledge the second's message and drop it.
#[tokio::test]
async fn two_writers_in_one_epoch_fork() {
    let (test, streams, mut writer) = start().await;
    let mut twin =
        Writer::resume(&test.connect().await, &streams, chain(), kept(writer.epoch(), 0)).await.unwrap();
    assert_eq!(writer.publish(draft(1)).await, Outcome::Stored(StreamSequence(2)));
    assert_eq!(twin.publish(draft(7)).await, Outcome::Lost(LostReason::Forked));
}

/// Trap: two commands that go on in one epoch may say the same in the same millisecond. Bytes do not tell whose
/// a message is: of two adjustments by one each, one would be lost in silence.
#[tokio::test]
async fn the_same_bytes_of_another_process_are_not_this_ones() {
    let (test, streams, writer) = start().await;
    let resume = async || {
        Writer::resume(&test.connect().await, &streams, chain(), kept(writer.epoch(), 0)).await.unwrap()
    };
    let (mut one, mut other) = (resume().await, resume().await);
    assert_eq!(one.publish(draft(1)).await, Outcome::Stored(StreamSequence(2)));
    assert_eq!(other.publish(draft(1)).await, Outcome::Lost(LostReason::Forked));
    assert_eq!(messages(&test, &streams).await, 2);
}

#[tokio::test]
async fn a_writer_resumes_where_it_was() {
    let (test, streams, mut writer) = start().await;
    let _ = writer.publish(draft(1)).await;
    let _ = writer.publish(draft(2)).await;
    let epoch = writer.epoch().clone();
    let resume = async |acknowledged| {
        Writer::resume(&test.broker, &streams, chain(), kept(&epoch, acknowledged)).await
    };
    // The process ended before it saw the acknowledgement of 2.
    let mut resumed = resume(1).await.unwrap();
    assert_eq!(resumed.sequence(), SourceSequence(2));
    assert_eq!(resumed.publish(draft(3)).await, Outcome::Stored(StreamSequence(4)));
    let error = resume(9).await.unwrap_err();
    assert!(matches!(error, ResumeError::Lost { reason: LostReason::Gone, .. }), "{error}");
    claim(&test.broker, &streams).await.unwrap();
    let error = resume(3).await.unwrap_err();
    assert!(matches!(error, ResumeError::Fenced { by: StreamSequence(5), .. }), "{error}");
}

/// Trap: a restored disk has forgotten acknowledged messages, and their sequences are given out again.
#[tokio::test]
async fn a_broker_that_lost_its_tail_is_noticed() {
    let (mut test, _, mut writer) = start().await;
    let _ = writer.publish(draft(1)).await;
    let (store, copy) = (test.folder.path().join("store"), test.folder.path().join("copy"));
    test.server.kill().await;
    copy_folder(&store, &copy);
    test.server.start_again().await.unwrap();
    assert_eq!(writer.publish(draft(2)).await, Outcome::Stored(StreamSequence(3)));
    test.server.kill().await;
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&copy, &store).unwrap();
    test.server.start_again().await.unwrap();
    assert_eq!(writer.publish(draft(3)).await, Outcome::Lost(LostReason::Gone));
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Trap: without a stream nobody answers (503), as in an election; afterwards the subject is empty.
#[tokio::test]
async fn a_recreated_stream_is_noticed() {
    let (test, streams, mut writer) = start().await;
    let context = test.broker.context();
    let config = context.get_stream(&streams.ledger).await.unwrap().cached_info().config.clone();
    context.delete_stream(&streams.ledger).await.unwrap();
    let (outcome, created) = tokio::join!(writer.publish(draft(1)), context.create_stream(config.clone()));
    created.unwrap();
    assert_eq!(outcome, Outcome::Lost(LostReason::Gone));
    context.delete_stream(&streams.ledger).await.unwrap();
    let metadata = [("pannier.incarnation".to_owned(), "another".to_owned())].into();
    context.create_stream(Config { metadata, ..config }).await.unwrap();
    let error = claim(&test.broker, &streams).await.unwrap_err();
    assert!(matches!(error, ClaimError::OtherIncarnation { .. }), "{error}");
}

#[tokio::test]
async fn what_can_never_be_stored_is_refused_at_once() {
    let (test, streams, mut writer) = start().await;
    let ticks = |count| std::iter::repeat_n(draft(1).changes.remove(0), count).collect();
    let large = Draft { changes: ticks(20_000), ..draft(1) };
    let outcome = writer.publish(large).await;
    assert!(matches!(&outcome, Outcome::Refused { reason } if reason.contains("split")), "{outcome:?}");
    change_ledger(&test, &streams, |config| config.max_message_size = 1_000).await;
    let large = Draft { changes: ticks(50), ..draft(1) };
    let outcome = writer.publish(large).await;
    assert!(matches!(&outcome, Outcome::Refused { reason } if reason.contains("10054")), "{outcome:?}");
    assert_eq!(
        writer.publish(draft(1)).await,
        Outcome::Stored(StreamSequence(2)),
        "the number is not used up"
    );
}

/// Trap: a full stream answers 10077, "store failed", as a broken disk does.
#[tokio::test]
async fn a_full_stream_is_waited_for() {
    let (test, streams, mut writer) = start().await;
    change_ledger(&test, &streams, |config| config.max_messages = 1).await;
    let mut publishing = tokio::spawn(async move { writer.publish(draft(1)).await });
    let early = tokio::time::timeout(Duration::from_millis(500), &mut publishing).await;
    assert!(early.is_err(), "{early:?}");
    change_ledger(&test, &streams, |config| config.max_messages = -1).await;
    assert_eq!(publishing.await.unwrap(), Outcome::Stored(StreamSequence(2)));
}

#[tokio::test]
async fn a_review_is_created_once() {
    let (test, streams) = TestBroker::start_with_streams().await;
    let subject = streams.prefix.review_entry("poison", "ledger-17-0");
    let publish = |text: &'static str| {
        let (broker, stream, subject) = (test.broker.clone(), streams.review.clone(), subject.clone());
        async move { create(&broker, &stream, &subject, Encoding::Json, Bytes::from(text)).await }
    };
    let (a, b, c) = tokio::join!(publish("{}"), publish("{}"), publish("[]"));
    let all = [a, b, c];
    assert_eq!(all.iter().filter(|c| matches!(c, Created::Stored(_))).count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|c| matches!(c, Created::Existed(_))).count(), 2, "{all:?}");
    assert_eq!(publish("later").await, Created::Existed(StreamSequence(1)));
    // Not even without the expectation: the stream itself holds to one a subject.
    let bare = test.broker.context().publish(subject.clone(), "bare".into()).await.unwrap().await;
    assert!(bare.is_err(), "{bare:?}");
}
