//! The unit that a line is in, and what an order of it is rounded up to.

use pannier_protocol::Decimal;

use super::items::ItemRecord;
use crate::dictionary::{Dictionary, UomNo};
use crate::quantity::Exact;

/// The unit ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrderUnit {
    pub uom: UomNo,
    /// Base units in one.
    pub factor: Exact,
    pub multiple: Option<Decimal>,
    pub minimum: Option<Decimal>,
}

/// The item is not sold in the unit asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the item is not sold in this unit; ask in one of its units")]
pub struct UnknownUnit;

/// The line's unit beats the reference's; with neither, the base unit.
pub fn resolve(
    item: &ItemRecord,
    dictionary: &Dictionary,
    requested: Option<&str>,
    reference: Option<UomNo>,
) -> Result<OrderUnit, UnknownUnit> {
    let uom = match requested {
        Some(name) => dictionary.uoms.get(name).ok_or(UnknownUnit)?,
        None => reference.unwrap_or(item.base_uom),
    };
    let unit = item.uom(uom).ok_or(UnknownUnit)?;
    Ok(OrderUnit { uom, factor: unit.factor, multiple: unit.multiple, minimum: unit.minimum })
}

impl OrderUnit {
    /// The smallest multiple at or above both `quantity` and the minimum; `None` out of a decimal's range.
    pub fn quantity_to_order(&self, quantity: Decimal) -> Option<Decimal> {
        let least = self.minimum.map_or(quantity, |minimum| quantity.max(minimum));
        let Some(multiple) = self.multiple.filter(|multiple| multiple.is_positive()) else {
            return Some(least);
        };
        let past = least.micros().rem_euclid(multiple.micros());
        if past == 0 {
            return Some(least);
        }
        least.checked_add(Decimal::from_micros(multiple.micros() - past))
    }

    /// In base units.
    pub fn to_base(&self, quantity: Decimal) -> Option<Exact> {
        Exact::from_decimal(quantity).checked_mul(self.factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(multiple: Option<&str>, minimum: Option<&str>, quantity: &str, want: &str) {
        let decimal = |text: &str| Decimal::parse(text).unwrap();
        let unit = OrderUnit {
            uom: UomNo(0),
            factor: Exact::ONE,
            multiple: multiple.map(decimal),
            minimum: minimum.map(decimal),
        };
        assert_eq!(unit.quantity_to_order(decimal(quantity)), Some(decimal(want)));
    }

    #[test]
    fn orders_round_up_to_the_multiple_and_the_minimum() {
        check(None, None, "1.5", "1.5");
        check(None, Some("10"), "1.5", "10");
        check(Some("6"), None, "1", "6");
        check(Some("6"), None, "12", "12");
        check(Some("6"), None, "12.000001", "18");
        // The minimum is no multiple itself: the next multiple above it.
        check(Some("6"), Some("10"), "1", "12");
        check(Some("0.25"), Some("0.3"), "0.1", "0.5");
    }

    #[test]
    fn past_the_range_there_is_no_quantity() {
        let multiple = Some(Decimal::from_micros(7));
        let unit = OrderUnit { uom: UomNo(0), factor: Exact::ONE, multiple, minimum: None };
        assert_eq!(unit.quantity_to_order(Decimal::MAX), Some(Decimal::MAX).filter(|_| i64::MAX % 7 == 0));
    }
}
