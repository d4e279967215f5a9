//! The half of the adapter that takes orders: the sink, and the looks at what became of them.

use pannier_streams::connect::{ConnectError, Options};
use pannier_streams::{Broker, ConfigError};
use tokio_util::sync::CancellationToken;

use super::super::config::TrytonConfig;
use super::super::rest::Rest;
use super::Orders;
use super::progress::{Progress, ProgressError, SeenError};
use crate::runner::sink::{Sink, SinkConfig, SinkError, SinkOpenError};

/// Why orders are not taken any more.
#[derive(Debug, thiserror::Error)]
pub enum OrdersError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Streams(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] SinkOpenError),
    #[error(transparent)]
    Seen(#[from] SeenError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Progress(#[from] ProgressError),
}

/// Takes orders until it is stopped or another process takes over; without a `backend` only waits for the stop.
pub(in super::super) async fn run(
    config: &TrytonConfig,
    rest: Rest,
    stop: CancellationToken,
) -> Result<(), OrdersError> {
    let Some(backend) = config.backend.clone() else {
        stop.cancelled().await;
        return Ok(());
    };
    let name = format!("pannier adapter tryton {backend}");
    let open = async {
        let broker = Broker::connect(&Options::new(config.nats.clone(), name)).await?;
        let streams = pannier_streams::open(&broker, &config.prefix).await?;
        let incarnation = streams.incarnation.clone();
        let sink_config = SinkConfig {
            backend,
            prefix: config.prefix.clone(),
            nats: config.nats.clone(),
            limits: config.orders.limits(),
            begin_after: None,
        };
        let orders = Orders::new(config, rest.clone());
        let again = orders.again.clone();
        let sink = Sink::open_on(&broker, streams, sink_config, orders).await?;
        let progress = Progress::open(config, rest.clone(), sink.scribe(), &incarnation, again)?;
        Ok::<_, OrdersError>((sink, progress))
    };
    let (sink, progress) = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        opened = open => opened?,
    };
    // Whichever ends with an error drops the other: both are of one claim.
    tokio::try_join!(async { Ok::<_, OrdersError>(sink.run(stop.clone()).await?) }, async {
        Ok::<_, OrdersError>(progress.run(stop.clone()).await?)
    },)?;
    Ok(())
}
