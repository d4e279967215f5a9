//! `/v1/holds`: keep stock, show, change, give back.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use pannier_core::intake::Intake;
use pannier_core::ledger::orders::{KeyOutcome, Operation, hold_answer};
use pannier_protocol::api::{HoldAnswer, HoldChangeRequest, HoldState, decode_hold};
use pannier_protocol::codec;
use pannier_protocol::limits::ORDER_BYTES_MAX;
use pannier_protocol::order::{ChangeHold, Command, KeyedBy, ReleaseHold};
use pannier_protocol::{Encoding, Fingerprint, HoldId};

use super::act::{Act, encoded};
use super::lookup::readable;
use super::negotiate;
use super::refusal::Refusal;
use crate::app::{App, Tables};
use crate::identity::Identity;
use crate::orders::desk::{Answered, as_of, settle};

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
    let (act, sent) = Act::read(app, head, body).await?;
    let request = decode_hold(sent.encoding, &sent.bytes).map_err(Refusal::Body)?;
    if !caller.may_act_for(Some(&request.account)) {
        return Err(Refusal::UnknownAccount);
    }
    let tables = readable(app)?;
    let account = &request.account;
    let hold = HoldId::derive(account, act.key());
    let asked = act.asked(account, Operation::PlaceHold, Fingerprint::of(&request));
    let intake = Intake { ledger: &tables.ledger, catalog: &tables.catalog, dictionary: &tables.dictionary };
    let answered = settle(app, tables, asked, |now, judge_before| {
        intake.hold(&request, act.received(now, judge_before)).map_err(Refusal::from)
    });
    let answered = answered.await?;
    let answer = match answered {
        Answered::Judged(_) => shown(tables, caller, &hold)?,
        Answered::Pending => {
            let (state, as_of, account) = (HoldState::Pending, as_of(tables), account.clone());
            HoldAnswer { hold, state, as_of, account, expires_at: request.expires_at, lines: Vec::new() }
        }
    };
    act.answer(answered, StatusCode::CREATED, &answer)
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
    let (act, sent) = Act::read(app, head, body).await?;
    let request: HoldChangeRequest =
        codec::decode(sent.encoding, &sent.bytes, ORDER_BYTES_MAX).map_err(Refusal::Body)?;
    let hold = hold_id(hold)?;
    let of = (hold, Operation::ChangeHold, Fingerprint::of(&(hold, &request)));
    let (expires_at, keep) = (request.expires_at, request.keep);
    let command = |keyed| Command::ChangeHold(ChangeHold { hold, keyed, expires_at, keep: keep.clone() });
    settled(app, caller, &act, of, command).await
}

/// `DELETE /v1/holds/{hold}`.
pub(crate) async fn release(
    app: &App,
    caller: &Identity,
    head: &Parts,
    hold: &str,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let (act, hold) = (Act::of(&head.headers)?, hold_id(hold)?);
    let of = (hold, Operation::ReleaseHold, Fingerprint::of(&hold));
    settled(app, caller, &act, of, |keyed| Command::ReleaseHold(ReleaseHold { hold, keyed })).await
}

/// Changes a hold that is there, and shows it.
async fn settled(
    app: &App,
    caller: &Identity,
    act: &Act,
    (hold, operation, fingerprint): (HoldId, Operation, Fingerprint),
    command: impl Fn(KeyedBy) -> Command,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let tables = readable(app)?;
    let account = shown(tables, caller, &hold)?.account;
    let asked = act.asked(&account, operation, fingerprint);
    let answered = settle(app, tables, asked, |_, judge_before| {
        Ok::<_, Refusal>(command(act.keyed(&account, fingerprint, judge_before)))
    });
    let answered = answered.await?;
    match answered {
        Answered::Judged(KeyOutcome::Hold(_)) | Answered::Pending => {}
        Answered::Judged(KeyOutcome::Order(_) | KeyOutcome::Unknown | KeyOutcome::Expired) => {
            return Err(Refusal::UnknownOrder);
        }
    }
    act.answer(answered, StatusCode::OK, &shown(tables, caller, &hold)?)
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
