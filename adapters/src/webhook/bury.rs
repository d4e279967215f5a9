//! Events that were given up, onto the review list: create-only under their id, and out of the store only then.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use pannier_protocol::Encoding;
use pannier_protocol::subject::Prefix;
use pannier_streams::connect::Options;
use pannier_streams::create::{Created, create};
use pannier_streams::{Broker, Streams};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::store::{Dead, Store};
use super::{WebhookError, blocking};
use crate::limits::RETRY_DELAY_MAX;

pub(super) struct Bury {
    pub(super) store: Arc<Store>,
    pub(super) nats: String,
    pub(super) prefix: Prefix,
    /// Of the receiver.
    pub(super) host: String,
    /// Something was given up.
    pub(super) given_up: Arc<Notify>,
}

impl Bury {
    /// Connects only once there is something: deliveries need no broker.
    pub(super) async fn run(self) -> Result<Infallible, WebhookError> {
        let mut connected = None;
        loop {
            let store = Arc::clone(&self.store);
            let Some((number, dead)) = blocking(move || store.next_dead()).await? else {
                self.given_up.notified().await;
                continue;
            };
            let (broker, streams) = match connected.take() {
                Some(connected) => connected,
                None => self.connect().await,
            };
            if self.publish(&broker, &streams, &dead).await {
                let store = Arc::clone(&self.store);
                blocking(move || store.reviewed(number)).await?;
            } else {
                sleep(RETRY_DELAY_MAX).await;
            }
            connected = Some((broker, streams));
        }
    }

    async fn connect(&self) -> (Broker, Streams) {
        loop {
            let options = Options::new(self.nats.clone(), "pannier adapter webhook".to_owned());
            let opened = async {
                let broker = Broker::connect(&options).await.map_err(|error| error.to_string())?;
                let streams = pannier_streams::open(&broker, &self.prefix).await;
                Ok::<_, String>((broker, streams.map_err(|error| error.to_string())?))
            };
            match opened.await {
                Ok(opened) => return opened,
                Err(error) => tracing::warn!(error, "the review list cannot be reached; trying again"),
            }
            sleep(RETRY_DELAY_MAX).await;
        }
    }

    /// Whether it needs no more attempts.
    async fn publish(&self, broker: &Broker, streams: &Streams, dead: &Dead) -> bool {
        let Dead { event, reason } = dead;
        let body: serde_json::Value = serde_json::from_str(&event.body).unwrap_or_default();
        let entry = json!({"kind": "webhook", "reason": reason, "receiver": self.host, "webhook_id": event.id,
                           "order": event.lane, "body": body});
        let subject = streams.prefix.review_entry("webhook", &event.id);
        let payload = Bytes::from(entry.to_string());
        match create(broker, &streams.review, &subject, Encoding::Json, payload).await {
            Created::Stored(_) | Created::Existed(_) => true,
            Created::Refused { reason } => {
                tracing::error!(
                    id = event.id,
                    reason,
                    "an event that was given up is refused by the review list"
                );
                true
            }
            Created::Unsettled { reason } => {
                tracing::warn!(id = event.id, reason, "review entry not stored yet");
                false
            }
        }
    }
}
