//! Several nodes of one cluster as one.
//!
//! Nodes are equal, so a call that one of them cannot answer now is asked of the next. A client keeps to the node that
//! answered last: connections stay warm, and `as_of` of one node is seldom ahead of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use pannier_protocol::api::operator::EventPage;
use pannier_protocol::api::{LookupAnswer, LookupRequest, OrderAnswer, OrderRequest, OrderState};
use pannier_protocol::{ChannelId, IdempotencyKey, OrderId};

use crate::error::{AddressError, CallError};
use crate::http::Options;
use crate::limits::{RETRY_PAUSE_MAX, RETRY_PAUSE_MIN};
use crate::node::NodeClient;

/// Nodes by their addresses. Cheap to clone; clones share their connections and which node they keep to.
#[derive(Debug, Clone)]
pub struct Nodes {
    nodes: Arc<[NodeClient]>,
    preferred: Arc<AtomicUsize>,
}

/// What a try came to.
enum Tried<T> {
    Done(T),
    /// It is under way; asked again after a pause.
    Pending(T),
}

impl Nodes {
    /// At least one address, as for [`NodeClient::new`]; the options hold for each try.
    pub fn new<'a>(
        addresses: impl IntoIterator<Item = &'a str>,
        options: &Options,
    ) -> Result<Self, AddressError> {
        let nodes: Result<Arc<[_]>, _> =
            addresses.into_iter().map(|address| NodeClient::new(address, options.clone())).collect();
        let nodes = nodes?;
        if nodes.is_empty() {
            return Err(AddressError { text: String::new() });
        }
        Ok(Self { nodes, preferred: Arc::default() })
    }

    /// The same nodes, beginning with another one: for spreading clients over them.
    #[must_use]
    pub fn beginning_with(&self, at: usize) -> Self {
        Self { nodes: Arc::clone(&self.nodes), preferred: Arc::new(AtomicUsize::new(at % self.nodes.len())) }
    }

    /// A lookup, on the next node where one cannot answer it, for as long as `patience`. The error is the last one.
    pub async fn lookup(
        &self,
        request: &LookupRequest,
        patience: Duration,
    ) -> Result<LookupAnswer, CallError> {
        self.until_answered(patience, |node| async move { Ok(Tried::Done(node.lookup(request).await?)) })
            .await
    }

    /// An order, until its verdict is known, on the next node where one does not give it, for as long as `patience`. An
    /// answer that is still pending then, or an error that [`CallError::is_passing`], leaves open what became of it.
    pub async fn place_order(
        &self,
        key: &IdempotencyKey,
        order: &OrderRequest,
        patience: Duration,
    ) -> Result<OrderAnswer, CallError> {
        let try_on = |node| async move {
            let answer = NodeClient::place_order(node, key, order).await?;
            let pending = answer.state == OrderState::Pending;
            Ok(if pending { Tried::Pending(answer) } else { Tried::Done(answer) })
        };
        self.until_answered(patience, try_on).await
    }

    /// What is known of an order.
    pub async fn order(&self, order: &OrderId, patience: Duration) -> Result<OrderAnswer, CallError> {
        self.until_answered(patience, |node| async move { Ok(Tried::Done(node.order(order).await?)) }).await
    }

    /// What happened to orders, of [`NodeClient::events`]; the addresses are those of operators' listeners.
    pub async fn events(
        &self,
        channel: Option<&ChannelId>,
        after: Option<&str>,
        count: usize,
        patience: Duration,
    ) -> Result<EventPage, CallError> {
        let try_on =
            |node| async move { Ok(Tried::Done(NodeClient::events(node, channel, after, count).await?)) };
        self.until_answered(patience, try_on).await
    }

    async fn until_answered<'a, T, F>(
        &'a self,
        patience: Duration,
        try_on: impl Fn(&'a NodeClient) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<Tried<T>, CallError>>,
    {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(RETRY_PAUSE_MIN)
            .with_max_delay(RETRY_PAUSE_MAX)
            .without_max_times()
            .with_jitter()
            .build();
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let at = self.preferred.load(Ordering::Relaxed) % self.nodes.len();
            let unanswered = match try_on(&self.nodes[at]).await {
                Ok(Tried::Done(answer)) => return Ok(answer),
                Err(error) if !error.is_passing() => return Err(error),
                Ok(Tried::Pending(answer)) => Ok(answer),
                Err(error) => Err(error),
            };
            let pause = pauses.next().unwrap_or(RETRY_PAUSE_MAX);
            if tokio::time::Instant::now() + pause >= deadline {
                return unanswered;
            }
            let next = (at + 1) % self.nodes.len();
            // Whoever else met the same node has moved on already.
            let _ = self.preferred.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests;
