//! Currencies (ISO 4217) and amounts rounded to their minor units.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Decimal;

/// An ISO 4217 code: three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Why a text is no currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no ISO 4217 currency code; write three capitals, as in \"EUR\"")]
pub struct CurrencyError {
    text: String,
}

impl Currency {
    pub fn new(text: &str) -> Result<Self, CurrencyError> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(CurrencyError { text: text.chars().take(16).collect() }),
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits after the point of an amount: 0, 2, 3 or 4 by ISO 4217 (2 where it names none).
    pub fn minor_digits(self) -> u8 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
            | b"UGX" | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = compact_str::CompactString::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

/// An amount with the digits of its currency: JSON `"144.00"`, MessagePack an integer of millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    pub amount: Decimal,
    /// Digits shown after the point.
    pub digits: u8,
}

impl Money {
    pub fn new(amount: Decimal, currency: Currency) -> Self {
        Self { amount, digits: currency.minor_digits() }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.amount.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        f.write_str(whole)?;
        let digits = usize::from(self.digits);
        if digits > 0 || !fraction.is_empty() {
            write!(f, ".{fraction:0<digits$}")?;
        }
        Ok(())
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.amount.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Decimal::deserialize(deserializer).map(|amount| Self { amount, digits: 0 });
        }
        let text = String::deserialize(deserializer)?;
        let amount = Decimal::parse(&text).map_err(de::Error::custom)?;
        let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len().min(6) as u8);
        Ok(Self { amount, digits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_show_the_digits_of_their_currency() {
        for (micros, code, want) in [
            (144_000_000, "USD", "144.00"),
            (144_000_000, "JPY", "144"),
            (1_500_000, "KWD", "1.500"),
            (-50_000, "EUR", "-0.05"),
        ] {
            let money = Money::new(Decimal::from_micros(micros), Currency::new(code).unwrap());
            assert_eq!(money.to_string(), want);
        }
        assert!(Currency::new("usd").is_err());
        assert!(Currency::new("USDX").is_err());
    }
}
