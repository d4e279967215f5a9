//! The watched folder: which files are there, which are complete, and where they go.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pannier_protocol::Timestamp;
use tokio::time::Instant;

use super::config::{Complete, FilesConfig};
use super::mapping::Mapping;
use super::row::Reject;
use crate::runner::at;

/// A file of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// Index of its mapping.
    pub(super) mapping: usize,
    pub(super) cut_text: Option<String>,
    pub(super) bytes: u64,
    pub(super) modified: Timestamp,
    /// Taken whatever its rejects and its age say: an operator approved it.
    pub(super) approved: bool,
}

/// What the folder does not let us do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: check that it exists and that its permissions allow it", path.display())]
pub struct FolderError {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn tried<T>(what: &'static str, path: &Path, result: io::Result<T>) -> Result<T, FolderError> {
    result.map_err(|source| FolderError { what, path: path.to_owned(), source })
}

/// The folder with what was seen in it at earlier looks.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Size, time of change, and since when they have been so.
    seen: HashMap<String, (u64, Timestamp, Instant)>,
}

const DONE: &str = "done";
const REJECTS: &str = "rejects";
const PARKED: &str = "parked";
const APPROVED: &str = ".approved";
const REASON: &str = ".reason";

impl Folder {
    /// Makes what is missing of it.
    pub(super) fn open(config: &FilesConfig) -> Result<Self, FolderError> {
        let root = config.folder.clone();
        for name in [DONE, REJECTS, PARKED] {
            let path = root.join(name);
            tried("make", &path, fs::create_dir_all(&path))?;
        }
        Ok(Self { root, seen: HashMap::new() })
    }

    /// All files of a mapping, approved ones first.
    pub(super) fn look(&mut self, mappings: &[Mapping]) -> Result<Vec<Found>, FolderError> {
        let mut found = self.list(&self.root.join(PARKED), mappings, true)?;
        found.retain(|file| self.approval(&file.name).exists());
        let here = self.list(&self.root, mappings, false)?;
        self.seen.retain(|name, _| here.iter().any(|file| file.name == *name));
        for file in &here {
            let state = (file.bytes, file.modified);
            let seen = self.seen.entry(file.name.clone()).or_insert((state.0, state.1, Instant::now()));
            if (seen.0, seen.1) != state {
                *seen = (state.0, state.1, Instant::now());
            }
        }
        found.extend(here);
        Ok(found)
    }

    fn list(&self, folder: &Path, mappings: &[Mapping], approved: bool) -> Result<Vec<Found>, FolderError> {
        let mut found = Vec::new();
        for entry in tried("read", folder, fs::read_dir(folder))? {
            let entry = tried("read", folder, entry)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let matched =
                mappings.iter().enumerate().find_map(|(at, of)| Some((at, of.pattern.matches(&name)?)));
            let Some((mapping, matched)) = matched else { continue };
            // A file that is renamed away while we look is not there.
            let Ok(metadata) = entry.metadata() else { continue };
            if !metadata.is_file() {
                continue;
            }
            found.push(Found {
                path: entry.path(),
                name,
                mapping,
                cut_text: matched.cut,
                bytes: metadata.len(),
                modified: metadata.modified().map(at).unwrap_or_default(),
                approved,
            });
        }
        Ok(found)
    }

    /// How long a file has been as it is.
    pub(super) fn unchanged_for(&self, file: &Found) -> Duration {
        self.seen.get(&file.name).map_or(Duration::ZERO, |(_, _, since)| since.elapsed())
    }

    /// Whether nothing outside of its content says that a file is still being written.
    pub(super) fn is_complete(&self, file: &Found, mapping: &Mapping) -> bool {
        match &mapping.complete {
            Complete::Rename | Complete::Trailer => true,
            Complete::Trigger { .. } => {
                file.approved || self.trigger(file, mapping).is_some_and(|path| path.exists())
            }
            Complete::Unchanged { for_ms } => {
                file.approved || self.unchanged_for(file) >= Duration::from_millis(*for_ms)
            }
        }
    }

    fn trigger(&self, file: &Found, mapping: &Mapping) -> Option<PathBuf> {
        let Complete::Trigger { file: pattern } = &mapping.complete else { return None };
        let stem = file.name.rsplit_once('.').map_or(file.name.as_str(), |(stem, _)| stem);
        Some(self.root.join(pattern.replace("{name}", &file.name).replace("{stem}", stem)))
    }

    fn approval(&self, name: &str) -> PathBuf {
        self.root.join(PARKED).join(format!("{name}{APPROVED}"))
    }

    /// Where a path stands below the folder: what notes call it.
    pub(super) fn place(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }

    pub(super) fn path(&self, place: &str) -> PathBuf {
        self.root.join(place)
    }

    /// The first `most` bytes of a file.
    pub(super) fn read(&self, file: &Found, most: u64) -> Result<Vec<u8>, FolderError> {
        let mut bytes = Vec::new();
        let read = fs::File::open(&file.path).and_then(|open| open.take(most).read_to_end(&mut bytes));
        tried("read", &file.path, read.map(|_| bytes))
    }

    /// A file that was taken, with its trigger or approval.
    pub(super) fn done(&self, path: &Path, file: Option<(&Found, &Mapping)>) -> Result<(), FolderError> {
        let target = free_name(&self.root.join(DONE), path);
        tried("move", path, fs::rename(path, &target))?;
        let Some((file, mapping)) = file else { return Ok(()) };
        let reason = self.root.join(PARKED).join(format!("{}{REASON}", file.name));
        let beside = [self.trigger(file, mapping), Some(self.approval(&file.name)), Some(reason)];
        for path in beside.into_iter().flatten().filter(|path| path.exists()) {
            tried("remove", &path, fs::remove_file(&path))?;
        }
        Ok(())
    }

    /// A file that is not trusted, with the reason beside it.
    pub(super) fn park(&self, file: &Found, mapping: &Mapping, reason: &str) -> Result<(), FolderError> {
        let target = self.root.join(PARKED).join(&file.name);
        let note = self.root.join(PARKED).join(format!("{}{REASON}", file.name));
        tried("write", &note, fs::write(&note, format!("{reason}\n")))?;
        tried("move", &file.path, fs::rename(&file.path, &target))?;
        let beside = [self.trigger(file, mapping), Some(self.approval(&file.name))];
        for path in beside.into_iter().flatten().filter(|path| path.exists()) {
            tried("remove", &path, fs::remove_file(&path))?;
        }
        Ok(())
    }

    /// The rejects of a file; those of an earlier try are replaced.
    pub(super) fn write_rejects(&self, name: &str, rejects: &[Reject]) -> Result<(), FolderError> {
        let path = self.root.join(REJECTS).join(format!("{name}.csv"));
        if rejects.is_empty() {
            let _ = fs::remove_file(&path);
            return Ok(());
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut rows = vec![["line".to_owned(), "column".into(), "reason".into(), "record".into()]];
        rows.extend(rejects.iter().map(|reject| {
            let Reject { line, column, reason, record } = reject.clone();
            [line.to_string(), column, reason, record]
        }));
        let written = rows.iter().try_for_each(|row| writer.write_record(row)).map_err(io::Error::from);
        tried("write", &path, written)?;
        let bytes = writer.into_inner().map_err(|error| io::Error::other(error.to_string()));
        tried("write", &path, bytes.and_then(|bytes| fs::write(&path, bytes)))
    }
}

/// A name in `folder` that is not taken: the file's own, else with a number behind.
fn free_name(folder: &Path, path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let numbered = (1_u64..).map(|number| folder.join(format!("{name}.{number}")));
    std::iter::once(folder.join(&name))
        .chain(numbered)
        .find(|path| !path.exists())
        .unwrap_or(folder.join(name))
}

/// What keeps a parked file from being approved.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    #[error("there is no parked file {name:?} in {}; it has: {}", folder.display(), parked.join(", "))]
    NotParked { name: String, folder: PathBuf, parked: Vec<String> },
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Lets a running adapter take a parked file as it is: `pannier snapshot approve <name>`.
pub fn approve(config: &FilesConfig, name: &str) -> Result<(), ApproveError> {
    let folder = config.folder.join(PARKED);
    let mut parked = parked(config)?;
    if !parked.iter().any(|file| file.name == name) {
        let parked = parked.drain(..).map(|file| file.name).collect();
        return Err(ApproveError::NotParked { name: name.to_owned(), folder, parked });
    }
    let path = folder.join(format!("{name}{APPROVED}"));
    Ok(tried("write", &path, fs::write(&path, ""))?)
}

/// A file that waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedFile {
    pub name: String,
    /// One sentence.
    pub reason: String,
}

/// All files that wait for an operator, by name.
pub fn parked(config: &FilesConfig) -> Result<Vec<ParkedFile>, FolderError> {
    let folder = config.folder.join(PARKED);
    let mut files = Vec::new();
    for entry in tried("read", &folder, fs::read_dir(&folder))? {
        let entry = tried("read", &folder, entry)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(APPROVED) || name.ends_with(REASON) {
            continue;
        }
        let reason = fs::read_to_string(folder.join(format!("{name}{REASON}"))).unwrap_or_default();
        files.push(ParkedFile { name, reason: reason.trim().to_owned() });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}
