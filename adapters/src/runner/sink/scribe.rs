//! The one writer of what a backend says about orders.

use std::sync::Arc;

use backon::{BackoffBuilder, ExponentialBuilder};
use pannier_protocol::order::OrderEvent;
use pannier_protocol::{Change, StreamSequence};
use pannier_streams::writer::LostReason;
use pannier_streams::{Draft, Outcome, Writer};
use tokio::sync::Mutex;

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
pub struct Scribe(Arc<Mutex<Writer>>);

impl Scribe {
    pub(super) fn new(writer: Writer) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    /// Returns once the event is stored, however long the broker is away. Dropped before, it may or may not be.
    pub async fn record(&self, event: OrderEvent, traceparent: Option<String>) -> Result<(), RecordError> {
        let mut writer = self.0.lock().await;
        // What was dropped half way has the place before this one.
        let before = writer.settle().await;
        settled(&mut writer, before).await?;
        let draft = Draft {
            // The broker's own numbers never fall, whoever writes; no clock does that.
            position: writer.stream_sequence().0,
            sent_at: now(),
            traceparent,
            transaction: None,
            changes: vec![Change::Event(Box::new(event))],
        };
        let outcome = writer.publish(draft).await;
        settled(&mut writer, outcome).await
    }
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
