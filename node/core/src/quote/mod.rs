//! Contract prices: which row of which scope prices a line, and what the line then costs.
//!
//! Precedence is the tenant's data: an ordered list of levels, each a key shape with a policy. A line walks
//! them from the top; nothing is cached by key, so a contract, a list or a policy that changes prices the next
//! line anew, and a row of next month takes effect at its instant without an event. Rejected: computing prices
//! when rows arrive, which multiplies accounts by items and makes one list change a million changes.
//!
//! All arithmetic is exact (rationals of `i128`) until `extended`, which is rounded once; unit prices are
//! rounded to be shown only. What leaves that range refuses the line: it never falls to another price.

mod candidate;
mod caps;
mod explain;
mod ladder;
mod record;
mod scopes;
mod shown;
mod walk;

#[cfg(test)]
mod tests;

use pannier_protocol::api::{Explain, Price};
use pannier_protocol::change::InvalidateMode;
use pannier_protocol::{Currency, Decimal, Timestamp};
use smallvec::SmallVec;

pub use caps::CapUse;
pub use record::Record;
pub use scopes::BasketScopes;

use candidate::{Candidate, Line};
use walk::{Outcome, Walk};

use crate::catalog::{ItemRecord, OrderUnit};
use crate::dictionary::ScopeNo;
use crate::freshness::{Consulted, RowFacts};
use crate::limits::VALIDITY_STEPS_MAX;
use crate::quantity::Exact;

/// One line to be priced.
#[derive(Clone, Copy)]
pub struct PriceQuestion<'a> {
    pub scopes: &'a BasketScopes<'a>,
    /// Found and visible for the account.
    pub item: &'a ItemRecord,
    /// The unit ordered.
    pub unit: OrderUnit,
    /// Of that unit, rounded up to multiple and minimum; above 0.
    pub quantity: Decimal,
    pub currency: Currency,
    pub pricing_date: Timestamp,
    /// The contract that the line names.
    pub contract: Option<&'a str>,
    /// The warehouse that the line names.
    pub warehouse: Option<&'a str>,
    pub wants: Wants,
}

/// Parts of a price that cost something to make.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wants {
    pub breaks: bool,
    pub list_price: bool,
    pub explain: bool,
    /// What an order keeps of where the price came from.
    pub record: bool,
}

/// What a line costs, or why it has no price; and what the answer rests on.
#[derive(Debug)]
pub struct Quote {
    pub price: Result<Price, NoPrice>,
    /// Every chain that was consulted, and the worst condemnation of a row that was used.
    pub consulted: Consulted,
    /// Where it was wanted.
    pub explain: Option<Explain>,
    /// Where it was wanted, of a line that has a price.
    pub record: Option<Record>,
}

/// Why a line has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPrice {
    #[error("the account buys at contract prices only, and no contract of its prices this item")]
    NotOnContract,
    #[error("no price is in force for this item, quantity, currency and date")]
    NoPrice,
    /// Hard: not to be served until refreshed.
    #[error("the price's source has withdrawn it; it is served again once the source repeats it")]
    Invalidated,
    #[error("the amount is out of range; order less in one line")]
    OutOfRange,
}

/// A part of the line at one price.
struct Portion<'a> {
    outcome: Outcome<'a>,
    /// Base units.
    quantity: Exact,
}

/// The line in parts, of which caps can make more than one.
struct Portioned<'a> {
    parts: SmallVec<[Portion<'a>; 1]>,
    until: Timestamp,
    /// Contracts whose cap the line, or the rest of it, did not fit into.
    excluded: Vec<ScopeNo>,
}

/// Prices one line. A line that is priced uses up caps; one that is refused does not.
pub fn quote(question: &PriceQuestion<'_>, caps: &mut CapUse) -> Quote {
    let mut consulted = Consulted::default();
    let Some(line) = Line::new(question) else {
        question.scopes.note(None, &mut consulted);
        return Quote { price: Err(NoPrice::OutOfRange), consulted, explain: None, record: None };
    };
    question.scopes.note(line.owner, &mut consulted);
    let mut used = caps.clone();
    let portioned = portion(&line, &mut used);
    for part in portioned.iter().flat_map(|portioned| &portioned.parts) {
        caps::note(&line, &part.outcome, &mut consulted);
        note_condemned(&line, &part.outcome, &mut consulted);
    }
    let is_contract_only = question.scopes.account.is_some_and(|context| context.account.contract_only);
    let price = match &portioned {
        _ if line.out_of_range.get() => Err(NoPrice::OutOfRange),
        None => Err(NoPrice::OutOfRange),
        Some(Portioned { parts, .. }) if parts.is_empty() && is_contract_only => Err(NoPrice::NotOnContract),
        Some(Portioned { parts, .. }) if parts.is_empty() => Err(NoPrice::NoPrice),
        Some(_) if consulted.invalidated() == Some(InvalidateMode::Hard) => Err(NoPrice::Invalidated),
        Some(portioned) => shown::price(&line, portioned).ok_or(NoPrice::OutOfRange),
    };
    if price.is_ok() {
        *caps = used;
    }
    let explain = question.wants.explain.then(|| explain::explain(&line, portioned.as_ref()));
    let priced = portioned.as_ref().filter(|_| question.wants.record && price.is_ok());
    let record = priced.and_then(|portioned| record::record(&line, portioned));
    Quote { price, consulted, explain, record }
}

/// Walks until every unit has a price; without parts there is none. `None` out of range.
fn portion<'a>(line: &Line<'a>, caps: &mut CapUse) -> Option<Portioned<'a>> {
    let mut portioned = Portioned { parts: SmallVec::new(), until: Timestamp::MAX, excluded: Vec::new() };
    let mut rest = line.base_quantity;
    loop {
        let Some((outcome, until)) = settle(line, &portioned.excluded) else {
            // What is left of the line has no price, so the line has none.
            portioned.parts.clear();
            return Some(portioned);
        };
        let room = caps.room(line, &outcome, rest)?;
        let fits = room.fits;
        // When a contract that an amount bounds prices anew, more of the line may fit: look again then.
        if fits > Exact::ZERO || room.by_amount {
            portioned.until = portioned.until.min(until);
        }
        if fits > Exact::ZERO {
            caps.take(line, &outcome, fits)?;
            rest = rest.checked_sub(fits)?;
            portioned.parts.push(Portion { outcome, quantity: fits });
        }
        if rest == Exact::ZERO {
            return Some(portioned);
        }
        portioned.excluded.extend(room.full);
    }
}

/// The price at the pricing date, and the first instant at which another row makes it.
fn settle<'a>(line: &Line<'a>, excluded: &[ScopeNo]) -> Option<(Outcome<'a>, Timestamp)> {
    let walked = Walk::new(line, line.question.pricing_date, excluded).run();
    let outcome = walked.outcome?;
    let (mut until, mut is_final) = (walked.until, walked.is_final);
    // Rows that lost may end or begin without changing anything: look again, a bounded number of times.
    for _ in 0..VALIDITY_STEPS_MAX {
        if is_final || until == Timestamp::MAX {
            break;
        }
        let then = Walk::new(line, until, excluded).run();
        if then.outcome.is_none_or(|then| !outcome.has_rows_of(&then)) {
            break;
        }
        (until, is_final) = (then.until, then.is_final);
    }
    Some((outcome, until))
}

impl Outcome<'_> {
    /// Every row that the price rests on.
    fn rows(&self) -> impl Iterator<Item = &Candidate<'_>> {
        let bases = std::iter::successors(self.base.as_deref(), |base| base.base.as_deref());
        std::iter::once(&self.winner).chain(bases.map(|base| &base.candidate)).chain(&self.additive)
    }

    fn has_rows_of(&self, other: &Outcome<'_>) -> bool {
        self.rows()
            .map(|candidate| std::ptr::from_ref(candidate.row))
            .eq(other.rows().map(|candidate| std::ptr::from_ref(candidate.row)))
    }
}

/// A condemned row is not skipped in favour of another: what it said before it was condemned, its source no
/// longer stands by, and what it will say instead is unknown.
fn note_condemned(line: &Line<'_>, outcome: &Outcome<'_>, consulted: &mut Consulted) {
    let scopes = line.question.scopes;
    let item = line.question.item;
    for candidate in outcome.rows() {
        let headers = candidate.scope.parts.iter().filter_map(|part| Some((part, part.scope.header()?)));
        let headers = headers.map(|(part, header)| (part, header.version));
        for (part, version) in headers.chain([(candidate.part, candidate.row.version)]) {
            let warehouse = candidate.row.place.warehouse();
            let accounts = scopes.account.iter().flat_map(|context| [&context.account, &context.ship_to]);
            for account in accounts.map(|record| Some(record.id.as_str())).chain([None]) {
                let facts = || RowFacts {
                    item: Some(item.id.as_str()),
                    account,
                    warehouse: warehouse.map(|warehouse| scopes.dictionary.warehouses.name(warehouse)),
                    ..RowFacts::of_scope(&candidate.scope.scope)
                };
                if let Some(mode) = part.chain.status.condemns(version, facts) {
                    consulted.note_invalidated(mode);
                }
            }
        }
    }
    for chain in &scopes.tables.chains.shared {
        let facts = || RowFacts { item: Some(item.id.as_str()), ..RowFacts::default() };
        let states = || chain.rows.item(item.item).is_some_and(|record| *record == *item);
        if let Some(mode) = chain.status.condemns(item.version, facts).filter(|_| states()) {
            consulted.note_invalidated(mode);
        }
    }
}
