//! Publishes what the fold wants published: findings for the review stream, and requests to sources to send a
//! chain again.
//!
//! Neither may stop the feed. A review stream that takes nothing makes findings wait for seconds, then they
//! are counted as failed for a while and given up: the entry they are about is still in its stream, and the
//! next start finds it again. Resync requests follow the state and not the event: while a chain is suspect or
//! rows of it are condemned it is asked for again, because nobody acknowledges a request, and not at all while the node is catching up,
//! because the past is full of gaps that were healed long ago. Each time it waits twice as long: a snapshot
//! takes its time, and one that is parked until an operator approves it is not made better by repetition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use pannier_protocol::Encoding;
use pannier_protocol::subject::Subject;
use pannier_streams::{Broker, Created, Streams, create};
use tokio::sync::mpsc;

use super::apply::Wish;
use super::review::Finding;
use crate::app::App;
use crate::clock::Moment;
use crate::limits::{
    RESYNC_INTERVAL_MAX, RESYNC_INTERVAL_MIN, REVIEW_PAUSE_AFTER_FAILURE, REVIEWS_IN_FLIGHT_MAX,
    WATCH_INTERVAL,
};
use crate::metrics::OfEffect;
use crate::progress::State;
use crate::shutdown::Tasks;

pub(crate) struct Publisher {
    pub(crate) app: Arc<App>,
    pub(crate) tasks: Tasks,
    pub(crate) broker: Broker,
    pub(crate) streams: Streams,
    pub(crate) wishes: mpsc::Receiver<Wish>,
}

/// When a suspect chain was last asked for, and how long it is left alone after that.
#[derive(Clone, Copy)]
struct Asked {
    at: Moment,
    interval: Duration,
}

impl Publisher {
    /// Until the node stops or the apply thread is gone.
    pub(crate) async fn run(mut self) {
        let stop = self.tasks.token();
        let mut reviews: FuturesUnordered<BoxFuture<'static, bool>> = FuturesUnordered::new();
        let mut last_failure: Option<Moment> = None;
        let mut asked = BTreeMap::new();
        let mut look = tokio::time::interval(WATCH_INTERVAL);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(stored) = reviews.next() => {
                    if !stored {
                        last_failure = Some(Moment::now());
                    }
                }
                _ = look.tick() => self.ask_suspects(&mut asked).await,
                wish = self.wishes.recv(), if reviews.len() < REVIEWS_IN_FLIGHT_MAX => match wish {
                    None => return,
                    Some(Wish::Resync) => self.ask_suspects(&mut asked).await,
                    Some(Wish::Review(_))
                        if last_failure.is_some_and(|at| at.elapsed() < REVIEW_PAUSE_AFTER_FAILURE) =>
                    {
                        self.count("review", "failed");
                    }
                    Some(Wish::Review(finding)) => reviews.push(self.publish(*finding).boxed()),
                },
            }
        }
    }

    /// Whether the finding is in the review stream.
    fn publish(&self, finding: Finding) -> impl Future<Output = bool> + Send + use<> {
        let (app, broker, streams) = (Arc::clone(&self.app), self.broker.clone(), self.streams.clone());
        async move {
            let subject = streams.prefix.review_entry(finding.kind, &finding.origin);
            let body = serde_json::to_vec(&finding).expect("a finding of strings and numbers is always JSON");
            let created = create(&broker, &streams.review, &subject, Encoding::Json, Bytes::from(body)).await;
            let (outcome, stored) = match created {
                Created::Stored(_) => ("published", true),
                Created::Existed(_) => ("known", true),
                Created::Refused { reason } | Created::Unsettled { reason } => {
                    tracing::error!(subject, reason, "a finding could not be put on the review list");
                    ("failed", false)
                }
            };
            let label = OfEffect { effect: "review", outcome };
            app.metrics.effects.get_or_create(&label).inc();
            stored
        }
    }

    /// Asks the source of every chain that wants one for a snapshot, unless it was asked not long ago.
    async fn ask_suspects(&self, asked: &mut BTreeMap<Subject, Asked>) {
        if self.app.progress.read().state != State::Ready {
            return;
        }
        let Some(board) = self.app.tables.get().map(|tables| &tables.board) else { return };
        let suspect = board.states().iter().filter(|(_, state)| state.suspect).count();
        self.app.metrics.chains_suspect.set(i64::try_from(suspect).unwrap_or(i64::MAX));
        let wanting = board.wanting();
        asked.retain(|subject, _| wanting.contains(subject));
        for subject in wanting {
            let last = asked.get(&subject).copied();
            if last.is_some_and(|last| last.at.elapsed() < last.interval) {
                self.count("resync", "limited");
                continue;
            }
            let Some(source) = subject.source() else { continue };
            let to = self.streams.prefix.resync(source);
            match self.broker.client().publish(to, Bytes::from(subject.to_string())).await {
                Ok(()) => {
                    tracing::info!(%subject, "asked the source to send a snapshot");
                    self.count("resync", "published");
                    let interval = last.map_or(RESYNC_INTERVAL_MIN, |last| last.interval * 2);
                    let interval = interval.min(RESYNC_INTERVAL_MAX);
                    asked.insert(subject, Asked { at: Moment::now(), interval });
                }
                Err(error) => {
                    tracing::warn!(%subject, %error, "asking the source for a snapshot");
                    self.count("resync", "failed");
                }
            }
        }
    }

    fn count(&self, effect: &'static str, outcome: &'static str) {
        self.app.metrics.effects.get_or_create(&OfEffect { effect, outcome }).inc();
    }
}
