//! Live questions to sources, where policy says `ask` past a budget (semantics 3.2).
//!
//! The problem: the one moment at which every lookup wants to ask is the one at which the source is slow or away, and
//! a thousand lookups of one item would be a thousand questions to an ERP. So of one key one question is under way
//! and all who want it wait for it; a source has so many at a time, more are not asked; each ends by its deadline; and a
//! source that fails in a row is left alone for a while ([`Breaker`]). Whatever goes wrong is told by the lack of an
//! answer: the lookup then does what policy says of that.
//!
//! A question is a future that those who wait for it share: no task, and nobody waiting means that it is dropped.
//! A reply that comes after that finds nobody. Rejected: keeping answers for the next lookup, which would be a second
//! table beside the one that has a gate.

mod breaker;
mod flight;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared, join_all};
use pannier_core::live::{LiveAnswer, LiveQuestion};
use pannier_protocol::subject::Prefix;
use pannier_protocol::{SourceId, Timestamp};
use pannier_streams::Broker;

use crate::clock::Moment;
use crate::config::Ask;
use crate::metrics::{Metrics, OfOutcome};
use breaker::Breaker;
use flight::{Failed, Leaving};

/// What asks; one a node.
pub(crate) struct Asker {
    broker: Broker,
    prefix: Prefix,
    wait: Duration,
    in_flight_max: usize,
    desk: Arc<Desk>,
}

/// What questions under way share.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number tells a question from a later one about the same.
    under_way: HashMap<LiveQuestion, (u64, WeakShared<Flight>)>,
    /// As many as there are chains.
    sources: HashMap<SourceId, OfSource>,
    asked: u64,
}

#[derive(Default)]
struct OfSource {
    in_flight: usize,
    breaker: Breaker,
}

type Flight = BoxFuture<'static, Option<Arc<LiveAnswer>>>;

/// What becomes of a wish to ask.
enum Seat {
    Joined(Shared<Flight>),
    /// The number of the new question.
    Taken(u64),
    Refused(Failed),
}

impl Asker {
    pub(crate) fn new(broker: Broker, prefix: Prefix, config: &Ask) -> Self {
        Self { broker, prefix, wait: config.wait, in_flight_max: config.in_flight, desk: Arc::default() }
    }

    /// The answers that come in time. `now`: broker time.
    pub(crate) async fn ask(
        &self,
        questions: Vec<LiveQuestion>,
        now: Timestamp,
        metrics: &Metrics,
    ) -> Vec<Arc<LiveAnswer>> {
        let flights = questions.into_iter().filter_map(|question| self.flight(question, now, metrics));
        join_all(flights).await.into_iter().flatten().collect()
    }

    /// The question under way, or a new one; `None` where it is not asked.
    fn flight(&self, question: LiveQuestion, now: Timestamp, metrics: &Metrics) -> Option<Shared<Flight>> {
        let mut state = self.desk.lock();
        match state.seat(&question, self.in_flight_max) {
            Seat::Joined(flight) => {
                metrics.ask_joined.inc();
                Some(flight)
            }
            Seat::Refused(failed) => {
                metrics.ask_questions.get_or_create(&OfOutcome { outcome: failed.label() }).inc();
                None
            }
            Seat::Taken(number) => {
                let desk = Arc::clone(&self.desk);
                let asking = flight::Asking {
                    broker: self.broker.clone(),
                    subject: self.prefix.ask(&question.source),
                    wait: self.wait,
                    asked_at: now,
                    questions: metrics.ask_questions.clone(),
                    duration: metrics.ask_duration.clone(),
                    leaving: Leaving { desk, number, question: question.clone(), outcome: None },
                };
                let flight = asking.run().boxed().shared();
                if let Some(weak) = flight.downgrade() {
                    state.under_way.insert(question, (number, weak));
                }
                Some(flight)
            }
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn seat(&mut self, question: &LiveQuestion, in_flight_max: usize) -> Seat {
        if let Some((_, flight)) = self.under_way.get(question)
            && let Some(flight) = flight.upgrade()
        {
            return Seat::Joined(flight);
        }
        let of = self.sources.entry(question.source.clone()).or_default();
        if of.in_flight >= in_flight_max {
            return Seat::Refused(Failed::Busy);
        }
        if !of.breaker.admits(Moment::now()) {
            return Seat::Refused(Failed::Open);
        }
        of.in_flight += 1;
        self.asked += 1;
        Seat::Taken(self.asked)
    }

    /// A question ended: with an outcome, or because nobody waited for it any more.
    fn leave(&mut self, question: &LiveQuestion, number: u64, outcome: Option<Result<(), Failed>>) {
        if self.under_way.get(question).is_some_and(|(of, _)| *of == number) {
            self.under_way.remove(question);
        }
        let Some(of) = self.sources.get_mut(&question.source) else { return };
        of.in_flight = of.in_flight.saturating_sub(1);
        match outcome {
            Some(Ok(())) => of.breaker.succeeded(),
            Some(Err(failed)) if failed.is_the_sources() => {
                if of.breaker.failed(Moment::now()) {
                    let source = &question.source;
                    tracing::warn!(%source, outcome = failed.label(), "the source is not asked for a while");
                }
            }
            Some(Err(_)) | None => of.breaker.gave_up(),
        }
    }
}
