//! What the fold wants published and does not know to be: part of its state, so that a node that replays the ledger
//! publishes only what is still open. Each is named by the entry that wanted it; publishing is create-only, so two
//! nodes that publish the same one make one message.

use pannier_protocol::order::{Dispatch, DispatchKind, OrderId};
use pannier_protocol::{EffectId, SourceId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxEntry {
    Dispatch(Box<Dispatch>),
    /// Something for a human to look at.
    Alarm(Alarm),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub kind: AlarmKind,
    pub order: Option<OrderId>,
    /// One sentence: what is wrong and what to do.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// An order is held for review.
    Order,
    /// The source forgot orders that its figures contained.
    Restored,
    /// A source corrected its stock below what is promised.
    Overcommit,
    /// What an order promised is in no figure long after the backend had it.
    Overlay,
    /// An event or a decision that cannot follow the order's state.
    Event,
}

impl AlarmKind {
    /// The subject token of the review entry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Restored => "restored",
            Self::Overcommit => "overcommit",
            Self::Overlay => "overlay",
            Self::Event => "event",
        }
    }
}

impl OutboxEntry {
    /// The dispatch that creates an order at a backend, if that is what it is.
    pub fn created(&self) -> Option<(&OrderId, u32)> {
        match self {
            Self::Dispatch(dispatch) if dispatch.kind == DispatchKind::Create => {
                Some((&dispatch.order, dispatch.generation))
            }
            Self::Dispatch(_) | Self::Alarm(_) => None,
        }
    }

    /// The order that a dispatch is about.
    pub fn dispatched(&self) -> Option<&OrderId> {
        match self {
            Self::Dispatch(dispatch) => Some(&dispatch.order),
            Self::Alarm(_) => None,
        }
    }

    pub fn backend(&self) -> Option<&SourceId> {
        match self {
            Self::Dispatch(dispatch) => Some(&dispatch.backend),
            Self::Alarm(_) => None,
        }
    }
}

/// By the entry that wanted them, first things first.
pub type OutboxEntries = Vec<(EffectId, std::sync::Arc<OutboxEntry>)>;
