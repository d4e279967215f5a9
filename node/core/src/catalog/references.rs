//! Other parties' numbers of items.

use compact_str::CompactString;
use pannier_protocol::change::{Reference, ReferenceKind};
use serde::{Deserialize, Serialize};

use crate::dictionary::{AccountNo, Dictionary, ItemNo, UomNo};
use crate::rows::RowVersion;

/// Whose number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NumberOf {
    Customer(AccountNo),
    SharedCustomer,
    Vendor,
    Gtin,
}

impl NumberOf {
    pub(super) fn new(kind: &ReferenceKind, dictionary: &Dictionary) -> Self {
        match kind {
            ReferenceKind::Customer(account) => Self::Customer(dictionary.accounts.intern(account.as_str())),
            ReferenceKind::SharedCustomer => Self::SharedCustomer,
            ReferenceKind::Vendor => Self::Vendor,
            ReferenceKind::Gtin => Self::Gtin,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct ReferenceKey {
    pub of: NumberOf,
    pub number: CompactString,
}

/// The item behind a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReferenceRecord {
    pub item: ItemNo,
    /// What one of that number is.
    pub uom: Option<UomNo>,
    pub version: RowVersion,
}

impl ReferenceRecord {
    pub(super) fn new(change: &Reference, version: RowVersion, dictionary: &Dictionary) -> Self {
        Self {
            item: dictionary.items.intern(change.item.as_str()),
            uom: change.uom.as_ref().map(|uom| dictionary.uoms.intern(uom.as_str())),
            version,
        }
    }
}
