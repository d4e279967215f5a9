//! Credit and caps: what sources report, and what accepted orders use that the figures do not contain yet.
//!
//! A row that says which orders it reflects is believed; one that never says so is taken to contain an order from
//! its acknowledgement on, for then the backend that owns the balance has it.

use pannier_protocol::change::{PriceScope, Reflected};
use pannier_protocol::order::{CapUse, CreditUse, OrderReason};
use pannier_protocol::{ContractId, Currency, Decimal, ItemId, LineId, SourceId};

use super::Orders;
use super::record::OrderRecord;
use super::stock::{Stock, sum};
use crate::ledger::stock::{covers, named};

pub(super) type CapKey = (SourceId, ContractId, Option<ItemId>);

/// How much of `amount` a figure does not contain, of one line of an order.
fn open(
    order: &OrderRecord,
    source: &SourceId,
    line: &LineId,
    amount: Decimal,
    row: Option<&Reflected>,
) -> Decimal {
    let (id, line) = (order.placed.order.to_string(), line.as_str());
    let contained = match row {
        Some(Reflected::Lines(_)) => named(row, &id, line).unwrap_or(Decimal::ZERO),
        Some(Reflected::Position(_)) => {
            let from = order.reflected_from.get(source);
            if from.is_some_and(|from| covers(row, *from)) { amount } else { Decimal::ZERO }
        }
        None if order.acknowledged_at.is_some() => amount,
        None => Decimal::ZERO,
    };
    amount.checked_sub(contained).map_or(Decimal::ZERO, Decimal::clamped)
}

impl Orders {
    /// Why credit lets a human decide, if it does; in another currency than the order's nothing can be said.
    pub(super) fn judge_credit(
        &self,
        stock: &Stock<'_>,
        uses: &CreditUse,
        currency: Currency,
    ) -> Option<OrderReason> {
        let account = stock.dictionary.accounts.get(uses.account.as_str())?;
        let row = stock.chains.get(&uses.source)?.rows().find_credit(account)?;
        if row.blocked {
            return Some(OrderReason::CreditBlocked);
        }
        let limit = row.limit?;
        if row.currency != currency {
            return Some(OrderReason::CreditLimit);
        }
        let reflects = row.reflects.as_deref();
        let open = sum(self.index.by_credit.get(&uses.account).into_iter().flatten().filter_map(|order| {
            let order = self.reader.order(order)?;
            let credit = order.placed.credit.as_ref().filter(|credit| credit.source == uses.source)?;
            let priced =
                order.placed.lines.iter().filter_map(|line| Some((&line.stock.line, line.price.as_ref()?)));
            let open =
                sum(priced.map(|(line, price)| open(&order, &credit.source, line, price.extended, reflects)));
            Some(open)
        }));
        let exposure = row.balance.checked_add(open).and_then(|sum| sum.checked_add(uses.amount));
        exposure.is_none_or(|exposure| exposure > limit).then_some(OrderReason::CreditLimit)
    }

    /// Whether what lines use of caps still fits; lines of the order itself are counted together.
    pub(super) fn caps_fit<'u>(&self, stock: &Stock<'_>, uses: impl Iterator<Item = &'u CapUse>) -> bool {
        let mut wanted: std::collections::BTreeMap<CapKey, Decimal> = std::collections::BTreeMap::new();
        for cap in uses {
            let key = (cap.source.clone(), cap.contract.clone(), cap.item.clone());
            let sum = wanted.entry(key).or_insert(Decimal::ZERO);
            *sum = sum.checked_add(cap.amount).unwrap_or(Decimal::MAX);
        }
        wanted.into_iter().all(|(key, amount)| {
            let left = self.cap_left(stock, &key);
            left.is_none_or(|left| amount <= left)
        })
    }

    /// `None`: there is no such cap any more.
    fn cap_left(&self, stock: &Stock<'_>, key: &CapKey) -> Option<Decimal> {
        let contract = stock.dictionary.scope_if_known(&PriceScope::Contract(key.1.clone()))?;
        let item = match &key.2 {
            Some(item) => Some(stock.dictionary.items.get(item.as_str())?),
            None => None,
        };
        let row = stock.chains.get(&key.0)?.rows().find_cap(contract, item)?;
        row.left().checked_sub(self.cap_in_flight(key, row.reflects.as_deref())).map(Decimal::clamped)
    }

    fn cap_in_flight(&self, key: &CapKey, row: Option<&Reflected>) -> Decimal {
        let orders = self.index.by_cap.get(key).into_iter().flatten();
        sum(orders.filter_map(|order| self.reader.order(order)).map(|order| {
            let uses =
                order.placed.lines.iter().flat_map(|line| line.caps.iter().map(move |cap| (line, cap)));
            let of_key =
                uses.filter(|(_, cap)| (&cap.source, &cap.contract, &cap.item) == (&key.0, &key.1, &key.2));
            sum(of_key.map(|(line, cap)| open(&order, &key.0, &line.stock.line, cap.amount, row)))
        }))
    }

    /// What lookups see of the caps that an order uses.
    pub(super) fn show_caps(&self, stock: &Stock<'_>, order: &OrderRecord) {
        for cap in order.placed.lines.iter().flat_map(|line| &line.caps) {
            let key = (cap.source.clone(), cap.contract.clone(), cap.item.clone());
            let contract = stock.dictionary.scope(&PriceScope::Contract(cap.contract.clone()));
            let item = cap.item.as_ref().map(|item| stock.dictionary.items.intern(item.as_str()));
            let row = stock.chains.get(&cap.source).and_then(|chain| chain.rows().find_cap(contract, item));
            let used = self.cap_in_flight(&key, row.and_then(|row| row.reflects).as_deref());
            stock.promises.put_cap(contract, item, used);
        }
    }
}
