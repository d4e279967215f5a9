//! What a line costs, against what the customer was shown (semantics 1.14): the same engine as a lookup, and a
//! price that differs from the one shown is never put in its place silently.

use pannier_protocol::api::{LineStatus, OrderLineRequest, Price};
use pannier_protocol::change::{PriceMoved, StalenessTable};
use pannier_protocol::order::{CapUse, OrderReason, PriceRecord};
use pannier_protocol::{ContractId, Currency, Decimal, ItemId, LevelName, UomCode};
use serde::{Deserialize, Serialize};

use super::Desk;
use super::line::reason;
use crate::basket::Resolved;
use crate::quote::{self, NoPrice, PriceQuestion, Quote, Record, Wants};

/// A price that a lookup promised: what its signed token says of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldPrice {
    pub item: ItemId,
    pub uom: UomCode,
    /// The price holds for this quantity only: with another one another break could be reached.
    pub quantity: Decimal,
    pub currency: Currency,
    /// What the customer was shown for one of `uom`.
    pub order_unit_price: Decimal,
    /// With the version of the row.
    pub price: PriceRecord,
}

impl HeldPrice {
    fn is_of(&self, resolved: &Resolved, uom: &str, currency: Currency) -> bool {
        self.item == resolved.item.id
            && self.uom.as_str() == uom
            && self.quantity == resolved.quantity
            && self.currency == currency
    }
}

impl Desk<'_> {
    /// The price to record, and what it takes of caps; without a price a doubt says why.
    pub(super) fn price(
        &mut self,
        line: &OrderLineRequest,
        resolved: &Resolved,
        held: Option<&Option<HeldPrice>>,
    ) -> (Option<PriceRecord>, Vec<CapUse>) {
        let held = self.valid_hold(line, resolved, held);
        let quote = self.quote(line, resolved);
        let budget = self.budget(StalenessTable::Price, resolved.item.class_id.as_ref());
        if let Err(refused) = budget.judge(&quote.consulted, self.now) {
            self.doubt(&line.line, OrderReason::NotFresh, refused.detail);
            return (None, Vec::new());
        }
        let honours = self.catalog.policies.defaults.price_moved == PriceMoved::Honour;
        let honoured =
            held.filter(|held| honours && line.unit_price.is_none_or(|shown| shown == held.order_unit_price));
        let (price, record) = match (quote.price, quote.record) {
            (Ok(price), Some(record)) => (price, record),
            (Ok(_), None) => return self.no_price(line, NoPrice::OutOfRange),
            // What priced it is over, and the promise is not.
            (Err(NoPrice::NotOnContract | NoPrice::NoPrice), _) if honoured.is_some() => {
                return (honoured.map(|held| held.price.clone()), Vec::new());
            }
            (Err(reason), _) => return self.no_price(line, reason),
        };
        let shown = line.unit_price.or(held.map(|held| held.order_unit_price));
        if let Some(shown) = shown.filter(|shown| *shown != price.order_unit_price) {
            if let Some(held) = honoured {
                return (Some(held.price.clone()), record.caps);
            }
            self.moved(line, shown, price.order_unit_price);
        }
        match recorded(&price, &record) {
            Some(recorded) => (Some(recorded), record.caps),
            None => self.no_price(line, NoPrice::OutOfRange),
        }
    }

    /// The hold that the line gave, if it is one of this line.
    fn valid_hold<'h>(
        &mut self,
        line: &OrderLineRequest,
        resolved: &Resolved,
        held: Option<&'h Option<HeldPrice>>,
    ) -> Option<&'h HeldPrice> {
        let uom = self.dictionary.uoms.name(resolved.unit.uom);
        let given = held.map(|held| held.as_ref().filter(|held| held.is_of(resolved, uom, self.currency)));
        if given == Some(None) {
            let detail =
                "the signed price is expired, or of another account, item, unit, quantity or currency";
            self.doubt(&line.line, OrderReason::PriceHoldInvalid, detail);
        }
        given.flatten()
    }

    fn quote(&mut self, line: &OrderLineRequest, resolved: &Resolved) -> Quote {
        let question = PriceQuestion {
            scopes: &self.scopes,
            item: &resolved.item,
            unit: resolved.unit,
            quantity: resolved.quantity,
            currency: self.currency,
            pricing_date: self.now,
            contract: line.contract.as_deref(),
            warehouse: line.warehouse.as_deref(),
            wants: Wants { record: true, ..Wants::default() },
        };
        quote::quote(&question, &mut self.caps)
    }

    fn moved(&mut self, line: &OrderLineRequest, shown: Decimal, now: Decimal) {
        let detail = format!("the customer was shown {shown} for one, and it is {now} now");
        match self.catalog.policies.defaults.price_moved {
            PriceMoved::AcceptIfLower if now < shown => {}
            PriceMoved::Refuse => self.doubt(&line.line, OrderReason::PriceRefused, detail),
            PriceMoved::Honour | PriceMoved::AcceptIfLower | PriceMoved::Review => {
                self.doubt(&line.line, OrderReason::PriceMoved, detail);
            }
        }
    }

    fn no_price(&mut self, line: &OrderLineRequest, why: NoPrice) -> (Option<PriceRecord>, Vec<CapUse>) {
        let status = match why {
            NoPrice::NotOnContract => LineStatus::NotOnContract,
            NoPrice::NoPrice => LineStatus::NoPrice,
            NoPrice::Invalidated => LineStatus::Invalidated,
            NoPrice::OutOfRange => LineStatus::InvalidQuantity,
        };
        self.doubt(&line.line, reason(status), why.to_string());
        (None, Vec::new())
    }
}

/// `None` where the tenant's policy has a level without a name.
pub(crate) fn recorded(price: &Price, record: &Record) -> Option<PriceRecord> {
    Some(PriceRecord {
        unit_price: price.unit_price,
        per: price.per,
        uom: UomCode::new(&price.uom).ok()?,
        extended: price.extended.amount,
        level: LevelName::new(&price.level).ok()?,
        contract: price.contract.as_deref().and_then(|contract| ContractId::new(contract).ok()),
        row: Some(record.row.clone()),
    })
}
