//! Exact quantities between units: a rational of `i128`, so that a pack price divided by 4 and multiplied by
//! 20 is what it was (the wrong total of adempiere#2975 came from rounding in between).

use num_rational::Ratio;
use num_traits::{CheckedAdd, CheckedDiv, CheckedMul, CheckedSub};
use pannier_protocol::Decimal;
use pannier_protocol::change::Rounding;
use serde::{Deserialize, Serialize};

/// An exact number; operations are checked and a `None` is a typed refusal of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "(i128, i128)", into = "(i128, i128)")]
pub struct Exact(Ratio<i128>);

impl From<Exact> for (i128, i128) {
    fn from(exact: Exact) -> Self {
        (*exact.0.numer(), *exact.0.denom())
    }
}

impl TryFrom<(i128, i128)> for Exact {
    type Error = &'static str;

    fn try_from((numerator, denominator): (i128, i128)) -> Result<Self, Self::Error> {
        Self::new(numerator, denominator).ok_or("a denominator is 0")
    }
}

impl Exact {
    pub const ZERO: Self = Self(Ratio::new_raw(0, 1));
    pub const ONE: Self = Self(Ratio::new_raw(1, 1));

    /// `numerator / denominator`; `None` when the denominator is 0.
    pub fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 { None } else { Some(Self(Ratio::new(numerator, denominator))) }
    }

    pub fn from_decimal(decimal: Decimal) -> Self {
        let (micros, scale) = (decimal.micros(), Decimal::SCALE);
        if micros % scale == 0 {
            return Self(Ratio::from_integer(i128::from(micros / scale)));
        }
        Self(Ratio::new(i128::from(micros), i128::from(scale)))
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(&other.0).map(Self)
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(&other.0).map(Self)
    }

    pub fn checked_mul(self, other: Self) -> Option<Self> {
        // Most factors are 1, and the common divisors of `i128` are dear.
        if other == Self::ONE {
            return Some(self);
        }
        self.0.checked_mul(&other.0).map(Self)
    }

    /// `None` also when `other` is 0.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        if other == Self::ONE {
            return Some(self);
        }
        if other.0.numer() == &0 { None } else { self.0.checked_div(&other.0).map(Self) }
    }

    /// Of the reduced fraction.
    pub fn numerator(self) -> i128 {
        *self.0.numer()
    }

    /// Of the reduced fraction; above 0.
    pub fn denominator(self) -> i128 {
        *self.0.denom()
    }

    pub fn is_negative(self) -> bool {
        *self.0.numer() < 0
    }

    /// The largest whole number not above.
    pub fn floor(self) -> i128 {
        self.0.floor().to_integer()
    }

    /// The smallest whole number not below.
    pub fn ceil(self) -> i128 {
        self.0.ceil().to_integer()
    }

    /// Rounded to `digits` (0 to 6) after the point; `None` out of a decimal's range.
    pub fn round(self, digits: u8, rounding: Rounding) -> Option<Decimal> {
        let steps = 10_i128.pow(u32::from(digits.min(6)));
        let scaled = self.0.checked_mul(&Ratio::from_integer(steps))?;
        let (floor, fraction) = (scaled.floor().to_integer(), scaled.checked_sub(&scaled.floor())?);
        let negative = *scaled.numer() < 0;
        let half = Ratio::new_raw(1, 2);
        let up = match rounding {
            Rounding::HalfAway if negative => fraction > half,
            Rounding::HalfAway => fraction >= half,
            Rounding::HalfEven => fraction > half || (fraction == half && floor % 2 != 0),
            // Away from zero, and toward it.
            Rounding::Up => fraction > Ratio::ZERO && !negative,
            Rounding::Down => fraction > Ratio::ZERO && negative,
        };
        let units = floor.checked_add(i128::from(up))?;
        let micros = units.checked_mul(i128::from(Decimal::SCALE) / steps)?;
        i64::try_from(micros).ok().map(Decimal::from_micros)
    }

    /// Half away from zero at 6 digits: how prices and quantities are shown.
    pub fn to_decimal(self) -> Option<Decimal> {
        self.round(6, Rounding::HalfAway)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_from_zero_or_to_even() {
        for (numerator, rounding, want) in [
            (5, Rounding::HalfAway, "1"),
            (-5, Rounding::HalfAway, "-1"),
            (-4, Rounding::HalfAway, "0"),
            (5, Rounding::HalfEven, "0"),
            (15, Rounding::HalfEven, "2"),
            (-15, Rounding::HalfEven, "-2"),
            (-25, Rounding::HalfEven, "-2"),
            (1, Rounding::Up, "1"),
            (-1, Rounding::Up, "-1"),
            (9, Rounding::Down, "0"),
            (-9, Rounding::Down, "0"),
        ] {
            let rounded = Exact::new(numerator, 10).unwrap().round(0, rounding).unwrap();
            assert_eq!(rounded.to_string(), want, "{numerator}/10 {rounding:?}");
        }
    }

    #[test]
    fn a_third_of_a_pack_comes_back_whole() {
        let pack = Exact::from_decimal(Decimal::parse("10").unwrap());
        let third = pack.checked_div(Exact::new(3, 1).unwrap()).unwrap();
        assert_eq!(third.checked_mul(Exact::new(3, 1).unwrap()), Some(pack));
    }
}
