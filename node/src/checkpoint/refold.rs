//! Folds a stream once more, beside the tables that serve, when another node has other tables: whoever differs from its
//! own folding is the one that is wrong (a bit that flipped, a bug that depends on something else than the entries), and
//! the others go on. It begins with the newest checkpoint that another node has confirmed, for one that was written of
//! wrong tables would lead to them again, or at genesis.

use std::fs::File;
use std::sync::Arc;

use pannier_core::catalog::Catalog;
use pannier_core::entry::Effect;
use pannier_core::gate::GateMode;
use pannier_core::ledger::Ledger;
use pannier_protocol::StreamSequence;
use pannier_protocol::peer::CheckpointRequest;
use pannier_streams::consumer::{Consumer, Event, Options};
use pannier_streams::stored::stream_info;
use pannier_streams::{Broker, Streams};

use super::folder::Folder;
use super::read::Reading;
use crate::app::{App, Tables};
use crate::feed::{LastMessages, entry_of};
use crate::progress::{Load, LoadSource, StreamName};
use crate::shutdown::Tasks;

/// What is folded again, up to where.
#[derive(Clone)]
pub(crate) struct Refold {
    pub(crate) app: Arc<App>,
    pub(crate) tasks: Tasks,
    pub(crate) broker: Broker,
    pub(crate) streams: Streams,
    pub(crate) stream: StreamName,
    pub(crate) up_to: StreamSequence,
}

/// Where the folding begins.
struct Begun {
    /// For people.
    from: String,
    ledger: Ledger,
    catalog: Catalog,
    last: LastMessages,
}

/// Why it cannot be known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefoldError {
    #[error("no confirmed checkpoint is on disk, and the {stream} begins at {first}, not at its first entry")]
    NothingToBeginWith { stream: &'static str, first: StreamSequence },
    #[error("the stream cannot be followed: {reason}")]
    Stream { reason: String },
    #[error("the node was told to stop")]
    Stopped,
}

impl Refold {
    /// The digest of the stream's tables at that position, and what it was folded from.
    pub(crate) async fn run(self) -> Result<(u128, String), RefoldError> {
        let stream = match self.stream {
            StreamName::Ledger => self.streams.ledger.clone(),
            StreamName::Catalog => self.streams.catalog.clone(),
        };
        let info = stream_info(&self.broker, &stream).await;
        let first = info.map_err(|error| RefoldError::Stream { reason: error.to_string() })?.first;
        let this = self.clone();
        let begun = blocking(move || this.begin(first)).await?;
        let incarnation = self.streams.incarnation.clone();
        let options = Options { stream, incarnation, after: begun.last.after(self.stream) };
        let (consumer, mut events) = Consumer::new(self.broker.clone(), options);
        // Ends by itself once nobody listens.
        self.tasks.spawn("refold consumer", async move { drop(consumer.run().await) });
        blocking(move || {
            let Begun { from, mut ledger, mut catalog, .. } = begun;
            let mut at = StreamSequence(0);
            while at < self.up_to {
                let event = events.blocking_recv().filter(|_| !self.tasks.is_stopping());
                match event.ok_or(RefoldError::Stopped)? {
                    Event::Batch(deliveries) => {
                        for delivery in deliveries.iter().filter(|it| it.stream_sequence <= self.up_to) {
                            let Ok(entry) = entry_of(&self.app.config.nats.prefix, delivery) else {
                                continue;
                            };
                            let effects = match self.stream {
                                StreamName::Ledger => ledger.apply(&entry),
                                StreamName::Catalog => catalog.apply(&entry),
                            };
                            debug_assert!(!effects.iter().any(|it| matches!(it, Effect::Stop { .. })));
                        }
                        at = deliveries.last().map_or(at, |delivery| delivery.stream_sequence);
                    }
                    Event::CaughtUp { up_to } => at = at.max(up_to),
                    Event::Interrupted { .. } => {}
                    Event::Lost(loss) => return Err(RefoldError::Stream { reason: loss.to_string() }),
                }
            }
            let digest = match self.stream {
                StreamName::Ledger => ledger.digest(),
                StreamName::Catalog => catalog.digest(),
            };
            Ok((digest, from))
        })
        .await
    }

    /// Reads a checkpoint of the folder, or begins anew.
    fn begin(&self, first: StreamSequence) -> Result<Begun, RefoldError> {
        if let Some(begun) = self.of_disk() {
            return Ok(begun);
        }
        if first.0 > 1 {
            return Err(RefoldError::NothingToBeginWith { stream: self.stream.as_str(), first });
        }
        let (_, ledger, catalog) = Tables::build(self.streams.incarnation.clone(), GateMode::On);
        Ok(Begun { from: "its first entry".to_owned(), ledger, catalog, last: LastMessages::default() })
    }

    /// One that cannot be read is passed over: starting nodes count and say it.
    fn of_disk(&self) -> Option<Begun> {
        let incarnation = &self.streams.incarnation;
        let folder = Folder::of(&self.app.config.checkpoint)?;
        let agreed = self.app.checkpoints.agreed_up_to();
        let names = folder.list(incarnation).ok()?.into_iter().filter(|name| {
            let stands = match self.stream {
                StreamName::Ledger => name.ledger,
                StreamName::Catalog => name.catalog,
            };
            let is_confirmed = name.ledger <= agreed.ledger && name.catalog <= agreed.catalog;
            name.incarnation == *incarnation && is_confirmed && stands <= self.up_to
        });
        let wanted = CheckpointRequest {
            incarnation: incarnation.clone(),
            ledger_first: StreamSequence(0),
            catalog_first: StreamSequence(0),
            ledger_before: None,
        };
        names.into_iter().find_map(|name| {
            let load = Load::new(LoadSource::Disk, name.to_string());
            let reading = Reading { app: &self.app, tasks: &self.tasks, wanted: &wanted, load };
            let loaded = reading.read(&mut File::open(folder.file(&name)).ok()?).ok()?;
            let last = LastMessages::of(&loaded.head);
            Some(Begun { from: name.to_string(), ledger: loaded.ledger, catalog: loaded.catalog, last })
        })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let working = tokio::task::spawn_blocking(work);
    working.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}
