//! What a line costs, against what the customer was shown (semantics 1.14): the same engine as a lookup, and a
//! price that differs from the one shown is never put in its place silently.

use pannier_protocol::Decimal;
use pannier_protocol::api::{LineStatus, OrderLineRequest};
use pannier_protocol::change::{PriceMoved, StalenessTable};
use pannier_protocol::order::{CapUse, OrderReason, PriceRecord};

use super::line::reason;
use super::{Desk, Held};
use crate::basket::{HeldPrice, Resolved, Terms, recorded};
use crate::quote::{self, NoPrice, PriceQuestion, Quote, Wants};

impl Desk<'_> {
    /// The price to record, and what it takes of caps; without a price a doubt says why.
    pub(super) fn price(
        &mut self,
        line: &OrderLineRequest,
        resolved: &Resolved,
        held: Option<&Held>,
    ) -> (Option<PriceRecord>, Vec<CapUse>) {
        let is_in_force = matches!(held, Some(Held::InForce(_)));
        let held = self.own_hold(line, resolved, held);
        let quote = self.quote(line, resolved);
        let budget = self.budget(StalenessTable::Price, resolved.item.class_id.as_ref());
        if let Err(refused) = budget.judge(&quote.consulted, self.now) {
            self.doubt(&line.line, OrderReason::NotFresh, refused.detail);
            return (None, Vec::new());
        }
        let honours = is_in_force && self.catalog.policies.defaults.price_moved == PriceMoved::Honour;
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
    fn own_hold<'h>(
        &mut self,
        line: &OrderLineRequest,
        resolved: &Resolved,
        held: Option<&'h Held>,
    ) -> Option<&'h HeldPrice> {
        let uom = self.dictionary.uoms.name(resolved.unit.uom);
        let (contract, warehouse) = (line.contract.as_deref(), line.warehouse.as_deref());
        let terms = Terms { currency: self.currency, contract, warehouse };
        let own = match held? {
            Held::InForce(held) | Held::Lapsed(held) => {
                Some(held).filter(|held| held.is_of(resolved, uom, terms))
            }
            Held::Foreign => None,
        };
        if own.is_none() {
            let detail = "the signed price is of another account, ship-to, item, unit, quantity, currency, contract or \
                          warehouse than this line";
            self.doubt(&line.line, OrderReason::PriceHoldInvalid, detail);
        }
        own
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
