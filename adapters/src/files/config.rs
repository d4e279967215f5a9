//! What an operator writes: one TOML document, documented key by key in `deploy/files.toml`.
//!
//! The types here are the document as it is written; [`super::mapping`] checks it as a whole and
//! turns it into what rows are read with, so that a wrong key is known before a file is touched.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use pannier_protocol::subject::Prefix;
use pannier_protocol::{SourceId, Zone};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::mapping::{Mapping, MappingError};
use super::table::FileTable;
use crate::document::{self, DocumentError};
use crate::limits::FILE_BYTES_DEFAULT;

/// The whole document.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// Who publishes: the last token of every subject.
    pub source: SourceId,
    /// Watched for files; `done/`, `rejects/` and `parked/` are made in it.
    pub folder: PathBuf,
    /// The adapter's own durable state: one file.
    pub state: PathBuf,
    #[serde(default = "document::default_nats")]
    pub nats: String,
    #[serde(default)]
    pub prefix: Prefix,
    /// How often the folder is looked at, in ms.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// How often ticks are repeated, in ms.
    #[serde(default = "default_tick_ms")]
    pub tick_ms: u64,
    /// Largest file that is taken; a larger one is parked.
    #[serde(default = "default_file_bytes_max")]
    pub file_bytes_max: u64,
    /// In which dates and cut times of the files are meant.
    #[serde(default = "Zone::utc")]
    pub zone: Zone,
    /// One a kind of file.
    #[serde(rename = "file")]
    pub files: Vec<FileConfig>,
}

fn default_poll_ms() -> u64 {
    1_000
}

fn default_tick_ms() -> u64 {
    10_000
}

fn default_file_bytes_max() -> u64 {
    FILE_BYTES_DEFAULT
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Mapping(#[from] MappingError),
}

impl FilesConfig {
    /// Reads and checks a document; relative paths in it are taken from its own folder.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::parse(&document::read(path)?)?;
        let base = path.parent().unwrap_or(Path::new("."));
        config.folder = base.join(&config.folder);
        config.state = base.join(&config.state);
        Ok(config)
    }

    /// Checks a document's text.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = document::parse(text)?;
        config.mappings()?;
        Ok(config)
    }

    /// What the files are read with, in the order in which they are taken.
    pub(super) fn mappings(&self) -> Result<Vec<Mapping>, MappingError> {
        Mapping::compile(self)
    }
}

/// One kind of file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// As reviews and logs call it.
    pub name: String,
    /// File names: `*`, `?` and at most one `{cut}`.
    pub pattern: String,
    pub table: FileTable,
    pub mode: Mode,
    /// Of a full file: what it is the whole of.
    #[serde(default)]
    pub covers: Covers,
    #[serde(default)]
    pub complete: Complete,
    #[serde(default)]
    pub cut: Cut,
    #[serde(default)]
    pub format: Format,
    /// A record before the rows that is none.
    pub leader: Option<Marker>,
    /// A record after the rows that is none.
    pub trailer: Option<Marker>,
    #[serde(default)]
    pub ids: IdRules,
    #[serde(default)]
    pub numbers: NumberRules,
    #[serde(default)]
    pub dates: DateRules,
    #[serde(default)]
    pub words: Words,
    /// Of prices: a value of 0 means "no price here", not "free of charge".
    #[serde(default)]
    pub zero_is_no_price: bool,
    /// Above this share of rejected rows a file is parked.
    #[serde(default = "default_rejects_max_percent")]
    pub rejects_max_percent: u8,
    /// Canonical field to column.
    pub columns: BTreeMap<String, Column>,
    /// Of prices: ladders that stand side by side in one row.
    #[serde(default)]
    pub breaks: Vec<BreakColumns>,
}

fn default_rejects_max_percent() -> u8 {
    5
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The file is the whole of what it covers: what it does not repeat is gone.
    Full,
    /// The file holds what changed; nothing goes unless a row says `removed`.
    Delta,
}

/// What a full file is the whole of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Covers {
    #[default]
    Table,
    /// Every warehouse that it names.
    Warehouses,
    /// Every price scope that it names.
    Scopes,
    Contracts,
    Accounts,
    Groups,
    Promotions,
    Lists,
}

/// When a file is written to its end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Complete {
    /// As soon as it has a name that matches: the exporter writes under another one and renames.
    Rename,
    /// When another file appears; `{name}` and `{stem}` stand for this one's.
    Trigger { file: String },
    /// When the trailer is there and its count is right.
    Trailer,
    /// When size and time of change stayed the same for so long.
    Unchanged { for_ms: u64 },
}

impl Default for Complete {
    fn default() -> Self {
        Self::Unchanged { for_ms: 5_000 }
    }
}

/// Where the instant of the export is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum Cut {
    /// `{cut}` in the file name.
    Name { pattern: String },
    /// `cut` of the leader.
    Leader { pattern: String },
    /// `cut` of the trailer.
    Trailer { pattern: String },
    /// The file's time of change.
    #[default]
    Modified,
}

/// How a file's bytes become records.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    #[serde(default)]
    pub kind: FormatKind,
    #[serde(default = "default_delimiter")]
    pub delimiter: char,
    /// `""`: quotes are text.
    #[serde(default = "default_quote")]
    pub quote: String,
    /// The first record names the columns.
    #[serde(default)]
    pub header: bool,
    /// A label of the WHATWG encoding standard.
    #[serde(default = "default_encoding")]
    pub encoding: String,
    /// Lines before anything else that are passed over.
    #[serde(default)]
    pub skip_lines: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatKind {
    #[default]
    Delimited,
    Fixed,
}

fn default_delimiter() -> char {
    ','
}

fn default_quote() -> String {
    "\"".to_owned()
}

fn default_encoding() -> String {
    "utf-8".to_owned()
}

impl Default for Format {
    fn default() -> Self {
        Self {
            kind: FormatKind::default(),
            delimiter: default_delimiter(),
            quote: default_quote(),
            header: false,
            encoding: default_encoding(),
            skip_lines: 0,
        }
    }
}

/// A record that is no row, known by how it starts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    pub starts_with: String,
    /// How many rows the file has.
    pub count: Option<Column>,
    pub cut: Option<Column>,
}

/// How ids are made comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdRules {
    #[serde(default)]
    pub trim: Trim,
    #[serde(default)]
    pub case: Case,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trim {
    #[default]
    Both,
    Left,
    Right,
    Neither,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    #[default]
    Keep,
    Upper,
    Lower,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberRules {
    #[serde(default = "default_decimal_mark")]
    pub decimal_mark: char,
    pub thousands_mark: Option<char>,
    /// Digits after a point that is not written.
    pub implied_decimals: Option<u8>,
    #[serde(default)]
    pub sign: Sign,
}

fn default_decimal_mark() -> char {
    '.'
}

impl Default for NumberRules {
    fn default() -> Self {
        let decimal_mark = default_decimal_mark();
        Self { decimal_mark, thousands_mark: None, implied_decimals: None, sign: Sign::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    #[default]
    Leading,
    Trailing,
    Either,
    /// In the last digit, as COBOL's signed zoned numbers have it.
    Overpunch,
}

/// How dates are written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateRules {
    #[serde(default = "default_date_pattern")]
    pub pattern: String,
    /// Whether the day of an end still counts.
    #[serde(default)]
    pub end: DayOfEnd,
    /// Texts that mean "no date", beside blank.
    #[serde(default)]
    pub none: Vec<String>,
}

fn default_date_pattern() -> String {
    "%Y-%m-%d".to_owned()
}

impl Default for DateRules {
    fn default() -> Self {
        Self { pattern: default_date_pattern(), end: DayOfEnd::default(), none: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayOfEnd {
    #[default]
    Inclusive,
    Exclusive,
}

/// How yes and no are written; blank is no.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    #[serde(default = "default_yes")]
    pub yes: Vec<String>,
    #[serde(default = "default_no")]
    pub no: Vec<String>,
}

fn default_yes() -> Vec<String> {
    ["true", "1", "Y", "yes"].map(str::to_owned).to_vec()
}

fn default_no() -> Vec<String> {
    ["false", "0", "N", "no"].map(str::to_owned).to_vec()
}

impl Default for Words {
    fn default() -> Self {
        Self { yes: default_yes(), no: default_no() }
    }
}

/// One rung of a ladder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakColumns {
    pub min_quantity: Column,
    pub value: Column,
}

/// Where a field's text stands and how it is cleaned: a header name, a number from 1, or a table of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Column(pub ColumnKeys);

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnKeys {
    /// Header name.
    pub name: Option<String>,
    /// Delimited: which column, from 1.
    pub number: Option<u32>,
    /// Fixed-width: first character, from 1.
    pub at: Option<u32>,
    /// Fixed-width: characters.
    pub width: Option<u32>,
    /// The same in every row, instead of a column.
    pub value: Option<String>,
    /// Where the column is blank.
    pub default: Option<String>,
    pub trim: Option<Trim>,
    pub case: Option<Case>,
    /// This character is taken off the front.
    pub strip: Option<char>,
    pub pad: Option<Pad>,
    /// Put before what is not blank.
    pub prefix: Option<String>,
    /// The source's words to canonical ones; a word that is not in it is rejected.
    pub map: Option<BTreeMap<String, String>>,
    /// Of lists in one column: what stands between.
    pub separator: Option<char>,
    pub decimal_mark: Option<char>,
    pub thousands_mark: Option<char>,
    pub implied_decimals: Option<u8>,
    pub sign: Option<Sign>,
    /// Date pattern.
    pub pattern: Option<String>,
    pub end: Option<DayOfEnd>,
}

/// Fills up to `to` characters with `with`, on the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    pub to: u32,
    pub with: char,
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColumnVisitor;

        impl<'de> Visitor<'de> for ColumnVisitor {
            type Value = Column;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header name, a column number from 1, or a table of column keys")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Column, E> {
                Ok(Column(ColumnKeys { name: Some(name.to_owned()), ..ColumnKeys::default() }))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Column, E> {
                let number = u32::try_from(number)
                    .ok()
                    .filter(|number| *number > 0)
                    .ok_or_else(|| E::custom("columns are numbered from 1"))?;
                Ok(Column(ColumnKeys { number: Some(number), ..ColumnKeys::default() }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Column, A::Error> {
                ColumnKeys::deserialize(MapAccessDeserializer::new(map)).map(Column)
            }
        }

        deserializer.deserialize_any(ColumnVisitor)
    }
}
