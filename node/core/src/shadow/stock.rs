//! Cells, supply, lots, safety stock and oversell flags. Supply is compared by day: what a line is called says nothing to
//! a lookup.

use std::collections::BTreeMap;
use std::sync::Arc;

use pannier_protocol::change::Table;
use pannier_protocol::{ClassId, Decimal, LocalDate, LotId, SourceId, WarehouseId};

use super::tally::{Amount, Facts};
use super::{Compared, Comparison, Place, Tallies, by_key, distinct};
use crate::catalog::find_item;
use crate::dictionary::{ClassNo, Dictionary, ItemNo, UomNo, WarehouseNo};
use crate::ledger::{ItemStock, SupplyLine};

/// A quantity of an item, wherever it is said.
#[derive(Debug, PartialEq)]
struct Quantity {
    /// In millionths of `uom`.
    micros: i128,
    uom: UomNo,
    class: Option<ClassNo>,
    expires: Option<LocalDate>,
}

impl Quantity {
    fn new(quantity: Decimal, uom: UomNo) -> Self {
        Self { micros: quantity.micros().into(), uom, class: None, expires: None }
    }
}

impl Compared for Quantity {
    fn facts(&self, names: &Dictionary) -> Facts {
        let quantity =
            i64::try_from(self.micros).map_or(Decimal::from_micros(i64::MAX), Decimal::from_micros);
        let quantity = ("quantity", format!("{quantity} {}", names.uoms.name(self.uom)));
        let class = self.class.map(|class| ("class", names.classes.name(class).to_owned()));
        let expires = self.expires.map(|date| ("expires", date.to_string()));
        let facts = Facts::new([quantity].into_iter().chain(class).chain(expires));
        facts.with(Amount::Of { micros: self.micros, unit: self.uom.into() })
    }
}

/// What one item's quantities go by.
type Shelf = (WarehouseNo, Option<LocalDate>, Option<LotId>);

impl Comparison<'_> {
    pub(super) fn stock(&self, tallies: &mut Tallies) {
        let chains = &self.ledger.chains;
        for item in distinct(chains.iter().map(|chain| chain.rows.item_numbers())) {
            let record = |chain: &crate::ledger::StockChain| chain.rows.find_item(item);
            let records: Vec<(&SourceId, Arc<ItemStock>)> =
                chains.iter().filter_map(|chain| Some((&chain.source, record(chain)?))).collect();
            let class = find_item(self.catalog, item).and_then(|item| item.class_id.clone());
            for (table, rows) in QUANTITIES {
                self.quantities(tallies, table, (item, class.as_ref()), &records, rows);
            }
            self.oversell(tallies, (item, class.as_ref()), &records);
        }
    }

    fn quantities(
        &self,
        tallies: &mut Tallies,
        table: Table,
        (item, class): (ItemNo, Option<&ClassId>),
        records: &[(&SourceId, Arc<ItemStock>)],
        rows: fn(&ItemStock) -> Vec<(Shelf, Quantity)>,
    ) {
        for ((warehouse, date, lot), rows) in by_key(records.iter().map(|(source, it)| (*source, rows(it)))) {
            let name = self.dictionary.warehouses.name(warehouse);
            let id = WarehouseId::new(name).ok();
            self.compare(tallies, Place { table, warehouse: id.as_ref(), class }, &rows, || {
                let item = self.dictionary.items.name(item);
                let date = date.map_or(String::new(), |date| format!(" on {date}"));
                let lot = lot.map_or(String::new(), |lot| format!(" lot {lot}"));
                format!("{item} @{name}{date}{lot}")
            });
        }
    }

    fn oversell(
        &self,
        tallies: &mut Tallies,
        (item, class): (ItemNo, Option<&ClassId>),
        records: &[(&SourceId, Arc<ItemStock>)],
    ) {
        let flag =
            |record: &ItemStock| Some(Facts::new([("oversell", record.oversell()?.allowed.to_string())]));
        let flags = records.iter().filter_map(|(source, it)| Some((*source, flag(it)?))).collect();
        let place = Place { table: Table::Safety, warehouse: None, class };
        self.compare(tallies, place, &flags, || self.dictionary.items.name(item).to_owned());
    }
}

type Quantities = fn(&ItemStock) -> Vec<(Shelf, Quantity)>;

const QUANTITIES: [(Table, Quantities); 4] =
    [(Table::Stock, cells), (Table::Supply, supply), (Table::Lots, lots), (Table::Safety, safety)];

fn cells(record: &ItemStock) -> Vec<(Shelf, Quantity)> {
    let cells = record.cells().iter().map(|cell| {
        let quantity = Quantity { micros: cell.sellable(), uom: cell.uom, class: cell.class, expires: None };
        ((cell.warehouse, None, None), quantity)
    });
    cells.collect()
}

/// What is to come on a day, over all lines of one unit; of several units the first stands for itself.
fn supply(record: &ItemStock) -> Vec<(Shelf, Quantity)> {
    let mut days: BTreeMap<Shelf, Quantity> = BTreeMap::new();
    let lines = record.warehouses().into_iter().flat_map(|warehouse| record.supply(warehouse));
    for SupplyLine { warehouse, date, uom, quantity, .. } in lines {
        let day = days.entry((*warehouse, Some(*date), None)).or_insert(Quantity::new(Decimal::ZERO, *uom));
        if day.uom == *uom {
            day.micros += i128::from(quantity.micros());
        }
    }
    days.into_iter().collect()
}

fn lots(record: &ItemStock) -> Vec<(Shelf, Quantity)> {
    let cells = record.cells().iter().filter_map(|cell| record.lots(cell.warehouse));
    let lots = cells.flat_map(|cell| {
        cell.lots.iter().map(|lot| {
            let quantity = Quantity { expires: lot.expires, ..Quantity::new(lot.quantity, cell.uom) };
            ((cell.warehouse, None, Some(lot.lot.clone())), quantity)
        })
    });
    lots.collect()
}

fn safety(record: &ItemStock) -> Vec<(Shelf, Quantity)> {
    let kept = record.cells().iter().filter_map(|cell| record.safety(cell.warehouse));
    kept.map(|kept| ((kept.warehouse, None, None), Quantity::new(kept.quantity, kept.uom))).collect()
}
