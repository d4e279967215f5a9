//! What the lines of one request have promised already, so that they do not promise it twice.

use pannier_protocol::Decimal;
use rustc_hash::FxHashMap;

use crate::dictionary::{ItemNo, WarehouseNo};
use crate::quantity::Exact;

const MILLION: i128 = Decimal::SCALE as i128;

/// Base units that earlier lines of this request took, by item and warehouse.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    of: FxHashMap<(ItemNo, WarehouseNo), TakenOf>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TakenOf {
    pub(crate) shelf: Exact,
    /// Days from today, and what was taken of what comes until then.
    pub(crate) dated: Vec<(i32, Exact)>,
}

/// What a promise takes of one item at one warehouse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Taking {
    pub(crate) item: ItemNo,
    pub(crate) warehouse: WarehouseNo,
    /// `None`: from the shelf, now.
    pub(crate) day: Option<i32>,
    /// In base units.
    pub(crate) quantity: Exact,
}

impl TakenOf {
    /// The least number of parts of a millionth in which all that was taken is whole; `None`: there is none.
    pub(crate) fn parts(&self) -> Option<i128> {
        let each = self.dated.iter().map(|(_, quantity)| quantity).chain([&self.shelf]);
        let mut parts: i128 = 1;
        for quantity in each {
            let needed = quantity.denominator() / common_divisor(quantity.denominator(), MILLION);
            parts = parts.checked_mul(needed / common_divisor(parts, needed))?;
        }
        Some(parts)
    }
}

/// A quantity that is whole in these parts.
pub(crate) fn in_parts(quantity: Exact, parts: i128) -> Option<i128> {
    let unit = MILLION.checked_mul(parts)?;
    quantity.numerator().checked_mul(unit / quantity.denominator())
}

/// Of two numbers above 0.
fn common_divisor(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Taken {
    pub(crate) fn of(&self, item: ItemNo, warehouse: WarehouseNo) -> Option<&TakenOf> {
        self.of.get(&(item, warehouse))
    }

    pub(crate) fn add(&mut self, taking: &Taking) {
        let empty = || TakenOf { shelf: Exact::ZERO, dated: Vec::new() };
        let of = self.of.entry((taking.item, taking.warehouse)).or_insert_with(empty);
        match taking.day {
            Some(day) => of.dated.push((day, taking.quantity)),
            // A sum out of range stays a dated entry, where it ends the item's promises by the same overflow.
            None => match of.shelf.checked_add(taking.quantity) {
                Some(shelf) => of.shelf = shelf,
                None => of.dated.push((0, taking.quantity)),
            },
        }
    }
}
