//! Whether this process still is the one that may act.
//!
//! The claim on the event subject is the fence. A publish finds out by itself that somebody claimed since; an act on
//! the backend does not, so it is looked up before each. That alone would not be enough (a process can be paused
//! after the look), which is what the methods of [`super::once`] are for; it keeps the two from working at once.

use backon::{BackoffBuilder, ExponentialBuilder};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Epoch, StreamSequence};
use pannier_streams::{Broker, Streams, writer};

use crate::limits::{RETRY_DELAY_MAX, RETRY_DELAY_MIN};

#[derive(Debug, Clone)]
pub(super) struct Fence {
    pub(super) broker: Broker,
    pub(super) streams: Streams,
    pub(super) subject: Subject,
    pub(super) epoch: Epoch,
}

impl Fence {
    /// Who claimed the backend since; waits for a broker that does not answer, for acting meanwhile would be a guess.
    pub(super) async fn check(&self) -> Option<StreamSequence> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(RETRY_DELAY_MIN)
            .with_max_delay(RETRY_DELAY_MAX)
            .without_max_times()
            .with_jitter()
            .build();
        loop {
            match writer::fenced_by(&self.broker, &self.streams, &self.subject, &self.epoch).await {
                Ok(by) => return by,
                Err(error) => {
                    tracing::warn!(subject = %self.subject, %error, "cannot tell whether another process took over");
                    tokio::time::sleep(pauses.next().unwrap_or(RETRY_DELAY_MAX)).await;
                }
            }
        }
    }
}
