//! A file's bytes as records: decoded, cut into cells or lines, leader and trailer told apart.
//!
//! A file is held whole, one at a time and bounded: gathering the rows of one item or ladder needs all of it
//! anyway, and a file is taken in one transaction or not at all.

use std::collections::BTreeMap;

use pannier_protocol::Timestamp;

use super::config::{Complete, Cut};
use super::field::{Field, Place};
use super::mapping::{CheckedMarker, Delimited, Mapping};
use super::row::Row;
use super::value::{parse_count, parse_instant};

/// One line or one delimited record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// From 1, in the file.
    pub(super) line: u64,
    pub(super) cells: Cells,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cells {
    Delimited(csv::StringRecord),
    Fixed(String),
}

/// Why a file is refused as a whole. Each becomes a review entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SheetError {
    #[error("the header has no column {name:?}; it has {header}")]
    NoColumn { name: String, header: String },
    #[error("the header names {name:?} twice; map it by number")]
    TwoColumns { name: String },
    #[error("there is no {what} (a record that starts with {starts_with:?}); is the file whole?")]
    NoMarker { what: &'static str, starts_with: String },
    #[error("the trailer counts {said} rows and the file has {found}; is it whole?")]
    Count { said: u32, found: usize },
    #[error(
        "the quote that opens in line {line} or below is never closed, and hides everything behind it; is the \
         file whole? Where quotes are text set format.quote = \"\""
    )]
    OpenQuote { line: u64 },
    #[error("{what}: {reason}")]
    Marker { what: &'static str, reason: String },
    #[error("the file name's cut time: {reason}")]
    Name { reason: String },
}

/// A decoded file.
#[derive(Debug)]
pub(super) struct Sheet {
    /// Columns by field, header names resolved.
    pub(super) columns: BTreeMap<String, Field>,
    pub(super) breaks: Vec<(Field, Field)>,
    pub(super) rows: Vec<Record>,
    leader: Option<Record>,
    trailer: Option<Record>,
}

impl Sheet {
    pub(super) fn read(bytes: &[u8], mapping: &Mapping) -> Result<Self, SheetError> {
        let (text, _) = mapping.layout.encoding.decode_with_bom_removal(bytes);
        let mut records = match mapping.layout.delimited {
            Some(delimited) => delimited_records(&text, delimited, mapping.layout.skip_lines)?,
            None => fixed_records(&text, mapping.layout.skip_lines),
        };
        let leader = split_off(&mut records, mapping.leader.as_ref());
        let trailer = split_off(&mut records, mapping.trailer.as_ref());
        let header = match mapping.layout.delimited {
            Some(Delimited { header: true, .. }) if !records.is_empty() => Some(records.remove(0)),
            Some(_) | None => None,
        };
        let resolve = |field: &Field| resolve(field, header.as_ref());
        let columns = mapping.fields.iter().map(|(name, field)| Ok((name.clone(), resolve(field)?)));
        let breaks = mapping.breaks.iter().map(|(from, value)| Ok((resolve(from)?, resolve(value)?)));
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
            breaks: breaks.collect::<Result<_, _>>()?,
            rows: records,
            leader,
            trailer,
        })
    }

    /// Whether the trailer counts what is there; files without such a rule always pass.
    pub(super) fn check_count(&self, mapping: &Mapping) -> Result<(), SheetError> {
        let Some(marker) = mapping.trailer.as_ref() else { return Ok(()) };
        let Some(record) = &self.trailer else {
            let starts_with = marker.starts_with.clone();
            let required = mapping.complete == Complete::Trailer || marker.count.is_some();
            return if required {
                Err(SheetError::NoMarker { what: "trailer", starts_with })
            } else {
                Ok(())
            };
        };
        let Some(field) = &marker.count else { return Ok(()) };
        let text = marker_text(record, field, "trailer")?;
        let said = parse_count(&text, &field.numbers)
            .map_err(|reason| SheetError::Marker { what: "trailer", reason })?;
        let found = self.rows.len();
        if said as usize == found { Ok(()) } else { Err(SheetError::Count { said, found }) }
    }

    /// When the export was cut. `name_cut` is what the file name says, `modified` its time of change.
    pub(super) fn cut(
        &self,
        mapping: &Mapping,
        name_cut: Option<&str>,
        modified: Timestamp,
    ) -> Result<Timestamp, SheetError> {
        let (what, record, marker, pattern) = match &mapping.cut {
            Cut::Modified => return Ok(modified),
            Cut::Name { pattern } => {
                return parse_instant(name_cut.unwrap_or_default(), pattern, &mapping.zone)
                    .map_err(|reason| SheetError::Name { reason });
            }
            Cut::Leader { pattern } => ("leader", &self.leader, &mapping.leader, pattern),
            Cut::Trailer { pattern } => ("trailer", &self.trailer, &mapping.trailer, pattern),
        };
        let starts_with = || marker.as_ref().map(|marker| marker.starts_with.clone()).unwrap_or_default();
        let field = marker.as_ref().and_then(|marker| marker.cut.as_ref());
        let (Some(record), Some(field)) = (record, field) else {
            return Err(SheetError::NoMarker { what, starts_with: starts_with() });
        };
        let text = marker_text(record, field, what)?;
        parse_instant(&text, pattern, &mapping.zone).map_err(|reason| SheetError::Marker { what, reason })
    }
}

fn marker_text(record: &Record, field: &Field, what: &'static str) -> Result<String, SheetError> {
    Row::cell(record, field).map_err(|reason| SheetError::Marker { what, reason })
}

fn delimited_records(text: &str, delimited: Delimited, skip_lines: u32) -> Result<Vec<Record>, SheetError> {
    let (text, skipped) = without_lines(text, skip_lines);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimited.delimiter)
        .quoting(delimited.quote.is_some())
        .quote(delimited.quote.unwrap_or(b'"'))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let (mut records, mut last) = (Vec::new(), (0, 0));
    // Of a text in memory every record is readable.
    for cells in reader.records().filter_map(Result::ok) {
        let (line, byte) = cells.position().map_or((0, 0), |at| (at.line() + skipped, at.byte()));
        last = (line, usize::try_from(byte).unwrap_or_default());
        let record = Record { line, cells: Cells::Delimited(cells) };
        if !record.is_blank() {
            records.push(record);
        }
    }
    let (line, from) = last;
    match delimited.quote {
        Some(quote) if ends_in_quotes(&text.as_bytes()[from..], delimited.delimiter, quote) => {
            Err(SheetError::OpenQuote { line })
        }
        Some(_) | None => Ok(records),
    }
}

/// Whether a cell that began with a quote goes on at the end. The reader takes that for a cell like any other.
fn ends_in_quotes(record: &[u8], delimiter: u8, quote: u8) -> bool {
    let (mut quoted, mut begins) = (false, true);
    let mut bytes = record.iter().peekable();
    while let Some(&byte) = bytes.next() {
        if quoted {
            if byte == quote && bytes.next_if_eq(&&quote).is_none() {
                quoted = false;
            }
        } else {
            quoted = begins && byte == quote;
        }
        begins = !quoted && (byte == delimiter || byte == b'\n' || byte == b'\r');
    }
    quoted
}

fn fixed_records(text: &str, skip_lines: u32) -> Vec<Record> {
    let (text, skipped) = without_lines(text, skip_lines);
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines
        .zip(skipped + 1..)
        .map(|(line, number)| Record { line: number, cells: Cells::Fixed(line.to_owned()) })
        .filter(|record| !record.is_blank())
        .collect()
}

fn without_lines(text: &str, count: u32) -> (&str, u64) {
    let mut rest = text;
    for _ in 0..count {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    (rest, u64::from(count))
}

/// The record that the marker tells; where several start so, the last one, and none of them is a row.
fn split_off(records: &mut Vec<Record>, marker: Option<&CheckedMarker>) -> Option<Record> {
    let marker = marker?;
    let mut found = None;
    records.retain(|record| {
        let is_marker = record.starts_with(&marker.starts_with);
        if is_marker {
            found = Some(record.clone());
        }
        !is_marker
    });
    found
}

fn resolve(field: &Field, header: Option<&Record>) -> Result<Field, SheetError> {
    let Place::Named(name) = &field.place else { return Ok(field.clone()) };
    let cells: Vec<&str> = match header.map(|header| &header.cells) {
        Some(Cells::Delimited(cells)) => cells.iter().map(str::trim).collect(),
        Some(Cells::Fixed(_)) | None => Vec::new(),
    };
    let mut found = cells.iter().enumerate().filter(|(_, cell)| *cell == name);
    let Some((number, _)) = found.next() else {
        return Err(SheetError::NoColumn { name: name.clone(), header: cells.join(", ") });
    };
    if found.next().is_some() {
        return Err(SheetError::TwoColumns { name: name.clone() });
    }
    let mut field = field.clone();
    field.shown = Some(name.clone());
    field.place = Place::Number(number);
    Ok(field)
}

impl Record {
    fn is_blank(&self) -> bool {
        match &self.cells {
            Cells::Delimited(cells) => cells.iter().all(|cell| cell.trim().is_empty()),
            Cells::Fixed(line) => line.trim().is_empty(),
        }
    }

    fn starts_with(&self, text: &str) -> bool {
        match &self.cells {
            Cells::Delimited(cells) => cells.get(0).is_some_and(|cell| cell.starts_with(text)),
            Cells::Fixed(line) => line.starts_with(text),
        }
    }

    /// As the rejects file shows it.
    pub(super) fn text(&self) -> String {
        match &self.cells {
            Cells::Delimited(cells) => cells.iter().collect::<Vec<_>>().join("|"),
            Cells::Fixed(line) => line.clone(),
        }
    }
}
