//! The hourly export of the WMS: a file of stock a warehouse, lots, and what is kept back.

use super::record::{Calendar, Lines, implied, item_number, with_comma};
use super::{Output, blank};
use crate::sample::distributor::{Distributor, Item, Stock};
use crate::sample::generate::WAREHOUSES;

pub(super) fn write(out: &mut Output, distributor: &Distributor, calendar: Calendar) -> anyhow::Result<()> {
    for warehouse in WAREHOUSES {
        out.file(&format!("STOCK_{warehouse}.DAT"), stock(distributor, warehouse)?)?;
    }
    out.file("LOTS.CSV", lots(distributor, calendar)?)?;
    out.file("SAFETY.CSV", safety(distributor)?)
}

fn cells(distributor: &Distributor) -> impl Iterator<Item = (&Item, &Stock)> {
    distributor.items.iter().flat_map(|item| item.stock.iter().map(move |cell| (item, cell)))
}

/// Fixed width, three implied decimals, the sign behind.
fn stock(distributor: &Distributor, warehouse: &str) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    for (item, cell) in cells(distributor).filter(|(_, cell)| cell.warehouse == warehouse) {
        let quantity = |text: &Option<String>| implied(text.as_deref().unwrap_or("0"), 3, 12);
        lines.fixed(&[
            (&cell.warehouse, 3),
            (&item_number(&item.item)?, 8),
            (&item.base_uom, 3),
            (&implied(&cell.on_hand, 3, 12)?, 12),
            (&quantity(&cell.allocated)?, 12),
            (&quantity(&cell.quarantine)?, 12),
            (if cell.on_hand_is_net { "Y" } else { "N" }, 1),
        ])?;
    }
    Ok(lines)
}

fn lots(distributor: &Distributor, calendar: Calendar) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    lines.line("WHS;ITEM;LOT;QTY;UNIT;EXPIRES");
    for (item, cell) in cells(distributor) {
        for lot in &cell.lots {
            let (number, expires) = (item_number(&item.item)?, calendar.dotted(Some(lot.expires))?);
            let quantity = with_comma(&lot.quantity)?;
            let columns = [&cell.warehouse, &number, &lot.lot, &quantity, &item.base_uom, &expires];
            lines.delimited(';', &columns.map(String::as_str))?;
        }
    }
    Ok(lines)
}

fn safety(distributor: &Distributor) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    lines.line("WHS;ITEM;UNIT;QTY");
    for (item, cell) in cells(distributor).filter(|(_, cell)| cell.safety.is_some()) {
        let quantity = with_comma(blank(&cell.safety))?;
        lines.delimited(';', &[&cell.warehouse, &item_number(&item.item)?, &item.base_uom, &quantity])?;
    }
    Ok(lines)
}
