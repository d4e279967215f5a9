//! `pannier bench start`: how long a node takes from its process's start until it answers, by each way to its tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use pannier_client::{HttpClient, Options};
use pannier_streams::server::{self, Finder, LocalServer, ServerVersion};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::broker::BrokerArgs;
use crate::cli::data;
use crate::generate::{SizeArgs, publish};
use crate::stage::{Authority, NodeProcess};

/// The largest size, on a slow disk.
const READY_MAX: Duration = Duration::from_secs(15 * 60);
const LOOK: Duration = Duration::from_millis(50);
const LOCAL: &str = "127.0.0.1";
/// In the folder of the certificates.
pub(super) const AUTHORITY: &str = "authority.pem";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    size: SizeArgs,
    /// Starts of each way.
    #[arg(long, env = "PANNIER_RUNS", default_value_t = 3)]
    runs: usize,
    /// A nats-server; without: one on the PATH, else the pinned one is fetched.
    #[arg(long, env = "NATS_SERVER")]
    nats_server: Option<PathBuf>,
    /// Where stores are made and removed: its disk is read.
    #[arg(long, env = "PANNIER_BENCH_DIR", default_value = "target")]
    dir: PathBuf,
    /// Print the runs as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

/// Where a node has its tables from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// All messages of the streams.
    Log,
    /// Its own checkpoint; the pages of the file are in memory.
    Disk,
    /// Another node, over QUIC on this machine.
    Peer,
    /// The brokers' object store.
    Store,
}

#[derive(Debug, Serialize)]
struct Run {
    way: Way,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    rows: u64,
    nats_server: String,
    /// Of the checkpoint.
    bytes: u64,
    /// Of a node that has just started from disk.
    resident_bytes: Option<u64>,
    runs: Vec<Run>,
    /// Medians, by name.
    figures: BTreeMap<&'static str, f64>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let (named, cache) = (args.nats_server.clone(), args.dir.join("nats-server"));
    let binary = Finder { named, cache, version_min: ServerVersion::FLOOR }.find().await?;
    let folder = tempfile::Builder::new().prefix("pannier-bench-").tempdir_in(&args.dir);
    let folder = folder.with_context(|| format!("make a folder in {}", args.dir.display()))?;
    let server = LocalServer::start(server::Options::new(&binary, folder.path().join("nats"))).await?;
    let broker_args = BrokerArgs { nats: server.url(), prefix: pannier_node::Config::default().nats.prefix };
    let broker = broker_args.connect("pannier bench").await?;
    let streams = pannier_streams::init(&broker, &broker_args.prefix, 1).await?;
    let published = publish(&broker, &streams, args.size.shape()).await?;
    eprintln!("{}", published.text());
    let version = broker.server_version().map_or_else(String::new, |version| version.to_string());
    let outcome = measure(&args, &server.url(), folder.path(), version).await;
    drop(broker);
    server.stop().await;
    let report = outcome?;
    if args.json {
        return data(serde_json::to_string(&report)?);
    }
    data(report.text())
}

async fn measure(args: &Args, nats: &str, folder: &Path, nats_server: String) -> anyhow::Result<Report> {
    let peering = certificates(folder)?;
    let kept = folder.join("checkpoints");
    let kept_text = kept.to_str().context("a folder whose name is text")?;
    let keeping =
        [("PANNIER_CHECKPOINT__FOLDER", kept_text), ("PANNIER_CHECKPOINT__SHARE_INTERVAL_MS", "1000")];
    let mut report = Report {
        rows: args.size.rows,
        nats_server,
        bytes: 0,
        resident_bytes: None,
        runs: Vec::new(),
        figures: BTreeMap::new(),
    };
    let mut note = |way, seconds| {
        eprintln!("{way:?}: {seconds:.2} s");
        report.runs.push(Run { way, seconds });
    };
    for _ in 0..args.runs {
        // Without a copy in the object store yet it is the log.
        let (node, seconds) = ready(nats, "log", &[], folder).await?;
        note(Way::Log, seconds);
        node.stop().await?;
    }
    let both: Vec<(&str, &str)> = keeping.iter().copied().chain(peering.environment()).collect();
    let (keeper, _) = ready(nats, "keeper", &both, folder).await?;
    until_shared(&keeper).await?;
    for number in 0..args.runs {
        let (node, seconds) = ready(nats, &format!("peer-{number}"), &peering.environment(), folder).await?;
        is_from(&node, "peer").await?;
        note(Way::Peer, seconds);
        node.stop().await?;
    }
    keeper.stop().await?;
    for number in 0..args.runs {
        let (node, seconds) = ready(nats, &format!("store-{number}"), &[], folder).await?;
        is_from(&node, "store").await?;
        note(Way::Store, seconds);
        node.stop().await?;
    }
    let mut resident = None;
    for _ in 0..args.runs {
        let (mut node, seconds) = ready(nats, "keeper", &keeping[..1], folder).await?;
        is_from(&node, "disk").await?;
        note(Way::Disk, seconds);
        resident = node.process().resident_bytes();
        node.stop().await?;
    }
    report.resident_bytes = resident;
    let newest = std::fs::read_dir(&kept)?.filter_map(|file| file.ok()?.metadata().ok());
    report.bytes = newest.filter(std::fs::Metadata::is_file).map(|it| it.len()).max().unwrap_or(0);
    for (way, name) in [(Way::Disk, "disk_seconds"), (Way::Peer, "peer_seconds")] {
        report.figures.insert(name, report.seconds(way)[1]);
    }
    let a_row =
        report.resident_bytes.map(|bytes| ("resident_bytes_a_row", bytes as f64 / report.rows as f64));
    report.figures.extend(a_row);
    Ok(report)
}

/// A node from nothing until it answers, and how long that took.
async fn ready(
    nats: &str,
    name: &str,
    environment: &[(&str, &str)],
    folder: &Path,
) -> anyhow::Result<(NodeProcess, f64)> {
    let pannier = std::env::current_exe().context("find this program")?;
    let began = Instant::now();
    let mut node = NodeProcess::start(name, &pannier, nats, environment, folder)?;
    node.ready(READY_MAX).await?;
    Ok((node, began.elapsed().as_secs_f64()))
}

/// A figure of another way than is meant would be none.
async fn is_from(node: &NodeProcess, source: &str) -> anyhow::Result<()> {
    let http = HttpClient::new(node.address(), Options::default())?;
    let state: serde_json::Value = serde_json::from_slice(http.get("/readyz").await?.body())?;
    if state["load"]["source"] != source {
        bail!("the node started from {}, not from {source}: {state}", state["load"]["source"]);
    }
    Ok(())
}

/// Until the node's checkpoint is in the object store.
async fn until_shared(node: &NodeProcess) -> anyhow::Result<()> {
    let http = HttpClient::new(node.address(), Options::default())?;
    let deadline = Instant::now() + READY_MAX;
    loop {
        let page = http.get("/metrics").await?;
        let page = String::from_utf8_lossy(page.body()).into_owned();
        if page.contains("pannier_checkpoint_shared_total{outcome=\"shared\"}") {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("no checkpoint came into the object store within {READY_MAX:?}");
        }
        sleep(LOOK).await;
    }
}

/// What a node needs to give its state to others, and to take theirs.
pub(super) struct Peering([(&'static str, String); 4]);

impl Peering {
    pub(super) fn environment(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
}

pub(super) fn certificates(folder: &Path) -> anyhow::Result<Peering> {
    let authority = Authority::new("pannier bench")?;
    let issued = authority.issue(LOCAL)?;
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok::<_, anyhow::Error>(path.to_str().context("a folder whose name is text")?.to_owned())
    };
    Ok(Peering([
        ("PANNIER_QUIC__LISTEN", format!("{LOCAL}:0")),
        ("PANNIER_QUIC__CERTIFICATE", file("node.pem", issued.certificate_pem())?),
        ("PANNIER_QUIC__KEY", file("node.key", issued.key_pem())?),
        ("PANNIER_QUIC__AUTHORITY", file(AUTHORITY, authority.pem())?),
    ]))
}

impl Report {
    /// Lowest, median and highest.
    fn seconds(&self, way: Way) -> [f64; 3] {
        let mut seconds: Vec<f64> =
            self.runs.iter().filter(|run| run.way == way).map(|run| run.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let at = |index: usize| seconds.get(index).copied().unwrap_or_default();
        [at(0), at(seconds.len() / 2), at(seconds.len().saturating_sub(1))]
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} price rows, checkpoint of {} bytes, nats-server {}; seconds until /readyz is 200\n        lowest   median  highest   rows/s (median)\n",
            self.rows, self.bytes, self.nats_server
        );
        for (way, name) in
            [(Way::Disk, "disk"), (Way::Peer, "peer"), (Way::Store, "store"), (Way::Log, "log")]
        {
            let [lowest, median, highest] = self.seconds(way);
            let rate = self.rows as f64 / median;
            text += &format!("{name:<6}{lowest:>8.2} {median:>8.2} {highest:>8.2} {rate:>12.0}\n");
        }
        let resident = self.resident_bytes.map_or("unknown".to_owned(), |bytes| {
            format!("{:.1} bytes a price row", bytes as f64 / self.rows as f64)
        });
        text + &format!("resident after a start from disk, with all that a node has: {resident}")
    }
}
