//! From the bytes of a checkpoint, wherever they come from, to tables.

use std::io::{self, Read};

use pannier_core::checkpoint::{Head, LoadError, Loaded, Loader};
use pannier_protocol::StreamSequence;
use pannier_protocol::peer::CheckpointRequest;

use super::folder::Name;
use crate::app::App;
use crate::clock::Moment;
use crate::limits::{CHECKPOINT_PROGRESS_INTERVAL, CHECKPOINT_READ_BYTES};
use crate::progress::{Load, Positions};
use crate::shutdown::Tasks;

/// Why one checkpoint is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("it cannot be read: {0}")]
    Bytes(#[from] io::Error),
    #[error("it ends at {stands} of the {stream}, which begins at {first}: what is between aged out")]
    AgedOut { stream: &'static str, stands: StreamSequence, first: StreamSequence },
    #[error("it holds entries that were lost and recovered since: it ends at {stands}, not before {before}")]
    Overtaken { stands: StreamSequence, before: StreamSequence },
    #[error("the node was told to stop")]
    Stopped,
}

impl ReadError {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Load(LoadError::NotACheckpoint) => "no_checkpoint",
            Self::Load(LoadError::OtherFormat { .. }) => "other_format",
            Self::Load(LoadError::NewerRules { .. }) => "newer_rules",
            Self::Load(LoadError::OtherIncarnation { .. }) => "other_incarnation",
            Self::Load(LoadError::Damaged { .. }) => "damaged",
            Self::Load(LoadError::Short { .. }) => "short",
            Self::Load(LoadError::OtherDigest { .. }) => "other_digest",
            Self::Bytes(_) => "unread",
            Self::AgedOut { .. } => "aged_out",
            Self::Overtaken { .. } => "overtaken",
            Self::Stopped => "stopped",
        }
    }
}

/// Reads for a node that starts. Blocks.
pub(super) struct Reading<'r> {
    pub(super) app: &'r App,
    pub(super) tasks: &'r Tasks,
    pub(super) wanted: &'r CheckpointRequest,
    /// Where the bytes come from; moved along.
    pub(super) load: Load,
}

impl Reading<'_> {
    /// The progress says how far it is.
    pub(super) fn read(mut self, bytes: &mut dyn Read) -> Result<Loaded, ReadError> {
        self.app.progress.loading(self.load.clone());
        let mut loader = Loader::new(self.wanted.incarnation.clone());
        let mut buffer = vec![0; CHECKPOINT_READ_BYTES];
        let (began, mut shown, mut checked) = (Moment::now(), Moment::now(), false);
        loop {
            let length = bytes.read(&mut buffer)?;
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
            let load = &mut self.load;
            load.advance(loader.rows(), length, began.elapsed());
            self.app.progress.loading(load.clone());
            if shown.elapsed() >= CHECKPOINT_PROGRESS_INTERVAL {
                shown = Moment::now();
                tracing::info!(
                    name = load.name,
                    rows = load.rows,
                    bytes = load.bytes,
                    left_s = load.seconds_left,
                    "loading"
                );
            }
        }
        let loaded = loader.finish()?;
        let took_ms = began.elapsed().as_millis();
        tracing::info!(name = self.load.name, source = ?self.load.source, rows = loaded.rows, bytes = self.load.bytes,
            took_ms, "checkpoint loaded");
        Ok(loaded)
    }

    /// Whether the streams go on where it ends. One that is ahead of them is the consumers' to find: the streams
    /// were rolled back then, and no older state is to hide it.
    fn check(&self, head: &Head) -> Result<(), ReadError> {
        let Positions { ledger, catalog } = stands(head);
        if self.wanted.is_met_by(ledger, catalog) {
            return Ok(());
        }
        for (stream, stands, first) in
            [("ledger", ledger, self.wanted.ledger_first), ("catalog", catalog, self.wanted.catalog_first)]
        {
            if first.0 > stands.0.saturating_add(1) {
                return Err(ReadError::AgedOut { stream, stands, first });
            }
        }
        let before = self.wanted.ledger_before.unwrap_or(ledger);
        Err(ReadError::Overtaken { stands: ledger, before })
    }
}

/// Where the streams are followed from.
fn stands(head: &Head) -> Positions {
    let Name { ledger, catalog, .. } = Name::of(head);
    Positions { ledger, catalog }
}
