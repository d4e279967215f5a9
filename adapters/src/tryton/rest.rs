//! Tryton's REST interface: one request, one transaction there, and what is known when it fails.
//!
//! Only an answer that says of itself, by status and content type, that it is one and that can be read as what was
//! asked for counts as done. Everything else is a failure, told apart by whether the request may have been carried out.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::cause::causes;
use crate::limits::{REST_ANSWER_BYTES_MAX, REST_ROWS_DEFAULT, REST_TEXT_CHARS_MAX};

/// Why an address or a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestConfigError {
    #[error(
        "url: {url:?} is no address of a Tryton database; write it as in \"http://127.0.0.1:8000/database\""
    )]
    Url { url: String },
    #[error("key: only visible ASCII characters can be sent; copy it again from the user application")]
    Key,
}

/// Why a request has no result. No text bears the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// Nothing was sent.
    #[error("nobody answers at {url}: {reason}; check that Tryton runs there")]
    Unreachable { url: String, reason: String },
    /// Overloaded, or without its database.
    #[error("Tryton is not available ({status}): {text}")]
    Unavailable { status: u16, text: String },
    #[error(
        "Tryton refuses the key or the right to do this ({status}); check the user application and its groups"
    )]
    Denied { status: u16 },
    /// By a rule; the text is for people.
    #[error("{message}")]
    Refused { message: String },
    #[error("Tryton has no {what}")]
    Missing { what: String },
    /// The request itself is at fault: another version or a missing module there, or a defect here.
    #[error("Tryton does not understand the request for {what} ({status}): {text}")]
    Malformed { what: String, status: u16, text: String },
    /// It may have been carried out, as with all that follow.
    #[error("Tryton failed at {what} ({status}): {text}")]
    Failed { what: String, status: u16, text: String },
    #[error("Tryton did not answer within {limit:?}")]
    Timeout { limit: Duration },
    #[error("the connection to Tryton broke: {reason}")]
    Broken { reason: String },
    #[error("the answer of Tryton for {what} cannot be read: {reason}")]
    Unreadable { what: String, reason: String },
}

/// What to search for.
#[derive(Debug, Clone)]
pub struct Query<'q> {
    model: &'q str,
    fields: &'q [&'q str],
    domain: Value,
    order: Value,
    limit: usize,
}

impl<'q> Query<'q> {
    /// All records, by id, at most [`REST_ROWS_DEFAULT`] of them; a dot in a field follows a link.
    pub fn of(model: &'q str, fields: &'q [&'q str]) -> Self {
        Self { model, fields, domain: json!([]), order: json!([["id", "ASC"]]), limit: REST_ROWS_DEFAULT }
    }

    /// Replaces the domain, as in `json!([["code", "=", "X"]])`.
    pub fn filter(self, domain: Value) -> Self {
        Self { domain, ..self }
    }

    pub fn order(self, order: Value) -> Self {
        Self { order, ..self }
    }

    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    pub fn limit_asked(&self) -> usize {
        self.limit
    }

    /// The next page of a search by id: rows that come or go meanwhile shift nothing, as an offset would.
    pub fn after(&self, id: i64) -> Self {
        let domain = json!([["id", ">", id], self.domain]);
        Self { domain, ..self.clone() }
    }

    fn path(&self) -> String {
        let (domain, order) = (encoded(&self.domain), encoded(&self.order));
        let fields = fields(self.fields);
        format!("{}?{fields}d={domain}&o={order}&s={}", self.model, self.limit)
    }
}

fn fields(names: &[&str]) -> String {
    names.iter().map(|name| format!("f={name}&")).collect()
}

/// Base64 with its padding, which Tryton insists on and a query has to escape.
fn encoded(value: &Value) -> String {
    URL_SAFE.encode(value.to_string()).replace('=', "%3D")
}

/// One database, one key, one context. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rest {
    base: String,
    authorization: HeaderValue,
    context: Map<String, Value>,
    limit: Duration,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Rest {
    /// `limit` is for a whole exchange. Without the company in the context rights and prices are missing.
    pub fn new(url: &str, key: &str, company: i64, limit: Duration) -> Result<Self, RestConfigError> {
        let base = url.trim_end_matches('/').to_owned();
        let error = || RestConfigError::Url { url: base.chars().take(128).collect() };
        let uri: Uri = base.parse().map_err(|_| error())?;
        let database = uri.path().trim_matches('/');
        if uri.scheme_str() != Some("http")
            || uri.host().is_none()
            || database.is_empty()
            || uri.query().is_some()
        {
            return Err(error());
        }
        let mut authorization =
            HeaderValue::from_str(&format!("bearer {key}")).map_err(|_| RestConfigError::Key)?;
        authorization.set_sensitive(true);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limit));
        // Nothing is sent twice without the caller's will.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(connector);
        let context = Map::from_iter([("company".to_owned(), json!(company))]);
        Ok(Self { base, authorization, context, limit, client })
    }

    /// The same with more in the context, as in `json!({"locations": [5]})`.
    pub fn within(&self, context: &Value) -> Self {
        let mut wider = self.clone();
        wider.context.extend(context.as_object().cloned().unwrap_or_default());
        wider
    }

    pub async fn search<T: DeserializeOwned>(&self, query: &Query<'_>) -> Result<Vec<T>, RestError> {
        self.ask(Method::GET, query.model, &query.path(), None).await
    }

    /// The one record, or none.
    pub async fn find<T: DeserializeOwned>(
        &self,
        model: &str,
        id: i64,
        names: &[&str],
    ) -> Result<Option<T>, RestError> {
        // Not by its path: that answers 404 for a database that is not there too.
        let query = Query::of(model, names).filter(json!([["id", "=", id]])).limit(1);
        Ok(self.search(&query).await?.pop())
    }

    pub async fn create<T: DeserializeOwned>(
        &self,
        model: &str,
        names: &[&str],
        values: &Value,
    ) -> Result<T, RestError> {
        self.ask(Method::POST, model, &format!("{model}?{}", fields(names)), Some(values)).await
    }

    pub async fn write(&self, model: &str, id: i64, values: &Value) -> Result<(), RestError> {
        self.ask::<Value>(Method::PUT, model, &format!("{model}/{id}"), Some(values)).await.map(drop)
    }

    /// Presses a button of one record. What it answers is the state within its transaction, and not what followed:
    /// read it again.
    pub async fn press(&self, model: &str, id: i64, action: &str) -> Result<(), RestError> {
        let path = format!("{model}/{id}/{action}");
        self.ask::<Value>(Method::POST, &path, &path, Some(&json!({}))).await.map(drop)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        what: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, RestError> {
        let told = |error: http::Error| RestError::Malformed {
            what: what.to_owned(),
            status: 0,
            text: error.to_string(),
        };
        let context = URL_SAFE.encode(Value::Object(self.context.clone()).to_string());
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/rest/model/{path}", self.base))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close")
            .header("X-Tryton-Context", context)
            .body(Full::new(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default()))
            .map_err(told)?;
        let exchange = tokio::time::timeout(self.limit, self.exchange(request)).await;
        let answer = exchange.map_err(|_| RestError::Timeout { limit: self.limit })??;
        answer.read(what)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, RestError> {
        let response = self.client.request(request).await.map_err(|error| {
            let reason = causes(&error);
            if error.is_connect() {
                return RestError::Unreachable { url: self.base.clone(), reason };
            }
            RestError::Broken { reason }
        })?;
        let (head, body) = response.into_parts();
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_json = kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json");
        let body = Limited::new(body, REST_ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| RestError::Broken { reason: error.to_string() })?.to_bytes();
        Ok(Answer { status: head.status, is_json, body })
    }
}

/// A whole response.
struct Answer {
    status: StatusCode,
    is_json: bool,
    body: Bytes,
}

/// What Tryton says with a refusal.
#[derive(Deserialize)]
struct Refusal {
    message: String,
    #[serde(default)]
    description: String,
}

impl Answer {
    fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, RestError> {
        let (status, what) = (self.status.as_u16(), what.to_owned());
        match self.status {
            StatusCode::OK if self.is_json => {
                let read = serde_json::from_slice(&self.body);
                read.map_err(|error| RestError::Unreadable {
                    what,
                    reason: format!("{error}: {}", self.text()),
                })
            }
            StatusCode::OK => {
                let reason = format!("not JSON: {}", self.text());
                Err(RestError::Unreadable { what, reason })
            }
            StatusCode::BAD_REQUEST if self.is_json => match serde_json::from_slice::<Refusal>(&self.body) {
                Ok(Refusal { message, description }) => {
                    let message = format!("{message} {description}").trim().to_owned();
                    Err(RestError::Refused { message: shortened(&message) })
                }
                Err(error) => Err(RestError::Unreadable { what, reason: error.to_string() }),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(RestError::Denied { status }),
            StatusCode::NOT_FOUND => Err(RestError::Missing { what }),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Err(RestError::Unavailable { status, text: self.text() })
            }
            // A name that it does not know is an error of the server there, bearing just the name.
            StatusCode::INTERNAL_SERVER_ERROR if self.is_only_a_name() => {
                Err(RestError::Malformed { what, status, text: self.text() })
            }
            _ if self.status.is_client_error() => {
                Err(RestError::Malformed { what, status, text: self.text() })
            }
            _ if self.status.is_server_error() => Err(RestError::Failed { what, status, text: self.text() }),
            _ => Err(RestError::Unreadable { what, reason: format!("status {status}") }),
        }
    }

    fn is_only_a_name(&self) -> bool {
        let text = String::from_utf8_lossy(&self.body);
        let paragraph =
            text.split("<p>").nth(1).and_then(|rest| rest.split("</p>").next()).unwrap_or_default();
        let name = paragraph.strip_prefix("&#39;").and_then(|rest| rest.strip_suffix("&#39;"));
        name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_')))
    }

    /// What it says, for people: without markup, and not all of it.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let mut is_markup = false;
        let plain = text.chars().filter(|c| {
            let keep = !is_markup && !matches!(c, '<' | '>');
            is_markup = if is_markup { *c != '>' } else { *c == '<' && !self.is_json };
            keep
        });
        shortened(&plain.collect::<String>())
    }
}

fn shortened(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let one_line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    one_line.chars().take(REST_TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
