//! What is listed in pages, and one order whole. A cursor is the place after which a page begins; what came since
//! stands at the end, so that who reads page after page misses nothing.

use std::fmt::Display;
use std::str::FromStr;

use pannier_core::ledger::orders::{OrderRecord, hold_answer, order_answer, shrunk_answer};
use pannier_protocol::api::operator::{HoldPage, OrderPage, OrderShown, OrderWhole, ReviewEntry, ReviewPage};
use pannier_protocol::api::{HoldState, OrderState};
use pannier_protocol::{AccountId, HoldId, OrderId, SourceId, StreamSequence};
use serde::Deserialize;

use crate::app::{App, Tables};
use crate::http::query::{parameters, parsed, refuse};
use crate::http::refusal::Refusal;
use crate::limits::{PAGE_ENTRIES, PAGE_ENTRIES_MAX};
use crate::orders::desk::as_of;

pub(super) type Parameters = std::collections::BTreeMap<&'static str, String>;

/// `GET /v1/operator/orders`.
pub(super) fn orders(tables: &Tables, query: &str) -> Result<OrderPage, Refusal> {
    let asked = parameters(query, &["state", "backend", "account", "limit", "cursor"])?;
    let state: Option<OrderState> = filter(&asked, "state")?;
    let backend: Option<SourceId> = filter(&asked, "backend")?;
    let account: Option<AccountId> = filter(&asked, "account")?;
    let count = limit(&asked)?;
    let after = cursor(&asked, |id| OrderId::parse(id).ok())?;
    let as_of = as_of(tables);
    let found = tables.ledger.orders().after(after, count, |order| {
        state.is_none_or(|state| order.state == state)
            && backend.as_ref().is_none_or(|backend| order.backend.as_ref() == Some(backend))
            && account.as_ref().is_none_or(|account| order.placed.keyed.account == *account)
    });
    let last = found.last().filter(|_| found.len() == count);
    let next = last.map(|order| place(order.position, order.placed.order));
    Ok(OrderPage { as_of, orders: found.iter().map(|order| shown(order)).collect(), next })
}

fn shown(order: &OrderRecord) -> OrderShown {
    let placed = &order.placed;
    OrderShown {
        order: placed.order,
        state: order.state,
        account: placed.keyed.account.clone(),
        purchase_order: order.facts().purchase_order.clone(),
        reasons: order.reasons.clone(),
        position: order.position,
        placed_at: order.placed_at,
        total: placed.total,
        currency: placed.currency,
        lines_count: placed.lines.len(),
        backend: order.backend.clone(),
        document: order.document.clone(),
        generation: order.generation,
        last: order.steps.last().cloned(),
    }
}

/// `GET /v1/operator/orders/{order}`.
pub(super) fn order(tables: &Tables, named: &str) -> Result<OrderWhole, Refusal> {
    let id = OrderId::parse(named).map_err(|_| Refusal::UnknownOrder)?;
    let (orders, as_of) = (tables.ledger.orders(), as_of(tables));
    let Some(order) = orders.order(&id) else {
        let closed = orders.closed(&id).ok_or(Refusal::UnknownOrder)?;
        return Ok(OrderWhole {
            order: shrunk_answer(id, &closed, as_of),
            position: closed.position,
            key: closed.key.clone(),
            generation: 0,
            placed_at: None,
            closed_at: None,
            facts: None,
            placed_facts: None,
            steps: Vec::new(),
        });
    };
    Ok(OrderWhole {
        order: order_answer(&order, as_of),
        position: order.position,
        key: order.placed.keyed.key.clone(),
        generation: order.generation,
        placed_at: Some(order.placed_at),
        closed_at: order.closed_at,
        facts: Some(order.facts().clone()),
        placed_facts: order.edited.as_ref().map(|_| order.placed.facts.clone()),
        steps: order.steps.clone(),
    })
}

/// `GET /v1/operator/holds`.
pub(super) fn holds(tables: &Tables, query: &str) -> Result<HoldPage, Refusal> {
    let asked = parameters(query, &["state", "account", "limit", "cursor"])?;
    let state: Option<HoldState> = filter(&asked, "state")?;
    let account: Option<AccountId> = filter(&asked, "account")?;
    let count = limit(&asked)?;
    let after = cursor(&asked, |id| HoldId::parse(id).ok())?;
    let as_of = as_of(tables);
    let found = tables.ledger.orders().holds_after(after, count, |hold| {
        state.is_none_or(|state| hold.state == state)
            && account.as_ref().is_none_or(|account| hold.placed.keyed.account == *account)
    });
    let last = found.last().filter(|_| found.len() == count);
    let next = last.map(|hold| place(hold.position, hold.placed.hold));
    Ok(HoldPage { holds: found.iter().map(|hold| hold_answer(hold, as_of.clone())).collect(), next })
}

/// `GET /v1/operator/review`.
pub(super) async fn review(app: &App, query: &str) -> Result<ReviewPage, Refusal> {
    let asked = parameters(query, &["kind", "limit", "cursor"])?;
    let kind = asked.get("kind").map(String::as_str);
    if kind.is_some_and(|kind| !kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')) {
        return Err(refuse("kind", "a kind is of a to z and _".to_owned()));
    }
    let count = limit(&asked)?;
    let from = asked.get("cursor").map_or(Some(1), |text| text.parse().ok());
    let from = from.ok_or_else(|| refuse("cursor", UNKNOWN_CURSOR.to_owned()))?;
    let not_ready = |detail: String| Refusal::NotReady { detail };
    let desk = app.operators.get().ok_or_else(|| not_ready("the streams are not checked yet".to_owned()))?;
    let found = desk.reviews(&desk.review_subject(kind), StreamSequence(from), count).await;
    let found = found.map_err(|error| not_ready(error.to_string()))?;
    let last = found.last().filter(|_| found.len() == count);
    let next = last.map(|entry| (entry.stream_sequence.0 + 1).to_string());
    let entries = found.into_iter().map(|stored| ReviewEntry {
        position: stored.stream_sequence,
        subject: desk.short(&stored.subject).to_owned(),
        stored_at: stored.stream_time,
        entry: serde_json::from_slice(&stored.payload)
            .unwrap_or_else(|_| String::from_utf8_lossy(&stored.payload).into()),
    });
    Ok(ReviewPage { entries: entries.collect(), next })
}

pub(super) fn filter<T: for<'de> Deserialize<'de>>(
    asked: &Parameters,
    name: &str,
) -> Result<Option<T>, Refusal> {
    asked.get(name).map(|value| parsed(name, value)).transpose()
}

pub(super) fn limit(asked: &Parameters) -> Result<usize, Refusal> {
    let Some(text) = asked.get("limit") else { return Ok(PAGE_ENTRIES) };
    let count = text.parse().ok().filter(|count| (1..=PAGE_ENTRIES_MAX).contains(count));
    count.ok_or_else(|| refuse("limit", format!("{text:?} is not 1 to {PAGE_ENTRIES_MAX}")))
}

const UNKNOWN_CURSOR: &str = "no cursor; give back the `next` of the page before, as it was answered";

/// A place in the order of the ledger, as text.
fn place(position: StreamSequence, id: impl Display) -> String {
    format!("{position}.{id}")
}

fn cursor<K>(
    asked: &Parameters,
    id: impl Fn(&str) -> Option<K>,
) -> Result<Option<(StreamSequence, K)>, Refusal> {
    let Some(text) = asked.get("cursor") else { return Ok(None) };
    let place = text.split_once('.');
    let place =
        place.and_then(|(position, of)| Some((StreamSequence(u64::from_str(position).ok()?), id(of)?)));
    place.map(Some).ok_or_else(|| refuse("cursor", UNKNOWN_CURSOR.to_owned()))
}
