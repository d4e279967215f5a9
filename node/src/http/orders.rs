//! `/v1/orders`: place, show, tell the life of, cancel. What is answered is what this node's fold says.

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use pannier_core::intake::{HeldPrices, Intake, IntakeRefusal};
use pannier_core::ledger::orders::{KeyOutcome, Operation, order_answer, order_steps, shrunk_answer};
use pannier_protocol::api::{CancelRequest, OrderAnswer, OrderRequest, OrderState, decode_order};
use pannier_protocol::codec;
use pannier_protocol::limits::ORDER_BYTES_MAX;
use pannier_protocol::order::{CancelOrder, Command};
use pannier_protocol::{AccountId, Encoding, Fingerprint, OrderId, Timestamp};

use super::act::{Act, encoded};
use super::lookup::readable;
use super::negotiate;
use super::refusal::Refusal;
use crate::app::{App, Tables};
use crate::identity::Identity;
use crate::orders::desk::{Answered, as_of, settle};
use crate::price_holds::Buyer;

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
    let (act, sent) = Act::read(app, head, body).await?;
    let request = decode_order(sent.encoding, &sent.bytes).map_err(Refusal::Body)?;
    if !caller.may_act_for(Some(&request.account)) {
        return Err(Refusal::UnknownAccount);
    }
    let tables = readable(app)?;
    let account = &request.account;
    let order = OrderId::derive(account, act.key());
    let asked = act.asked(account, Operation::PlaceOrder, Fingerprint::of(&request));
    let intake = Intake { ledger: &tables.ledger, catalog: &tables.catalog, dictionary: &tables.dictionary };
    let answered = settle(app, tables, asked, |now, judge_before| {
        let received = act.received(now, judge_before);
        let held = verified(app, tables, &request, now)?;
        intake.order(&request, received, &held).map_err(Refusal::from)
    });
    let answered = answered.await?;
    let answer = match of_order(answered)? {
        Some(order) => shown(tables, caller, &order)?,
        None => pending(tables, order, account.clone()),
    };
    let mut response = act.answer(answered, StatusCode::CREATED, &answer)?;
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/orders/{order}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// The signed prices of the lines that gave one. Whatever was not signed here is refused and not judged: it can only be
/// a mistake or worse, and the key stays free.
fn verified(
    app: &App,
    tables: &Tables,
    request: &OrderRequest,
    now: Timestamp,
) -> Result<HeldPrices, Refusal> {
    let buyer = Buyer { account: &request.account, ship_to: request.ship_to.as_ref() };
    let mut held = HeldPrices::new();
    for (at, line) in request.lines.iter().enumerate() {
        let Some(token) = &line.price_hold else { continue };
        let refuse = |reason: String| Refusal::Parameter { name: format!("lines[{at}].price_hold"), reason };
        let holds = app.price_holds.as_ref().ok_or_else(|| {
            refuse(
                "this node holds no prices: leave it out, or give all nodes the same keys in [price_holds]"
                    .into(),
            )
        })?;
        let verified = holds.verify(token, buyer, &tables.incarnation, now);
        held.insert(line.line.clone(), verified.map_err(|forged| refuse(forged.to_string()))?);
    }
    Ok(held)
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
    let (act, sent) = Act::read(app, head, body).await?;
    let order = order_id(order)?;
    let request: CancelRequest = match sent.bytes.is_empty() {
        true => CancelRequest::default(),
        false => codec::decode(sent.encoding, &sent.bytes, ORDER_BYTES_MAX).map_err(Refusal::Body)?,
    };
    let tables = readable(app)?;
    let account = shown(tables, caller, &order)?.account;
    let fingerprint = Fingerprint::of(&(order, &request));
    let asked = act.asked(&account, Operation::CancelOrder, fingerprint);
    let answered = settle(app, tables, asked, |_, judge_before| {
        let keyed = act.keyed(&account, fingerprint, judge_before);
        Ok::<_, Refusal>(Command::CancelOrder(CancelOrder { order, keyed, reason: request.reason.clone() }))
    });
    let answered = answered.await?;
    let order = of_order(answered)?.unwrap_or(order);
    act.answer(answered, StatusCode::OK, &shown(tables, caller, &order)?)
}

/// The order that was judged; `None` while it is not.
fn of_order(answered: Answered) -> Result<Option<OrderId>, Refusal> {
    match answered {
        Answered::Judged(KeyOutcome::Order(order)) => Ok(Some(order)),
        Answered::Judged(KeyOutcome::Hold(_) | KeyOutcome::Unknown | KeyOutcome::Expired) => {
            Err(Refusal::UnknownOrder)
        }
        Answered::Pending => Ok(None),
    }
}

pub(super) fn order_id(text: &str) -> Result<OrderId, Refusal> {
    OrderId::parse(text).map_err(|_| Refusal::UnknownOrder)
}

/// An order that the caller may not see looks like one that is not there.
pub(super) fn shown(tables: &Tables, caller: &Identity, order: &OrderId) -> Result<OrderAnswer, Refusal> {
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
