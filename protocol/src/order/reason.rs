//! Why an order or a line is not simply accepted.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OrderReason {
    /// Unknown, or not for this account: the two look alike.
    NotFound,
    InvalidQuantity,
    InvalidUom,
    /// Not a multiple of what the item is sold in, or below its minimum.
    OffMultiple,
    NotOnContract,
    NoPrice,
    AccountBlocked,
    OtherTerritory,
    /// What price or stock rest on is not fresh enough to promise.
    NotFresh,
    /// The price is not the one that the customer was shown, and policy refuses such orders.
    PriceRefused,
    /// The price is not the one that the customer was shown; policy lets a human decide.
    PriceMoved,
    /// The signed price is expired, or not of this account or line.
    PriceHoldInvalid,

    OutOfStock,
    /// Some was dropped, as the line allowed.
    Short,
    SuspectedDuplicate,
    CreditLimit,
    CreditBlocked,
    CapExhausted,
    /// No rule of order routing names a backend.
    NoRoute,
    /// The hold is not there, not this account's, or over.
    HoldUnknown,
    /// The catalog changed too much since the order was priced: it is priced again.
    PricedTooEarly,
    /// The order was judged after `judge_before`.
    TooLate,
    /// The source corrected its stock below what is promised.
    Overcommitted,
    RejectedByOperator,
    RefusedByBackend,
    Dismissed,
}

impl OrderReason {
    /// Of what intake finds: whether the order is refused; otherwise a human decides.
    pub fn refuses(self) -> bool {
        !matches!(self, Self::PriceMoved | Self::PriceHoldInvalid)
    }
}
