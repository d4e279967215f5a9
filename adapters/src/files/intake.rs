//! One look at the folder: every complete file becomes one submission, or is parked.
//!
//! A file is taken in one transaction with the note that it was; only then it moves. A crash between the two
//! leaves a note of a file that is still there: the next look moves it without reading it again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use pannier_protocol::{ItemId, SourceId, Timestamp, UomCode};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::compose::{Composed, compose};
use super::config::{Complete, Covers, Cut, FilesConfig, Mode};
use super::folder::{Folder, FolderError, Found};
use super::mapping::{Mapping, MappingError};
use super::row::Reject;
use super::rows::parse;
use super::sheet::Sheet;
use super::table::FileTable;
use super::value::parse_instant;
use crate::limits::{MEMORY_PER_BYTE, REVIEWS_PER_FILE_MAX, TRAILER_PATIENCE};
use crate::runner::{CaughtUp, Desk, Review, StoreError, Submission, decode, encode};

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenFile {
    pub name: String,
    /// The mapping's name.
    pub mapping: String,
    /// Rows read, rejected ones included.
    pub rows: u64,
    pub rejects: u64,
    /// Why it was not taken.
    pub parked: Option<String>,
}

/// Why the folder cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The folder and what its files are read with.
pub(super) struct Intake {
    source: SourceId,
    mappings: Vec<Mapping>,
    folder: Folder,
    file_bytes_max: u64,
    desk: Desk,
}

/// A look's result.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) taken: Vec<TakenFile>,
    /// Files that may be complete at a later look.
    pub(super) settling: usize,
}

impl Intake {
    pub(super) fn open(config: &FilesConfig, desk: Desk) -> Result<Self, IntakeError> {
        let mappings = config.mappings()?;
        let (source, folder) = (config.source.clone(), Folder::open(config)?);
        Ok(Self { source, mappings, folder, file_bytes_max: config.file_bytes_max, desk })
    }

    /// Takes every complete file.
    pub(super) fn look(&mut self) -> Result<Look, IntakeError> {
        self.finish_moves()?;
        let found = self.folder.look(&self.mappings)?;
        let mut look = Look::default();
        let mut complete = Vec::new();
        for file in found {
            let mapping = &self.mappings[file.mapping];
            if !self.folder.is_complete(&file, mapping) {
                look.settling += usize::from(matches!(mapping.complete, Complete::Unchanged { .. }));
                continue;
            }
            match self.order(&file, mapping)? {
                Some(cut) => complete.push(((mapping.table, cut, file.name.clone()), file)),
                None => look.settling += 1,
            }
        }
        complete.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (_, file) in complete {
            match self.read(&file, &self.mappings[file.mapping])? {
                Some(content) => look.taken.push(self.take(&file, content)?),
                None => look.settling += 1,
            }
        }
        Ok(look)
    }

    /// When a file was cut, as far as it can be told; `None`: it is not complete. A file that says it within is read
    /// for it and read again when it is taken, so that no two files are held at a time.
    fn order(&self, file: &Found, mapping: &Mapping) -> Result<Option<Timestamp>, IntakeError> {
        let cut = match &mapping.cut {
            Cut::Modified => return Ok(Some(file.modified)),
            Cut::Name { pattern } => {
                let text = file.cut_text.as_deref().unwrap_or_default();
                parse_instant(text, pattern, &mapping.zone).ok()
            }
            Cut::Leader { .. } | Cut::Trailer { .. } => match self.read(file, mapping)? {
                Some(content) => content.sheet.ok().map(|(_, cut)| cut),
                None => return Ok(None),
            },
        };
        Ok(Some(cut.unwrap_or(Timestamp::MIN)))
    }

    /// Moves files that were taken just before a crash.
    fn finish_moves(&self) -> Result<(), IntakeError> {
        let mut forgotten = Submission::default();
        for (key, hash) in self.desk.notes(MOVING)? {
            let path = self.folder.path(&key[MOVING.len()..]);
            let same = hash_of(&path).is_ok_and(|found| found == hash);
            if same {
                self.folder.done(&path, None)?;
            }
            forgotten.notes.push((key, None));
        }
        if !forgotten.notes.is_empty() {
            self.desk.submit(forgotten)?;
        }
        Ok(())
    }

    /// `None`: its trailer is not there yet.
    fn read(&self, file: &Found, mapping: &Mapping) -> Result<Option<Content>, IntakeError> {
        let most = self.file_bytes_max;
        // One byte more than it may have tells a file that grew since.
        let bytes = if file.bytes > most { None } else { Some(self.folder.read(file, most + 1)?) };
        let Some(bytes) = bytes.filter(|bytes| bytes.len() as u64 <= most) else {
            let reason = format!(
                "it has more than {most} bytes: export it in parts, or set file_bytes_max and give this process \
                 {MEMORY_PER_BYTE} times as much memory"
            );
            return Ok(Some(Content { hash: Vec::new(), sheet: Err(reason) }));
        };
        let hash = Sha256::digest(&bytes).to_vec();
        let sheet = Sheet::read(&bytes, mapping).and_then(|sheet| {
            sheet.check_count(mapping)?;
            let cut = sheet.cut(mapping, file.cut_text.as_deref(), file.modified)?;
            Ok((sheet, cut))
        });
        let waits = mapping.complete == Complete::Trailer && !file.approved;
        if sheet.is_err() && waits && self.folder.unchanged_for(file) < TRAILER_PATIENCE {
            return Ok(None);
        }
        Ok(Some(Content { hash, sheet: sheet.map_err(|error| error.to_string()) }))
    }

    fn take(&self, file: &Found, content: Content) -> Result<TakenFile, IntakeError> {
        let mapping = &self.mappings[file.mapping];
        let Content { hash, sheet } = content;
        let mut taken = TakenFile {
            name: file.name.clone(),
            mapping: mapping.name.clone(),
            rows: 0,
            rejects: 0,
            parked: None,
        };
        let (sheet, cut) = match sheet {
            Ok(sheet) => sheet,
            Err(reason) => return self.park(file, mapping, taken, &hash, reason),
        };
        let base_uom = |item: &ItemId| -> Option<UomCode> {
            self.desk.item(item).ok().flatten().map(|item| item.base_uom)
        };
        let parsed = parse(&sheet, mapping, &base_uom);
        let composed = compose(&self.desk, mapping, parsed)?;
        (taken.rows, taken.rejects) = (sheet.rows.len() as u64, composed.rejects.len() as u64);
        self.folder.write_rejects(&file.name, &composed.rejects)?;
        if let Some(reason) = self.doubt(file, mapping, &taken, &composed, cut)? {
            return self.park(file, mapping, taken, &hash, reason);
        }
        let Composed { mut submission, rejects, parts } = composed;
        submission.position = u64::try_from(cut.millis()).unwrap_or(0);
        let caught_up_to = self.desk.broker_time(cut);
        for part in parts {
            submission.notes.push((cut_key(mapping, &part), Some(encode(&(cut, caught_up_to))?)));
        }
        let place = self.folder.place(&file.path);
        submission.notes.push((format!("{MOVING}{place}"), Some(hash.clone())));
        submission.reviews = self.reviews(file, mapping, &hash, &rejects);
        self.desk.submit(submission)?;
        self.folder.done(&file.path, Some((file, mapping)))?;
        tracing::info!(file = file.name, rows = taken.rows, rejects = taken.rejects, %cut, "file taken");
        Ok(taken)
    }

    /// Why an operator should look at the file before it is believed.
    fn doubt(
        &self,
        file: &Found,
        mapping: &Mapping,
        taken: &TakenFile,
        composed: &Composed,
        cut: Timestamp,
    ) -> Result<Option<String>, IntakeError> {
        if file.approved {
            return Ok(None);
        }
        let percent = u64::from(mapping.rejects_max_percent);
        if taken.rejects * 100 > taken.rows * percent {
            let TakenFile { rows, rejects, .. } = taken;
            return Ok(Some(format!(
                "{rejects} of {rows} rows are bad, more than {percent}%; see rejects/{}.csv, send it again or \
                 approve it",
                file.name
            )));
        }
        for part in &composed.parts {
            let last = self.desk.note(&cut_key(mapping, part))?;
            let last = last.map(|bytes| decode::<CutNote>(&bytes)).transpose()?;
            if let Some((last, _)) = last.filter(|(last, _)| *last > cut) {
                return Ok(Some(format!(
                    "it was cut at {cut}, and one cut at {last} was taken before; approve it to go back to it"
                )));
            }
        }
        Ok(None)
    }

    fn park(
        &self,
        file: &Found,
        mapping: &Mapping,
        mut taken: TakenFile,
        hash: &[u8],
        reason: String,
    ) -> Result<TakenFile, IntakeError> {
        tracing::warn!(file = file.name, reason, "file parked");
        let whole = Reject { line: 0, column: String::new(), reason: reason.clone(), record: String::new() };
        let reviews = self.reviews(file, mapping, hash, &[whole]);
        self.desk.submit(Submission { reviews, ..Submission::default() })?;
        self.folder.park(file, mapping, &reason)?;
        taken.parked = Some(reason);
        Ok(taken)
    }

    /// One entry a rejected row, as far as there is room, and one for the file if there is not.
    fn reviews(&self, file: &Found, mapping: &Mapping, hash: &[u8], rejects: &[Reject]) -> Vec<Review> {
        let mut name = Sha256::new();
        name.update(file.name.as_bytes());
        name.update(hash);
        let digest: String = name.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let entry = |reject: &Reject, index: usize| {
            let kind = if reject.line == 0 { "file" } else { "row" };
            let entry = json!({
                "kind": kind, "source": self.source.as_str(), "file": file.name, "mapping": mapping.name,
                "line": reject.line, "column": reject.column, "reason": reject.reason, "record": reject.record,
            });
            let origin = format!("{}-{digest}-{}-{index}", self.source, reject.line);
            Review { kind, origin, payload: entry.to_string().into_bytes() }
        };
        let mut reviews: Vec<_> = rejects
            .iter()
            .take(REVIEWS_PER_FILE_MAX)
            .enumerate()
            .map(|(at, reject)| entry(reject, at))
            .collect();
        let rest = rejects.len().saturating_sub(REVIEWS_PER_FILE_MAX);
        if rest > 0 {
            let reason = format!("{rest} more rows are bad; see rejects/{}.csv", file.name);
            let whole = Reject { line: 0, column: String::new(), reason, record: String::new() };
            reviews.push(entry(&whole, rejects.len()));
        }
        reviews
    }

    /// Until when each part of the source was read. Of a table that has full and delta files the later counts, of
    /// several full files the earliest, of a stream's tables the earliest.
    pub(super) fn caught_up(&self) -> Result<CaughtUp, IntakeError> {
        let mut full: BTreeMap<FileTable, Timestamp> = BTreeMap::new();
        let mut delta: BTreeMap<FileTable, Timestamp> = BTreeMap::new();
        for mapping in &self.mappings {
            let mut cuts = Vec::new();
            for (_, bytes) in self.desk.notes(&cut_key(mapping, ""))? {
                cuts.push(decode::<CutNote>(&bytes)?.1);
            }
            // A warehouse whose export stopped makes all of them old; contracts that ended are not exported again.
            let cut = if mapping.covers == Covers::Scopes { cuts.iter().max() } else { cuts.iter().min() };
            let Some(cut) = cut.copied() else { continue };
            match mapping.mode {
                Mode::Full => full.entry(mapping.table).and_modify(|at| *at = cut.min(*at)).or_insert(cut),
                Mode::Delta => delta.entry(mapping.table).and_modify(|at| *at = cut.max(*at)).or_insert(cut),
            };
        }
        for (table, cut) in delta {
            full.entry(table).and_modify(|at| *at = cut.max(*at)).or_insert(cut);
        }
        let earliest = |of: &dyn Fn(FileTable) -> bool| {
            full.iter().filter(|(table, _)| of(**table)).map(|(_, at)| *at).min()
        };
        let priced = |table| matches!(table, FileTable::Accounts | FileTable::Scopes | FileTable::Prices);
        Ok(CaughtUp {
            ledger: earliest(&FileTable::in_ledger),
            shared: earliest(&|table: FileTable| !table.in_ledger()),
            families: earliest(&priced),
        })
    }
}

/// A file's content, or why it cannot be one of its mapping.
struct Content {
    hash: Vec<u8>,
    sheet: Result<(Sheet, Timestamp), String>,
}

/// When an export was cut, as it says itself, and that instant in broker time, at most the one at which it was
/// taken. The first tells which of two exports is the later one, the second how old what it says is.
type CutNote = (Timestamp, Timestamp);

fn hash_of(path: &Path) -> io::Result<Vec<u8>> {
    let (mut hash, mut file) = (Sha256::new(), BufReader::new(File::open(path)?));
    loop {
        let chunk = file.fill_buf()?;
        let taken = chunk.len();
        if taken == 0 {
            return Ok(hash.finalize().to_vec());
        }
        hash.update(chunk);
        file.consume(taken);
    }
}

const MOVING: &str = "moving/";

/// When the last file of a mapping, or of a part of its table, was cut.
fn cut_key(mapping: &Mapping, part: &str) -> String {
    format!("cut/{}/{part}", mapping.name)
}
