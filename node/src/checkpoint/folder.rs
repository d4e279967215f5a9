//! Where checkpoints stand on disk: whole ones under their names, one that is being written in `tmp`.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use pannier_core::checkpoint::Head;
use pannier_protocol::{Incarnation, StreamSequence};

use super::draft::Draft;
use crate::config::Checkpoint;

const ENDING: &str = ".checkpoint";
const UNFINISHED: &str = "tmp";
const TAIL_ENDING: &str = ".tail";
const EVIDENCE: &str = "evidence";

/// What a disk did not do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}: {source}; see that checkpoint.folder is writable and its disk has room", path = path.display())]
pub(crate) struct FolderError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Of one file: names of one incarnation sort as their states follow each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) incarnation: Incarnation,
    pub(crate) ledger: StreamSequence,
    pub(crate) catalog: StreamSequence,
}

/// Of a file of entries that came after one of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TailName {
    pub(crate) incarnation: Incarnation,
    pub(crate) after: StreamSequence,
}

/// Belongs to one node: another that writes there too would push its files out.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
    kept: usize,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incarnation, ledger, catalog } = self;
        write!(f, "{incarnation}.L{ledger}.C{catalog}{ENDING}")
    }
}

impl Name {
    pub(crate) fn of(head: &Head) -> Self {
        let catalog = head.catalog.iter().copied().max().unwrap_or(StreamSequence(0));
        let catalog = head.last_catalog.map_or(catalog, |last| last.stream_sequence);
        let ledger = head.last_ledger.map_or(head.ledger, |last| last.stream_sequence);
        Self { incarnation: head.incarnation.clone(), ledger, catalog }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_suffix(ENDING)?.split('.');
        let incarnation = Incarnation::new(parts.next()?).ok()?;
        let mut sequence = |letter| parts.next()?.strip_prefix(letter)?.parse().ok().map(StreamSequence);
        let (ledger, catalog) = (sequence('L')?, sequence('C')?);
        parts.next().is_none().then_some(Self { incarnation, ledger, catalog })
    }
}

impl fmt::Display for TailName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.L{}{TAIL_ENDING}", self.incarnation, self.after)
    }
}

impl TailName {
    fn parse(text: &str) -> Option<Self> {
        let (incarnation, after) = text.strip_suffix(TAIL_ENDING)?.split_once(".L")?;
        let after = StreamSequence(after.parse().ok()?);
        Some(Self { incarnation: Incarnation::new(incarnation).ok()?, after })
    }
}

impl Folder {
    /// `None` where the configuration names none.
    pub(crate) fn of(config: &Checkpoint) -> Option<Self> {
        let named = !config.folder.as_os_str().is_empty();
        named.then(|| Self { path: config.folder.clone(), kept: config.kept })
    }

    /// For tables that were found wrong.
    pub(super) fn evidence(&self) -> Self {
        Self { path: self.path.join(EVIDENCE), kept: self.kept }
    }

    pub(crate) fn file(&self, name: &Name) -> PathBuf {
        self.path.join(name.to_string())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn tail(&self, name: &TailName) -> PathBuf {
        self.path.join(name.to_string())
    }

    pub(super) fn remove_tail(&self, name: &TailName) -> Result<(), FolderError> {
        let path = self.tail(name);
        did("remove", &path, fs::remove_file(&path))
    }

    /// Of one incarnation, ascending.
    pub(super) fn tails(&self, incarnation: &Incarnation) -> Result<Vec<TailName>, FolderError> {
        let files = did("read", &self.path, fs::read_dir(&self.path))?.flatten();
        let names = files.filter_map(|file| TailName::parse(file.file_name().to_str()?));
        let mut names: Vec<_> = names.filter(|name| name.incarnation == *incarnation).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Makes what is missing, and removes what was being written when a process ended.
    pub(crate) fn open(&self) -> Result<(), FolderError> {
        let unfinished = self.path.join(UNFINISHED);
        did("make", &unfinished, fs::create_dir_all(&unfinished))?;
        for file in did("read", &unfinished, fs::read_dir(&unfinished))?.flatten() {
            let path = file.path();
            if path.extension().is_some_and(|ending| ENDING.strip_prefix('.').is_some_and(|it| ending == it))
            {
                did("remove", &path, fs::remove_file(&path))?;
            }
        }
        Ok(())
    }

    /// Every file that is named like a checkpoint: those of `incarnation` first, the newest first.
    pub(crate) fn list(&self, incarnation: &Incarnation) -> Result<Vec<Name>, FolderError> {
        let files = did("read", &self.path, fs::read_dir(&self.path))?.flatten();
        let mut names: Vec<_> = files.filter_map(|file| Name::parse(file.file_name().to_str()?)).collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        names.sort_by_key(|name| name.incarnation != *incarnation);
        Ok(names)
    }

    /// Begins a file that nobody reads before [`Draft::keep`].
    pub(crate) fn draft(&self, name: &Name) -> Result<Draft, FolderError> {
        let path = self.path.join(UNFINISHED).join(name.to_string());
        let file = did("make", &path, File::create(&path))?;
        Ok(Draft::new(file, path, self.file(name)))
    }

    /// Removes all but the newest of an incarnation, and entries that the oldest of these has. Those of others are an
    /// operator's to remove.
    pub(super) fn prune(&self, incarnation: &Incarnation) -> Result<(), FolderError> {
        let names = self.list(incarnation)?.into_iter().filter(|name| name.incarnation == *incarnation);
        let names: Vec<_> = names.collect();
        for name in names.iter().skip(self.kept) {
            let path = self.file(name);
            did("remove", &path, fs::remove_file(&path))?;
        }
        let Some(oldest) = names.iter().take(self.kept).next_back() else { return Ok(()) };
        let tails = self.tails(incarnation)?;
        for (name, next) in tails.iter().zip(tails.iter().skip(1)) {
            if next.after <= oldest.ledger {
                self.remove_tail(name)?;
            }
        }
        Ok(())
    }
}

/// What came of it, with what was done to which path.
pub(super) fn did<T>(doing: &'static str, path: &Path, outcome: io::Result<T>) -> Result<T, FolderError> {
    outcome.map_err(|source| FolderError { doing, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(incarnation: &str, ledger: u64, catalog: u64) -> Name {
        let (ledger, catalog) = (StreamSequence(ledger), StreamSequence(catalog));
        Name { incarnation: Incarnation::new(incarnation).unwrap(), ledger, catalog }
    }

    #[test]
    fn names_are_read_back_and_nothing_else_is_one() {
        let one = name("7f3a", 81_240, 0);
        assert_eq!(one.to_string(), "7f3a.L81240.C0.checkpoint");
        assert_eq!(Name::parse(&one.to_string()), Some(one));
        for odd in
            ["", "tmp", "7f3a.L1.C2", "7f3a.L1.checkpoint", "7F.L1.C2.checkpoint", "a.L1.C2.x.checkpoint"]
        {
            assert_eq!(Name::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_newest_are_kept_and_what_was_never_finished_goes() {
        let folder = tempfile::tempdir().unwrap();
        let config = Checkpoint { folder: folder.path().join("a/b"), ..Checkpoint::default() };
        let folder = Folder::of(&config).unwrap();
        folder.open().unwrap();
        let all = [name("7f3a", 9, 1), name("7f3a", 10, 1), name("7f3a", 10, 4), name("beef", 99, 99)];
        for name in &all {
            let mut draft = folder.draft(name).unwrap();
            draft.write(b"bytes").unwrap();
            assert_eq!(draft.keep().unwrap(), 5);
        }
        // Half a file of a process that ended, and one of a process that noticed.
        std::mem::forget(folder.draft(&name("7f3a", 11, 5)).unwrap());
        drop(folder.draft(&name("7f3a", 12, 5)).unwrap());
        let unfinished = || fs::read_dir(folder.path.join(UNFINISHED)).unwrap().count();
        assert_eq!(unfinished(), 1);
        folder.open().unwrap();
        assert_eq!(unfinished(), 0);
        let own = Incarnation::new("7f3a").unwrap();
        let listed: Vec<_> = folder.list(&own).unwrap().iter().map(Name::to_string).collect();
        let [a, b, c, other] = all.map(|name| name.to_string());
        assert_eq!(listed, [c.clone(), b.clone(), a, other.clone()]);
        folder.prune(&own).unwrap();
        let listed: Vec<_> = folder.list(&own).unwrap().iter().map(Name::to_string).collect();
        assert_eq!(listed, [c, b, other]);
    }
}
