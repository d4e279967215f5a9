//! One dispatch of an order at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pannier_protocol::order::OrderId;
use tokio::sync::OwnedMutexGuard;

/// Who is at work on which order; as many entries as tasks are in hand.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<OrderId, Arc<tokio::sync::Mutex<()>>>>);

/// Held as long as the order is worked on.
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    order: OrderId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    pub(super) async fn take(&self, order: OrderId) -> Turn<'_> {
        let mut turn = Turn { turns: self, order, guard: None };
        let queue = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(order).or_default().clone();
        turn.guard = Some(queue.lock_owned().await);
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard = None;
        let mut queues = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.get(&self.order).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use pannier_protocol::{AccountId, IdempotencyKey};

    use super::*;

    fn order(key: &str) -> OrderId {
        OrderId::derive(&AccountId::new("C-1").unwrap(), &IdempotencyKey::new(key).unwrap())
    }

    #[tokio::test]
    async fn an_order_waits_for_itself_only_and_leaves_nothing_behind() {
        let turns = Turns::default();
        let first = turns.take(order("a")).await;
        let other = turns.take(order("b")).await;
        {
            let mut second = std::pin::pin!(turns.take(order("a")));
            assert!(futures_util::poll!(second.as_mut()).is_pending());
            drop(first);
            drop(second.await);
        }
        drop(other);
        assert!(turns.0.lock().unwrap().is_empty());
    }
}
