//! A checkpoint that is being written.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::folder::{FolderError, did};

/// Dropped before it is kept, it is removed.
pub(crate) struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
    bytes: u64,
    kept: bool,
}

impl Draft {
    pub(super) fn new(file: File, path: PathBuf, target: PathBuf) -> Self {
        Self { file, path, target, bytes: 0, kept: false }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FolderError> {
        self.bytes += bytes.len() as u64;
        did("write", &self.path, self.file.write_all(bytes))
    }

    /// Gives it its name, in the place of one that has it already; how many bytes it has.
    pub(crate) fn keep(mut self) -> Result<u64, FolderError> {
        did("sync", &self.path, self.file.sync_all())?;
        did("name", &self.target, fs::rename(&self.path, &self.target))?;
        self.kept = true;
        // Only now the name outlives a power cut.
        let folder = self.target.parent().unwrap_or(Path::new("."));
        did("sync", folder, File::open(folder).and_then(|folder| folder.sync_all()))?;
        Ok(self.bytes)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "an unfinished checkpoint stays");
        }
    }
}
