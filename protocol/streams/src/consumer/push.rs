//! One push consumer of the broker, and the checks on what it sends.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use async_nats::header::NATS_LAST_CONSUMER;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, push};
use async_nats::{Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use pannier_protocol::{Encoding, StreamSequence, Timestamp};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::connect::{Broker, Link};
use crate::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, CONSUMER_INACTIVE_MAX, HEARTBEAT, SILENCE_MAX};
use crate::stored::CONTENT_TYPE;

use super::{Delivery, Interruption, Options};

/// The header of a heartbeat while the consumer waits for an answer to its flow control.
const NATS_CONSUMER_STALLED: &str = "Nats-Consumer-Stalled";

/// Dropped it takes the interest away, and the broker removes the consumer by itself.
pub(super) struct Subscription {
    broker: Broker,
    subscriber: Subscriber,
    link: watch::Receiver<Link>,
    connects: u64,
    /// The consumer's own number of the last message received; dense from 1.
    consumer_sequence: u64,
    /// Messages that stood behind the last one received when it was sent.
    pending: u64,
}

/// What one wait brought.
#[derive(Default)]
pub(super) struct Received {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) broken: Option<Interruption>,
    /// To be answered when the deliveries are taken.
    pub(super) flow_control: Option<Subject>,
}

/// Where a message stands, from the subject on which it could be acknowledged.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    stream_sequence: StreamSequence,
    consumer_sequence: u64,
    stream_time: Timestamp,
    pending: u64,
}

/// Makes a consumer that begins behind `after`. It always names a start: "all" is not what is meant even
/// at the beginning of a stream.
pub(super) async fn subscribe(
    broker: &Broker,
    options: &Options,
    after: StreamSequence,
) -> Result<Subscription, String> {
    let link = broker.link();
    let connects = link.borrow().connects;
    let deliver_subject = broker.client().new_inbox();
    let subscriber = broker.client().subscribe(deliver_subject.clone()).await.map_err(|e| e.to_string())?;
    let config = push::Config {
        deliver_subject,
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after.0 + 1 },
        ack_policy: AckPolicy::None,
        replay_policy: ReplayPolicy::Instant,
        flow_control: true,
        idle_heartbeat: HEARTBEAT,
        inactive_threshold: CONSUMER_INACTIVE_MAX,
        num_replicas: 1,
        memory_storage: true,
        ..push::Config::default()
    };
    let created = broker.context().create_consumer_on_stream(config.clone(), &options.stream).await;
    let consumer = created.map_err(|error| error.to_string())?;
    let info = consumer.cached_info();
    let made = &info.config;
    let as_wanted = made.deliver_policy == config.deliver_policy
        && made.ack_policy == config.ack_policy
        && made.replay_policy == config.replay_policy
        && made.flow_control
        && made.idle_heartbeat == HEARTBEAT
        && !made.headers_only
        && made.filter_subject.is_empty()
        && made.filter_subjects.is_empty();
    if !as_wanted {
        return Err(format!("the server made another consumer than was asked for: {made:?}"));
    }
    let (broker, pending) = (broker.clone(), info.num_pending);
    Ok(Subscription { broker, subscriber, link, connects, consumer_sequence: 0, pending })
}

impl Subscription {
    /// Whether nothing stood behind the last message when it was sent.
    pub(super) fn is_drained(&self) -> bool {
        self.pending == 0
    }

    /// Waits for something, then takes what is there, up to the limits of a batch. Dropped before it is
    /// ready it has taken nothing.
    pub(super) async fn receive(&mut self, after: StreamSequence) -> Received {
        let first = tokio::select! {
            biased;
            () = reconnected(&mut self.link, self.connects) => return broken(Interruption::Reconnected),
            first = timeout(SILENCE_MAX, self.subscriber.next()) => first,
        };
        let first = match first {
            Ok(Some(message)) => message,
            Ok(None) => return broken(Interruption::Ended),
            Err(_) => return broken(Interruption::Silent),
        };
        let mut received = Received::default();
        let (mut after, mut bytes) = (after, 0);
        let mut next = Some(first);
        while let Some(message) = next {
            bytes += message.length;
            let interrupted = self.take(message, &mut after, &mut received);
            if interrupted.is_some() {
                received.broken = interrupted;
                break;
            }
            let full = received.deliveries.len() >= BATCH_MESSAGES_MAX || bytes >= BATCH_BYTES_MAX;
            if full || received.flow_control.is_some() {
                break;
            }
            next = ready(self.subscriber.next()).await.flatten();
        }
        received
    }

    /// Sorts one message in; says so where it shows that the subscription is broken.
    fn take(
        &mut self,
        message: Message,
        after: &mut StreamSequence,
        received: &mut Received,
    ) -> Option<Interruption> {
        match message.status {
            Some(StatusCode::IDLE_HEARTBEAT) => return self.take_control(message, received),
            Some(_) => return Some(Interruption::Ended),
            None => {}
        }
        let Some(place) = message.reply.as_ref().and_then(|reply| parse_place(reply)) else {
            return Some(Interruption::OutOfOrder);
        };
        if place.consumer_sequence != self.consumer_sequence + 1 {
            return Some(Interruption::Gap);
        }
        if place.stream_sequence <= *after {
            return Some(Interruption::OutOfOrder);
        }
        self.consumer_sequence = place.consumer_sequence;
        self.pending = place.pending;
        *after = place.stream_sequence;
        let content_type = message.headers.as_ref().and_then(|headers| headers.get(CONTENT_TYPE));
        received.deliveries.push(Delivery {
            subject: message.subject,
            stream_sequence: place.stream_sequence,
            stream_time: place.stream_time,
            encoding: Encoding::of_content_type(content_type.map(async_nats::HeaderValue::as_str)).ok(),
            payload: message.payload,
        });
        None
    }

    /// A heartbeat, which says what was sent last, or a request to confirm what came so far.
    fn take_control(&self, message: Message, received: &mut Received) -> Option<Interruption> {
        if message.reply.is_some() {
            received.flow_control = message.reply;
            return None;
        }
        let headers = message.headers?;
        if let Some(stalled) = headers.get(NATS_CONSUMER_STALLED) {
            received.flow_control = Some(Subject::from(stalled.as_str()));
        }
        let sent = headers.get(NATS_LAST_CONSUMER)?.as_str().parse::<u64>().ok()?;
        (sent != self.consumer_sequence).then_some(Interruption::Gap)
    }

    /// Lets the broker send on.
    pub(super) async fn answer(&self, flow_control: Option<Subject>) {
        let Some(subject) = flow_control else { return };
        // Where this fails the connection is gone, and the reconnect is noticed.
        if let Err(error) = self.broker.client().publish(subject, Bytes::new()).await {
            tracing::debug!(%error, "flow control was not answered");
        }
    }
}

fn broken(reason: Interruption) -> Received {
    Received { broken: Some(reason), ..Received::default() }
}

async fn reconnected(link: &mut watch::Receiver<Link>, connects: u64) {
    if link.wait_for(|link| link.connects != connects).await.is_err() {
        // The client is gone; silence ends the wait.
        std::future::pending::<()>().await;
    }
}

/// The future's value if it is there now. Without tokio's budget, which would end batches early; they are
/// bounded by their limits.
async fn ready<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(tokio::task::unconstrained(future));
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`; servers from
/// 2.15 on may put domain and account before the stream, and a token behind.
fn parse_place(reply: &str) -> Option<Place> {
    let rest = reply.strip_prefix("$JS.ACK.")?;
    let skipped = match rest.split('.').count() {
        7 => 3,
        9 | 10 => 5,
        _ => return None,
    };
    let mut numbers = rest.split('.').skip(skipped).map(|token| token.parse::<u64>().ok());
    let stream_sequence = StreamSequence(numbers.next()??);
    let consumer_sequence = numbers.next()??;
    let nanos = numbers.next()??;
    let stream_time = Timestamp::from_millis(i64::try_from(nanos / 1_000_000).ok()?);
    Some(Place { stream_sequence, consumer_sequence, stream_time, pending: numbers.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reply: &str, wanted: Option<(u64, u64, i64, u64)>) {
        let place = parse_place(reply)
            .map(|p| (p.stream_sequence.0, p.consumer_sequence, p.stream_time.millis(), p.pending));
        assert_eq!(place, wanted, "{reply}");
    }

    #[test]
    fn both_forms_of_ack_subjects_are_read() {
        let place = Some((81_240, 12, 1_790_000_000_123, 7));
        check("$JS.ACK.PNA_LEDGER.c1.1.81240.12.1790000000123456789.7", place);
        check("$JS.ACK._.hash.PNA_LEDGER.c1.1.81240.12.1790000000123456789.7", place);
        check("$JS.ACK.hub.hash.PNA_LEDGER.c1.1.81240.12.1790000000123456789.7.tok", place);
        for bad in ["", "_INBOX.x", "$JS.ACK.S.c.1.2.3.4", "$JS.ACK.S.c.1.x.12.1.7", "$JS.ACK.S.c.1.2.-1.4.5"]
        {
            check(bad, None);
        }
    }
}
