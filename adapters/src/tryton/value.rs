//! Values as Tryton writes them in JSON: decimals, days and times as objects that name their class, quantities as
//! floats, booleans as numbers where the database has none.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use pannier_protocol::{Decimal, LocalDate, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::json;

/// An exact number, as prices are: `{"__class__":"Decimal","decimal":"1.2500"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub Decimal);

/// A calendar day: `{"__class__":"date","year":2026,"month":12,"day":1}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub LocalDate);

/// An instant, in UTC and without saying so: `{"__class__":"datetime",...}`. Cut to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

/// A quantity: a float there, rounded here to the six digits that a decimal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(pub Decimal);

/// A boolean, which SQLite may answer as `1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flag(pub bool);

/// What all objects with a class have in common.
#[derive(Deserialize)]
struct Classed {
    #[serde(rename = "__class__")]
    class: String,
    decimal: Option<String>,
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    #[serde(default)]
    hour: i8,
    #[serde(default)]
    minute: i8,
    #[serde(default)]
    second: i8,
    #[serde(default)]
    microsecond: i32,
}

impl Classed {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, class: &str) -> Result<Self, D::Error> {
        let read = Self::deserialize(deserializer)?;
        if read.class == class {
            return Ok(read);
        }
        Err(de::Error::custom(format_args!("a {} where a {class} belongs", read.class)))
    }

    fn date(&self) -> Option<(i16, i8, i8)> {
        Some((self.year?, self.month?, self.day?))
    }
}

/// Python writes small and round numbers with an exponent: `0E-8`, `1E+2`.
fn decimal(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match text.split_once(['E', 'e']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    if exponent == 0 {
        return Decimal::parse(mantissa).ok();
    }
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    // Past this nothing fits into a decimal anyway.
    if point.unsigned_abs() > EXPONENT_MAX {
        return (digits.bytes().all(|b| matches!(b, b'0' | b'.'))).then_some(Decimal::ZERO);
    }
    let all = format!("{whole}{fraction}");
    let shifted = match usize::try_from(point) {
        Ok(point) if point > 0 && point < all.len() => format!("{}.{}", &all[..point], &all[point..]),
        Ok(point) if point > 0 => format!("{all:0<point$}"),
        _ => format!("0.{}{all}", "0".repeat(usize::try_from(-point).ok()?)),
    };
    Decimal::parse(&format!("{sign}{shifted}")).ok()
}

/// Digits by which an exponent may move the point.
const EXPONENT_MAX: u32 = 32;

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Classed::read(deserializer, "Decimal")?.decimal.unwrap_or_default();
        let told =
            || de::Error::custom(format_args!("{text:?} is no decimal of at most 6 digits after the point"));
        decimal(&text).map(Self).ok_or_else(told)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({"__class__": "Decimal", "decimal": self.0.to_string()}).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let date = Classed::read(deserializer, "date")?.date();
        let date = date.and_then(|(year, month, day)| LocalDate::new(year, month, day));
        date.map(Self).ok_or_else(|| de::Error::custom("no day of the calendar"))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.to_string();
        let mut parts = text.splitn(3, '-').map(|part| part.parse::<i32>().unwrap_or_default());
        let (year, month, day) = (parts.next(), parts.next(), parts.next());
        json!({"__class__": "date", "year": year, "month": month, "day": day}).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Classed::read(deserializer, "datetime")?;
        let instant = read.date().and_then(|(year, month, day)| {
            let nanos = read.microsecond.checked_mul(1_000)?;
            let local = DateTime::new(year, month, day, read.hour, read.minute, read.second, nanos).ok()?;
            Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
        });
        let told = || de::Error::custom("no instant of the calendar");
        instant.map(|millis| Self(Timestamp::from_millis(millis))).ok_or_else(told)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let instant =
            jiff::Timestamp::from_millisecond(self.0.millis()).map_err(serde::ser::Error::custom)?;
        let local = instant.to_zoned(TimeZone::UTC).datetime();
        json!({
            "__class__": "datetime", "year": local.year(), "month": local.month(), "day": local.day(),
            "hour": local.hour(), "minute": local.minute(), "second": local.second(),
            "microsecond": local.subsec_nanosecond() / 1_000,
        })
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let float = f64::deserialize(deserializer)?;
        let told = || de::Error::custom(format_args!("{float} is no quantity"));
        Decimal::parse(&format!("{float:.6}")).map(Self).map_err(|_| told())
    }
}

impl Serialize for Quantity {
    /// The nearest float; its shortest text is the decimal's again.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let float: f64 = self.0.to_string().parse().map_err(serde::ser::Error::custom)?;
        serializer.serialize_f64(float)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Flag(bool),
            Number(i64),
        }
        Ok(Self(match Option::<Written>::deserialize(deserializer)? {
            Some(Written::Flag(flag)) => flag,
            Some(Written::Number(number)) => number != 0,
            None => false,
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, to_value};

    use super::*;

    #[test]
    fn decimals_with_and_without_exponent() {
        for (text, want) in [
            ("1.2500", Some("1.25")),
            ("0.5", Some("0.5")),
            ("-7", Some("-7")),
            ("0E-8", Some("0")),
            ("0E-99", Some("0")),
            ("1E+2", Some("100")),
            ("1.25E+1", Some("12.5")),
            ("-1.5E-3", Some("-0.0015")),
            ("12E-1", Some("1.2")),
            ("1E-7", None),
            ("1E+99", None),
            ("NaN", None),
            ("", None),
        ] {
            let read = from_value::<Amount>(json!({"__class__": "Decimal", "decimal": text})).ok();
            assert_eq!(read.map(|amount| amount.0.to_string()).as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn classed_values_are_written_as_they_are_read() {
        let date = json!({"__class__": "date", "year": 2026, "month": 12, "day": 1});
        let time = json!({"__class__": "datetime", "year": 2026, "month": 12, "day": 1, "hour": 23, "minute": 5,
            "second": 9, "microsecond": 123_000});
        let price = json!({"__class__": "Decimal", "decimal": "1.25"});
        assert_eq!(to_value(from_value::<Day>(date.clone()).unwrap()).unwrap(), date);
        assert_eq!(to_value(from_value::<Moment>(time.clone()).unwrap()).unwrap(), time);
        assert_eq!(to_value(from_value::<Amount>(price.clone()).unwrap()).unwrap(), price);
        let shown = from_value::<Moment>(time.clone()).unwrap().0.to_string();
        assert_eq!(shown, "2026-12-01T23:05:09.123Z");
        for (value, want) in
            [(&time, "a datetime where a date belongs"), (&Value::Null, "invalid type: null")]
        {
            let error = from_value::<Day>(value.clone()).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        let none = json!({"__class__": "date", "year": 2026, "month": 2, "day": 30});
        assert!(from_value::<Day>(none).is_err());
    }

    #[test]
    fn quantities_are_rounded_to_what_a_decimal_holds() {
        for (float, want) in [(2.0, "2"), (0.1 + 0.2, "0.3"), (-4.5, "-4.5"), (1.0 / 3.0, "0.333333")] {
            assert_eq!(from_value::<Quantity>(json!(float)).unwrap().0.to_string(), want);
        }
        assert!(from_value::<Quantity>(json!(1e300)).is_err());
        let written = to_value(Quantity(Decimal::parse("0.3").unwrap())).unwrap();
        assert_eq!(written.to_string(), "0.3");
    }

    #[test]
    fn a_flag_may_be_a_number_or_nothing() {
        for (value, want) in [(json!(true), true), (json!(1), true), (json!(0), false), (Value::Null, false)]
        {
            assert_eq!(from_value::<Flag>(value).unwrap(), Flag(want));
        }
    }
}
