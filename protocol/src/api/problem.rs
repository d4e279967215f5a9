//! Errors of a whole request, as RFC 9457 problem documents with a stable code.

use serde::{Deserialize, Serialize};

/// A stable error code: what a client branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ErrorCode {
    InvalidRequest,
    IdempotencyKeyMissing,
    Unauthenticated,
    UnknownAccount,
    UnknownOrder,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AccountBlocked,
    InProgress,
    TooLarge,
    UnsupportedMediaType,
    KeyReused,
    TooManyRequests,
    Internal,
    Behind,
    NotReady,
    LedgerUnavailable,
}

impl ErrorCode {
    pub const ALL: [Self; 18] = [
        Self::InvalidRequest,
        Self::IdempotencyKeyMissing,
        Self::Unauthenticated,
        Self::UnknownAccount,
        Self::UnknownOrder,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::AccountBlocked,
        Self::InProgress,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::KeyReused,
        Self::TooManyRequests,
        Self::Internal,
        Self::Behind,
        Self::NotReady,
        Self::LedgerUnavailable,
    ];

    /// The code as in the document.
    pub fn as_str(self) -> &'static str {
        self.described().0
    }

    pub fn status(self) -> u16 {
        self.described().1
    }

    pub fn title(self) -> &'static str {
        self.described().2
    }

    /// One paragraph for the API's documentation: when it happens and what to do.
    pub fn documentation(self) -> &'static str {
        self.described().3
    }

    fn described(self) -> (&'static str, u16, &'static str, &'static str) {
        match self {
            Self::InvalidRequest => (
                "invalid_request",
                400,
                "The request is not understood",
                "The body is not what the API takes. `detail` names the field and what is wrong with it. Sending \
                 the same request again gives the same answer: correct it first. Also answered for an `at_least` \
                 beyond the end of the streams, which no node can ever have given out.",
            ),
            Self::IdempotencyKeyMissing => (
                "idempotency_key_missing",
                400,
                "The Idempotency-Key header is missing",
                "Orders and holds need a key, so that a repeated request is told from a second order. Draw one per \
                 order, keep it with the cart, and send it with every attempt.",
            ),
            Self::Unauthenticated => (
                "unauthenticated",
                401,
                "The caller is not known",
                "The credentials are missing, expired or wrong. Obtain new ones and send the request again.",
            ),
            Self::UnknownAccount => (
                "unknown_account",
                404,
                "The account is not known",
                "No account of this id is known, the ship-to is not one of the account's, or the caller may not act \
                 for it: the three look alike. Check the id; a new account is known as soon as its source has \
                 published it.",
            ),
            Self::UnknownOrder => (
                "unknown_order",
                404,
                "The order is not known",
                "No order of this id is known, or the caller may not see it.",
            ),
            Self::NotFound => (
                "not_found",
                404,
                "There is nothing at this path",
                "The path is not one of this API. `/v1/openapi.json` lists them all.",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                405,
                "The path does not take this method",
                "The path exists and takes other methods, which the `Allow` header lists.",
            ),
            Self::NotAcceptable => (
                "not_acceptable",
                406,
                "No acceptable encoding",
                "The `Accept` header allows neither `application/json` nor `application/msgpack`. Ask for one of \
                 the two, or send no `Accept`.",
            ),
            Self::AccountBlocked => (
                "account_blocked",
                409,
                "The account is blocked",
                "The distributor does no business with this account at present. It is lifted at the source; \
                 the next account change takes effect at once.",
            ),
            Self::InProgress => (
                "in_progress",
                409,
                "The first request with this key is still running",
                "Another request with the same key has not been answered yet. Wait, then send it again: it gets the \
                 first one's answer.",
            ),
            Self::TooLarge => (
                "too_large",
                413,
                "The request is too large",
                "The body is above the limit that `detail` names. Split the basket.",
            ),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                415,
                "The encoding of the body is not supported",
                "The `Content-Type` is neither `application/json` nor `application/msgpack`.",
            ),
            Self::KeyReused => (
                "key_reused",
                422,
                "The key belongs to another request",
                "This Idempotency-Key was used with another payload. Draw a new key for a new order.",
            ),
            Self::TooManyRequests => (
                "too_many_requests",
                429,
                "Too many requests",
                "The caller or the node is over its limit. Wait for `Retry-After` seconds. Requests of priority \
                 `bulk` are shed before those of `checkout`.",
            ),
            Self::Internal => (
                "internal",
                500,
                "The node failed",
                "The node met an error of its own, which it logged with the correlation id. Another node may \
                 answer.",
            ),
            Self::Behind => (
                "behind",
                503,
                "The node is not yet where the request wants it",
                "The node did not reach the position of `at_least` in time. It never answers from before it. Ask \
                 again after `Retry-After` seconds, or another node.",
            ),
            Self::NotReady => (
                "not_ready",
                503,
                "The node is not ready",
                "The node is starting and has not caught up with the streams, or it is stopping. `/readyz` says \
                 how far it is. Ask another node, or again after `Retry-After` seconds.",
            ),
            Self::LedgerUnavailable => (
                "ledger_unavailable",
                503,
                "The ledger is out of reach",
                "Orders cannot be made durable or judged at present: this node does not reach the ledger, or is more \
                 than 5 s behind it. Lookups go on. The order was not taken: send it again with the same key after \
                 `Retry-After` seconds, or to another node.",
            ),
        }
    }
}

/// An RFC 9457 problem document (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `urn:pannier:error:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub code: ErrorCode,
    /// What was wrong with this request, and what to do.
    pub detail: String,
    /// What the node logged the request under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

impl Problem {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:pannier:error:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            correlation_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_named_as_on_the_wire() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!((400..600).contains(&code.status()));
            assert!(code.documentation().ends_with('.'));
        }
    }
}
