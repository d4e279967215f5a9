//! Orders of which all is to be said again. One that is dispatched anew and has its sale already may have been told about
//! while nobody could follow: it waited for a decision, and what it ships then is an alarm and no more.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pannier_protocol::order::OrderId;

/// Shared by whoever takes orders and whoever tells of them.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Again(Arc<Mutex<BTreeSet<OrderId>>>);

impl Again {
    fn orders(&self) -> MutexGuard<'_, BTreeSet<OrderId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in super::super) fn put(&self, order: OrderId) {
        self.orders().insert(order);
    }

    /// At most so many; they are put back where a look fails.
    pub(super) fn take(&self, most: usize) -> Vec<OrderId> {
        let mut orders = self.orders();
        let taken: Vec<OrderId> = orders.iter().take(most).copied().collect();
        orders.retain(|order| !taken.contains(order));
        taken
    }
}
