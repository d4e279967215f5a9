//! Orders and holds as the ledger carries them: what an intake node commands, what an ERP says became of an order,
//! and what an operator decides. A command carries everything that its verdict needs and the ledger does not
//! hold, resolved from the catalog once, so that every node judges it alike.

mod check;
mod command;
mod decision;
mod dispatch;
mod edit;
mod event;
mod handover;
mod id;
mod reason;
mod stock;

use serde::{Deserialize, Serialize};

pub use command::{
    CancelOrder, ChangeHold, CreditUse, EffectsDone, IntakeDoubt, KeyedBy, OrderLine, OrderRequestFacts,
    PlaceHold, PlaceOrder, PriceRecord, ReleaseHold, RouteFacts, RowOrigin,
};
pub use decision::{
    Act, ActKey, CatalogFloor, DecideOrder, DismissOrder, InvalidateRows, Recover, Redispatch,
    ReleaseOverlay, RouteRule, Routing, Verdict,
};
pub use dispatch::{Dispatch, DispatchKind, DispatchLine, PromisedPart};
pub use edit::{EditOrder, EditableFact, EditedFacts};
pub use event::{
    FailureClass, LineProgress, OrderAcknowledged, OrderCancelled, OrderFailed, OrderProgressed, Shipment,
    SourcePosition,
};
pub use handover::{Backends, CatalogPoint, Handover, HandoverScope, MovedOrder};
pub use id::{EffectId, Fingerprint, HoldId, IdError, OrderId};
pub use reason::OrderReason;
pub use stock::{CapUse, IfShort, Need, NeedCell, StockLine, StockTerms};

/// What an intake node wants judged; on `ledger.order.<node>`, many in one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    PlaceOrder(Box<PlaceOrder>),
    CancelOrder(CancelOrder),
    PlaceHold(PlaceHold),
    ChangeHold(ChangeHold),
    ReleaseHold(ReleaseHold),
    EffectsDone(EffectsDone),
}

/// What a backend says became of an order; on `ledger.event.<backend>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderEvent {
    Acknowledged(OrderAcknowledged),
    Progressed(OrderProgressed),
    Cancelled(OrderCancelled),
    Failed(OrderFailed),
}

/// What an operator decides for all nodes; on `ledger.control`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Order(DecideOrder),
    Redispatch(Redispatch),
    Edit(EditOrder),
    Dismiss(DismissOrder),
    ReleaseOverlay(ReleaseOverlay),
    Routing(Routing),
    CatalogFloor(CatalogFloor),
    Invalidate(InvalidateRows),
    Recover(Recover),
    Handover(Box<Handover>),
}

impl Command {
    /// The kind as on the wire.
    pub fn kind(&self) -> &'static str {
        inner(self.full_kind())
    }

    /// The kind with what it is a kind of, as in `command.place_order`.
    pub(crate) fn full_kind(&self) -> &'static str {
        match self {
            Self::PlaceOrder(_) => "command.place_order",
            Self::CancelOrder(_) => "command.cancel_order",
            Self::PlaceHold(_) => "command.place_hold",
            Self::ChangeHold(_) => "command.change_hold",
            Self::ReleaseHold(_) => "command.release_hold",
            Self::EffectsDone(_) => "command.effects_done",
        }
    }

    /// Who asked for it under which key; an outbox entry is taken out under none.
    pub fn keyed_by(&self) -> Option<&KeyedBy> {
        match self {
            Self::PlaceOrder(place) => Some(&place.keyed),
            Self::CancelOrder(cancel) => Some(&cancel.keyed),
            Self::PlaceHold(place) => Some(&place.keyed),
            Self::ChangeHold(change) => Some(&change.keyed),
            Self::ReleaseHold(release) => Some(&release.keyed),
            Self::EffectsDone(_) => None,
        }
    }
}

impl OrderEvent {
    /// The kind as on the wire.
    pub fn kind(&self) -> &'static str {
        inner(self.full_kind())
    }

    /// The kind with what it is a kind of, as in `event.acknowledged`.
    pub(crate) fn full_kind(&self) -> &'static str {
        match self {
            Self::Acknowledged(_) => "event.acknowledged",
            Self::Progressed(_) => "event.progressed",
            Self::Cancelled(_) => "event.cancelled",
            Self::Failed(_) => "event.failed",
        }
    }

    pub fn order(&self) -> &OrderId {
        match self {
            Self::Acknowledged(event) => &event.order,
            Self::Progressed(event) => &event.order,
            Self::Cancelled(event) => &event.order,
            Self::Failed(event) => &event.order,
        }
    }
}

impl Decision {
    /// The kind as on the wire.
    pub fn kind(&self) -> &'static str {
        inner(self.full_kind())
    }

    /// The kind with what it is a kind of, as in `decision.order`.
    pub(crate) fn full_kind(&self) -> &'static str {
        match self {
            Self::Order(_) => "decision.order",
            Self::Redispatch(_) => "decision.redispatch",
            Self::Edit(_) => "decision.edit",
            Self::Dismiss(_) => "decision.dismiss",
            Self::ReleaseOverlay(_) => "decision.release_overlay",
            Self::Routing(_) => "decision.routing",
            Self::CatalogFloor(_) => "decision.catalog_floor",
            Self::Invalidate(_) => "decision.invalidate",
            Self::Recover(_) => "decision.recover",
            Self::Handover(_) => "decision.handover",
        }
    }

    /// Who decided, why, and under which key.
    pub fn act(&self) -> Act<'_> {
        let (by, reason, keyed) = match self {
            Self::Order(it) => (&it.by, &it.reason, &it.keyed),
            Self::Redispatch(it) => (&it.by, &it.reason, &it.keyed),
            Self::Edit(it) => (&it.by, &it.reason, &it.keyed),
            Self::Dismiss(it) => (&it.by, &it.reason, &it.keyed),
            Self::ReleaseOverlay(it) => (&it.by, &it.reason, &it.keyed),
            Self::Routing(it) => (&it.by, &it.reason, &it.keyed),
            Self::CatalogFloor(it) => (&it.by, &it.reason, &it.keyed),
            Self::Invalidate(it) => (&it.by, &it.reason, &it.keyed),
            Self::Recover(it) => (&it.by, &it.reason, &it.keyed),
            Self::Handover(it) => (&it.by, &it.reason, &it.keyed),
        };
        Act { by, reason, keyed: keyed.as_ref() }
    }

    /// The order that it is about, if it is about one.
    pub fn order(&self) -> Option<&OrderId> {
        match self {
            Self::Order(it) => Some(&it.order),
            Self::Redispatch(it) => Some(&it.order),
            Self::Edit(it) => Some(&it.order),
            Self::Dismiss(it) => Some(&it.order),
            Self::ReleaseOverlay(it) => Some(&it.order),
            Self::Routing(_)
            | Self::CatalogFloor(_)
            | Self::Invalidate(_)
            | Self::Recover(_)
            | Self::Handover(_) => None,
        }
    }
}

fn inner(full_kind: &'static str) -> &'static str {
    full_kind.split_once('.').map_or(full_kind, |(_, kind)| kind)
}
