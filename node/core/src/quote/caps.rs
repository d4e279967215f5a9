//! What contracts still give: caps as their source reports them, less what accepted orders take that it does not
//! count yet, and less what earlier lines of the request took.

use pannier_protocol::SourceId;
use pannier_protocol::change::{CapBasis, CapPast, PriceScopeKind, Table};
use rustc_hash::FxHashMap;

use super::candidate::{Candidate, Line};
use super::walk::Outcome;
use crate::dictionary::{ItemNo, ScopeNo};
use crate::freshness::{Consulted, RowFacts};
use crate::ledger::CapRow;
use crate::quantity::Exact;

/// A cap: of one item of a contract, or of all its items together.
pub(super) type CapKey = (ScopeNo, Option<ItemNo>);

/// What the lines of one request took from caps so far, in each cap's own basis.
#[derive(Debug, Clone, Default)]
pub struct CapUse {
    used: FxHashMap<CapKey, Exact>,
}

/// How much of a quantity fits under the caps of a price.
pub(super) struct Room {
    /// In base units; the rest goes on down the levels.
    pub fits: Exact,
    /// The contracts that have no room for the rest; others that the price rests on may go on.
    pub full: Vec<ScopeNo>,
    /// Whether a cheaper price of theirs could find room: an amount buys more of it.
    pub by_amount: bool,
}

impl CapUse {
    fn used(&self, key: CapKey) -> Exact {
        self.used.get(&key).copied().unwrap_or(Exact::ZERO)
    }

    /// Takes `quantity` base units at `price` each from every cap over the outcome; `None` out of range.
    pub(super) fn take(&mut self, line: &Line<'_>, outcome: &Outcome<'_>, quantity: Exact) -> Option<()> {
        for Capped { key, row: cap, .. } in contracts(outcome).flat_map(|scope| caps_of(line, scope)) {
            let taken = self.used(key).checked_add(need(&cap, quantity, outcome.price)?)?;
            self.used.insert(key, taken);
        }
        Some(())
    }

    /// `None` out of range.
    pub(super) fn room(&self, line: &Line<'_>, outcome: &Outcome<'_>, quantity: Exact) -> Option<Room> {
        let mut room = Room { fits: quantity, full: Vec::new(), by_amount: false };
        let mut falls_through = false;
        for Capped { key, row: cap, .. } in contracts(outcome).flat_map(|scope| caps_of(line, scope)) {
            let in_flight = Exact::from_decimal(line.question.scopes.promises.cap_in_flight(key.0, key.1));
            let left = Exact::from_decimal(cap.left()).checked_sub(in_flight)?.checked_sub(self.used(key))?;
            let left = left.max(Exact::ZERO);
            if need(&cap, quantity, outcome.price)? <= left {
                continue;
            }
            room.by_amount |= cap.basis == CapBasis::Amount;
            let fits = match (cap.past, cap.basis) {
                (CapPast::FallThrough, _) => {
                    // Not the whole, and then nothing; what would be split may have it without this contract.
                    if !falls_through {
                        (room.fits, falls_through) = (Exact::ZERO, true);
                        room.full.clear();
                    }
                    room.full.push(key.0);
                    continue;
                }
                (CapPast::Split, _) if falls_through => continue,
                (CapPast::Split, CapBasis::Quantity) => left,
                // Whole base units: a third of a screw is not had for what is left.
                (CapPast::Split, CapBasis::Amount) => {
                    Exact::new(left.checked_div(outcome.price)?.floor(), 1)?
                }
            };
            if fits < room.fits {
                room.fits = fits;
                room.full.clear();
            }
            if fits == room.fits {
                room.full.push(key.0);
            }
        }
        Some(room)
    }
}

pub(super) fn need(cap: &CapRow, quantity: Exact, price: Exact) -> Option<Exact> {
    match cap.basis {
        CapBasis::Quantity => Some(quantity),
        CapBasis::Amount => quantity.checked_mul(price),
    }
}

/// The contracts that a price rests on, each once: one can give the discount and the price.
pub(super) fn contracts<'o>(outcome: &'o Outcome<'_>) -> impl Iterator<Item = ScopeNo> + 'o {
    let winner = &outcome.winner;
    let others = outcome.additive.iter().filter(|candidate| candidate.scope.no != winner.scope.no);
    let candidates = std::iter::once(winner).chain(others);
    candidates.filter(|candidate| is_contract(candidate)).map(|candidate| candidate.scope.no)
}

pub(super) fn is_contract(candidate: &Candidate<'_>) -> bool {
    candidate.scope.scope.kind() == PriceScopeKind::Contract
}

/// A cap and whose it is.
pub(super) struct Capped<'l> {
    pub key: CapKey,
    pub row: CapRow,
    pub source: &'l SourceId,
}

/// The caps over one item of a contract: the item's own, and that over all items.
pub(super) fn caps_of<'l>(line: &'l Line<'_>, contract: ScopeNo) -> impl Iterator<Item = Capped<'l>> + 'l {
    let keys = [(contract, Some(line.question.item.item)), (contract, None)];
    keys.into_iter().filter_map(move |key| {
        let mut chains = line.question.scopes.cap_chains.iter();
        chains.find_map(|chain| {
            let row = chain.rows.find_cap(key.0, key.1)?;
            Some(Capped { key, row, source: &chain.source })
        })
    })
}

/// Notes the chains that caps come from, and a cap that is condemned.
pub(super) fn note(line: &Line<'_>, outcome: &Outcome<'_>, consulted: &mut Consulted) {
    let scopes = line.question.scopes;
    debug_assert!(
        scopes
            .tables
            .ownership
            .owner(Table::Caps, None, None)
            .is_none_or(|owner| { scopes.cap_chains.iter().all(|chain| chain.source == *owner) })
    );
    for contract in contracts(outcome) {
        for chain in &scopes.cap_chains {
            consulted.note(&chain.status);
        }
        for Capped { key: (_, item), row: cap, .. } in caps_of(line, contract) {
            let facts = || RowFacts {
                item: item.map(|_| line.question.item.id.as_str()),
                contract: scopes.dictionary.scope_id(contract),
                ..RowFacts::default()
            };
            let condemned = scopes.cap_chains.iter().filter_map(|chain| {
                let states = chain.rows.find_cap(contract, item).as_ref() == Some(&cap);
                chain.status.condemns(cap.version, facts).filter(|_| states)
            });
            condemned.for_each(|mode| consulted.note_invalidated(mode));
        }
    }
}
