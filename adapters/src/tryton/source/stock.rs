//! Stock and supply of one item, out of Tryton's moves.
//!
//! | figure | out of |
//! |---|---|
//! | on hand | done moves into the warehouse's places (input, storage, output) less those out of them: what is picked and not shipped is still there |
//! | quarantine | of that, what lies in the input place: received, and not put away |
//! | allocated | open moves out of the warehouse to a customer, whether goods are set aside for them or not; of a confirmed order also what has no move yet; of other moves out of it those that are assigned |
//! | supply | open moves into the warehouse from outside of it, and those that put received goods away |
//!
//! So an order of ours is contained in the figures from its confirmation on, whole: first as allocated, later as gone.
//! That is what `reflects` says, and it does not take it back when a part is shipped, a move split or cancelled. A
//! name that vanishes with its document, as after a restore, is said with quantity 0 once.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::change::{Reflected, ReflectedLine, StockSet, SupplySet};
use pannier_protocol::{Decimal, ItemId, LineId, SupplyReference, Timestamp, UomCode, WarehouseId};

use super::row::{Move, MoveState, Origin, Place, Sale, SaleState, Uom};
use super::table::Id;
use super::tables::Tables;
use crate::limits::{REFLECTED_KEPT_MS, REFLECTED_LINES_MAX};

/// Where a location is, as far as stock is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Zone {
    pub(super) warehouse: Id,
    /// Received, and not put away.
    pub(super) is_input: bool,
}

/// Zones of all locations, and the warehouses' names.
#[derive(Debug, Default)]
pub(super) struct Places {
    zones: BTreeMap<Id, Zone>,
    warehouses: BTreeMap<Id, WarehouseId>,
}

impl Places {
    pub(super) fn of(tables: &Tables) -> Self {
        let mut places = Self::default();
        for (id, location) in &tables.locations {
            if location.place == Place::Warehouse && location.is_active {
                // One without a code has no name that anybody could ask for.
                places.warehouses.extend(WarehouseId::new(&location.code).ok().map(|name| (*id, name)));
            }
            places.zones.extend(zone(tables, *id).map(|zone| (*id, zone)));
        }
        places
    }

    fn zone(&self, location: Id) -> Option<Zone> {
        self.zones.get(&location).copied()
    }
}

/// Through what is above it. A warehouse's storage may be its input too: then goods are put away when they come.
fn zone(tables: &Tables, location: Id) -> Option<Zone> {
    let above = |id: Id| tables.locations.get(&id).and_then(|it| it.parent);
    let path: Vec<Id> = std::iter::successors(Some(location), |id| above(*id)).take(DEPTH_MAX).collect();
    let place = tables.locations.get(&location)?.place;
    let warehouse = path
        .iter()
        .copied()
        .find(|id| tables.locations.get(id).is_some_and(|it| it.place == Place::Warehouse))?;
    let of = tables.locations.get(&warehouse)?;
    let within = |id: Option<Id>| id.is_some_and(|id| path.contains(&id));
    let is_input = within(of.input) && !within(of.storage);
    (place == Place::Storage).then_some(Zone { warehouse, is_input })
}

/// Locations above each other.
const DEPTH_MAX: usize = 32;

/// What is said of one item's stock.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Stock {
    pub(super) cells: BTreeMap<WarehouseId, StockSet>,
    pub(super) supply: BTreeMap<(WarehouseId, SupplyReference), SupplySet>,
    /// Sale lines that nobody will ask about any more.
    pub(super) closed: Vec<Id>,
    /// Names that are left out without being taken back: long shipped, or too many.
    pub(super) left_out: BTreeSet<Name>,
}

/// An order and its line.
pub(super) type Name = (String, String);

#[derive(Debug, Default)]
struct Cell {
    on_hand: i128,
    input: i128,
    allocated: i128,
    /// By order and line: when its sale was last written, whether it is under way, and the quantity.
    named: BTreeMap<Name, Named>,
}

#[derive(Debug, Default)]
struct Named {
    is_open: bool,
    written: Option<Timestamp>,
    quantity: i128,
}

/// Whether the figures contain what a sale takes.
fn counts(sale: &Sale) -> bool {
    match sale.state {
        SaleState::Open => false,
        SaleState::Confirmed | SaleState::Done => true,
        // Shipments that are not made by themselves take nothing until somebody makes them.
        SaleState::Processing => sale.shipment_state != "none",
    }
}

/// Nothing more will leave for it.
fn is_sent(sale: &Sale) -> bool {
    sale.state == SaleState::Done || sale.shipment_state == "sent"
}

/// Stock of `product`, known to others as `item`.
pub(super) fn stock(
    tables: &Tables,
    places: &Places,
    product: Id,
    item: &ItemId,
    now: Timestamp,
) -> Option<Stock> {
    let template = tables.templates.get(&tables.products.get(&product)?.template)?;
    let base = tables.uoms.get(&template.uom)?;
    let uom = UomCode::new(&base.symbol).ok().filter(|_| template.is_stocked)?;
    let mut cells: BTreeMap<Id, Cell> = BTreeMap::new();
    let mut stock = Stock::default();
    for (&(_, location), quantity) in tables.sums.settled.range((product, Id::MIN)..=(product, Id::MAX)) {
        let Some(zone) = places.zone(location) else { continue };
        let cell = cells.entry(zone.warehouse).or_default();
        cell.on_hand += quantity;
        cell.input += if zone.is_input { *quantity } else { 0 };
    }
    for id in tables.by.open_moves_of_product.of(product) {
        let Some(of) = tables.moves.get(&id) else { continue };
        if let Some(warehouse) = taken_from(tables, places, of) {
            cells.entry(warehouse).or_default().allocated += i128::from(of.quantity);
        }
        if let Some(warehouse) = comes_to(tables, places, of)
            && let (Some(name), Some(date)) = (places.warehouses.get(&warehouse), of.planned)
            && let Some(reference) = reference(tables, of, id)
        {
            let key = (name.clone(), reference.clone());
            let (item, uom, quantity) = (item.clone(), uom.clone(), Decimal::from_micros(of.quantity));
            let received = Decimal::ZERO;
            let row = SupplySet { item, warehouse: name.clone(), reference, uom, date, quantity, received };
            stock.supply.insert(key, row);
        }
    }
    for line in tables.by.lines_of_product.of(product) {
        if order_line(tables, base, line, now, &mut cells) {
            stock.closed.push(line);
            stock.left_out.extend(name(tables, line));
        }
    }
    for (warehouse, cell) in cells {
        let Some(name) = places.warehouses.get(&warehouse) else { continue };
        let row = cell.said(item.clone(), name.clone(), uom.clone(), &mut stock.left_out);
        stock.cells.insert(name.clone(), row);
    }
    Some(stock)
}

/// Adds what a sale line takes beyond its moves, and its name. True: nobody will ask about it any more.
fn order_line(tables: &Tables, base: &Uom, line: Id, now: Timestamp, cells: &mut BTreeMap<Id, Cell>) -> bool {
    let Some(row) = tables.sale_lines.get(&line) else { return true };
    let Some(sale) = tables.sales.get(&row.sale) else { return false };
    let age = now.millis_since(sale.written);
    if is_sent(sale) && age > REFLECTED_KEPT_MS {
        return true;
    }
    let unit = row.unit.and_then(|unit| tables.uoms.get(&unit));
    let (Some(warehouse), Some(unit)) = (sale.warehouse, unit) else { return false };
    let quantity = in_base(row.quantity, unit, base);
    if quantity <= 0 || !counts(sale) {
        return false;
    }
    let cell = cells.entry(warehouse).or_default();
    if !is_sent(sale) {
        let meant = tables.sums.meant.get(&line).copied().unwrap_or(0);
        cell.allocated += (quantity - meant).max(0);
    }
    if let Some(name) = name(tables, line) {
        let named = cell.named.entry(name).or_default();
        named.is_open |= !is_sent(sale);
        named.written = named.written.max(Some(sale.written));
        named.quantity += quantity;
    }
    false
}

/// Of a line of an order of ours.
fn name(tables: &Tables, line: Id) -> Option<Name> {
    let row = tables.sale_lines.get(&line)?;
    let order = tables.sales.get(&row.sale)?.reference.clone()?;
    LineId::new(&row.note).is_ok().then(|| (order, row.note.clone()))
}

/// Whose stock an open move takes from.
fn taken_from(tables: &Tables, places: &Places, of: &Move) -> Option<Id> {
    let from = places.zone(of.from)?.warehouse;
    if places.zone(of.to).is_some_and(|to| to.warehouse == from) {
        return None;
    }
    let is_ours = tables.locations.get(&of.to).is_some_and(|it| it.place == Place::Customer);
    let takes = match of.origin {
        Origin::SaleLine(line) if is_ours => {
            let sale = tables.sale_lines.get(&line).and_then(|it| tables.sales.get(&it.sale));
            sale.is_some_and(|sale| sale.state != SaleState::Open)
        }
        Origin::SaleLine(_) | Origin::PurchaseLine(_) | Origin::Other => {
            is_ours || of.state == MoveState::Assigned
        }
    };
    takes.then_some(from)
}

/// Where an open move makes stock that can be promised.
fn comes_to(tables: &Tables, places: &Places, of: &Move) -> Option<Id> {
    let to = places.zone(of.to)?;
    let comes = match places.zone(of.from) {
        Some(from) if from.warehouse == to.warehouse => from.is_input && !to.is_input,
        Some(_) => true,
        None => {
            let from = tables.locations.get(&of.from).map(|it| it.place);
            matches!(from, Some(Place::Supplier | Place::Storage | Place::Production))
        }
    };
    comes.then_some(to.warehouse)
}

/// One name a move: a purchase line that came in parts is several moves, of several days.
fn reference(tables: &Tables, of: &Move, id: Id) -> Option<SupplyReference> {
    let number = match of.origin {
        Origin::PurchaseLine(line) => {
            tables.purchase_lines.get(&line).and_then(|purchase| tables.purchases.get(purchase))
        }
        Origin::SaleLine(_) | Origin::Other => None,
    };
    let named = number.filter(|it| !it.is_empty()).map(|it| format!("{it}/{id}"));
    let named = named.and_then(|text| SupplyReference::new(&text).ok());
    named.or_else(|| SupplyReference::new(&format!("move/{id}")).ok())
}

/// Millionths of `unit` in millionths of `base`, to the nearest.
fn in_base(quantity: i64, unit: &Uom, base: &Uom) -> i128 {
    let (numerator, denominator) = ratio(unit, base);
    if denominator == 0 {
        return 0;
    }
    let exact = i128::from(quantity) * numerator;
    let half = if exact < 0 { -denominator / 2 } else { denominator / 2 };
    (exact + half) / denominator
}

/// How many of `base` one `unit` is, as an exact fraction in lowest terms; 0/0 where a unit has no size.
pub(super) fn ratio(unit: &Uom, base: &Uom) -> (i128, i128) {
    let size = |of: &Uom| {
        let (factor, rate) = (i128::from(of.factor), i128::from(of.rate));
        // Whichever of the two is above 1 is exact: 1/12 has no end as a float.
        if factor >= rate { (factor, MICROS) } else { (MICROS, rate) }
    };
    let ((a, b), (c, d)) = (size(unit), size(base));
    let (numerator, denominator) = (a * d, b * c);
    if numerator <= 0 || denominator <= 0 {
        return (0, 0);
    }
    let divisor = gcd(numerator, denominator);
    (numerator / divisor, denominator / divisor)
}

const MICROS: i128 = 1_000_000;

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn decimal(micros: i128) -> Decimal {
    let most = i128::from(i64::MAX);
    Decimal::from_micros(i64::try_from(micros.clamp(-most, most)).unwrap_or(i64::MAX))
}

impl Cell {
    fn said(
        self,
        item: ItemId,
        warehouse: WarehouseId,
        uom: UomCode,
        left_out: &mut BTreeSet<Name>,
    ) -> StockSet {
        let mut named: Vec<_> = self.named.into_iter().collect();
        // Those under way first, then the latest: what does not fit is what is closed the longest.
        named.sort_by(|(a, of_a), (b, of_b)| {
            (of_b.is_open, of_b.written, a).cmp(&(of_a.is_open, of_a.written, b))
        });
        let surplus = named.drain(REFLECTED_LINES_MAX.min(named.len())..);
        left_out.extend(surplus.map(|(name, _)| name));
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        let line = |((order, line), of): (Name, Named)| ReflectedLine {
            order,
            line,
            quantity: decimal(of.quantity),
        };
        let lines: Vec<_> = named.into_iter().map(line).collect();
        StockSet {
            item,
            warehouse,
            uom,
            class: None,
            on_hand: decimal(self.on_hand),
            allocated: decimal(self.allocated.max(0)),
            quarantine: decimal(self.input.max(0)),
            on_hand_is_net: false,
            receipts: Vec::new(),
            reflects: (!lines.is_empty()).then_some(Reflected::Lines(lines)),
        }
    }
}

/// The names of a cell.
pub(super) fn names(of: &StockSet) -> BTreeSet<Name> {
    match &of.reflects {
        Some(Reflected::Lines(lines)) => lines.iter().map(|it| (it.order.clone(), it.line.clone())).collect(),
        Some(Reflected::Position(_)) | None => BTreeSet::new(),
    }
}
