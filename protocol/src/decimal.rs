//! Fixed decimals with six fractional digits, in one `i64` of millionths. Floats never carry a
//! quantity or a price (`0.1 + 0.2` is a wrong invoice), and a decimal with a variable scale needs 16
//! bytes a price where the table wants 8. Products and quotients go through `i128` and round once.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A quantity, price, factor or percentage: a whole number of millionths.
///
/// JSON carries it as a string (`"1.25"`), MessagePack as an integer of millionths (`1250000`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(i64);

/// Why a text or a computation is no decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    #[error("not a decimal; write digits with at most one point, as in \"12.5\"")]
    Malformed,
    #[error("more than 6 digits after the point")]
    TooPrecise,
    #[error("out of range; the largest is 9223372036854.775807")]
    Overflow,
}

impl Decimal {
    /// Millionths in one.
    pub const SCALE: i64 = 1_000_000;
    pub const ZERO: Self = Self(0);
    pub const ONE: Self = Self(Self::SCALE);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The whole number `units`; `None` past the range.
    pub const fn from_int(units: i64) -> Option<Self> {
        match units.checked_mul(Self::SCALE) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    pub const fn checked_neg(self) -> Option<Self> {
        match self.0.checked_neg() {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// `self` where negative is 0: what may be promised of it.
    pub const fn clamped(self) -> Self {
        if self.0 < 0 { Self(0) } else { self }
    }

    /// Plain digits with an optional sign and at most one point; no exponent, no separators, no blanks.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let pointless = !digits.contains('.');
        if whole.is_empty() || (!pointless && fraction.is_empty()) {
            return Err(DecimalError::Malformed);
        }
        if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(DecimalError::Malformed);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 6 {
            return Err(DecimalError::TooPrecise);
        }
        let mut micros: i64 = 0;
        let padding = std::iter::repeat_n(b'0', 6 - fraction.len());
        for digit in whole.bytes().chain(fraction.bytes()).chain(padding) {
            micros = micros
                .checked_mul(10)
                .and_then(|m| m.checked_sub(i64::from(digit - b'0')))
                .ok_or(DecimalError::Overflow)?;
        }
        if negative { Ok(Self(micros)) } else { micros.checked_neg().map(Self).ok_or(DecimalError::Overflow) }
    }
}

impl fmt::Display for Decimal {
    /// Without trailing zeros: `1.5`, `12`, `-0.000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, mut fraction) = (magnitude / 1_000_000, magnitude % 1_000_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let mut digits = 6;
        while fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, "{sign}{whole}.{fraction:0digits$}")
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Decimal {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Self::parse(text)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

struct DecimalText;

impl de::Visitor<'_> for DecimalText {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal as a string, as in \"12.5\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
        Decimal::parse(text).map_err(|error| E::custom(format_args!("{text:?} is {error}")))
    }
}

struct DecimalMicros;

impl de::Visitor<'_> for DecimalMicros {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal as an integer of millionths")
    }

    fn visit_i64<E: de::Error>(self, micros: i64) -> Result<Decimal, E> {
        Ok(Decimal(micros))
    }

    fn visit_u64<E: de::Error>(self, micros: u64) -> Result<Decimal, E> {
        i64::try_from(micros).map(Decimal).map_err(|_| E::custom(DecimalError::Overflow))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(DecimalText)
        } else {
            deserializer.deserialize_any(DecimalMicros)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_checked() {
        for (text, want) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("12.5", Ok(12_500_000)),
            ("0.000001", Ok(1)),
            ("1.50000000", Ok(1_500_000)),
            ("-9223372036854.775808", Ok(i64::MIN)),
            ("9223372036854.775808", Err(DecimalError::Overflow)),
            ("0.0000001", Err(DecimalError::TooPrecise)),
            ("", Err(DecimalError::Malformed)),
            ("-", Err(DecimalError::Malformed)),
            (".5", Err(DecimalError::Malformed)),
            ("5.", Err(DecimalError::Malformed)),
            ("1e3", Err(DecimalError::Malformed)),
            ("1,000", Err(DecimalError::Malformed)),
            ("+1", Err(DecimalError::Malformed)),
            (" 1", Err(DecimalError::Malformed)),
            ("1.2.3", Err(DecimalError::Malformed)),
            ("NaN", Err(DecimalError::Malformed)),
        ] {
            assert_eq!(Decimal::parse(text).map(Decimal::micros), want, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(micros: i64) {
            let decimal = Decimal::from_micros(micros);
            prop_assert_eq!(Decimal::parse(&decimal.to_string()), Ok(decimal));
            let json = serde_json::to_string(&decimal).unwrap();
            prop_assert_eq!(serde_json::from_str::<Decimal>(&json).unwrap(), decimal);
            let bytes = rmp_serde::to_vec_named(&decimal).unwrap();
            prop_assert_eq!(rmp_serde::from_slice::<Decimal>(&bytes).unwrap(), decimal);
        }
    }
}
