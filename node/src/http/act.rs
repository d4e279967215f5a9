//! What all acts on orders and holds have in common: an `Idempotency-Key`, a body in one encoding and an answer in the
//! same or another, whom the act is for, and an answer that is a verdict or is still to come.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use pannier_core::intake::Received;
use pannier_core::ledger::orders::Operation;
use pannier_protocol::codec;
use pannier_protocol::limits::ORDER_BYTES_MAX;
use pannier_protocol::order::KeyedBy;
use pannier_protocol::{AccountId, Encoding, Fingerprint, IdempotencyKey, Timestamp};
use serde::Serialize;

use super::context::{TRACEPARENT, valid_traceparent};
use super::refusal::Refusal;
use super::{body, negotiate};
use crate::app::App;
use crate::orders::desk::{Answered, Asked};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The head of an act.
pub(super) struct Act {
    key: IdempotencyKey,
    traceparent: Option<String>,
    /// Of the answer.
    encoding: Encoding,
}

/// The body of an act, not yet decoded.
pub(super) struct Sent {
    pub(super) encoding: Encoding,
    pub(super) bytes: Bytes,
}

impl Act {
    /// An act without a body.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let key = idempotency_key(headers)?;
        let encoding = negotiate::of_answer(headers, Encoding::Json)?;
        Ok(Self { key, traceparent: traceparent(headers), encoding })
    }

    /// An act with its body, which is not read without a key.
    pub(super) async fn read<B>(app: &App, head: &Parts, body: B) -> Result<(Self, Sent), Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let headers = &head.headers;
        let key = idempotency_key(headers)?;
        let encoding = negotiate::of_body(headers)?;
        let act = Self {
            key,
            traceparent: traceparent(headers),
            encoding: negotiate::of_answer(headers, encoding)?,
        };
        let bytes = body::read(body, ORDER_BYTES_MAX, app.config.http.body_timeout).await?;
        Ok((act, Sent { encoding, bytes }))
    }

    pub(super) fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    /// What is looked up before anything is done.
    pub(super) fn asked(&self, account: &AccountId, operation: Operation, fingerprint: Fingerprint) -> Asked {
        Asked { account: account.clone(), operation, key: self.key.clone(), fingerprint }
    }

    /// For what intake makes a command of.
    pub(super) fn received(&self, now: Timestamp, judge_before: Timestamp) -> Received {
        Received { key: self.key.clone(), now, judge_before, traceparent: self.traceparent.clone() }
    }

    /// For a command that needs no intake.
    pub(super) fn keyed(
        &self,
        account: &AccountId,
        fingerprint: Fingerprint,
        judge_before: Timestamp,
    ) -> KeyedBy {
        KeyedBy {
            account: account.clone(),
            key: self.key.clone(),
            fingerprint,
            judge_before,
            traceparent: self.traceparent.clone(),
        }
    }

    /// 202 as long as there is no verdict, `judged` with one.
    pub(super) fn answer<T: Serialize>(
        &self,
        answered: Answered,
        judged: StatusCode,
        answer: &T,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let status = match answered {
            Answered::Judged(_) => judged,
            Answered::Pending => StatusCode::ACCEPTED,
        };
        encoded(self.encoding, status, answer)
    }
}

/// The key that every act needs, so that a repeated request is told from a second one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Refusal> {
    let value = headers.get(IDEMPOTENCY_KEY).ok_or(Refusal::IdempotencyKeyMissing)?;
    let key = value.to_str().map_err(|error| error.to_string());
    let key = key.and_then(|text| IdempotencyKey::new(text).map_err(|error| error.to_string()));
    key.map_err(|reason| Refusal::Parameter { name: "Idempotency-Key".to_owned(), reason })
}

pub(super) fn traceparent(headers: &HeaderMap) -> Option<String> {
    valid_traceparent(headers.get(TRACEPARENT)?)
}

pub(super) fn encoded<T: Serialize>(
    encoding: Encoding,
    status: StatusCode,
    answer: &T,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let bytes = codec::encode(encoding, answer).map_err(Refusal::Encode)?;
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
    Ok(response)
}
