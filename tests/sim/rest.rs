//! The end of a run: the network is whole, nodes are up, people decide, the ERP ships or cancels, and figures are told.
//! Then nothing may be left: no dispatch, no order without an end, nothing promised that no figure contains.

use pannier_core::ledger::orders::{OrderRecord, state_name};
use pannier_protocol::api::OrderState;
use pannier_protocol::order::OrderId;

use super::run::Simulation;

use OrderState::{
    Accepted, Acknowledged, Backordered, Cancelled, DeadLettered, Dispatched, Expired, PartiallyShipped,
    Pending, Rejected, Returned, Review, Shipped,
};

/// Rounds in which everything has its turn.
const ROUNDS_MAX: usize = 40;
/// Long enough for what is on its way and for every hold.
const ROUND_MS: i64 = 3_600_000;

pub(crate) fn come_to_rest(simulation: &mut Simulation) -> Result<(), String> {
    simulation.profile.refusals = 0;
    simulation.erp.profile.refusals = 0;
    simulation.operators.route_all(&mut simulation.broker, &mut simulation.random);
    for _ in 0..ROUNDS_MAX {
        simulation.broker.now += ROUND_MS;
        simulation.broker.deliver_late();
        round(simulation)?;
        if is_at_rest(simulation) {
            return rested(simulation);
        }
    }
    let open: Vec<String> = orders(simulation).iter().filter(|it| is_open(it)).map(told).collect();
    let outbox = simulation.witness.ledger.reader().orders().outbox();
    Err(format!(
        "after {ROUNDS_MAX} rounds without faults there is no rest; orders {open:#?}; outbox {outbox:#?}"
    ))
}

fn round(simulation: &mut Simulation) -> Result<(), String> {
    for at in 0..simulation.nodes.len() {
        simulation.node_is_level(at)?;
        let Simulation { nodes, broker, random, .. } = simulation;
        nodes[at].publish_outbox(broker, random, false)?;
        while !nodes[at].is_idle() {
            nodes[at].commit(broker, random);
        }
        simulation.look()?;
    }
    decide(simulation)?;
    let Simulation { erp, broker, random, witness, .. } = simulation;
    erp.finish(broker, witness.ledger.reader().orders(), random);
    simulation.look()?;
    simulation.report_everything()
}

/// What waits is let through; what its backend lost, or never got, is sent again.
fn decide(simulation: &mut Simulation) -> Result<(), String> {
    for order in orders(simulation) {
        let id = order.placed.order;
        let waits = simulation.erp.has_waiting(&simulation.broker);
        let is_lost = !waits && !simulation.erp.has_document(&id);
        let Simulation { operators, broker, random, .. } = simulation;
        match order.state {
            Review => operators.approve(broker, random, id),
            // A backend that has it, and refused it when it was sent again, finds it.
            DeadLettered if !waits => operators.send_again(broker, random, id, order.generation),
            Dispatched | Acknowledged if is_lost => {
                operators.send_again(broker, random, id, order.generation);
            }
            Pending | Accepted | Backordered | Rejected | Expired | Cancelled | PartiallyShipped
            | Shipped | Returned | DeadLettered | Dispatched | Acknowledged => {}
        }
        simulation.look()?;
    }
    Ok(())
}

fn orders(simulation: &Simulation) -> Vec<std::sync::Arc<OrderRecord>> {
    simulation.witness.ledger.reader().orders().after(None, usize::MAX, |_| true)
}

fn is_open(order: &std::sync::Arc<OrderRecord>) -> bool {
    order.is_open_on_stock() || !matches!(order.state, Cancelled | Expired | Rejected | Returned | Shipped)
}

fn told(order: &std::sync::Arc<OrderRecord>) -> String {
    let id: OrderId = order.placed.order;
    format!("{id} is {}: {:#?}", state_name(order.state), order.lines)
}

fn is_at_rest(simulation: &Simulation) -> bool {
    let outbox = simulation.witness.ledger.reader().orders().outbox();
    outbox.is_empty()
        && orders(simulation).iter().all(|order| !is_open(order))
        && simulation.erp.is_quiet()
        && simulation.nodes.iter().all(super::node::Node::is_idle)
}

fn rested(simulation: &mut Simulation) -> Result<(), String> {
    for at in 0..simulation.nodes.len() {
        simulation.node_is_level(at)?;
    }
    // A new core, from genesis.
    let mut fresh = super::node::Core::new(simulation.profile.encoding);
    simulation.broker.stream().iter().for_each(|stored| drop(fresh.apply(stored)));
    let (fresh, known) = (fresh.ledger.digest(), simulation.witness.ledger.digest());
    if fresh != known {
        return Err(format!("folded again the ledger has digest {fresh:032x}, and had {known:032x}"));
    }
    let told: Vec<(u32, OrderId, OrderState, bool)> = simulation
        .model
        .orders
        .iter()
        .map(|it| (it.generation, it.placed.order, it.state, it.backend.is_some()))
        .collect();
    for (generation, order, state, _) in told {
        simulation.count(format!("orders {}", state_name(state)));
        let taken = !matches!(state, Rejected | Expired | Cancelled);
        if taken && generation == 0 {
            return Err(format!("order {order} is {} and was never dispatched", state_name(state)));
        }
    }
    let alarms: Vec<String> = simulation.broker.reviews();
    alarms.into_iter().for_each(|kind| simulation.count(format!("alarms {kind}")));
    Ok(())
}
