//! Reads the messages of a subject one after the other, as the stream's leader has them. For subjects with
//! few messages (policies, reviews): each is a request of its own, and nothing is left behind on the server
//! when the command is broken off.

use anyhow::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageErrorKind};
use pannier_streams::Broker;

/// Every message whose subject matches `subject` (wildcards allowed), in order.
pub(crate) async fn messages(
    broker: &Broker,
    stream: &str,
    subject: &str,
    mut take: impl FnMut(StreamMessage) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let handle = broker.context().get_stream_no_info(stream).await.context("name the stream")?;
    let mut from = 1;
    loop {
        match handle.get_first_raw_message_by_subject(subject, from).await {
            Ok(message) => {
                from = message.sequence + 1;
                take(message)?;
            }
            Err(error) if is_end(&error.kind()) => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("read {subject} of {stream}")),
        }
    }
}

fn is_end(kind: &RawMessageErrorKind) -> bool {
    matches!(kind, LastRawMessageErrorKind::NoMessageFound)
        || matches!(kind, LastRawMessageErrorKind::JetStream(cause)
            if cause.error_code() == async_nats::jetstream::ErrorCode::NO_MESSAGE_FOUND)
}
