//! Live questions of nodes to this source: what it has of one key right now (policy `ask`).
//!
//! An answer is for the one who asked. It goes past the store and the chains, so it is never a way to publish: what is
//! learnt while answering is submitted as anything else.

use async_nats::{HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use pannier_protocol::ask::{Asked, LiveRows, Question as Wire, Reply, Says};
use pannier_protocol::limits::{ASK_VERSION, MESSAGE_BYTES_MAX};
use pannier_protocol::{Encoding, SourceId, codec};
use pannier_streams::Broker;
use tokio::time::Instant;

/// Where questions come in.
pub struct Questions {
    pub(super) subscriber: Subscriber,
    pub(super) broker: Broker,
    pub(super) source: SourceId,
}

/// One question; dropped, it stays without an answer, and the node waits until its deadline.
pub struct Question {
    asked: Asked,
    until: Instant,
    reply: async_nats::Subject,
    broker: Broker,
    source: SourceId,
}

impl Questions {
    /// Waits for the next question. One that cannot be read is answered so, and passed over.
    pub async fn next(&mut self) -> Question {
        loop {
            let Some(message) = self.subscriber.next().await else { return std::future::pending().await };
            match self.question(&message) {
                Ok(question) => return question,
                Err(reason) => {
                    tracing::debug!(reason, "a live question cannot be read");
                    if let Some(reply) = message.reply {
                        send(&self.broker, reply, &self.source, Says::Nothing(reason)).await;
                    }
                }
            }
        }
    }

    fn question(&self, message: &Message) -> Result<Question, String> {
        let headers = message.headers.as_ref();
        let content_type =
            headers.and_then(|headers| headers.get("Content-Type")).map(|value| value.as_str());
        let wire = Encoding::of_content_type(content_type)
            .and_then(|encoding| Wire::decode(encoding, &message.payload))
            .map_err(|error| error.to_string())?;
        if wire.version != ASK_VERSION {
            return Err(format!("version {} is not {ASK_VERSION}; upgrade this adapter", wire.version));
        }
        let reply = message.reply.clone().ok_or("it names no subject for the reply")?;
        let until = Instant::now() + std::time::Duration::from_millis(wire.within_ms.into());
        let (broker, source) = (self.broker.clone(), self.source.clone());
        Ok(Question { asked: wire.about, until, reply, broker, source })
    }
}

impl Question {
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Nobody waits for an answer after it.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// All that the source has of what was asked. `read_at`: an instant in broker time, not before the question came.
    pub async fn answer(self, rows: LiveRows) {
        let says = match rows.changes.iter().find(|change| !self.asked.covers(change)) {
            Some(change) => {
                Says::Nothing(format!("the adapter found a {} that was not asked", change.kind()))
            }
            None => Says::Rows(rows),
        };
        send(&self.broker, self.reply, &self.source, says).await;
    }

    /// Says that there is no answer, so that the node does not wait for it.
    pub async fn decline(self, reason: &str) {
        send(&self.broker, self.reply, &self.source, Says::Nothing(reason.to_owned())).await;
    }
}

/// What cannot be sent is missed by a node as much as what is late.
async fn send(broker: &Broker, reply: async_nats::Subject, source: &SourceId, says: Says) {
    let encode = |says| codec::encode(Encoding::MessagePack, &Reply::new(source.clone(), says));
    let bytes = match encode(says) {
        Ok(bytes) if bytes.len() <= MESSAGE_BYTES_MAX => Ok(bytes),
        Ok(bytes) => encode(Says::Nothing(format!("{} bytes are no message", bytes.len()))),
        Err(error) => Err(error),
    };
    let mut headers = HeaderMap::new();
    headers.insert("Content-Type", Encoding::MessagePack.content_type());
    let sent = match bytes {
        Ok(bytes) => {
            let published = broker.client().publish_with_headers(reply, headers, Bytes::from(bytes)).await;
            published.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = sent {
        tracing::debug!(error, "a reply was not sent");
    }
}
