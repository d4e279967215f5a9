//! A configuration as rows are read with it. Everything that can be known without a file is checked
//! here, once: an error names the file's entry, the key and what to write instead.

use std::collections::BTreeMap;

use encoding_rs::Encoding;
use pannier_protocol::Zone;
use pannier_protocol::change::PriceScopeKind;
use pannier_protocol::limits::ID_BYTES_MAX;

use super::config::{
    Column, ColumnKeys, Complete, Covers, Cut, FileConfig, FilesConfig, FormatKind, Marker, Mode,
    NumberRules, Words,
};
use super::field::Field;
use super::pattern::NamePattern;
use super::table::{FileTable, LIST_FIELDS, REMOVED, SCOPE_FIELDS};
use super::value::{check_date_pattern, check_instant_pattern};
use crate::limits::{FILE_BYTES_MAX, INTERVAL_MS_MIN};

/// What is wrong with one key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("file {file:?}: {key}: {reason}")]
pub struct MappingError {
    pub file: String,
    pub key: String,
    pub reason: String,
}

/// One kind of file, checked.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub(super) name: String,
    pub(super) pattern: NamePattern,
    pub(super) table: FileTable,
    pub(super) mode: Mode,
    pub(super) covers: Covers,
    pub(super) complete: Complete,
    pub(super) cut: Cut,
    pub(super) layout: Layout,
    pub(super) leader: Option<CheckedMarker>,
    pub(super) trailer: Option<CheckedMarker>,
    pub(super) zone: Zone,
    pub(super) zero_is_no_price: bool,
    pub(super) rejects_max_percent: u8,
    pub(super) fields: BTreeMap<String, Field>,
    /// Pairs of minimum quantity and value.
    pub(super) breaks: Vec<(Field, Field)>,
}

/// How bytes become records.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) encoding: &'static Encoding,
    pub(super) skip_lines: u32,
    /// Of delimited files; fixed-width ones have none.
    pub(super) delimited: Option<Delimited>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delimited {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) header: bool,
}

#[derive(Debug, Clone)]
pub(super) struct CheckedMarker {
    pub(super) starts_with: String,
    pub(super) count: Option<Field>,
    pub(super) cut: Option<Field>,
}

type Check<T = ()> = Result<T, (String, String)>;

fn wrong<T>(key: impl Into<String>, reason: impl Into<String>) -> Check<T> {
    Err((key.into(), reason.into()))
}

fn ensure(holds: bool, key: &str, reason: &str) -> Check {
    if holds { Ok(()) } else { wrong(key, reason) }
}

impl Mapping {
    /// All mappings of a configuration, in the order in which they are taken.
    pub(super) fn compile(config: &FilesConfig) -> Result<Vec<Self>, MappingError> {
        let whole = |(key, reason)| MappingError { file: "*".to_owned(), key, reason };
        check_whole(config).map_err(whole)?;
        let mut mappings = Vec::new();
        for (at, file) in config.files.iter().enumerate() {
            let mapping = compile(file, &config.zone)
                .and_then(|mapping| check_beside(&mapping, &config.files[..at]).map(|()| mapping))
                .map_err(|(key, reason)| MappingError { file: file.name.clone(), key, reason })?;
            mappings.push(mapping);
        }
        mappings.sort_by_key(|mapping| mapping.table);
        Ok(mappings)
    }

    pub(super) fn price_kind(&self) -> Option<PriceScopeKind> {
        price_kind(self.covers)
    }
}

fn price_kind(covers: Covers) -> Option<PriceScopeKind> {
    match covers {
        Covers::Table | Covers::Warehouses | Covers::Scopes => None,
        Covers::Contracts => Some(PriceScopeKind::Contract),
        Covers::Accounts => Some(PriceScopeKind::Account),
        Covers::Groups => Some(PriceScopeKind::Group),
        Covers::Promotions => Some(PriceScopeKind::Promotion),
        Covers::Lists => Some(PriceScopeKind::List),
    }
}

fn check_whole(config: &FilesConfig) -> Check {
    ensure(!config.files.is_empty(), "file", "at least one [[file]] is needed")?;
    let slow_enough = |ms: u64| ms >= INTERVAL_MS_MIN;
    let reason = format!("at least {INTERVAL_MS_MIN} ms");
    ensure(slow_enough(config.poll_ms), "poll_ms", &reason)?;
    ensure(slow_enough(config.tick_ms), "tick_ms", &reason)?;
    let reason = format!("1 to {FILE_BYTES_MAX} bytes");
    ensure((1..=FILE_BYTES_MAX).contains(&config.file_bytes_max), "file_bytes_max", &reason)
}

/// Two full files must not remove each other's rows.
fn check_beside(mapping: &Mapping, others: &[FileConfig]) -> Check {
    for other in others {
        ensure(other.name != mapping.name, "name", "two files have this name")?;
        let both_full = mapping.mode == Mode::Full && other.mode == Mode::Full;
        if !both_full || other.table != mapping.table {
            continue;
        }
        let by_name = |covers| matches!(covers, Covers::Warehouses | Covers::Scopes);
        let apart = match (price_kind(mapping.covers), price_kind(other.covers)) {
            (Some(kind), Some(other)) => kind != other,
            (None, None) => by_name(mapping.covers) && by_name(other.covers),
            (Some(_), None) | (None, Some(_)) => by_name(mapping.covers) || by_name(other.covers),
        };
        if !apart {
            let reason = format!(
                "{:?} is a full file of the same {}: each would remove the other's rows; set `covers` of both",
                other.name,
                mapping.table.as_str()
            );
            return wrong("covers", reason);
        }
    }
    Ok(())
}

fn compile(file: &FileConfig, zone: &Zone) -> Check<Mapping> {
    let named = (1..=32).contains(&file.name.len())
        && file.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    ensure(named, "name", "1 to 32 of a-z, 0-9, '-' and '_'")?;
    let Some(pattern) = NamePattern::parse(&file.pattern) else {
        return wrong("pattern", "a file name with `?`, at most four `*` and one `{cut}`, without a folder");
    };
    ensure(file.rejects_max_percent <= 100, "rejects_max_percent", "0 to 100")?;
    check_covers(file)?;
    check_words(file)?;
    check_columns(file)?;
    let fields = file
        .columns
        .iter()
        .map(|(name, column)| Ok((name.clone(), field(file, column, &format!("columns.{name}"))?)))
        .collect::<Check<_>>()?;
    let breaks = file
        .breaks
        .iter()
        .map(|pair| {
            let min_quantity = field(file, &pair.min_quantity, "breaks.min_quantity")?;
            Ok((min_quantity, field(file, &pair.value, "breaks.value")?))
        })
        .collect::<Check<_>>()?;
    let mapping = Mapping {
        name: file.name.clone(),
        pattern,
        table: file.table,
        mode: file.mode,
        covers: file.covers,
        complete: file.complete.clone(),
        cut: file.cut.clone(),
        layout: layout(file)?,
        leader: marker(file, file.leader.as_ref(), "leader")?,
        trailer: marker(file, file.trailer.as_ref(), "trailer")?,
        zone: zone.clone(),
        zero_is_no_price: file.zero_is_no_price,
        rejects_max_percent: file.rejects_max_percent,
        fields,
        breaks,
    };
    check_complete_and_cut(&mapping)?;
    Ok(mapping)
}

fn layout(file: &FileConfig) -> Check<Layout> {
    let format = &file.format;
    let Some(encoding) = Encoding::for_label_no_replacement(format.encoding.as_bytes()) else {
        return wrong("format.encoding", "no encoding by that name; as in \"utf-8\" or \"windows-1252\"");
    };
    let delimited = match format.kind {
        FormatKind::Fixed => {
            ensure(
                !format.header,
                "format.header",
                "fixed-width files have columns by place; use skip_lines",
            )?;
            None
        }
        FormatKind::Delimited => {
            let ascii = |c: char| u8::try_from(c).ok().filter(|b| b.is_ascii() && !b"\r\n".contains(b));
            let Some(delimiter) = ascii(format.delimiter) else {
                return wrong("format.delimiter", "one ASCII character, as in \";\" or \"\\t\"");
            };
            let quote = match format.quote.chars().collect::<Vec<_>>().as_slice() {
                [] => None,
                [quote] if ascii(*quote).is_some() => ascii(*quote),
                _ => return wrong("format.quote", "one ASCII character, or \"\" where quotes are text"),
            };
            ensure(quote != Some(delimiter), "format.quote", "the delimiter cannot be the quote too")?;
            Some(Delimited { delimiter, quote, header: format.header })
        }
    };
    Ok(Layout { encoding, skip_lines: format.skip_lines, delimited })
}

fn marker(file: &FileConfig, marker: Option<&Marker>, key: &str) -> Check<Option<CheckedMarker>> {
    let Some(marker) = marker else { return Ok(None) };
    ensure(!marker.starts_with.is_empty(), &format!("{key}.starts_with"), "what such a record starts with")?;
    let part = |column: Option<&Column>, name: &str| -> Check<Option<Field>> {
        let key = format!("{key}.{name}");
        let by_header = column.is_some_and(|column| column.0.name.is_some());
        ensure(!by_header, &key, "a leader or trailer has no header: give a number")?;
        column.map(|column| field(file, column, &key)).transpose()
    };
    Ok(Some(CheckedMarker {
        starts_with: marker.starts_with.clone(),
        count: part(marker.count.as_ref(), "count")?,
        cut: part(marker.cut.as_ref(), "cut")?,
    }))
}

fn check_covers(file: &FileConfig) -> Check {
    let fits = match file.covers {
        Covers::Table => true,
        Covers::Warehouses => file.table.has_warehouses(),
        Covers::Scopes
        | Covers::Contracts
        | Covers::Accounts
        | Covers::Groups
        | Covers::Promotions
        | Covers::Lists => file.table.has_price_scopes(),
    };
    ensure(fits, "covers", "warehouses: stock tables only; scopes and their kinds: scopes and prices only")?;
    let is_said = file.mode == Mode::Full || file.covers == Covers::Table;
    ensure(is_said, "covers", "a delta file covers nothing; leave it out")
}

fn check_words(file: &FileConfig) -> Check {
    let Words { yes, no } = &file.words;
    let both = yes.iter().find(|word| no.iter().any(|other| other.eq_ignore_ascii_case(word)));
    ensure(both.is_none(), "words", "a word stands in both yes and no")?;
    let is_priced = !file.zero_is_no_price || file.table == FileTable::Prices;
    ensure(is_priced, "zero_is_no_price", "only prices have it")
}

fn check_columns(file: &FileConfig) -> Check {
    let specs = file.table.fields();
    for name in file.columns.keys() {
        let known = name == REMOVED || specs.iter().any(|spec| spec.name == name);
        if !known {
            let names: Vec<_> = specs.iter().map(|spec| spec.name).chain([REMOVED]).collect();
            let reason = format!("{} has no such field; it has {}", file.table.as_str(), names.join(", "));
            return wrong(format!("columns.{name}"), reason);
        }
    }
    for (name, column) in &file.columns {
        let fits = column.0.separator.is_none() || LIST_FIELDS.contains(&name.as_str());
        let reason = format!("separator: only lists have one: {}", LIST_FIELDS.join(", "));
        ensure(fits, &format!("columns.{name}"), &reason)?;
    }
    for spec in specs.iter().filter(|spec| spec.required) {
        let key = format!("columns.{}", spec.name);
        let reason = "is missing; name the column, or a constant by { value = \"..\" }";
        ensure(file.columns.contains_key(spec.name), &key, reason)?;
    }
    let has = |name: &str| file.columns.contains_key(name);
    let reason = "only delta files have rows that go; a full file leaves them out";
    ensure(!has(REMOVED) || file.mode == Mode::Delta, "columns.removed", reason)?;
    if file.table.has_price_scopes() {
        let reason = "map at least one of contract, account, group, promotion, list";
        ensure(SCOPE_FIELDS.iter().any(|name| has(name)), "columns", reason)?;
    }
    if file.table == FileTable::Prices {
        ensure(has("item") || has("class"), "columns", "map item, class or both")?;
        let one_ladder = has("value") == file.breaks.is_empty();
        ensure(one_ladder, "columns.value", "map either value (one break a row) or [[file.breaks]]")?;
    }
    let breaks_fit = file.breaks.is_empty() || file.table == FileTable::Prices;
    ensure(breaks_fit, "breaks", "only prices have breaks")
}

fn check_complete_and_cut(mapping: &Mapping) -> Check {
    let has_count = mapping.trailer.as_ref().is_some_and(|trailer| trailer.count.is_some());
    match &mapping.complete {
        Complete::Rename => {}
        Complete::Unchanged { for_ms } => {
            let reason = format!("at least {INTERVAL_MS_MIN} ms; as in 5000");
            ensure(*for_ms >= INTERVAL_MS_MIN, "complete.for_ms", &reason)?;
        }
        Complete::Trailer => ensure(has_count, "complete", "by = \"trailer\" needs trailer.count")?,
        Complete::Trigger { file } => {
            let reason = "a file name with {name} or {stem}, as in \"{name}.ok\"";
            let named = file.contains("{name}") || file.contains("{stem}");
            ensure(named && !file.contains(['/', '\\']), "complete.file", reason)?;
        }
    }
    let has_cut = |marker: &Option<CheckedMarker>| marker.as_ref().is_some_and(|marker| marker.cut.is_some());
    let pattern = match &mapping.cut {
        Cut::Modified => return Ok(()),
        Cut::Name { pattern } => {
            ensure(mapping.pattern.has_cut(), "cut", "from = \"name\" needs {cut} in the file's pattern")?;
            pattern
        }
        Cut::Leader { pattern } => {
            ensure(has_cut(&mapping.leader), "cut", "from = \"leader\" needs leader.cut")?;
            pattern
        }
        Cut::Trailer { pattern } => {
            ensure(has_cut(&mapping.trailer), "cut", "from = \"trailer\" needs trailer.cut")?;
            pattern
        }
    };
    let reason = "a pattern with a date and, where there is one, a time, as in \"%Y%m%dT%H%M%S\"";
    ensure(check_instant_pattern(pattern), "cut.pattern", reason)
}

/// One column with what the file says for all of them.
fn field(file: &FileConfig, column: &Column, key: &str) -> Check<Field> {
    let keys = &column.0;
    check_place(file, keys, key)?;
    let field = Field::new(file, keys);
    ensure(
        field.numbers.thousands_mark != Some(field.numbers.decimal_mark),
        key,
        "decimal_mark and thousands_mark are the same",
    )?;
    let is_mark = |mark: char| !mark.is_alphanumeric() && !"+-{}".contains(mark);
    let NumberRules { decimal_mark, thousands_mark, .. } = field.numbers;
    let marks = is_mark(decimal_mark) && thousands_mark.is_none_or(is_mark);
    ensure(marks, key, "decimal_mark and thousands_mark: no letters, digits or signs")?;
    let pads = keys.pad.is_none_or(|pad| (1..=ID_BYTES_MAX).contains(&(pad.to as usize)));
    ensure(pads, key, &format!("pad.to: 1 to {ID_BYTES_MAX}, as long as an id can be"))?;
    let digits = field.numbers.implied_decimals.unwrap_or(0);
    ensure(digits <= 6, key, "implied_decimals: at most 6")?;
    let reason = "pattern: year, month and day as in \"%d.%m.%Y\", or \"cyymmdd\"";
    ensure(check_date_pattern(&field.dates.pattern), key, reason)?;
    Ok(field)
}

fn check_place(file: &FileConfig, keys: &ColumnKeys, key: &str) -> Check {
    let ColumnKeys { name, number, at, width, value, .. } = keys;
    if value.is_some() {
        let alone = name.is_none() && number.is_none() && at.is_none() && width.is_none();
        return ensure(alone, key, "either value or the place of a column, not both");
    }
    match file.format.kind {
        FormatKind::Fixed => {
            let placed = at.is_some_and(|at| at > 0) && width.is_some_and(|width| width > 0);
            let reason = "fixed-width columns need at (from 1) and width, as in { at = 1, width = 15 }";
            ensure(placed && name.is_none() && number.is_none(), key, reason)
        }
        FormatKind::Delimited => {
            let one = name.is_some() != number.is_some() && at.is_none() && width.is_none();
            ensure(one, key, "give a header name or a column number")?;
            ensure(*number != Some(0), key, "columns are numbered from 1")?;
            let by_header = name.is_none() || file.format.header;
            ensure(by_header, key, "a name needs format.header = true; else give the number")
        }
    }
}
