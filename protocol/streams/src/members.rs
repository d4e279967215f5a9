//! The members' bucket: a key a node, of which only the last value is kept. What is lost of it is said again
//! within a second.

use async_nats::jetstream::kv::{Operation, Store};
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};

use crate::config::Streams;
use crate::connect::Broker;

/// Why the members could not be read or written; all of it passes, or is the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    #[error("the bucket {bucket} cannot be opened: {reason}; `pannier init` creates it")]
    Open { bucket: String, reason: String },
    #[error("what a node says of itself was not taken: {reason}")]
    Say { reason: String },
    #[error("the members cannot be watched: {reason}")]
    Listen { reason: String },
}

/// What was heard of a node by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Said(String, Bytes),
    /// It stopped in order, or was not heard for so long that the brokers forgot it.
    Left(String),
}

pub struct Bucket(Store);

impl Bucket {
    pub async fn open(broker: &Broker, streams: &Streams) -> Result<Self, MembersError> {
        let store = broker.context().get_key_value(&streams.members).await;
        let open = |error: async_nats::jetstream::context::KeyValueError| MembersError::Open {
            bucket: streams.members.clone(),
            reason: error.to_string(),
        };
        store.map(Self).map_err(open)
    }

    pub async fn say(&self, name: &str, what: Bytes) -> Result<(), MembersError> {
        let said = self.0.put(name, what).await;
        said.map(drop).map_err(|error| MembersError::Say { reason: error.to_string() })
    }

    pub async fn leave(&self, name: &str) -> Result<(), MembersError> {
        let left = self.0.delete(name).await;
        left.map_err(|error| MembersError::Say { reason: error.to_string() })
    }

    /// What every node said last.
    pub async fn all(&self) -> Result<Vec<Bytes>, MembersError> {
        let listen = |reason: String| MembersError::Listen { reason };
        let mut names = self.0.keys().await.map_err(|error| listen(error.to_string()))?;
        let mut all = Vec::new();
        while let Some(name) = names.next().await {
            let name = name.map_err(|error| listen(error.to_string()))?;
            // It may have left meanwhile.
            all.extend(self.0.get(name).await.map_err(|error| listen(error.to_string()))?);
        }
        Ok(all)
    }

    /// First what is known of every node, then what they say.
    pub async fn listen(
        &self,
    ) -> Result<impl Stream<Item = Result<Heard, MembersError>> + Unpin, MembersError> {
        let listen = |reason: String| MembersError::Listen { reason };
        let watch = self.0.watch_with_history(">").await.map_err(|error| listen(error.to_string()))?;
        Ok(watch.map(move |entry| {
            let entry = entry.map_err(|error| listen(error.to_string()))?;
            Ok(match entry.operation {
                Operation::Put => Heard::Said(entry.key, entry.value),
                Operation::Delete | Operation::Purge => Heard::Left(entry.key),
            })
        }))
    }
}
