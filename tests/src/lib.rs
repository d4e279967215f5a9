//! What the tests across crates share: a real nats-server in a folder of its own.

use std::path::PathBuf;

use pannier_protocol::subject::Prefix;
use pannier_streams::connect::{self, Broker};
use pannier_streams::server::{Finder, LocalServer, Options, SyncInterval};
use pannier_streams::{Streams, config};
use tempfile::TempDir;
use tokio::sync::OnceCell;

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
        Finder::from_env(target).find().await.expect("tests need a nats-server")
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
        let broker = connect_to(&server).await;
        Self { server, broker, folder }
    }

    /// A fresh server with the streams of the default prefix.
    pub async fn start_with_streams() -> (Self, Streams) {
        let broker = Self::start().await;
        let streams = config::init(&broker.broker, &Prefix::default(), 1).await.expect("init");
        (broker, streams)
    }

    /// Another connection, as another process would have.
    pub async fn connect(&self) -> Broker {
        connect_to(&self.server).await
    }
}

async fn connect_to(server: &LocalServer) -> Broker {
    Broker::connect(&connect::Options::new(server.url(), "test"))
        .await
        .expect("a connection to the test server")
}
