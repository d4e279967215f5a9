//! Price scopes: contracts, accounts' own prices, groups, promotions and lists.

mod blocks;
mod book;
mod digest;
mod edit;
mod row;
mod saved;
mod scope;
mod terms;

use pannier_protocol::change::PriceScope;

pub(crate) use book::Served;
pub(super) use book::{Part, PriceBook};
pub(crate) use row::RowKey;
pub use row::{Place, Pricing, Row, Target};
pub(super) use saved::FrozenPrices;
pub(crate) use saved::{SavedScope, SavedScopes};
pub use scope::{DatedRow, Header, Scope};
pub use terms::Terms;
pub(crate) use terms::TermsTable;

use crate::dictionary::Dictionary;

/// As in `contract K-7: SKU-4711 BX @DAL`.
pub fn show_row(scope: &PriceScope, place: Place, dictionary: &Dictionary) -> String {
    let mut text = format!("{scope}: {}", place.target.name(dictionary));
    if let Some(uom) = place.uom() {
        text.push(' ');
        text.push_str(dictionary.uoms.name(uom));
    }
    if let Some(warehouse) = place.warehouse() {
        text.push_str(" @");
        text.push_str(dictionary.warehouses.name(warehouse));
    }
    text
}
