//! The operators' API, on a listener of its own: what waits for a human, how far sources can be trusted, and the acts
//! that decide for all nodes. JSON alone: people and scripts read it, and no checkout does.
//!
//! Every act is an entry of the ledger with who and why. It is answered once this node's own fold has passed it, with
//! what became of it: an act that came too late is no error of the request, so it is answered 200 as well.

mod acts;
mod chains;
mod events;
mod handover;
mod lists;
mod policies;
mod recovery;
pub(crate) mod routes;
mod routing;
mod shadow;
mod shown;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use serde::Serialize;

use self::routes::Route;
use super::context::Context;
use super::lookup::readable;
use super::refusal::Refusal;
use super::service::{finish, page};
use crate::app::App;

/// Every way a request can end is a response: a refusal is its problem document.
pub(crate) async fn respond<B>(app: &App, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let context = Context::of(request.headers());
    let (head, body) = request.into_parts();
    let (route, found) = Route::find(&head.method, head.uri.path());
    let result = match (route, found) {
        (Some(route), Ok(named)) => answer(app, route, &head, named, body).await,
        (_, Err(refusal)) => Err(refusal),
        (None, Ok(_)) => Err(Refusal::NotFound),
    };
    finish(app, route.map_or("none", Route::path), result, context)
}

async fn answer<B>(
    app: &App,
    route: Route,
    head: &Parts,
    named: &str,
    body: B,
) -> Result<Response<Full<Bytes>>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if route == Route::OpenApi {
        return Ok(page("application/json", app.operator_openapi.clone()));
    }
    if route == Route::Cluster {
        return json(StatusCode::OK, &app.members.shown(app));
    }
    if route == Route::Recovery {
        return json(StatusCode::OK, &recovery::page(app, head.uri.query().unwrap_or_default()).await?);
    }
    let (tables, query) = (readable(app)?, head.uri.query().unwrap_or_default());
    match route {
        Route::Orders => json(StatusCode::OK, &lists::orders(tables, query)?),
        Route::Order => json(StatusCode::OK, &lists::order(tables, named)?),
        Route::Events => json(StatusCode::OK, &events::page(app, tables, query).await?),
        Route::Holds => json(StatusCode::OK, &lists::holds(tables, query)?),
        Route::Sources => json(StatusCode::OK, &shown::sources(tables, app.clock.now())),
        Route::Review => json(StatusCode::OK, &lists::review(app, query).await?),
        Route::Dispatch => json(StatusCode::OK, &shown::backlog(tables)),
        Route::Overcommits => json(StatusCode::OK, &shown::overcommits(tables)),
        Route::Routing if head.method == Method::PUT => routing::put(app, tables, head, query, body).await,
        Route::Handover if head.method == Method::POST => {
            handover::post(app, tables, head, query, body).await
        }
        Route::Handover => json(StatusCode::OK, &handover::in_force(tables)),
        Route::Shadow => json(StatusCode::OK, &shadow::shown(tables, app.clock.now(), query).await?),
        Route::Routing => json(StatusCode::OK, &routing::in_force(tables)),
        Route::Policies => json(StatusCode::OK, &policies::in_force(app, tables)),
        Route::Invalidate => chains::invalidate(app, tables, head, query, body).await,
        Route::Resync => chains::resync(app, tables, head, body).await,
        Route::Act(act) => acts::about_order(app, tables, (act, named), head, body).await,
        Route::OpenApi | Route::Cluster | Route::Recovery => Err(Refusal::NotFound),
    }
}

fn json<T: Serialize>(status: StatusCode, answer: &T) -> Result<Response<Full<Bytes>>, Refusal> {
    let bytes = pannier_protocol::codec::encode(pannier_protocol::Encoding::Json, answer);
    let mut response = Response::new(Full::new(Bytes::from(bytes.map_err(Refusal::Encode)?)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
