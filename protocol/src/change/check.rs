//! What a change must satisfy beyond its shape. A message with one invalid change is poison as a whole:
//! half a batch is not what the source said.

use crate::limits::{CHAIN_PERCENTS_MAX, HORIZON_DAYS_MAX, LEVELS_MAX, TEXT_BYTES_MAX};
use crate::{DateEdge, Decimal};

use super::{
    Change, Item, Method, PolicyDocument, PriceKey, PriceRow, Prices, ScopeHeader, SnapshotScope, Table,
};

/// Why a well-formed change is refused. `field` names it within the change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}.{field}: {reason}")]
pub struct InvalidChange {
    pub kind: &'static str,
    pub field: &'static str,
    pub reason: &'static str,
}

/// The field within the change, and what is wrong with it.
pub(crate) type Check = Result<(), (&'static str, &'static str)>;

impl Change {
    /// Every rule that needs nothing but the change itself.
    pub fn check(&self) -> Result<(), InvalidChange> {
        self.checked().map_err(|(field, reason)| InvalidChange { kind: self.kind(), field, reason })
    }

    fn checked(&self) -> Check {
        match self {
            Self::StockSet(set) => {
                not_negative("allocated", set.allocated)?;
                not_negative("quarantine", set.quarantine)?;
                set.receipts.iter().try_for_each(|receipt| not_negative("receipts", receipt.received))
            }
            Self::StockAdjust(adjust) => {
                adjust.receipts.iter().try_for_each(|receipt| not_negative("receipts", receipt.received))
            }
            Self::SupplySet(supply) => not_negative("received", supply.received),
            Self::LotsSet(lots) => lots.lots.iter().try_for_each(|lot| not_negative("lots", lot.quantity)),
            Self::SafetySet(safety) => not_negative("quantity", safety.quantity),
            Self::Credit(credit) => credit.limit.map_or(Ok(()), |limit| not_negative("limit", limit)),
            Self::Cap(cap) => {
                not_negative("limit", cap.limit)?;
                not_negative("consumed", cap.consumed)
            }
            Self::Item(item) => check_item(item),
            Self::Account(account) => ensure(
                account.parent.as_ref() != Some(&account.account),
                "parent",
                "an account is not its own parent; leave it out for a root",
            ),
            Self::Scope(header) => check_header(header),
            Self::Prices(prices) => check_prices(prices),
            Self::PricesRemoved(removed) => removed.rows.iter().try_for_each(check_key),
            Self::Policy(policy) => {
                ensure(policy.version > 0, "version", "versions start at 1")?;
                check_policy(&policy.document)
            }
            Self::SnapshotBegin(begin) => check_scope(&begin.scope),
            Self::Command(command) => command.check(),
            Self::Event(event) => event.check(),
            Self::Decision(decision) => decision.check(),
            Self::UnitCommit(commit) => check_hash(&commit.hash),
            Self::SnapshotEnd(end) => check_hash(&end.hash),
            Self::StockRemoved(_)
            | Self::SupplyRemoved(_)
            | Self::OversellSet(_)
            | Self::CreditRemoved(_)
            | Self::CapRemoved(_)
            | Self::ItemRemoved(_)
            | Self::Reference(_)
            | Self::ReferenceRemoved(_)
            | Self::AccountRemoved(_)
            | Self::ScopeRemoved(_)
            | Self::Claim(_)
            | Self::Tick(_)
            | Self::Invalidate(_)
            | Self::UnitBegin(_)
            | Self::Part(_)
            | Self::SnapshotApproved(_)
            | Self::RuleVersionActivated(_) => Ok(()),
        }
    }
}

pub(crate) fn ensure(holds: bool, field: &'static str, reason: &'static str) -> Check {
    if holds { Ok(()) } else { Err((field, reason)) }
}

pub(crate) fn not_negative(field: &'static str, value: Decimal) -> Check {
    ensure(!value.is_negative(), field, "must not be negative")
}

pub(crate) fn positive(field: &'static str, value: Decimal) -> Check {
    ensure(value.is_positive(), field, "must be above 0")
}

fn check_hash(hash: &str) -> Check {
    let hex = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    ensure(hex, "hash", "64 lower-case hex digits of SHA-256 are expected")
}

fn check_item(item: &Item) -> Check {
    let text = item.description.as_deref().unwrap_or_default();
    ensure(text.len() <= TEXT_BYTES_MAX, "description", "longer than 1024 bytes")?;
    for (at, uom) in item.uoms.iter().enumerate() {
        ensure(
            uom.numerator > 0 && uom.denominator > 0,
            "uoms",
            "numerator and denominator must be above 0",
        )?;
        ensure(item.uoms[..at].iter().all(|other| other.uom != uom.uom), "uoms", "a unit stands twice")?;
        let is_base_as_stated = uom.uom != item.base_uom || uom.numerator == uom.denominator;
        ensure(is_base_as_stated, "uoms", "the base unit must be 1/1")?;
        uom.multiple.map_or(Ok(()), |multiple| positive("uoms.multiple", multiple))?;
        uom.minimum.map_or(Ok(()), |minimum| positive("uoms.minimum", minimum))?;
    }
    for component in &item.kit {
        positive("kit.quantity", component.quantity)?;
        ensure(component.item != item.item, "kit", "a kit does not contain itself")?;
    }
    for relation in &item.relations {
        ensure(relation.numerator > 0 && relation.denominator > 0, "relations", "a ratio must be above 0")?;
        ensure(relation.item != item.item, "relations", "an item does not stand for itself")?;
    }
    Ok(())
}

fn check_dates(from: Option<&DateEdge>, to: Option<&DateEdge>) -> Check {
    let past = "is past the calendar";
    let start = from.map(|edge| edge.start_instant().ok_or(("from", past))).transpose()?;
    let end = to.map(|edge| edge.end_instant().ok_or(("to", past))).transpose()?;
    ensure(
        from.is_none_or(|edge| edge.inclusive),
        "from",
        "a start is inclusive; give the first day that counts",
    )?;
    match (start, end) {
        (Some(start), Some(end)) => ensure(start < end, "to", "ends at or before it starts"),
        _ => Ok(()),
    }
}

fn check_header(header: &ScopeHeader) -> Check {
    check_dates(header.from.as_ref(), header.to.as_ref())?;
    header.parent.as_ref().map_or(Ok(()), |parent| not_negative("parent.multiplier", parent.multiplier))
}

fn check_prices(prices: &Prices) -> Check {
    check_dates(prices.from.as_ref(), prices.to.as_ref())?;
    prices.rows.iter().try_for_each(check_row)
}

fn check_key(key: &PriceKey) -> Check {
    ensure(key.item.is_some() != key.class.is_some(), "rows", "a row names either an item or a class")
}

fn check_row(row: &PriceRow) -> Check {
    check_key(&row.key)?;
    ensure(matches!(row.per, 1 | 100 | 1000), "rows.per", "a price is per 1, 100 or 1000")?;
    ensure(!row.breaks.is_empty(), "rows.breaks", "at least one break; [[\"0\", price]] without a ladder")?;
    for pair in row.breaks.windows(2) {
        ensure(pair[0].0 < pair[1].0, "rows.breaks", "bounds must rise; two equal bounds are refused")?;
    }
    for step in &row.breaks {
        not_negative("rows.breaks", step.0)?;
        not_negative("rows.breaks", step.1)?;
    }
    check_method(row)
}

/// What a discount takes off is at most the whole price.
fn check_method(row: &PriceRow) -> Check {
    let percent = |value: Decimal| {
        let whole = Decimal::from_micros(100 * Decimal::SCALE);
        ensure(!value.is_negative() && value <= whole, "rows.breaks", "a discount is 0 to 100 percent")
    };
    match &row.method {
        Method::Fixed | Method::Incremental | Method::ListMultiplier => Ok(()),
        Method::ListPercentOff => row.breaks.iter().try_for_each(|step| percent(step.1)),
        Method::ListChain { percents, round_digits } => {
            ensure(percents.len() <= CHAIN_PERCENTS_MAX, "rows.method", "at most 16 steps")?;
            ensure(round_digits.is_none_or(|digits| digits <= 6), "rows.method", "round_digits is 0 to 6")?;
            row.breaks.iter().map(|step| step.1).chain(percents.iter().copied()).try_for_each(percent)
        }
    }
}

/// A snapshot that is narrowed by what its table does not have would remove nothing, or everything.
fn check_scope(scope: &SnapshotScope) -> Check {
    let by_warehouse = matches!(scope.table, Table::Stock | Table::Supply | Table::Lots | Table::Safety);
    ensure(
        scope.warehouse.is_none() || by_warehouse,
        "scope.warehouse",
        "only stock, supply, lots and safety are kept by warehouse",
    )?;
    let by_scope = matches!(scope.table, Table::Scopes | Table::Prices);
    ensure(
        scope.prices.is_none() || by_scope,
        "scope.prices",
        "only scopes and prices are kept by price scope",
    )
}

fn check_policy(document: &PolicyDocument) -> Check {
    match document {
        PolicyDocument::Levels(levels) => {
            ensure(!levels.is_empty() && levels.len() <= LEVELS_MAX, "document.levels", "1 to 32 levels")?;
            for (at, level) in levels.iter().enumerate() {
                let named = !level.name.is_empty() && level.name.len() <= 64;
                ensure(named, "document.levels.name", "1 to 64 bytes")?;
                let once = levels[..at].iter().all(|other| other.name != level.name);
                ensure(once, "document.levels.name", "two levels have one name")?;
            }
            Ok(())
        }
        PolicyDocument::Sourcing(sourcing) => ensure(
            sourcing.horizon_days <= HORIZON_DAYS_MAX,
            "document.sourcing.horizon_days",
            "at most 730 days",
        ),
        PolicyDocument::Staleness(_)
        | PolicyDocument::Rounding(_)
        | PolicyDocument::BusinessZone(_)
        | PolicyDocument::Ownership(_)
        | PolicyDocument::Defaults(_) => Ok(()),
    }
}
