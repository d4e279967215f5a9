//! Cells as old systems write them: columns of fixed width, decimals without a point, signs behind, commas
//! for points, days as a century digit and six more, and Latin-1.

use anyhow::{Context, bail, ensure};
use pannier_protocol::{Decimal, LocalDate};

/// Turns days counted from the sample's own into dates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    pub(super) as_of: LocalDate,
}

impl Calendar {
    /// `20261123` and the like, cut into year, month and day.
    fn parts(self, days: i32) -> anyhow::Result<(String, String, String)> {
        let date = self.as_of.plus_days(days).context("a day past the calendar")?.to_string();
        match date.split('-').collect::<Vec<_>>().as_slice() {
            [year, month, day] => Ok(((*year).to_owned(), (*month).to_owned(), (*day).to_owned())),
            _ => bail!("{date} is no date of three parts"),
        }
    }

    /// `23.11.2026`; blank without a day.
    pub(super) fn dotted(self, days: Option<i32>) -> anyhow::Result<String> {
        let Some(days) = days else { return Ok(String::new()) };
        let (year, month, day) = self.parts(days)?;
        Ok(format!("{day}.{month}.{year}"))
    }

    /// `1261123`, where the first digit counts the centuries since 1900; `0000000` without a day.
    pub(super) fn with_century(self, days: Option<i32>) -> anyhow::Result<String> {
        let Some(days) = days else { return Ok("0000000".to_owned()) };
        let (year, month, day) = self.parts(days)?;
        let year: u32 = year.parse().context("a year")?;
        let since_1900 = year.checked_sub(1900).context("a year before 1900")?;
        Ok(format!("{since_1900:03}{month}{day}"))
    }
}

/// `SKU-4711` as the ERP keeps it: `00004711`.
pub(super) fn item_number(item: &str) -> anyhow::Result<String> {
    let digits = item.strip_prefix("SKU-").with_context(|| format!("{item} does not start with SKU-"))?;
    Ok(format!("{digits:0>8}"))
}

/// `1234.5` as `1.234,5`.
pub(super) fn with_comma(decimal: &str) -> anyhow::Result<String> {
    let plain = Decimal::parse(decimal).with_context(|| format!("{decimal:?}"))?.to_string();
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    Ok(if fraction.is_empty() { grouped } else { format!("{grouped},{fraction}") })
}

/// `-3` as `3-`.
pub(super) fn sign_behind(decimal: &str) -> String {
    decimal.strip_prefix('-').map_or_else(|| decimal.to_owned(), |rest| format!("{rest}-"))
}

/// `1.25` with four implied decimals in ten characters as `000012500 `; the last one is for the sign.
pub(super) fn implied(decimal: &str, decimals: u32, width: usize) -> anyhow::Result<String> {
    let value = Decimal::parse(decimal).with_context(|| format!("{decimal:?}"))?;
    let unit = 10_i64.pow(6 - decimals);
    ensure!(value.micros() % unit == 0, "{decimal} has more than {decimals} decimals");
    let sign = if value.is_negative() { '-' } else { ' ' };
    let digits = (value.micros() / unit).unsigned_abs();
    Ok(format!("{digits:0>width$}{sign}", width = width - 1))
}

/// Lines of one file, ended as on the system that it comes from.
#[derive(Debug, Default)]
pub(super) struct Lines(String);

impl Lines {
    pub(super) fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push_str("\r\n");
    }

    /// Columns of fixed width; a text that does not fit is an error, not a cut.
    pub(super) fn fixed(&mut self, columns: &[(&str, usize)]) -> anyhow::Result<()> {
        let mut line = String::new();
        for (text, width) in columns {
            ensure!(text.chars().count() <= *width, "{text:?} is wider than {width}");
            line.push_str(&format!("{text:<width$}"));
        }
        self.line(&line);
        Ok(())
    }

    /// Columns with `delimiter` between, unquoted.
    pub(super) fn delimited(&mut self, delimiter: char, columns: &[&str]) -> anyhow::Result<()> {
        for text in columns {
            ensure!(!text.contains([delimiter, '"', '\n', '\r']), "{text:?} needs quotes");
        }
        let mut separator = [0; 4];
        self.line(&columns.join(delimiter.encode_utf8(&mut separator)));
        Ok(())
    }

    /// As Latin-1.
    pub(super) fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let byte = |c: char| u8::try_from(u32::from(c)).with_context(|| format!("{c:?} is not in Latin-1"));
        self.0.chars().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_as_old_systems_write_them() {
        let calendar = Calendar { as_of: LocalDate::parse("2026-11-23").unwrap() };
        assert_eq!(calendar.dotted(Some(8)).unwrap(), "01.12.2026");
        assert_eq!(calendar.dotted(None).unwrap(), "");
        assert_eq!(calendar.with_century(Some(0)).unwrap(), "1261123");
        assert_eq!(calendar.with_century(None).unwrap(), "0000000");
        assert_eq!(item_number("SKU-4711").unwrap(), "00004711");
        assert_eq!(with_comma("1234567.5").unwrap(), "1.234.567,5");
        assert_eq!(with_comma("-123456").unwrap(), "-123.456");
        assert_eq!(with_comma("0.15").unwrap(), "0,15");
        assert_eq!(sign_behind("-3"), "3-");
        assert_eq!(implied("1.25", 4, 10).unwrap(), "000012500 ");
        assert_eq!(implied("-3", 3, 6).unwrap(), "03000-");
        assert!(implied("0.12345", 4, 10).is_err());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut lines = Lines::default();
        assert!(lines.fixed(&[("four", 3)]).is_err());
        assert!(lines.delimited(';', &["a;b"]).is_err());
        lines.fixed(&[("½", 3), ("x", 1)]).unwrap();
        assert_eq!(lines.encode().unwrap(), b"\xbd  x\r\n");
        lines.line("€");
        assert!(lines.encode().is_err());
    }
}
