//! What the sources said, as it stands now.

use std::collections::BTreeMap;

use pannier_protocol::change::{Reflected, SupplySet};
use pannier_protocol::{AccountId, Change, ContractId, ItemId, LocalDate, SourceId, WarehouseId};

use super::{Micros, micros};

/// Which orders a figure contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Contains {
    /// Base quantity (or amount) by order and line.
    Named(BTreeMap<(String, String), Micros>),
    UpTo(u64),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Figure {
    pub(crate) sellable: Micros,
    pub(crate) contains: Option<Contains>,
}

#[derive(Debug, Clone)]
pub(crate) struct Supply {
    pub(crate) date: LocalDate,
    pub(crate) quantity: Micros,
}

#[derive(Debug, Clone)]
pub(crate) struct Credit {
    pub(crate) limit: Option<Micros>,
    pub(crate) balance: Micros,
    pub(crate) blocked: bool,
    pub(crate) contains: Option<Contains>,
}

#[derive(Debug, Clone)]
pub(crate) struct Cap {
    pub(crate) left: Micros,
    pub(crate) contains: Option<Contains>,
}

/// What one source said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) figures: BTreeMap<(ItemId, WarehouseId), Figure>,
    pub(crate) supply: BTreeMap<(ItemId, WarehouseId, String), Supply>,
    pub(crate) safety: BTreeMap<(ItemId, WarehouseId), Micros>,
    pub(crate) oversell: BTreeMap<ItemId, bool>,
    pub(crate) credit: BTreeMap<AccountId, Credit>,
    pub(crate) caps: BTreeMap<(ContractId, Option<ItemId>), Cap>,
}

#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) said: BTreeMap<SourceId, Said>,
    /// Snapshots that have begun.
    begun: BTreeMap<SourceId, Said>,
}

impl Sources {
    pub(crate) fn of(&self, source: Option<&SourceId>) -> Option<&Said> {
        self.said.get(source?)
    }

    /// Takes in what a source states; true where figures may have changed.
    pub(super) fn state(&mut self, source: &SourceId, change: &Change) -> bool {
        if matches!(change, Change::Claim(_)) {
            self.begun.remove(source);
        } else if matches!(change, Change::SnapshotBegin(_)) {
            self.begun.insert(source.clone(), Said::default());
        } else if matches!(change, Change::SnapshotEnd(_)) {
            let whole = self.begun.remove(source);
            let ends = whole.is_some();
            self.said.extend(whole.map(|said| (source.clone(), said)));
            return ends;
        } else if let Some(begun) = self.begun.get_mut(source) {
            // Of one writer nothing stands between the parts.
            begun.row(change);
        } else {
            self.said.entry(source.clone()).or_default().row(change);
            return true;
        }
        false
    }
}

impl Said {
    fn row(&mut self, row: &Change) {
        if let Change::StockSet(set) = row {
            let allocated = if set.on_hand_is_net { 0 } else { micros(set.allocated) };
            let sellable = micros(set.on_hand) - micros(set.quarantine) - allocated;
            let figure = self.figures.entry((set.item.clone(), set.warehouse.clone())).or_default();
            figure.sellable = sellable;
            contain(&mut figure.contains, set.reflects.as_ref());
        } else if let Change::SupplySet(SupplySet { item, warehouse, reference, date, quantity, .. }) = row {
            let key = (item.clone(), warehouse.clone(), reference.as_str().to_owned());
            self.supply.insert(key, Supply { date: *date, quantity: micros(*quantity) });
        } else if let Change::SafetySet(set) = row {
            self.safety.insert((set.item.clone(), set.warehouse.clone()), micros(set.quantity));
        } else if let Change::OversellSet(set) = row {
            self.oversell.insert(set.item.clone(), set.allowed);
        } else if let Change::Credit(set) = row {
            let contains = self.credit.get(&set.account).and_then(|credit| credit.contains.clone());
            let (limit, balance) = (set.limit.map(micros), micros(set.balance));
            let mut credit = Credit { limit, balance, blocked: set.blocked, contains };
            contain(&mut credit.contains, set.reflects.as_ref());
            self.credit.insert(set.account.clone(), credit);
        } else if let Change::Cap(set) = row {
            let key = (set.contract.clone(), set.item.clone());
            let contains = self.caps.get(&key).and_then(|cap| cap.contains.clone());
            let mut cap = Cap { left: (micros(set.limit) - micros(set.consumed)).max(0), contains };
            contain(&mut cap.contains, set.reflects.as_ref());
            self.caps.insert(key, cap);
        }
    }
}

/// What is said of orders stands until it is said anew; a name is said order line by order line.
fn contain(contains: &mut Option<Contains>, said: Option<&Reflected>) {
    match said {
        None => {}
        Some(Reflected::Position(position)) => *contains = Some(Contains::UpTo(*position)),
        Some(Reflected::Lines(lines)) => {
            let mut named = match contains.take() {
                Some(Contains::Named(named)) => named,
                Some(Contains::UpTo(_)) | None => BTreeMap::new(),
            };
            let said = lines.iter().map(|it| ((it.order.clone(), it.line.clone()), micros(it.quantity)));
            named.extend(said);
            *contains = Some(Contains::Named(named));
        }
    }
}
