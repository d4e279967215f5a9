//! What a failed request means for an order.

use super::super::rest::RestError;
use crate::runner::sink::BackendError;

/// By what is known. What only Tryton's own code or this adapter could change stays transient: the sink makes a dead letter of
/// an order that alone keeps failing, and keeps all of them where none gets through.
pub(super) fn failed(error: RestError) -> BackendError {
    let text = error.to_string();
    match error {
        RestError::Unreachable { .. } | RestError::Unavailable { .. } | RestError::Denied { .. } => {
            BackendError::Down(text)
        }
        // Of a whole model: the database is not there. Of a record its caller deals with it.
        RestError::Missing { what } => {
            BackendError::Down(format!("there is no {what}; does the database in `url` exist?"))
        }
        RestError::Refused { .. } => BackendError::Business(text),
        RestError::Malformed { .. }
        | RestError::Failed { .. }
        | RestError::Timeout { .. }
        | RestError::Broken { .. }
        | RestError::Unreadable { .. } => BackendError::Transient(text),
    }
}
