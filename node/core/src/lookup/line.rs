//! One line: item and entitlement, quantity, unit, price, stock, offers, in this order (semantics 5, Request).

use compact_str::CompactString;
use pannier_protocol::Partition;
use pannier_protocol::api::{Freshness, FreshnessPair, FreshnessState, LineAnswer, LineRequest, LineStatus};
use pannier_protocol::change::{StalenessTable, Table};

use super::Basket;
use crate::availability::Promise;
use crate::basket::{self, Refused, Resolved};
use crate::catalog::ItemRecord;
use crate::freshness::Consulted;
use crate::quote::{NoPrice, Quote};

/// A line whose item, quantity and unit are in order.
pub(super) struct LineResolved<'l> {
    pub(super) line: &'l LineRequest,
    pub(super) found: Resolved,
}

impl std::ops::Deref for LineResolved<'_> {
    type Target = Resolved;

    fn deref(&self) -> &Resolved {
        &self.found
    }
}

impl Basket<'_> {
    pub(super) fn line(&mut self, at: usize, line: &LineRequest) -> LineAnswer {
        match self.resolve(line) {
            Ok(resolved) => {
                self.answered(at, &resolved).unwrap_or_else(|refused| refuse(line, &resolved, refused))
            }
            Err(refused) if refused.status == LineStatus::NotFound => {
                refuse_unresolved(line, self.not_found().unwrap_or(refused))
            }
            Err(refused) => refuse_unresolved(line, refused),
        }
    }

    fn resolve<'l>(&self, line: &'l LineRequest) -> Result<LineResolved<'l>, Refused> {
        let found = basket::resolve(self.catalog, self.dictionary, self.account, line.asked())?;
        Ok(LineResolved { line, found })
    }

    /// What is not there may be in the message that is missing: then that is the answer.
    fn not_found(&mut self) -> Option<Refused> {
        let mut consulted = Consulted::default();
        self.scopes.note(None, &mut consulted);
        self.remember(&consulted, StalenessTable::Price);
        self.budget(StalenessTable::Price, None).judge(&consulted, self.now).err()
    }

    /// Freshness decides before anything is answered or taken; a missing price does not (semantics 5).
    fn answered(&mut self, at: usize, resolved: &LineResolved<'_>) -> Result<LineAnswer, Refused> {
        let (line, item) = (resolved.line, &resolved.item);
        let (contract, warehouse) = (line.contract.as_deref(), line.warehouse.as_deref());
        let (quote, caps) = match self.wants_price() {
            true => self.quote(item, resolved.unit, resolved.quantity, contract, warehouse),
            false => (None, self.caps.clone()),
        };
        let promise = self.wants_stock().then(|| self.promise(resolved));
        if let Some(promise) = &promise {
            self.ask_stock(item, promise);
        }
        // Where a price is asked for too, its chains are those that the item came from.
        let item_state = if quote.is_some() { FreshnessState::Fresh } else { self.judge_item(item)? };
        let price_state = quote.as_ref().map(|quote| self.judge_price(item, quote)).transpose()?;
        let stock = promise.as_ref().map(|promise| self.judge_stock(item, promise)).transpose()?;
        let freshness = FreshnessPair {
            price: price_state,
            availability: stock.map(|stock| Freshness { state: stock.state.max(item_state), ..stock }),
        };
        if let Some(Quote { price: Err(NoPrice::OutOfRange), .. }) = &quote {
            let detail = "the amount is out of range; order less in one line";
            return Err(Refused { status: LineStatus::InvalidQuantity, detail });
        }
        if let Some(promise) = &promise {
            promise.take(&mut self.taken);
        }
        self.caps = caps;
        let (status, detail) = price_status(quote.as_ref());
        if let Some(quote) = quote.as_ref().filter(|_| can_promise(freshness.price)) {
            self.hold(at, resolved, quote);
        }
        let substitutes = promise.as_ref().and_then(|promise| self.offers(resolved, promise.is_in_stock()));
        let (price, explain) = quote.map_or((None, None), |quote| (quote.price.ok(), quote.explain));
        Ok(LineAnswer {
            line: line.line.clone(),
            item: item.id.as_str().into(),
            status,
            detail,
            quantity_to_order: (resolved.quantity != resolved.asked).then_some(resolved.quantity),
            price: price.filter(|_| self.shows_price()),
            price_hold: None,
            availability: promise.map(|promise| self.shown_availability(promise)),
            substitutes,
            freshness: Some(freshness),
            explain,
        })
    }

    /// Which item it is, and in which units it is sold, may be in the message that is missing. How old its source
    /// is says nothing of stock, and is not judged.
    fn judge_item(&mut self, item: &ItemRecord) -> Result<FreshnessState, Refused> {
        let mut consulted = Consulted::default();
        let owner = self.catalog.ownership.owner(Table::Items, None, None);
        for chain in self.catalog.chains(Partition::Shared) {
            let counts = owner.is_none_or(|owner| *owner == chain.source);
            if counts && chain.status.load().suspect {
                consulted.note(&chain.status);
            }
        }
        if consulted.chains().is_empty() {
            return Ok(FreshnessState::Fresh);
        }
        self.remember(&consulted, StalenessTable::Price);
        Ok(self.budget(StalenessTable::Price, Some(item)).judge(&consulted, self.now)?.state)
    }

    pub(super) fn judge_price(&mut self, item: &ItemRecord, quote: &Quote) -> Result<Freshness, Refused> {
        self.remember(&quote.consulted, StalenessTable::Price);
        self.budget(StalenessTable::Price, Some(item)).judge(&quote.consulted, self.now)
    }

    pub(super) fn judge_stock(&mut self, item: &ItemRecord, promise: &Promise) -> Result<Freshness, Refused> {
        self.remember(&promise.consulted, StalenessTable::Availability);
        let budget = self.budget(StalenessTable::Availability, Some(item));
        budget.judge_stock(&promise.consulted, promise.flags, self.now)
    }
}

/// Policy may have a price served that is known to be in doubt; it is not promised beyond now.
fn can_promise(freshness: Option<Freshness>) -> bool {
    freshness.is_some_and(|freshness| match freshness.state {
        // What a source said beside its chain is in no row that an order could be held against.
        FreshnessState::Fresh | FreshnessState::Stale => !freshness.live,
        FreshnessState::Suspect | FreshnessState::Invalidated => false,
    })
}

fn price_status(quote: Option<&Quote>) -> (LineStatus, Option<String>) {
    match quote.map(|quote| &quote.price) {
        None | Some(Ok(_)) => (LineStatus::Ok, None),
        Some(Err(reason @ NoPrice::NotOnContract)) => (LineStatus::NotOnContract, Some(reason.to_string())),
        Some(Err(reason @ NoPrice::NoPrice)) => (LineStatus::NoPrice, Some(reason.to_string())),
        Some(Err(reason @ NoPrice::Invalidated)) => (LineStatus::Invalidated, Some(reason.to_string())),
        Some(Err(reason @ NoPrice::OutOfRange)) => (LineStatus::InvalidQuantity, Some(reason.to_string())),
    }
}

fn refuse(line: &LineRequest, resolved: &LineResolved<'_>, refused: Refused) -> LineAnswer {
    LineAnswer { item: resolved.item.id.as_str().into(), ..refuse_unresolved(line, refused) }
}

/// Neither price nor stock; the same shape for an unknown item and for one that the account may not buy.
fn refuse_unresolved(line: &LineRequest, refused: Refused) -> LineAnswer {
    LineAnswer {
        line: line.line.clone(),
        item: CompactString::clone(&line.item),
        status: refused.status,
        detail: Some(refused.detail.to_owned()),
        quantity_to_order: None,
        price: None,
        price_hold: None,
        availability: None,
        substitutes: None,
        freshness: None,
        explain: None,
    }
}
