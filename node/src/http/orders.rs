//! `/v1/orders`: place, show, tell the life of, cancel. What is answered is what this node's fold says.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use pannier_core::intake::{HeldPrices, Intake, IntakeRefusal, Received};
use pannier_core::ledger::orders::{KeyOutcome, Operation, order_answer, order_steps, shrunk_answer};
use pannier_protocol::api::{CancelRequest, OrderAnswer, OrderState, decode_order};
use pannier_protocol::codec;
use pannier_protocol::limits::ORDER_BYTES_MAX;
use pannier_protocol::order::{CancelOrder, Command, KeyedBy};
use pannier_protocol::{AccountId, Encoding, Fingerprint, IdempotencyKey, OrderId};
use serde::Serialize;

use super::context::TRACEPARENT;
use super::lookup::readable;
use super::refusal::Refusal;
use super::{body, negotiate};
use crate::app::{App, Tables};
use crate::identity::Identity;
use crate::orders::desk::{Answered, Asked, as_of, settle};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `POST /v1/orders`.
pub(crate) async fn place<B>(
    app: &App,
    caller: &Identity,
    head: &Parts,
    body: B,
) -> Result<Response<Full<Bytes>>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let key = idempotency_key(&head.headers)?;
    let (encoding, answer_encoding, bytes) = read(app, head, body).await?;
    let request = decode_order(encoding, &bytes).map_err(Refusal::Body)?;
    if !caller.may_act_for(Some(&request.account)) {
        return Err(Refusal::UnknownAccount);
    }
    if request.lines.iter().any(|line| line.price_hold.is_some()) {
        let reason = "this node gives no price holds, so it cannot honour one; leave it out".to_owned();
        return Err(Refusal::Parameter { name: "price_hold".to_owned(), reason });
    }
    let tables = readable(app)?;
    let account = request.account.clone();
    let order = OrderId::derive(&account, &key);
    let fingerprint = Fingerprint::of(&request);
    let asked =
        Asked { account: account.clone(), operation: Operation::PlaceOrder, key: key.clone(), fingerprint };
    let intake = Intake { ledger: &tables.ledger, catalog: &tables.catalog, dictionary: &tables.dictionary };
    let answered = settle(app, tables, asked, |now, judge_before| {
        let received =
            Received { key: key.clone(), now, judge_before, traceparent: traceparent(&head.headers) };
        intake.order(&request, received, &HeldPrices::new()).map_err(Refusal::from)
    });
    let (status, answer) = match answered.await? {
        Answered::Judged(KeyOutcome::Order(order)) => (StatusCode::CREATED, shown(tables, caller, &order)?),
        Answered::Judged(KeyOutcome::Hold(_) | KeyOutcome::Unknown | KeyOutcome::Expired) => {
            return Err(Refusal::UnknownOrder);
        }
        Answered::Pending => (StatusCode::ACCEPTED, pending(tables, order, account)),
    };
    let mut response = encoded(answer_encoding, status, &answer)?;
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/orders/{order}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `GET /v1/orders/{order}`.
pub(crate) fn show(
    app: &App,
    caller: &Identity,
    headers: &HeaderMap,
    order: &str,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let encoding = negotiate::of_answer(headers, Encoding::Json)?;
    encoded(encoding, StatusCode::OK, &shown(readable(app)?, caller, &order_id(order)?)?)
}

/// `GET /v1/orders/{order}/events`.
pub(crate) fn events(
    app: &App,
    caller: &Identity,
    headers: &HeaderMap,
    order: &str,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let encoding = negotiate::of_answer(headers, Encoding::Json)?;
    let record = readable(app)?.ledger.orders().order(&order_id(order)?).ok_or(Refusal::UnknownOrder)?;
    if !caller.may_act_for(Some(&record.placed.keyed.account)) {
        return Err(Refusal::UnknownOrder);
    }
    encoded(encoding, StatusCode::OK, &order_steps(&record))
}

/// `POST /v1/orders/{order}/cancel`.
pub(crate) async fn cancel<B>(
    app: &App,
    caller: &Identity,
    head: &Parts,
    body: B,
    order: &str,
) -> Result<Response<Full<Bytes>>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (key, order) = (idempotency_key(&head.headers)?, order_id(order)?);
    let (encoding, answer_encoding, bytes) = read(app, head, body).await?;
    let request: CancelRequest = match bytes.is_empty() {
        true => CancelRequest::default(),
        false => codec::decode(encoding, &bytes, ORDER_BYTES_MAX).map_err(Refusal::Body)?,
    };
    let tables = readable(app)?;
    let account = shown(tables, caller, &order)?.account;
    let fingerprint = Fingerprint::of(&(order, &request));
    let asked =
        Asked { account: account.clone(), operation: Operation::CancelOrder, key: key.clone(), fingerprint };
    let answered = settle(app, tables, asked, |_, judge_before| {
        let keyed = KeyedBy {
            account: account.clone(),
            key: key.clone(),
            fingerprint,
            judge_before,
            traceparent: traceparent(&head.headers),
        };
        Ok::<_, Refusal>(Command::CancelOrder(CancelOrder { order, keyed, reason: request.reason.clone() }))
    });
    match answered.await? {
        Answered::Judged(KeyOutcome::Order(order)) => {
            encoded(answer_encoding, StatusCode::OK, &shown(tables, caller, &order)?)
        }
        Answered::Judged(KeyOutcome::Hold(_) | KeyOutcome::Unknown | KeyOutcome::Expired) => {
            Err(Refusal::UnknownOrder)
        }
        Answered::Pending => encoded(answer_encoding, StatusCode::ACCEPTED, &shown(tables, caller, &order)?),
    }
}

/// The key that every act needs, so that a repeated request is told from a second one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Refusal> {
    let value = headers.get(IDEMPOTENCY_KEY).ok_or(Refusal::IdempotencyKeyMissing)?;
    let key = value.to_str().map_err(|error| error.to_string());
    let key = key.and_then(|text| IdempotencyKey::new(text).map_err(|error| error.to_string()));
    key.map_err(|reason| Refusal::Parameter { name: "Idempotency-Key".to_owned(), reason })
}

pub(super) fn traceparent(headers: &HeaderMap) -> Option<String> {
    super::context::valid_traceparent(headers.get(TRACEPARENT)?)
}

/// Encoding of the body, encoding of the answer, body.
pub(super) async fn read<B>(app: &App, head: &Parts, body: B) -> Result<(Encoding, Encoding, Bytes), Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let encoding = negotiate::of_body(&head.headers)?;
    let answer_encoding = negotiate::of_answer(&head.headers, encoding)?;
    let bytes = body::read(body, ORDER_BYTES_MAX, app.config.http.body_timeout).await?;
    Ok((encoding, answer_encoding, bytes))
}

pub(super) fn encoded<T: Serialize>(
    encoding: Encoding,
    status: StatusCode,
    answer: &T,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let bytes = codec::encode(encoding, answer).map_err(Refusal::Encode)?;
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
    Ok(response)
}

fn order_id(text: &str) -> Result<OrderId, Refusal> {
    OrderId::parse(text).map_err(|_| Refusal::UnknownOrder)
}

/// An order that the caller may not see looks like one that is not there.
fn shown(tables: &Tables, caller: &Identity, order: &OrderId) -> Result<OrderAnswer, Refusal> {
    let (orders, as_of) = (tables.ledger.orders(), as_of(tables));
    let answer = match orders.order(order) {
        Some(record) => order_answer(&record, as_of),
        None => shrunk_answer(*order, &*orders.closed(order).ok_or(Refusal::UnknownOrder)?, as_of),
    };
    if caller.may_act_for(Some(&answer.account)) { Ok(answer) } else { Err(Refusal::UnknownOrder) }
}

fn pending(tables: &Tables, order: OrderId, account: AccountId) -> OrderAnswer {
    OrderAnswer {
        order,
        state: OrderState::Pending,
        as_of: as_of(tables),
        account,
        purchase_order: None,
        reasons: Vec::new(),
        currency: None,
        total: None,
        backend: None,
        document: None,
        cancel_asked: false,
        lines: Vec::new(),
    }
}

impl From<IntakeRefusal> for Refusal {
    fn from(refusal: IntakeRefusal) -> Self {
        match refusal {
            IntakeRefusal::UnknownAccount => Self::UnknownAccount,
            IntakeRefusal::AccountBlocked => Self::AccountBlocked,
            IntakeRefusal::InvalidRequest { field, reason } => {
                Self::Parameter { name: field.to_owned(), reason: reason.to_owned() }
            }
            IntakeRefusal::Lines { doubts } => {
                let told = doubts.iter().map(|doubt| {
                    let line = doubt.line.as_ref().map_or("", |line| line.as_str());
                    format!("line {line}: {}", doubt.detail)
                });
                Self::Parameter { name: "lines".to_owned(), reason: told.collect::<Vec<_>>().join("; ") }
            }
        }
    }
}
