//! Units of measure of one item.

use serde::{Deserialize, Serialize};

use crate::{Decimal, UomCode};

/// A unit an item is sold or stocked in: `numerator / denominator` base units each. A box of 100 is
/// 100/1; a metre of a 30 m roll whose base is the roll is 1/30: exact, where a decimal would not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemUom {
    pub uom: UomCode,
    /// Above 0.
    pub numerator: u32,
    /// Above 0.
    pub denominator: u32,
    /// Orders in this unit are a multiple of this quantity; above 0. Without: any quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple: Option<Decimal>,
    /// The least that is ordered in this unit; above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
}
