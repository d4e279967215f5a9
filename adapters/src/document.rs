//! What all documents that operators write have in common: one TOML file, and files that it names.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Why a document, or a file that it names, is refused before its values are looked at.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("cannot read {}: check the path and its permissions", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The parser's text names line, column and key.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
}

/// The text of a document, or of a file of a secret.
pub(crate) fn read(path: &Path) -> Result<String, DocumentError> {
    std::fs::read_to_string(path).map_err(|source| DocumentError::Read { path: path.to_owned(), source })
}

pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, DocumentError> {
    Ok(toml::from_str(text)?)
}

/// A broker beside the adapter.
pub(crate) fn default_nats() -> String {
    "nats://127.0.0.1:4222".to_owned()
}
