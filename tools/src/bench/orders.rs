//! `pannier bench orders`: what group commit is worth.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use pannier_client::{HttpClient, Options};
use pannier_protocol::api::OrderState;
use pannier_protocol::{Encoding, IdempotencyKey, SourceId};
use pannier_streams::server::{Finder, LocalServer, ServerVersion, SyncInterval};
use serde::Serialize;

use super::closed::{self, Ask, Measured};
use crate::broker::BrokerArgs;
use crate::cli::data;
use crate::stage::{NodeProcess, world};

const READY_MAX: Duration = Duration::from_secs(60);
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Requests under way at a time.
    #[arg(long, env = "PANNIER_CLIENTS", default_value_t = 64)]
    clients: usize,
    /// Of one run, after a second of warm-up.
    #[arg(long, env = "PANNIER_SECONDS", default_value_t = 5)]
    seconds: u64,
    /// Runs of each, in turn.
    #[arg(long, env = "PANNIER_RUNS", default_value_t = 5)]
    runs: usize,
    /// A nats-server; without: one on the PATH, else the pinned one is fetched.
    #[arg(long, env = "NATS_SERVER")]
    nats_server: Option<PathBuf>,
    /// Where stores are made and removed: its disk is what is measured.
    #[arg(long, env = "PANNIER_BENCH_DIR", default_value = "target")]
    dir: PathBuf,
    /// Print the runs as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

/// Orders in one message of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Grouping {
    Grouped,
    Single,
}

#[derive(Debug, Serialize)]
struct Run {
    grouping: Grouping,
    orders_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    nats_server: String,
    sync_interval: &'static str,
    clients: usize,
    seconds: u64,
    runs: Vec<Run>,
    /// Of medians: grouped to single.
    ratio: f64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    ensure!(
        args.runs > 0 && args.clients > 0 && args.seconds > 0,
        "runs, clients and seconds are at least 1"
    );
    let (named, cache) = (args.nats_server.clone(), args.dir.join("nats-server"));
    let finder = Finder { named, cache, version_min: ServerVersion::FLOOR };
    let binary = finder.find().await?;
    let mut report = Report {
        nats_server: String::new(),
        sync_interval: "always",
        clients: args.clients,
        seconds: args.seconds,
        runs: Vec::new(),
        ratio: 0.0,
    };
    for number in 1..=args.runs {
        for grouping in [Grouping::Grouped, Grouping::Single] {
            let (version, measured) = Box::pin(run_once(&args, &binary, grouping)).await?;
            report.nats_server = version;
            let run = Run {
                grouping,
                orders_per_second: measured.per_second(),
                p50_ms: measured.quantile(0.5),
                p99_ms: measured.quantile(0.99),
                max_ms: measured.quantile(1.0),
            };
            eprintln!("run {number}: {run:?}");
            report.runs.push(run);
        }
    }
    report.ratio = report.median(Grouping::Grouped).1 / report.median(Grouping::Single).1;
    if args.json {
        return data(serde_json::to_string(&report)?);
    }
    data(report.text())
}

/// A broker, a node and its orders, from nothing; the version of the broker.
async fn run_once(args: &Args, binary: &Path, grouping: Grouping) -> anyhow::Result<(String, Measured)> {
    let folder = tempfile::Builder::new().prefix("pannier-bench-").tempdir_in(&args.dir);
    let folder = folder.with_context(|| format!("make a folder in {}", args.dir.display()))?;
    let options = pannier_streams::server::Options::new(binary, folder.path().join("nats"));
    let options = pannier_streams::server::Options { sync_interval: SyncInterval::Always, ..options };
    let server = LocalServer::start(options).await?;
    let broker_args = BrokerArgs { nats: server.url(), prefix: pannier_node::Config::default().nats.prefix };
    let broker = broker_args.connect("pannier bench").await?;
    let streams = pannier_streams::init(&broker, &broker_args.prefix, 1).await?;
    let loaded = world::load(&broker, &streams).await?;

    let pannier = std::env::current_exe().context("find this program")?;
    let grouped = [("PANNIER_ORDERS__GROUP_COMMANDS", "1")];
    let environment = if grouping == Grouping::Single { &grouped[..] } else { &[] };
    let mut node = NodeProcess::start("bench", &pannier, &server.url(), environment, folder.path())?;
    node.ready(READY_MAX).await?;
    let client = HttpClient::new(
        node.address(),
        Options { deadline: READY_MAX, encoding: Encoding::MessagePack, ..Options::default() },
    )?;
    for as_of in &loaded {
        let at = client.get(&format!("/v1/price-availability/B-0000?quantity=1&at_least={as_of}")).await?;
        ensure!(at.status().is_success(), "the node is not at {as_of}: {}", at.status());
    }

    let measured = Duration::from_secs(args.seconds);
    let source = SourceId::new("bench")?;
    let clients = vec![Customer { client, source }; args.clients];
    let outcome = closed::run(clients, WARM_UP, measured).await;
    node.stop().await?;
    let version = broker.server_version().map_or_else(String::new, |version| version.to_string());
    // Before the broker ends, or it would be missed.
    drop(broker);
    server.stop().await;
    Ok((version, outcome?))
}

#[derive(Clone)]
struct Customer {
    client: HttpClient,
    source: SourceId,
}

impl Ask for Customer {
    async fn ask(&mut self, number: u64) -> anyhow::Result<()> {
        let Self { client, source } = self;
        let key = IdempotencyKey::new(&format!("{source}-{number}"))?;
        let answer = client.place_order(&key, &world::order(source, number)?).await?;
        let accepted = matches!(answer.state, OrderState::Accepted | OrderState::Dispatched);
        ensure!(accepted, "order {number} is {:?}: {:?}", answer.state, answer.reasons);
        Ok(())
    }
}

impl Report {
    /// Lowest, median and highest orders a second.
    fn median(&self, grouping: Grouping) -> (f64, f64, f64) {
        let mut rates: Vec<f64> = self
            .runs
            .iter()
            .filter(|run| run.grouping == grouping)
            .map(|run| run.orders_per_second)
            .collect();
        rates.sort_by(f64::total_cmp);
        let at = |index: usize| rates.get(index).copied().unwrap_or_default();
        (at(0), at(rates.len() / 2), at(rates.len().saturating_sub(1)))
    }

    fn text(&self) -> String {
        let mut text = format!(
            "judged orders a second, nats-server {} with sync_interval {}, {} clients, {} s a run\n",
            self.nats_server, self.sync_interval, self.clients, self.seconds
        );
        text += "            lowest   median  highest   p99 ms (median run)\n";
        for (grouping, name) in [(Grouping::Grouped, "grouped"), (Grouping::Single, "single")] {
            let (lowest, median, highest) = self.median(grouping);
            let p99 =
                self.runs.iter().find(|run| run.grouping == grouping && run.orders_per_second == median);
            let p99 = p99.map_or(0.0, |run| run.p99_ms);
            text += &format!("{name:<10}{lowest:>8.0} {median:>8.0} {highest:>8.0} {p99:>8.1}\n");
        }
        text + &format!("ratio {:.1}", self.ratio)
    }
}
