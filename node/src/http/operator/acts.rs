//! Acts on one order: from the request to what this node's own fold made of it.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use pannier_core::ledger::RULE_VERSION;
use pannier_core::ledger::orders::{self, ActRecord, order_answer};
use pannier_protocol::api::operator::{
    ActAnswer, ActOutcome, ActRequest, EditRequest, RedispatchRequest, ReleaseRequest,
};
use pannier_protocol::order::{
    ActKey, DecideOrder, Decision, DismissOrder, EditOrder, Redispatch, ReleaseOverlay, Verdict,
};
use pannier_protocol::{Change, DecodeError, Encoding, Fingerprint, OrderId, StreamSequence, codec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json;
use super::routes::OrderAct;
use crate::app::{App, Tables};
use crate::http::act::{idempotency_key, traceparent};
use crate::http::refusal::Refusal;
use crate::http::{body, negotiate};
use crate::limits::{ACT_BYTES_MAX, ORDER_JUDGED_WAIT, ORDER_STORED_WAIT};
use crate::orders::desk::{DeskError, as_of};
use crate::orders::operators::ActFate;
use crate::orders::verdict::passed;

/// `POST /v1/operator/orders/{order}/...`.
pub(super) async fn about_order<B>(
    app: &App,
    tables: &Tables,
    (act, named): (OrderAct, &str),
    head: &Parts,
    body: B,
) -> Result<Response<Full<Bytes>>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let order = OrderId::parse(named).map_err(|_| Refusal::UnknownOrder)?;
    let bytes = read(app, head, body).await?;
    let known = tables.ledger.orders();
    if known.order(&order).is_none() && known.closed(&order).is_none() {
        return Err(Refusal::UnknownOrder);
    }
    let decision = decision(act, order, &bytes, head)?;
    settle(app, tables, decision).await
}

/// A body of JSON.
pub(super) async fn read<B>(app: &App, head: &Parts, body: B) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if negotiate::of_body(&head.headers)? != Encoding::Json {
        let content_type = "application/msgpack".to_owned();
        return Err(Refusal::UnsupportedMediaType(DecodeError::ContentType { content_type }));
    }
    body::read(body, ACT_BYTES_MAX, app.config.http.body_timeout).await
}

/// The request, and its key; the fingerprint covers what it is about too.
pub(super) fn keyed<T: DeserializeOwned + Serialize, A: Serialize>(
    about: &A,
    bytes: &[u8],
    head: &Parts,
) -> Result<(T, Option<ActKey>), Refusal> {
    let key = idempotency_key(&head.headers)?;
    let request: T = codec::decode(Encoding::Json, bytes, ACT_BYTES_MAX).map_err(Refusal::Body)?;
    let fingerprint = Fingerprint::of(&(about, &request));
    let traceparent = traceparent(&head.headers);
    Ok((request, Some(ActKey { key, fingerprint, traceparent })))
}

fn decision(act: OrderAct, order: OrderId, bytes: &[u8], head: &Parts) -> Result<Decision, Refusal> {
    let decide = |verdict| {
        let (ActRequest { by, reason }, keyed) = keyed(&(verdict, order), bytes, head)?;
        Ok(Decision::Order(DecideOrder { order, verdict, by, reason, keyed }))
    };
    Ok(match act {
        OrderAct::Approve => return decide(Verdict::Approve),
        OrderAct::Reject => return decide(Verdict::Reject),
        OrderAct::Redispatch => {
            let (request, keyed) = keyed(&("redispatch", order), bytes, head)?;
            let RedispatchRequest { closes, backend, by, reason } = request;
            Decision::Redispatch(Redispatch { order, closes, backend, by, reason, keyed })
        }
        OrderAct::Edit => {
            let (request, keyed) = keyed(&("edit", order), bytes, head)?;
            let EditRequest { closes, set, clear, by, reason } = request;
            Decision::Edit(EditOrder { order, closes, set, clear, by, reason, keyed })
        }
        OrderAct::Dismiss => {
            let (ActRequest { by, reason }, keyed) = keyed(&("dismiss", order), bytes, head)?;
            Decision::Dismiss(DismissOrder { order, by, reason, keyed })
        }
        OrderAct::Release => {
            let (ReleaseRequest { line, by, reason }, keyed) = keyed(&("release", order), bytes, head)?;
            Decision::ReleaseOverlay(ReleaseOverlay { order, line, by, reason, keyed })
        }
    })
}

/// Puts an act that bears its key into the ledger, unless one with its key is there, and waits for what this node's fold
/// makes of it.
pub(super) async fn settle(
    app: &App,
    tables: &Tables,
    decision: Decision,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let order = decision.order().copied();
    let keyed = decision.act().keyed.cloned().ok_or(Refusal::IdempotencyKeyMissing)?;
    let change = Change::Decision(Box::new(decision));
    change
        .check()
        .map_err(|error| Refusal::Parameter { name: "act".to_owned(), reason: error.to_string() })?;
    let told = |record: &ActRecord| {
        if record.fingerprint != keyed.fingerprint {
            return Err(Refusal::KeyReused(DeskError::KeyReused));
        }
        let (outcome, detail) = match &record.outcome {
            orders::ActOutcome::Changed(what) => (ActOutcome::Changed, what),
            orders::ActOutcome::Ignored(why) => (ActOutcome::Ignored, why),
        };
        json(StatusCode::OK, &answer(tables, order, outcome, detail, Some(record.position)))
    };
    let orders = tables.ledger.orders();
    if let Some(record) = orders.act(&keyed.key) {
        return told(&record);
    }
    let desk = app.operators.get().filter(|_| app.progress.read().connected);
    let desk = desk.ok_or(Refusal::LedgerUnavailable(DeskError::OutOfReach))?;
    let publishing = desk.publish(change, keyed.traceparent.clone(), app.clock.now());
    let fate = match tokio::time::timeout(ORDER_STORED_WAIT, publishing).await {
        Ok(fate) => fate,
        Err(_) => ActFate::Unknown { reason: format!("the broker took longer than {ORDER_STORED_WAIT:?}") },
    };
    let (position, detail) = match fate {
        ActFate::Stored(position) => {
            if passed(&app.progress, position, ORDER_JUDGED_WAIT).await {
                if let Some(record) = orders.act(&keyed.key) {
                    return told(&record);
                }
                let why = format!(
                    "the rules in force do not know it: activate rule version {RULE_VERSION} (pannier rules activate {RULE_VERSION})"
                );
                let answer = answer(tables, order, ActOutcome::Ignored, &why, Some(position));
                return json(StatusCode::OK, &answer);
            }
            (Some(position), "it is in the ledger, and this node is not there yet".to_owned())
        }
        ActFate::Unknown { reason } => (None, reason),
        ActFate::NotStored { reason } => {
            tracing::error!(reason, "an act of an operator could not be stored");
            return Err(Refusal::LedgerUnavailable(DeskError::OutOfReach));
        }
    };
    let detail = format!("{detail}; ask again with the same key");
    json(StatusCode::ACCEPTED, &answer(tables, order, ActOutcome::Pending, &detail, position))
}

fn answer(
    tables: &Tables,
    order: Option<OrderId>,
    outcome: ActOutcome,
    detail: &str,
    position: Option<StreamSequence>,
) -> ActAnswer {
    let as_of = as_of(tables);
    let order = order.and_then(|order| tables.ledger.orders().order(&order));
    let order = order.map(|order| order_answer(&order, as_of.clone()));
    ActAnswer { outcome, detail: detail.to_owned(), position, as_of, order }
}
