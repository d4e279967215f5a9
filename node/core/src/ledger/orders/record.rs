//! What the fold remembers of an order and of a hold. Ids are external: records are what digests are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use pannier_protocol::api::{HoldState, OrderLineState, OrderState, OrderStep};
use pannier_protocol::limits::TEXT_BYTES_MAX;
use pannier_protocol::order::{Need, OrderReason, OrderRequestFacts, PlaceHold, PlaceOrder, PromisedPart};
use pannier_protocol::{
    Decimal, DocumentId, EffectId, ItemId, LineId, LocalDate, SourceId, StreamSequence, Timestamp, UomCode,
    WarehouseId,
};
use serde::{Deserialize, Serialize};

use crate::limits::ORDER_STEPS_MAX;

/// An order, from the entry that placed it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderRecord {
    #[serde(with = "crate::checkpoint::shared")]
    pub placed: Arc<PlaceOrder>,
    /// What an operator made of `placed.facts`, which stay as they were.
    pub edited: Option<Box<OrderRequestFacts>>,
    pub position: StreamSequence,
    /// Ledger time of that entry.
    pub placed_at: Timestamp,
    pub state: OrderState,
    pub reasons: Vec<OrderReason>,
    pub lines: Vec<LineRecord>,
    pub backend: Option<SourceId>,
    /// Of the open dispatch; 0 before the first.
    pub generation: u32,
    pub document: Option<DocumentId>,
    pub cancel_asked: bool,
    /// It is called back, and by a handover: once its backend gave it back it goes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_to: Option<SourceId>,
    /// From which position on sources that confirm by position contain the order.
    pub reflected_from: BTreeMap<SourceId, u64>,
    /// When the backend acknowledged it: from then on what it promised should be reflected soon.
    pub acknowledged_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub steps: Vec<OrderStep>,
}

/// A line and what was promised of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LineRecord {
    pub line: LineId,
    pub state: OrderLineState,
    pub reasons: Vec<OrderReason>,
    /// What was accepted, in the line's unit.
    pub quantity: Decimal,
    pub promised: Vec<PromisedPart>,
    pub allocations: Vec<Allocation>,
    pub shipped: Decimal,
    pub cancelled: Decimal,
    pub returned: Decimal,
    pub restocked: Decimal,
    pub substituted_by: Option<ItemId>,
}

/// One part of a line, with what it takes of stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// In the line's unit.
    pub units: Decimal,
    pub warehouse: WarehouseId,
    pub when: Promise,
    pub takes: Vec<Take>,
}

/// From when on something is promised; [`super::super::When`] in words of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    Now,
    On(LocalDate),
    Someday,
}

/// What an allocation takes of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    pub item: ItemId,
    /// The base unit at the time of the promise.
    pub uom: UomCode,
    /// Whose figure it is taken from; `None`: no source had a row.
    pub source: Option<SourceId>,
    /// In base units.
    pub quantity: Decimal,
    /// What of it the source's figure contains already.
    pub reflected: Decimal,
}

impl Take {
    /// What the source's figure does not contain yet.
    pub fn open(&self) -> Decimal {
        self.quantity.checked_sub(self.reflected).map_or(Decimal::ZERO, Decimal::clamped)
    }
}

/// Stock that is kept for an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HoldRecord {
    #[serde(with = "crate::checkpoint::shared")]
    pub placed: Arc<PlaceHold>,
    pub position: StreamSequence,
    pub state: HoldState,
    pub expires_at: Timestamp,
    pub lines: Vec<LineRecord>,
}

impl OrderRecord {
    /// What goes to the backend beside lines and prices.
    pub fn facts(&self) -> &OrderRequestFacts {
        self.edited.as_deref().unwrap_or(&self.placed.facts)
    }

    /// Whether its backend was sent it and has not said that it has it: a document may be made at any moment.
    pub(super) fn is_on_its_way(&self) -> bool {
        let is_open = matches!(
            self.state,
            OrderState::Accepted
                | OrderState::Backordered
                | OrderState::Dispatched
                | OrderState::PartiallyShipped
        );
        is_open && self.generation > 0 && self.document.is_none()
    }

    /// Whether something that it promised is in no source's figures yet.
    pub fn is_open_on_stock(&self) -> bool {
        takes(&self.lines).any(|take| take.open().is_positive())
    }

    /// Notes what happened. The first steps and the last are kept; what lies between is left to the history.
    pub(super) fn step(
        &mut self,
        id: EffectId,
        at: Timestamp,
        mut what: String,
        traceparent: Option<String>,
    ) {
        what.truncate(what.floor_char_boundary(TEXT_BYTES_MAX));
        if self.steps.len() == ORDER_STEPS_MAX {
            self.steps.remove(ORDER_STEPS_MAX / 2);
        }
        self.steps.push(OrderStep { id, at, state: self.state, what, traceparent });
    }
}

/// All that lines take.
pub(super) fn takes(lines: &[LineRecord]) -> impl Iterator<Item = &Take> {
    lines.iter().flat_map(|line| &line.allocations).flat_map(|allocation| &allocation.takes)
}

impl LineRecord {
    /// A line that nothing is promised of.
    pub(super) fn without_stock(line: LineId, state: OrderLineState, reasons: Vec<OrderReason>) -> Self {
        Self {
            line,
            state,
            reasons,
            quantity: Decimal::ZERO,
            promised: Vec::new(),
            allocations: Vec::new(),
            shipped: Decimal::ZERO,
            cancelled: Decimal::ZERO,
            returned: Decimal::ZERO,
            restocked: Decimal::ZERO,
            substituted_by: None,
        }
    }

    /// Gives back `units` of what was promised last: a cancellation, or a hold that shrinks. What is kept takes what as
    /// many units took from the start: a share of what was rounded up before would keep a millionth too much, which
    /// no source ever names. Its figure does not contain less for that.
    pub(super) fn give_back(&mut self, mut units: Decimal, needs: &[Need]) {
        while units.is_positive() {
            let Some(last) = self.allocations.last_mut() else { return };
            if last.units <= units {
                units = units.checked_sub(last.units).map_or(Decimal::ZERO, Decimal::clamped);
                self.allocations.pop();
                continue;
            }
            let kept = last.units.checked_sub(units).map_or(Decimal::ZERO, Decimal::clamped);
            for (take, need) in last.takes.iter_mut().zip(needs) {
                take.quantity = base_units(need, kept).unwrap_or(take.quantity);
                take.reflected = take.reflected.min(take.quantity);
            }
            last.units = kept;
            return;
        }
    }
}

/// Rounded up to a millionth: what is kept is never less than what was promised.
pub(super) fn base_units(need: &Need, units: Decimal) -> Option<Decimal> {
    let product = i128::from(units.micros()).checked_mul(i128::from(need.numerator))?;
    let denominator = i128::from(need.denominator);
    let up = product.div_euclid(denominator) + i128::from(product.rem_euclid(denominator) != 0);
    Some(Decimal::from_micros(i64::try_from(up).ok()?))
}
