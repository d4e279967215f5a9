//! One price row as tables keep it: 40 bytes, with what few rows have beside.

use std::sync::Arc;

use pannier_protocol::change::{Break, Method, PriceKey, PriceRow};
use pannier_protocol::{Currency, Decimal, Timestamp};
use serde::{Deserialize, Serialize};

use super::terms::{Terms, TermsNo, TermsTable};
use crate::dictionary::{ClassNo, Dictionary, ItemNo, UomNo, WarehouseNo};
use crate::rows::RowVersion;

/// An item or a product class. Item numbers stay below 2^31: the upper half is classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target(pub(super) u32);

/// The number that stands for "none" in a place.
pub(super) const NONE: u32 = u32::MAX;

impl Target {
    pub(super) const CLASS: u32 = 1 << 31;

    pub fn item(item: ItemNo) -> Self {
        assert!(item.0 < Self::CLASS, "fewer than 2^31 items are interned");
        Self(item.0)
    }

    pub fn class(class: ClassNo) -> Self {
        assert!(class.0 < Self::CLASS - 1, "fewer than 2^31 classes are interned");
        Self(class.0 | Self::CLASS)
    }

    pub fn is_class(self) -> bool {
        self.0 & Self::CLASS != 0
    }

    /// `None`: it is a class.
    pub(crate) fn item_no(self) -> Option<ItemNo> {
        (!self.is_class()).then_some(ItemNo(self.0))
    }

    /// The item's or the class's id.
    pub fn name(self, dictionary: &Dictionary) -> &str {
        if self.is_class() {
            dictionary.classes.name(ClassNo(self.0 & !Self::CLASS))
        } else {
            dictionary.items.name(ItemNo(self.0))
        }
    }
}

/// What a row prices; rows are sorted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub target: Target,
    pub(super) warehouse: u32,
    pub(super) uom: u32,
}

impl Place {
    pub fn new(target: Target, warehouse: Option<WarehouseNo>, uom: Option<UomNo>) -> Self {
        Self { target, warehouse: warehouse.map_or(NONE, u32::from), uom: uom.map_or(NONE, u32::from) }
    }

    /// Interns a checked key.
    pub(super) fn of_key(key: &PriceKey, dictionary: &Dictionary) -> Option<Self> {
        let target = match (&key.item, &key.class) {
            (Some(item), None) => Target::item(dictionary.items.intern(item.as_str())),
            (None, Some(class)) => Target::class(dictionary.classes.intern(class.as_str())),
            (None, None) | (Some(_), Some(_)) => return None,
        };
        let warehouse = key.warehouse.as_ref().map(|id| dictionary.warehouses.intern(id.as_str()));
        let uom = key.uom.as_ref().map(|uom| dictionary.uoms.intern(uom.as_str()));
        Some(Self::new(target, warehouse, uom))
    }

    /// The least place of this target and warehouse.
    pub(super) fn first_of(target: Target, warehouse: Option<WarehouseNo>) -> Self {
        Self { target, warehouse: warehouse.map_or(NONE, u32::from), uom: 0 }
    }

    pub fn warehouse(self) -> Option<WarehouseNo> {
        (self.warehouse != NONE).then_some(WarehouseNo(self.warehouse))
    }

    /// The unit priced; `None`: the item's base unit.
    pub fn uom(self) -> Option<UomNo> {
        (self.uom != NONE).then_some(UomNo(self.uom))
    }

    /// Differs from `other` in the unit at most.
    pub(super) fn same_shelf(self, other: Self) -> bool {
        (self.target, self.warehouse) == (other.target, other.warehouse)
    }
}

/// Which row of its scope: of two with one identity the later replaces the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct RowKey {
    pub place: Place,
    pub currency: Currency,
    #[serde(with = "crate::checkpoint::instant")]
    pub start: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub place: Place,
    pub(super) terms: TermsNo,
    /// Of the first break.
    value: Decimal,
    pub version: RowVersion,
    #[serde(with = "crate::checkpoint::shared_option")]
    pub(super) extra: Option<Arc<Extra>>,
}

/// Of rows that are more than one fixed price of one unit from 0 on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Extra {
    per: u32,
    method: Method,
    pub(super) break_uom: Option<UomNo>,
    breaks: Box<[Break]>,
}

/// How a row prices, whether it has extras or not.
#[derive(Debug, Clone, Copy)]
pub struct Pricing<'a> {
    /// 1, 100 or 1000.
    pub per: u32,
    pub method: &'a Method,
    /// The unit of the bounds; `None`: the row's.
    pub break_uom: Option<UomNo>,
    value: Break,
    breaks: Option<&'a [Break]>,
}

impl Pricing<'_> {
    /// Ascending; at least one.
    pub fn breaks(&self) -> &[Break] {
        self.breaks.unwrap_or(std::slice::from_ref(&self.value))
    }
}

impl Row {
    pub(super) fn new(
        row: &PriceRow,
        terms: TermsNo,
        version: RowVersion,
        dictionary: &Dictionary,
    ) -> Option<Self> {
        let first = *row.breaks.first()?;
        let plain = row.per == 1 && row.method == Method::Fixed && row.break_uom.is_none();
        let extra = if plain && row.breaks.len() == 1 && first.0.is_zero() {
            None
        } else {
            Some(Arc::new(Extra {
                per: row.per,
                method: row.method.clone(),
                break_uom: row.break_uom.as_ref().map(|uom| dictionary.uoms.intern(uom.as_str())),
                breaks: row.breaks.as_slice().into(),
            }))
        };
        Some(Self { place: Place::of_key(&row.key, dictionary)?, terms, value: first.1, version, extra })
    }

    pub fn pricing(&self) -> Pricing<'_> {
        let value = Break(Decimal::ZERO, self.value);
        match &self.extra {
            None => Pricing { per: 1, method: &Method::Fixed, break_uom: None, value, breaks: None },
            Some(extra) => Pricing {
                per: extra.per,
                method: &extra.method,
                break_uom: extra.break_uom,
                value,
                breaks: Some(&extra.breaks),
            },
        }
    }

    pub(super) fn key(&self, terms: &TermsTable) -> RowKey {
        let Terms { currency, start, .. } = terms.get(self.terms);
        RowKey { place: self.place, currency: *currency, start: *start }
    }
}

const _: () = assert!(size_of::<Row>() <= 40);
