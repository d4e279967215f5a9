//! Where the price of an order's line came from, for whoever asks later: the message that stated the winning row,
//! and what the line takes of capped contracts.

use pannier_protocol::change::Rounding;
use pannier_protocol::order::{CapUse, RowOrigin};
use pannier_protocol::{ContractId, Decimal};

use super::Portioned;
use super::candidate::Line;
use super::caps::{caps_of, contracts, need};
use super::walk::Outcome;
use crate::quantity::Exact;

/// What an order keeps beside its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub row: RowOrigin,
    pub caps: Vec<CapUse>,
}

/// The message that stated the row shown.
pub(super) fn origin(outcome: &Outcome<'_>) -> RowOrigin {
    let part = outcome.shown.part;
    let (epoch, sequence) = part.chain.status.load().stated_at(outcome.shown.row.version);
    RowOrigin { source: part.chain.source.clone(), epoch, sequence }
}

/// `None` for a line without parts, and out of a decimal's range.
pub(super) fn record(line: &Line<'_>, portioned: &Portioned<'_>) -> Option<Record> {
    let row = origin(&portioned.parts.first()?.outcome);
    let mut taken: Vec<(CapUse, Exact)> = Vec::new();
    for part in &portioned.parts {
        for capped in contracts(&part.outcome).flat_map(|scope| caps_of(line, scope)) {
            let (contract, item) = capped.key;
            let amount = need(&capped.row, part.quantity, part.outcome.price)?;
            let contract = ContractId::new(line.question.scopes.dictionary.scope_id(contract)?).ok()?;
            let item = item.map(|_| line.question.item.id.clone());
            let of = CapUse { source: capped.source.clone(), contract, item, amount: Decimal::ZERO };
            match taken.iter_mut().find(|(known, _)| *known == of) {
                Some((_, sum)) => *sum = sum.checked_add(amount)?,
                None => taken.push((of, amount)),
            }
        }
    }
    // Never up: lines that fill a cap exactly must not exceed it by what was rounded.
    let rounded =
        taken.into_iter().map(|(of, amount)| Some(CapUse { amount: amount.round(6, Rounding::Down)?, ..of }));
    Some(Record { row, caps: rounded.collect::<Option<_>>()? })
}
