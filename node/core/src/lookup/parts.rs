//! The questions that a line asks of quoting and stock, and what of the answers is shown.

use std::sync::Arc;

use pannier_protocol::Decimal;
use pannier_protocol::api::{Availability, Include, Offer};
use pannier_protocol::change::StalenessTable;

use super::Basket;
use super::line::LineResolved;
use crate::availability::{self, Candidate, OfferQuestion, Promise, StockQuestion};
use crate::basket::{Budget, HeldPrice, Terms};
use crate::catalog::{ItemRecord, OrderUnit};
use crate::freshness::Consulted;
use crate::quote::{self, CapUse, PriceQuestion, Quote, Wants};

impl Basket<'_> {
    pub(super) fn shows_price(&self) -> bool {
        let parts = [Include::Price, Include::Breaks, Include::ListPrice, Include::Hold];
        parts.into_iter().any(|part| self.wants(part))
    }

    /// `explain` alone needs the price too.
    pub(super) fn wants_price(&self) -> bool {
        self.shows_price() || self.explain
    }

    pub(super) fn wants_stock(&self) -> bool {
        let parts = [Include::Availability, Include::Warehouses, Include::Schedule, Include::Substitutes];
        parts.into_iter().any(|part| self.wants(part))
    }

    fn wants(&self, part: Include) -> bool {
        self.request.includes(part)
    }

    pub(super) fn budget(&self, table: StalenessTable, item: Option<&ItemRecord>) -> Budget {
        let class = item.and_then(|item| item.class_id.as_ref());
        Budget::new(&self.catalog.policies, table, class, self.request.max_staleness_ms)
    }

    /// The chains are part of the answer's sources, whatever becomes of the line.
    pub(super) fn remember(&mut self, consulted: &Consulted, table: StalenessTable) {
        for chain in consulted.chains() {
            // How a source answered a question is told on the line; here it is about its chain.
            let chain = chain.asked_of().unwrap_or(chain);
            if !self.consulted.iter().any(|(known, _)| Arc::ptr_eq(known, chain)) {
                self.consulted.push((Arc::clone(chain), table));
            }
        }
    }

    /// With what the basket's caps are when the line stands.
    pub(super) fn quote(
        &self,
        item: &ItemRecord,
        unit: OrderUnit,
        quantity: Decimal,
        contract: Option<&str>,
        warehouse: Option<&str>,
    ) -> (Option<Quote>, CapUse) {
        let wants = Wants {
            breaks: self.wants(Include::Breaks),
            list_price: self.wants(Include::ListPrice),
            explain: self.explain,
            record: self.wants(Include::Hold),
        };
        let question = PriceQuestion {
            scopes: &self.scopes,
            item,
            unit,
            quantity,
            currency: self.currency,
            pricing_date: self.pricing_date,
            contract,
            warehouse,
            wants,
        };
        let mut caps = self.caps.clone();
        let quote = quote::quote(&question, &mut caps);
        (Some(quote), caps)
    }

    /// Remembers what of the line's price can be promised, where that is asked for.
    pub(super) fn hold(&mut self, at: usize, resolved: &LineResolved<'_>, quote: &Quote) {
        let (Ok(price), Some(record)) = (&quote.price, &quote.record) else { return };
        let (contract, warehouse) = (resolved.line.contract.as_deref(), resolved.line.warehouse.as_deref());
        let terms = Terms { currency: self.currency, contract, warehouse };
        let uom = self.dictionary.uoms.name(resolved.unit.uom);
        let held = HeldPrice::of(&resolved.found, uom, terms, price, record);
        self.held.extend(held.map(|held| (at, held)));
    }

    pub(super) fn promise(&self, resolved: &LineResolved<'_>) -> Promise {
        let line = resolved.line;
        let question = self.stock_question(&resolved.item, resolved.unit, resolved.quantity);
        let warehouse = line.warehouse.as_deref();
        let question = StockQuestion { warehouse, requested_date: line.requested_date, ..question };
        availability::promise(&question, &self.taken)
    }

    fn stock_question<'q>(
        &'q self,
        item: &'q ItemRecord,
        unit: OrderUnit,
        quantity: Decimal,
    ) -> StockQuestion<'q> {
        StockQuestion {
            ledger: self.ledger,
            catalog: self.catalog,
            dictionary: self.dictionary,
            account: self.account,
            item,
            unit,
            quantity,
            warehouse: None,
            requested_date: None,
            today: self.today,
            now: self.now,
            live: &self.live.stock,
        }
    }

    pub(super) fn shown_availability(&self, promise: Promise) -> Availability {
        let mut shown = promise.availability;
        shown.warehouses = shown.warehouses.filter(|_| self.wants(Include::Warehouses));
        shown.schedule = shown.schedule.filter(|_| self.wants(Include::Schedule));
        shown
    }

    /// `None` where they were not asked for.
    pub(super) fn offers(&mut self, resolved: &LineResolved<'_>, in_stock: bool) -> Option<Vec<Offer>> {
        if !self.wants(Include::Substitutes) {
            return None;
        }
        let question = OfferQuestion {
            catalog: self.catalog,
            account: self.account,
            item: &resolved.item,
            unit: resolved.unit,
            quantity: resolved.quantity,
            in_stock,
        };
        let candidates = availability::candidates(&question);
        Some(candidates.into_iter().map(|candidate| self.offer(resolved, &candidate)).collect())
    }

    /// Priced and promised as if the line named this item (by the contract and the warehouse that it names), and
    /// takes nothing. What freshness refuses is left out.
    fn offer(&mut self, resolved: &LineResolved<'_>, candidate: &Candidate) -> Offer {
        let Candidate { relation, item, unit, quantity } = candidate;
        let line = resolved.line;
        let (contract, warehouse) = (line.contract.as_deref(), line.warehouse.as_deref());
        let (quote, _) = match self.shows_price() {
            true => self.quote(item, *unit, *quantity, contract, warehouse),
            false => (None, CapUse::default()),
        };
        let question = StockQuestion { warehouse, ..self.stock_question(item, *unit, *quantity) };
        let promise = availability::promise(&question, &self.taken);
        let price =
            quote.filter(|quote| self.judge_price(item, quote).is_ok()).and_then(|quote| quote.price.ok());
        let promised = self.judge_stock(item, &promise).is_ok();
        Offer {
            relation: *relation,
            item: item.id.clone(),
            quantity: *quantity,
            uom: self.dictionary.uoms.name(unit.uom).into(),
            price,
            availability: promised.then(|| self.shown_availability(promise)),
        }
    }
}
