//! What waits to be delivered, in one embedded database: how far nodes were read stands in the same transaction as what
//! was read, so a crash neither loses an event nor makes it another one.
//!
//! | table | holds |
//! |---|---|
//! | `progress` | where nodes go on from, and how many events were taken |
//! | `pending` | events to deliver, by number |
//! | `dead` | those that were given up and are not on the review list yet |

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::event::{Event, Lane};
use crate::runner::{OpenError, StoreError, decode, encode};

type Bytes = &'static [u8];

const PROGRESS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("progress");
const PENDING: TableDefinition<'_, u64, Bytes> = TableDefinition::new("pending");
const DEAD: TableDefinition<'_, u64, Bytes> = TableDefinition::new("dead");
/// The one key of the progress.
const HERE: &str = "here";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    place: Option<String>,
    /// Numbers of events go on from here.
    taken: u64,
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dead {
    pub(super) event: Event,
    pub(super) reason: String,
}

/// One process holds it at a time; its calls block on the disk.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
}

impl Store {
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
        let database = Database::create(folder.join("webhook.redb"));
        let database = database.map_err(|error| StoreError::Open(Box::new(error.into())))?;
        let store = Self { database };
        store.settle(&[], &[])?;
        Ok(store)
    }

    /// Where nodes go on from.
    pub(super) fn place(&self) -> Result<Option<String>, StoreError> {
        let transaction = self.database.begin_read()?;
        Ok(progress(&transaction.open_table(PROGRESS)?)?.place)
    }

    /// Takes in what was read up to `place`; durable when it returns. Gives the number of each.
    pub(super) fn take(&self, place: &str, events: &[Event]) -> Result<Vec<(u64, Lane)>, StoreError> {
        let transaction = self.database.begin_write()?;
        let mut numbered = Vec::with_capacity(events.len());
        {
            let mut table = transaction.open_table(PROGRESS)?;
            let mut pending = transaction.open_table(PENDING)?;
            let mut progress = progress(&table)?;
            for event in events {
                pending.insert(progress.taken, encode(event)?.as_slice())?;
                numbered.push((progress.taken, event.lane));
                progress.taken += 1;
            }
            progress.place = Some(place.to_owned());
            table.insert(HERE, encode(&progress)?.as_slice())?;
        }
        transaction.commit()?;
        Ok(numbered)
    }

    /// All that waits, in the order in which it was taken.
    pub(super) fn pending(&self) -> Result<Vec<(u64, Lane)>, StoreError> {
        let transaction = self.database.begin_read()?;
        let mut found = Vec::new();
        for entry in transaction.open_table(PENDING)?.iter()? {
            let (number, bytes) = entry?;
            found.push((number.value(), decode::<Event>(bytes.value())?.lane));
        }
        Ok(found)
    }

    pub(super) fn event(&self, number: u64) -> Result<Option<Event>, StoreError> {
        let transaction = self.database.begin_read()?;
        let bytes = transaction.open_table(PENDING)?.get(number)?;
        bytes.map(|bytes| decode(bytes.value())).transpose()
    }

    /// Takes out what was delivered, and lays aside what was given up, with its reason.
    pub(super) fn settle(&self, delivered: &[u64], given_up: &[(u64, String)]) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        {
            transaction.open_table(PROGRESS)?;
            let mut pending = transaction.open_table(PENDING)?;
            let mut dead = transaction.open_table(DEAD)?;
            for number in delivered {
                pending.remove(number)?;
            }
            for (number, reason) in given_up {
                let Some(bytes) = pending.remove(number)? else { continue };
                let laid_aside = Dead { event: decode(bytes.value())?, reason: reason.clone() };
                dead.insert(number, encode(&laid_aside)?.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// What is to be put on the review list next.
    pub(super) fn next_dead(&self) -> Result<Option<(u64, Dead)>, StoreError> {
        let transaction = self.database.begin_read()?;
        let dead = transaction.open_table(DEAD)?;
        let Some((number, bytes)) = dead.first()? else { return Ok(None) };
        Ok(Some((number.value(), decode(bytes.value())?)))
    }

    /// It is on the review list.
    pub(super) fn reviewed(&self, number: u64) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(DEAD)?.remove(number)?;
        transaction.commit()?;
        Ok(())
    }
}

fn progress(table: &impl ReadableTable<&'static str, Bytes>) -> Result<Progress, StoreError> {
    let bytes = table.get(HERE)?;
    bytes.map_or_else(|| Ok(Progress::default()), |bytes| decode(bytes.value()))
}

#[cfg(test)]
mod tests {
    use pannier_protocol::Timestamp;

    use super::*;

    fn event(id: &str) -> Event {
        Event { id: id.to_owned(), lane: None, taken_at: Timestamp::default(), body: "{}".to_owned() }
    }

    #[test]
    fn what_was_taken_waits_until_it_is_settled_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.place().unwrap(), None);
        let taken = store.take("7f3a.9.0", &[event("a"), event("b"), event("c")]).unwrap();
        assert_eq!(taken, [(0, None), (1, None), (2, None)]);
        assert!(Store::open(folder.path()).is_err(), "one process at a time");
        store.settle(&[0], &[(1, "410".to_owned())]).unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.place().unwrap().as_deref(), Some("7f3a.9.0"));
        assert_eq!(store.pending().unwrap(), [(2, None)]);
        assert_eq!((store.event(0).unwrap(), store.event(2).unwrap()), (None, Some(event("c"))));
        let dead = Dead { event: event("b"), reason: "410".to_owned() };
        assert_eq!(store.next_dead().unwrap(), Some((1, dead)));
        store.reviewed(1).unwrap();
        assert_eq!(store.next_dead().unwrap(), None);
        // Numbers are never given out twice.
        store.settle(&[2], &[]).unwrap();
        assert_eq!(store.take("7f3a.10.0", &[event("d")]).unwrap(), [(3, None)]);
    }
}
