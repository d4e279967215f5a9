//! What the leader says of the two streams: where they end, and what time it is.

use pannier_streams::stored::{ReadError, StreamInfo, stream_info};
use pannier_streams::{Broker, Streams};

use crate::clock::Clock;
use crate::progress::Positions;

pub(crate) struct Leader {
    broker: Broker,
    streams: Streams,
}

impl Leader {
    pub(crate) fn new(broker: Broker, streams: Streams) -> Self {
        Self { broker, streams }
    }

    /// Where both streams end. Lets `clock` learn from when the answers came.
    pub(crate) async fn ends(&self, clock: &Clock) -> Result<Positions, ReadError> {
        let ledger = self.info(&self.streams.ledger, clock).await?;
        let catalog = self.info(&self.streams.catalog, clock).await?;
        Ok(Positions { ledger: ledger.last, catalog: catalog.last })
    }

    async fn info(&self, stream: &str, clock: &Clock) -> Result<StreamInfo, ReadError> {
        let asked = Clock::machine_now();
        let info = stream_info(&self.broker, stream).await?;
        if let Some(time) = info.broker_time {
            clock.measured(asked, time, Clock::machine_now());
        }
        Ok(info)
    }
}
