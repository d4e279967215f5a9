//! `GET /v1/orders/{order}/events` as server-sent events: each step in the life of an order once, as it happens.
//!
//! An event's `id` is the step's, which every node derives alike, and ids rise in the order of steps. So a client that
//! reconnects with `Last-Event-ID`, to this node or to another, gets exactly the steps after it, also where that step is
//! no longer among those that are kept. A stream ends when nothing can follow any more; asking again behind the last
//! step is 204, which tells browsers to leave it at that.
//!
//! A task a stream looks when the fold has gone on, at most so many times a second, and hands frames over a short queue;
//! the applier knows nothing of it. A client that does not take its frames loses its connection: HTTP knows no other
//! way of telling it.

mod follower;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use pannier_core::ledger::orders::following;
use pannier_protocol::{AsOf, EffectId, StreamSequence};
use tokio::sync::mpsc;

use follower::Follower;

use super::lookup::readable;
use super::orders::{order_id, shown};
use super::refusal::Refusal;
use super::service::Connection;
use crate::app::App;
use crate::clock::Moment;
use crate::identity::Identity;
use crate::limits::{EVENT_FRAMES_MAX, EVENT_STREAMS_MAX, EVENT_TAKEN_WITHIN};
use crate::orders::verdict::passed;

pub(crate) const CONTENT_TYPE_EVENTS: &str = "text/event-stream";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What a response consists of: all at once, or events as they come.
pub(crate) enum Answer {
    Whole(Full<Bytes>),
    Events(mpsc::Receiver<Bytes>),
}

impl From<Full<Bytes>> for Answer {
    fn from(whole: Full<Bytes>) -> Self {
        Self::Whole(whole)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(whole) => Pin::new(whole).poll_frame(context),
            Self::Events(frames) => frames.poll_recv(context).map(|frame| Some(Ok(Frame::data(frame?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// Starts a stream, or says that there is nothing to wait for.
pub(crate) async fn follow(
    app: &App,
    of: &Connection,
    caller: &Identity,
    (method, headers): (&Method, &HeaderMap),
    order: &str,
) -> Result<Response<Answer>, Refusal> {
    let order = order_id(order)?;
    let last = last_event_id(headers)?;
    let tables = readable(app)?;
    // Before anything waits.
    let place = app.event_streams.clone().try_acquire_owned();
    let place = place.map_err(|_| Refusal::TooManyStreams { max: EVENT_STREAMS_MAX })?;
    if let Some(last) = last {
        reach(app, last.position).await?;
    }
    shown(tables, caller, &order)?;
    let orders = tables.ledger.orders().clone();
    let is_over = orders.order(&order).is_none_or(|record| {
        following(record.state).is_empty() && record.steps.last().map(|step| step.id) <= last
    });
    if is_over {
        let mut response = Response::new(Answer::Whole(Full::default()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    }
    let (frames, body) = mpsc::channel(EVENT_FRAMES_MAX);
    if *method == Method::GET {
        let progress = app.progress.subscribe();
        let (stop, taken_within) = (of.tasks.token(), EVENT_TAKEN_WITHIN);
        let follower = Follower { orders, order, last, frames, taken_within, progress, stop, place };
        let (gauge, cut) = (app.metrics.event_streams.clone(), of.cut.clone());
        of.tasks.spawn("order events", async move { follower.counted(&gauge, &cut).await });
    }
    let mut response = Response::new(Answer::Events(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_EVENTS));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A step that another node told may not be known here yet.
pub(super) async fn reach(app: &App, position: StreamSequence) -> Result<(), Refusal> {
    let (wait, began) = (app.config.lookup.at_least_wait, Moment::now());
    if passed(&app.progress, position, wait).await {
        return Ok(());
    }
    let none = StreamSequence(0);
    let incarnation = readable(app)?.incarnation.clone();
    let at_least = Box::new(AsOf { incarnation, ledger: position, shared: none, partition: none });
    Err(Refusal::Behind { at_least, waited_millis: began.elapsed().as_millis() })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<EffectId>, Refusal> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    let reason = "no id of an event; give it back as it came, as in 81234.0";
    let refusal = Refusal::Parameter { name: "Last-Event-ID".to_owned(), reason: reason.to_owned() };
    parsed.map(Some).ok_or(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_events_are_read_or_refused() {
        let parse = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LAST_EVENT_ID, HeaderValue::from_str(text).unwrap());
            last_event_id(&headers)
                .map(|id| id.map(|id| id.to_string()))
                .map_err(|refusal| refusal.to_string())
        };
        assert_eq!(parse("81234.2"), Ok(Some("81234.2".to_owned())));
        assert_eq!(parse(""), Ok(None));
        assert!(parse("7").unwrap_err().starts_with("Last-Event-ID: no id of an event"));
    }
}
