//! When an account can have how much of an item, and from where.
//!
//! The problem: stock is said by several sources, about several warehouses, with supply to come, demand that is
//! dated, lots that expire and kits that hold nothing; and a promise must not take what a later demand or an
//! earlier line of the same basket needs. Rejected: summing on hand over warehouses and subtracting, which
//! promises the same piece twice and half of a kit here and half there.
//!
//! The design: what one warehouse has of an item by day is read of the sources that own the rows, and the
//! arithmetic of `crate::sourcing` spreads the line. What the plan takes is noted in [`Taken`] when the caller
//! decides that the line stands, and the next line finds less.

mod offers;
mod reader;
mod recipe;
mod sources;

#[cfg(test)]
mod tests;

use pannier_protocol::api::{Availability, AvailabilityStatus, ScheduleEntry, WarehouseAvailability};
use pannier_protocol::change::{ItemStatus, SourcingMode};
use pannier_protocol::{Decimal, ItemId, LocalDate, Timestamp};

use crate::catalog::{AccountContext, CatalogTables, ItemRecord, OrderUnit, PolicySet};
use crate::dictionary::{Dictionary, WarehouseNo};
use crate::freshness::Consulted;
use crate::ledger::LedgerTables;
use crate::limits::SCHEDULE_ENTRIES_MAX;
use crate::live::LiveStock;
use crate::quantity::Exact;
use crate::sourcing::{self, Ladder, Need, Plan, Position, Sourced, Taking};

pub use crate::sourcing::Taken;
pub use offers::{Candidate, OfferQuestion, candidates};
pub use reader::Flags;
pub(crate) use sources::sources;

use reader::{Reader, Records};
use recipe::recipe;

/// One line, as far as stock goes.
#[derive(Clone, Copy)]
pub struct StockQuestion<'a> {
    pub ledger: &'a LedgerTables,
    pub catalog: &'a CatalogTables,
    pub dictionary: &'a Dictionary,
    /// Without: an anonymous visitor, for whom all warehouses are eligible.
    pub account: Option<&'a AccountContext>,
    pub item: &'a ItemRecord,
    pub unit: OrderUnit,
    /// Of the unit; rounded up to what can be ordered.
    pub quantity: Decimal,
    /// Ship from this warehouse only; one that is not eligible leaves none.
    pub warehouse: Option<&'a str>,
    pub requested_date: Option<LocalDate>,
    /// See [`today`].
    pub today: LocalDate,
    /// Holds that end until then count nothing.
    pub now: Timestamp,
    /// What sources said when they were asked, in place of their tables.
    pub live: &'a [LiveStock],
}

/// What can be promised of a line. It takes nothing until [`Promise::take`].
#[derive(Debug, Clone)]
pub struct Promise {
    /// With all warehouses and the whole schedule; the caller leaves out what was not asked for.
    pub availability: Availability,
    pub consulted: Consulted,
    pub flags: Flags,
    takings: Vec<Taking>,
}

impl Promise {
    /// The line stands: later lines do not find what it takes.
    pub fn take(&self, taken: &mut Taken) {
        self.takings.iter().for_each(|taking| taken.add(taking));
    }

    /// Whether the whole line can leave now; what is offered in its place depends on it.
    pub fn is_in_stock(&self) -> bool {
        self.availability.status == AvailabilityStatus::InStock
    }
}

/// The business day at `now`; `None` past the calendar.
pub fn today(policies: &PolicySet, now: Timestamp) -> Option<LocalDate> {
    policies.business_zone.date_at(now)
}

/// What of the line can leave when and where, given what earlier lines took.
pub fn promise(question: &StockQuestion<'_>, taken: &Taken) -> Promise {
    let mut reader = Reader::new(question);
    let ingredients = recipe(question.catalog, question.item, &mut reader.consulted);
    let records: Vec<Records<'_>> =
        ingredients.iter().map(|ingredient| reader.records(ingredient.item.record())).collect();
    let warehouses = eligible(question, &mut reader, &records);

    let mode = mode(question.catalog, question.account);
    let needs: Option<Vec<Need>> =
        ingredients.iter().map(|ingredient| ingredient.need(question.unit.factor)).collect();
    let line = Sourced { needs: needs.as_deref(), mode, step: step(&question.unit), taken };
    let ladders: Vec<Ladder> = warehouses
        .iter()
        .map(|warehouse| {
            let positions = records.iter().map(|records| reader.position(records, *warehouse));
            line.ladder(*warehouse, &positions.collect::<Vec<Position>>())
        })
        .collect();
    let plan = sourcing::plan(&ladders, question.quantity, mode);
    Promise {
        availability: answer(question, &ladders, &plan),
        consulted: reader.consulted,
        flags: reader.flags,
        takings: line.takings(&ladders, &plan),
    }
}

/// The items whose stock a line rests on: the item itself, or the components of a kit.
pub(crate) fn stocked(catalog: &CatalogTables, item: &ItemRecord) -> Vec<ItemId> {
    let ingredients = recipe(catalog, item, &mut Consulted::default());
    ingredients.iter().map(|ingredient| ingredient.item.record().id.clone()).collect()
}

/// How the lines of an account are spread.
pub(crate) fn mode(catalog: &CatalogTables, account: Option<&AccountContext>) -> SourcingMode {
    account.and_then(AccountContext::sourcing).unwrap_or(catalog.policies.sourcing.mode)
}

/// On hand less all that lowers it, in base units and by warehouse id, negative where it is: what operators see
/// where a promise says 0. Kits have none of their own.
pub fn raw_available(question: &StockQuestion<'_>) -> Vec<(WarehouseNo, Exact)> {
    let mut reader = Reader::new(question);
    let records = [reader.records(question.item)];
    let warehouses = eligible(question, &mut reader, &records);
    let raw = warehouses.into_iter().map(|warehouse| {
        let shelf = reader.position(&records[0], warehouse).shelf;
        Exact::new(shelf, i128::from(Decimal::SCALE)).map(|shelf| (warehouse, shelf))
    });
    raw.flatten().collect()
}

/// In sourcing order, narrowed to the one that the line names. Without an order of the account's: all, by id.
fn eligible(
    question: &StockQuestion<'_>,
    reader: &mut Reader<'_>,
    records: &[Records<'_>],
) -> Vec<WarehouseNo> {
    let names = &question.dictionary.warehouses;
    let named = question.account.map(AccountContext::warehouses).unwrap_or_default();
    let mut warehouses = named.to_vec();
    if named.is_empty() {
        warehouses = records.iter().flat_map(|records| reader.warehouses(records)).collect();
        warehouses.sort_unstable_by(|a, b| names.name(*a).cmp(names.name(*b)));
    }
    let mut seen = Vec::with_capacity(warehouses.len());
    warehouses.retain(|warehouse| {
        let first = !seen.contains(warehouse);
        seen.push(*warehouse);
        first && question.warehouse.is_none_or(|only| names.name(*warehouse) == only)
    });
    warehouses
}

/// What is counted is whole units, except where the unit's multiple is itself a fraction of one.
fn step(unit: &OrderUnit) -> Decimal {
    let fraction = unit.multiple.filter(|multiple| multiple.is_positive());
    fraction.filter(|multiple| multiple.micros() % Decimal::SCALE != 0).unwrap_or(Decimal::ONE)
}

fn answer(question: &StockQuestion<'_>, ladders: &[Ladder], plan: &Plan) -> Availability {
    let name = |warehouse: WarehouseNo| question.dictionary.warehouses.name(warehouse).into();
    let available = sourcing::available(ladders);
    let full_date = plan.full_day.and_then(|day| question.today.plus_days(day));
    let warehouses = ladders.iter();
    let warehouses =
        warehouses.map(|at| WarehouseAvailability { warehouse: name(at.warehouse), available: at.now });
    Availability {
        uom: question.dictionary.uoms.name(question.unit.uom).into(),
        status: status(question.item, available, plan),
        available,
        backorder_allowed: backorder_allowed(question.item),
        multiple: question.unit.multiple.unwrap_or(Decimal::ONE),
        minimum: question.unit.minimum.unwrap_or(Decimal::ONE),
        earliest_full_date: full_date,
        requested_date_met: question
            .requested_date
            .map(|requested| full_date.is_some_and(|full| full <= requested)),
        warehouses: Some(warehouses.collect()),
        schedule: Some(schedule(question, ladders, plan)),
    }
}

/// A discontinued item is sold out and not bought again, whatever its record says of backorders.
fn backorder_allowed(item: &ItemRecord) -> bool {
    item.backorder && item.status == ItemStatus::Active
}

fn status(item: &ItemRecord, available: Decimal, plan: &Plan) -> AvailabilityStatus {
    let whole_now = plan.full_day.is_some() && plan.shipments.iter().all(|shipment| shipment.day.is_none());
    match item.status {
        ItemStatus::Active | ItemStatus::Discontinued if whole_now => AvailabilityStatus::InStock,
        ItemStatus::Active | ItemStatus::Discontinued if available.is_positive() => {
            AvailabilityStatus::Partial
        }
        ItemStatus::Discontinued => AvailabilityStatus::Discontinued,
        ItemStatus::Active if backorder_allowed(item) => AvailabilityStatus::Backorder,
        ItemStatus::Active => AvailabilityStatus::OutOfStock,
    }
}

/// What is on the shelf and what comes today is one entry of a warehouse. The first
/// [`SCHEDULE_ENTRIES_MAX`] are shown; the full date counts all.
fn schedule(question: &StockQuestion<'_>, ladders: &[Ladder], plan: &Plan) -> Vec<ScheduleEntry> {
    let mut entries: Vec<(i32, usize, Decimal)> = Vec::new();
    for shipment in &plan.shipments {
        let day = shipment.day.unwrap_or(0);
        match entries.iter_mut().find(|(on, at, _)| (*on, *at) == (day, shipment.at)) {
            Some((_, _, sum)) => *sum = sum.checked_add(shipment.quantity).unwrap_or(Decimal::MAX),
            None => entries.push((day, shipment.at, shipment.quantity)),
        }
    }
    entries.sort_unstable_by_key(|(day, at, _)| (*day, *at));
    let shown = entries.into_iter().take(SCHEDULE_ENTRIES_MAX).filter_map(|(day, at, quantity)| {
        let warehouse = question.dictionary.warehouses.name(ladders[at].warehouse).into();
        Some(ScheduleEntry { date: question.today.plus_days(day)?, quantity, warehouse })
    });
    shown.collect()
}
