//! One node, by whichever transport its address names.

use pannier_protocol::api::operator::EventPage;
use pannier_protocol::api::{LookupAnswer, LookupRequest, OrderAnswer, OrderRequest};
use pannier_protocol::{ChannelId, IdempotencyKey, OrderId};

use crate::error::{AddressError, CallError};
use crate::http::{HttpClient, Options};
use crate::quic::QuicClient;

/// Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub enum NodeClient {
    Http(Box<HttpClient>),
    Quic(QuicClient),
}

impl NodeClient {
    /// As [`HttpClient::new`], and for `quic://` as [`QuicClient::new`].
    pub fn new(address: &str, options: Options) -> Result<Self, AddressError> {
        match address.starts_with("quic:") {
            true => QuicClient::new(address, options).map(Self::Quic),
            false => HttpClient::new(address, options).map(|client| Self::Http(Box::new(client))),
        }
    }

    pub fn address(&self) -> &str {
        match self {
            Self::Http(client) => client.address(),
            Self::Quic(client) => client.address(),
        }
    }

    /// As [`HttpClient::lookup`].
    pub async fn lookup(&self, request: &LookupRequest) -> Result<LookupAnswer, CallError> {
        match self {
            Self::Http(client) => client.lookup(request).await,
            Self::Quic(client) => client.lookup(request).await,
        }
    }

    /// As [`HttpClient::place_order`].
    pub async fn place_order(
        &self,
        key: &IdempotencyKey,
        order: &OrderRequest,
    ) -> Result<OrderAnswer, CallError> {
        match self {
            Self::Http(client) => client.place_order(key, order).await,
            Self::Quic(client) => client.place_order(key, order).await,
        }
    }

    /// As [`HttpClient::order`].
    pub async fn order(&self, order: &OrderId) -> Result<OrderAnswer, CallError> {
        match self {
            Self::Http(client) => client.order(order).await,
            Self::Quic(client) => client.order(order).await,
        }
    }

    /// As [`HttpClient::events`]: the listener of operators speaks HTTP alone.
    pub async fn events(
        &self,
        channel: Option<&ChannelId>,
        after: Option<&str>,
        count: usize,
    ) -> Result<EventPage, CallError> {
        match self {
            Self::Http(client) => client.events(channel, after, count).await,
            Self::Quic(client) => Err(CallError::NoOperators { address: client.address().to_owned() }),
        }
    }
}
