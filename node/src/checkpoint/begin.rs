//! What a starting node begins with: its own newest checkpoint, else the state of a node that runs, else a checkpoint of
//! the object store, else nothing, where the streams still have everything.
//!
//! A checkpoint that is damaged, of another life or of another format is counted, said, left where it is, and the next way
//! is tried. One that needs newer rules is not: whatever else could be loaded leads to the same entry.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use pannier_core::checkpoint::{LoadError, Loaded};
use pannier_protocol::StreamSequence;
use pannier_protocol::peer::CheckpointRequest;
use pannier_streams::{Broker, Streams};
use tokio::time::timeout;

use super::folder::{Folder, Name};
use super::peers::{Peers, PeersError};
use super::read::{ReadError, Reading};
use super::shelf;
use super::standing::Kept;
use crate::app::App;
use crate::limits::CHECKPOINT_SHELF_WAIT_MAX;
use crate::metrics::OfReason;
use crate::progress::{Load, LoadSource, Positions};
use crate::shutdown::Tasks;

pub(crate) struct Beginner {
    app: Arc<App>,
    tasks: Tasks,
    /// The first entries that the streams still have; 0 or 1 is genesis.
    first: Positions,
    wanted: CheckpointRequest,
    /// What was of no use, in sentences.
    tried: Vec<String>,
}

/// What the tables are made of before the streams are followed.
pub(crate) enum Beginning {
    /// Nothing: the streams have it all.
    Genesis,
    /// Of this node's own folder.
    Own(Box<Loaded>),
    Others(Box<Loaded>),
}

/// Why a node cannot have tables. It stays up and says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("checkpoint {name} cannot be used: {error}")]
    NeedsNewer { name: String, error: LoadError },
    #[error(
        "there is nothing to start from: {tried}, and the ledger begins at {ledger} and the catalog at {catalog}, \
         not at their first entries; copy a checkpoint of another node into checkpoint.folder, or restore the \
         streams, and start this node again", ledger = first.ledger, catalog = first.catalog
    )]
    NothingLeft { tried: String, first: Positions },
    #[error("the node was told to stop")]
    Stopped,
}

impl Beginner {
    /// Only with a state of the ledger before `before`.
    pub(crate) fn new(
        app: Arc<App>,
        tasks: Tasks,
        streams: &Streams,
        first: Positions,
        before: Option<StreamSequence>,
    ) -> Self {
        let wanted = CheckpointRequest {
            incarnation: streams.incarnation.clone(),
            ledger_first: first.ledger,
            catalog_first: first.catalog,
            ledger_before: before,
        };
        Self { app, tasks, first, wanted, tried: Vec::new() }
    }

    /// Reads on a thread of its own; the progress says how far it is.
    pub(crate) async fn begin(self, broker: &Broker, streams: &Streams) -> Result<Beginning, BeginError> {
        let (mut this, of_disk) = self.blocking(Self::of_disk).await;
        if let Some(loaded) = of_disk? {
            this.app.checkpoints.set(Kept::of(&loaded.head), &this.app.metrics);
            this.app.checkpoints.covered(loaded.head.clock);
            return Ok(Beginning::Own(Box::new(loaded)));
        }
        let of_peers;
        (this, of_peers) = this.of_peers(broker, streams).await;
        if let Some(loaded) = of_peers? {
            this.app.checkpoints.covered(loaded.head.clock);
            return Ok(Beginning::Others(Box::new(loaded)));
        }
        let of_store;
        (this, of_store) = this.of_store(broker, streams).await;
        if let Some(loaded) = of_store? {
            this.app.checkpoints.covered(loaded.head.clock);
            return Ok(Beginning::Others(Box::new(loaded)));
        }
        let Positions { ledger, catalog } = this.first;
        if ledger.0 > 1 || catalog.0 > 1 {
            return Err(BeginError::NothingLeft { tried: this.tried.join("; "), first: this.first });
        }
        tracing::info!("no checkpoint: starting from the first entries of the streams");
        this.app.progress.loading(Load::new(LoadSource::Log, String::new()));
        Ok(Beginning::Genesis)
    }

    /// The newest of the folder that can be used.
    fn of_disk(&mut self) -> Result<Option<Loaded>, BeginError> {
        let Some(folder) = Folder::of(&self.app.config.checkpoint) else {
            self.tried.push("checkpoint.folder is not set".to_owned());
            return Ok(None);
        };
        let names =
            folder.open().and_then(|()| folder.list(&self.wanted.incarnation)).unwrap_or_else(|error| {
                self.refused("disk", error.to_string());
                Vec::new()
            });
        let is_before = |name: &Name| self.wanted.ledger_before.is_none_or(|before| name.ledger < before);
        let names: Vec<Name> = names.into_iter().filter(is_before).collect();
        if names.is_empty() && self.tried.is_empty() {
            self.tried.push("checkpoint.folder has no checkpoint".to_owned());
        }
        for name in names {
            let read = File::open(folder.file(&name)).map_err(ReadError::from).and_then(|mut file| {
                let mut load = Load::new(LoadSource::Disk, name.to_string());
                load.bytes_total = Some(file.metadata()?.len());
                self.reading(load).read(&mut file)
            });
            if let Some(loaded) = self.judge(&name.to_string(), read)? {
                return Ok(Some(loaded));
            }
        }
        Ok(None)
    }

    /// Of the first node that gives it whole.
    async fn of_peers(
        self,
        broker: &Broker,
        streams: &Streams,
    ) -> (Self, Result<Option<Loaded>, BeginError>) {
        let mut this = self;
        let mut peers = match Peers::find(&this.app, broker, streams).await {
            Ok(peers) => peers,
            Err(PeersError::Off) => {
                this.tried.push("quic.authority is not set, so no other node is asked".to_owned());
                return (this, Ok(None));
            }
            Err(error) => {
                this.refused("peers", error.to_string());
                return (this, Ok(None));
            }
        };
        if peers.is_empty() {
            this.tried.push("no other node is ready that gives its state".to_owned());
        }
        let stop = this.tasks.token();
        while let Some((node, taking)) = stop.run_until_cancelled(peers.next(&this.wanted)).await.flatten() {
            let given = match taking {
                Ok(given) => given,
                Err(error) => {
                    this.refused("peer", format!("{node}: {error}"));
                    continue;
                }
            };
            let name = format!("{} of {node}", given.name());
            let mut load = Load::new(LoadSource::Peer, name);
            load.bytes_total = given.bytes_total();
            let outcome;
            (this, outcome) = this.read(load, given).await;
            match outcome {
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => return (this, outcome),
            }
        }
        let outcome = if this.tasks.is_stopping() { Err(BeginError::Stopped) } else { Ok(None) };
        (this, outcome)
    }

    /// The newest of the object store that can be used.
    async fn of_store(
        self,
        broker: &Broker,
        streams: &Streams,
    ) -> (Self, Result<Option<Loaded>, BeginError>) {
        let mut this = self;
        let stop = this.tasks.token();
        let listing = timeout(CHECKPOINT_SHELF_WAIT_MAX, shelf::listed(broker, streams));
        let Some(listed) = stop.run_until_cancelled(listing).await else {
            return (this, Err(BeginError::Stopped));
        };
        let (shelf, there) = match listed {
            Ok(Ok(listed)) => listed,
            Ok(Err(error)) => {
                this.refused("store", error.to_string());
                return (this, Ok(None));
            }
            Err(_) => {
                this.refused("store", "the object store does not say what it has".to_owned());
                return (this, Ok(None));
            }
        };
        if there.is_empty() {
            this.tried.push("the object store has no checkpoint".to_owned());
        }
        let before = this.wanted.ledger_before;
        for (_, shelved) in there.into_iter().filter(|(name, _)| before.is_none_or(|it| name.ledger < it)) {
            let taken = match timeout(CHECKPOINT_SHELF_WAIT_MAX, shelf.take(&shelved.name)).await {
                Ok(Ok(taken)) => shelf::Taking::new(taken),
                Ok(Err(error)) => {
                    this.refused("store", error.to_string());
                    continue;
                }
                Err(_) => {
                    this.refused("store", format!("the object store does not give {}", shelved.name));
                    continue;
                }
            };
            let mut load = Load::new(LoadSource::Store, shelved.name.clone());
            load.bytes_total = Some(shelved.bytes);
            let outcome;
            (this, outcome) = this.read(load, taken).await;
            match outcome {
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => return (this, outcome),
            }
        }
        (this, Ok(None))
    }

    /// Reads one on a thread of its own.
    async fn read(
        self,
        load: Load,
        mut bytes: impl Read + Send + 'static,
    ) -> (Self, Result<Option<Loaded>, BeginError>) {
        let name = load.name.clone();
        let read = move |this: &mut Self| {
            let read = this.reading(load).read(&mut bytes);
            this.judge(&name, read)
        };
        self.blocking(read).await
    }

    fn reading(&self, load: Load) -> Reading<'_> {
        Reading { app: &self.app, tasks: &self.tasks, wanted: &self.wanted, load }
    }

    /// `None`: the next way is to be tried.
    fn judge(&mut self, name: &str, read: Result<Loaded, ReadError>) -> Result<Option<Loaded>, BeginError> {
        match read {
            Ok(loaded) => Ok(Some(loaded)),
            Err(ReadError::Stopped) => Err(BeginError::Stopped),
            Err(ReadError::Load(error @ LoadError::NewerRules { .. })) => {
                self.refused("newer_rules", format!("checkpoint {name}: {error}"));
                Err(BeginError::NeedsNewer { name: name.to_owned(), error })
            }
            Err(error) => {
                self.refused(error.reason(), format!("checkpoint {name}: {error}"));
                Ok(None)
            }
        }
    }

    fn refused(&mut self, reason: &'static str, what: String) {
        tracing::error!(reason, what, "a checkpoint is of no use, going on without it");
        self.app.metrics.checkpoints_refused.get_or_create(&OfReason { reason }).inc();
        self.tried.push(what);
    }

    async fn blocking<T: Send + 'static>(
        mut self,
        work: impl FnOnce(&mut Self) -> T + Send + 'static,
    ) -> (Self, T) {
        let working = tokio::task::spawn_blocking(move || {
            let outcome = work(&mut self);
            (self, outcome)
        });
        working.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
    }
}
