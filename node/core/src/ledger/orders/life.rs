//! The states of an order, and which may follow which: the one table. Whatever an event or a decision wants, an order
//! moves only along it, so a late or mistaken one changes nothing and is told.

use pannier_protocol::api::OrderState;

use OrderState::{
    Accepted, Acknowledged, Backordered, Cancelled, DeadLettered, Dispatched, Expired, PartiallyShipped,
    Pending, Rejected, Returned, Review, Shipped,
};

/// The states that may follow. Backends may report shipments before the acknowledgement arrives, and an
/// acknowledgement before the entry that takes the dispatch out of the outbox.
pub fn following(state: OrderState) -> &'static [OrderState] {
    match state {
        Pending => &[Accepted, Backordered, Review, Rejected, Expired],
        Review => &[Accepted, Backordered, Rejected, Cancelled],
        Accepted | Backordered => {
            &[Dispatched, Acknowledged, PartiallyShipped, Shipped, Review, DeadLettered, Cancelled]
        }
        Dispatched => &[
            Acknowledged,
            PartiallyShipped,
            Shipped,
            Review,
            DeadLettered,
            Cancelled,
            // A new generation.
            Accepted,
            Backordered,
        ],
        Acknowledged => &[PartiallyShipped, Shipped, Cancelled, Accepted, Backordered],
        PartiallyShipped => &[Shipped, Returned, Cancelled],
        Shipped => &[Returned],
        DeadLettered => &[Accepted, Backordered, Cancelled, Acknowledged],
        Rejected | Expired | Returned | Cancelled => &[],
    }
}

/// Whether `to` may follow `from`; a state may always be told again.
pub fn may(from: OrderState, to: OrderState) -> bool {
    from == to || following(from).contains(&to)
}

/// Nothing follows that stock or backend would need to know of.
pub fn is_closed(state: OrderState) -> bool {
    matches!(state, Rejected | Expired | Cancelled | Shipped | Returned)
}

/// As in metrics and sentences.
pub fn name(state: OrderState) -> &'static str {
    match state {
        Pending => "pending",
        Accepted => "accepted",
        Backordered => "backordered",
        Review => "review",
        Rejected => "rejected",
        Expired => "expired",
        Dispatched => "dispatched",
        Acknowledged => "acknowledged",
        PartiallyShipped => "partially_shipped",
        Shipped => "shipped",
        Returned => "returned",
        Cancelled => "cancelled",
        DeadLettered => "dead_lettered",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over() {
        for closed in [Rejected, Expired, Cancelled, Returned] {
            assert!(is_closed(closed) && following(closed).is_empty());
        }
        for (from, to, want) in [
            (Review, Accepted, true),
            (Review, Shipped, false),
            (Accepted, Acknowledged, true),
            (Shipped, Cancelled, false),
            (Shipped, Returned, true),
            (Acknowledged, Acknowledged, true),
            (Cancelled, Acknowledged, false),
            (DeadLettered, Accepted, true),
        ] {
            assert_eq!(may(from, to), want, "{from:?} {to:?}");
        }
    }
}
