//! One nats-server as a child process: own store, loopback only, a free port unless one is given.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::limits::{SERVER_POLL, SERVER_READY_MAX, SERVER_STOP_MAX};

/// When the server syncs what it stored to disk; acknowledgements come before it unless `Always`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncInterval {
    Always,
    Every(Duration),
}

impl fmt::Display for SyncInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::Every(interval) => write!(f, "\"{}s\"", interval.as_secs().max(1)),
        }
    }
}

/// Membership of a cluster; all members are on this machine.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Of this server, unique in the cluster.
    pub server_name: String,
    /// Where the other members reach this one.
    pub port: u16,
    /// `port` of every member. A member that starts must know how many there will be, so these cannot be
    /// left for the servers to choose.
    pub members: Vec<u16>,
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The nats-server, as [`super::Finder`] found it.
    pub binary: PathBuf,
    /// Store, configuration and log go here; made where it is missing, never removed.
    pub folder: PathBuf,
    /// `None`: a free one.
    pub port: Option<u16>,
    pub sync_interval: SyncInterval,
    pub cluster: Option<Cluster>,
}

impl Options {
    /// A free port, and every acknowledged message on disk.
    pub fn new(binary: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        let (binary, folder) = (binary.into(), folder.into());
        Self { binary, folder, port: None, sync_interval: SyncInterval::Always, cluster: None }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// Two servers on one store destroy it.
    #[error(
        "a nats-server started earlier (pid {pid}) still runs on {}; end it with `kill {pid}`, or use \
         another folder", folder.display()
    )]
    InUse { folder: PathBuf, pid: String },
    #[error("{} does not run: {source}", binary.display())]
    Spawn { binary: PathBuf, source: std::io::Error },
    #[error("nats-server ended while starting ({status}); the end of {}:\n{log}", log_file.display())]
    Ended { status: std::process::ExitStatus, log_file: PathBuf, log: String },
    #[error("nats-server does not listen after {SERVER_READY_MAX:?}; see {}", log_file.display())]
    NotReady { log_file: PathBuf },
}

/// A running server. It is killed when this is dropped; [`LocalServer::stop`] lets it finish.
/// A parent that is itself killed with SIGKILL leaves it running; the next start on that folder says so.
#[derive(Debug)]
pub struct LocalServer {
    options: Options,
    child: Child,
    /// Kept over restarts, so that clients find it again.
    port: u16,
    pid: u32,
}

impl LocalServer {
    /// Returns when the server listens.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        tokio::fs::create_dir_all(&options.folder)
            .await
            .map_err(|source| StartError::File { path: options.folder.clone(), source })?;
        let mut child = spawn(&options).await?;
        let (pid, port) = wait_ready(&options, &mut child).await?;
        Ok(Self { options, child, port, pid })
    }

    /// As in `nats://127.0.0.1:34705`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of the running or last child.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn log_file(&self) -> PathBuf {
        log_file(&self.options)
    }

    /// Ends the child at once, as a power cut would, and waits until it is gone.
    pub async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(pid = self.pid, %error, "nats-server was not killed");
        }
    }

    /// Kills the child if it still runs, and starts another on the same port and store.
    pub async fn restart(&mut self) -> Result<(), StartError> {
        self.kill().await;
        self.start_again().await
    }

    /// Starts a killed or stopped server again on the same port and store.
    pub async fn start_again(&mut self) -> Result<(), StartError> {
        let options = Options { port: Some(self.port), ..self.options.clone() };
        self.child = spawn(&options).await?;
        (self.pid, _) = wait_ready(&options, &mut self.child).await?;
        Ok(())
    }

    /// Sends one of nats-server's own signals (`quit`, `ldm`, `reload`) by pid, without unsafe code.
    pub async fn signal(&self, signal: &str) -> std::io::Result<()> {
        let argument = format!("{signal}={}", self.pid);
        let mut command = Command::new(&self.options.binary);
        command.args(["--signal", &argument]).stdout(Stdio::null()).stderr(Stdio::null());
        command.kill_on_drop(true).status().await.map(|_| ())
    }

    /// Lets the server close its store; kills it where that takes longer than [`SERVER_STOP_MAX`].
    pub async fn stop(mut self) {
        if let Err(error) = self.signal("quit").await {
            tracing::warn!(pid = self.pid, %error, "nats-server was not told to stop");
        }
        if timeout(SERVER_STOP_MAX, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }
}

fn log_file(options: &Options) -> PathBuf {
    options.folder.join("nats-server.log")
}

/// A path as a string of the server's configuration language.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

/// As the server reads it.
fn configuration(options: &Options, folder: &Path) -> String {
    let mut text = format!(
        "host: 127.0.0.1\nport: {}\nports_file_dir: {}\nlog_file: {}\nmax_payload: 1MB\n\
         jetstream {{\n  store_dir: {}\n  sync_interval: {}\n}}\n",
        options.port.map_or("-1".to_owned(), |port| port.to_string()),
        quoted(folder),
        quoted(&folder.join("nats-server.log")),
        quoted(&folder.join("store")),
        options.sync_interval,
    );
    if let Some(Cluster { server_name, port, members }) = &options.cluster {
        let routes: Vec<String> = members.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        text += &format!(
            "server_name: {server_name:?}\ncluster {{\n  name: pannier\n  host: 127.0.0.1\n  port: {port}\n  \
             routes: [{}]\n}}\n",
            routes.join(", ")
        );
    }
    text
}

async fn spawn(options: &Options) -> Result<Child, StartError> {
    let folder = tokio::fs::canonicalize(&options.folder)
        .await
        .map_err(|source| StartError::File { path: options.folder.clone(), source })?;
    let configuration = configuration(options, &folder);
    let file = folder.join("nats-server.conf");
    tokio::fs::write(&file, configuration)
        .await
        .map_err(|source| StartError::File { path: file.clone(), source })?;
    let lock = lock(&folder)?;
    let child = Command::new(&options.binary)
        .arg("--config")
        .arg(&file)
        .stdin(lock)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C in a terminal goes to the whole group: the parent stops its child, last of all.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| StartError::Spawn { binary: options.binary.clone(), source })?;
    let pid_file = pid_file(&folder);
    tokio::fs::write(&pid_file, child.id().unwrap_or_default().to_string())
        .await
        .map_err(|source| StartError::File { path: pid_file, source })?;
    Ok(child)
}

/// The folder's lock. The child gets it as its standard input, so it is held exactly as long as the child
/// lives, whatever becomes of this process.
fn lock(folder: &Path) -> Result<File, StartError> {
    let path = folder.join("nats-server.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| StartError::File { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let pid = std::fs::read_to_string(pid_file(folder)).unwrap_or_else(|_| "unknown".to_owned());
            Err(StartError::InUse { folder: folder.to_owned(), pid })
        }
        Err(TryLockError::Error(source)) => Err(StartError::File { path, source }),
    }
}

fn pid_file(folder: &Path) -> PathBuf {
    folder.join("nats-server.pid")
}

/// The pid and the port, from the file that the server writes once it accepts clients.
async fn wait_ready(options: &Options, child: &mut Child) -> Result<(u32, u16), StartError> {
    let pid = child.id().unwrap_or_default();
    let name = options.binary.file_name().unwrap_or_default().to_string_lossy();
    let ports_file = options.folder.join(format!("{name}_{pid}.ports"));
    let deadline = Instant::now() + SERVER_READY_MAX;
    loop {
        if let Some(port) = tokio::fs::read(&ports_file).await.ok().and_then(|bytes| port_of(&bytes)) {
            return Ok((pid, port));
        }
        if let Ok(Some(status)) = child.try_wait() {
            let log_file = log_file(options);
            let log = tokio::fs::read_to_string(&log_file).await.unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let log = lines[lines.len().saturating_sub(5)..].join("\n");
            return Err(StartError::Ended { status, log_file, log });
        }
        if Instant::now() >= deadline {
            return Err(StartError::NotReady { log_file: log_file(options) });
        }
        sleep(SERVER_POLL).await;
    }
}

fn port_of(bytes: &[u8]) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
}
