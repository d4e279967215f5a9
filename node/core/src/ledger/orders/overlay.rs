//! What is promised and in no figure yet, kept as the figures move (semantics 2.11).
//!
//! A source says by name or by position which orders its figure contains. Both are read off the cell as it stands, so
//! a snapshot of a restored ERP, which does not contain an order any more, puts the promise back by itself.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::{Decimal, OrderId, Timestamp};

use super::outbox::AlarmKind;
use super::record::{LineRecord, OrderRecord, Promise, Take, takes};
use super::state::{CellName, Owner};
use super::stock::Stock;
use super::{At, Orders};
use crate::dictionary::{ItemNo, WarehouseNo};
use crate::ledger::stock::{covers, named};
use crate::ledger::{Promised, When};
use crate::limits::OVERLAY_AGE_MS_MAX;

/// How much of an order's line a figure says to contain, of one item at one warehouse.
fn contained(
    stock: &Stock<'_>,
    order: &OrderRecord,
    line: &LineRecord,
    warehouse: &str,
    take: &Take,
) -> Decimal {
    let contained = || {
        let source = take.source.as_ref()?;
        let item = stock.dictionary.items.get(take.item.as_str())?;
        let record = stock.chains.get(source)?.rows().find_item(item)?;
        let cell = record.cell(stock.dictionary.warehouses.get(warehouse)?)?;
        let reflects = cell.reflects();
        if order.reflected_from.get(source).is_some_and(|from| covers(reflects, *from)) {
            return Some(Decimal::MAX);
        }
        named(reflects, &order.placed.order.to_string(), line.line.as_str())
    };
    contained().unwrap_or(Decimal::ZERO).clamped()
}

impl Orders {
    /// Reads again what figures contain of an order; `None` where nothing changed. What is named is cumulative for
    /// line and warehouse, so a line that takes from one warehouse now and later divides it, first part first.
    pub(super) fn reflected(&self, stock: &Stock<'_>, order: &OrderRecord) -> Option<OrderRecord> {
        let mut after = order.clone();
        let mut changed = false;
        for (at, line) in order.lines.iter().enumerate() {
            let mut left: BTreeMap<(&str, &str), Decimal> = BTreeMap::new();
            for (a, allocation) in line.allocations.iter().enumerate() {
                let warehouse = allocation.warehouse.as_str();
                for (t, take) in allocation.takes.iter().enumerate() {
                    let left = left
                        .entry((warehouse, take.item.as_str()))
                        .or_insert_with(|| contained(stock, order, line, warehouse, take));
                    let reflected = take.quantity.min(*left);
                    *left = left.checked_sub(reflected).map_or(Decimal::ZERO, Decimal::clamped);
                    changed |= reflected != take.reflected;
                    after.lines[at].allocations[a].takes[t].reflected = reflected;
                }
            }
        }
        changed.then_some(after)
    }

    /// Figures of these items changed, or what an order says of itself did.
    pub(super) fn reflect(&mut self, at: &mut At<'_>, items: &BTreeSet<ItemNo>) {
        let owners: BTreeSet<Owner> =
            items.iter().filter_map(|it| self.index.by_item.get(it)).flatten().copied().collect();
        for owner in owners {
            let Owner::Order(id) = owner else { continue };
            let Some(before) = self.reader.order(&id) else { continue };
            let Some(after) = self.reflected(&at.stock, &before) else { continue };
            let forgot =
                takes(&before.lines).zip(takes(&after.lines)).any(|(old, new)| new.reflected < old.reflected);
            if forgot {
                let reason = format!(
                    "the source's figures do not contain order {id} any more: see that its backend has it"
                );
                at.alarm(self, AlarmKind::Restored, Some(id), reason);
            }
            self.put_order(at, after);
        }
        for item in items {
            self.show_item(at, *item);
        }
    }

    /// Writes what lookups and verdicts see as promised of an item, and tells a cell that is promised beyond what
    /// there is.
    pub(super) fn show_item(&mut self, at: &mut At<'_>, item: ItemNo) {
        let warehouses = self.show_promises(at, item);
        self.tell_overcommit(at, item, &warehouses);
    }

    /// As [`Orders::show_item`], while more of the same command is to come: nobody is told. Returns where something is
    /// promised.
    pub(super) fn show_promises(&self, at: &At<'_>, item: ItemNo) -> BTreeSet<WarehouseNo> {
        let owners = self.index.by_item.get(&item).cloned().unwrap_or_default();
        let mut promised = Vec::new();
        for owner in &owners {
            match owner {
                Owner::Order(id) => {
                    let order = self.reader.order(id);
                    promised.extend(order.iter().flat_map(|it| at.promised(&it.lines, item, None)));
                }
                Owner::Hold(id) => {
                    let hold = self.reader.hold(id);
                    promised
                        .extend(hold.iter().flat_map(|it| at.promised(&it.lines, item, Some(it.expires_at))));
                }
            }
        }
        let warehouses = promised.iter().map(|it| it.warehouse).collect();
        at.stock.promises.put(item, promised);
        warehouses
    }

    fn tell_overcommit(&mut self, at: &mut At<'_>, item: ItemNo, warehouses: &BTreeSet<WarehouseNo>) {
        let known: Vec<_> = self.index.overcommitted.iter().filter(|(of, _)| *of == item).copied().collect();
        for (_, warehouse) in known.into_iter().filter(|(_, warehouse)| !warehouses.contains(warehouse)) {
            self.overcommitted(at, (item, warehouse), false);
        }
        for warehouse in warehouses {
            let short = at.is_overcommitted(item, *warehouse);
            if self.overcommitted(at, (item, *warehouse), short) && short {
                let names = at.stock.dictionary;
                let (item, place) = (names.items.name(item), names.warehouses.name(*warehouse));
                let reason = format!(
                    "{item} at {place}: the source has less than is promised; decide which orders wait"
                );
                at.alarm(self, AlarmKind::Overcommit, None, reason);
            }
        }
    }

    /// Notes whether more of a cell is promised than there is; true where that is news.
    fn overcommitted(&mut self, at: &At<'_>, (item, warehouse): (ItemNo, WarehouseNo), short: bool) -> bool {
        let known = &mut self.index.overcommitted;
        let is_news = if short { known.insert((item, warehouse)) } else { known.remove(&(item, warehouse)) };
        if is_news {
            let names = at.stock.dictionary;
            let item = names.items.name(item).into();
            let cell = CellName { item, warehouse: names.warehouses.name(warehouse).into() };
            let since = short.then_some(at.position);
            self.digest = self.digest.wrapping_add(self.reader.0.set_overcommit(cell, since));
        }
        is_news
    }

    /// An operator says that figures contain what an order promised.
    pub(super) fn release_overlay(
        &mut self,
        at: &mut At<'_>,
        mut order: OrderRecord,
        line: Option<&str>,
        what: String,
    ) {
        let mut items = BTreeSet::new();
        for record in order.lines.iter_mut().filter(|it| line.is_none_or(|line| it.line.as_str() == line)) {
            items.extend(takes(std::slice::from_ref(record)).map(|it| at.item(&it.item)));
            record.allocations.clear();
        }
        at.step(&mut order, what);
        self.put_order(at, order);
        items.into_iter().for_each(|item| self.show_item(at, item));
    }

    /// Long after the backend had the order, figures still do not contain it.
    pub(super) fn overlay_is_old(&mut self, at: &mut At<'_>, id: &OrderId, time: Timestamp) {
        let is_old = |order: &OrderRecord| {
            order.acknowledged_at.is_some_and(|since| since.plus_millis(OVERLAY_AGE_MS_MAX) == time)
        };
        // It may have got another generation since, which is told by its own time.
        let open = self.reader.order(id).is_some_and(|order| order.is_open_on_stock() && is_old(&order));
        if open {
            let reason = format!("order {id} is in no figure of its source: confirm it there, or release it");
            at.alarm(self, AlarmKind::Overlay, Some(*id), reason);
        }
    }
}

impl At<'_> {
    pub(super) fn item(&self, item: &pannier_protocol::ItemId) -> ItemNo {
        self.stock.dictionary.items.intern(item.as_str())
    }

    fn promised(&self, lines: &[LineRecord], item: ItemNo, expires: Option<Timestamp>) -> Vec<Promised> {
        let names = self.stock.dictionary;
        let allocations = lines.iter().flat_map(|line| &line.allocations);
        let of_item = allocations.flat_map(|allocation| {
            let takes = allocation.takes.iter().filter(|take| self.item(&take.item) == item);
            takes.map(move |take| Promised {
                warehouse: names.warehouses.intern(allocation.warehouse.as_str()),
                when: match allocation.when {
                    Promise::Now => When::Now,
                    Promise::On(date) => When::On(date),
                    Promise::Someday => When::Someday,
                },
                expires,
                uom: names.uoms.intern(take.uom.as_str()),
                quantity: take.open(),
            })
        });
        of_item.collect()
    }

    /// Whether more is promised from the shelf than any source has there.
    fn is_overcommitted(&self, item: ItemNo, warehouse: WarehouseNo) -> bool {
        let promised = self.stock.promises.of(item);
        let now = promised.iter().flat_map(|it| it.at(warehouse)).filter(|it| it.when == When::Now);
        let promised: i128 = now.map(|it| i128::from(it.quantity.micros())).sum();
        let records = self.stock.chains.values().filter_map(|chain| chain.rows().find_item(item));
        let mut oversold = false;
        let shelves = records.filter_map(|record| {
            oversold |= record.oversell().is_some_and(|it| it.allowed);
            record.cell(warehouse).map(crate::ledger::StockCell::sellable)
        });
        let most = shelves.max().unwrap_or(0);
        promised > 0 && promised > most && !oversold
    }
}
