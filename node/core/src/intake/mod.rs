//! From an order as a client says it to the command that the ledger judges.
//!
//! A verdict reads nothing but the ledger, so that every node comes to the same one; prices, items and accounts
//! are not in it. So intake resolves and prices the order once, with the code that answers lookups, and writes
//! into the command everything that the verdict needs: what each line takes and whose stock counts for it, what it
//! costs and which row said so, whose credit it uses. What intake finds wrong becomes a *doubt* of the command and
//! not an answer of its own: a refused order is remembered under its key like an accepted one. Rejected: answering
//! at intake, after which the same key could be refused by one node and accepted by the next.
//!
//! Holds carry no doubts: what cannot be held is refused before anything is sent, and may be tried again.

mod credit;
mod facts;
mod line;
mod pricing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use pannier_protocol::api::{HoldRequest, OrderRequest};
use pannier_protocol::change::SourcingMode;
use pannier_protocol::order::{
    Command, IfShort, IntakeDoubt, KeyedBy, OrderLine, OrderRequestFacts, PlaceHold, PlaceOrder, StockTerms,
};
use pannier_protocol::{
    Currency, Decimal, Fingerprint, HoldId, IdempotencyKey, LineId, LocalDate, OrderId, Timestamp,
};

pub use crate::basket::HeldPrice;

use crate::availability;
use crate::basket::{Opened, Readers};
use crate::catalog::{AccountContext, AccountRefusal, CatalogReader, CatalogTables};
use crate::dictionary::Dictionary;
use crate::ledger::{LedgerReader, LedgerTables};
use crate::limits::HOLD_AHEAD_MS_MAX;
use crate::quote::{BasketScopes, CapUse};
use line::StockAsked;

/// What intake reads.
#[derive(Clone, Copy)]
pub struct Intake<'a> {
    pub ledger: &'a LedgerReader,
    pub catalog: &'a CatalogReader,
    pub dictionary: &'a Dictionary,
}

/// The request around what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub key: IdempotencyKey,
    /// Broker time as the node estimates it.
    pub now: Timestamp,
    /// See [`KeyedBy`].
    pub judge_before: Timestamp,
    pub traceparent: Option<String>,
}

/// A signed price that a line of an order gave, as the node has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    InForce(HeldPrice),
    /// Expired, or of another life of the ledger: it still says what the customer was shown.
    Lapsed(HeldPrice),
    /// Of another account or ship-to.
    Foreign,
}

/// By line, of those that gave one.
pub type HeldPrices = BTreeMap<LineId, Held>;

/// Why nothing is sent to the ledger. Nothing is remembered of it: the same key may be used again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeRefusal {
    #[error("no account of this id, or the ship-to is not one of it; check `account` and `ship_to`")]
    UnknownAccount,
    #[error("the account or its ship-to is blocked; the distributor lifts it at the source")]
    AccountBlocked,
    #[error("{field}: {reason}")]
    InvalidRequest { field: &'static str, reason: &'static str },
    /// Of a hold only.
    #[error("{} of the lines cannot be held; leave them out, or correct what `lines` says of them", .doubts.len())]
    Lines { doubts: Vec<IntakeDoubt> },
}

impl From<AccountRefusal> for IntakeRefusal {
    fn from(refusal: AccountRefusal) -> Self {
        match refusal {
            AccountRefusal::Unknown => Self::UnknownAccount,
            AccountRefusal::Blocked => Self::AccountBlocked,
        }
    }
}

/// One order or hold while it is resolved.
struct Desk<'a> {
    ledger: &'a LedgerTables,
    catalog: &'a CatalogTables,
    dictionary: &'a Dictionary,
    account: &'a AccountContext,
    scopes: BasketScopes<'a>,
    currency: Currency,
    now: Timestamp,
    today: LocalDate,
    caps: CapUse,
    doubts: Vec<IntakeDoubt>,
}

impl Intake<'_> {
    /// The command that places the order. `held`: of the lines that gave a signed price.
    pub fn order(
        &self,
        request: &OrderRequest,
        received: Received,
        held: &HeldPrices,
    ) -> Result<Command, IntakeRefusal> {
        let readers = self.readers();
        let opened = readers.open(Some(&request.account), request.ship_to.as_ref())?;
        let mut desk = Desk::new(&opened, self.dictionary, request.currency, received.now)?;
        let mut lines = Vec::with_capacity(request.lines.len());
        for line in &request.lines {
            lines.push(desk.order_line(line, held)?);
        }
        desk.check_territory();
        let total = total(&lines)?;
        let order = OrderId::derive(&request.account, &received.key);
        let place = PlaceOrder {
            order,
            keyed: keyed(&request.account, Fingerprint::of(request), received),
            facts: facts(request),
            currency: desk.currency,
            total,
            terms: desk.terms(request.ship_complete),
            route: desk.route(),
            credit: desk.credit(total),
            hold: request.hold,
            doubts: desk.doubts,
            lines,
            priced_at: opened.as_of,
        };
        Ok(Command::PlaceOrder(Box::new(place)))
    }

    /// The command that places the hold.
    pub fn hold(&self, request: &HoldRequest, received: Received) -> Result<Command, IntakeRefusal> {
        let (ends, now) = (request.expires_at, received.now);
        if ends <= now || ends.millis_since(now) > HOLD_AHEAD_MS_MAX {
            let reason = "a hold ends after now and at most a day ahead; ask for less and extend it";
            return Err(IntakeRefusal::InvalidRequest { field: "expires_at", reason });
        }
        let readers = self.readers();
        let opened = readers.open(Some(&request.account), request.ship_to.as_ref())?;
        let mut desk = Desk::new(&opened, self.dictionary, None, now)?;
        let mut lines = Vec::with_capacity(request.lines.len());
        for line in &request.lines {
            let if_short = if request.partial { IfShort::Partial } else { IfShort::Reject };
            let asked = StockAsked { line: &line.line, asked: line.asked(), if_short };
            lines.push(desk.stock_line(&asked)?.0);
        }
        let terms = desk.terms(false);
        if !desk.doubts.is_empty() {
            return Err(IntakeRefusal::Lines { doubts: desk.doubts });
        }
        let hold = HoldId::derive(&request.account, &received.key);
        let keyed = keyed(&request.account, Fingerprint::of(request), received);
        Ok(Command::PlaceHold(PlaceHold {
            hold,
            keyed,
            expires_at: ends,
            partial: request.partial,
            terms,
            lines,
        }))
    }

    fn readers(&self) -> Readers<'_> {
        Readers { ledger: self.ledger, catalog: self.catalog, dictionary: self.dictionary }
    }
}

impl<'a> Desk<'a> {
    fn new(
        opened: &'a Opened,
        dictionary: &'a Dictionary,
        currency: Option<Currency>,
        now: Timestamp,
    ) -> Result<Self, IntakeRefusal> {
        let (ledger, catalog) = (opened.ledger.as_ref(), &opened.catalog);
        let account = opened.account.as_ref().ok_or(IntakeRefusal::UnknownAccount)?;
        let past = IntakeRefusal::InvalidRequest { field: "pricing_date", reason: "past the calendar" };
        Ok(Self {
            ledger,
            catalog,
            dictionary,
            account,
            scopes: BasketScopes::load(catalog, ledger, dictionary, Some(account)),
            currency: currency.or(account.account.currency).unwrap_or(catalog.policies.defaults.currency),
            now,
            today: availability::today(&catalog.policies, now).ok_or(past)?,
            caps: CapUse::default(),
            doubts: Vec::new(),
        })
    }

    fn terms(&self, ship_complete: bool) -> StockTerms {
        let policies = &self.catalog.policies;
        let mode = availability::mode(self.catalog, Some(self.account));
        StockTerms {
            zone: policies.business_zone.clone(),
            horizon_days: policies.sourcing.horizon_days,
            past_due: policies.sourcing.past_due,
            mode: if ship_complete { SourcingMode::ShipComplete } else { mode },
            handover: self.ledger.handed_over.as_ref().map(|_| self.catalog.ownership.version),
        }
    }
}

fn keyed(account: &pannier_protocol::AccountId, fingerprint: Fingerprint, received: Received) -> KeyedBy {
    let Received { key, judge_before, traceparent, now: _ } = received;
    KeyedBy { account: account.clone(), key, fingerprint, judge_before, traceparent }
}

fn facts(request: &OrderRequest) -> OrderRequestFacts {
    OrderRequestFacts {
        ship_to: request.ship_to.clone(),
        ship_to_address: request.ship_to_address.clone(),
        purchase_order: request.purchase_order.clone(),
        channel: request.channel.clone(),
        requested_date: request.requested_date,
        ship_complete: request.ship_complete,
        references: request.references.clone(),
    }
}

/// The sum of the rounded lines.
fn total(lines: &[OrderLine]) -> Result<Decimal, IntakeRefusal> {
    let mut priced = lines.iter().filter_map(|line| line.price.as_ref());
    let sum = priced.try_fold(Decimal::ZERO, |sum, price| sum.checked_add(price.extended));
    let reason = "the order's total is out of range; place it in parts";
    sum.ok_or(IntakeRefusal::InvalidRequest { field: "lines", reason })
}
