//! Records to what they say: rows of one thing gathered, bad ones set aside with their reason.
//!
//! What a row says may need what other files said (an item's units, an account's root, a unit to count in):
//! that is put in by [`super::compose`], so that here a file is a function of its bytes, its mapping and the
//! base units known before.

mod accounts;
mod gather;
mod items;
mod prices;
mod stock;
#[cfg(test)]
mod tests;

use pannier_protocol::change::{Account, Item, KitComponent, Relation};
use pannier_protocol::uom::ItemUom;
use pannier_protocol::{Change, ItemId, UomCode};

use super::mapping::Mapping;
use super::row::{Reject, Row};
use super::sheet::Sheet;
use super::table::FileTable;

/// What a file says, in the order of its rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) body: Body,
    /// Changes that take rows away, after the body: what a later row stated again is not among them.
    pub(super) removed: Vec<Change>,
    pub(super) rejects: Vec<Reject>,
    /// Removals of rows that were rejected with a readable key: in a full file they stay as they were, for a
    /// mistyped price is no reason to take the item off the shelf.
    pub(super) failed: Vec<Change>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Items with the units that stand in their own rows.
    Items(Vec<Item>),
    Uoms(Vec<(ItemId, Vec<ItemUom>)>),
    Kits(Vec<(ItemId, Vec<KitComponent>)>),
    Relations(Vec<(ItemId, Vec<Relation>)>),
    /// Roots are those of the file; `None`: to be found.
    Accounts(Vec<ParsedAccount>),
    /// Each group applies as one.
    Groups(Vec<Vec<Change>>),
}

/// An account whose root may have to be found through its parents.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ParsedAccount {
    pub(super) account: Account,
    pub(super) has_root: bool,
    pub(super) line: u64,
}

impl Default for Body {
    fn default() -> Self {
        Self::Groups(Vec::new())
    }
}

/// Reads all rows. `base_uom` is what this source said before of an item.
pub(super) fn parse(
    sheet: &Sheet,
    mapping: &Mapping,
    base_uom: &dyn Fn(&ItemId) -> Option<UomCode>,
) -> Parsed {
    let rows: Vec<Row<'_>> = sheet.rows.iter().map(|record| Row::new(record, sheet, mapping)).collect();
    let stock = stock::Units { base_uom };
    match mapping.table {
        FileTable::Items => items::items(&rows),
        FileTable::Uoms => items::uoms(&rows),
        FileTable::Kits => items::kits(&rows),
        FileTable::Relations => items::relations(&rows),
        FileTable::References => items::references(&rows),
        FileTable::Accounts => accounts::accounts(&rows),
        FileTable::Credit => accounts::credit(&rows),
        FileTable::Scopes => prices::scopes(&rows),
        FileTable::Prices => prices::prices(&rows),
        FileTable::Caps => prices::caps(&rows),
        FileTable::Stock => stock::stock(&rows, &stock),
        FileTable::Supply => stock::supply(&rows, &stock),
        FileTable::Lots => stock::lots(&rows, &stock),
        FileTable::Safety => stock::safety(&rows, &stock),
    }
}
