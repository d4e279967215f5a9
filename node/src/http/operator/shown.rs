//! What is shown whole: sources and their gates, what waits for backends, what is promised beyond what there is.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use pannier_core::ledger::orders::{CellName, OrderRecord, OutboxEntry};
use pannier_protocol::api::OrderState;
use pannier_protocol::api::operator::{
    BackendBacklog, ChainShown, DispatchBacklog, Overcommits, Overcommitted, ParkedShown, SourcesShown,
};
use pannier_protocol::{SourceId, Timestamp};

use crate::app::Tables;
use crate::limits::OVERCOMMIT_ORDERS_SHOWN_MAX;
use crate::orders::desk::as_of;

/// `GET /v1/operator/sources`.
pub(super) fn sources(tables: &Tables, now: Timestamp) -> SourcesShown {
    let chains = tables.board.states().into_iter().map(|(subject, state)| ChainShown {
        subject: subject.to_string(),
        source: subject.source().cloned(),
        epoch: state.epoch,
        sequence: state.sequence.0,
        suspect: state.suspect.then(|| state.because.to_owned()),
        snapshot_wanted: state.wanted,
        loaded: state.loaded,
        age_ms: state.caught_up_to.map(|at| now.millis_since(at)),
        invalidations_count: state.condemned.len(),
        parked: state.parked.iter().map(|it| ParkedShown { epoch: it.epoch, id: it.id.clone() }).collect(),
    });
    SourcesShown { chains: chains.collect() }
}

/// `GET /v1/operator/dispatch`. Walks over all orders, as a page of them does.
pub(super) fn backlog(tables: &Tables) -> DispatchBacklog {
    let (orders, as_of) = (tables.ledger.orders(), as_of(tables));
    let mut backends: BTreeMap<SourceId, BackendBacklog> = BTreeMap::new();
    for (_, entry) in orders.outbox() {
        if let OutboxEntry::Dispatch(dispatch) = &*entry {
            of(&mut backends, &dispatch.backend).outbox_count += 1;
        }
    }
    for order in orders.after(None, usize::MAX, waits) {
        let Some(backend) = &order.backend else { continue };
        let shown = of(&mut backends, backend);
        shown.cancel_asked_count += usize::from(order.cancel_asked);
        match order.state {
            OrderState::Review => shown.review_count += 1,
            OrderState::DeadLettered => shown.dead_lettered_count += 1,
            OrderState::Accepted | OrderState::Backordered | OrderState::Dispatched => {
                shown.dispatched_count += usize::from(order.state == OrderState::Dispatched);
                shown.oldest_at = shown.oldest_at.or(Some(order.placed_at));
            }
            OrderState::Pending
            | OrderState::Rejected
            | OrderState::Expired
            | OrderState::Acknowledged
            | OrderState::PartiallyShipped
            | OrderState::Shipped
            | OrderState::Returned
            | OrderState::Cancelled => {}
        }
    }
    DispatchBacklog { as_of, backends: backends.into_values().collect() }
}

/// Whether somebody waits for its backend, or the backend for somebody.
fn waits(order: &OrderRecord) -> bool {
    let at_backend = matches!(
        order.state,
        OrderState::Accepted
            | OrderState::Backordered
            | OrderState::Dispatched
            | OrderState::Review
            | OrderState::DeadLettered
    );
    at_backend || order.cancel_asked
}

fn of<'b>(
    backends: &'b mut BTreeMap<SourceId, BackendBacklog>,
    backend: &SourceId,
) -> &'b mut BackendBacklog {
    backends.entry(backend.clone()).or_insert_with(|| BackendBacklog {
        backend: backend.clone(),
        outbox_count: 0,
        dispatched_count: 0,
        cancel_asked_count: 0,
        review_count: 0,
        dead_lettered_count: 0,
        oldest_at: None,
    })
}

/// `GET /v1/operator/overcommits`. One walk over all orders, however many cells there are.
pub(super) fn overcommits(tables: &Tables) -> Overcommits {
    let (orders, as_of) = (tables.ledger.orders(), as_of(tables));
    let mut cells: BTreeMap<_, _> = BTreeMap::new();
    for overcommit in orders.overcommits() {
        let CellName { item, warehouse } = overcommit.cell.clone();
        cells.insert((item, warehouse), (overcommit.since, Vec::new()));
    }
    for order in orders.after(None, usize::MAX, |order| !cells.is_empty() && order.is_open_on_stock()) {
        let taken: BTreeSet<_> = open_cells(&order).collect();
        for cell in taken {
            if let Some((_, promised)) = cells.get_mut(&cell) {
                promised.push(order.placed.order);
            }
        }
    }
    let cells = cells.into_iter().map(|((item, warehouse), (since, promised))| Overcommitted {
        item,
        warehouse,
        since,
        orders_count: promised.len(),
        // Who came last was promised what is not there.
        orders: promised[promised.len().saturating_sub(OVERCOMMIT_ORDERS_SHOWN_MAX)..].to_vec(),
    });
    Overcommits { as_of, cells: cells.collect() }
}

/// Item and warehouse of all that an order was promised and that is in no figure yet.
fn open_cells(order: &OrderRecord) -> impl Iterator<Item = (CompactString, CompactString)> {
    let allocations = order.lines.iter().flat_map(|line| &line.allocations);
    allocations.flat_map(|allocation| {
        let takes = allocation.takes.iter().filter(|take| take.open().is_positive());
        takes.map(|take| (take.item.as_str().into(), allocation.warehouse.as_str().into()))
    })
}
