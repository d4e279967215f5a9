//! External ids: what the ERP, the WMS and the shop call things. 1 to 64 bytes of UTF-8 without
//! control characters, compared byte by byte; no case folding and no trimming happens here
//! (adapters normalise, the wire does not).

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::ID_BYTES_MAX;

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("an id is empty; give 1 to {ID_BYTES_MAX} bytes")]
    Empty,
    #[error("an id has {bytes} bytes; the most is {ID_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("an id has a control character at byte {at}; remove it at the source")]
    Control { at: usize },
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong { bytes: text.len() });
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(IdError::Control { at }),
        None => Ok(()),
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(CompactString);

        impl $name {
            /// Checks length and characters; see [`IdError`].
            pub fn new(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(CompactString::new(text)))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = CompactString::deserialize(deserializer)?;
                check(&text).map_err(de::Error::custom)?;
                Ok(Self(text))
            }
        }
    )+};
}

ids! {
    /// An item as the distributor numbers it (SKU).
    ItemId,
    /// An account: sold-to, bill-to, ship-to or a parent of these.
    AccountId,
    /// A warehouse, branch or store that holds stock.
    WarehouseId,
    /// A contract with prices of its own.
    ContractId,
    /// A price group of accounts.
    GroupId,
    /// A price list or promotion.
    ListId,
    /// A product class: what class prices, ownership and staleness budgets are keyed by.
    ClassId,
    /// What an account must be entitled to before an item of that class exists for it.
    EntitlementId,
    /// Unit of measure code, as in `EA`, `BX`.
    UomCode,
    /// A purchase order or transfer that brings (or, negative, takes) stock.
    SupplyReference,
    /// A lot or batch.
    LotId,
    /// A source's own id of one of its transactions.
    TransactionId,
    /// A snapshot or unit, unique within its chain and epoch.
    MarkId,
    /// A sales channel, as in `web`.
    ChannelId,
    /// A legal entity of the distributor.
    CompanyId,
    /// A sales territory.
    TerritoryId,
    /// A line of an order or a hold, as the client named it.
    LineId,
    /// Drawn by a client for one order or hold, and sent with every attempt at it.
    IdempotencyKey,
    /// The customer's own number of an order.
    PurchaseOrder,
    /// A backend's number of a sales order, a shipment or another document.
    DocumentId,
    /// Name of a price level in the tenant's policy.
    LevelName,
    /// What a reference of the client's is called, as in `cart`; it goes to the backend untouched.
    ReferenceName,
    ReferenceText,
}

/// A system that publishes changes. One NATS subject token: lower-case letters, digits, `-` and `_`,
/// at most 32 bytes, so that it can stand in a subject as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(CompactString);

/// Why a text is no source id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source {text:?} is not 1 to 32 of a-z, 0-9, '-' and '_'")]
pub struct SourceIdError {
    text: String,
}

impl SourceId {
    pub fn new(text: &str) -> Result<Self, SourceIdError> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if fits {
            Ok(Self(CompactString::new(text)))
        } else {
            Err(SourceIdError { text: text.chars().take(64).collect() })
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_str())
    }
}

impl std::str::FromStr for SourceId {
    type Err = SourceIdError;
    fn from_str(text: &str) -> Result<Self, SourceIdError> {
        Self::new(text)
    }
}

impl Serialize for SourceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SourceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = CompactString::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        assert_eq!(ItemId::new(""), Err(IdError::Empty));
        assert_eq!(ItemId::new(&"x".repeat(65)), Err(IdError::TooLong { bytes: 65 }));
        assert_eq!(ItemId::new("a\tb"), Err(IdError::Control { at: 1 }));
        assert!(ItemId::new(&"é".repeat(32)).is_ok());
        assert_ne!(ItemId::new("sku"), ItemId::new("SKU"));
    }

    #[test]
    fn sources_are_subject_tokens() {
        for bad in ["", "ERP", "a.b", "a b", "*", "é"] {
            assert!(SourceId::new(bad).is_err(), "{bad:?}");
        }
        assert!(SourceId::new("erp-1").is_ok());
    }
}
