//! The one writer of what a backend says about orders.

use std::sync::Arc;

use backon::{BackoffBuilder, ExponentialBuilder};
use pannier_protocol::codec::{decode_envelope, encode_envelope};
use pannier_protocol::order::OrderEvent;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding, Envelope, StreamSequence};
use pannier_streams::writer::LostReason;
use pannier_streams::{Draft, Outcome, Writer};
use tokio::sync::{Mutex, watch};

use super::SinkStatus;
use crate::limits::{RETRY_DELAY_MAX, RETRY_DELAY_MIN};
use crate::runner::now;

/// Why an event is not in the ledger.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecordError {
    #[error("another process claimed the backend at {by}; stop one of the two")]
    Fenced { by: StreamSequence },
    #[error("the ledger does not continue where this process left it ({reason:?}); start it again")]
    Lost { reason: LostReason },
    #[error("the ledger does not take the event: {reason}")]
    Refused { reason: String },
}

/// Records events on `ledger.event.<backend>`, one after the other; cheap to clone. Adapters that learn of
/// shipments say so through the same one, for a subject has one writer.
#[derive(Debug, Clone)]
pub struct Scribe {
    writer: Arc<Mutex<Writer>>,
    status: watch::Sender<SinkStatus>,
}

impl Scribe {
    pub(super) fn new(writer: Writer, status: watch::Sender<SinkStatus>) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), status }
    }

    /// Returns once the event is stored, however long the broker is away. Dropped before, it may or may not be.
    ///
    /// One that no node would take is not published: nodes would refuse all that comes after it on the subject too. It
    /// is told in the log, counted ([`SinkStatus::unsaid`]), and no error here, for the next order is as good as ever.
    pub async fn record(&self, event: OrderEvent, traceparent: Option<String>) -> Result<(), RecordError> {
        let mut writer = self.writer.lock().await;
        // What was dropped half way has the place before this one.
        let before = writer.settle().await;
        settled(&mut writer, before).await?;
        let (order, kind) = (*event.order(), event.kind());
        let draft = Draft {
            // The broker's own numbers never fall, whoever writes; no clock does that.
            position: writer.stream_sequence().0,
            sent_at: now(),
            traceparent,
            transaction: None,
            changes: vec![Change::Event(Box::new(event))],
        };
        if let Err(reason) = readable(&writer.envelope(draft.clone()), writer.subject()) {
            tracing::error!(%order, kind, reason, "nodes would refuse what is to be said of the order; it is not said");
            self.status.send_modify(|status| status.unsaid += 1);
            return Ok(());
        }
        let outcome = writer.publish(draft).await;
        settled(&mut writer, outcome).await
    }
}

/// Whether who reads the subject takes the message.
fn readable(envelope: &Envelope, subject: &Subject) -> Result<(), String> {
    let bytes = encode_envelope(Encoding::MessagePack, envelope).map_err(|error| error.to_string())?;
    let read = decode_envelope(Encoding::MessagePack, &bytes).map_err(|error| error.to_string())?;
    read.check(subject).map_err(|error| error.to_string())
}

async fn settled(writer: &mut Writer, mut outcome: Outcome) -> Result<(), RecordError> {
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(RETRY_DELAY_MIN)
        .with_max_delay(RETRY_DELAY_MAX)
        .without_max_times()
        .with_jitter()
        .build();
    loop {
        match outcome {
            Outcome::Stored(_) => return Ok(()),
            Outcome::Fenced { by } => return Err(RecordError::Fenced { by }),
            Outcome::Lost(reason) => return Err(RecordError::Lost { reason }),
            Outcome::Refused { reason } => return Err(RecordError::Refused { reason }),
            Outcome::Unsettled { reason } => {
                tracing::warn!(subject = %writer.subject(), reason, "event not settled; asking again");
                tokio::time::sleep(pauses.next().unwrap_or(RETRY_DELAY_MAX)).await;
                outcome = writer.settle().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pannier_protocol::limits::ORDER_LINES_MAX;
    use pannier_protocol::order::{LineProgress, OrderId, OrderProgressed};
    use pannier_protocol::{Decimal, Epoch, Incarnation, LineId, SourceId, SourceSequence};

    use super::*;

    fn checked(lines: Vec<(String, i64)>) -> Result<(), String> {
        let line = |(name, shipped): (String, i64)| LineProgress {
            line: LineId::new(&name).unwrap(),
            shipped: Some(Decimal::from_micros(shipped)),
            cancelled: None,
            returned: None,
            restocked: None,
            substituted_by: None,
        };
        let order = OrderId::parse("3m5h9q2k7c0000000000000001").unwrap();
        let lines = lines.into_iter().map(line).collect();
        let event = OrderProgressed { order, shipment: None, lines, reflected_from: Vec::new() };
        let changes = vec![Change::Event(Box::new(OrderEvent::Progressed(event)))];
        let (source, incarnation) = (SourceId::new("erp").unwrap(), Incarnation::new("aaaa").unwrap());
        let epoch = Some(Epoch { incarnation, claim: StreamSequence(1) });
        let envelope = Envelope::new(source.clone(), epoch, SourceSequence(1), 1, now(), changes);
        readable(&envelope, &Subject::Event(source))
    }

    #[test]
    fn what_nodes_would_refuse_is_known_before() {
        let many = |count: usize| (0..count).map(|at| (at.to_string(), 1)).collect();
        let named = |names: [&str; 2], shipped| names.map(|name| (name.to_owned(), shipped)).to_vec();
        for (lines, want) in [
            (many(ORDER_LINES_MAX), None),
            (named(["1", "2"], 0), None),
            (many(ORDER_LINES_MAX + 1), Some("500")),
            (named(["1", "1"], 0), Some("two lines have one name")),
            (named(["1", "2"], -1), Some("lines.shipped")),
        ] {
            let got = checked(lines);
            let fits = want.map_or(got.is_ok(), |want| got.as_ref().is_err_and(|text| text.contains(want)));
            assert!(fits, "{want:?}: {got:?}");
        }
    }
}
