//! Publishing from polls. Nodes that cannot wait for the next one ask (policy `ask`), and are answered out of one that is made
//! at once: what it finds is published as well.

use std::time::Duration;

use pannier_protocol::Timestamp;
use pannier_protocol::ask::{Asked, LiveRows};
use tokio::time::Instant;

use super::SourceError;
use super::config::PollConfig;
use super::intake::Batch;
use super::poll::{Cursor, Part, Poll};
use super::publish::{Pauses, Publisher, every};
use crate::runner::{Positions, Question, decode, encode, now};
use crate::tryton::TrytonConfig;

/// Where the cursor is kept.
const CURSOR_NOTE: &str = "poll/cursor";

/// Asks one Tryton, again and again.
pub(super) struct Asker {
    publisher: Publisher,
    poll: Poll,
    cursor: Cursor,
    /// When all of it, and when the catalog, is to be asked for again.
    reconcile: Instant,
    catalog: Instant,
}

impl Asker {
    pub(super) async fn open(config: &TrytonConfig) -> Result<Self, SourceError> {
        let poll = Poll::new(&config.rest()?, config.poll.overlap_ms);
        let publisher = Publisher::open(config).await?;
        let cursor = publisher.desk().note(CURSOR_NOTE)?.map(|bytes| decode(&bytes)).transpose()?;
        let cursor = cursor.unwrap_or_default();
        Ok(Self { publisher, poll, cursor, reconcile: Instant::now(), catalog: Instant::now() })
    }

    pub(super) async fn work(&mut self, config: &TrytonConfig) -> Result<(), SourceError> {
        let mut questions = self.publisher.questions(&config.prefix).await?;
        let mut ticks = every(config.catalog.tick_ms);
        let (mut polls, mut pauses) = (every(config.poll.every_ms), Pauses::default());
        loop {
            tokio::select! {
                _ = polls.tick() => match self.look(&config.poll).await {
                    Ok(says) => {
                        pauses.reset();
                        if says {
                            self.publisher.publish().await?;
                        }
                    }
                    Err(SourceError::Rest(error)) => {
                        let pause = pauses.next();
                        tracing::warn!(%error, ?pause, "Tryton cannot be read; trying again");
                        polls.reset_after(pause);
                    }
                    Err(error) => return Err(error),
                },
                _ = ticks.tick() => {
                    self.publisher.publish().await?;
                }
                question = questions.next() => if self.answer(question).await? {
                    self.publisher.publish().await?;
                },
                repeated = self.publisher.repeat_on_request() => repeated?,
            }
        }
    }

    pub(super) async fn once(mut self) -> Result<Positions, SourceError> {
        self.reconcile().await?;
        self.publisher.publish().await
    }

    /// Whether anything is to be published.
    async fn look(&mut self, config: &PollConfig) -> Result<bool, SourceError> {
        let later = |ms| Instant::now() + Duration::from_millis(ms);
        if self.reconcile <= Instant::now() {
            let says = self.reconcile().await?;
            (self.reconcile, self.catalog) = (later(config.reconcile_ms), later(config.catalog_every_ms));
            return Ok(says);
        }
        let mut says = false;
        if self.catalog <= Instant::now() {
            says = self.changed(Part::Catalog).await?;
            self.catalog = later(config.catalog_every_ms);
        }
        Ok(self.changed(Part::Stock).await? || says)
    }

    /// Whether anything is to be published.
    async fn answer(&mut self, question: Question) -> Result<bool, SourceError> {
        if question.until() <= Instant::now() {
            return Ok(false);
        }
        let part = match question.asked() {
            Asked::Stock(_) => Part::Stock,
            Asked::Prices(_) => Part::Catalog,
        };
        let read_at = self.publisher.desk().broker_time(now());
        if !self.publisher.is_begun() {
            question.decline("Tryton was not read yet").await;
            return Ok(false);
        }
        let says = match self.changed(part).await {
            Ok(says) => says,
            Err(SourceError::Rest(error)) => {
                question.decline(&error.to_string()).await;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let changes = self.publisher.model().map(|model| model.live(question.asked())).unwrap_or_default();
        question.answer(LiveRows { read_at, changes }).await;
        Ok(says)
    }

    async fn changed(&mut self, part: Part) -> Result<bool, SourceError> {
        let (begun, mut cursor) = (now(), self.cursor);
        let Some(model) = self.publisher.model() else { return Ok(false) };
        let batch = self.poll.changed(part, &mut cursor, model, begun).await?;
        let says = self.take(batch, begun, cursor).await?;
        let at = Some(self.publisher.desk().broker_time(begun));
        let caught_up = &mut self.publisher.caught_up;
        match part {
            Part::Stock => caught_up.ledger = at,
            Part::Catalog => (caught_up.shared, caught_up.families) = (at, at),
        }
        Ok(says)
    }

    async fn reconcile(&mut self) -> Result<bool, SourceError> {
        let (begun, mut cursor) = (now(), self.cursor);
        let batch = self.poll.all(&mut cursor, begun).await?;
        let says = self.take(batch, begun, cursor).await?;
        self.publisher.read_to(begun);
        Ok(says)
    }

    async fn take(
        &mut self,
        mut batch: Batch,
        begun: Timestamp,
        cursor: Cursor,
    ) -> Result<bool, SourceError> {
        batch.position = u64::try_from(begun.millis()).unwrap_or(0);
        batch.notes.push((CURSOR_NOTE.to_owned(), Some(encode(&cursor)?)));
        let says = self.publisher.take(batch).await?;
        self.cursor = cursor;
        Ok(says)
    }
}
