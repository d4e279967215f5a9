//! Acts on what sources said: rows that are not to be trusted any more, and chains that are to be sent anew.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use pannier_core::catalog::CatalogTables;
use pannier_core::ledger::LedgerTables;
use pannier_protocol::api::operator::{
    CondemnedShown, InvalidateDryRun, InvalidateRequest, ResyncAnswer, ResyncRequest,
};
use pannier_protocol::change::{ChainPoint, InvalidateScope};
use pannier_protocol::order::{Decision, InvalidateRows};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Encoding, Epoch, SourceSequence, codec};
use tokio::task::spawn_blocking;

use super::{acts, json};
use crate::app::{App, Tables};
use crate::http::query::{dry_run, refuse};
use crate::http::refusal::Refusal;
use crate::limits::ACT_BYTES_MAX;
use crate::metrics::OfEffect;
use crate::orders::desk::{DeskError, as_of};

/// `POST /v1/operator/invalidate`; with `dry_run=true` nothing is written.
pub(super) async fn invalidate<B>(
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
    let is_dry = dry_run(query)?;
    let bytes = acts::read(app, head, body).await?;
    if is_dry {
        let request: InvalidateRequest =
            codec::decode(Encoding::Json, &bytes, ACT_BYTES_MAX).map_err(Refusal::Body)?;
        let points = points(tables, &request)?;
        let (as_of, ledger, catalog) = (as_of(tables), tables.ledger.load(), tables.catalog.load());
        // Walks over whole tables, for which no other request is to wait.
        let counting = spawn_blocking(move || counted(&ledger, &catalog, &request.scope, points));
        let chains = counting.await.expect("counting rows does not panic");
        let rows_count = chains.iter().map(|shown| shown.rows_count).sum();
        return json(StatusCode::OK, &InvalidateDryRun { as_of, rows_count, chains });
    }
    let (request, keyed) = acts::keyed::<InvalidateRequest, _>(&"invalidate", &bytes, head)?;
    let up_to = points(tables, &request)?;
    let InvalidateRequest { scope, mode, by, reason, .. } = request;
    let rows = InvalidateRows { scope, mode, up_to, by, reason, keyed };
    acts::settle(app, tables, Decision::Invalidate(rows)).await
}

/// How far this node has read the chains that are meant.
fn points(tables: &Tables, request: &InvalidateRequest) -> Result<Vec<ChainPoint>, Refusal> {
    let states = tables.board.states();
    let known = |subject: &Subject| states.iter().any(|(known, _)| known == subject);
    if let Some(unknown) = request.subjects.iter().find(|subject| !known(subject)) {
        return Err(refuse(
            "subjects",
            format!("no chain {unknown} is known; GET /v1/operator/sources lists them"),
        ));
    }
    let is_meant = |subject: &Subject| match &request.scope {
        _ if !request.subjects.is_empty() => request.subjects.contains(subject),
        InvalidateScope::Source(source) => subject.source() == Some(source),
        InvalidateScope::Warehouse(_)
        | InvalidateScope::All
        | InvalidateScope::Item(_)
        | InvalidateScope::Account(_)
        | InvalidateScope::Contract(_)
        | InvalidateScope::PriceList(_) => true,
    };
    let points = states.iter().filter(|(subject, _)| is_meant(subject)).map(|(subject, state)| ChainPoint {
        subject: subject.clone(),
        epoch: Epoch { incarnation: tables.incarnation.clone(), claim: state.epoch },
        sequence: state.sequence,
    });
    let points: Vec<ChainPoint> = points.collect();
    if points.is_empty() {
        return Err(refuse("scope", "no chain of that source is known".to_owned()));
    }
    Ok(points)
}

fn counted(
    ledger: &LedgerTables,
    catalog: &CatalogTables,
    scope: &InvalidateScope,
    points: Vec<ChainPoint>,
) -> Vec<CondemnedShown> {
    let rows_count = |subject: &Subject| match subject {
        Subject::Stock(source) => {
            let chain = ledger.chains.iter().find(|chain| chain.source == *source);
            chain.map_or(0, |chain| chain.rows.count_in(scope, subject))
        }
        Subject::Catalog(partition, source) => {
            let chain = catalog.chains(*partition).iter().find(|chain| chain.source == *source);
            chain.map_or(0, |chain| chain.rows.count_in(scope, subject))
        }
        Subject::Order(_) | Subject::Event(_) | Subject::Control => 0,
    };
    let shown =
        points.into_iter().map(|ChainPoint { subject, epoch, sequence: SourceSequence(sequence) }| {
            CondemnedShown { rows_count: rows_count(&subject), subject, epoch: epoch.claim, sequence }
        });
    shown.filter(|shown| shown.rows_count > 0).collect()
}

/// `POST /v1/operator/resync`: no entry of the ledger, for nothing changes until the source answers.
pub(super) async fn resync<B>(
    app: &App,
    tables: &Tables,
    head: &Parts,
    body: B,
) -> Result<Response<Full<Bytes>>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let bytes = acts::read(app, head, body).await?;
    let ResyncRequest { subjects, by, reason } =
        codec::decode(Encoding::Json, &bytes, ACT_BYTES_MAX).map_err(Refusal::Body)?;
    let states = tables.board.states();
    for subject in &subjects {
        if !states.iter().any(|(known, _)| known == subject) {
            let unknown = format!("no chain {subject} is known; GET /v1/operator/sources lists them");
            return Err(refuse("subjects", unknown));
        }
    }
    let desk = app.operators.get().filter(|_| app.progress.read().connected);
    let desk = desk.ok_or(Refusal::LedgerUnavailable(DeskError::OutOfReach))?;
    for subject in &subjects {
        let asked = desk.ask_resync(subject).await;
        let outcome = if asked.is_ok() { "published" } else { "failed" };
        app.metrics.effects.get_or_create(&OfEffect { effect: "resync", outcome }).inc();
        asked.map_err(|reason| {
            tracing::error!(%subject, reason, "an operator's request for a snapshot could not be sent");
            Refusal::LedgerUnavailable(DeskError::OutOfReach)
        })?;
        tracing::info!(%subject, %by, reason, "an operator asked the source to send a snapshot");
    }
    json(StatusCode::ACCEPTED, &ResyncAnswer { asked: subjects })
}
