//! HTTP/1.1 to one node, with connections kept open between requests.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use pannier_protocol::api::operator::EventPage;
use pannier_protocol::api::{LookupAnswer, LookupRequest, OrderAnswer, OrderRequest, Problem};
use pannier_protocol::{ChannelId, Encoding, IdempotencyKey, OrderId, codec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{AddressError, CallError, ReadyError, SendError};
use crate::limits::{ANSWER_BYTES_MAX, CONNECTION_IDLE_MAX, CONNECTIONS_IDLE_MAX, REQUEST_DEADLINE};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How a client behaves; the defaults are those of [`crate::limits`].
#[derive(Debug, Clone)]
pub struct Options {
    /// For a whole exchange, connecting included.
    pub deadline: Duration,
    /// Of lookups; answers come in the same.
    pub encoding: Encoding,
    /// For QUIC: PEM of the authorities whose certificates are trusted.
    pub authority: Option<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { deadline: REQUEST_DEADLINE, encoding: Encoding::Json, authority: None }
    }
}

/// A node by its HTTP address. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    base: String,
    options: Options,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl HttpClient {
    /// `base` is scheme, host and port, as in `http://127.0.0.1:8080`. Nothing is sent yet.
    pub fn new(base: &str, options: Options) -> Result<Self, AddressError> {
        let error = || AddressError { text: base.chars().take(128).collect() };
        let uri: Uri = base.parse().map_err(|_| error())?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() || !matches!(uri.path(), "" | "/") {
            return Err(error());
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(CONNECTION_IDLE_MAX)
            .pool_max_idle_per_host(CONNECTIONS_IDLE_MAX)
            .build(connector);
        Ok(Self { base: base.trim_end_matches('/').to_owned(), options, client })
    }

    /// Scheme, host and port.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// `POST /v1/price-availability`.
    pub async fn lookup(&self, request: &LookupRequest) -> Result<LookupAnswer, CallError> {
        self.call(self.request(Method::POST, "/v1/price-availability"), request).await
    }

    /// `POST /v1/orders`. An answer that is pending says that the verdict is not known yet: ask again, with the
    /// same key. So it is after an error too, unless the node refused.
    pub async fn place_order(
        &self,
        key: &IdempotencyKey,
        order: &OrderRequest,
    ) -> Result<OrderAnswer, CallError> {
        self.call(self.request(Method::POST, "/v1/orders").header(IDEMPOTENCY_KEY, key.as_str()), order).await
    }

    /// `GET /v1/orders/{order}`.
    pub async fn order(&self, order: &OrderId) -> Result<OrderAnswer, CallError> {
        self.answered(self.request(Method::GET, &format!("/v1/orders/{order}")).body(Bytes::new())).await
    }

    /// `GET /v1/operator/events`, on the listener of operators: what happened to orders, of all channels or one, after
    /// the `next` of an earlier page.
    pub async fn events(
        &self,
        channel: Option<&ChannelId>,
        after: Option<&str>,
        count: usize,
    ) -> Result<EventPage, CallError> {
        let mut path = format!("/v1/operator/events?limit={count}");
        for (name, value) in [("channel", channel.map(ChannelId::as_str)), ("after", after)] {
            if let Some(value) = value {
                path = format!("{path}&{name}={}", escaped(value));
            }
        }
        self.answered(Request::get(self.uri(&path)).body(Bytes::new())).await
    }

    /// `GET /readyz`: done when the node has caught up with the streams.
    pub async fn readyz(&self) -> Result<(), ReadyError> {
        let response = self.get("/readyz").await?;
        if response.status().is_success() {
            return Ok(());
        }
        // The node's state, which is no problem document.
        let state = serde_json::from_slice::<serde_json::Value>(response.body()).ok();
        let detail = state.as_ref().and_then(|state| state["detail"].as_str()).map(str::to_owned);
        Err(ReadyError::NotReady {
            detail: detail.unwrap_or_else(|| format!("status {}", response.status())),
        })
    }

    /// Any path, as it is answered.
    pub async fn get(&self, path: &str) -> Result<Response<Bytes>, SendError> {
        self.send(Request::get(self.uri(path)).body(Bytes::new())?).await
    }

    /// In the encoding of the options, both ways.
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let content_type = HeaderValue::from_static(self.options.encoding.content_type());
        let request = Request::builder().method(method).uri(self.uri(path));
        request.header(ACCEPT, content_type.clone()).header(CONTENT_TYPE, content_type)
    }

    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        request: http::request::Builder,
        question: &Q,
    ) -> Result<A, CallError> {
        let body = codec::encode(self.options.encoding, question)?;
        self.answered(request.body(Bytes::from(body))).await
    }

    async fn answered<A: DeserializeOwned>(
        &self,
        request: http::Result<Request<Bytes>>,
    ) -> Result<A, CallError> {
        let response = self.send(request.map_err(SendError::from)?).await?;
        if response.status().is_success() {
            return Ok(codec::decode(self.options.encoding, response.body(), ANSWER_BYTES_MAX)?);
        }
        let Ok(problem) = serde_json::from_slice::<Problem>(response.body()) else {
            return Err(CallError::Status { status: response.status().as_u16() });
        };
        Err(CallError::Problem { problem: Box::new(problem), retry_after: retry_after(&response) })
    }

    /// A body as it is; it is answered in the same encoding, errors in JSON.
    pub async fn post(
        &self,
        path: &str,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Result<Response<Bytes>, SendError> {
        let content_type = HeaderValue::from_static(content_type);
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.uri(path))
            .header(ACCEPT, content_type.clone())
            .header(CONTENT_TYPE, content_type);
        self.send(request.body(body.into())?).await
    }

    /// One exchange under the deadline; the request's URI must be absolute.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        let limit = self.options.deadline;
        match tokio::time::timeout(limit, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SendError::Deadline { address: self.base.clone(), limit }),
        }
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        let address = || self.base.clone();
        let response = self
            .client
            .request(request.map(Full::new))
            .await
            .map_err(|source| SendError::Unreachable { address: address(), source: Box::new(source) })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|source| {
            if source.is::<LengthLimitError>() {
                SendError::TooLarge { address: address(), max: ANSWER_BYTES_MAX }
            } else {
                SendError::Broken { address: address(), source }
            }
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// As a value of a query.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}

fn retry_after(response: &Response<Bytes>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
