//! Up to when changes were seen, over a restart. Written after what they say is stored, and replaced as a whole.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use pannier_protocol::{Incarnation, Timestamp};
use serde::{Deserialize, Serialize};

/// Why the note could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum SeenError {
    #[error("cannot use {}: check that `state` is a folder that can be written", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is damaged; remove it, and all orders are looked at again", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// Another ledger was told nothing yet.
    incarnation: Incarnation,
    /// Of Tryton's clock.
    until: Timestamp,
}

#[derive(Debug)]
pub(super) struct Seen {
    path: PathBuf,
    incarnation: Incarnation,
    until: Option<Timestamp>,
}

impl Seen {
    pub(super) fn open(folder: &Path, incarnation: &Incarnation) -> Result<Self, SeenError> {
        let path = folder.join("progress.json");
        let io = |source| SeenError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let note: Option<Note> = match std::fs::read(&path) {
            Ok(bytes) => Some(
                serde_json::from_slice(&bytes)
                    .map_err(|source| SeenError::Read { path: path.clone(), source })?,
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(io(error)),
        };
        let until = note.filter(|note| note.incarnation == *incarnation).map(|note| note.until);
        Ok(Self { path, incarnation: incarnation.clone(), until })
    }

    pub(super) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// A clock that was set back does not lead back.
    pub(super) fn advance(&mut self, until: Timestamp) -> Result<(), SeenError> {
        if self.until.is_some_and(|before| before >= until) {
            return Ok(());
        }
        let note = Note { incarnation: self.incarnation.clone(), until };
        let io = |source| SeenError::Io { path: self.path.clone(), source };
        let bytes = serde_json::to_vec(&note).map_err(|error| io(error.into()))?;
        let aside = self.path.with_extension("part");
        replace(&self.path, &aside, &bytes).map_err(io)?;
        self.until = Some(until);
        Ok(())
    }
}

/// A file system may rename before it writes, and leaves a new name on an empty file when it is cut off then; so both the file
/// and its folder, where folders can be opened, are brought to the disk.
fn replace(path: &Path, aside: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(aside, path)?;
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_of_one_ledger_and_only_rises() {
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp::from_millis;
        let (one, two) = (Incarnation::new("aaaa").unwrap(), Incarnation::new("bbbb").unwrap());
        let state = folder.path().join("new");
        let mut seen = Seen::open(&state, &one).unwrap();
        assert_eq!(seen.until(), None);
        seen.advance(at(20)).unwrap();
        seen.advance(at(10)).unwrap();
        assert_eq!(Seen::open(&state, &one).unwrap().until(), Some(at(20)));
        assert_eq!(Seen::open(&state, &two).unwrap().until(), None);
        std::fs::write(state.join("progress.json"), "{").unwrap();
        assert!(Seen::open(&state, &one).unwrap_err().to_string().contains("damaged"));
    }
}
