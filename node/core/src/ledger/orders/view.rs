//! Records as the API shows them.

use pannier_protocol::api::{
    HoldAnswer, HoldLineAnswer, OrderAnswer, OrderLineAnswer, OrderLineState, OrderState, OrderSteps,
};

use pannier_protocol::{AsOf, OrderId};

use super::record::{HoldRecord, OrderRecord};
use super::state::ClosedOrder;

/// An order as of a position that is not before its own entry.
pub fn order_answer(order: &OrderRecord, as_of: AsOf) -> OrderAnswer {
    let placed = &order.placed;
    let lines = placed.lines.iter().zip(&order.lines).map(|(line, record)| OrderLineAnswer {
        line: record.line.clone(),
        item: line.stock.item.as_str().into(),
        // What was judged is shown once the order is let through.
        state: match (order.state, record.state) {
            (OrderState::Review, OrderLineState::Accepted | OrderLineState::Backordered) => {
                OrderLineState::Review
            }
            (_, state) => state,
        },
        reasons: record.reasons.clone(),
        quantity: record.quantity,
        uom: line.stock.uom.as_str().into(),
        promised: record.promised.clone(),
        price: line.price.clone(),
        shipped: record.shipped,
        cancelled: record.cancelled,
        returned: record.returned,
        substituted_by: record.substituted_by.clone(),
    });
    OrderAnswer {
        order: placed.order,
        state: order.state,
        as_of,
        account: placed.keyed.account.clone(),
        purchase_order: order.facts().purchase_order.clone(),
        reasons: order.reasons.clone(),
        currency: Some(placed.currency),
        total: Some(placed.total),
        backend: order.backend.clone(),
        document: order.document.clone(),
        // Of what a handover calls back the customer knows nothing.
        cancel_asked: order.cancel_asked && order.moving_to.is_none(),
        lines: lines.collect(),
    }
}

/// What is left of an order that is long over.
pub fn shrunk_answer(order: OrderId, closed: &ClosedOrder, as_of: AsOf) -> OrderAnswer {
    OrderAnswer {
        order,
        state: closed.state,
        as_of,
        account: closed.account.clone(),
        purchase_order: None,
        reasons: Vec::new(),
        currency: None,
        total: None,
        backend: None,
        document: None,
        cancel_asked: false,
        lines: Vec::new(),
    }
}

/// The life of an order.
pub fn order_steps(order: &OrderRecord) -> OrderSteps {
    OrderSteps {
        order: order.placed.order,
        state: order.state,
        position: order.position,
        steps: order.steps.clone(),
    }
}

pub fn hold_answer(hold: &HoldRecord, as_of: AsOf) -> HoldAnswer {
    let lines = hold.placed.lines.iter().zip(&hold.lines).map(|(line, record)| HoldLineAnswer {
        line: record.line.clone(),
        item: line.item.as_str().into(),
        state: record.state,
        reasons: record.reasons.clone(),
        quantity: record.quantity,
        uom: line.uom.as_str().into(),
        promised: record.promised.clone(),
    });
    HoldAnswer {
        hold: hold.placed.hold,
        state: hold.state,
        as_of,
        account: hold.placed.keyed.account.clone(),
        expires_at: hold.expires_at,
        lines: lines.collect(),
    }
}
