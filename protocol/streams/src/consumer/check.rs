//! Whether a stream still is the one that was followed.

use pannier_protocol::StreamSequence;
use tokio::time::timeout;

use crate::connect::Broker;
use crate::limits::RESUBSCRIBE_DELAY;
use crate::stored::{ReadError, Stored, StreamInfo, message_at, stream_info};

use super::{Loss, Options, Position};

/// One look, as soon as the leader answers; it may be a deposed one.
pub(super) async fn check(
    broker: &Broker,
    options: &Options,
    position: Option<Position>,
) -> Result<StreamInfo, Loss> {
    let mut link = broker.link();
    loop {
        let found = match look(broker, options, position).await {
            Ok((info, found)) => return judge(options, position, info, found.as_ref()),
            Err(ReadError::NoStream { stream }) => return Err(Loss::Deleted { stream }),
            Err(error) => error,
        };
        // Nobody answers: an outage, not a loss. A connection that comes back is worth an early look.
        tracing::debug!(error = %found, "waiting for the stream's leader");
        let _ = timeout(RESUBSCRIBE_DELAY, link.changed()).await;
    }
}

async fn look(
    broker: &Broker,
    options: &Options,
    position: Option<Position>,
) -> Result<(StreamInfo, Option<Stored>), ReadError> {
    let found = match position {
        Some(Position { stream_sequence, .. }) => {
            message_at(broker, &options.stream, stream_sequence).await?
        }
        None => None,
    };
    Ok((stream_info(broker, &options.stream).await?, found))
}

fn judge(
    options: &Options,
    position: Option<Position>,
    info: StreamInfo,
    found: Option<&Stored>,
) -> Result<StreamInfo, Loss> {
    let stream = options.stream.clone();
    if info.incarnation().as_ref() != Some(&options.incarnation) {
        let wanted = options.incarnation.clone();
        return Err(Loss::OtherIncarnation { stream, wanted, found: info.incarnation() });
    }
    let applied = position.map_or(StreamSequence(0), |p| p.stream_sequence);
    if let (Some(position), Some(found)) = (position, found) {
        let same = found.digest() == position.digest;
        return if same { Ok(info) } else { Err(Loss::Diverged { stream, applied }) };
    }
    // Not found is judged by the stream's bounds: the broker answers the same for both sides.
    if info.last < applied {
        return Err(Loss::RolledBack { stream, applied, last: info.last });
    }
    if info.first.0 > applied.0 + 1 {
        return Err(Loss::AgedOut { stream, applied, first: info.first });
    }
    // Genesis, or the applied message was the last to age out: nothing is missing.
    if position.is_none() || info.first.0 == applied.0 + 1 {
        return Ok(info);
    }
    Err(Loss::Diverged { stream, applied })
}
