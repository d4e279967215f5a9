//! What a writer must still know after a crash, in one embedded database.
//!
//! Progress kept in a file of its own beside the messages is what loses or doubles data: the two are never
//! written at the same instant. Here one transaction holds everything that a submission changes: the
//! adapter's own notes (file taken, log position read), the mirror of all rows published, and the messages
//! to send with their sequences. A crash before its commit leaves nothing, one after it leaves all of it.
//!
//! | table | holds |
//! |---|---|
//! | `chains` | subject: epoch, writer's token, last sequence given out, last acknowledged, position |
//! | `outbox` | messages to send, in order, byte for byte as they will be stored |
//! | `rows` | every row published and not removed, by [`RowKey`](super::row_key) |
//! | `homes` | contract or account with prices: the partition that they are in |
//! | `notes` | whatever the adapter itself must remember |

use std::path::Path;

use pannier_protocol::codec::{self, DecodeError, EncodeError};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding, Epoch, Partition, SourceId, Timestamp};
use pannier_streams::writer::WriterToken;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::home::{is_ledger, partition_in, price_scope};
use super::row_key::home_key;
use crate::limits::STORED_BYTES_MAX;

type Bytes = &'static [u8];

const CHAINS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("chains");
const OUTBOX: TableDefinition<'_, u64, Bytes> = TableDefinition::new("outbox");
const ROWS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("rows");
const HOMES: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("homes");
const NOTES: TableDefinition<'_, &str, Bytes> = TableDefinition::new("notes");

/// Why the store could not be read or written. Nothing of the transaction was kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the adapter's state is in use by another process, or damaged; stop the other one")]
    Open(#[source] Box<redb::Error>),
    #[error("the adapter's state could not be used; is the disk full?")]
    Redb(#[source] Box<redb::Error>),
    #[error("the adapter's state has an entry that this release cannot read: {0}")]
    Decode(#[from] DecodeError),
    #[error("the adapter's state has a message to send that this release cannot read")]
    Outbox,
    #[error("an entry of the adapter's state is not encodable: {0}")]
    Encode(#[from] EncodeError),
}

macro_rules! from_redb {
    ($($kind:ident),+) => {$(
        impl From<redb::$kind> for StoreError {
            fn from(error: redb::$kind) -> Self {
                Self::Redb(Box::new(error.into()))
            }
        }
    )+};
}

from_redb!(TransactionError, TableError, StorageError, CommitError, SetDurabilityError);

/// One chain as its writer left it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChainRecord {
    /// `None`: to be claimed, and begun with a snapshot of all its rows.
    pub(super) epoch: Option<Epoch>,
    /// Of the writer that claimed it: by this a message sent before a crash is known as one's own.
    #[serde(default)]
    pub(super) token: Option<WriterToken>,
    /// The last one given out; 0 after a claim.
    pub(super) sequence: u64,
    /// The last one known to be stored.
    pub(super) acknowledged: u64,
    /// Where that one stands in the stream.
    pub(super) stream_sequence: u64,
    /// The source's, of the last message.
    pub(super) position: u64,
    /// When all its rows were queued last, as a snapshot; `None`: never, or by a release that did not note it.
    #[serde(default)]
    pub(super) whole_at: Option<Timestamp>,
}

/// Something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outgoing {
    Message {
        subject: Subject,
        sequence: u64,
        payload: Vec<u8>,
    },
    /// Create-only.
    Review {
        kind: String,
        origin: String,
        payload: Vec<u8>,
    },
}

impl Outgoing {
    /// One line of text, and the payload as it is: a list of numbers would take twice the room.
    fn stored(&self) -> Vec<u8> {
        let (head, payload) = match self {
            Self::Message { subject, sequence, payload } => (format!("m {subject} {sequence}\n"), payload),
            Self::Review { kind, origin, payload } => (format!("r {kind} {origin}\n"), payload),
        };
        [head.as_bytes(), payload].concat()
    }

    fn read(stored: &[u8]) -> Option<Self> {
        let end = stored.iter().position(|byte| *byte == b'\n')?;
        let payload = stored[end + 1..].to_vec();
        let head = std::str::from_utf8(&stored[..end]).ok()?;
        match head.split(' ').collect::<Vec<_>>().as_slice() {
            ["m", subject, sequence] => {
                let (subject, sequence) = (Subject::parse(subject).ok()?, sequence.parse().ok()?);
                Some(Self::Message { subject, sequence, payload })
            }
            ["r", kind, origin] => {
                Some(Self::Review { kind: (*kind).to_owned(), origin: (*origin).to_owned(), payload })
            }
            _ => None,
        }
    }

    fn decode(stored: &[u8]) -> Result<Self, StoreError> {
        Self::read(stored).ok_or(StoreError::Outbox)
    }
}

/// The database. One process holds it at a time.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
}

/// All tables of one write.
pub(super) struct Tables<'t> {
    pub(super) chains: Table<'t, &'static str, Bytes>,
    pub(super) outbox: Table<'t, u64, Bytes>,
    pub(super) rows: Table<'t, Bytes, Bytes>,
    pub(super) homes: Table<'t, Bytes, Bytes>,
    pub(super) notes: Table<'t, &'static str, Bytes>,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let open = |error: redb::DatabaseError| StoreError::Open(Box::new(error.into()));
        let store = Self { database: Database::create(path).map_err(open)? };
        store.write(|_| Ok(()))?;
        Ok(store)
    }

    /// Runs `change` as one transaction; durable when this returns.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        Self::run(self.database.begin_write()?, change)
    }

    /// The same, but durable only with the next [`Store::write`]: for what the broker can be asked again.
    pub(super) fn write_lazily<T>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        Self::run(transaction, change)
    }

    fn run<T>(
        transaction: WriteTransaction,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut tables = Tables {
            chains: transaction.open_table(CHAINS)?,
            outbox: transaction.open_table(OUTBOX)?,
            rows: transaction.open_table(ROWS)?,
            homes: transaction.open_table(HOMES)?,
            notes: transaction.open_table(NOTES)?,
        };
        let value = change(&mut tables)?;
        drop(tables);
        transaction.commit()?;
        Ok(value)
    }

    /// What is to be sent next.
    pub(super) fn next_outgoing(&self) -> Result<Option<(u64, Outgoing)>, StoreError> {
        let transaction = self.database.begin_read()?;
        let outbox = transaction.open_table(OUTBOX)?;
        let Some((id, bytes)) = outbox.first()? else { return Ok(None) };
        Ok(Some((id.value(), Outgoing::decode(bytes.value())?)))
    }

    /// Whether nothing is to be sent beside `id`, which may be gone.
    pub(super) fn is_last(&self, id: u64) -> Result<bool, StoreError> {
        let transaction = self.database.begin_read()?;
        let outbox = transaction.open_table(OUTBOX)?;
        Ok(outbox.last()?.is_none_or(|(last, _)| last.value() <= id))
    }

    pub(super) fn chains(&self) -> Result<Vec<(Subject, ChainRecord)>, StoreError> {
        let transaction = self.database.begin_read()?;
        chains_of(&transaction.open_table(CHAINS)?)
    }

    /// A chain as it is; one that was never written is empty.
    pub(super) fn chain(&self, subject: &Subject) -> Result<ChainRecord, StoreError> {
        let transaction = self.database.begin_read()?;
        let chains = transaction.open_table(CHAINS)?;
        let bytes = chains.get(subject.to_string().as_str())?;
        bytes.map_or_else(|| Ok(ChainRecord::default()), |bytes| decode(bytes.value()))
    }

    pub(super) fn note(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let transaction = self.database.begin_read()?;
        Ok(transaction.open_table(NOTES)?.get(key)?.map(|bytes| bytes.value().to_vec()))
    }

    /// All notes whose key begins so, in order.
    pub(super) fn notes(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let transaction = self.database.begin_read()?;
        let notes = transaction.open_table(NOTES)?;
        let mut found = Vec::new();
        for entry in notes.range(prefix..)? {
            let (key, bytes) = entry?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.push((key.value().to_owned(), bytes.value().to_vec()));
        }
        Ok(found)
    }

    /// The subject on which a change of `source` is, as far as it was submitted before.
    pub(super) fn subject_of(&self, source: &SourceId, change: &Change) -> Result<Subject, StoreError> {
        if change.table().is_some_and(is_ledger) {
            return Ok(Subject::Stock(source.clone()));
        }
        let transaction = self.database.begin_read()?;
        let homes = transaction.open_table(HOMES)?;
        let home =
            price_scope(change).map(|scope| homes.get(home_key(scope).as_slice())).transpose()?.flatten();
        let partition = home.map(|home| partition_in(home.value())).transpose()?.flatten();
        Ok(Subject::Catalog(partition.unwrap_or(Partition::Shared), source.clone()))
    }

    /// One row of the mirror.
    pub(super) fn row(&self, key: &[u8]) -> Result<Option<Change>, StoreError> {
        let transaction = self.database.begin_read()?;
        let rows = transaction.open_table(ROWS)?;
        rows.get(key)?.map(|bytes| decode(bytes.value())).transpose()
    }

    /// All rows of the mirror whose key begins so, in order.
    pub(super) fn rows(&self, prefix: &[u8]) -> Result<Vec<Change>, StoreError> {
        let transaction = self.database.begin_read()?;
        rows_of(&transaction.open_table(ROWS)?, prefix)
    }
}

pub(super) fn rows_of(
    rows: &impl ReadableTable<Bytes, Bytes>,
    prefix: &[u8],
) -> Result<Vec<Change>, StoreError> {
    let mut found = Vec::new();
    for entry in rows.range(prefix..)? {
        let (key, bytes) = entry?;
        if !key.value().starts_with(prefix) {
            break;
        }
        found.push(decode(bytes.value())?);
    }
    Ok(found)
}

fn chains_of(
    chains: &impl ReadableTable<&'static str, Bytes>,
) -> Result<Vec<(Subject, ChainRecord)>, StoreError> {
    let mut found = Vec::new();
    for entry in chains.iter()? {
        let (subject, bytes) = entry?;
        if let Ok(subject) = Subject::parse(subject.value()) {
            found.push((subject, decode(bytes.value())?));
        }
    }
    Ok(found)
}

impl Tables<'_> {
    /// A chain as it is; one that was never written is empty.
    pub(super) fn chain(&self, subject: &Subject) -> Result<ChainRecord, StoreError> {
        let bytes = self.chains.get(subject.to_string().as_str())?;
        bytes.map_or_else(|| Ok(ChainRecord::default()), |bytes| decode(bytes.value()))
    }

    pub(super) fn put_chain(&mut self, subject: &Subject, chain: &ChainRecord) -> Result<(), StoreError> {
        self.chains.insert(subject.to_string().as_str(), encode(chain)?.as_slice())?;
        Ok(())
    }

    pub(super) fn chains(&self) -> Result<Vec<(Subject, ChainRecord)>, StoreError> {
        chains_of(&self.chains)
    }

    /// Appends to what is to be sent.
    pub(super) fn push(&mut self, outgoing: &Outgoing) -> Result<(), StoreError> {
        let id = self.outbox.last()?.map_or(0, |(id, _)| id.value() + 1);
        self.outbox.insert(id, outgoing.stored().as_slice())?;
        Ok(())
    }

    /// Takes all messages of a subject out of what is to be sent.
    pub(super) fn drop_messages(&mut self, of: &Subject) -> Result<(), StoreError> {
        let mut dropped = Vec::new();
        for entry in self.outbox.iter()? {
            let (id, bytes) = entry?;
            let outgoing = Outgoing::decode(bytes.value())?;
            if matches!(&outgoing, Outgoing::Message { subject, .. } if subject == of) {
                dropped.push(id.value());
            }
        }
        for id in dropped {
            self.outbox.remove(id)?;
        }
        Ok(())
    }
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    Ok(codec::encode(Encoding::MessagePack, value)?)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    Ok(codec::decode(Encoding::MessagePack, bytes, STORED_BYTES_MAX)?)
}
