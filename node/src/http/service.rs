//! One request to one response, whatever carried it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::events::Answer;
use super::negotiate::wants_events;
use super::refusal::Refusal;
use super::routes::Route;
use super::{events, holds, lookup, orders};
use crate::app::App;
use crate::metrics::{self, OfRequest};
use crate::progress::{Progress, State};
use crate::shutdown::Tasks;
use crate::sources;

/// What a request came on.
#[derive(Clone, Default)]
pub(crate) struct Connection {
    pub(crate) tasks: Tasks,
    /// Ends the connection at once, whatever is under way on it.
    pub(crate) cut: CancellationToken,
}

/// Every way a request can end is a response: a refusal is its problem document.
pub(crate) async fn respond<B>(app: &App, of: &Connection, request: Request<B>) -> Response<Answer>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let context = Context::of(request.headers());
    let (head, body) = request.into_parts();
    let (route, found) = Route::find(&head.method, head.uri.path());
    let result = match (route, found) {
        (Some(Route::OrderEvents), Ok(order)) if wants_events(&head.headers) => {
            events::follow(app, of, &app.anyone, (&head.method, &head.headers), order).await
        }
        (Some(route), Ok(named)) => {
            whole(app, route, named, &head, body).await.map(|answer| answer.map(Answer::from))
        }
        (_, Err(refusal)) => Err(refusal),
        (None, Ok(_)) => Err(Refusal::NotFound),
    };
    finish(app, route.map_or("none", Route::path), result, context)
}

/// The same of a transport that has no streams of events.
pub(crate) async fn respond_whole(app: &App, request: Request<Full<Bytes>>) -> Response<Answer> {
    respond(app, &Connection::default(), request).await
}

/// What came is no request.
pub(crate) fn refused(app: &App, refusal: Refusal) -> Response<Answer> {
    finish(app, "none", Err(refusal), Context::of(&http::HeaderMap::new()))
}

/// Counts the request, and makes a refusal its problem document.
pub(super) fn finish<A: From<Full<Bytes>>>(
    app: &App,
    route: &'static str,
    result: Result<Response<A>, Refusal>,
    mut context: Context,
) -> Response<A> {
    let outcome = result.as_ref().map_or_else(|refusal| refusal.code().as_str(), |_| "ok");
    let label = OfRequest { route, outcome };
    app.metrics.http_requests.get_or_create(&label).inc();
    let mut response = result.unwrap_or_else(|refusal| {
        let correlation_id = context.correlation_id();
        log(&refusal, &correlation_id);
        refusal.response(correlation_id).map(A::from)
    });
    context.echo(&mut response);
    response
}

/// The answer of everything that is answered at once.
async fn whole<B>(
    app: &App,
    route: Route,
    named: &str,
    head: &Parts,
    body: B,
) -> Result<Response<Full<Bytes>>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let caller = &app.anyone;
    match route {
        Route::Lookup => lookup::post(app, caller, head, body).await,
        Route::LookupItem => {
            let query = head.uri.query().unwrap_or_default();
            lookup::get(app, caller, &head.headers, named, query).await
        }
        Route::Orders => orders::place(app, caller, head, body).await,
        Route::Order => orders::show(app, caller, &head.headers, named),
        Route::OrderEvents => orders::events(app, caller, &head.headers, named),
        Route::OrderCancel => orders::cancel(app, caller, head, body, named).await,
        Route::Holds => holds::place(app, caller, head, body).await,
        Route::Hold => match head.method {
            Method::PATCH => holds::change(app, caller, head, body, named).await,
            Method::DELETE => holds::release(app, caller, head, named).await,
            _ => holds::show(app, caller, &head.headers, named),
        },
        Route::OpenApi => Ok(page("application/json", app.openapi.clone())),
        Route::Health => Ok(page("text/plain; charset=utf-8", Bytes::from_static(b"alive\n"))),
        Route::Ready => Ok(readiness(&app.progress)),
        Route::Metrics => Ok(measurements(app)),
    }
}

pub(super) fn page(content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn measurements(app: &App) -> Response<Full<Bytes>> {
    if let Some(tables) = app.tables.get() {
        sources::show(&tables.board, app.clock.now(), &app.metrics);
    }
    // As of now: the watch looks right after it asked, when there is none.
    if let Some(lag) = app.progress.read().ledger_lag() {
        app.metrics.ledger_lag.set(lag.as_secs_f64());
    }
    app.checkpoints.show(app.clock.now(), &app.metrics);
    page(metrics::CONTENT_TYPE, Bytes::from(app.metrics.render()))
}

fn readiness(progress: &Progress) -> Response<Full<Bytes>> {
    let snapshot = progress.read().clone();
    let body = serde_json::to_vec(&snapshot).expect("a snapshot has string keys and is always JSON");
    let mut response = page("application/json", Bytes::from(body));
    if snapshot.state != State::Ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// Only what is the node's own fault is above DEBUG; details may name accounts.
fn log(refusal: &Refusal, correlation_id: &str) {
    let code = refusal.code();
    if code.status() == 500 {
        tracing::error!(correlation_id, code = code.as_str(), detail = %refusal, "a request failed");
    } else {
        tracing::debug!(correlation_id, code = code.as_str(), detail = %refusal, "a request was refused");
    }
}
