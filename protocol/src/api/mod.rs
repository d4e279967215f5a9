//! The lookup API: what checkout asks and what it is told.

mod answer;
mod problem;
mod request;

pub use answer::{
    Availability, AvailabilityStatus, BreakShown, Explain, Freshness, FreshnessPair, FreshnessState,
    LineAnswer, LineStatus, LookupAnswer, NextBreak, Offer, OfferPrice, Price, PricePart, RejectedCandidate,
    RejectedReason, ScheduleEntry, SourceState, Total, WarehouseAvailability, decode_answer,
};
pub use problem::{ErrorCode, Problem};
pub use request::{
    Include, ItemType, LineRequest, LookupRequest, MaxStaleness, Priority, RequestedQuantity, decode_lookup,
};
