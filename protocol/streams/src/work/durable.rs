//! The broker's side of a work consumer: found, made, compared, made anew.

use async_nats::jetstream::consumer::{
    AckPolicy, Config, DeliverPolicy, Info, IntoConsumerConfig, PullConsumer, ReplayPolicy, pull,
};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use pannier_protocol::StreamSequence;

use crate::connect::Broker;

use super::{Begin, Options, WorkError};

pub(super) fn not_ready(options: &Options, error: &dyn std::error::Error) -> WorkError {
    let Options { stream, durable, .. } = options.clone();
    WorkError::NotReady { stream, durable, reason: error.to_string() }
}

fn config(options: &Options, after: StreamSequence) -> pull::Config {
    let ack_pending = options.in_flight_max.saturating_add(options.aside_max).saturating_mul(2);
    pull::Config {
        durable_name: Some(options.durable.clone()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after.0 + 1 },
        ack_policy: AckPolicy::Explicit,
        ack_wait: options.ack_wait,
        max_deliver: -1,
        filter_subject: options.filter.clone(),
        replay_policy: ReplayPolicy::Instant,
        max_ack_pending: i64::try_from(ack_pending).unwrap_or(i64::MAX),
        ..pull::Config::default()
    }
}

/// The fields that matter, by name; where it starts is its own affair once it exists.
fn essence(config: &Config) -> String {
    let Config { ack_policy, ack_wait, max_deliver, filter_subject, max_ack_pending, .. } = config;
    let deliveries = if *max_deliver <= 0 { "unlimited".to_owned() } else { max_deliver.to_string() };
    let narrowed = config.headers_only || !config.filter_subjects.is_empty();
    format!(
        "filter {filter_subject:?}, acknowledgement {ack_policy:?} within {ack_wait:?}, deliveries {deliveries}, at \
         most {max_ack_pending} out, narrowed {narrowed}"
    )
}

/// Makes the consumer where [`Begin`] allows it, and compares it with what it must be.
pub(super) async fn ensure(broker: &Broker, options: &Options) -> Result<(), WorkError> {
    let mut info = find(broker, options).await?;
    if info.is_none() {
        let after = match options.begin {
            Begin::First => StreamSequence(0),
            Begin::After(sequence) => sequence,
            Begin::Resume => {
                let Options { stream, durable, .. } = options.clone();
                return Err(WorkError::Gone { stream, durable });
            }
        };
        tracing::info!(durable = options.durable, %after, "creating the work consumer");
        info = Some(create(broker, options, after).await?);
    }
    let found = info.map(|info| essence(&info.config)).unwrap_or_default();
    let wanted = essence(&config(options, StreamSequence(0)).into_consumer_config());
    if found == wanted {
        return Ok(());
    }
    // What an upgrade or an operator's choice of bounds changes may be changed in place.
    let context = broker.context();
    let changed = context.create_consumer_on_stream(place(broker, options).await?, &options.stream).await;
    let found = changed.map(|made: PullConsumer| essence(&made.cached_info().config)).unwrap_or(found);
    if found == wanted {
        return Ok(());
    }
    let Options { stream, durable, .. } = options.clone();
    Err(WorkError::Differs { stream, durable, wanted, found })
}

/// The configuration wanted, starting where the existing consumer did.
async fn place(broker: &Broker, options: &Options) -> Result<pull::Config, WorkError> {
    let begun = find(broker, options).await?.map(|info| info.config.deliver_policy);
    let wanted = config(options, StreamSequence(0));
    Ok(pull::Config { deliver_policy: begun.unwrap_or(wanted.deliver_policy), ..wanted })
}

async fn create(broker: &Broker, options: &Options, after: StreamSequence) -> Result<Info, WorkError> {
    let wanted = config(options, after);
    let created = broker.context().create_consumer_on_stream(wanted, &options.stream).await;
    let created: PullConsumer = created.map_err(|error| not_ready(options, &error))?;
    Ok(created.cached_info().clone())
}

async fn find(broker: &Broker, options: &Options) -> Result<Option<Info>, WorkError> {
    let stream = broker.context().get_stream_no_info(&options.stream).await;
    let stream = stream.map_err(|error| not_ready(options, &error))?;
    match stream.consumer_info(&options.durable).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if matches!(error.kind(), ConsumerInfoErrorKind::NotFound) => Ok(None),
        Err(error) => Err(not_ready(options, &error)),
    }
}

/// Whether the consumer should have given something.
fn is_stalled(pending: u64, ack_pending: usize, ack_pending_max: i64) -> bool {
    pending > 0 && i64::try_from(ack_pending).unwrap_or(i64::MAX) < ack_pending_max
}

/// Makes a stalled consumer anew behind what was acknowledged without a hole: some of what was acknowledged
/// beyond it comes again. A crash in between leaves none, which the next start reports.
pub(super) async fn renew_stalled(broker: &Broker, options: &Options) -> Result<bool, WorkError> {
    let Some(info) = find(broker, options).await? else {
        ensure(broker, options).await?;
        return Ok(false);
    };
    if !is_stalled(info.num_pending, info.num_ack_pending, info.config.max_ack_pending) {
        return Ok(false);
    }
    let after = StreamSequence(info.ack_floor.stream_sequence.max(begun_after(&info.config)));
    tracing::warn!(durable = options.durable, pending = info.num_pending, %after, "stalled consumer; making it anew");
    let stream = broker.context().get_stream_no_info(&options.stream).await;
    let stream = stream.map_err(|error| not_ready(options, &error))?;
    stream.delete_consumer(&options.durable).await.map_err(|error| not_ready(options, &error))?;
    ensure(broker, &Options { begin: Begin::After(after), ..options.clone() }).await?;
    Ok(true)
}

fn begun_after(config: &Config) -> u64 {
    if let DeliverPolicy::ByStartSequence { start_sequence } = config.deliver_policy {
        start_sequence.saturating_sub(1)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_without_room_or_messages_is_not_stalled() {
        for (pending, ack_pending, max, stalled) in
            [(0, 0, 8, false), (3, 8, 8, false), (3, 7, 8, true), (1, 0, 8, true)]
        {
            assert_eq!(is_stalled(pending, ack_pending, max), stalled, "{pending} {ack_pending} {max}");
        }
    }
}
