//! Errors of libraries in one line.

use std::error::Error;

/// An error with what it comes from: the outermost only says that something went wrong.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
