//! QUIC to one node: one connection that all calls share, made with the first and made again when it is gone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pannier_protocol::api::{LookupAnswer, LookupRequest, OrderAnswer, OrderRequest, Problem};
use pannier_protocol::frame::{self, ALPN, AnswerHead, RequestHead};
use pannier_protocol::{Encoding, IdempotencyKey, OrderId, codec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::dial::{Connected, Dialer, Tls};
use crate::error::{AddressError, CallError, SendError};
use crate::http::Options;
use crate::limits::ANSWER_BYTES_MAX;

/// A node by its address for QUIC. Cheap to clone; clones share their connection.
#[derive(Debug, Clone)]
pub struct QuicClient {
    inner: Arc<Inner>,
    options: Options,
}

#[derive(Debug)]
struct Inner {
    dialer: Dialer,
    connected: Mutex<Option<Connected>>,
}

impl QuicClient {
    /// `address` is scheme, host and port, as in `quic://pannier-1:8443`; the options must name the authority that the
    /// node's certificate is of. Nothing is sent yet.
    pub fn new(address: &str, options: Options) -> Result<Self, AddressError> {
        let tls = Tls { authority: options.authority.as_deref(), identity: None, alpn: ALPN };
        let dialer = Dialer::new(address, &tls)?;
        Ok(Self { inner: Arc::new(Inner { dialer, connected: Mutex::default() }), options })
    }

    pub fn address(&self) -> &str {
        self.inner.dialer.address()
    }

    /// `POST /v1/price-availability`.
    pub async fn lookup(&self, request: &LookupRequest) -> Result<LookupAnswer, CallError> {
        self.call("POST", "/v1/price-availability".to_owned(), None, Some(request)).await
    }

    /// `POST /v1/orders`; see [`HttpClient::place_order`](crate::HttpClient::place_order).
    pub async fn place_order(
        &self,
        key: &IdempotencyKey,
        order: &OrderRequest,
    ) -> Result<OrderAnswer, CallError> {
        self.call("POST", "/v1/orders".to_owned(), Some(key), Some(order)).await
    }

    /// `GET /v1/orders/{order}`.
    pub async fn order(&self, order: &OrderId) -> Result<OrderAnswer, CallError> {
        self.call("GET", format!("/v1/orders/{order}"), None, None::<&()>).await
    }

    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: &str,
        path: String,
        key: Option<&IdempotencyKey>,
        question: Option<&Q>,
    ) -> Result<A, CallError> {
        let body = question.map(|question| codec::encode(Encoding::MessagePack, question)).transpose()?;
        let head = RequestHead {
            method: method.to_owned(),
            path,
            idempotency_key: key.map(|key| key.as_str().to_owned()),
            ..RequestHead::default()
        };
        let (head, body) = self.send(&head, &body.unwrap_or_default()).await?;
        if head.status < 400 {
            return Ok(codec::decode(Encoding::MessagePack, &body, ANSWER_BYTES_MAX)?);
        }
        let problem = codec::decode::<Problem>(Encoding::MessagePack, &body, ANSWER_BYTES_MAX);
        let Ok(problem) = problem else { return Err(CallError::Status { status: head.status }) };
        let retry_after = head.retry_after.map(|seconds| Duration::from_secs(seconds.into()));
        Err(CallError::Problem { problem: Box::new(problem), retry_after })
    }

    /// One exchange under the deadline, connecting included.
    pub async fn send(&self, head: &RequestHead, body: &[u8]) -> Result<(AnswerHead, Bytes), SendError> {
        let limit = self.options.deadline;
        let address = || self.address().to_owned();
        match tokio::time::timeout(limit, self.exchange(head, body)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // It may be dead without having said so: the next call is not to wait for it as well.
                self.inner.connected.lock().await.take();
                Err(SendError::Deadline { address: address(), limit })
            }
        }
    }

    async fn exchange(&self, head: &RequestHead, body: &[u8]) -> Result<(AnswerHead, Bytes), SendError> {
        let address = || self.address().to_owned();
        let before = frame::before_body(head, body.len())
            .map_err(|error| SendError::Unreachable { address: address(), source: Box::new(error) })?;
        let connected = self.inner.connect().await?;
        let broken = |source: Box<dyn std::error::Error + Send + Sync>| SendError::Broken {
            address: address(),
            source,
        };
        let (mut send, mut receive) =
            connected.connection.open_bi().await.map_err(|error| broken(Box::new(error)))?;
        let writing = async {
            send.write_all(&before).await?;
            send.write_all(body).await
        };
        // A node that refuses before it has read all says so in its answer.
        if let Err(error) = writing.await
            && !matches!(error, quinn::WriteError::Stopped(_))
        {
            return Err(broken(Box::new(error)));
        }
        let _ = send.finish();
        let bytes = receive.read_to_end(ANSWER_BYTES_MAX).await.map_err(|error| match error {
            quinn::ReadToEndError::TooLong => {
                SendError::TooLarge { address: address(), max: ANSWER_BYTES_MAX }
            }
            quinn::ReadToEndError::Read(error) => broken(Box::new(error)),
        })?;
        let (head, body) =
            frame::read::<AnswerHead>(&bytes, ANSWER_BYTES_MAX).map_err(|error| broken(Box::new(error)))?;
        Ok((head, Bytes::copy_from_slice(body)))
    }
}

impl Inner {
    /// The connection that there is, or a new one; callers that come meanwhile wait for the same.
    async fn connect(&self) -> Result<Connected, SendError> {
        let mut connected = self.connected.lock().await;
        if let Some(there) = connected.as_ref().filter(|it| it.connection.close_reason().is_none()) {
            return Ok(there.clone());
        }
        let made = self.dialer.dial().await?;
        *connected = Some(made.clone());
        Ok(made)
    }
}
