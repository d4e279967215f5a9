//! Which nats-server to run: named, on the PATH, cached or fetched, in this order.

use std::fmt;
use std::path::{Path, PathBuf};

use tokio::process::Command;
use tokio::time::timeout;

use crate::limits::SERVER_VERSION_MAX;

use super::fetch::{self, FetchError};

/// `major.minor.patch` of a nats-server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl ServerVersion {
    /// The lowest server that Pannier is made for: the options it depends on exist from here on.
    pub const FLOOR: Self = Self { major: 2, minor: 14, patch: 0 };
    /// The one that is fetched where none is found.
    pub const PINNED: Self = Self { major: 2, minor: 14, patch: 6 };

    /// Reads `2.14.6`, with anything before (`nats-server: v`) and after (`-RC.1`) it.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut parts =
            digits.split('.').map(|part| part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        Some(Self { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? })
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Where to look for a nats-server.
#[derive(Debug, Clone)]
pub struct Finder {
    /// Taken as it is, and nothing else is looked at.
    pub named: Option<PathBuf>,
    /// A named one or one on the PATH must be at least this; lower than the floor only for tests with
    /// servers that are known to do (2.12.8).
    pub version_min: ServerVersion,
    /// Fetched servers are kept here, one folder a version (a folder under `target/`, say).
    pub cache: PathBuf,
}

/// Why there is no nats-server to run.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("{} does not run as a nats-server: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error("{} is nats-server {version}; {version_min} or newer is needed", path.display())]
    TooOld { path: PathBuf, version: ServerVersion, version_min: ServerVersion },
    #[error(
        "no nats-server {} or newer on the PATH, and fetching {} failed: {fetch}\n\
         install one by hand and name it with --nats-server PATH:\n{}",
        ServerVersion::FLOOR,
        ServerVersion::PINNED,
        fetch::BY_HAND
    )]
    NotFetched { fetch: FetchError },
}

impl Finder {
    /// Looks into `NATS_SERVER` for a named one.
    pub fn from_env(cache: impl Into<PathBuf>) -> Self {
        let named = std::env::var_os("NATS_SERVER").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { named, version_min: ServerVersion::FLOOR, cache: cache.into() }
    }

    /// The path of a nats-server that is new enough; fetches it where it must.
    pub async fn find(&self) -> Result<PathBuf, FindError> {
        if let Some(path) = &self.named {
            let version = version_of(path)
                .await
                .map_err(|reason| FindError::Unusable { path: path.clone(), reason })?;
            if version < self.version_min {
                let version_min = self.version_min;
                return Err(FindError::TooOld { path: path.clone(), version, version_min });
            }
            return Ok(path.clone());
        }
        for path in on_path() {
            match version_of(&path).await {
                Ok(version) if version >= self.version_min => return Ok(path),
                Ok(version) => {
                    tracing::info!(path = %path.display(), %version, "nats-server is too old, looking on")
                }
                Err(reason) => tracing::warn!(path = %path.display(), reason, "not usable, looking on"),
            }
        }
        let cached = self.cache.join(format!("nats-server-{}", ServerVersion::PINNED)).join("nats-server");
        if version_of(&cached).await == Ok(ServerVersion::PINNED) {
            return Ok(cached);
        }
        fetch::fetch_into(&cached).await.map_err(|fetch| FindError::NotFetched { fetch })?;
        match version_of(&cached).await {
            Ok(_) => Ok(cached),
            Err(reason) => Err(FindError::Unusable { path: cached, reason }),
        }
    }
}

fn on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("nats-server"))
        .filter(|file| file.is_file())
        .collect()
}

/// What `nats-server --version` says.
async fn version_of(path: &Path) -> Result<ServerVersion, String> {
    let mut command = Command::new(path);
    command.arg("--version").kill_on_drop(true);
    let output = timeout(SERVER_VERSION_MAX, command.output())
        .await
        .map_err(|_| format!("--version did not end within {SERVER_VERSION_MAX:?}"))?
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    ServerVersion::parse(&said).ok_or_else(|| format!("--version says {:?}", said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let version = |text| ServerVersion::parse(text);
        assert_eq!(version("nats-server: v2.14.6\n"), Some(ServerVersion::PINNED));
        assert!(version("2.15.1-RC.2") > Some(ServerVersion::PINNED));
        assert!(version("v2.9.10") < Some(ServerVersion::FLOOR));
        for bad in ["", "nats", "2.14", "2.x.1"] {
            assert_eq!(version(bad), None, "{bad:?}");
        }
    }
}
