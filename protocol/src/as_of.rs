//! The position that an answer was computed at: opaque to clients, given back as `at_least`.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::StreamSequence;

/// Which life of the ledger a position belongs to: 1 to 32 of a-z and 0-9, drawn at `init`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(CompactString);

/// Why a text is no incarnation or `as_of` token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AsOfError {
    #[error("{text:?} is no incarnation: 1 to 32 of a-z and 0-9")]
    Incarnation { text: String },
    #[error(
        "{text:?} is no position; give back an `as_of` as it was answered, as in \"7f3a.L81240.S551.P90\""
    )]
    Token { text: String },
}

impl Incarnation {
    pub fn new(text: &str) -> Result<Self, AsOfError> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits {
            Ok(Self(CompactString::new(text)))
        } else {
            Err(AsOfError::Incarnation { text: text.chars().take(64).collect() })
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Incarnation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Incarnation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = CompactString::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

/// Incarnation, ledger position, and catalog positions of `shared` and of the account's partition, each
/// the stream sequence of the last message applied there. As text: `7f3a.L81240.S551.P90`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsOf {
    pub incarnation: Incarnation,
    pub ledger: StreamSequence,
    pub shared: StreamSequence,
    pub partition: StreamSequence,
}

impl AsOf {
    pub fn parse(text: &str) -> Result<Self, AsOfError> {
        let error = || AsOfError::Token { text: text.chars().take(64).collect() };
        let tokens: Vec<&str> = text.splitn(5, '.').collect();
        let [incarnation, ledger, shared, partition] = tokens.as_slice() else { return Err(error()) };
        let number = |token: &str, letter: char| {
            let digits = token.strip_prefix(letter).filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
            digits.and_then(|d| d.parse().ok()).map(StreamSequence).ok_or_else(error)
        };
        Ok(Self {
            incarnation: Incarnation::new(incarnation).map_err(|_| error())?,
            ledger: number(ledger, 'L')?,
            shared: number(shared, 'S')?,
            partition: number(partition, 'P')?,
        })
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incarnation, ledger, shared, partition } = self;
        write!(f, "{incarnation}.L{ledger}.S{shared}.P{partition}")
    }
}

impl Serialize for AsOf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AsOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_refuse() {
        let text = "7f3a.L81240.S551.P90";
        assert_eq!(AsOf::parse(text).unwrap().to_string(), text);
        for bad in [
            "",
            "7f3a",
            "7f3a.L1.S1",
            "7f3a.L1.S1.P1.X",
            "7F.L1.S1.P1",
            "a.L-1.S1.P1",
            "a.L.S1.P1",
            "a.S1.L1.P1",
        ] {
            assert!(AsOf::parse(bad).is_err(), "{bad:?}");
        }
    }
}
