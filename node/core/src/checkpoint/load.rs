//! From bytes to the folds.
//!
//! Bytes are pushed in pieces of any size, so a file and a peer's stream are read by the same code. Nothing is shown to
//! lookups before all of it was read and both digests are those that the head says.

use std::sync::Arc;

use pannier_protocol::Incarnation;
use pannier_protocol::subject::Subject;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use super::frames::{FRAME_HEAD_BYTES, MAGIC, PREFIX_BYTES, Section, checksum};
use super::head::{FORMAT_VERSION, Head};
use super::ranks::Ranks;
use crate::catalog::{Catalog, CatalogRows, Row, SavedCatalogFold, SavedRecord, SavedScope, SavedScopes};
use crate::dictionary::Dictionary;
use crate::freshness::{Board, SavedStatus};
use crate::gate::SavedChain;
use crate::ledger::orders::SavedOrders;
use crate::ledger::{Ledger, RULE_VERSION, SavedFold, SavedPromise, SavedStock, StockRows};
use crate::limits::{CHECKPOINT_FRAME_BYTES, CHECKPOINT_RECORD_BYTES_MAX};

/// Why a checkpoint is of no use here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("it is no checkpoint of a node; see that the folder is the right one")]
    NotACheckpoint,
    #[error(
        "it has format {found} and this build reads {FORMAT_VERSION}; start the build that wrote it, or load another way"
    )]
    OtherFormat { found: u32 },
    #[error("it needs rule version {found} and this build follows {RULE_VERSION}; upgrade this node")]
    NewerRules { found: u32 },
    #[error(
        "it is of incarnation {found} and the streams are of {wanted}; it belongs to another life of the ledger"
    )]
    OtherIncarnation { found: Incarnation, wanted: Incarnation },
    #[error("section {section} is damaged ({what}); delete the file, an older checkpoint or another way is used", section = section.as_str())]
    Damaged { section: Section, what: &'static str },
    #[error("it ends in section {section}; it was cut short, delete it", section = section.as_str())]
    Short { section: Section },
    #[error(
        "what was loaded of the {table} has another digest than its head says; keep the file and report it"
    )]
    OtherDigest { table: &'static str },
}

/// Both folds as they were, to go on with what comes after [`Head`]'s positions.
pub struct Loaded {
    pub head: Head,
    pub dictionary: Arc<Dictionary>,
    pub board: Arc<Board>,
    pub ledger: Ledger,
    pub catalog: Catalog,
    /// Records and price rows.
    pub rows: u64,
}

enum ChainRows {
    Stock(Arc<StockRows>),
    Catalog(Arc<CatalogRows>),
}

/// Takes the bytes of one checkpoint.
pub struct Loader {
    /// Not yet a whole frame.
    pending: Vec<u8>,
    started: bool,
    section: Section,
    ended: bool,
    /// Of the section at hand: not yet a whole record.
    records: Vec<u8>,
    hash: Xxh3,
    bytes: u64,
    section_rows: u64,
    rows: u64,
    head: Option<Head>,
    dictionary: Arc<Dictionary>,
    board: Arc<Board>,
    ledger: Ledger,
    catalog: Catalog,
    chains: Vec<ChainRows>,
    /// A scope whose rows are still coming.
    scope: Option<(usize, SavedScope, Vec<Row>)>,
    incarnation: Incarnation,
}

impl Loader {
    /// For the streams of one incarnation.
    pub fn new(incarnation: Incarnation) -> Self {
        let (dictionary, board) = (Arc::<Dictionary>::default(), Arc::<Board>::default());
        let ledger = Ledger::new(Arc::clone(&dictionary), Arc::clone(&board), incarnation.clone());
        let catalog = Catalog::new(Arc::clone(&dictionary), Arc::clone(&board), incarnation.clone());
        Self {
            pending: Vec::new(),
            started: false,
            section: Section::Head,
            ended: false,
            records: Vec::new(),
            hash: Xxh3::new(),
            bytes: 0,
            section_rows: 0,
            rows: 0,
            head: None,
            dictionary,
            board,
            ledger,
            catalog,
            chains: Vec::new(),
            scope: None,
            incarnation,
        }
    }

    /// Records and price rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Known as soon as it was pushed.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    pub fn section(&self) -> Section {
        self.section
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        let mut at = 0;
        if !self.started {
            let Some(prefix) = pending.get(..PREFIX_BYTES) else {
                self.pending = pending;
                return Ok(());
            };
            let (magic, version) = prefix.split_at(MAGIC.len());
            if magic != MAGIC {
                return Err(LoadError::NotACheckpoint);
            }
            let found = u32_of(version, 0);
            if found != FORMAT_VERSION {
                return Err(LoadError::OtherFormat { found });
            }
            (self.started, at) = (true, PREFIX_BYTES);
        }
        while let Some(length) = self.frame_length(&pending[at..])? {
            self.frame(&pending[at..at + length])?;
            at += length;
        }
        pending.drain(..at);
        self.pending = pending;
        Ok(())
    }

    /// `None`: it is not all there yet.
    fn frame_length(&self, bytes: &[u8]) -> Result<Option<usize>, LoadError> {
        let Some(head) = bytes.get(..FRAME_HEAD_BYTES) else { return Ok(None) };
        let (plain, packed) = (u32_of(head, 4) as usize, u32_of(head, 8) as usize);
        let packed_max = lz4_flex::block::get_maximum_output_size(CHECKPOINT_FRAME_BYTES);
        if plain > CHECKPOINT_FRAME_BYTES || packed > packed_max || self.ended {
            return Err(self.damaged("a frame has an impossible length"));
        }
        let length = FRAME_HEAD_BYTES + packed;
        Ok((bytes.len() >= length).then_some(length))
    }

    fn frame(&mut self, frame: &[u8]) -> Result<(), LoadError> {
        let (head, packed) = frame.split_at(FRAME_HEAD_BYTES);
        let (section, kind, plain) = (head[0], head[1], u32_of(head, 4));
        if Section::of(section) != Some(self.section) || head[2..4] != [0, 0] {
            return Err(self.damaged("a frame of another section stands in it"));
        }
        if checksum(section, kind, plain, packed) != u64_of(head, 12) {
            return Err(self.damaged("a checksum differs"));
        }
        match kind {
            0 => {
                let plain = lz4_flex::block::decompress(packed, plain as usize);
                let plain = plain.map_err(|_| self.damaged("a frame cannot be unpacked"))?;
                self.hash.update(&plain);
                self.bytes += plain.len() as u64;
                self.records.extend_from_slice(&plain);
                self.take_records()
            }
            1 if packed.len() == 24 => {
                self.end_section([u64_of(packed, 0), u64_of(packed, 8), u64_of(packed, 16)])
            }
            _ => Err(self.damaged("a frame is of no known kind")),
        }
    }

    fn take_records(&mut self) -> Result<(), LoadError> {
        let records = std::mem::take(&mut self.records);
        let mut at = 0;
        while let Some(head) = records.get(at..at + 4) {
            let length = u32_of(head, 0) as usize;
            if length > CHECKPOINT_RECORD_BYTES_MAX {
                return Err(self.damaged("a record has an impossible length"));
            }
            let Some(record) = records.get(at + 4..at + 4 + length) else { break };
            let rows = self.record(record)?;
            self.section_rows += rows;
            self.rows += rows;
            at += 4 + length;
        }
        self.records = records[at..].to_vec();
        Ok(())
    }

    fn end_section(&mut self, sums: [u64; 3]) -> Result<(), LoadError> {
        self.finish_scope()?;
        if sums != [self.section_rows, self.bytes, self.hash.digest()] || !self.records.is_empty() {
            return Err(self.damaged("its count or checksum differs"));
        }
        (self.section_rows, self.bytes) = (0, 0);
        self.hash.reset();
        match Section::of(self.section as u8 + 1) {
            Some(next) => self.section = next,
            None => self.ended = true,
        }
        Ok(())
    }

    fn damaged(&self, what: &'static str) -> LoadError {
        LoadError::Damaged { section: self.section, what }
    }

    fn decode<T: DeserializeOwned>(&self, record: &[u8]) -> Result<T, LoadError> {
        rmp_serde::from_slice(record).map_err(|_| self.damaged("a record cannot be decoded"))
    }

    /// How many rows it counts as.
    fn record(&mut self, record: &[u8]) -> Result<u64, LoadError> {
        let unknown = self.damaged("a record is of no known kind");
        match self.section {
            Section::Head => self.take_head(self.decode(record)?)?,
            Section::Ids => return self.take_ids(self.decode(record)?),
            Section::Fold => {
                let (ledger, catalog): (SavedFold, SavedCatalogFold) = self.decode(record)?;
                self.ledger.restore_fold(ledger);
                self.catalog.restore_fold(catalog);
            }
            Section::Statuses => self.board.restore(self.decode::<SavedStatus>(record)?),
            Section::Chains => self.take_chain(self.decode(record)?)?,
            Section::Stock => {
                let (chain, saved): (usize, SavedStock) = self.decode(record)?;
                let Some(ChainRows::Stock(rows)) = self.chains.get(chain) else { return Err(unknown) };
                rows.restore(saved);
            }
            Section::Promises => self.ledger.restore_promise(self.decode::<SavedPromise>(record)?),
            Section::Orders => self.ledger.restore_orders(self.decode::<SavedOrders>(record)?),
            Section::Catalog => {
                let (chain, saved): (usize, SavedRecord) = self.decode(record)?;
                let Some(ChainRows::Catalog(rows)) = self.chains.get(chain) else { return Err(unknown) };
                rows.restore(saved).ok_or(unknown)?;
            }
            Section::Prices => return self.take_prices(self.decode(record)?),
            Section::End => return Err(unknown),
        }
        Ok(1)
    }

    fn take_head(&mut self, head: Head) -> Result<(), LoadError> {
        if head.incarnation != self.incarnation {
            let (found, wanted) = (head.incarnation, self.incarnation.clone());
            return Err(LoadError::OtherIncarnation { found, wanted });
        }
        if head.rules > RULE_VERSION {
            return Err(LoadError::NewerRules { found: head.rules });
        }
        if head.catalog.len() != Head::PARTITIONS || self.head.is_some() {
            return Err(self.damaged("it does not say where every partition is"));
        }
        self.head = Some(head);
        Ok(())
    }

    /// In the order of ranks, so that the number given is the rank.
    fn take_ids(&mut self, (kind, names): (usize, Vec<String>)) -> Result<u64, LoadError> {
        for name in &names {
            let known = Ranks::counts(&self.dictionary).get(kind).copied();
            let number = Ranks::intern(&self.dictionary, kind, name);
            if number.map(|number| number as usize) != known || known.is_none() {
                return Err(self.damaged("an id stands in it twice"));
            }
        }
        Ok(names.len() as u64)
    }

    fn take_chain(&mut self, saved: SavedChain) -> Result<(), LoadError> {
        let restored = match saved.subject.clone() {
            Subject::Stock(source) => self.ledger.restore_chain(source, saved).map(ChainRows::Stock),
            Subject::Catalog(partition, source) => {
                self.catalog.restore_chain(partition, source, saved).map(ChainRows::Catalog)
            }
            Subject::Order(_) | Subject::Event(_) | Subject::Control => None,
        };
        self.chains.push(restored.ok_or_else(|| self.damaged("a chain finds no room"))?);
        Ok(())
    }

    /// A scope is built once all its rows are there.
    fn take_prices(&mut self, (chain, saved): (usize, SavedScopes)) -> Result<u64, LoadError> {
        let rows_count = saved.rows_count();
        match saved {
            SavedScopes::Scope(scope) => {
                self.finish_scope()?;
                self.scope = Some((chain, scope, Vec::new()));
            }
            SavedScopes::Rows(rows) => match &mut self.scope {
                Some((of, _, all)) if *of == chain => all.extend(rows),
                Some(_) | None => return Err(self.damaged("rows stand without their scope")),
            },
            terms @ SavedScopes::Terms(_) => {
                self.finish_scope()?;
                let rows = self.chains.get(chain);
                let Some(ChainRows::Catalog(rows)) = rows else {
                    return Err(self.damaged("a chain is not known"));
                };
                let restored = rows.restore_prices(terms, None);
                restored.ok_or_else(|| self.damaged("dates mean nothing here"))?;
            }
        }
        Ok(rows_count)
    }

    fn finish_scope(&mut self) -> Result<(), LoadError> {
        let Some((chain, scope, rows)) = self.scope.take() else { return Ok(()) };
        if scope.rows_count() != rows.len() as u64 {
            return Err(self.damaged("a scope has not all its rows"));
        }
        let Some(ChainRows::Catalog(of)) = self.chains.get(chain) else {
            return Err(self.damaged("a chain is not known"));
        };
        let restored = of.restore_prices(SavedScopes::Rows(rows), Some(scope));
        restored.ok_or_else(|| self.damaged("a row has no dates"))
    }

    /// All was pushed.
    pub fn finish(mut self) -> Result<Loaded, LoadError> {
        let Some(head) = self.head.take().filter(|_| self.ended && self.pending.is_empty()) else {
            return Err(LoadError::Short { section: self.section });
        };
        self.ledger.restored(head.ledger);
        self.catalog.restored(&head.catalog);
        if self.ledger.digest() != head.ledger_digest {
            return Err(LoadError::OtherDigest { table: "ledger" });
        }
        if self.catalog.digest() != head.catalog_digest {
            return Err(LoadError::OtherDigest { table: "catalog" });
        }
        let Self { dictionary, board, ledger, catalog, rows, .. } = self;
        Ok(Loaded { head, dictionary, board, ledger, catalog, rows })
    }
}

fn u32_of(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

fn u64_of(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
