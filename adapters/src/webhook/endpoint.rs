//! One delivery: a signed POST, and what its answer says about the receiver.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::fmt::rfc2822;
use pannier_protocol::Timestamp;

use super::config::{ConfigError, WebhookConfig};
use super::event::Event;
use super::signature::Secrets;
use crate::cause::causes;
use crate::limits::{WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_CONNECTION_IDLE_MAX, WEBHOOK_RETRY_AFTER_MAX};
use crate::runner::now;
use crate::runner::sink::BackendError;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Where the events of one channel go.
pub(super) struct Endpoint {
    url: Uri,
    secrets: Secrets,
    limit: Duration,
    carrier: Carrier,
}

/// Why the receiver does not have an event.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: BackendError,
    /// How long it wants to be left alone.
    pub(super) after: Option<Duration>,
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        Self { error, after: None }
    }
}

/// Plain HTTP needs no certificates, and works where the system has none.
enum Carrier {
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    Plain(Client<HttpConnector, Full<Bytes>>),
}

impl Endpoint {
    pub(super) fn new(config: &WebhookConfig, secrets: Secrets) -> Result<Self, ConfigError> {
        let url = config.endpoint().map_err(ConfigError::Value)?;
        let limit = config.request_max();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limit));
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(WEBHOOK_CONNECTION_IDLE_MAX);
        let carrier = if url.scheme_str() == Some("https") {
            connector.enforce_http(false);
            let certified = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| {
                ConfigError::Value(format!(
                    "url: no certificates to trust on this system ({error}); set SSL_CERT_FILE"
                ))
            })?;
            Carrier::Tls(client.build(certified.https_only().enable_http1().wrap_connector(connector)))
        } else {
            Carrier::Plain(client.build(connector))
        };
        Ok(Self { url, secrets, limit, carrier })
    }

    /// Host and port: paths of receivers can hold secrets.
    pub(super) fn host(&self) -> &str {
        self.url.authority().map_or("", |authority| authority.as_str())
    }

    /// Returns once the receiver has it. Signed anew each time, since receivers refuse what was signed long ago.
    pub(super) async fn deliver(&self, event: &Event) -> Result<(), Failure> {
        let at = now().millis().div_euclid(1_000);
        let signature = self.secrets.sign(&event.id, at, event.body.as_bytes());
        let request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("pannier/", env!("CARGO_PKG_VERSION")))
            .header(WEBHOOK_ID, &event.id)
            .header(WEBHOOK_TIMESTAMP, at)
            .header(WEBHOOK_SIGNATURE, signature)
            .body(Full::new(Bytes::from(event.body.clone())))
            .map_err(|error| BackendError::Transient(error.to_string()))?;
        match tokio::time::timeout(self.limit, self.exchange(request)).await {
            Ok(answered) => {
                let (status, headers) = answered?;
                let after = retry_after(status, &headers, now());
                judged(status).map_err(|error| Failure { error, after })
            }
            Err(_) => Err(BackendError::Transient(format!("no answer within {:?}", self.limit)).into()),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, HeaderMap), BackendError> {
        let response = self.carrier.send(request).await.map_err(|error| {
            let text = causes(&error);
            if error.is_connect() { BackendError::Down(text) } else { BackendError::Transient(text) }
        })?;
        let (head, body) = response.into_parts();
        // Read so that the connection can be used again; it says nothing that we would act on.
        let _ = Limited::new(body, WEBHOOK_ANSWER_BYTES_MAX).collect().await;
        Ok((head.status, head.headers))
    }
}

impl Carrier {
    fn send(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        match self {
            Self::Tls(client) => client.request(request),
            Self::Plain(client) => client.request(request),
        }
    }
}

fn judged(status: StatusCode) -> Result<(), BackendError> {
    let text = || format!("answered {}", status.as_u16());
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::GONE => Err(BackendError::Poison("the receiver wants no more events (410)".to_owned())),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Err(BackendError::Down(text())),
        // A refusal too: a receiver that was set up wrong is set right, and then takes what it refused.
        _ => Err(BackendError::Transient(text())),
    }
}

/// In seconds or until an instant; a receiver that asks for more than it can mean is asked again sooner.
fn retry_after(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Duration::from_millis(Timestamp::from_millis(until.as_millisecond()).millis_since(now))
        }
    };
    Some(after.min(WEBHOOK_RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_left_alone_as_long_as_it_asks_within_bounds() {
        let now = Timestamp::parse("2026-12-01T08:00:00.000Z").unwrap();
        let longest = WEBHOOK_RETRY_AFTER_MAX.as_secs();
        for (status, text, want) in [
            (503, "120", Some(120)),
            (429, " 7 ", Some(7)),
            (429, "0", Some(0)),
            (503, "Tue, 01 Dec 2026 08:01:30 GMT", Some(90)),
            (503, "Tue, 01 Dec 2026 07:00:00 GMT", Some(0)),
            (503, "Wed, 01 Dec 2027 08:00:00 GMT", Some(longest)),
            (429, "18446744073709551615", Some(longest)),
            (429, "18446744073709551616", None),
            (429, "-1", None),
            (429, "soon", None),
            (500, "120", None),
            (200, "120", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            let got = retry_after(StatusCode::from_u16(status).unwrap(), &headers, now);
            assert_eq!(got, want.map(Duration::from_secs), "{status} {text}");
        }
        assert_eq!(retry_after(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new(), now), None);
    }

    #[test]
    fn only_success_is_receipt_and_only_gone_is_final() {
        for (status, want) in [
            (200, "received"),
            (204, "received"),
            (301, "transient"),
            (400, "transient"),
            (401, "transient"),
            (404, "transient"),
            (410, "poison"),
            (429, "down"),
            (500, "transient"),
            (503, "down"),
        ] {
            let got = match judged(StatusCode::from_u16(status).unwrap()) {
                Ok(()) => "received",
                Err(BackendError::Transient(_)) => "transient",
                Err(BackendError::Down(_)) => "down",
                Err(BackendError::Poison(_)) => "poison",
                Err(BackendError::Business(_)) => "business",
            };
            assert_eq!(got, want, "{status}");
        }
    }
}
