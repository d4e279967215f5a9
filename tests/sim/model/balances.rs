//! Credit and caps: what their source counts, and what orders use that it does not contain yet.

use pannier_protocol::order::{OrderReason, PlaceOrder};
use pannier_protocol::{ContractId, ItemId, SourceId};

use super::orders::{Line, Order, counts};
use super::sources::Contains;
use super::{Micros, Model, micros};

/// How much of an amount of a line the balance does not contain. What was not accepted, or given back, uses nothing.
fn open(
    order: &Order,
    line: &Line,
    ordered: Micros,
    amount: Micros,
    source: &SourceId,
    contains: Option<&Contains>,
) -> Micros {
    let kept = (line.quantity - line.cancelled).max(0);
    let used = (amount * kept + ordered - 1) / ordered;
    let contained = match contains {
        Some(Contains::Named(named)) => {
            named.get(&(order.placed.order.to_string(), line.name.clone())).copied().unwrap_or(0)
        }
        Some(Contains::UpTo(position)) if order.positions.get(source).is_some_and(|it| it <= position) => {
            used
        }
        None if order.acknowledged_at.is_some() => used,
        Some(Contains::UpTo(_)) | None => 0,
    };
    (used - contained).max(0)
}

impl Model {
    fn credit_open(&self, order: &Order) -> Micros {
        let Some(credit) = order.placed.credit.as_ref().filter(|_| counts(order.state)) else { return 0 };
        let row = self.sources.of(Some(&credit.source)).and_then(|said| said.credit.get(&credit.account));
        let contains = row.and_then(|row| row.contains.as_ref());
        let lines = order.placed.lines.iter().zip(&order.lines);
        let used = lines.filter_map(|(placed, line)| {
            let (ordered, amount) = (micros(placed.stock.quantity), micros(placed.price.as_ref()?.extended));
            Some(open(order, line, ordered, amount, &credit.source, contains))
        });
        used.sum()
    }

    fn cap_open(&self, order: &Order, contract: &ContractId, item: &Option<ItemId>) -> Micros {
        let mut used = 0;
        for (placed, line) in order.placed.lines.iter().zip(&order.lines).filter(|_| counts(order.state)) {
            for cap in placed.caps.iter().filter(|cap| cap.contract == *contract && cap.item == *item) {
                let row = self.sources.of(Some(&cap.source));
                let row = row.and_then(|said| said.caps.get(&(contract.clone(), item.clone())));
                let contains = row.and_then(|row| row.contains.as_ref());
                let (ordered, amount) = (micros(placed.stock.quantity), micros(cap.amount));
                used += open(order, line, ordered, amount, &cap.source, contains);
            }
        }
        used
    }

    /// What orders use of a cap, as lookups see it.
    pub(crate) fn cap_in_flight(&self, contract: &ContractId, item: &Option<ItemId>) -> Micros {
        self.standing().map(|order| self.cap_open(order, contract, item)).sum()
    }

    pub(super) fn is_open_on_balances(&self, order: &Order) -> bool {
        let caps = order.placed.lines.iter().flat_map(|line| &line.caps);
        self.credit_open(order) > 0
            || caps.into_iter().any(|cap| self.cap_open(order, &cap.contract, &cap.item) > 0)
    }

    pub(super) fn judge_credit(&self, place: &PlaceOrder) -> Option<OrderReason> {
        let credit = place.credit.as_ref()?;
        let row = self.sources.of(Some(&credit.source))?.credit.get(&credit.account)?;
        if row.blocked {
            return Some(OrderReason::CreditBlocked);
        }
        let same = |order: &&Order| {
            let other = order.placed.credit.as_ref();
            other.is_some_and(|it| (&it.account, &it.source) == (&credit.account, &credit.source))
        };
        let open: Micros = self.standing().filter(same).map(|order| self.credit_open(order)).sum();
        let exposed = row.balance + open + micros(credit.amount);
        row.limit.filter(|limit| exposed > *limit).map(|_| OrderReason::CreditLimit)
    }

    pub(super) fn caps_fit(&self, place: &PlaceOrder) -> bool {
        let caps: Vec<_> = place.lines.iter().flat_map(|line| &line.caps).collect();
        caps.iter().all(|cap| {
            let same = caps.iter().filter(|it| (&it.contract, &it.item) == (&cap.contract, &cap.item));
            let wanted: Micros = same.map(|it| micros(it.amount)).sum();
            let row = self.sources.of(Some(&cap.source));
            let row = row.and_then(|said| said.caps.get(&(cap.contract.clone(), cap.item.clone())));
            row.is_none_or(|row| wanted <= (row.left - self.cap_in_flight(&cap.contract, &cap.item)).max(0))
        })
    }
}
