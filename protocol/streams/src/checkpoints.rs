//! The object store of checkpoints: a copy that outlives every node. A node that has nothing of its own and no other node
//! to ask starts from there.
//!
//! Its bucket forgets what nobody replaced for days, for two reasons: the pieces of an object whose writer died are named
//! by nothing, and a checkpoint that is older than the streams is of no use.

use std::pin::Pin;
use std::task::{Context, Poll};

use async_nats::jetstream::object_store::{Object, ObjectStore};
use futures_util::stream::StreamExt;
use pannier_protocol::Timestamp;
use tokio::io::{AsyncRead, ReadBuf};

use crate::config::Streams;
use crate::connect::Broker;

/// Why checkpoints could not be read there or put there; all of it passes, or is the operator's to mend.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {bucket}: {reason}; `pannier init` creates the bucket where it is missing")]
pub struct ShelfError {
    doing: &'static str,
    bucket: String,
    reason: String,
}

/// The bucket.
pub struct Shelf {
    store: ObjectStore,
    bucket: String,
}

/// A checkpoint that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    pub name: String,
    pub bytes: u64,
    /// By the clock of the node that put it there.
    pub at: Option<Timestamp>,
}

impl Shelf {
    pub async fn open(broker: &Broker, streams: &Streams) -> Result<Self, ShelfError> {
        let bucket = streams.checkpoints.clone();
        match broker.context().get_object_store(&bucket).await {
            Ok(store) => Ok(Self { store, bucket }),
            Err(error) => Err(ShelfError { doing: "open", bucket, reason: error.to_string() }),
        }
    }

    /// In no order.
    pub async fn list(&self) -> Result<Vec<Shelved>, ShelfError> {
        let mut listed = self.store.list().await.map_err(|error| self.failed("list", &error))?;
        let mut found = Vec::new();
        while let Some(info) = listed.next().await {
            let info = info.map_err(|error| self.failed("list", &error))?;
            let at = info.modified.and_then(|at| {
                let nanoseconds = at.unix_timestamp_nanos();
                Some(Timestamp::from_millis(i64::try_from(nanoseconds / 1_000_000).ok()?))
            });
            found.push(Shelved { name: info.name, bytes: info.size as u64, at });
        }
        Ok(found)
    }

    /// The bytes of one; the last read fails where they are not those that were put there.
    pub async fn take(&self, name: &str) -> Result<TakenDown, ShelfError> {
        self.store.get(name).await.map(TakenDown).map_err(|error| self.failed("read from", &error))
    }

    pub async fn put(&self, name: &str, bytes: &mut (impl AsyncRead + Unpin)) -> Result<(), ShelfError> {
        let put = self.store.put(name, bytes).await;
        put.map(drop).map_err(|error| self.failed("write to", &error))
    }

    pub async fn remove(&self, name: &str) -> Result<(), ShelfError> {
        self.store.delete(name).await.map_err(|error| self.failed("remove from", &error))
    }

    fn failed(&self, doing: &'static str, error: &dyn std::error::Error) -> ShelfError {
        ShelfError { doing, bucket: self.bucket.clone(), reason: error.to_string() }
    }
}

/// On its way from the brokers.
pub struct TakenDown(Object);

impl AsyncRead for TakenDown {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}
