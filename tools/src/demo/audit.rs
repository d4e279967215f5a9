//! What customers were told, held against what nodes and the ERP have.

use std::collections::BTreeMap;

use pannier_protocol::Decimal;
use pannier_protocol::api::{OrderAnswer, OrderState};
use serde::Serialize;

use super::erp::Sales;

/// The one line.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub(super) sent: usize,
    /// By the verdict that customers were told.
    pub(super) accepted: usize,
    pub(super) backordered: usize,
    pub(super) rejected: usize,
    pub(super) review: usize,
    /// In effect in the ERP.
    pub(super) in_erp: usize,
    /// Promised, and neither there nor in the dead letters.
    pub(super) in_flight: usize,
    pub(super) dead_letters: usize,
    /// In effect more than once in the ERP, judged in two ways, or there without a promise.
    pub(super) doubled: usize,
    /// Promised to a customer, and nobody knows of it any more.
    pub(super) lost: usize,
    /// Items of which more was promised than there was.
    pub(super) oversold: usize,
}

impl Tally {
    pub(super) fn is_clean(&self) -> bool {
        (self.doubled, self.lost, self.oversold) == (0, 0, 0)
    }
}

/// One order at the end.
pub(super) struct Told {
    /// Every verdict that was given; there must be one.
    pub(super) verdicts: Vec<OrderAnswer>,
    /// As a node shows it at the end.
    pub(super) now: Option<OrderAnswer>,
}

/// `available` is what each item had before the first order.
pub(super) fn tally(
    told: &[Told],
    sales: &BTreeMap<String, Sales>,
    available: &BTreeMap<String, Decimal>,
) -> Tally {
    let mut tally = Tally { sent: told.len(), ..Tally::default() };
    let mut promised: BTreeMap<&str, i64> = BTreeMap::new();
    for order in told {
        let Some(first) = order.verdicts.first() else {
            tally.lost += 1;
            continue;
        };
        let same = |other: &OrderAnswer| other.order == first.order && other.lines == first.lines;
        let in_effect = sales.get(&first.order.to_string()).map_or(0, |sales| sales.in_effect);
        let verdict = verdict(first.state);
        *match verdict {
            Verdict::Accepted => &mut tally.accepted,
            Verdict::Backordered => &mut tally.backordered,
            Verdict::Review => &mut tally.review,
            Verdict::Rejected => &mut tally.rejected,
        } += 1;
        let may_be_there = matches!(verdict, Verdict::Accepted | Verdict::Backordered);
        tally.in_erp += usize::from(in_effect > 0);
        tally.doubled +=
            usize::from(in_effect > usize::from(may_be_there) || !order.verdicts.iter().all(same));
        match order.now.as_ref().map(|now| now.state) {
            None => tally.lost += 1,
            Some(OrderState::DeadLettered) => tally.dead_letters += 1,
            Some(state) if may_be_there && in_effect == 0 => {
                let on_its_way =
                    matches!(state, OrderState::Accepted | OrderState::Backordered | OrderState::Dispatched);
                if on_its_way { tally.in_flight += 1 } else { tally.lost += 1 }
            }
            Some(_) => {}
        }
        if verdict != Verdict::Rejected {
            for line in &first.lines {
                let micros: i64 = line.promised.iter().map(|part| part.quantity.micros()).sum();
                *promised.entry(line.item.as_str()).or_default() += micros;
            }
        }
    }
    let over = |(item, micros): &(&&str, &i64)| {
        **micros > available.get(**item).map_or(0, |available| available.micros())
    };
    tally.oversold = promised.iter().filter(over).count();
    tally
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Backordered,
    Review,
    Rejected,
}

/// A customer who asks again is told what became of the order since.
fn verdict(state: OrderState) -> Verdict {
    match state {
        OrderState::Backordered => Verdict::Backordered,
        OrderState::Review => Verdict::Review,
        OrderState::Rejected | OrderState::Expired | OrderState::Pending => Verdict::Rejected,
        OrderState::Accepted
        | OrderState::Dispatched
        | OrderState::Acknowledged
        | OrderState::PartiallyShipped
        | OrderState::Shipped
        | OrderState::Returned
        | OrderState::Cancelled
        | OrderState::DeadLettered => Verdict::Accepted,
    }
}

#[cfg(test)]
mod tests;
