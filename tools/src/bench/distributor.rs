//! A broker and a node of their own, with a generated distributor, for as long as something is measured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use pannier_protocol::MarkId;
use pannier_protocol::order::{Decision, Routing};
use pannier_streams::server::{self, Finder, LocalServer, ServerVersion, SyncInterval};
use pannier_streams::{Broker, Streams};
use tempfile::TempDir;

use crate::broker::BrokerArgs;
use crate::generate::{Shape, publish};
use crate::stage::NodeProcess;
use crate::{orders, rules};

const READY_MAX: Duration = Duration::from_secs(15 * 60);
const ROUTING: &str = "[[rules]]\nbackend = \"erp\"\n";

pub(super) struct Distributor {
    pub(super) node: NodeProcess,
    pub(super) broker: Broker,
    pub(super) streams: Streams,
    server: LocalServer,
    folder: TempDir,
}

/// Where it is made.
pub(super) struct Site<'a> {
    pub(super) dir: &'a Path,
    pub(super) nats_server: Option<PathBuf>,
    /// `None`: as the broker does by default.
    pub(super) sync: Option<SyncInterval>,
    /// The node's, of this machine.
    pub(super) core: Option<&'a str>,
    pub(super) environment: &'a [(&'a str, &'a str)],
}

impl Distributor {
    pub(super) async fn start(site: Site<'_>, shape: Shape) -> anyhow::Result<Self> {
        let (named, cache) = (site.nats_server, site.dir.join("nats-server"));
        let binary = Finder { named, cache, version_min: ServerVersion::FLOOR }.find().await?;
        let folder = tempfile::Builder::new().prefix("pannier-bench-").tempdir_in(site.dir);
        let folder = folder.with_context(|| format!("make a folder in {}", site.dir.display()))?;
        let options = server::Options::new(&binary, folder.path().join("nats"));
        let sync_interval = site.sync.unwrap_or(options.sync_interval);
        let server = LocalServer::start(server::Options { sync_interval, ..options }).await?;
        let prefix = pannier_node::Config::default().nats.prefix;
        let broker_args = BrokerArgs { nats: server.url(), prefix };
        let broker = broker_args.connect("pannier bench").await?;
        let streams = pannier_streams::init(&broker, &broker_args.prefix, 1).await?;
        rules::begin(&broker, &streams).await?;
        let (by, reason) = (MarkId::new("pannier-bench")?, "a benchmark".to_owned());
        let routing = Routing { rules: orders::routes(ROUTING)?, by, reason, keyed: None };
        orders::publish(&broker, &streams, Decision::Routing(routing)).await?;
        eprintln!("{}", publish(&broker, &streams, shape).await?.text());
        let pannier = std::env::current_exe().context("find this program")?;
        let mut node = NodeProcess::start_with(
            "node",
            (&pannier, site.core),
            &server.url(),
            site.environment,
            folder.path(),
        )?;
        node.ready(READY_MAX).await?;
        Ok(Self { node, broker, streams, server, folder })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.node.stop().await?;
        // Before the broker ends, or it would be missed.
        drop(self.broker);
        self.server.stop().await;
        Ok(())
    }
}
