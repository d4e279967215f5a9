//! Handovers: what one would do, and the act. What the catalog decides is resolved here, once, for all nodes.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use pannier_core::freshness::ChainState;
use pannier_core::ledger::orders::{self, InFlight};
use pannier_core::lookup::ownership_in_force;
use pannier_core::ownership::OwnershipInForce;
use pannier_protocol::api::operator::{
    HandoverDryRun, HandoverRequest, HandoverShown, InFlightFate, InFlightShown, LastHandover,
};
use pannier_protocol::change::{ChainPoint, Ownership, OwnershipRule, Table};
use pannier_protocol::order::{ActKey, CatalogPoint, Decision, Handover, HandoverScope};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding, Epoch, SourceId, codec};

use super::shadow::{Compared, drift};
use super::{acts, json};
use crate::app::{App, Tables};
use crate::http::query::{dry_run, refuse};
use crate::http::refusal::Refusal;
use crate::limits::ACT_BYTES_MAX;
use crate::orders::desk::as_of;

/// `GET /v1/operator/handover`.
pub(super) fn in_force(tables: &Tables) -> HandoverShown {
    let in_force = ownership_in_force(&tables.ledger, &tables.catalog);
    let last = tables.ledger.orders().handover().map(|record| LastHandover {
        tables: record.scope.tables.clone(),
        warehouse: record.scope.warehouse.clone(),
        class: record.scope.class.clone(),
        from: record.from.clone(),
        to: record.to.clone(),
        backends: record.backends.clone(),
        version: record.ownership.version,
        by: record.by.clone(),
        reason: record.reason.clone(),
        position: record.position,
    });
    HandoverShown { version: in_force.version, ownership: in_force.rules.clone(), last }
}

/// `POST /v1/operator/handover`; with `dry_run=true` nothing is written.
pub(super) async fn post<B>(
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
        let request = codec::decode(Encoding::Json, &bytes, ACT_BYTES_MAX).map_err(Refusal::Body)?;
        let handover = resolved(tables, request, None)?;
        let compared = Compared {
            shadow: handover.to.clone(),
            owner: Some(handover.from.clone()),
            scope: handover.scope.clone(),
            worst_max: 0,
        };
        let mut tried = tried(tables, handover)?;
        tried.drift = drift(tables, app.clock.now(), compared).await;
        return json(StatusCode::OK, &tried);
    }
    let (request, keyed) = acts::keyed::<HandoverRequest, _>(&"handover", &bytes, head)?;
    // One that was carried out is answered again, though it could not be resolved a second time.
    let key = keyed.as_ref().map(|keyed| &keyed.key);
    let is_known = key.is_some_and(|key| tables.ledger.orders().act(key).is_some());
    let handover =
        if is_known { unresolved(tables, request, keyed) } else { resolved(tables, request, keyed)? };
    acts::settle(app, tables, Decision::Handover(Box::new(handover))).await
}

/// With the ownership that it is made from, and nothing of the new source yet.
fn unresolved(tables: &Tables, request: HandoverRequest, keyed: Option<ActKey>) -> Handover {
    let in_force = ownership_in_force(&tables.ledger, &tables.catalog);
    let HandoverRequest { tables, warehouse, class, from, to, backends, moved, by, reason } = request;
    Handover {
        scope: HandoverScope { tables, warehouse, class },
        from,
        to,
        backends,
        snapshots: Vec::new(),
        catalog: Vec::new(),
        replaces: in_force.version,
        ownership: Ownership { rules: in_force.rules.clone() },
        moved,
        by,
        reason,
        keyed,
    }
}

/// The entry, or why the old source has nothing to hand over, or the new one nothing to take over with.
fn resolved(tables: &Tables, request: HandoverRequest, keyed: Option<ActKey>) -> Result<Handover, Refusal> {
    let mut handover = unresolved(tables, request, keyed);
    let change = Change::Decision(Box::new(Decision::Handover(Box::new(handover.clone()))));
    change.check().map_err(|error| refuse("handover", error.to_string()))?;
    if !handover.scope.tables.is_empty() {
        let version = handover.replaces;
        let in_force = OwnershipInForce::new(version, handover.ownership.clone());
        handover.ownership.rules = rules_after(&in_force, &handover)?;
        (handover.snapshots, handover.catalog) = taken_over(tables, &handover)?;
    }
    Ok(handover)
}

fn rules_after(in_force: &OwnershipInForce, handover: &Handover) -> Result<Vec<OwnershipRule>, Refusal> {
    let rules = in_force.handed_over(&handover.scope, &handover.from, &handover.to);
    rules.ok_or_else(|| {
        let from = &handover.from;
        refuse(
            "from",
            format!(
                "no rule of ownership says that {from} owns any of it: publish the policy `ownership` first, as it is \
                 lived (pannier policy apply)"
            ),
        )
    })
}

const OF_LEDGER: [Table; 6] =
    [Table::Stock, Table::Supply, Table::Lots, Table::Safety, Table::Credit, Table::Caps];
const OF_CATALOG: [Table; 5] =
    [Table::Items, Table::References, Table::Accounts, Table::Scopes, Table::Prices];

/// The chains of the new source that stand for those of the old one, each complete.
fn taken_over(tables: &Tables, handover: &Handover) -> Result<(Vec<ChainPoint>, Vec<CatalogPoint>), Refusal> {
    let states = tables.board.states();
    let has = |of: &[Table]| of.iter().any(|table| handover.scope.has(*table));
    let is_meant = |subject: &Subject| match subject {
        Subject::Stock(source) => *source == handover.from && has(&OF_LEDGER),
        Subject::Catalog(_, source) => *source == handover.from && has(&OF_CATALOG),
        Subject::Order(_) | Subject::Event(_) | Subject::Control => false,
    };
    let (mut snapshots, mut catalog) = (Vec::new(), Vec::new());
    for (old, _) in states.iter().filter(|(subject, _)| is_meant(subject)) {
        let subject = of_source(old, &handover.to);
        let state = states.iter().find(|(known, _)| *known == subject).map(|(_, state)| state);
        let Some(state) = state.filter(|state| is_complete(state)) else {
            let why = match state {
                None => "is not known".to_owned(),
                Some(state) if state.suspect => format!("is suspect ({})", state.because),
                Some(_) => "has not ended its first snapshot".to_owned(),
            };
            return Err(refuse(
                "to",
                format!("{subject}, which would stand for {old}, {why}: let {} send it first", handover.to),
            ));
        };
        let epoch = Epoch { incarnation: tables.incarnation.clone(), claim: state.epoch };
        if let Subject::Catalog(partition, _) = &subject {
            let position = tables.catalog.position(*partition);
            catalog.push(CatalogPoint { subject: subject.clone(), position });
        }
        snapshots.push(ChainPoint { subject, epoch, sequence: state.sequence });
    }
    if snapshots.is_empty() {
        return Err(refuse("from", format!("{} has no chain of these tables", handover.from)));
    }
    Ok((snapshots, catalog))
}

fn of_source(subject: &Subject, source: &SourceId) -> Subject {
    match subject {
        Subject::Catalog(partition, _) => Subject::Catalog(*partition, source.clone()),
        Subject::Stock(_) | Subject::Order(_) | Subject::Event(_) | Subject::Control => {
            Subject::Stock(source.clone())
        }
    }
}

fn is_complete(state: &ChainState) -> bool {
    state.loaded && !state.suspect && state.parked.is_empty()
}

/// All but how the rows compare.
fn tried(tables: &Tables, handover: Handover) -> Result<HandoverDryRun, Refusal> {
    let (as_of, orders) = (as_of(tables), tables.ledger.orders());
    let routing = orders.routing();
    let (in_flight, routing) = match &handover.backends {
        None => (Vec::new(), routing.rules().to_vec()),
        Some(backends) => (
            orders.in_flight(&handover.scope, backends, &handover.moved),
            orders::rerouted(routing.rules(), &handover.scope, backends),
        ),
    };
    orders.check_moved(&handover, &in_flight).map_err(|reason| refuse("moved", reason))?;
    let shown = in_flight.into_iter().map(|(order, fate)| InFlightShown {
        order: order.placed.order,
        state: order.state,
        document: order.document.clone(),
        fate: match fate {
            InFlight::Stays => InFlightFate::Stays,
            InFlight::Moves => InFlightFate::Moves,
            InFlight::CalledBack => InFlightFate::CalledBack,
            InFlight::Waits => InFlightFate::Waits,
        },
    });
    Ok(HandoverDryRun {
        as_of,
        version: handover.replaces.saturating_add(1),
        orders: shown.collect(),
        ownership: handover.ownership.rules,
        routing,
        snapshots: handover.snapshots,
        drift: Vec::new(),
    })
}
