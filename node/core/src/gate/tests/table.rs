//! A table as plain as can be: what the real ones must do, one row after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use pannier_protocol::change::{SnapshotScope, Table};
use pannier_protocol::{Change, codec};

use crate::rows::{RowRejection, Rows, Stated};

/// Stock cells and supply lines, by table, item and warehouse, in millionths.
#[derive(Default)]
pub(super) struct Plain(Mutex<BTreeMap<Key, Row>>);

pub(super) type Key = (Table, String, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) quantity: i64,
    pub(super) digest: u128,
}

fn contains(scope: &SnapshotScope, key: &Key) -> bool {
    let table = scope.table == Table::All || scope.table == key.0;
    table && scope.warehouse.as_ref().is_none_or(|warehouse| warehouse.as_str() == key.2)
}

impl Plain {
    pub(super) fn quantities(&self) -> BTreeMap<Key, i64> {
        self.0.lock().unwrap().iter().map(|(key, row)| (key.clone(), row.quantity)).collect()
    }
}

impl Rows for Plain {
    fn aside(&self) -> Self {
        Self::default()
    }

    fn apply(&self, batch: &[Stated<'_>]) -> Vec<RowRejection> {
        let mut rows = self.0.lock().unwrap();
        let mut rejections = Vec::new();
        for Stated { change, version: _ } in batch {
            let digest = codec::change_hash(change);
            if let Change::StockSet(set) = change {
                let key = (Table::Stock, set.item.to_string(), set.warehouse.to_string());
                rows.insert(key, Row { quantity: set.on_hand.micros(), digest });
            } else if let Change::SupplySet(set) = change {
                let key = (Table::Supply, set.item.to_string(), set.warehouse.to_string());
                rows.insert(key, Row { quantity: set.quantity.micros(), digest });
            } else if let Change::StockRemoved(removed) = change {
                rows.remove(&(Table::Stock, removed.item.to_string(), removed.warehouse.to_string()));
            } else if let Change::StockAdjust(adjust) = change {
                let key = (Table::Stock, adjust.item.to_string(), adjust.warehouse.to_string());
                match rows.get_mut(&key) {
                    Some(row) => row.quantity += adjust.on_hand.micros(),
                    None => rejections.push(RowRejection {
                        reason: format!("no cell {}", adjust.item),
                        outdated: Some(adjust.item.clone()),
                    }),
                }
            }
        }
        rejections
    }

    fn rows_count(&self, scope: &SnapshotScope) -> u64 {
        self.0.lock().unwrap().keys().filter(|key| contains(scope, key)).count() as u64
    }

    fn rows_missing_in(&self, aside: &Self, scope: &SnapshotScope) -> u64 {
        let (own, aside) = (self.0.lock().unwrap(), aside.0.lock().unwrap());
        own.keys().filter(|key| contains(scope, key) && !aside.contains_key(*key)).count() as u64
    }

    fn share_outside(&self, aside: &Self, scope: &SnapshotScope) {
        let (own, mut aside) = (self.0.lock().unwrap(), aside.0.lock().unwrap());
        let outside = own.iter().filter(|(key, _)| !contains(scope, key));
        aside.extend(outside.map(|(key, row)| (key.clone(), *row)));
    }

    fn digest(&self) -> u128 {
        self.0.lock().unwrap().values().map(|row| row.digest).fold(0, u128::wrapping_add)
    }
}

impl fmt::Display for Plain {
    /// As in `A=5 A@LAX=2 A~10`: `~` is supply, `DAL` is not named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.quantities().into_iter().map(|((table, item, warehouse), quantity)| {
            let warehouse = if warehouse == "DAL" { String::new() } else { format!("@{warehouse}") };
            let sign = if table == Table::Supply { "~" } else { "=" };
            format!("{item}{warehouse}{sign}{}", quantity / 1_000_000)
        });
        f.write_str(&shown.collect::<Vec<_>>().join(" "))
    }
}
