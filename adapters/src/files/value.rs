//! Cell texts to values: numbers, dates, instants and words as old systems write them.
//!
//! Nothing is guessed: marks that do not stand where the mapping says they stand are an error, because
//! `1.234` read under the wrong mark is wrong by a factor of a thousand and looks right.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use pannier_protocol::{Decimal, LocalDate, Timestamp, Zone};

use super::config::{NumberRules, Sign, Words};
use super::field::shorten;

/// Dates as a century digit (0 is 1900, 1 is 2000), year, month and day.
pub(super) const CENTURY_PATTERN: &str = "cyymmdd";

/// A decimal by `rules`; the error says what was expected.
pub(super) fn parse_decimal(text: &str, rules: &NumberRules) -> Result<Decimal, String> {
    let error = |reason: &str| format!("{:?} is no number: {reason}", shorten(text));
    let signed = match rules.sign {
        Sign::Overpunch => overpunched(text.trim()),
        Sign::Leading | Sign::Trailing | Sign::Either => {
            split_sign(text.trim(), rules.sign).map(|(negative, digits)| (negative, Cow::Borrowed(digits)))
        }
    };
    let (negative, digits) = signed.map_err(error)?;
    let mut parts = digits.splitn(2, rules.decimal_mark);
    let whole = parts.next().unwrap_or_default();
    let fraction = parts.next();
    let whole = match rules.thousands_mark {
        Some(mark) => without_thousands(whole, mark).ok_or_else(|| {
            error(&format!("{mark:?} stands where no thousands mark belongs; check the marks of the mapping"))
        })?,
        None => whole.to_owned(),
    };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(&whole) || !fraction.is_none_or(all_digits) {
        let shape = format!("digits with {:?} as decimal mark are expected", rules.decimal_mark);
        return Err(error(&shape));
    }
    let plain = match (rules.implied_decimals.map(usize::from), fraction) {
        (Some(_), Some(_)) => return Err(error("it has a decimal mark, and its decimals are implied")),
        (Some(_), None) if whole.is_empty() => return Err(error("it has no digits")),
        (Some(implied), None) => {
            let padded = format!("{whole:0>width$}", width = implied + 1);
            let (whole, fraction) = padded.split_at(padded.len() - implied);
            if implied == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") }
        }
        (None, Some(fraction)) if !fraction.is_empty() && !whole.is_empty() => format!("{whole}.{fraction}"),
        (None, Some(fraction)) if !fraction.is_empty() => format!("0.{fraction}"),
        (None, _) => whole,
    };
    let value = Decimal::parse(&plain).map_err(|reason| error(&reason.to_string()))?;
    if negative { value.checked_neg().ok_or_else(|| error("out of range")) } else { Ok(value) }
}

fn split_sign(text: &str, sign: Sign) -> Result<(bool, &str), &'static str> {
    let leading = text.strip_prefix(['-', '+']).map(|rest| (text.starts_with('-'), rest));
    let trailing = text.strip_suffix(['-', '+']).map(|rest| (text.ends_with('-'), rest));
    let found = match (sign, leading, trailing) {
        (_, Some(found), Some(_)) if found.1.is_empty() => found,
        (_, Some(_), Some(_)) => return Err("it has two signs"),
        (Sign::Leading | Sign::Either, Some(found), None) => found,
        (Sign::Trailing | Sign::Either, None, Some(found)) => found,
        (Sign::Leading | Sign::Overpunch, None, Some(_)) => {
            return Err("its sign trails; set sign = \"trailing\" or \"either\"");
        }
        (Sign::Trailing | Sign::Overpunch, Some(_), None) => {
            return Err("its sign leads; set sign = \"leading\" or \"either\"");
        }
        (_, None, None) => (false, text),
    };
    Ok((found.0, found.1.trim()))
}

/// A signed zoned number as it comes out of EBCDIC: the last digit says the sign. `{ABCDEFGHI` are +0 to +9,
/// `}JKLMNOPQR` -0 to -9, where the compiler was an ASCII one `pqrstuvwxy`; a plain digit is without a sign.
fn overpunched(text: &str) -> Result<(bool, Cow<'_, str>), &'static str> {
    let Some(last) = text.chars().next_back() else { return Ok((false, Cow::Borrowed(text))) };
    if last.is_ascii_digit() {
        return Ok((false, Cow::Borrowed(text)));
    }
    let rows = [("{ABCDEFGHI", false), ("}JKLMNOPQR", true), ("pqrstuvwxy", true)];
    let found = rows.iter().find_map(|(row, negative)| Some((*negative, row.find(last)?)));
    let (negative, digit) = found.ok_or("its last character is no signed digit (0-9, { A-I, } J-R, p-y)")?;
    let head = text.strip_suffix(last).unwrap_or_default();
    Ok((negative, Cow::Owned(format!("{head}{digit}"))))
}

/// Groups of three between marks, the first one shorter; `None` when they are not.
fn without_thousands(whole: &str, mark: char) -> Option<String> {
    let groups: Vec<&str> = whole.split(mark).collect();
    let (first, rest) = groups.split_first()?;
    let grouped = rest.is_empty() || (1..=3).contains(&first.len());
    (grouped && rest.iter().all(|group| group.len() == 3)).then(|| groups.concat())
}

/// A whole number from 0.
pub(super) fn parse_count(text: &str, rules: &NumberRules) -> Result<u32, String> {
    let value = parse_decimal(text, rules)?;
    let whole = value.micros() % Decimal::SCALE == 0;
    u32::try_from(value.micros() / Decimal::SCALE)
        .ok()
        .filter(|_| whole)
        .ok_or_else(|| format!("{:?} is no whole number from 0 to {}", shorten(text), u32::MAX))
}

/// A day by a `strptime` pattern or [`CENTURY_PATTERN`].
pub(super) fn parse_date(text: &str, pattern: &str) -> Result<LocalDate, String> {
    let date = civil_date(text.trim(), pattern);
    date.and_then(|date| LocalDate::new(date.year(), date.month(), date.day()))
        .ok_or_else(|| format!("{:?} is no date as in the pattern {pattern:?}", shorten(text)))
}

fn civil_date(text: &str, pattern: &str) -> Option<Date> {
    if pattern != CENTURY_PATTERN {
        return strtime::parse(pattern, text).ok()?.to_date().ok();
    }
    let digits = text.len() == 7 && text.bytes().all(|b| b.is_ascii_digit());
    let number: u32 = text.parse().ok().filter(|_| digits)?;
    let year = 1900 + i16::try_from(number / 10_000).ok()?;
    let (month, day) = (number / 100 % 100, number % 100);
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// An instant of the file's zone; a pattern without a time means the day's start. One with an offset or
/// zone of its own is that.
pub(super) fn parse_instant(text: &str, pattern: &str, zone: &Zone) -> Result<Timestamp, String> {
    instant(text.trim(), pattern, zone)
        .ok_or_else(|| format!("{:?} is no instant as in the pattern {pattern:?}", shorten(text)))
}

fn instant(text: &str, pattern: &str, zone: &Zone) -> Option<Timestamp> {
    let parsed = strtime::parse(pattern, text).ok()?;
    if let Ok(instant) = parsed.to_timestamp() {
        return Some(Timestamp::from_millis(instant.as_millisecond()));
    }
    let date = parsed.to_date().ok()?;
    let time = parsed.to_time().ok().unwrap_or(Time::midnight());
    local_instant(DateTime::from_parts(date, time), zone)
}

/// The wall time in `zone`; of a repeated hour the first, so that no row seems fresher than it is.
fn local_instant(local: DateTime, zone: &Zone) -> Option<Timestamp> {
    let zone = TimeZoneDatabase::bundled().get(zone.name()).unwrap_or(TimeZone::UTC);
    let instant = zone.to_ambiguous_timestamp(local).earlier().ok()?;
    Some(Timestamp::from_millis(instant.as_millisecond()))
}

/// Whether a pattern can carry a day.
pub(super) fn check_date_pattern(pattern: &str) -> bool {
    pattern == CENTURY_PATTERN || survives(pattern)
}

/// Whether a pattern can carry an instant.
pub(super) fn check_instant_pattern(pattern: &str) -> bool {
    survives(pattern)
        || strtime::format(pattern, jiff::Timestamp::UNIX_EPOCH)
            .is_ok_and(|text| instant(&text, pattern, &Zone::utc()) == Some(Timestamp::from_millis(0)))
}

fn survives(pattern: &str) -> bool {
    let sample = jiff::civil::date(2026, 11, 23).at(9, 8, 7, 0);
    let Ok(text) = strtime::format(pattern, sample) else { return false };
    civil_date(&text, pattern) == Some(sample.date())
}

/// Yes or no; blank is no.
pub(super) fn parse_bool(text: &str, words: &Words) -> Result<bool, String> {
    let text = text.trim();
    let among = |list: &[String]| list.iter().any(|word| word.eq_ignore_ascii_case(text));
    if text.is_empty() || among(&words.no) {
        Ok(false)
    } else if among(&words.yes) {
        Ok(true)
    } else {
        let (yes, no) = (words.yes.join(", "), words.no.join(", "));
        Err(format!("{:?} is neither yes ({yes}) nor no ({no}); see `words`", shorten(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(decimal: char, thousands: Option<char>, implied: Option<u8>, sign: Sign) -> NumberRules {
        NumberRules { decimal_mark: decimal, thousands_mark: thousands, implied_decimals: implied, sign }
    }

    #[test]
    fn numbers_as_the_mapping_says() {
        let plain = rules('.', None, None, Sign::Leading);
        let german = rules(',', Some('.'), None, Sign::Either);
        let implied = rules('.', None, Some(4), Sign::Trailing);
        let zoned = rules('.', None, Some(4), Sign::Overpunch);
        for (text, rules, want) in [
            ("12", plain, Ok("12")),
            ("-12.50", plain, Ok("-12.5")),
            ("+3", plain, Ok("3")),
            (".5", plain, Ok("0.5")),
            ("5.", plain, Ok("5")),
            ("0012", plain, Ok("12")),
            ("12-", plain, Err("its sign trails; set sign = \"trailing\" or \"either\"")),
            ("1,5", plain, Err("digits with '.' as decimal mark are expected")),
            ("1.2.3", plain, Err("digits with '.' as decimal mark are expected")),
            ("1e3", plain, Err("digits with '.' as decimal mark are expected")),
            ("", plain, Err("not a decimal")),
            ("-", plain, Err("not a decimal")),
            ("0.1234567", plain, Err("more than 6 digits")),
            ("99999999999999", plain, Err("out of range")),
            ("1.234,5", german, Ok("1234.5")),
            ("1234,5", german, Ok("1234.5")),
            ("12-", german, Ok("-12")),
            ("1.5", german, Err("'.' stands where no thousands mark belongs")),
            ("1.2345,0", german, Err("'.' stands where no thousands mark belongs")),
            (".123", german, Err("'.' stands where no thousands mark belongs")),
            ("-1-", german, Err("it has two signs")),
            ("000012500", implied, Ok("1.25")),
            ("000012500-", implied, Ok("-1.25")),
            ("5", implied, Ok("0.0005")),
            ("1.5", implied, Err("it has a decimal mark, and its decimals are implied")),
            ("-5", implied, Err("its sign leads; set sign = \"leading\" or \"either\"")),
            ("000012500", zoned, Ok("1.25")),
            ("00001250{", zoned, Ok("1.25")),
            ("00001250}", zoned, Ok("-1.25")),
            ("00001250E", zoned, Ok("1.2505")),
            ("00001250N", zoned, Ok("-1.2505")),
            ("00001250u", zoned, Ok("-1.2505")),
            ("R", zoned, Ok("-0.0009")),
            ("", zoned, Err("it has no digits")),
            ("-", implied, Err("it has no digits")),
            ("00001250Z", zoned, Err("its last character is no signed digit (0-9, { A-I, } J-R, p-y)")),
            ("00001250-", zoned, Err("its last character is no signed digit")),
            ("-0001250A", zoned, Err("digits with '.' as decimal mark are expected")),
            ("12.5J", rules('.', None, None, Sign::Overpunch), Ok("-12.51")),
        ] {
            let got = parse_decimal(text, &rules).map(|value| value.to_string());
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{text:?}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{text:?}: {got}"),
                (got, want) => panic!("{text:?}: {got:?}, expected {want:?}"),
            }
        }
    }

    #[test]
    fn counts_are_whole() {
        let plain = NumberRules::default();
        assert_eq!(parse_count("12.0", &plain), Ok(12));
        for bad in ["1.5", "-1", "4294967296", "x"] {
            assert!(parse_count(bad, &plain).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_by_pattern() {
        for (text, pattern, want) in [
            ("2026-11-23", "%Y-%m-%d", Some("2026-11-23")),
            ("23.11.2026", "%d.%m.%Y", Some("2026-11-23")),
            ("20261123", "%Y%m%d", Some("2026-11-23")),
            ("11/23/26", "%m/%d/%y", Some("2026-11-23")),
            ("1261123", "cyymmdd", Some("2026-11-23")),
            ("0991231", "cyymmdd", Some("1999-12-31")),
            ("126112", "cyymmdd", None),
            ("1261323", "cyymmdd", None),
            ("2026-02-30", "%Y-%m-%d", None),
            ("2026-11-23x", "%Y-%m-%d", None),
            ("23.11.2026", "%Y-%m-%d", None),
        ] {
            let got = parse_date(text, pattern).ok().map(|date| date.to_string());
            assert_eq!(got.as_deref(), want, "{text} {pattern}");
        }
    }

    #[test]
    fn instants_are_of_the_files_zone() {
        let chicago = Zone::parse("America/Chicago").unwrap();
        for (text, pattern, zone, want) in [
            ("20261123T0600", "%Y%m%dT%H%M", &chicago, Some("2026-11-23T12:00:00Z")),
            ("20261123", "%Y%m%d", &chicago, Some("2026-11-23T06:00:00Z")),
            ("20261101T0130", "%Y%m%dT%H%M", &chicago, Some("2026-11-01T06:30:00Z")),
            ("20261123060000", "%Y%m%d%H%M%S", &Zone::utc(), Some("2026-11-23T06:00:00Z")),
            ("2026-11-23T06:00:00+0100", "%Y-%m-%dT%H:%M:%S%z", &chicago, Some("2026-11-23T05:00:00Z")),
            ("1795413600", "%s", &chicago, Some("2026-11-23T06:00:00Z")),
            ("2026", "%Y%m%d", &chicago, None),
        ] {
            let got = parse_instant(text, pattern, zone).ok().map(|instant| instant.to_string());
            assert_eq!(got.as_deref(), want, "{text} {pattern}");
        }
    }

    #[test]
    fn patterns_must_carry_what_they_are_for() {
        for (pattern, day, instant) in [
            ("%Y-%m-%d", true, true),
            ("cyymmdd", true, false),
            ("%s", false, true),
            ("%H:%M", false, false),
            ("%Q", false, false),
            ("%Y", false, false),
        ] {
            assert_eq!(check_date_pattern(pattern), day, "{pattern}");
            assert_eq!(check_instant_pattern(pattern), instant, "{pattern}");
        }
    }

    #[test]
    fn words_for_yes_and_no() {
        let words = Words::default();
        for (text, want) in [("y", Some(true)), ("", Some(false)), ("0", Some(false)), ("X", None)] {
            assert_eq!(parse_bool(text, &words).ok(), want, "{text:?}");
        }
    }
}
