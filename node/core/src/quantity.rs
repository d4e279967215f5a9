//! Exact quantities between units: a rational of `i128`, so that a pack price divided by 4 and multiplied by
//! 20 is what it was (the wrong total of adempiere#2975 came from rounding in between).
//!
//! Nearly all of them fit in 64 bits, where a common divisor costs a fraction of what it does in 128: those are calculated
//! here, with products in 128 bits that cannot overflow, and the rest by `num_rational`. Both give the same reduced fraction.

use std::cmp::Ordering;

use num_rational::Ratio;
use num_traits::{CheckedAdd, CheckedDiv, CheckedMul, CheckedSub};
use pannier_protocol::Decimal;
use pannier_protocol::change::Rounding;
use serde::{Deserialize, Serialize};

/// An exact number; operations are checked and a `None` is a typed refusal of the line.
#[derive(Debug, Clone, Copy, Eq, Serialize, Deserialize)]
#[serde(try_from = "(i128, i128)", into = "(i128, i128)")]
pub struct Exact(Ratio<i128>);

/// A reduced fraction that fits in 64 bits; the denominator is above 0.
#[derive(Clone, Copy)]
struct Narrow {
    numerator: i64,
    denominator: i64,
}

impl Narrow {
    fn of(exact: &Exact) -> Option<Self> {
        let numerator = i64::try_from(*exact.0.numer()).ok()?;
        Some(Self { numerator, denominator: i64::try_from(*exact.0.denom()).ok()? })
    }

    fn both(one: &Exact, other: &Exact) -> Option<(Self, Self)> {
        Some((Self::of(one)?, Self::of(other)?))
    }

    /// Divisors are taken across before the product, so it is reduced.
    fn times(self, other: Self) -> Exact {
        let across = divisor(self.numerator.unsigned_abs(), other.denominator.unsigned_abs());
        let back = divisor(other.numerator.unsigned_abs(), self.denominator.unsigned_abs());
        let wide = |value: i64, by: u64| i128::from(value) / i128::from(by);
        let numerator = wide(self.numerator, across) * wide(other.numerator, back);
        let denominator = wide(self.denominator, back) * wide(other.denominator, across);
        Exact(Ratio::new_raw(numerator, denominator))
    }

    /// `None` where this is 0, or its turned sign does not fit.
    fn reciprocal(self) -> Option<Self> {
        let Self { numerator, denominator } = self;
        match numerator.signum() {
            1 => Some(Self { numerator: denominator, denominator: numerator }),
            -1 => Some(Self { numerator: -denominator, denominator: numerator.checked_neg()? }),
            _ => None,
        }
    }

    /// What the sum and the common denominator have in common divides what the two denominators have (Knuth, 4.5.1).
    fn plus(self, other: Self, sign: i128) -> Exact {
        let shared = divisor(self.denominator.unsigned_abs(), other.denominator.unsigned_abs());
        let wide = |value: i64| i128::from(value);
        let by = i128::from(shared);
        let sum = wide(self.numerator) * (wide(other.denominator) / by)
            + sign * wide(other.numerator) * (wide(self.denominator) / by);
        let rest = u64::try_from(sum.unsigned_abs() % u128::from(shared)).expect("less than its divisor");
        let reduced = i128::from(divisor(rest, shared));
        let denominator = wide(self.denominator) / reduced * (wide(other.denominator) / by);
        Exact(Ratio::new_raw(sum / reduced, denominator))
    }
}

/// The greatest that both have; `b` is above 0.
fn divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (b, a);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl PartialEq for Exact {
    /// Reduced fractions are equal in both parts or not at all.
    fn eq(&self, other: &Self) -> bool {
        (self.0.numer(), self.0.denom()) == (other.0.numer(), other.0.denom())
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        match Narrow::both(self, other) {
            Some((a, b)) => {
                let cross = |one: Narrow, by: Narrow| i128::from(one.numerator) * i128::from(by.denominator);
                cross(a, b).cmp(&cross(b, a))
            }
            None => self.0.cmp(&other.0),
        }
    }
}

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
        let shared = divisor(micros.unsigned_abs(), scale.unsigned_abs());
        Self(Ratio::new_raw(i128::from(micros) / i128::from(shared), i128::from(scale) / i128::from(shared)))
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        match Narrow::both(&self, &other) {
            Some((a, b)) => Some(a.plus(b, 1)),
            None => self.0.checked_add(&other.0).map(Self),
        }
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        match Narrow::both(&self, &other) {
            Some((a, b)) => Some(a.plus(b, -1)),
            None => self.0.checked_sub(&other.0).map(Self),
        }
    }

    pub fn checked_mul(self, other: Self) -> Option<Self> {
        // Most factors are 1.
        if other == Self::ONE {
            return Some(self);
        }
        match Narrow::both(&self, &other) {
            Some((a, b)) => Some(a.times(b)),
            None => self.0.checked_mul(&other.0).map(Self),
        }
    }

    /// `None` also when `other` is 0.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        if other == Self::ONE {
            return Some(self);
        }
        if other.0.numer() == &0 {
            return None;
        }
        match Narrow::both(&self, &other).and_then(|(a, b)| Some((a, b.reciprocal()?))) {
            Some((a, b)) => Some(a.times(b)),
            None => self.0.checked_div(&other.0).map(Self),
        }
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
        let (floor, fraction) = match Narrow::of(&self) {
            Some(Narrow { numerator, denominator }) => {
                let (scaled, denominator) = (i128::from(numerator) * steps, i128::from(denominator));
                let rest = scaled.rem_euclid(denominator);
                (scaled.div_euclid(denominator), Fraction::of(rest, denominator - rest))
            }
            None => {
                let scaled = self.0.checked_mul(&Ratio::from_integer(steps))?;
                let rest = scaled.checked_sub(&scaled.floor())?;
                (scaled.floor().to_integer(), Fraction::of(*rest.numer(), rest.denom() - rest.numer()))
            }
        };
        let negative = self.is_negative();
        let up = match rounding {
            Rounding::HalfAway if negative => fraction > Fraction::Half,
            Rounding::HalfAway => fraction >= Fraction::Half,
            Rounding::HalfEven => fraction > Fraction::Half || (fraction == Fraction::Half && floor % 2 != 0),
            // Away from zero, and toward it.
            Rounding::Up => fraction > Fraction::None && !negative,
            Rounding::Down => fraction > Fraction::None && negative,
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

/// What lies between a number and the whole one below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fraction {
    None,
    BelowHalf,
    Half,
    AboveHalf,
}

impl Fraction {
    /// By what is above the whole number, and what is missing to the next.
    fn of(above: i128, missing: i128) -> Self {
        match above.cmp(&missing) {
            _ if above == 0 => Self::None,
            Ordering::Less => Self::BelowHalf,
            Ordering::Equal => Self::Half,
            Ordering::Greater => Self::AboveHalf,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Small, at the ends of 64 bits, and beyond them.
    fn part() -> impl Strategy<Value = i128> {
        prop_oneof![
            -1_000_000_i128..1_000_000,
            any::<i64>().prop_map(i128::from),
            Just(i128::from(i64::MIN)),
            Just(i128::from(i64::MAX)),
            (any::<i64>(), 1_i64..1_000).prop_map(|(a, b)| i128::from(a) * i128::from(b)),
        ]
    }

    fn exact() -> impl Strategy<Value = Exact> {
        (part(), part()).prop_filter_map("a denominator is not 0", |(a, b)| Exact::new(a, b))
    }

    /// In both parts: reduced alike.
    fn parts(exact: Option<Exact>) -> Option<(i128, i128)> {
        exact.map(|exact| (exact.numerator(), exact.denominator()))
    }

    /// As it was before there was a way for numbers that fit in 64 bits.
    fn rounded(exact: Exact, digits: u8, rounding: Rounding) -> Option<Decimal> {
        let steps = 10_i128.pow(u32::from(digits));
        let scaled = exact.0.checked_mul(&Ratio::from_integer(steps))?;
        let (floor, fraction) = (scaled.floor().to_integer(), scaled.checked_sub(&scaled.floor())?);
        let (negative, half) = (*scaled.numer() < 0, Ratio::new_raw(1, 2));
        let up = match rounding {
            Rounding::HalfAway if negative => fraction > half,
            Rounding::HalfAway => fraction >= half,
            Rounding::HalfEven => fraction > half || (fraction == half && floor % 2 != 0),
            Rounding::Up => fraction > Ratio::ZERO && !negative,
            Rounding::Down => fraction > Ratio::ZERO && negative,
        };
        let micros = floor.checked_add(i128::from(up))?.checked_mul(i128::from(Decimal::SCALE) / steps)?;
        i64::try_from(micros).ok().map(Decimal::from_micros)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn both_ways_give_the_same(a in exact(), b in exact()) {
            let wide = |of: Option<Ratio<i128>>| of.map(|of| (*of.numer(), *of.denom()));
            prop_assert_eq!(parts(a.checked_mul(b)), wide(a.0.checked_mul(&b.0)));
            prop_assert_eq!(parts(a.checked_add(b)), wide(a.0.checked_add(&b.0)));
            prop_assert_eq!(parts(a.checked_sub(b)), wide(a.0.checked_sub(&b.0)));
            if b.numerator() != 0 {
                prop_assert_eq!(parts(a.checked_div(b)), wide(a.0.checked_div(&b.0)));
            }
            prop_assert_eq!(a.cmp(&b), a.0.cmp(&b.0));
            prop_assert_eq!(a == b, a.0 == b.0);
        }

        #[test]
        fn numbers_are_rounded_the_same(a in exact(), digits in 0_u8..=6) {
            for rounding in
                [Rounding::HalfAway, Rounding::HalfEven, Rounding::Up, Rounding::Down]
            {
                prop_assert_eq!(a.round(digits, rounding), rounded(a, digits, rounding));
            }
        }

        #[test]
        fn a_decimal_is_its_millionths(micros in any::<i64>()) {
            let exact = Exact::from_decimal(Decimal::from_micros(micros));
            let scale = i128::from(Decimal::SCALE);
            prop_assert_eq!(parts(Some(exact)), parts(Exact::new(i128::from(micros), scale)));
        }
    }

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
