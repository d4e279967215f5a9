//! The messages of `pgoutput`, PostgreSQL's own format of a publication's changes, to rows of Tryton's tables.
//!
//! Protocol version 1, values as text. What is read: `R`elation, `I`nsert, `U`pdate, `D`elete, `T`runcate; the rest says
//! nothing about rows.

use std::collections::{BTreeMap, BTreeSet};

use super::publication::Schemas;
use super::table::{Id, Table};

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("a message of the log ends too early or is no text")]
    Damaged,
    #[error("a message of the log is about relation {relation}, which was not described before")]
    Unknown { relation: u32 },
    #[error("table {table} has no column {column} in the publication; publish whole tables")]
    Column { table: String, column: &'static str },
}

/// A column's new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Set(Option<String>),
    /// Large, and as it was: the log does not repeat it.
    AsBefore,
}

/// A row in the log; without fields it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) table: Table,
    pub(super) id: Id,
    pub(super) fields: Option<Vec<Field>>,
}

/// What one message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Row(Row),
    /// No row that was there is any more.
    Emptied(BTreeSet<Table>),
}

/// Where the columns of a table stand in its rows.
#[derive(Debug)]
struct Relation {
    table: Table,
    id: usize,
    columns: Vec<usize>,
}

/// Reads one session's messages: relations are described once in each.
#[derive(Debug)]
pub(super) struct Decoder {
    schemas: Schemas,
    /// `None`: a table that nobody asks about.
    relations: BTreeMap<u32, Option<Relation>>,
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    fn short(&mut self) -> Result<usize, DecodeError> {
        let bytes = self.take(2)?;
        Ok(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
    }

    fn long(&mut self) -> Result<u32, DecodeError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(DecodeError::Damaged)?;
        let text = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(text).map_err(|_| DecodeError::Damaged)
    }

    fn row(&mut self) -> Result<Vec<Field>, DecodeError> {
        let count = self.short()?;
        (0..count).map(|_| self.field()).collect()
    }

    fn field(&mut self) -> Result<Field, DecodeError> {
        match self.byte()? {
            b'n' => Ok(Field::Set(None)),
            b'u' => Ok(Field::AsBefore),
            b't' => {
                let length = usize::try_from(self.long()?).map_err(|_| DecodeError::Damaged)?;
                let text = std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::Damaged)?;
                Ok(Field::Set(Some(text.to_owned())))
            }
            _ => Err(DecodeError::Damaged),
        }
    }
}

impl Decoder {
    pub(super) fn new(schemas: Schemas) -> Self {
        Self { schemas, relations: BTreeMap::new() }
    }

    /// What one message says of rows, if anything.
    pub(super) fn read(&mut self, message: &[u8]) -> Result<Option<Entry>, DecodeError> {
        let mut bytes = Bytes(message);
        match bytes.byte()? {
            b'R' => self.describe(&mut bytes).map(|()| None),
            b'I' => {
                let relation = bytes.long()?;
                bytes.byte()?;
                self.changed(relation, bytes.row()?)
            }
            b'U' => {
                let relation = bytes.long()?;
                if bytes.byte()? != b'N' {
                    // The key as it was; Tryton never changes one.
                    bytes.row()?;
                    bytes.byte()?;
                }
                self.changed(relation, bytes.row()?)
            }
            b'D' => {
                let relation = bytes.long()?;
                bytes.byte()?;
                let fields = bytes.row()?;
                let Some(relation) = self.relation(relation)? else { return Ok(None) };
                let id = id_of(&fields, relation)?;
                Ok(Some(Entry::Row(Row { table: relation.table, id, fields: None })))
            }
            b'T' => self.emptied(&mut bytes),
            _ => Ok(None),
        }
    }

    fn describe(&mut self, bytes: &mut Bytes<'_>) -> Result<(), DecodeError> {
        let relation = bytes.long()?;
        let schema = bytes.text()?;
        let name = bytes.text()?;
        bytes.byte()?;
        let mut names = Vec::new();
        for _ in 0..bytes.short()? {
            bytes.byte()?;
            names.push(bytes.text()?);
            bytes.take(8)?;
        }
        let at = |column: &'static str| {
            let error = || DecodeError::Column { table: name.to_owned(), column };
            names.iter().position(|name| *name == column).ok_or_else(error)
        };
        let is_there = |table: &Table| self.schemas.get(table).is_some_and(|known| known == schema);
        let described = match Table::of_sql(name).filter(is_there) {
            Some(table) => {
                let columns = table.columns().iter().map(|column| at(column)).collect::<Result<_, _>>()?;
                Some(Relation { table, id: at("id")?, columns })
            }
            None => None,
        };
        self.relations.insert(relation, described);
        Ok(())
    }

    fn relation(&self, relation: u32) -> Result<Option<&Relation>, DecodeError> {
        let known = self.relations.get(&relation).ok_or(DecodeError::Unknown { relation })?;
        Ok(known.as_ref())
    }

    fn changed(&self, relation: u32, fields: Vec<Field>) -> Result<Option<Entry>, DecodeError> {
        let Some(relation) = self.relation(relation)? else { return Ok(None) };
        let id = id_of(&fields, relation)?;
        let field = |at: &usize| fields.get(*at).cloned().ok_or(DecodeError::Damaged);
        let fields = relation.columns.iter().map(field).collect::<Result<_, _>>()?;
        Ok(Some(Entry::Row(Row { table: relation.table, id, fields: Some(fields) })))
    }

    fn emptied(&self, bytes: &mut Bytes<'_>) -> Result<Option<Entry>, DecodeError> {
        let count = bytes.long()?;
        bytes.byte()?;
        let mut tables = BTreeSet::new();
        for _ in 0..count {
            tables.extend(self.relation(bytes.long()?)?.map(|relation| relation.table));
        }
        Ok((!tables.is_empty()).then_some(Entry::Emptied(tables)))
    }
}

/// A deleted row carries its key only, in its place.
fn id_of(fields: &[Field], relation: &Relation) -> Result<Id, DecodeError> {
    match fields.get(relation.id) {
        Some(Field::Set(Some(text))) => text.parse().map_err(|_| DecodeError::Damaged),
        Some(Field::Set(None) | Field::AsBefore) | None => Err(DecodeError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder() -> Decoder {
        Decoder::new([(Table::Party, "public".to_owned())].into())
    }

    fn emptied(relations: &[u32]) -> Vec<u8> {
        let mut bytes = vec![b'T'];
        bytes.extend(u32::try_from(relations.len()).unwrap().to_be_bytes());
        bytes.push(0);
        bytes.extend(relations.iter().flat_map(|relation| relation.to_be_bytes()));
        bytes
    }

    /// With the schema in front.
    fn relation(number: u32, name: &str, columns: &[&str]) -> Vec<u8> {
        let mut bytes = vec![b'R'];
        bytes.extend(number.to_be_bytes());
        bytes.extend(name.replace('.', "\0").as_bytes());
        bytes.extend([0, b'd']);
        bytes.extend(u16::try_from(columns.len()).unwrap().to_be_bytes());
        for column in columns {
            bytes.push(0);
            bytes.extend(column.as_bytes());
            bytes.extend([0; 9]);
        }
        bytes
    }

    /// `?` is null, `~` as before.
    fn row(kind: &[u8], relation: u32, mark: &[u8], fields: &[&str]) -> Vec<u8> {
        let mut bytes = kind.to_vec();
        bytes.extend(relation.to_be_bytes());
        bytes.extend(mark);
        bytes.extend(u16::try_from(fields.len()).unwrap().to_be_bytes());
        for field in fields {
            match *field {
                "?" => bytes.push(b'n'),
                "~" => bytes.push(b'u'),
                text => {
                    bytes.push(b't');
                    bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                    bytes.extend(text.as_bytes());
                }
            }
        }
        bytes
    }

    #[test]
    fn rows_are_read_by_the_names_of_their_columns() {
        let mut decoder = decoder();
        assert_eq!(
            decoder.read(&relation(7, "public.party_party", &["active", "id", "x", "code"])),
            Ok(None)
        );
        assert_eq!(decoder.read(&relation(8, "public.ir_cache", &["id"])), Ok(None));
        assert_eq!(decoder.read(&relation(6, "archive.party_party", &["id", "code"])), Ok(None));
        let set = |text: &str| Field::Set(Some(text.to_owned()));
        let party = |fields| Ok(Some(Entry::Row(Row { table: Table::Party, id: 3, fields })));
        for (message, want) in [
            (row(b"I", 7, b"N", &["t", "3", "?", "C"]), party(Some(vec![set("C"), set("t")]))),
            (row(b"U", 7, b"N", &["?", "3", "?", "~"]), party(Some(vec![Field::AsBefore, Field::Set(None)]))),
            (row(b"D", 7, b"K", &["?", "3", "?", "?"]), party(None)),
            (row(b"I", 8, b"N", &["1"]), Ok(None)),
            (row(b"I", 9, b"N", &["1"]), Err(DecodeError::Unknown { relation: 9 })),
            (row(b"I", 7, b"N", &["t"]), Err(DecodeError::Damaged)),
            (b"C".to_vec(), Ok(None)),
            (Vec::new(), Err(DecodeError::Damaged)),
            (row(b"I", 6, b"N", &["1", "C"]), Ok(None)),
            (emptied(&[8, 7, 6]), Ok(Some(Entry::Emptied([Table::Party].into())))),
            (emptied(&[8]), Ok(None)),
            (emptied(&[9]), Err(DecodeError::Unknown { relation: 9 })),
        ] {
            assert_eq!(decoder.read(&message), want, "{message:?}");
        }
        let lacking =
            decoder.read(&relation(7, "public.party_party", &["id", "code"])).unwrap_err().to_string();
        assert_eq!(
            lacking,
            "table party_party has no column active in the publication; publish whole tables"
        );
    }

    /// Whatever the bytes, it is an error and no panic.
    #[test]
    fn a_message_cut_short_is_damaged() {
        let mut decoder = decoder();
        decoder.read(&relation(7, "public.party_party", &["id", "code", "active"])).unwrap();
        let whole = row(b"U", 7, b"N", &["3", "C", "t"]);
        for end in 0..whole.len() {
            assert_eq!(decoder.read(&whole[..end]), Err(DecodeError::Damaged), "{end}");
        }
    }
}
