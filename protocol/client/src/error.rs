//! What can go wrong between a caller and a node, one enum per operation.

use std::time::Duration;

use pannier_protocol::DecodeError;
use pannier_protocol::api::{ErrorCode, Problem};
use pannier_protocol::codec::EncodeError;

/// Why a text is no address of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no address of a node; write it as in \"http://127.0.0.1:8080\", or as in \"quic://pannier-1:8443\" together with \
     the PEM of the authority that its certificate is of"
)]
pub struct AddressError {
    pub(crate) text: String,
}

/// Why there is no whole response. Whether the node has seen the request is not known.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("{address} did not answer within {limit:?}; ask again or ask another node")]
    Deadline { address: String, limit: Duration },
    #[error("{address} could not be reached; check that a node listens there")]
    Unreachable {
        address: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the connection to {address} broke within the answer; ask again")]
    Broken {
        address: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the answer of {address} is larger than {max} bytes; split the request")]
    TooLarge { address: String, max: usize },
    #[error("not a request")]
    Request(#[from] http::Error),
}

/// Why a call of the API has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("the request cannot be encoded")]
    Encode(#[from] EncodeError),
    /// The node refused, and says why.
    #[error("{}: {}", .problem.code.as_str(), .problem.detail)]
    Problem {
        problem: Box<Problem>,
        /// Of a `Retry-After` header.
        retry_after: Option<Duration>,
    },
    #[error("{address} is for checkout; operators are answered over HTTP")]
    NoOperators { address: String },
    #[error("status {status} without a problem document; is this a node?")]
    Status { status: u16 },
    #[error("the answer cannot be read; the node may be newer than this client")]
    Answer(#[from] DecodeError),
}

impl CallError {
    /// Whether the same call, now or a little later, may be answered by this node or by another one.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Send(SendError::TooLarge { .. } | SendError::Request(_)) => false,
            Self::Send(
                SendError::Deadline { .. } | SendError::Unreachable { .. } | SendError::Broken { .. },
            ) => true,
            Self::Problem { problem, .. } => matches!(
                problem.code,
                ErrorCode::InProgress
                    | ErrorCode::TooManyRequests
                    | ErrorCode::Internal
                    | ErrorCode::Behind
                    | ErrorCode::NotReady
                    | ErrorCode::LedgerUnavailable
            ),
            Self::Status { status } => *status >= 500,
            Self::Encode(_) | Self::Answer(_) | Self::NoOperators { .. } => false,
        }
    }
}

/// Why a node is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    #[error(transparent)]
    Send(#[from] SendError),
    /// It answers, and has not caught up with the streams (or is stopping).
    #[error("not ready: {detail}")]
    NotReady { detail: String },
}
