//! What the tests across crates share: a real nats-server in a folder of its own, and the simulation.

#[path = "../sim/mod.rs"]
pub mod sim;

mod tryton;

use std::path::PathBuf;

use pannier_protocol::subject::Prefix;
use pannier_streams::connect::{self, Broker};
use pannier_streams::server::{Cluster, Finder, LocalServer, Options, ServerVersion, SyncInterval};
use pannier_streams::{Streams, config};
use tempfile::TempDir;
use tokio::sync::OnceCell;

pub use tryton::{Database, Tryton, room_for_tryton};

/// The oldest server that the tests are run against (by naming it in `NATS_SERVER`).
pub const VERSION_MIN: ServerVersion = ServerVersion { major: 2, minor: 12, patch: 8 };

/// A server, a connection to it, and the folder that goes with them.
pub struct TestBroker {
    pub server: LocalServer,
    pub broker: Broker,
    pub folder: TempDir,
}

/// The nats-server for tests: `NATS_SERVER`, the PATH, or the pinned one fetched under `target/`.
pub async fn nats_server() -> PathBuf {
    static FOUND: OnceCell<PathBuf> = OnceCell::const_new();
    let find = || async {
        let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/nats-server");
        Finder { version_min: VERSION_MIN, ..Finder::from_env(target) }
            .find()
            .await
            .expect("tests need a nats-server")
    };
    FOUND.get_or_init(find).await.clone()
}

impl TestBroker {
    /// A fresh server without any stream.
    pub async fn start() -> Self {
        Self::start_synced(SyncInterval::Always).await
    }

    /// The same with the choice of when stored messages reach the disk; `Every` takes them much faster.
    pub async fn start_synced(sync_interval: SyncInterval) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let options = Options { sync_interval, ..Options::new(nats_server().await, folder.path()) };
        let server = LocalServer::start(options).await.expect("nats-server starts");
        let broker = connect_to(&server.url()).await;
        Self { server, broker, folder }
    }

    /// A fresh server with the streams of the default prefix.
    pub async fn start_with_streams() -> (Self, Streams) {
        let broker = Self::start().await;
        let streams = config::init(&broker.broker, &Prefix::default(), 1).await.expect("init");
        (broker, streams)
    }

    /// `-STOP` and `-CONT`: the server hangs with its connections open, and goes on.
    pub fn signal(&self, signal: &str) {
        let pid = self.server.pid().to_string();
        let sent = std::process::Command::new("kill").args([signal, &pid]).status().expect("kill is there");
        assert!(sent.success(), "kill {signal} {pid}");
    }

    /// Another connection, as another process would have.
    pub async fn connect(&self) -> Broker {
        connect_to(&self.server.url()).await
    }
}

async fn connect_to(servers: &str) -> Broker {
    let options = connect::Options { version_min: VERSION_MIN, ..connect::Options::new(servers, "test") };
    Broker::connect(&options).await.expect("a connection to the test server")
}

/// Three servers in a cluster, and a connection that knows all of them.
pub struct TestCluster {
    pub servers: Vec<LocalServer>,
    pub broker: Broker,
    pub folder: TempDir,
}

impl TestCluster {
    /// Fresh servers `n1` to `n3` without any stream.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let mut servers: Vec<LocalServer> = Vec::new();
        let members = free_ports(3);
        for (server_name, port) in ["n1", "n2", "n3"].into_iter().zip(members.clone()) {
            let cluster =
                Some(Cluster { server_name: server_name.to_owned(), port, members: members.clone() });
            let options = Options::new(nats_server().await, folder.path().join(server_name));
            let server = LocalServer::start(Options { cluster, ..options }).await;
            servers.push(server.expect("nats-server starts"));
        }
        let broker = connect_to(&Self::urls(&servers)).await;
        Self { servers, broker, folder }
    }

    /// Another connection, as another process would have.
    pub async fn connect(&self) -> Broker {
        connect_to(&Self::urls(&self.servers)).await
    }

    fn urls(servers: &[LocalServer]) -> String {
        servers.iter().map(LocalServer::url).collect::<Vec<_>>().join(",")
    }
}

/// Ports that were free a moment ago, all different.
fn free_ports(count: usize) -> Vec<u16> {
    let bind = || std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listeners: Vec<_> = std::iter::repeat_with(bind).take(count).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("it is bound").port()).collect()
}
