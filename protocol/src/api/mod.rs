//! The API of a node: what checkout asks and what it is told.

mod answer;
mod hold;
mod line;
pub mod operator;
mod order;
mod problem;
mod request;

pub use answer::{
    Availability, AvailabilityStatus, BreakShown, Explain, Freshness, FreshnessPair, FreshnessState,
    LineAnswer, LineStatus, LookupAnswer, NextBreak, Offer, OfferPrice, Price, PriceHold, PricePart,
    RejectedCandidate, RejectedReason, ScheduleEntry, SourceState, Total, WarehouseAvailability,
    decode_answer,
};
pub use hold::{
    HoldAnswer, HoldChangeRequest, HoldLineAnswer, HoldLineRequest, HoldRequest, HoldState, decode_hold,
};
pub use line::LineAsked;
pub use order::{
    CancelRequest, OrderAnswer, OrderLineAnswer, OrderLineRequest, OrderLineState, OrderRequest, OrderState,
    OrderStep, OrderSteps, decode_order,
};
pub use problem::{ErrorCode, Problem};
pub use request::{
    Include, ItemType, LineRequest, LookupRequest, MaxStaleness, Priority, RequestedQuantity, decode_lookup,
};

use std::collections::BTreeSet;

use crate::{DecodeError, LineId};

/// Lines that change things are named once each: which one an answer means must be certain.
fn check_lines<'l>(lines: impl ExactSizeIterator<Item = &'l LineId>) -> Result<(), DecodeError> {
    let malformed = |path: String, reason: &str| DecodeError::Malformed { path, reason: reason.to_owned() };
    if lines.len() == 0 {
        return Err(malformed("lines".to_owned(), "at least one line"));
    }
    let mut seen = BTreeSet::new();
    for (at, line) in lines.enumerate() {
        if !seen.insert(line) {
            return Err(malformed(format!("lines[{at}].line"), "two lines have one name"));
        }
    }
    Ok(())
}
