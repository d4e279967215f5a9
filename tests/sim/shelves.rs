//! The ledger against the shelves themselves, which no model knows: nothing is promised that is not there.

use std::collections::BTreeMap;

use pannier_core::ledger::orders::{LineRecord, Promise};
use pannier_protocol::api::{HoldState, OrderState};

use super::erp::Erp;
use super::model::Model;
use super::node::Core;

/// What is promised from a shelf and has not left it is on it, but for what was taken away behind the ledger's back.
pub(crate) fn hold_what_is_promised(core: &Core, model: &Model, erp: &Erp) -> Result<(), String> {
    let reader = core.ledger.reader();
    let mut claimed: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut claim = |lines: &[LineRecord], shipped: &dyn Fn(usize, usize) -> i64| {
        for (l, line) in lines.iter().enumerate() {
            for (a, allocation) in line.allocations.iter().enumerate() {
                let units = allocation.units.micros() / 1_000_000;
                for take in allocation.takes.iter().filter(|_| allocation.when == Promise::Now && units > 0) {
                    let left = units - shipped(l, a).min(units);
                    // Of what is rounded up a millionth may be left over.
                    let open = take.quantity.micros() / units * left;
                    let place = (take.item.to_string(), allocation.warehouse.to_string());
                    *claimed.entry(place).or_default() += open;
                }
            }
        }
    };
    for order in reader.orders().after(None, usize::MAX, |_| true) {
        let document =
            erp.documents.get(&order.placed.order).filter(|_| order.state != OrderState::Cancelled);
        let name = |l: usize| order.lines[l].line.as_str();
        let shipped = |l: usize, a: usize| {
            let line = document.and_then(|it| it.lines.iter().find(|line| line.name == name(l)));
            line.and_then(|it| it.parts.get(a)).map_or(0, |part| part.shipped)
        };
        if order.state != OrderState::Cancelled {
            claim(&order.lines, &shipped);
        }
    }
    for hold in model.holds.keys().filter_map(|hold| reader.orders().hold(hold)) {
        if hold.state == HoldState::Held && hold.expires_at.millis() > model.clock {
            claim(&hold.lines, &|_, _| 0);
        }
    }
    for (place, claimed) in claimed {
        let shelf = erp.shelves.get(&place).copied().unwrap_or(0);
        let away = erp.taken_away.get(&place).copied().unwrap_or(0);
        if claimed > shelf + away {
            return Err(format!(
                "{place:?}: {claimed} are promised from a shelf that has {shelf} (and lost {away})"
            ));
        }
    }
    Ok(())
}
