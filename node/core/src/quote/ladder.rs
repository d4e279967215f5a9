//! What one row says for one quantity: breaks, tiers, derived prices; exact to the end.

use pannier_protocol::Decimal;
use pannier_protocol::change::{Break, Method, Rounding};

use crate::catalog::Pricing;
use crate::quantity::Exact;

/// A row's value at a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// The highest bound that the quantity satisfies, in the breaks' unit; 0 where the row has none that low.
    pub bound: Decimal,
    /// The value there, or the average of all tiers of an incremental row.
    pub value: Exact,
}

/// Whether a method starts from the list price.
pub(super) fn is_derived(method: &Method) -> bool {
    match method {
        Method::Fixed | Method::Incremental => false,
        Method::ListMultiplier | Method::ListPercentOff | Method::ListChain { .. } => true,
    }
}

/// The step of `pricing` for `quantity`, which is in the breaks' unit; there is none below the first bound of
/// a row that prices all units alike. `None` out of range.
pub(super) fn step(pricing: &Pricing<'_>, quantity: impl FnOnce() -> Option<Exact>) -> Option<Option<Step>> {
    let breaks = pricing.breaks();
    if let [Break(bound, value)] = breaks
        && bound.is_zero()
    {
        return Some(Some(Step { bound: *bound, value: Exact::from_decimal(*value) }));
    }
    let quantity = quantity()?;
    let satisfied = breaks.iter().rfind(|step| reaches(quantity, step.0));
    if *pricing.method == Method::Incremental {
        let bound = satisfied.map_or(Decimal::ZERO, |step| step.0);
        return Some(Some(Step { bound, value: average(breaks, quantity)? }));
    }
    Some(satisfied.map(|step| Step { bound: step.0, value: Exact::from_decimal(step.1) }))
}

fn reaches(quantity: Exact, bound: Decimal) -> bool {
    bound.is_zero() || quantity >= Exact::from_decimal(bound)
}

/// Of the tiers that the quantity reaches into; the first one begins at 0 whatever its bound.
fn average(breaks: &[Break], quantity: Exact) -> Option<Exact> {
    if quantity == Exact::ZERO {
        // Where a ladder begins.
        return breaks.first().map(|step| Exact::from_decimal(step.1));
    }
    let mut total = Exact::ZERO;
    for (at, Break(bound, value)) in breaks.iter().enumerate() {
        let from = if at == 0 { Exact::ZERO } else { Exact::from_decimal(*bound) };
        if quantity <= from {
            break;
        }
        let next = breaks.get(at + 1).map(|next| Exact::from_decimal(next.0));
        let to = next.map_or(quantity, |next| next.min(quantity));
        total = total.checked_add(to.checked_sub(from)?.checked_mul(Exact::from_decimal(*value))?)?;
    }
    total.checked_div(quantity)
}

/// The unit price that `value` means, never below 0. `base`: the list price in the row's own terms (its
/// unit, times its `per`); without it a derived row has no price.
pub(super) fn unit_price(method: &Method, value: Exact, base: Option<Exact>) -> Option<Exact> {
    let price = match method {
        Method::Fixed | Method::Incremental => value,
        Method::ListMultiplier => base?.checked_mul(value)?,
        Method::ListPercentOff => less_percent(base?, value)?,
        Method::ListChain { percents, round_digits } => {
            let rest = percents.iter().map(|percent| Exact::from_decimal(*percent));
            let mut price = base?;
            for percent in std::iter::once(value).chain(rest) {
                price = less_percent(price, percent)?;
                if let Some(digits) = round_digits {
                    price = Exact::from_decimal(price.round(*digits, Rounding::HalfAway)?);
                }
            }
            price
        }
    };
    Some(price.max(Exact::ZERO))
}

/// `price` less `percent` of it.
pub(super) fn less_percent(price: Exact, percent: Exact) -> Option<Exact> {
    let hundred = Exact::new(100, 1)?;
    price.checked_mul(hundred.checked_sub(percent)?)?.checked_div(hundred)
}
