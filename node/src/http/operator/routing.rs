//! Order routing: the rules in force, others to be tried, and others put in force.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use pannier_core::ledger::orders;
use pannier_protocol::api::operator::{Reroute, RoutingDryRun, RoutingRequest, RoutingShown};
use pannier_protocol::order::{Decision, RouteRule, Routing};
use pannier_protocol::{Encoding, codec};

use super::{acts, json};
use crate::app::{App, Tables};
use crate::http::query;
use crate::http::refusal::Refusal;
use crate::limits::ACT_BYTES_MAX;
use crate::orders::desk::as_of;

/// `GET /v1/operator/routing`.
pub(super) fn in_force(tables: &Tables) -> RoutingShown {
    match tables.ledger.orders().routing().0 {
        None => RoutingShown { rules: Vec::new(), by: None, reason: None, position: None },
        Some(record) => RoutingShown {
            rules: record.rules.clone(),
            by: Some(record.by.clone()),
            reason: Some(record.reason.clone()),
            position: Some(record.position),
        },
    }
}

/// `PUT /v1/operator/routing`; with `dry_run=true` nothing is written.
pub(super) async fn put<B>(
    app: &App,
    tables: &Tables,
    head: &Parts,
    query: &str,
    body: B,
) -> Result<Response<Full<Bytes>>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let is_dry = query::dry_run(query)?;
    let bytes = acts::read(app, head, body).await?;
    if is_dry {
        let request: RoutingRequest =
            codec::decode(Encoding::Json, &bytes, ACT_BYTES_MAX).map_err(Refusal::Body)?;
        return json(StatusCode::OK, &tried(tables, &request.rules));
    }
    let (RoutingRequest { rules, by, reason }, keyed) = acts::keyed(&"routing", &bytes, head)?;
    acts::settle(app, tables, Decision::Routing(Routing { rules, by, reason, keyed })).await
}

fn tried(tables: &Tables, rules: &[RouteRule]) -> RoutingDryRun {
    let as_of = as_of(tables);
    let routes = orders::dry_run(tables.ledger.orders(), rules).into_iter().map(|it| Reroute {
        from: it.from,
        to: it.to,
        orders_count: it.orders_count,
        open_count: it.open_count,
        first: it.first,
    });
    RoutingDryRun { as_of, routes: routes.collect() }
}
