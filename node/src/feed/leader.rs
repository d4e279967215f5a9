//! What the leader says of the two streams: where they end, and what time it is.

use pannier_protocol::Timestamp;
use pannier_streams::stored::{ReadError, StreamInfo, stream_info};
use pannier_streams::{Broker, Streams};

use crate::clock::{Clock, Moment};
use crate::progress::Positions;

pub(crate) struct Leader {
    broker: Broker,
    streams: Streams,
}

/// Where both streams end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) at: Positions,
    /// Where they begin: 1 is genesis, 0 where nothing was ever stored.
    pub(crate) first: Positions,
    /// When the ledger's first entry came, if it is its very first one.
    pub(crate) genesis: Option<Timestamp>,
    /// Before the question was sent.
    pub(crate) asked: Moment,
    /// One server has the streams: no deposed leader can have answered.
    pub(crate) is_certain: bool,
}

impl Leader {
    pub(crate) fn new(broker: Broker, streams: Streams) -> Self {
        Self { broker, streams }
    }

    /// Lets `clock` learn from when the answers came.
    pub(crate) async fn ends(&self, clock: &Clock) -> Result<Ends, ReadError> {
        let asked = Moment::now();
        let ledger = self.info(&self.streams.ledger, clock).await?;
        let catalog = self.info(&self.streams.catalog, clock).await?;
        let is_certain = [&ledger, &catalog].iter().all(|info| info.replicas() == Some(1));
        let at = Positions { ledger: ledger.last, catalog: catalog.last };
        let first = Positions { ledger: ledger.first, catalog: catalog.first };
        let genesis = ledger.first_time.filter(|_| ledger.first.0 == 1);
        Ok(Ends { at, first, genesis, asked, is_certain })
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
