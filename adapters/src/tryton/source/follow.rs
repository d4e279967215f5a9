//! Publishing from PostgreSQL's log.
//!
//! The slot is the adapter's own and stays: while the adapter is away the server keeps the log for it. At the first
//! start, and where the slot cannot go on (dropped, its log removed, another or a restored server, another or a changed
//! publication), all tables are read in the very snapshot at which a new slot begins, and the log goes on from there.
//!
//! The rows of one transaction are taken in together, with where its commit ends; only when that is durable the server is
//! told that it may forget it. A transaction that comes twice says nothing new. The server is never told of a place
//! that is not on this disk: a slot that is further than that is another one, and the tables are read again.
//!
//! How old what was published is: where the server's log ended at some instant was asked, and once the stream has
//! passed that place, all that was committed before that instant is here.
//!
//! The log leaves large values out that stayed as they were. They are taken from what is kept of the row; where that has
//! none, all tables are read again, for nothing else knows it.

use std::collections::BTreeSet;

use pannier_protocol::{Timestamp, TransactionId};
use pgwire_replication::{Lsn, ReplicationClient, ReplicationConfig as Connection, ReplicationEvent};

use super::SourceError;
use super::intake::Batch;
use super::log::{ANSWER_MAX, LogError, Session, connection};
use super::pgoutput::{Decoder, Entry, Field, Row};
use super::publish::{Pauses, Publisher, every};
use super::table::{Cells, Read, Table, note_key};
use crate::runner::{decode, encode, now};
use crate::tryton::TrytonConfig;

/// Which server was read, and up to where.
const PLACE_NOTE: &str = "log/place";
type Place = (String, u64);

/// Follows one database.
pub(super) struct Follower {
    publisher: Publisher,
    connection: Connection,
    system: String,
    publication: String,
    /// In this life of the process: what is refused was not before.
    has_followed: bool,
    /// What the log left out is to be read, and how often that was so.
    is_behind: bool,
    gaps: u64,
}

/// A transaction that is coming in.
#[derive(Default)]
struct Open {
    id: u32,
    reads: Vec<Read>,
    /// Of these there are no other rows.
    emptied: BTreeSet<Table>,
}

/// What is known of one stream.
struct Stream {
    client: ReplicationClient,
    decoder: Decoder,
    open: Option<Open>,
    /// Everything before it is here.
    passed: Lsn,
    /// As far as that is on disk, and the server told.
    kept: Lsn,
    /// Where the log ended at an instant.
    awaited: Option<(Lsn, Timestamp)>,
}

impl Stream {
    /// All before `at` is on disk.
    fn keep(&mut self, at: Lsn) {
        self.kept = self.kept.max(at);
        self.client.update_applied_lsn(self.kept);
    }
}

impl Follower {
    pub(super) async fn open(config: &TrytonConfig) -> Result<Option<Self>, SourceError> {
        let Some(replication) = &config.replication else { return Ok(None) };
        let connection = connection(replication)?;
        let publisher = Publisher::open(config).await?;
        let (has_followed, is_behind, gaps) = (false, false, 0);
        let (system, publication) = (String::new(), String::new());
        Ok(Some(Self { publisher, connection, system, publication, has_followed, is_behind, gaps }))
    }

    pub(super) async fn work(&mut self, config: &TrytonConfig) -> Result<(), SourceError> {
        let (mut ticks, mut pauses) = (every(config.catalog.tick_ms), Pauses::default());
        loop {
            let error = match self.session(&mut ticks, &mut pauses).await {
                Err(SourceError::Log(error)) => error,
                ended => return ended,
            };
            let pause = pauses.next();
            match &error {
                LogError::Wire(_) | LogError::Ended | LogError::Changed => {
                    tracing::warn!(%error, ?pause, "the log cannot be followed; trying again");
                }
                LogError::Denied(_) if self.has_followed => {
                    tracing::error!(%error, ?pause, "nothing new is published until this is mended; trying again");
                }
                LogError::NotKept { .. } => {
                    (self.is_behind, self.gaps) = (true, self.gaps + 1);
                    tracing::error!(%error, gaps = self.gaps, "reading all tables again");
                }
                LogError::Denied(_)
                | LogError::Answer { .. }
                | LogError::Publication(_)
                | LogError::Plugin { .. }
                | LogError::Decode(_) => return Err(error.into()),
            }
            self.publisher.wait(pause, &mut ticks).await?;
        }
    }

    async fn session(
        &mut self,
        ticks: &mut tokio::time::Interval,
        pauses: &mut Pauses,
    ) -> Result<(), SourceError> {
        let mut session = Session::open(&self.connection).await?;
        let schemas = session.schemas().await?;
        let at = self.begin(&mut session).await?;
        self.publisher.publish().await?;
        let client = session.stream(at).await?;
        pauses.reset();
        self.has_followed = true;
        let decoder = Decoder::new(schemas);
        let mut stream = Stream { client, decoder, open: None, passed: at, kept: at, awaited: None };
        loop {
            tokio::select! {
                event = stream.client.recv() => {
                    let event = event.map_err(LogError::from)?.ok_or(LogError::Ended)?;
                    self.heard(&mut stream, event).await?;
                }
                _ = ticks.tick() => {
                    if stream.awaited.is_none() {
                        let begun = now();
                        let asked = tokio::time::timeout(ANSWER_MAX, self.end(&mut session)).await;
                        stream.awaited = Some((asked.map_err(|_| LogError::Ended)??, begun));
                    }
                    if stream.passed > stream.kept {
                        // Of others' tables; without it the server would keep its log of them for a quiet Tryton.
                        self.take(Batch::default(), stream.passed).await?;
                        stream.keep(stream.passed);
                    }
                    self.publisher.publish().await?;
                }
                repeated = self.publisher.repeat_on_request() => repeated?,
            }
        }
    }

    /// Up to where the log is, if it is still the same one.
    async fn end(&self, session: &mut Session) -> Result<Lsn, LogError> {
        let end = session.end().await?;
        if session.publication().await? == self.publication { Ok(end) } else { Err(LogError::Changed) }
    }

    /// Where the log is to be followed from; reads all tables where it cannot go on.
    async fn begin(&mut self, session: &mut Session) -> Result<Lsn, SourceError> {
        let server = session.server().await?;
        let place = self.publisher.desk().note(PLACE_NOTE)?;
        let place: Option<Place> = place.map(|bytes| decode(&bytes)).transpose()?;
        self.system.clone_from(&server.system);
        self.publication.clone_from(&server.publication);
        if let Some((system, at)) = place.filter(|_| self.publisher.is_begun() && !self.is_behind)
            && server.goes_on(&system, Lsn(at))
        {
            return Ok(Lsn(at));
        }
        tracing::info!(slot = self.connection.slot, "reading all tables at the beginning of a new slot");
        let begun = now();
        let (at, reads) = session.snapshot(&server).await?;
        let whole = Table::ALL.iter().copied().collect();
        self.take(Batch { reads, whole, ..Batch::default() }, at).await?;
        self.publisher.read_to(begun);
        self.is_behind = false;
        Ok(at)
    }

    async fn take(&mut self, mut batch: Batch, at: Lsn) -> Result<bool, SourceError> {
        batch.position = at.0;
        let place: Place = (self.system.clone(), at.0);
        batch.notes.push((PLACE_NOTE.to_owned(), Some(encode(&place)?)));
        self.publisher.take(batch).await
    }

    async fn heard(&mut self, stream: &mut Stream, event: ReplicationEvent) -> Result<(), SourceError> {
        match event {
            ReplicationEvent::Begin { xid, .. } => {
                stream.open = Some(Open { id: xid, ..Open::default() });
            }
            ReplicationEvent::XLogData { data, .. } => {
                let entry = stream.decoder.read(&data).map_err(LogError::from)?;
                match (entry, &mut stream.open) {
                    (Some(Entry::Row(row)), Some(open)) => {
                        let before = self.before(&row, &open.reads)?;
                        open.reads.push(completed(row, before.as_ref())?);
                    }
                    (Some(Entry::Emptied(tables)), Some(open)) => {
                        open.reads.retain(|read| !tables.contains(&read.table));
                        open.emptied.extend(tables);
                    }
                    (Some(_) | None, _) => {}
                }
            }
            ReplicationEvent::Commit { end_lsn, .. } => {
                let says = |open: &Open| !(open.reads.is_empty() && open.emptied.is_empty());
                if let Some(Open { id, reads, emptied: whole }) = stream.open.take().filter(says) {
                    let transaction = TransactionId::new(&format!("{id}-{end_lsn}")).ok();
                    let batch = Batch { reads, whole, transaction, ..Batch::default() };
                    let says = self.take(batch, end_lsn).await?;
                    stream.keep(end_lsn);
                    if says {
                        self.publisher.publish().await?;
                    }
                }
                self.passed(stream, end_lsn);
            }
            ReplicationEvent::KeepAlive { wal_end, .. } if stream.open.is_none() => {
                self.passed(stream, wal_end);
            }
            ReplicationEvent::KeepAlive { .. }
            | ReplicationEvent::Message { .. }
            | ReplicationEvent::StoppedAt { .. } => {}
        }
        Ok(())
    }

    /// All before `at` is here.
    fn passed(&mut self, stream: &mut Stream, at: Lsn) {
        stream.passed = stream.passed.max(at);
        if let Some((_, begun)) = stream.awaited.take_if(|(end, _)| *end <= stream.passed) {
            self.publisher.read_to(begun);
        }
    }

    /// What a row was before, if it has to be known: in this transaction, or kept.
    fn before(&self, row: &Row, reads: &[Read]) -> Result<Option<Cells>, SourceError> {
        let (table, id) = (row.table, row.id);
        if !row.fields.as_ref().is_some_and(|fields| fields.contains(&Field::AsBefore)) {
            return Ok(None);
        }
        if let Some(read) = reads.iter().rev().find(|read| (read.table, read.id) == (table, id)) {
            return Ok(read.cells.clone());
        }
        let kept = self.publisher.desk().note(&note_key(table, id))?;
        Ok(kept.map(|bytes| decode(&bytes)).transpose()?)
    }
}

/// With what the log left out because it is as it was before.
fn completed(row: Row, before: Option<&Cells>) -> Result<Read, LogError> {
    let Row { table, id, fields } = row;
    let Some(fields) = fields else { return Ok(Read { table, id, cells: None }) };
    let columns = table.columns().iter().zip(fields);
    let cell = |(at, (column, field)): (usize, (&&'static str, Field))| match field {
        Field::Set(cell) => Ok(cell),
        Field::AsBefore => match before.and_then(|cells| cells.get(at)) {
            Some(Some(text)) => Ok(Some(text.clone())),
            // Null is never large.
            Some(None) | None => Err(LogError::NotKept { table: table.sql(), id, column }),
        },
    };
    let cells = columns.enumerate().map(cell).collect::<Result<_, _>>()?;
    Ok(Read { table, id, cells: Some(cells) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_leaves_out_is_as_it_was_or_nobody_knows() {
        let text = |text: &str| Some(text.to_owned());
        let kept = |name: &str| Some(vec![text(name), text("t")]);
        let null = Some(vec![None, text("t")]);
        let row = |name: Field| {
            let fields = Some(vec![name, Field::Set(text("f"))]);
            Row { table: Table::Party, id: 3, fields }
        };
        for (name, before, want) in [
            (Field::Set(text("B")), kept("A"), Some(text("B"))),
            (Field::Set(None), kept("A"), Some(None)),
            (Field::AsBefore, kept("A"), Some(text("A"))),
            (Field::AsBefore, null, None),
            (Field::AsBefore, None, None),
            (Field::AsBefore, Some(Vec::new()), None),
        ] {
            let what = format!("{name:?} after {before:?}");
            match (completed(row(name), before.as_ref()), want) {
                (Ok(read), Some(want)) => assert_eq!(read.cells, Some(vec![want, text("f")]), "{what}"),
                (Err(LogError::NotKept { column: "code", .. }), None) => {}
                (got, _) => panic!("{what}: {got:?}"),
            }
        }
    }
}
