//! The unit price of a line as a sale can bear it: of the line's own unit, with four digits.

use std::cmp::Ordering;

use pannier_protocol::Decimal;
use pannier_protocol::order::DispatchLine;

/// Digits after the point that Tryton takes of a unit price.
const PRICE_DIGITS: u32 = 4;

/// The price that Tryton makes the line's amount from: the stated one, or the amount divided, whichever makes the amount that
/// the customer was told. Where none of four digits does, one that is less than a step of the currency away; an error where
/// there is none of these either.
pub(super) fn unit_price(line: &DispatchLine, currency_digits: u32) -> Result<Decimal, String> {
    let price = &line.price;
    let stated = (price.uom == line.uom).then(|| divided(price.unit_price, price.per)).flatten();
    let candidates = || [stated, divided(price.extended, line.quantity)].into_iter().flatten();
    let amount = |unit_price: Decimal| Amount::of(unit_price, line.quantity, currency_digits);
    let exact = candidates().find(|unit_price| amount(*unit_price).is(price.extended));
    let fits = || candidates().find(|unit_price| amount(*unit_price).is_near(price.extended));
    exact.or_else(fits).ok_or_else(|| {
        format!(
            "line {}: no unit price with {PRICE_DIGITS} digits makes {} {} cost {}; order it in another unit",
            line.line, line.quantity, line.uom, price.extended
        )
    })
}

/// Rounded half away from zero to what Tryton takes.
fn divided(total: Decimal, by: Decimal) -> Option<Decimal> {
    let scale = 10_i128.pow(PRICE_DIGITS);
    let by = i128::from(by.micros());
    if by <= 0 {
        return None;
    }
    let rounded = rounded_half_away(i128::from(total.micros()) * scale, by);
    let micros = rounded * (i128::from(Decimal::SCALE) / scale);
    i64::try_from(micros).ok().map(Decimal::from_micros)
}

fn rounded_half_away(numerator: i128, denominator: i128) -> i128 {
    let half = if numerator < 0 { -denominator } else { denominator };
    (2 * numerator + half) / (2 * denominator)
}

/// Quantity times price, in millionths of millionths, and the step of the currency.
#[derive(Clone, Copy)]
struct Amount {
    product: i128,
    step: i128,
}

impl Amount {
    fn of(unit_price: Decimal, quantity: Decimal, currency_digits: u32) -> Self {
        let product = i128::from(unit_price.micros()) * i128::from(quantity.micros());
        Self { product, step: SCALE * SCALE / 10_i128.pow(currency_digits.min(6)) }
    }

    /// Whether Tryton makes this of it, which rounds halves to even.
    fn is(self, extended: Decimal) -> bool {
        let (whole, rest) = (self.product.div_euclid(self.step), self.product.rem_euclid(self.step));
        let is_up = match (2 * rest).cmp(&self.step) {
            Ordering::Less => false,
            Ordering::Equal => whole % 2 != 0,
            Ordering::Greater => true,
        };
        (whole + i128::from(is_up)) * self.step == i128::from(extended.micros()) * SCALE
    }

    fn is_near(self, extended: Decimal) -> bool {
        (self.product - i128::from(extended.micros()) * SCALE).abs() < self.step
    }
}

const SCALE: i128 = Decimal::SCALE as i128;

#[cfg(test)]
mod tests {
    use pannier_protocol::codec;
    use serde_json::json;

    use super::*;

    fn check(quantity: &str, uom: &str, price: (&str, &str, &str), extended: &str, want: Option<&str>) {
        let (unit_price, per, price_uom) = price;
        let line = json!({"line": "1", "item": "I", "quantity": quantity, "uom": uom, "promised": [],
            "price": {"unit_price": unit_price, "per": per, "uom": price_uom, "extended": extended, "level": "list"}});
        let text = line.to_string();
        let line: DispatchLine =
            codec::decode(pannier_protocol::Encoding::Json, text.as_bytes(), text.len()).unwrap();
        let got = unit_price_text(&line);
        assert_eq!(got.as_deref().ok(), want, "{line:?}: {got:?}");
    }

    fn unit_price_text(line: &DispatchLine) -> Result<String, String> {
        unit_price(line, 2).map(|price| price.to_string())
    }

    #[test]
    fn a_price_is_of_the_lines_own_unit() {
        for (quantity, uom, price, extended, want) in [
            ("2", "u", ("1.25", "1", "u"), "2.50", Some("1.25")),
            ("3", "u", ("12.5", "100", "u"), "0.38", Some("0.125")),
            ("2", "cs", ("1.25", "1", "u"), "30.00", Some("15")),
            ("3", "u", ("0.33333", "1", "u"), "1.00", Some("0.3333")),
            ("10", "u", ("1.23456", "1", "u"), "12.35", Some("1.2346")),
            // The stated price, rounded, makes 122.23; the amount divided makes what the customer was told.
            ("99", "u", ("1.23456", "1", "u"), "122.22", Some("1.2345")),
            // Tryton rounds halves to even.
            ("1", "u", ("1.125", "1", "u"), "1.12", Some("1.125")),
            ("1", "u", ("1.125", "1", "u"), "1.13", Some("1.13")),
            ("1", "u", ("1.135", "1", "u"), "1.14", Some("1.135")),
            // No price of four digits makes it: 150.02 is the nearest.
            ("150", "u", ("1.0001", "1", "u"), "150.01", Some("1.0001")),
            // The customer was told 12.35, and 1.2346 for each would make 1234.60.
            ("1000", "u", ("1.23456", "1", "u"), "1234.56", None),
            ("1", "cs", ("15", "1", "cs"), "180.00", Some("180")),
            ("7", "u", ("0", "1", "u"), "0", Some("0")),
        ] {
            check(quantity, uom, price, extended, want);
        }
    }
}
