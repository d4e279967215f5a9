//! What becomes of orders in Tryton, read by polling and said as states.
//!
//! A poll asks for the sales that changed, or whose shipments or moves did (a second partial shipment changes nothing in the
//! sale), since the last change seen and a while before: a transaction's rows bear the time at which it began, so a
//! row can appear with a time that a poll has passed. What an event says is cumulative and is said again only
//! when it differs, so looking twice changes nothing. What no poll shows (a clock set back, a row restored) is found
//! by comparing all open sales now and then.
//!
//! Shipped is what moves in state `done` brought to the customer. Cancelled is only what somebody has decided to ignore: a
//! cancelled shipment alone is an exception that waits for a human in Tryton, who may have it sent again. What comes back
//! is a sale of its own there, with the first one as its `origin` and negative lines that keep their `note`.

mod again;
mod events;
mod returns;
mod seen;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pannier_protocol::order::{LineProgress, OrderEvent, OrderId};
use pannier_protocol::{Incarnation, Timestamp};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::super::config::{OrdersConfig, TrytonConfig};
use super::super::rest::{Query, Rest, RestError};
use super::super::value::Moment;
use crate::limits::{PROGRESS_PAGE_ROWS, PROGRESS_RETRY_DELAY_MAX};
use crate::runner::now;
use crate::runner::sink::{RecordError, Scribe};
pub(super) use again::Again;
use events::{FIELDS, Sale};
use returns::Returned;
use seen::Seen;
pub use seen::SeenError;

/// Why nothing more is said about orders.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Seen(#[from] SeenError),
}

/// Why one look ended early.
enum LookError {
    Rest(RestError),
    End(ProgressError),
}

impl From<RestError> for LookError {
    fn from(error: RestError) -> Self {
        Self::Rest(error)
    }
}

impl From<RecordError> for LookError {
    fn from(error: RecordError) -> Self {
        Self::End(error.into())
    }
}

impl From<SeenError> for LookError {
    fn from(error: SeenError) -> Self {
        Self::End(error.into())
    }
}

pub(super) struct Progress {
    rest: Rest,
    company: i64,
    config: OrdersConfig,
    scribe: Scribe,
    seen: Seen,
    again: Again,
    /// What was said last of orders that a look may show again, and when they changed.
    said: BTreeMap<OrderId, Said>,
}

struct Said {
    lines: Vec<LineProgress>,
    changed: Option<Timestamp>,
    /// The comparison of open sales does not show it.
    is_sent: bool,
}

impl Progress {
    pub(super) fn open(
        config: &TrytonConfig,
        rest: Rest,
        scribe: Scribe,
        incarnation: &Incarnation,
        again: Again,
    ) -> Result<Self, SeenError> {
        let seen = Seen::open(Path::new(&config.state), incarnation)?;
        let (company, config) = (config.company, config.orders.clone());
        Ok(Self { rest, company, config, scribe, seen, again, said: BTreeMap::new() })
    }

    /// Looks until it is stopped; an event under way is stored first.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), ProgressError> {
        let mut polls = interval(Duration::from_millis(self.config.poll_ms));
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let every = Duration::from_millis(self.config.reconcile_ms);
        let (mut compared, mut failures) = (None::<Instant>, 0_u32);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = polls.tick() => {}
            }
            let is_due = compared.is_none_or(|at| at.elapsed() >= every);
            let looked = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                looked = self.look(is_due) => looked,
            };
            match looked {
                Ok(()) if is_due => (compared, failures) = (Some(Instant::now()), 0),
                Ok(()) => failures = 0,
                Err(LookError::End(error)) => return Err(error),
                Err(LookError::Rest(error)) => {
                    tracing::warn!(%error, "cannot tell what became of orders; asking again");
                    let pause =
                        Duration::from_millis(self.config.poll_ms).saturating_mul(1 << failures.min(8));
                    failures = failures.saturating_add(1);
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = sleep(pause.min(PROGRESS_RETRY_DELAY_MAX)) => {}
                    }
                }
            }
        }
    }

    async fn look(&mut self, compare: bool) -> Result<(), LookError> {
        self.look_again().await?;
        let since = self.seen.until().map(|until| {
            let overlap = i64::try_from(self.config.overlap_ms).unwrap_or(i64::MAX);
            until.plus_millis(-overlap)
        });
        let (began, begun_at) = (Instant::now(), now());
        // Without a place to go on from everything is looked at once.
        let latest = match since {
            None => self.walk(json!([])).await?,
            Some(since) => {
                let changed = changed_since(since, "shipments");
                let returned = returns::origins(&self.rest, changed_since(since, "shipment_returns")).await?;
                self.walk(json!([["OR", [changed], [["id", "in", returned]]]])).await?
            }
        };
        // What changed behind the walk while it went on is younger than this.
        let took = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        if compare && since.is_some() {
            let open =
                json!([["state", "in", ["confirmed", "processing"]], ["shipment_state", "!=", "sent"]]);
            self.walk(open).await?;
            // Kept is what the next looks can show again: more would only grow, less would only say things twice.
            self.said.retain(|_, said| !said.is_sent || said.changed >= since);
        }
        if let Some(latest) = latest {
            // A row from the future, of a day on which Tryton's clock was wrong, must not make looks blind until then.
            self.seen.advance(latest.plus_millis(-took).min(begun_at))?;
        }
        Ok(())
    }

    async fn look_again(&mut self) -> Result<(), LookError> {
        let orders = self.again.take(PROGRESS_PAGE_ROWS);
        if orders.is_empty() {
            return Ok(());
        }
        orders.iter().for_each(|order| drop(self.said.remove(order)));
        let named: Vec<String> = orders.iter().map(OrderId::to_string).collect();
        let walked = self.walk(json!([["reference", "in", named]])).await;
        if walked.is_err() {
            orders.into_iter().for_each(|order| self.again.put(order));
        }
        walked.map(|_| ())
    }

    /// Says what is new of all sales that bear an order's id; the time of the last change among them.
    async fn walk(&mut self, domain: Value) -> Result<Option<Timestamp>, LookError> {
        let ours = json!([["company", "=", self.company], ["reference", "like", ORDER_ID_PATTERN], domain]);
        let query = Query::of("sale.sale", &FIELDS).filter(ours).limit(PROGRESS_PAGE_ROWS);
        let (mut page, mut latest) = (query.clone(), None);
        let mut in_effect = BTreeMap::new();
        loop {
            let sales: Vec<Sale> = self.rest.search(&page).await?;
            let last = sales.last().map(|sale| sale.id);
            let returned = returns::of(&self.rest, &sales).await?;
            for sale in &sales {
                latest = latest.max(sale.changed());
                if let Some(order) = sale.order_in_effect()
                    && let Some(other) = in_effect.insert(order, sale.id)
                {
                    let (one, two) = (other, sale.id);
                    tracing::error!(%order, one, two, "two sales are in effect for one order: cancel one by hand");
                }
                self.tell(sale, returned.get(&sale.id)).await?;
            }
            match last {
                Some(last) if sales.len() >= PROGRESS_PAGE_ROWS => page = query.after(last),
                Some(_) | None => return Ok(latest),
            }
        }
    }

    async fn tell(&mut self, sale: &Sale, returned: Option<&Returned>) -> Result<(), RecordError> {
        let nothing = Returned::new();
        let Some(progressed) = sale.progressed(returned.unwrap_or(&nothing)) else { return Ok(()) };
        let (order, lines) = (progressed.order, progressed.lines.clone());
        let before = self.said.get(&order);
        let is_news = before.is_none_or(|said| said.lines != lines);
        if before.is_none()
            && let Some(shipped) = events::before_returns(&progressed)
        {
            self.scribe.record(OrderEvent::Progressed(shipped), None).await?;
        }
        if is_news {
            self.scribe.record(OrderEvent::Progressed(progressed), None).await?;
        }
        self.said.insert(order, Said { lines, changed: sale.changed(), is_sent: sale.is_sent() });
        Ok(())
    }
}

/// As long as an order's id: other people's references are mostly not.
const ORDER_ID_PATTERN: &str = "__________________________";

/// Sales that changed themselves, by their papers of that name, or by their moves.
fn changed_since(since: Timestamp, papers: &str) -> Value {
    let since = Moment(since);
    json!([
        "OR",
        [["write_date", ">=", since]],
        [["create_date", ">=", since]],
        [[format!("{papers}.write_date"), ">=", since]],
        [["lines.moves.write_date", ">=", since]],
    ])
}
