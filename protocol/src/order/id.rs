//! Names that are derived rather than drawn, so that every node gives the same order the same one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use xxhash_rust::xxh3::Xxh3;

use crate::{AccountId, IdempotencyKey, StreamSequence};

/// 128 bits as 26 digits of Crockford's base 32 in lower case: one subject token, no letters to confuse.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS_COUNT: usize = 26;

/// Why a text is no id of an order, a hold or an effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}; give it as it was answered, as in {example:?}")]
pub struct IdError {
    what: &'static str,
    example: &'static str,
    text: String,
}

fn written(hash: u128) -> String {
    let digit = |at: usize| {
        let shifted = hash.checked_shr(u32::try_from(at * 5).unwrap_or(u32::MAX)).unwrap_or(0);
        char::from(DIGITS[usize::try_from(shifted & 31).unwrap_or(0)])
    };
    (0..DIGITS_COUNT).rev().map(digit).collect()
}

fn read(text: &str) -> Option<u128> {
    if text.len() != DIGITS_COUNT {
        return None;
    }
    let mut hash: u128 = 0;
    for (at, byte) in text.bytes().enumerate() {
        let digit = DIGITS.iter().position(|known| *known == byte)?;
        // 26 digits have 130 bits: the first one is at most 7.
        if at == 0 && digit > 7 {
            return None;
        }
        hash = (hash << 5) | u128::try_from(digit).ok()?;
    }
    Some(hash)
}

fn derived(kind: &str, account: &AccountId, key: &IdempotencyKey) -> u128 {
    let mut hash = Xxh3::new();
    for part in [kind, account.as_str(), key.as_str()] {
        hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.digest128()
}

macro_rules! hashes {
    ($($(#[$doc:meta])* $name:ident $kind:literal $example:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, IdError> {
                read(text).map(Self).ok_or_else(|| IdError {
                    what: concat!($kind, " id"),
                    example: $example,
                    text: text.chars().take(64).collect(),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&written(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    )+};
}

hashes! {
    /// An order, named by the account and the key it was placed with.
    OrderId "order" "3m5h9q2k7c0000000000000001",
    /// A hold, named by the account and the key it was placed with.
    HoldId "hold" "3m5h9q2k7c0000000000000002",
    /// What a request says, whatever its encoding: the hash of its canonical form. Two requests of one key
    /// with two fingerprints are two requests.
    Fingerprint "fingerprint" "3m5h9q2k7c0000000000000003",
}

impl OrderId {
    /// The same account and key give the same id on every node.
    pub fn derive(account: &AccountId, key: &IdempotencyKey) -> Self {
        Self(derived("order", account, key))
    }
}

impl HoldId {
    /// The same account and key give the same id on every node.
    pub fn derive(account: &AccountId, key: &IdempotencyKey) -> Self {
        Self(derived("hold", account, key))
    }
}

impl Fingerprint {
    /// Of a request, over its canonical MessagePack. Of one that is about something its body does not name,
    /// give the pair, as in `&(order, request)`: else two cancels under one key look alike.
    pub fn of<T: Serialize>(request: &T) -> Self {
        let mut hash = Xxh3::new();
        crate::codec::write_canonical(request, &mut hash);
        Self(hash.digest128())
    }
}

/// What the fold wants done, named by the ledger entry that wanted it: `81234.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId {
    pub position: StreamSequence,
    pub index: u32,
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.index)
    }
}

impl FromStr for EffectId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let read = || {
            let (position, index) = text.split_once('.')?;
            Some(Self { position: StreamSequence(position.parse().ok()?), index: index.parse().ok()? })
        };
        // `+81234.02` is the same numbers and not the same name.
        read().filter(|id| id.to_string() == text).ok_or_else(|| IdError {
            what: "effect id",
            example: "81234.2",
            text: text.chars().take(64).collect(),
        })
    }
}

impl Serialize for EffectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EffectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_derived_and_read_back() {
        let account = AccountId::new("C-1001").unwrap();
        let key = IdempotencyKey::new("k1").unwrap();
        let order = OrderId::derive(&account, &key);
        assert_eq!(OrderId::parse(&order.to_string()), Ok(order));
        assert_ne!(order.to_string(), HoldId::derive(&account, &key).to_string());
        // Where the account ends and the key begins matters.
        let (other, rest) = (AccountId::new("C-1001k").unwrap(), IdempotencyKey::new("1").unwrap());
        assert_ne!(order, OrderId::derive(&other, &rest));
        for bad in
            ["", "8zzzzzzzzzzzzzzzzzzzzzzzzz", "0000000000000000000000000O", "000000000000000000000000"]
        {
            assert!(OrderId::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            OrderId::parse("7zzzzzzzzzzzzzzzzzzzzzzzzz").unwrap().to_string(),
            "7zzzzzzzzzzzzzzzzzzzzzzzzz"
        );
    }

    #[test]
    fn effects_are_named_by_their_entry() {
        let id: EffectId = "81234.2".parse().unwrap();
        assert_eq!((id.position.0, id.index, id.to_string().as_str()), (81_234, 2, "81234.2"));
        for bad in ["", "81234", "+81234.2", "81234.02", "81234.2.0", "81234.4294967296"] {
            assert!(bad.parse::<EffectId>().is_err(), "{bad:?}");
        }
    }
}
