//! Credit and caps: what sources report, and what accepted orders use that the figures do not contain yet.
//!
//! A row that says which orders it reflects is believed; one that never says so is taken to contain an order from
//! its acknowledgement on, for then the backend that owns the balance has it.

use std::collections::BTreeSet;

use pannier_protocol::change::{PriceScope, Reflected};
use pannier_protocol::order::{CapUse, CreditUse, OrderLine, OrderReason};
use pannier_protocol::{ContractId, Currency, Decimal, ItemId, OrderId, SourceId};

use super::Orders;
use super::record::{LineRecord, OrderRecord};
use super::stock::{Stock, sum};
use crate::ledger::CapRow;
use crate::ledger::stock::{covers, named};

pub(crate) type CapKey = (SourceId, ContractId, Option<ItemId>);

/// How much a figure does not contain of what one line of an order uses: of `amount`, which is for all that was ordered,
/// the share that was accepted and not cancelled.
fn open(
    order: &OrderRecord,
    source: &SourceId,
    (line, record): (&OrderLine, &LineRecord),
    amount: Decimal,
    row: Option<&Reflected>,
) -> Decimal {
    let kept = record.quantity.checked_sub(record.cancelled).map_or(Decimal::ZERO, Decimal::clamped);
    let amount = share(amount, kept, line.stock.quantity);
    let (id, line) = (order.placed.order.to_string(), record.line.as_str());
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

/// `amount * part / whole`, rounded up.
fn share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal {
    let product = i128::from(amount.micros()) * i128::from(part.micros());
    let whole = i128::from(whole.micros()).max(1);
    let up = product.div_euclid(whole) + i128::from(product.rem_euclid(whole) != 0);
    i64::try_from(up).map_or(amount, Decimal::from_micros)
}

/// What of an order's credit a balance does not contain.
fn credit_open(order: &OrderRecord, source: &SourceId, row: Option<&Reflected>) -> Decimal {
    let priced = lines(order).filter_map(|line| Some((line, line.0.price.as_ref()?)));
    sum(priced.map(|(line, price)| open(order, source, line, price.extended, row)))
}

/// As they were placed, and what became of them.
fn lines(order: &OrderRecord) -> impl Iterator<Item = (&OrderLine, &LineRecord)> {
    order.placed.lines.iter().zip(&order.lines)
}

/// What lines use of caps.
fn uses(order: &OrderRecord) -> impl Iterator<Item = ((&OrderLine, &LineRecord), &CapUse)> {
    lines(order).flat_map(|line| line.0.caps.iter().map(move |cap| (line, cap)))
}

impl Orders {
    /// Whether the source of credit or of a cap does not contain yet what the order uses. By silence nothing is contained.
    pub(super) fn is_open_on_balances(&self, stock: &Stock<'_>, order: &OrderRecord) -> bool {
        let is_counted = |orders: Option<&BTreeSet<OrderId>>| {
            orders.is_some_and(|orders| orders.contains(&order.placed.order))
        };
        let credit =
            order.placed.credit.as_ref().filter(|it| is_counted(self.index.by_credit.get(&it.account)));
        let owes = credit.is_some_and(|credit| {
            let account = stock.dictionary.accounts.get(credit.account.as_str());
            let rows = stock.chains.get(&credit.source).map(|chain| chain.rows());
            let row = account.and_then(|account| rows?.find_credit(account)).and_then(|row| row.reflects);
            credit_open(order, &credit.source, row.as_deref()).is_positive()
        });
        owes || uses(order).any(|(line, cap)| {
            let key = (cap.source.clone(), cap.contract.clone(), cap.item.clone());
            let row = self.cap_row(stock, &key).and_then(|row| row.reflects);
            let open = open(order, &cap.source, line, cap.amount, row.as_deref());
            is_counted(self.index.by_cap.get(&key)) && open.is_positive()
        })
    }

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
            Some(credit_open(&order, &credit.source, reflects))
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
        let row = self.cap_row(stock, key)?;
        row.left().checked_sub(self.cap_in_flight(key, row.reflects.as_deref())).map(Decimal::clamped)
    }

    fn cap_row(&self, stock: &Stock<'_>, key: &CapKey) -> Option<CapRow> {
        let contract = stock.dictionary.scope_if_known(&PriceScope::Contract(key.1.clone()))?;
        let item = match &key.2 {
            Some(item) => Some(stock.dictionary.items.get(item.as_str())?),
            None => None,
        };
        stock.chains.get(&key.0)?.rows().find_cap(contract, item)
    }

    fn cap_in_flight(&self, key: &CapKey, row: Option<&Reflected>) -> Decimal {
        let orders = self.index.by_cap.get(key).into_iter().flatten();
        sum(orders.filter_map(|order| self.reader.order(order)).map(|order| {
            let of_key = uses(&order)
                .filter(|(_, cap)| (&cap.source, &cap.contract, &cap.item) == (&key.0, &key.1, &key.2));
            sum(of_key.map(|(line, cap)| open(&order, &key.0, line, cap.amount, row)))
        }))
    }

    /// What lookups see of the caps that an order uses.
    pub(super) fn show_caps(&self, stock: &Stock<'_>, order: &OrderRecord) {
        for cap in order.placed.lines.iter().flat_map(|line| &line.caps) {
            self.show_cap(stock, &(cap.source.clone(), cap.contract.clone(), cap.item.clone()));
        }
    }

    pub(super) fn show_cap(&self, stock: &Stock<'_>, key: &CapKey) {
        let contract = stock.dictionary.scope(&PriceScope::Contract(key.1.clone()));
        let item = key.2.as_ref().map(|item| stock.dictionary.items.intern(item.as_str()));
        let row = self.cap_row(stock, key);
        let used = self.cap_in_flight(key, row.and_then(|row| row.reflects).as_deref());
        stock.promises.put_cap(contract, item, used);
    }
}
