//! Instants, local dates and the zones that turn one into the other. Zone data is compiled in
//! (`jiff`'s bundled tz database) and is part of the rule version: the same row takes effect at the
//! same instant on every node, whatever the machine has installed.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant: milliseconds since 1970-01-01T00:00:00Z. RFC 3339 in JSON, the integer in MessagePack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Why a text is no instant, date or zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("{text:?} is no RFC 3339 instant, as in \"2026-11-23T09:00:00Z\"")]
    Instant { text: String },
    #[error("{text:?} is no date, as in \"2026-11-23\"")]
    Date { text: String },
    #[error("{text:?} is no IANA time zone of the compiled-in database, as in \"America/Chicago\"")]
    Zone { text: String },
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

impl Timestamp {
    pub const MIN: Self = Self(i64::MIN);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// `self - earlier` in milliseconds; 0 when `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        let delta = self.0.saturating_sub(earlier.0);
        if delta < 0 { 0 } else { delta as u64 }
    }

    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    pub fn parse(text: &str) -> Result<Self, TimeError> {
        text.parse::<jiff::Timestamp>()
            .map(|instant| Self(instant.as_millisecond()))
            .map_err(|_| TimeError::Instant { text: shown(text) })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let millis = i64::deserialize(deserializer)?;
            let told = jiff::Timestamp::from_millisecond(millis);
            return told.map(|_| Self(millis)).map_err(|_| {
                de::Error::custom(format_args!("{millis} is no instant in milliseconds since 1970"))
            });
        }
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// A calendar day without a zone, as ERPs write it: `2026-11-23`, a string in both encodings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDate(Date);

impl LocalDate {
    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        Date::new(year, month, day).ok().map(Self)
    }

    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let error = || TimeError::Date { text: shown(text) };
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 10
            && bytes
                .iter()
                .enumerate()
                .all(|(at, b)| if at == 4 || at == 7 { *b == b'-' } else { b.is_ascii_digit() });
        if !shaped {
            return Err(error());
        }
        text.parse::<Date>().map(Self).map_err(|_| error())
    }

    /// `days` later (or, negative, earlier); `None` past the calendar.
    pub fn plus_days(self, days: i32) -> Option<Self> {
        self.0.checked_add(jiff::Span::new().try_days(days).ok()?).ok().map(Self)
    }

    /// Whole days from `earlier` to `self`.
    pub fn days_since(self, earlier: Self) -> i32 {
        let days =
            |date: Date| date.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).map(|z| z.timestamp().as_second());
        match (days(self.0), days(earlier.0)) {
            (Ok(a), Ok(b)) => ((a - b) / 86_400) as i32,
            _ => 0,
        }
    }
}

impl fmt::Display for LocalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for LocalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for LocalDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for LocalDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// An IANA time zone by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    pub fn parse(name: &str) -> Result<Self, TimeError> {
        if name == "UTC" {
            return Ok(Self::utc());
        }
        jiff::tz::TimeZoneDatabase::bundled()
            .get(name)
            .ok()
            .filter(|zone| !zone.is_unknown())
            .map(Self)
            .ok_or_else(|| TimeError::Zone { text: shown(name) })
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The day that a clock on the wall shows at `instant`.
    pub fn date_at(&self, instant: Timestamp) -> Option<LocalDate> {
        let instant = jiff::Timestamp::from_millisecond(instant.0).ok()?;
        Some(LocalDate(self.0.to_datetime(instant).date()))
    }

    /// The first instant that bears `date` here: the first of two midnights, and where clocks jump
    /// over midnight the jump itself (semantics: "A local day begins at...").
    pub fn day_start(&self, date: LocalDate) -> Option<Timestamp> {
        let midnight = date.0.at(0, 0, 0, 0);
        let ambiguous = self.0.to_ambiguous_timestamp(midnight);
        let instant = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(midnight).ok()?,
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(midnight).ok()?,
            AmbiguousOffset::Gap { after, .. } => {
                let before_jump = after.to_timestamp(midnight).ok()?;
                self.0.following(before_jump).next()?.timestamp()
            }
        };
        Some(Timestamp(instant.as_millisecond()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// One end of a validity as the source states it: a local date in a zone. Instants are half-open, so
/// an inclusive end is the start of the next local day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateEdge {
    pub date: LocalDate,
    /// For an end: the day itself still counts. A start is always inclusive and refuses `false`.
    pub inclusive: bool,
    pub zone: Zone,
}

impl DateEdge {
    /// The instant from which a validity that starts here holds; `None` past the calendar.
    pub fn start_instant(&self) -> Option<Timestamp> {
        self.zone.day_start(self.date)
    }

    /// The first instant at which a validity that ends here no longer holds; `None` past the calendar.
    pub fn end_instant(&self) -> Option<Timestamp> {
        let date = if self.inclusive { self.date.plus_days(1)? } else { self.date };
        self.zone.day_start(date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_day_start(zone: &str, date: &str, want: &str) {
        let start = Zone::parse(zone).unwrap().day_start(LocalDate::parse(date).unwrap()).unwrap();
        assert_eq!(start.to_string(), want, "{zone} {date}");
    }

    #[test]
    fn days_start_at_their_first_instant() {
        check_day_start("America/Chicago", "2026-11-01", "2026-11-01T05:00:00Z");
        check_day_start("America/Chicago", "2026-11-02", "2026-11-02T06:00:00Z");
        // Clocks jumped over midnight: 2018-11-04 began at 01:00 in São Paulo.
        check_day_start("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z");
        // Toronto 1919: 23:30 became 00:30, so the day began at half past.
        check_day_start("America/Toronto", "1919-03-31", "1919-03-31T04:30:00Z");
        // Havana: at 01:00 back to 00:00, so midnight came twice.
        check_day_start("America/Havana", "2025-11-02", "2025-11-02T04:00:00Z");
    }

    #[test]
    fn an_inclusive_end_is_the_next_midnight() {
        let edge = |inclusive| DateEdge {
            date: LocalDate::parse("2026-12-31").unwrap(),
            inclusive,
            zone: Zone::parse("America/Chicago").unwrap(),
        };
        assert_eq!(edge(true).end_instant().unwrap().to_string(), "2027-01-01T06:00:00Z");
        assert_eq!(edge(false).end_instant().unwrap().to_string(), "2026-12-31T06:00:00Z");
    }

    #[test]
    fn days_are_counted() {
        let day = |text| LocalDate::parse(text).unwrap();
        assert_eq!(day("2026-03-01").days_since(day("2026-02-27")), 2);
        assert_eq!(day("2026-02-27").plus_days(2), Some(day("2026-03-01")));
        for bad in ["2026-2-1", "2026-02-30", "20260201", "2026-02-01T00:00:00Z", ""] {
            assert!(LocalDate::parse(bad).is_err(), "{bad:?}");
        }
    }
}
