//! One basket, from question to answer: the only place that brings catalog, ledger, quoting, availability and
//! freshness together.

mod line;
mod parts;
mod questions;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use pannier_protocol::api::{Include, LineAnswer, LookupAnswer, LookupRequest, SourceState, Total};
use pannier_protocol::change::{PastBudget, StalenessTable};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Currency, Decimal, LocalDate, Money, Partition, Timestamp};

use crate::availability::{self, Taken};
use crate::basket::{Budget, HeldPrice, Opened, Readers};
pub use crate::basket::{ownership_in_force, tables_in_force};
use crate::catalog::{AccountContext, AccountRefusal, CatalogReader, CatalogTables};
use crate::dictionary::Dictionary;
use crate::freshness::ChainStatus;
use crate::ledger::{LedgerReader, LedgerTables};
use crate::live::{Live, LiveAnswer, LiveQuestion};
use crate::quote::{BasketScopes, CapUse};

/// What a lookup reads.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    pub ledger: &'a LedgerReader,
    pub catalog: &'a CatalogReader,
    pub dictionary: &'a Dictionary,
}

/// What the shell knows of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Otherwise `explain` is not answered.
    pub may_explain: bool,
}

/// Why a whole basket is refused. What is wrong with one line is told on that line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupRefusal {
    #[error("no account of this id, or the ship-to is not one of it; check `account` and `ship_to`")]
    UnknownAccount,
    #[error("the account or its ship-to is blocked; the distributor lifts it at the source")]
    AccountBlocked,
    #[error("{field}: {reason}")]
    InvalidRequest { field: &'static str, reason: &'static str },
}

impl From<AccountRefusal> for LookupRefusal {
    fn from(refusal: AccountRefusal) -> Self {
        match refusal {
            AccountRefusal::Unknown => Self::UnknownAccount,
            AccountRefusal::Blocked => Self::AccountBlocked,
        }
    }
}

/// One basket while it is answered: what its lines share, and what they take from each other.
struct Basket<'a> {
    request: &'a LookupRequest,
    ledger: &'a LedgerTables,
    catalog: &'a CatalogTables,
    dictionary: &'a Dictionary,
    account: Option<&'a AccountContext>,
    scopes: BasketScopes<'a>,
    currency: Currency,
    now: Timestamp,
    pricing_date: Timestamp,
    today: LocalDate,
    explain: bool,
    taken: Taken,
    caps: CapUse,
    /// What of the prices can be promised, and of which line.
    held: Vec<(usize, HeldPrice)>,
    live: Live,
    /// Some budget of the tenant's has sources asked.
    may_ask: bool,
    /// Each once, at most [`QUESTIONS_MAX`].
    questions: Vec<LiveQuestion>,
    /// Each once, in the order of asking.
    consulted: Vec<(Arc<ChainStatus>, StalenessTable)>,
}

/// A basket's answer, and what came up beside it.
#[derive(Debug)]
pub struct Promised {
    pub answer: LookupAnswer,
    /// What can be signed, by the line's place: every price that is in no doubt, where `hold` is asked for.
    pub held: Vec<(usize, HeldPrice)>,
    /// What sources are to be asked before policy gives up: with their answers the basket is answered again.
    pub questions: Vec<LiveQuestion>,
}

impl Lookup<'_> {
    /// `now` is broker time as the node estimates it. The shell checked that the caller may act for the account.
    pub fn answer(
        &self,
        request: &LookupRequest,
        now: Timestamp,
        caller: Caller,
    ) -> Result<LookupAnswer, LookupRefusal> {
        Ok(self.promise(request, now, caller, &[])?.answer)
    }

    /// The same with what else there is to say, and with `live`, what sources said when they were asked.
    pub fn promise(
        &self,
        request: &LookupRequest,
        now: Timestamp,
        caller: Caller,
        live: &[Arc<LiveAnswer>],
    ) -> Result<Promised, LookupRefusal> {
        if request.account.is_none() && request.ship_to.is_some() {
            let reason = "a ship-to is somebody's; name the account too";
            return Err(LookupRefusal::InvalidRequest { field: "ship_to", reason });
        }
        if request.includes(Include::Hold) {
            can_hold(request)?;
        }
        let Self { ledger, catalog, dictionary } = *self;
        let readers = Readers { ledger, catalog, dictionary };
        let Opened { as_of, account, ledger, catalog } =
            readers.open(request.account.as_ref(), request.ship_to.as_ref())?;
        let mut basket = Basket::new(request, &ledger, &catalog, dictionary, account.as_ref(), now)?;
        basket.live = Live::of(live, &ledger, dictionary);
        basket.explain = caller.may_explain && request.includes(Include::Explain);
        let lines: Vec<LineAnswer> =
            request.lines.iter().enumerate().map(|(at, line)| basket.line(at, line)).collect();
        let answer = LookupAnswer {
            as_of,
            other_incarnation: false,
            nodes_disagree: false,
            account: request.account.clone(),
            currency: basket.currency,
            pricing_date: basket.pricing_date,
            sources: basket.sources(),
            total: total(&lines, basket.currency),
            lines,
        };
        Ok(Promised { answer, held: basket.held, questions: basket.questions })
    }
}

impl<'a> Basket<'a> {
    fn new(
        request: &'a LookupRequest,
        ledger: &'a LedgerTables,
        catalog: &'a CatalogTables,
        dictionary: &'a Dictionary,
        account: Option<&'a AccountContext>,
        now: Timestamp,
    ) -> Result<Self, LookupRefusal> {
        let own = account.and_then(|context| context.account.currency);
        let past = LookupRefusal::InvalidRequest { field: "pricing_date", reason: "past the calendar" };
        Ok(Self {
            currency: request.currency.or(own).unwrap_or(catalog.policies.defaults.currency),
            today: availability::today(&catalog.policies, now).ok_or(past)?,
            pricing_date: request.pricing_date.unwrap_or(now),
            scopes: BasketScopes::load(catalog, ledger, dictionary, account),
            explain: false,
            taken: Taken::default(),
            caps: CapUse::default(),
            held: Vec::new(),
            live: Live::default(),
            may_ask: catalog.policies.staleness.rules.iter().any(|rule| rule.past == PastBudget::Ask),
            questions: Vec::new(),
            consulted: Vec::new(),
            request,
            ledger,
            catalog,
            dictionary,
            account,
            now,
        })
    }

    /// Every chain that some line consulted, with its own state by the basket's bounds.
    fn sources(&self) -> Vec<SourceState> {
        let state = |(chain, table): &(Arc<ChainStatus>, StalenessTable)| {
            let budget = Budget::new(&self.catalog.policies, *table, None, self.request.max_staleness_ms);
            let (known, freshness) = (chain.load(), chain.freshness(self.now, budget.budget_ms));
            let shown = match chain.subject() {
                Subject::Stock(source) => (source, "stock"),
                Subject::Catalog(Partition::Shared, source) => (source, "shared"),
                Subject::Catalog(Partition::Family(_), source) => (source, "prices"),
                // Not read by lookups.
                Subject::Order(source) | Subject::Event(source) => (source, "orders"),
                Subject::Control => return None,
            };
            Some(SourceState {
                source: shown.0.clone(),
                table: shown.1.to_owned(),
                epoch: known.epoch,
                sequence: known.sequence,
                state: freshness.state,
                age_ms: freshness.age_ms,
            })
        };
        self.consulted.iter().filter_map(state).collect()
    }
}

/// Who could choose the date or belongs to nobody could choose the price.
fn can_hold(request: &LookupRequest) -> Result<(), LookupRefusal> {
    if request.account.is_none() {
        let reason = "a price is held for an account; name one, or leave `hold` out of `include`";
        return Err(LookupRefusal::InvalidRequest { field: "account", reason });
    }
    if request.pricing_date.is_some() {
        let reason = "a price is held as of now; leave this out, or leave `hold` out of `include`";
        return Err(LookupRefusal::InvalidRequest { field: "pricing_date", reason });
    }
    Ok(())
}

/// The sum of the rounded lines.
fn total(lines: &[LineAnswer], currency: Currency) -> Total {
    let priced = || lines.iter().filter_map(|line| line.price.as_ref());
    let sum = priced().try_fold(Decimal::ZERO, |sum, price| sum.checked_add(price.extended.amount));
    let lines_priced = priced().count();
    Total {
        extended: Money::new(sum.unwrap_or(Decimal::MAX), currency),
        lines_priced: u32::try_from(lines_priced).unwrap_or(u32::MAX),
        complete: sum.is_some() && lines_priced == lines.len(),
    }
}
