//! What a starting node begins with: the newest checkpoint that can be used, else nothing, where the streams still
//! have everything.
//!
//! A file that is damaged, of another life or of another format is counted, said, left where it is, and the next way
//! is tried. One that needs newer rules is not: whatever else could be loaded leads to the same entry.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use pannier_core::checkpoint::{Head, LoadError, Loaded, Loader};
use pannier_protocol::{Incarnation, StreamSequence};

use super::folder::{Folder, Name};
use super::standing::Kept;
use crate::app::App;
use crate::clock::Moment;
use crate::limits::{CHECKPOINT_PROGRESS_INTERVAL, CHECKPOINT_READ_BYTES};
use crate::metrics::OfReason;
use crate::progress::{Load, LoadSource, Positions};
use crate::shutdown::Tasks;

pub(crate) struct Beginner {
    pub(crate) app: Arc<App>,
    pub(crate) tasks: Tasks,
    pub(crate) incarnation: Incarnation,
    /// The first entries that the streams still have; 0 or 1 is genesis.
    pub(crate) first: Positions,
    /// Only files of the ledger before this entry.
    pub(crate) before: Option<StreamSequence>,
}

/// What the tables are made of before the streams are followed.
pub(crate) enum Beginning {
    /// Nothing: the streams have it all.
    Genesis,
    Checkpoint(Box<Loaded>),
}

/// Why a node cannot have tables. It stays up and says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("checkpoint {name} cannot be used: {error}")]
    NeedsNewer { name: Name, error: LoadError },
    #[error(
        "there is nothing to start from: {tried}, and the ledger begins at {ledger} and the catalog at {catalog}, \
         not at their first entries; copy a checkpoint of another node into checkpoint.folder, or restore the \
         streams, and start this node again", ledger = first.ledger, catalog = first.catalog
    )]
    NothingLeft { tried: String, first: Positions },
    #[error("the node was told to stop")]
    Stopped,
}

/// Why one file is of no use.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("it cannot be read: {0}")]
    File(#[from] io::Error),
    #[error("it ends at {stands} of the {stream}, which begins at {first}: what is between aged out")]
    AgedOut { stream: &'static str, stands: StreamSequence, first: StreamSequence },
    #[error("the node was told to stop")]
    Stopped,
}

impl ReadError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Load(LoadError::NotACheckpoint) => "no_checkpoint",
            Self::Load(LoadError::OtherFormat { .. }) => "other_format",
            Self::Load(LoadError::NewerRules { .. }) => "newer_rules",
            Self::Load(LoadError::OtherIncarnation { .. }) => "other_incarnation",
            Self::Load(LoadError::Damaged { .. }) => "damaged",
            Self::Load(LoadError::Short { .. }) => "short",
            Self::Load(LoadError::OtherDigest { .. }) => "other_digest",
            Self::File(_) => "disk",
            Self::AgedOut { .. } => "aged_out",
            Self::Stopped => "stopped",
        }
    }
}

/// Where the streams are followed from.
pub(crate) fn stands(head: &Head) -> Positions {
    let Name { ledger, catalog, .. } = Name::of(head);
    Positions { ledger, catalog }
}

impl Beginner {
    /// Reads on a thread of its own; the progress says how far it is.
    pub(crate) async fn begin(self) -> Result<Beginning, BeginError> {
        match tokio::task::spawn_blocking(move || self.choose()).await {
            Ok(begun) => begun,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    fn choose(&self) -> Result<Beginning, BeginError> {
        let mut tried = Vec::new();
        match Folder::of(&self.app.config.checkpoint) {
            Some(folder) => {
                if let Some(loaded) = self.of_disk(&folder, &mut tried)? {
                    self.app.checkpoints.set(Kept::of(&loaded.head), &self.app.metrics);
                    return Ok(Beginning::Checkpoint(Box::new(loaded)));
                }
            }
            None => tried.push("checkpoint.folder is not set".to_owned()),
        }
        let Positions { ledger, catalog } = self.first;
        if ledger.0 > 1 || catalog.0 > 1 {
            return Err(BeginError::NothingLeft { tried: tried.join("; "), first: self.first });
        }
        tracing::info!("no checkpoint: starting from the first entries of the streams");
        self.app.progress.loading(Load::new(LoadSource::Log, String::new()));
        Ok(Beginning::Genesis)
    }

    /// The newest that can be used.
    fn of_disk(&self, folder: &Folder, tried: &mut Vec<String>) -> Result<Option<Loaded>, BeginError> {
        let names = folder.open().and_then(|()| folder.list(&self.incarnation)).unwrap_or_else(|error| {
            self.refused("disk", &error.to_string(), tried);
            Vec::new()
        });
        let is_before = |name: &Name| self.before.is_none_or(|before| name.ledger < before);
        let names: Vec<Name> = names.into_iter().filter(is_before).collect();
        if names.is_empty() && tried.is_empty() {
            tried.push("checkpoint.folder has no checkpoint".to_owned());
        }
        for name in names {
            match self.read(folder, &name) {
                Ok(loaded) => return Ok(Some(loaded)),
                Err(ReadError::Stopped) => return Err(BeginError::Stopped),
                Err(ReadError::Load(error @ LoadError::NewerRules { .. })) => {
                    self.refused("newer_rules", &format!("checkpoint {name}: {error}"), tried);
                    return Err(BeginError::NeedsNewer { name, error });
                }
                Err(error) => self.refused(error.reason(), &format!("checkpoint {name}: {error}"), tried),
            }
        }
        Ok(None)
    }

    fn refused(&self, reason: &'static str, what: &str, tried: &mut Vec<String>) {
        tracing::error!(reason, what, "a checkpoint is of no use, going on without it");
        self.app.metrics.checkpoints_refused.get_or_create(&OfReason { reason }).inc();
        tried.push(what.to_owned());
    }

    fn read(&self, folder: &Folder, name: &Name) -> Result<Loaded, ReadError> {
        let (began, path) = (Moment::now(), folder.file(name));
        let loaded = self.read_file(&path, name)?;
        let (rows, took_ms) = (loaded.rows, began.elapsed().as_millis());
        tracing::info!(%name, rows, took_ms, "checkpoint loaded");
        Ok(loaded)
    }

    fn read_file(&self, path: &Path, name: &Name) -> Result<Loaded, ReadError> {
        let mut file = File::open(path)?;
        let mut load = Load::new(LoadSource::Disk, name.to_string());
        load.bytes_total = Some(file.metadata()?.len());
        self.app.progress.loading(load.clone());
        let mut loader = Loader::new(self.incarnation.clone());
        let mut buffer = vec![0; CHECKPOINT_READ_BYTES];
        let (began, mut shown, mut checked) = (Moment::now(), Moment::now(), false);
        loop {
            let length = file.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            if self.tasks.is_stopping() {
                return Err(ReadError::Stopped);
            }
            loader.push(&buffer[..length])?;
            if let Some(head) = loader.head().filter(|_| !checked) {
                self.check(head)?;
                checked = true;
            }
            load.advance(loader.rows(), length, began.elapsed());
            self.app.progress.loading(load.clone());
            if shown.elapsed() >= CHECKPOINT_PROGRESS_INTERVAL {
                shown = Moment::now();
                tracing::info!(%name, rows = load.rows, bytes = load.bytes, left_s = load.seconds_left, "loading");
            }
        }
        Ok(loader.finish()?)
    }

    /// Whether the streams go on where it ends. One that is ahead of them is the consumers' to find: the streams
    /// were rolled back then, and no older state is to hide it.
    fn check(&self, head: &Head) -> Result<(), ReadError> {
        let stands = stands(head);
        for (stream, stands, first) in
            [("ledger", stands.ledger, self.first.ledger), ("catalog", stands.catalog, self.first.catalog)]
        {
            if first.0 > stands.0.saturating_add(1) {
                return Err(ReadError::AgedOut { stream, stands, first });
            }
        }
        Ok(())
    }
}
