//! `/v1/holds`: keep stock, show, change, give back.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use pannier_core::intake::{Intake, Received};
use pannier_core::ledger::orders::{KeyOutcome, Operation, hold_answer};
use pannier_protocol::api::{HoldAnswer, HoldChangeRequest, HoldState, decode_hold};
use pannier_protocol::codec;
use pannier_protocol::limits::ORDER_BYTES_MAX;
use pannier_protocol::order::{ChangeHold, Command, KeyedBy, ReleaseHold};
use pannier_protocol::{Encoding, Fingerprint, HoldId, Timestamp};

use super::lookup::readable;
use super::negotiate;
use super::orders::{encoded, idempotency_key, read, traceparent};
use super::refusal::Refusal;
use crate::app::{App, Tables};
use crate::identity::Identity;
use crate::orders::desk::{Answered, Asked, as_of, settle};

/// `POST /v1/holds`.
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
    let request = decode_hold(encoding, &bytes).map_err(Refusal::Body)?;
    if !caller.may_act_for(Some(&request.account)) {
        return Err(Refusal::UnknownAccount);
    }
    let tables = readable(app)?;
    let (account, fingerprint) = (request.account.clone(), Fingerprint::of(&request));
    let hold = HoldId::derive(&account, &key);
    let asked =
        Asked { account: account.clone(), operation: Operation::PlaceHold, key: key.clone(), fingerprint };
    let intake = Intake { ledger: &tables.ledger, catalog: &tables.catalog, dictionary: &tables.dictionary };
    let answered = settle(app, tables, asked, |now, judge_before| {
        let received =
            Received { key: key.clone(), now, judge_before, traceparent: traceparent(&head.headers) };
        intake.hold(&request, received).map_err(Refusal::from)
    });
    match answered.await? {
        Answered::Judged(_) => encoded(answer_encoding, StatusCode::CREATED, &shown(tables, caller, &hold)?),
        Answered::Pending => {
            let (state, as_of) = (HoldState::Pending, as_of(tables));
            let expires_at = request.expires_at;
            let answer = HoldAnswer { hold, state, as_of, account, expires_at, lines: Vec::new() };
            encoded(answer_encoding, StatusCode::ACCEPTED, &answer)
        }
    }
}

/// `GET /v1/holds/{hold}`.
pub(crate) fn show(
    app: &App,
    caller: &Identity,
    headers: &HeaderMap,
    hold: &str,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let encoding = negotiate::of_answer(headers, Encoding::Json)?;
    encoded(encoding, StatusCode::OK, &shown(readable(app)?, caller, &hold_id(hold)?)?)
}

/// `PATCH /v1/holds/{hold}`.
pub(crate) async fn change<B>(
    app: &App,
    caller: &Identity,
    head: &Parts,
    body: B,
    hold: &str,
) -> Result<Response<Full<Bytes>>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (encoding, answer_encoding, bytes) = read(app, head, body).await?;
    let request: HoldChangeRequest =
        codec::decode(encoding, &bytes, ORDER_BYTES_MAX).map_err(Refusal::Body)?;
    let hold = hold_id(hold)?;
    let fingerprint = Fingerprint::of(&(hold, &request));
    act(app, caller, head, answer_encoding, (hold, Operation::ChangeHold, fingerprint), |keyed| {
        Command::ChangeHold(ChangeHold {
            hold,
            keyed,
            expires_at: request.expires_at,
            keep: request.keep.clone(),
        })
    })
    .await
}

/// `DELETE /v1/holds/{hold}`.
pub(crate) async fn release(
    app: &App,
    caller: &Identity,
    head: &Parts,
    hold: &str,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let answer_encoding = negotiate::of_answer(&head.headers, Encoding::Json)?;
    let hold = hold_id(hold)?;
    let of = (hold, Operation::ReleaseHold, Fingerprint::of(&hold));
    act(app, caller, head, answer_encoding, of, |keyed| Command::ReleaseHold(ReleaseHold { hold, keyed }))
        .await
}

/// Changes a hold that is there, and shows it.
async fn act(
    app: &App,
    caller: &Identity,
    head: &Parts,
    encoding: Encoding,
    (hold, operation, fingerprint): (HoldId, Operation, Fingerprint),
    command: impl Fn(KeyedBy) -> Command,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let key = idempotency_key(&head.headers)?;
    let tables = readable(app)?;
    let account = shown(tables, caller, &hold)?.account;
    let asked = Asked { account: account.clone(), operation, key: key.clone(), fingerprint };
    let answered = settle(app, tables, asked, |_, judge_before: Timestamp| {
        let traceparent = traceparent(&head.headers);
        let keyed =
            KeyedBy { account: account.clone(), key: key.clone(), fingerprint, judge_before, traceparent };
        Ok::<_, Refusal>(command(keyed))
    });
    let status = match answered.await? {
        Answered::Judged(KeyOutcome::Hold(_)) => StatusCode::OK,
        Answered::Judged(KeyOutcome::Order(_) | KeyOutcome::Unknown | KeyOutcome::Expired) => {
            return Err(Refusal::UnknownOrder);
        }
        Answered::Pending => StatusCode::ACCEPTED,
    };
    encoded(encoding, status, &shown(tables, caller, &hold)?)
}

fn hold_id(text: &str) -> Result<HoldId, Refusal> {
    HoldId::parse(text).map_err(|_| Refusal::UnknownOrder)
}

/// A hold that the caller may not see looks like one that is not there.
fn shown(tables: &Tables, caller: &Identity, hold: &HoldId) -> Result<HoldAnswer, Refusal> {
    let record = tables.ledger.orders().hold(hold).ok_or(Refusal::UnknownOrder)?;
    let answer = hold_answer(&record, as_of(tables));
    if caller.may_act_for(Some(&answer.account)) { Ok(answer) } else { Err(Refusal::UnknownOrder) }
}
