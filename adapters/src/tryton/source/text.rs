//! What the text of a column is worth.

use std::collections::BTreeMap;

use pannier_protocol::{Decimal, LocalDate, Timestamp};

/// Tryton keeps quantities as floats; `0.30000000000000004` is what 0.3 became.
pub(super) fn micros(text: &str) -> Option<i64> {
    let value: f64 = text.parse().ok()?;
    let micros = (value * SCALE).round();
    // Past this a float is no whole number of millionths any more.
    (micros.abs() <= EXACT_MAX).then_some(micros as i64)
}

const SCALE: f64 = 1_000_000.0;
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Text of any number of digits, rounded half away from zero to the six that there are.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        return micros(text).map(Decimal::from_micros);
    }
    let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    if digits <= DIGITS {
        return Decimal::parse(text).ok();
    }
    let (kept, rest) = text.split_at_checked(text.len() - (digits - DIGITS))?;
    if !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept_value = Decimal::parse(kept).ok()?;
    let away = if text.starts_with('-') { -1 } else { 1 };
    let step = if rest.as_bytes().first().is_some_and(|digit| *digit >= b'5') { away } else { 0 };
    kept_value.checked_add(Decimal::from_micros(step))
}

const DIGITS: usize = 6;

/// `2026-11-25 18:11:00.123456` and with `T`; UTC, though it does not say so.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim_end_matches('Z').replacen(' ', "T", 1);
    Timestamp::parse(&format!("{text}Z")).ok()
}

/// `{"date": {"__class__": "date", "year": 2026, "month": 11, "day": 25}}`. No pattern at all is every day.
pub(super) fn pattern_date(text: &str) -> Option<Option<LocalDate>> {
    let pattern: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let Some(date) = pattern.get("date") else { return Some(None) };
    let part = |name: &str| date.get(name)?.as_i64();
    let month_day = |name: &str| i8::try_from(part(name)?).ok();
    let year = i16::try_from(part("year")?).ok()?;
    LocalDate::new(year, month_day("month")?, month_day("day")?).map(Some)
}

/// `[[0,{"__class__":"Decimal","decimal":"1.2500"}],[24.0,{...}]]`. A bound from which there is no price ends it:
/// nobody can say so, and a price that does not hold there must not be shown.
pub(super) fn breaks(text: &str) -> Option<Vec<(Decimal, Decimal)>> {
    let steps: Vec<(serde_json::Value, serde_json::Value)> = serde_json::from_str(text).ok()?;
    let mut found = Vec::with_capacity(steps.len());
    for (bound, price) in steps {
        let Some(price) = price.get("decimal").and_then(|text| text.as_str()) else {
            return Some(Vec::new());
        };
        found.push((decimal(&bound.to_string())?, decimal(price)?));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_rounded_to_what_they_meant() {
        for (text, want) in [
            ("2.0", Some(2_000_000)),
            ("2", Some(2_000_000)),
            ("0.30000000000000004", Some(300_000)),
            ("-1.5", Some(-1_500_000)),
            ("1e-05", Some(10)),
            ("1e30", None),
            ("NaN", None),
            ("x", None),
        ] {
            assert_eq!(micros(text), want, "{text}");
        }
    }

    #[test]
    fn decimals_of_any_length_keep_six_digits() {
        for (text, want) in [
            ("1.2500", Some("1.25")),
            ("12", Some("12")),
            ("0.65000000", Some("0.65")),
            ("0.12345650", Some("0.123457")),
            ("0.12345649", Some("0.123456")),
            ("-0.1234565", Some("-0.123457")),
            ("1E-7", Some("0")),
            ("5e-1", Some("0.5")),
            ("1.x", None),
        ] {
            assert_eq!(decimal(text).map(|it| it.to_string()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn prices_of_the_cache_are_read_as_they_stand() {
        let price = |text: &str| format!(r#"{{"__class__":"Decimal","decimal":"{text}"}}"#);
        let two = format!("[[0,{}],[24.0,{}]]", price("1.2500"), price("1.1250"));
        let ends = format!("[[0,{}],[24.0,null]]", price("1.2500"));
        let pair = |(bound, price): &(Decimal, Decimal)| format!("{bound}:{price}");
        for (text, want) in [
            (two.as_str(), Some(vec!["0:1.25".to_owned(), "24:1.125".to_owned()])),
            (ends.as_str(), Some(vec![])),
            ("[[0,null]]", Some(vec![])),
            ("[]", Some(vec![])),
            ("[[0]]", None),
        ] {
            let got = breaks(text).map(|breaks| breaks.iter().map(pair).collect::<Vec<_>>());
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn instants_are_read_in_both_spellings() {
        for text in ["2026-11-25 18:11:00.123456", "2026-11-25T18:11:00.123"] {
            assert_eq!(instant(text).map(|at| at.to_string()).as_deref(), Some("2026-11-25T18:11:00.123Z"));
        }
    }
}
