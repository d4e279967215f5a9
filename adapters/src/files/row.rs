//! One record seen through its mapping: typed fields, or the column and the reason why not.

use std::borrow::Cow;
use std::str::FromStr;

use pannier_protocol::id::IdError;
use pannier_protocol::{Currency, DateEdge, Decimal, LocalDate};
use serde::de::DeserializeOwned;
use serde::de::value::{Error as WordError, StrDeserializer};

use super::config::DayOfEnd;
use super::field::{Field, Place, shorten};
use super::mapping::Mapping;
use super::sheet::{Cells, Record, Sheet};
use super::value::{parse_bool, parse_count, parse_date, parse_decimal};

/// A row that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// From 1; 0: the file as a whole.
    pub line: u64,
    /// As the file names it, with the canonical field behind; empty: the row as a whole.
    pub column: String,
    /// One sentence.
    pub reason: String,
    pub record: String,
}

/// What is wrong with one cell, or, without a column, with the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CellError {
    pub(super) column: String,
    pub(super) reason: String,
}

/// A value, or what is wrong with its cell.
pub(super) type Cell<T> = Result<T, CellError>;

impl CellError {
    pub(super) fn row(reason: impl Into<String>) -> Self {
        Self { column: String::new(), reason: reason.into() }
    }
}

/// One record with the columns of its sheet.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) record: &'a Record,
    sheet: &'a Sheet,
    mapping: &'a Mapping,
}

impl<'a> Row<'a> {
    pub(super) fn new(record: &'a Record, sheet: &'a Sheet, mapping: &'a Mapping) -> Self {
        Self { record, sheet, mapping }
    }

    pub(super) fn line(&self) -> u64 {
        self.record.line
    }

    pub(super) fn reject(&self, error: CellError) -> Reject {
        let CellError { column, reason } = error;
        Reject { line: self.record.line, column, reason, record: self.record.text() }
    }

    pub(super) fn mapping(&self) -> &'a Mapping {
        self.mapping
    }

    /// The ladder that stands side by side: the fields of its rungs.
    pub(super) fn rungs(&self) -> &'a [(Field, Field)] {
        &self.sheet.breaks
    }

    /// The cleaned text of a field's cell.
    pub(super) fn cell(record: &Record, field: &Field) -> Result<String, String> {
        field.clean(&raw(record, field)?).map(Cow::into_owned)
    }

    fn field(&self, name: &str) -> Option<&'a Field> {
        self.sheet.columns.get(name)
    }

    fn error(&self, name: &str, reason: String) -> CellError {
        let shown = self.field(name).map_or_else(String::new, Field::shown);
        let column = if shown == name { shown } else { format!("{shown} ({name})") };
        CellError { column, reason }
    }

    /// The cleaned text; `None` where it is blank or not mapped.
    pub(super) fn text(&self, name: &str) -> Cell<Option<String>> {
        let Some(field) = self.field(name) else { return Ok(None) };
        let text = Self::cell(self.record, field).map_err(|reason| self.error(name, reason))?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// Makes a blank an error.
    pub(super) fn need<T>(&self, name: &str, value: Option<T>) -> Cell<T> {
        value.ok_or_else(|| self.error(name, "is blank".to_owned()))
    }

    fn read<T>(&self, name: &str, parse: impl Fn(&str, &Field) -> Result<T, String>) -> Cell<Option<T>> {
        let (Some(text), Some(field)) = (self.text(name)?, self.field(name)) else { return Ok(None) };
        parse(&text, field).map(Some).map_err(|reason| self.error(name, reason))
    }

    pub(super) fn id<T: FromStr<Err = IdError>>(&self, name: &str) -> Cell<Option<T>> {
        self.read(name, parse_id)
    }

    pub(super) fn needed_id<T: FromStr<Err = IdError>>(&self, name: &str) -> Cell<T> {
        self.need(name, self.id(name)?)
    }

    pub(super) fn decimal(&self, name: &str) -> Cell<Option<Decimal>> {
        self.read(name, |text, field| parse_decimal(text, &field.numbers))
    }

    pub(super) fn needed_decimal(&self, name: &str) -> Cell<Decimal> {
        self.need(name, self.decimal(name)?)
    }

    /// A number outside of the named fields: a rung of a ladder.
    pub(super) fn decimal_of(&self, field: &Field) -> Cell<Option<Decimal>> {
        let error = |reason| CellError { column: field.shown(), reason };
        let text = Self::cell(self.record, field).map_err(error)?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        parse_decimal(&text, &field.numbers).map(Some).map_err(error)
    }

    pub(super) fn count(&self, name: &str) -> Cell<Option<u32>> {
        self.read(name, |text, field| parse_count(text, &field.numbers))
    }

    pub(super) fn yes(&self, name: &str) -> Cell<bool> {
        Ok(self.read(name, |text, field| parse_bool(text, &field.words))?.unwrap_or(false))
    }

    pub(super) fn currency(&self, name: &str) -> Cell<Option<Currency>> {
        self.read(name, |text, field| Currency::new(&field.id_text(text)).map_err(|error| error.to_string()))
    }

    /// One of the canonical words of `T`, as the wire writes them.
    pub(super) fn word<T: DeserializeOwned>(&self, name: &str) -> Cell<Option<T>> {
        self.read(name, |text, _| {
            T::deserialize(StrDeserializer::<WordError>::new(text)).map_err(|error| error.to_string())
        })
    }

    pub(super) fn date(&self, name: &str) -> Cell<Option<LocalDate>> {
        let date = self.read(name, |text, field| {
            let is_none = field.dates.none.iter().any(|none| none == text.trim());
            if is_none { Ok(None) } else { parse_date(text, &field.dates.pattern).map(Some) }
        })?;
        Ok(date.flatten())
    }

    /// The first day of a validity, in the file's zone.
    pub(super) fn start(&self, name: &str) -> Cell<Option<DateEdge>> {
        let zone = &self.mapping.zone;
        Ok(self.date(name)?.map(|date| DateEdge { date, inclusive: true, zone: zone.clone() }))
    }

    /// The last day of a validity, or the first one after it, as the mapping says.
    pub(super) fn end(&self, name: &str) -> Cell<Option<DateEdge>> {
        let Some(date) = self.date(name)? else { return Ok(None) };
        let inclusive = self.field(name).is_some_and(|field| field.dates.end == DayOfEnd::Inclusive);
        Ok(Some(DateEdge { date, inclusive, zone: self.mapping.zone.clone() }))
    }

    /// Ids between the column's separator; without one, at most one id.
    pub(super) fn ids<T: FromStr<Err = IdError>>(&self, name: &str) -> Cell<Vec<T>> {
        self.parts(name, parse_id)
    }

    pub(super) fn decimals(&self, name: &str) -> Cell<Vec<Decimal>> {
        self.parts(name, |text, field| parse_decimal(text, &field.numbers))
    }

    fn parts<T>(&self, name: &str, parse: impl Fn(&str, &Field) -> Result<T, String>) -> Cell<Vec<T>> {
        let list = self.read(name, |text, field| {
            let texts = match field.keys.separator {
                Some(separator) => text.split(separator).collect(),
                None => vec![text],
            };
            let texts = texts.into_iter().map(str::trim).filter(|text| !text.is_empty());
            texts.map(|text| parse(text, field)).collect::<Result<Vec<_>, _>>()
        })?;
        Ok(list.unwrap_or_default())
    }
}

fn parse_id<T: FromStr<Err = IdError>>(text: &str, field: &Field) -> Result<T, String> {
    T::from_str(&field.id_text(text)).map_err(|error| error.to_string())
}

/// The cell as it stands. A line that ends before a fixed column has a blank one.
fn raw<'a>(record: &'a Record, field: &'a Field) -> Result<Cow<'a, str>, String> {
    let text = match (&field.place, &record.cells) {
        (Place::Constant(value), _) => return Ok(Cow::Borrowed(value)),
        (Place::Number(number), Cells::Delimited(cells)) => {
            let missing = || format!("the row has {} columns, this is column {}", cells.len(), number + 1);
            Cow::Borrowed(cells.get(*number).ok_or_else(missing)?)
        }
        (Place::Slice { at, width }, Cells::Fixed(line)) => {
            Cow::Owned(line.chars().skip(*at).take(*width).collect())
        }
        (Place::Named(_), _)
        | (Place::Number(_), Cells::Fixed(_))
        | (Place::Slice { .. }, Cells::Delimited(_)) => Cow::Borrowed(""),
    };
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(format!("{:?} has bytes that are not of the mapping's encoding", shorten(&text)));
    }
    Ok(text)
}
