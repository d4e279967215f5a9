//! Publishing from PostgreSQL's log.
//!
//! The slot is the adapter's own and stays: while the adapter is away the server keeps the log for it. At the first
//! start, and where the slot cannot go on (dropped, its log removed, another or a restored server), all tables are
//! read in the very snapshot at which a new slot begins, and the log goes on from there.
//!
//! The rows of one transaction are taken in together, with where its commit ends; only when that is durable the server is
//! told that it may forget it. A transaction that comes twice says nothing new. The server is never told of a place
//! that is not on this disk: a slot that is further than that is another one, and the tables are read again.
//!
//! How old what was published is: where the server's log ended at some instant was asked, and once the stream has
//! passed that place, all that was committed before that instant is here.

use pannier_protocol::{Timestamp, TransactionId};
use pgwire_replication::{Lsn, ReplicationClient, ReplicationConfig as Connection, ReplicationEvent};

use super::SourceError;
use super::intake::Batch;
use super::log::{ANSWER_MAX, LogError, Session, connection};
use super::pgoutput::{Decoder, Field, Row};
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
}

/// What is known of one stream.
struct Stream {
    client: ReplicationClient,
    decoder: Decoder,
    /// Of the transaction that is coming in.
    open: Option<(u32, Vec<Read>)>,
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
        Ok(Some(Self { publisher, connection, system: String::new() }))
    }

    pub(super) async fn work(&mut self, config: &TrytonConfig) -> Result<(), SourceError> {
        let (mut ticks, mut pauses) = (every(config.catalog.tick_ms), Pauses::default());
        loop {
            match self.session(&mut ticks, &mut pauses).await {
                Err(SourceError::Log(error)) if error.is_passing() => {
                    let pause = pauses.next();
                    tracing::warn!(%error, ?pause, "the log cannot be followed; trying again");
                    self.publisher.wait(pause, &mut ticks).await?;
                }
                ended => return ended,
            }
        }
    }

    async fn session(
        &mut self,
        ticks: &mut tokio::time::Interval,
        pauses: &mut Pauses,
    ) -> Result<(), SourceError> {
        let mut session = Session::open(&self.connection).await?;
        let at = self.begin(&mut session).await?;
        self.publisher.publish().await?;
        let client = session.stream(at).await?;
        pauses.reset();
        let decoder = Decoder::default();
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
                        let end = tokio::time::timeout(ANSWER_MAX, session.end()).await;
                        stream.awaited = Some((end.map_err(|_| LogError::Ended)??, begun));
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

    /// Where the log is to be followed from; reads all tables where it cannot go on.
    async fn begin(&mut self, session: &mut Session) -> Result<Lsn, SourceError> {
        let server = session.server().await?;
        let place = self.publisher.desk().note(PLACE_NOTE)?;
        let place: Option<Place> = place.map(|bytes| decode(&bytes)).transpose()?;
        self.system.clone_from(&server.system);
        if let Some((system, at)) = place.filter(|_| self.publisher.is_begun())
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
            ReplicationEvent::Begin { xid, .. } => stream.open = Some((xid, Vec::new())),
            ReplicationEvent::XLogData { data, .. } => {
                let row = stream.decoder.read(&data).map_err(LogError::from)?;
                if let (Some(row), Some((_, reads))) = (row, &mut stream.open) {
                    let read = self.completed(row, reads)?;
                    reads.push(read);
                }
            }
            ReplicationEvent::Commit { end_lsn, .. } => {
                if let Some((xid, reads)) = stream.open.take().filter(|(_, reads)| !reads.is_empty()) {
                    let transaction = TransactionId::new(&format!("{xid}-{end_lsn}")).ok();
                    let batch = Batch { reads, transaction, ..Batch::default() };
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

    /// With what the log left out because it is as it was: in this transaction, or kept.
    fn completed(&self, row: Row, reads: &[Read]) -> Result<Read, SourceError> {
        let Row { table, id, fields } = row;
        let Some(fields) = fields else { return Ok(Read { table, id, cells: None }) };
        let mut before: Option<Cells> = None;
        if fields.contains(&Field::AsBefore) {
            let earlier = reads.iter().rev().find(|read| (read.table, read.id) == (table, id));
            before = match earlier {
                Some(read) => read.cells.clone(),
                None => {
                    let kept = self.publisher.desk().note(&note_key(table, id))?;
                    kept.map(|bytes| decode(&bytes)).transpose()?
                }
            };
        }
        let cell = |(at, field): (usize, Field)| match field {
            Field::Set(cell) => cell,
            Field::AsBefore => before.as_ref().and_then(|cells| cells.get(at).cloned()).flatten(),
        };
        Ok(Read { table, id, cells: Some(fields.into_iter().enumerate().map(cell).collect()) })
    }
}
