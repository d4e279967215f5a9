//! One lookup from its bytes to its answer. Waiting happens before the lookup (body, `at_least`); the lookup
//! itself is a computation without `.await`. Where sources are to be asked it is done twice, and they are asked
//! between the two. Nothing is spawned: when the client hangs up, hyper drops the
//! future, and the lookup with it.

use std::pin::pin;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response};
use http_body_util::Full;
use hyper::body::Body;
use pannier_core::lookup::{Caller, Promised};
use pannier_protocol::api::{Include, LineStatus, LookupRequest, Priority, decode_lookup};
use pannier_protocol::limits::LOOKUP_BYTES_MAX;
use pannier_protocol::{AsOf, Encoding, codec};

use super::refusal::Refusal;
use super::{body, negotiate, query};
use crate::app::{App, Tables};
use crate::clock::Moment;
use crate::feed::Ends;
use crate::identity::{Identity, Scope};
use crate::limits::LEADER_ANSWER_MAX;
use crate::metrics::OfStatus;
use crate::price_holds::Buyer;
use crate::progress::{Positions, State};

/// `POST /v1/price-availability`.
pub(crate) async fn post<B>(
    app: &App,
    caller: &Identity,
    head: &Parts,
    body: B,
) -> Result<Response<Full<Bytes>>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let encoding = negotiate::of_body(&head.headers)?;
    let answer_encoding = negotiate::of_answer(&head.headers, encoding)?;
    let _admitted = app.admission.enter(&app.metrics.lookups_in_flight)?;
    let bytes = body::read(body, LOOKUP_BYTES_MAX, app.config.http.body_timeout).await?;
    let request = decode_lookup(encoding, &bytes).map_err(Refusal::Body)?;
    answer(app, caller, &request, answer_encoding).await
}

/// `GET /v1/price-availability/{item}`.
pub(crate) async fn get(
    app: &App,
    caller: &Identity,
    headers: &HeaderMap,
    item: &str,
    query: &str,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let answer_encoding = negotiate::of_answer(headers, Encoding::Json)?;
    let _admitted = app.admission.enter(&app.metrics.lookups_in_flight)?;
    let request = query::lookup_of(item, query)?;
    answer(app, caller, &request, answer_encoding).await
}

async fn answer(
    app: &App,
    caller: &Identity,
    request: &LookupRequest,
    encoding: Encoding,
) -> Result<Response<Full<Bytes>>, Refusal> {
    match request.priority.unwrap_or_default() {
        Priority::Checkout => {}
        Priority::Bulk => app.admission.take_bulk()?,
    }
    if !caller.may_act_for(request.account.as_ref()) {
        return Err(Refusal::UnknownAccount);
    }
    let holds = match request.includes(Include::Hold) {
        true => Some(app.price_holds.as_ref().ok_or_else(no_price_holds)?),
        false => None,
    };
    let tables = readable(app)?;
    let other_incarnation = match &request.at_least {
        Some(at_least) if at_least.incarnation != tables.incarnation => true,
        Some(at_least) => {
            reach(app, at_least).await?;
            false
        }
        None => false,
    };

    let mut began = Moment::now();
    let caller = Caller { may_explain: caller.has(Scope::Explain) };
    let mut now = app.clock.now();
    let mut promised = tables.promise(request, now, caller, &[])?;
    let questions = std::mem::take(&mut promised.questions);
    if !questions.is_empty()
        && let Some(asker) = app.asker.get()
    {
        let waiting = &app.metrics.ask_waiting;
        waiting.inc();
        let counted = Counted(waiting);
        let live = asker.ask(questions, now, &app.metrics).await;
        drop(counted);
        if !live.is_empty() {
            (began, now) = (Moment::now(), app.clock.now());
            promised = tables.promise(request, now, caller, &live)?;
        }
    }
    let Promised { mut answer, held, .. } = promised;
    if let (Some(holds), Some(account)) = (holds, &request.account) {
        let buyer = Buyer { account, ship_to: request.ship_to.as_ref() };
        for (at, price) in held {
            answer.lines[at].price_hold = holds.sign(buyer, price, &answer.as_of, now);
        }
    }
    answer.other_incarnation = other_incarnation;
    answer.nodes_disagree = app.metrics.members_disagree.get() != 0;
    let bytes = codec::encode(encoding, &answer).map_err(Refusal::Encode)?;
    app.metrics.lookup_duration.observe(began.elapsed().as_secs_f64());
    // Lines of a basket mostly end alike: one look at the family serves a run of them.
    for run in answer.lines.chunk_by(|a, b| a.status == b.status) {
        let label = OfStatus { status: label(run[0].status) };
        app.metrics.lookup_lines.get_or_create(&label).inc_by(run.len() as u64);
    }

    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
    Ok(response)
}

fn no_price_holds() -> Refusal {
    let reason =
        "this node holds no prices: leave `hold` out, or give all nodes the same keys in [price_holds]";
    Refusal::Parameter { name: "include".to_owned(), reason: reason.to_owned() }
}

/// The tables, once they are complete and as long as they can be trusted.
pub(super) fn readable(app: &App) -> Result<&Tables, Refusal> {
    let snapshot = app.progress.read();
    match snapshot.state {
        // Requests that came before the word to stop are still answered.
        State::Ready | State::Stopping => {}
        State::Starting | State::Loading | State::CatchingUp | State::Refused => {
            return Err(Refusal::NotReady { detail: snapshot.detail.clone() });
        }
    }
    app.tables.get().ok_or_else(|| Refusal::NotReady { detail: snapshot.detail.clone() })
}

/// Waits until the tables are at `at_least`; see [`Refusal::Behind`] and [`Refusal::BeyondEnd`].
///
/// What is beyond the end that the leader names cannot have been given out. Where one server has the streams
/// that is known at once; a leader of several may be deposed, and only when a second answer, at the end of the
/// wait, agrees is it the client's error.
async fn reach(app: &App, at_least: &AsOf) -> Result<(), Refusal> {
    let wanted = Positions::of(at_least);
    if app.progress.read().applied.covers(wanted) {
        return Ok(());
    }
    let waiting = &app.metrics.at_least_waiting;
    waiting.inc();
    let _counted = Counted(waiting);
    let began = Moment::now();
    let mut is_beyond = false;
    let reached = async {
        let mut progress = app.progress.subscribe();
        let mut reached = pin!(progress.wait_for(|snapshot| snapshot.applied.covers(wanted)));
        tokio::select! {
            there = reached.as_mut() => return there.is_ok(),
            ends = ends_before(app, wanted) => match ends {
                Some(Ends { is_certain: true, .. }) => return false,
                Some(Ends { is_certain: false, .. }) => is_beyond = true,
                None => {}
            },
        }
        reached.await.is_ok()
    };
    let reached = tokio::time::timeout(app.config.lookup.at_least_wait, reached).await;
    let at_least = Box::new(at_least.clone());
    match reached {
        Ok(true) => return Ok(()),
        Ok(false) => return Err(Refusal::BeyondEnd { at_least }),
        Err(_) => {}
    }
    let again = tokio::time::timeout(LEADER_ANSWER_MAX, ends_before(app, wanted));
    if is_beyond && matches!(again.await, Ok(Some(_))) {
        return Err(Refusal::BeyondEnd { at_least });
    }
    Err(Refusal::Behind { at_least, waited_millis: began.elapsed().as_millis() })
}

/// Where the leader says that the streams end, if that is before `wanted`; `None` too where it does not answer.
async fn ends_before(app: &App, wanted: Positions) -> Option<Ends> {
    if app.progress.read().end.covers(wanted) {
        return None;
    }
    match app.leader.get()?.ends(&app.clock).await {
        Ok(ends) => {
            app.progress.ends(ends.at, ends.asked);
            (!ends.at.covers(wanted)).then_some(ends)
        }
        Err(error) => {
            tracing::debug!(%error, "the leader did not say where the streams end");
            None
        }
    }
}

/// A gauge that goes down again however the future ends.
struct Counted<'a>(&'a prometheus_client::metrics::gauge::Gauge);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn label(status: LineStatus) -> &'static str {
    match status {
        LineStatus::Ok => "ok",
        LineStatus::NotFound => "not_found",
        LineStatus::NotOnContract => "not_on_contract",
        LineStatus::NoPrice => "no_price",
        LineStatus::Stale => "stale",
        LineStatus::Suspect => "suspect",
        LineStatus::Invalidated => "invalidated",
        LineStatus::NotLoaded => "not_loaded",
        LineStatus::InvalidQuantity => "invalid_quantity",
        LineStatus::InvalidUom => "invalid_uom",
    }
}
