//! The one writer of the tables: takes entries of both streams in the order of each, hands them to the fold,
//! and says how far it is after every batch. Folding is computation, so it has a thread of its own and takes
//! no turns from the requests.

use std::sync::Arc;

use pannier_core::catalog::Catalog;
use pannier_core::checkpoint::{Busy, Frozen, Head, LastMessage};
use pannier_core::entry::{DropReason, Effect, Entry};
use pannier_core::ledger::Ledger;
use pannier_protocol::subject::{Prefix, SubjectError};
use pannier_protocol::{Incarnation, StreamSequence};
use pannier_streams::consumer::{Delivery, Position};
use pannier_streams::stored::StoredDigest;
use tokio::sync::mpsc;

use super::consume::Step;
use super::review::Finding;
use crate::app::App;
use crate::checkpoint::{FolderError, Tail, Taken};
use crate::clock::Moment;
use crate::limits::APPLY_STEPS_MAX;
use crate::members::Digests;
use crate::metrics::{OfReason, OfStream};
use crate::progress::{Positions, State, StreamName};
use crate::shutdown::Tasks;

/// What the fold wants published.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Review(Box<Finding>),
    /// A chain became suspect: look at once who is to be asked.
    Resync,
}

pub(crate) struct Applier {
    pub(crate) app: Arc<App>,
    pub(crate) tasks: Tasks,
    pub(crate) incarnation: Incarnation,
    pub(crate) ledger: Ledger,
    pub(crate) catalog: Catalog,
    pub(crate) last: LastMessages,
    /// Where entries of the ledger are kept; `None` without a folder.
    pub(crate) tail: Option<Tail>,
    pub(crate) steps: mpsc::Receiver<Step>,
    pub(crate) wishes: mpsc::Sender<Wish>,
}

/// The last message applied of each stream, by which the stream is known again.
#[derive(Default)]
pub(crate) struct LastMessages {
    ledger: Option<Last>,
    catalog: Option<Last>,
}

/// Hashed only when somebody asks.
enum Last {
    Loaded(LastMessage),
    Applied(Delivery),
}

/// What is needed before the next entry can be applied: a newer build.
struct NeedsNewer(String);

impl Applier {
    /// Until both consumers are gone, the node stops, or its tables can no longer be trusted.
    pub(crate) fn run(mut self) {
        let mut steps = Vec::with_capacity(APPLY_STEPS_MAX);
        let mut applied = self.last.positions();
        self.keep(|tail| tail.turn(applied.ledger).map(|()| false));
        while self.steps.blocking_recv_many(&mut steps, APPLY_STEPS_MAX) > 0 {
            for step in steps.drain(..) {
                if self.tasks.is_stopping() || self.app.progress.read().state == State::Refused {
                    return;
                }
                if let Err(NeedsNewer(needs)) = self.take(step, &mut applied) {
                    self.publish(applied);
                    return self.app.progress.refuse(format!("the streams need {needs}: upgrade this node"));
                }
            }
            self.publish(applied);
        }
    }

    fn publish(&mut self, applied: Positions) {
        // Before anybody is told that they are applied.
        self.keep(|tail| tail.flush());
        for stream in [StreamName::Ledger, StreamName::Catalog] {
            let position = i64::try_from(applied.get(stream).0).unwrap_or(i64::MAX);
            let label = OfStream { stream: stream.as_str() };
            self.app.metrics.applied_position.get_or_create(&label).set(position);
        }
        for stream in [StreamName::Ledger, StreamName::Catalog] {
            self.app.digests.after_batch(stream, applied.get(stream), self.digest(stream));
        }
        self.app.metrics.rules.set(i64::from(self.ledger.rules()));
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.app.metrics.stamps_apart.set(count(self.ledger.stamps_apart_count()));
        self.app.metrics.control_missing.set(count(self.ledger.control_missing_count()));
        // Last: whoever sees the position, or that the node is ready, finds the rest told too.
        self.app.progress.applied(applied);
    }

    /// Does something with the tail. One that the disk does not take is said and counted; the node goes on.
    fn keep(&mut self, work: impl FnOnce(&mut Tail) -> Result<bool, FolderError>) {
        match self.tail.as_mut().map_or(Ok(false), work) {
            Ok(is_due) if is_due => self.app.checkpoints.due.notify_one(),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "no entries are kept on disk until the next checkpoint");
                self.app.metrics.checkpoints_failed.get_or_create(&OfReason { reason: "tail" }).inc();
            }
        }
    }

    fn digest(&self, stream: StreamName) -> u128 {
        match stream {
            StreamName::Ledger => self.ledger.digest(),
            StreamName::Catalog => self.catalog.digest(),
        }
    }

    fn take(&mut self, step: Step, applied: &mut Positions) -> Result<(), NeedsNewer> {
        match step {
            Step::Batch(stream, deliveries) => {
                let label = OfStream { stream: stream.as_str() };
                self.app.metrics.entries_applied.get_or_create(&label).inc_by(deliveries.len() as u64);
                for delivery in &deliveries {
                    self.apply(stream, delivery)?;
                    if let (StreamName::Ledger, Some(tail)) = (stream, &mut self.tail) {
                        tail.add(delivery);
                    }
                    applied.set(stream, delivery.stream_sequence);
                    if Digests::is_mark(delivery.stream_sequence) {
                        self.app.digests.mark(stream, delivery.stream_sequence, self.digest(stream));
                    }
                }
                self.last.set(stream, deliveries.last());
            }
            Step::CaughtUp(stream, end) => applied.set(stream, applied.get(stream).max(end)),
            // Whoever wanted it may have gone.
            Step::Freeze(wanted) => drop(wanted.send(self.freeze())),
        }
        Ok(())
    }

    /// Between two entries: the only time for which a checkpoint holds them up.
    fn freeze(&mut self) -> Result<Taken, Busy> {
        let began = Moment::now();
        let frozen = Frozen::take(&self.ledger, &self.catalog)?;
        let head = frozen.head(self.last.ledger(), self.last.catalog());
        let after = self.last.positions().ledger;
        self.keep(|tail| tail.turn(after).map(|()| false));
        Ok(Taken { frozen, head, paused: began.elapsed() })
    }

    fn apply(&mut self, stream: StreamName, delivery: &Delivery) -> Result<(), NeedsNewer> {
        let entry = match entry_of(&self.app.config.nats.prefix, delivery) {
            Ok(entry) => entry,
            Err(error) => {
                self.count(DropReason::Poison);
                self.review(Finding::of_subject(&self.incarnation, stream, delivery, &error.to_string()));
                return Ok(());
            }
        };
        let effects = match stream {
            StreamName::Ledger => self.ledger.apply(&entry),
            StreamName::Catalog => self.catalog.apply(&entry),
        };
        for effect in effects {
            match effect {
                Effect::Review(review) => {
                    self.review(Finding::of_review(&self.incarnation, stream, delivery, &review));
                }
                Effect::Resync { subject, reason } => {
                    tracing::warn!(%subject, reason, "a chain is suspect");
                    // A full queue holds wishes that lead to the same look.
                    let _ = self.wishes.try_send(Wish::Resync);
                }
                Effect::Dropped { subject, reason } => {
                    tracing::debug!(%subject, reason = reason.as_str(), "dropped");
                    self.count(reason);
                }
                Effect::Stop { needs } => return Err(NeedsNewer(needs)),
            }
        }
        Ok(())
    }

    /// Waits for room, so that a flood of bad rows slows the feed down instead of being forgotten; the other
    /// end never waits for long.
    fn review(&self, finding: Finding) {
        if self.wishes.blocking_send(Wish::Review(Box::new(finding))).is_err() {
            tracing::debug!("a finding came after the end of its publisher");
        }
    }

    fn count(&self, reason: DropReason) {
        self.app.metrics.entries_dropped.get_or_create(&OfReason { reason: reason.as_str() }).inc();
    }
}

/// The error says what is wrong with its subject.
pub(crate) fn entry_of<'a>(prefix: &Prefix, delivery: &'a Delivery) -> Result<Entry<'a>, SubjectError> {
    Ok(Entry {
        subject: prefix.strip(&delivery.subject)?,
        stream_sequence: delivery.stream_sequence,
        stream_time: delivery.stream_time,
        encoding: delivery.encoding,
        payload: &delivery.payload,
    })
}

impl LastMessages {
    pub(super) fn set(&mut self, stream: StreamName, last: Option<&Delivery>) {
        let Some(last) = last.cloned().map(Last::Applied) else { return };
        match stream {
            StreamName::Ledger => self.ledger = Some(last),
            StreamName::Catalog => self.catalog = Some(last),
        }
    }

    /// As a checkpoint says it of itself.
    pub(crate) fn of(head: &Head) -> Self {
        Self { ledger: head.last_ledger.map(Last::Loaded), catalog: head.last_catalog.map(Last::Loaded) }
    }

    fn ledger(&self) -> Option<LastMessage> {
        self.ledger.as_ref().map(Last::message)
    }

    fn catalog(&self) -> Option<LastMessage> {
        self.catalog.as_ref().map(Last::message)
    }

    /// What a consumer goes on after; `None`: genesis.
    pub(crate) fn after(&self, stream: StreamName) -> Option<Position> {
        let last = match stream {
            StreamName::Ledger => self.ledger(),
            StreamName::Catalog => self.catalog(),
        };
        let LastMessage { stream_sequence, digest } = last?;
        Some(Position { stream_sequence, digest: StoredDigest(digest) })
    }

    pub(crate) fn positions(&self) -> Positions {
        let stands = |last: &Option<Last>| last.as_ref().map(Last::stream_sequence).unwrap_or_default();
        Positions { ledger: stands(&self.ledger), catalog: stands(&self.catalog) }
    }
}

impl Last {
    fn message(&self) -> LastMessage {
        match self {
            Self::Loaded(message) => *message,
            Self::Applied(delivery) => {
                let Position { stream_sequence, digest } = delivery.position();
                LastMessage { stream_sequence, digest: digest.0 }
            }
        }
    }

    fn stream_sequence(&self) -> StreamSequence {
        match self {
            Self::Loaded(message) => message.stream_sequence,
            Self::Applied(delivery) => delivery.stream_sequence,
        }
    }
}
