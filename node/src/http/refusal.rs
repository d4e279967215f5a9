//! Everything that a request can be refused for, mapped once to the stable codes of the API.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use pannier_core::lookup::LookupRefusal;
use pannier_protocol::api::{ErrorCode, Problem};
use pannier_protocol::codec::EncodeError;
use pannier_protocol::{AsOf, DecodeError};

use crate::limits::RETRY_AFTER_SECONDS;
use crate::orders::SubmitError;
use crate::orders::desk::DeskError;

pub(crate) const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// Why a request got no answer. What is displayed is the `detail` of the problem document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is nothing at this path; /v1/openapi.json lists every one")]
    NotFound,
    #[error("this path takes {allow}")]
    MethodNotAllowed { allow: &'static str },
    #[error("Accept allows neither application/json nor application/msgpack")]
    NotAcceptable,
    #[error("{0}")]
    UnsupportedMediaType(DecodeError),
    #[error("the body is larger than {max} bytes; split the basket")]
    TooLarge { max: usize },
    #[error("the body did not arrive within {millis} ms after its head; send it faster or split it")]
    BodyTimeout { millis: u128 },
    #[error("the body ended early: {reason}")]
    BodyBroken { reason: String },
    #[error("{0}")]
    Body(DecodeError),
    #[error("{name}: {reason}")]
    Parameter { name: String, reason: String },
    #[error("at_least {at_least} is beyond the end of the streams; give back an as_of as it was answered")]
    BeyondEnd { at_least: Box<AsOf> },
    #[error("the node is not yet at {at_least}, after {waited_millis} ms; ask again, or another node")]
    Behind { at_least: Box<AsOf>, waited_millis: u128 },
    #[error("{detail}")]
    NotReady { detail: String },
    #[error(
        "{max} streams of order events are open, which is all that this node takes; ask another node, or again"
    )]
    TooManyStreams { max: usize },
    #[error("{in_flight} lookups are under way, which is all that this node takes; ask again")]
    Busy { in_flight: usize },
    #[error(
        "{in_flight} lookups are under way, and those of priority bulk are shed from {max} on; ask again"
    )]
    BulkShed { in_flight: usize, max: usize },
    /// Unknown to the catalog, or not the caller's: the two must look alike.
    #[error("the account is not known, or the ship-to is not one of the account's")]
    UnknownAccount,
    #[error("the account is blocked by its source")]
    AccountBlocked,
    #[error(
        "send an Idempotency-Key header of 1 to 64 bytes, drawn once for this act and sent with every attempt at it"
    )]
    IdempotencyKeyMissing,
    /// Not there, or not the caller's: the two must look alike.
    #[error("no order or hold of this id is known; check the id")]
    UnknownOrder,
    #[error("{0}")]
    KeyReused(DeskError),
    #[error("{0}")]
    LedgerUnavailable(DeskError),
    #[error("{0}")]
    OrderTooLarge(DeskError),
    #[error("{0}")]
    OrderInvalid(DeskError),
    #[error("the answer could not be encoded: {0}")]
    Encode(EncodeError),
}

impl From<LookupRefusal> for Refusal {
    fn from(refusal: LookupRefusal) -> Self {
        match refusal {
            LookupRefusal::UnknownAccount => Self::UnknownAccount,
            LookupRefusal::AccountBlocked => Self::AccountBlocked,
            LookupRefusal::InvalidRequest { field, reason } => {
                Self::Parameter { name: field.to_string(), reason: reason.to_string() }
            }
        }
    }
}

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Self {
        match &error {
            DeskError::KeyReused => Self::KeyReused(error),
            DeskError::Submit(SubmitError::TooLarge { .. }) => Self::OrderTooLarge(error),
            DeskError::Submit(SubmitError::Invalid { .. }) => Self::OrderInvalid(error),
            DeskError::Submit(SubmitError::Unavailable | SubmitError::Busy)
            | DeskError::OutOfReach
            | DeskError::Behind
            | DeskError::Disagree
            | DeskError::Lost
            | DeskError::Recovering
            | DeskError::Uncovered
            | DeskError::PricedAgain => Self::LedgerUnavailable(error),
        }
    }
}

impl Refusal {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::NotFound,
            Self::MethodNotAllowed { .. } => ErrorCode::MethodNotAllowed,
            Self::NotAcceptable => ErrorCode::NotAcceptable,
            Self::UnsupportedMediaType(_) => ErrorCode::UnsupportedMediaType,
            Self::TooLarge { .. } | Self::Body(DecodeError::TooLarge { .. }) | Self::OrderTooLarge(_) => {
                ErrorCode::TooLarge
            }
            Self::BodyTimeout { .. }
            | Self::BodyBroken { .. }
            | Self::Body(
                DecodeError::TooDeep
                | DecodeError::NewerVersion { .. }
                | DecodeError::ContentType { .. }
                | DecodeError::Malformed { .. },
            )
            | Self::Parameter { .. }
            | Self::OrderInvalid(_)
            | Self::BeyondEnd { .. } => ErrorCode::InvalidRequest,
            Self::IdempotencyKeyMissing => ErrorCode::IdempotencyKeyMissing,
            Self::UnknownOrder => ErrorCode::UnknownOrder,
            Self::KeyReused(_) => ErrorCode::KeyReused,
            Self::LedgerUnavailable(_) => ErrorCode::LedgerUnavailable,
            Self::Behind { .. } => ErrorCode::Behind,
            Self::NotReady { .. } => ErrorCode::NotReady,
            Self::Busy { .. } | Self::BulkShed { .. } | Self::TooManyStreams { .. } => {
                ErrorCode::TooManyRequests
            }
            Self::UnknownAccount => ErrorCode::UnknownAccount,
            Self::AccountBlocked => ErrorCode::AccountBlocked,
            Self::Encode(_) => ErrorCode::Internal,
        }
    }

    /// The document and its headers.
    pub(crate) fn response(&self, correlation_id: String) -> Response<Full<Bytes>> {
        let code = self.code();
        let problem =
            Problem { correlation_id: Some(correlation_id), ..Problem::new(code, self.to_string()) };
        let body = serde_json::to_vec(&problem).expect("a problem of strings is always JSON");
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = StatusCode::from_u16(code.status()).expect("codes have valid statuses");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_CONTENT_TYPE));
        if let Self::MethodNotAllowed { allow } = self {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if matches!(code, ErrorCode::TooManyRequests) || code.status() == 503 {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        if matches!(self, Self::TooLarge { .. } | Self::BodyTimeout { .. }) {
            // The rest of the body is still on its way: nothing else can be read from this connection.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
