//! The one writer of the tables: takes entries of both streams in the order of each, hands them to the fold,
//! and says how far it is after every batch. Folding is computation, so it has a thread of its own and takes
//! no turns from the requests.

use std::sync::Arc;

use pannier_core::catalog::Catalog;
use pannier_core::entry::{DropReason, Effect, Entry};
use pannier_core::ledger::Ledger;
use pannier_protocol::Incarnation;
use pannier_streams::consumer::Delivery;
use tokio::sync::mpsc;

use super::consume::Step;
use super::review::Finding;
use crate::app::App;
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
    pub(crate) steps: mpsc::Receiver<Step>,
    pub(crate) wishes: mpsc::Sender<Wish>,
}

/// What is needed before the next entry can be applied: a newer build.
struct NeedsNewer(String);

impl Applier {
    /// Until both consumers are gone, the node stops, or its tables can no longer be trusted.
    pub(crate) fn run(mut self) {
        let mut steps = Vec::with_capacity(APPLY_STEPS_MAX);
        let mut applied = Positions::default();
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

    fn publish(&self, applied: Positions) {
        self.app.progress.applied(applied);
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
                    applied.set(stream, delivery.stream_sequence);
                    if Digests::is_mark(delivery.stream_sequence) {
                        self.app.digests.mark(stream, delivery.stream_sequence, self.digest(stream));
                    }
                }
            }
            Step::CaughtUp(stream, end) => applied.set(stream, applied.get(stream).max(end)),
        }
        Ok(())
    }

    fn apply(&mut self, stream: StreamName, delivery: &Delivery) -> Result<(), NeedsNewer> {
        let subject = match self.app.config.nats.prefix.strip(&delivery.subject) {
            Ok(subject) => subject,
            Err(error) => {
                self.count(DropReason::Poison);
                self.review(Finding::of_subject(&self.incarnation, stream, delivery, &error.to_string()));
                return Ok(());
            }
        };
        let entry = Entry {
            subject,
            stream_sequence: delivery.stream_sequence,
            stream_time: delivery.stream_time,
            encoding: delivery.encoding,
            payload: &delivery.payload,
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
