//! `pannier bench load`: a shop's traffic, to size a cluster with.
//!
//! Customers come at a rate, whether the cluster keeps up or not, and latencies count from when they came. Without a rate
//! each asks again as soon as it is answered: that finds what a server can do at most, and its latencies are those of
//! nobody's shop.

mod arrivals;
mod compare;
mod customers;
mod draw;
mod highest;
mod page;
mod recorded;
mod storm;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use pannier_client::Options;
use pannier_protocol::Encoding;
use pannier_streams::server::SyncInterval;
use serde::{Deserialize, Serialize};

pub(super) use compare::{Args as CompareArgs, run as compare};

use self::arrivals::Pattern;
use self::customers::{DEADLINE, Names, Target};
use self::draw::{Draw, Mix};
use self::recorded::{Recorded, Recorder};
use super::distributor::{Distributor, Site};
use super::start::{AUTHORITY, certificates};
use super::usage;
use crate::cli::data;
use crate::generate::SizeArgs;

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Nodes to be asked in turn, as in http://10.0.0.5:8080 or quic://pannier-1:8443, with commas between. They have what
    /// `pannier generate` with the same --rows and --seed has published. Without: a broker and a node are started here.
    #[arg(long, env = "PANNIER_TARGETS", value_delimiter = ',')]
    target: Vec<String>,
    /// For quic://: PEM of the authorities whose certificates are trusted.
    #[arg(long, env = "PANNIER_AUTHORITY")]
    authority: Option<PathBuf>,
    /// Without --target: ask over QUIC.
    #[arg(long, env = "PANNIER_QUIC", conflicts_with = "target")]
    quic: bool,
    /// Of lookups over HTTP.
    #[arg(long, env = "PANNIER_ENCODING", default_value = "json")]
    encoding: Wire,
    /// Requests a second that are due. Without: as many as --connections get answered.
    #[arg(long, env = "PANNIER_RATE", value_parser = rate)]
    rate: Option<f64>,
    /// How requests that are due follow each other.
    #[arg(long, env = "PANNIER_ARRIVALS", default_value = "poisson")]
    arrivals: Pattern,
    /// Requests under way at a time; what is due beyond that waits, and its waiting counts.
    #[arg(long, env = "PANNIER_CONNECTIONS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Kinds of requests by weight.
    #[arg(long, env = "PANNIER_MIX", default_value = "lookups=1")]
    mix: Mix,
    /// Of a basket and of an order.
    #[arg(long, env = "PANNIER_LINES", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=200))]
    lines: u64,
    /// How much more often few items and accounts are asked for than most: the exponent of a Zipf distribution, 0 is all
    /// alike.
    #[arg(long, env = "PANNIER_SKEW", default_value_t = 1.0)]
    skew: f64,
    #[command(flatten)]
    size: SizeArgs,
    /// Stock changes a second that are published meanwhile; without --target only.
    #[arg(long, env = "PANNIER_STORM", conflicts_with = "target")]
    storm: Option<u32>,
    /// What is measured, after the warm-up.
    #[arg(long, env = "PANNIER_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Asked before, and not counted.
    #[arg(long, env = "PANNIER_WARM_UP_SECONDS", default_value_t = 5)]
    warm_up: u64,
    /// Look for the highest rate at which the p99 of lookups stays within --p99: double it, then halve the step.
    #[arg(long, env = "PANNIER_HIGHEST_RATE", requires = "p99")]
    highest_rate: bool,
    /// Milliseconds.
    #[arg(long, env = "PANNIER_P99_MS", value_parser = rate)]
    p99: Option<f64>,
    /// Of a node that runs on this machine: its CPU and memory are told too.
    #[arg(long, env = "PANNIER_SERVER_PID")]
    server_pid: Option<u32>,
    /// Without --target: the broker syncs its disk before it answers, as for a ledger in production.
    #[arg(long, env = "PANNIER_SYNC_ALWAYS", conflicts_with = "target")]
    sync_always: bool,
    /// A nats-server; without: one on the PATH, else the pinned one is fetched.
    #[arg(long, env = "NATS_SERVER")]
    nats_server: Option<PathBuf>,
    /// Where stores are made and removed.
    #[arg(long, env = "PANNIER_BENCH_DIR", default_value = "target")]
    dir: PathBuf,
    /// Write the result there, as `pannier bench compare` reads it.
    #[arg(long, env = "PANNIER_OUT")]
    out: Option<PathBuf>,
    /// Write a page with latency by percentile and over time there.
    #[arg(long, env = "PANNIER_HTML")]
    html: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

const EXAMPLES: &str = "Examples:
  A shop with 2,000 lookups a second and orders among them, on two nodes that have a generated catalog:
    pannier generate --rows 1000000
    pannier bench load --rows 1000000 --target http://10.0.0.5:8080,http://10.0.0.6:8080 \\
        --rate 2000 --mix lookups=95,orders=5 --out two-nodes.json --html two-nodes.html
  What one node on this machine can do with a p99 of at most 5 ms:
    pannier bench load --highest-rate --p99 5
  Lookups while stock changes by 20,000 cells a second:
    pannier bench load --rate 1000 --storm 20000
  Before and after:
    pannier bench compare before.json after.json --html both.html";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Wire {
    Json,
    Messagepack,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|error: std::num::ParseFloatError| error.to_string())?;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err("a number above 0".to_owned()) }
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// `None`: a closed loop.
    rate: Option<f64>,
    pattern: Pattern,
    connections: usize,
    warm_up: Duration,
    measured: Duration,
    seed: u64,
}

/// The file of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Report {
    /// As it was given.
    command: String,
    /// Requests a second that were due; none in a closed loop.
    rate: Option<f64>,
    connections: usize,
    price_rows: u64,
    lines: u64,
    measured_seconds: u64,
    /// Changes a second that were published meanwhile.
    storm: Option<f64>,
    server: Option<Server>,
    /// The highest rate that kept the p99 that was wanted; this report is of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    highest_rate: Option<f64>,
    #[serde(flatten)]
    recorded: Recorded,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Server {
    /// Share of one core.
    cpu: f64,
    cpu_us_a_request: f64,
    resident_bytes: u64,
}

/// What is measured, and on whom.
struct Scene<'a> {
    args: &'a Args,
    targets: Vec<Target>,
    draw: Draw,
    names: Arc<Names>,
    server: Option<u32>,
    staged: Option<&'a Distributor>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    if !args.target.is_empty() {
        let authority = args.authority.as_ref().map(std::fs::read).transpose().context("read --authority")?;
        return tell(&args, &measure(&args, &args.target, authority, None).await?);
    }
    let folder = args.quic.then(|| tempfile::tempdir_in(&args.dir)).transpose()?;
    let peering = folder.as_ref().map(|folder| certificates(folder.path())).transpose()?;
    let environment = peering.as_ref().map(super::start::Peering::environment).unwrap_or_default();
    let site = Site {
        dir: &args.dir,
        nats_server: args.nats_server.clone(),
        sync: args.sync_always.then_some(SyncInterval::Always),
        core: None,
        environment: &environment,
    };
    let staged = Distributor::start(site, args.size.shape()).await?;
    let measured = async {
        let (address, authority) = match &folder {
            None => (staged.node.address().to_owned(), None),
            Some(folder) => {
                let authority = std::fs::read(folder.path().join(AUTHORITY))?;
                (format!("quic://{}", staged.node.quic().await?), Some(authority))
            }
        };
        measure(&args, &[address], authority, Some(&staged)).await
    };
    let report = Box::pin(measured).await;
    staged.stop().await?;
    tell(&args, &report?)
}

async fn measure(
    args: &Args,
    addresses: &[String],
    authority: Option<Vec<u8>>,
    staged: Option<&Distributor>,
) -> anyhow::Result<Report> {
    let encoding = match args.encoding {
        Wire::Json => Encoding::Json,
        Wire::Messagepack => Encoding::MessagePack,
    };
    let options = Options { deadline: DEADLINE, encoding, authority };
    let targets = addresses.iter().map(|address| Target::new(address, &options));
    let server = match staged {
        Some(_) => None,
        None => args.server_pid,
    };
    let scene = Scene {
        args,
        targets: targets.collect::<anyhow::Result<_>>()?,
        draw: Draw::new(args.size.shape(), args.mix, args.lines, args.skew, args.size.seed)?,
        names: Arc::new(Names::new()?),
        server: server.or(staged.map(|staged| staged.node.id()).transpose()?),
        staged,
    };
    let run = Run {
        rate: args.rate,
        pattern: args.arrivals,
        connections: usize::try_from(args.connections)?,
        warm_up: Duration::from_secs(args.warm_up),
        measured: Duration::from_secs(args.seconds),
        seed: args.size.seed,
    };
    match (args.highest_rate, args.p99) {
        (true, Some(p99_ms)) => highest::find(&scene, run, p99_ms).await,
        (_, _) => scene.measure(run).await,
    }
}

impl Scene<'_> {
    async fn measure(&self, run: Run) -> anyhow::Result<Report> {
        let mut recorder = Recorder::new(run.measured)?;
        let before = self.server.map(usage::cpu).transpose()?;
        let asking = customers::ask(&run, &self.targets, &self.draw, &self.names, &mut recorder);
        let storm = match (self.args.storm, self.staged) {
            (Some(per_second), Some(staged)) => {
                let (shape, lasts) = (self.args.size.shape(), run.warm_up + run.measured);
                let blowing = storm::blow(&staged.broker, &staged.streams, shape, per_second, lasts);
                let (asked, blown) = tokio::join!(asking, blowing);
                asked?;
                Some(blown?)
            }
            (_, _) => {
                asking.await?;
                None
            }
        };
        let recorded = recorder.recorded()?;
        let took = (run.warm_up + run.measured).as_secs_f64();
        let answered: u64 = recorded.kinds.iter().map(|kind| kind.answered).sum();
        ensure!(answered > 0, "every request failed: {}", errors(&recorded));
        let server = match (self.server, before) {
            (Some(process_id), Some(before)) => {
                let cpu = usage::cpu(process_id)?.saturating_sub(before).as_secs_f64();
                let measured = cpu * run.measured.as_secs_f64() / took;
                Some(Server {
                    cpu: cpu / took,
                    cpu_us_a_request: measured * 1e6 / answered as f64,
                    resident_bytes: usage::resident_bytes(process_id)?,
                })
            }
            (_, _) => None,
        };
        Ok(Report {
            command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
            rate: run.rate,
            connections: run.connections,
            price_rows: self.args.size.rows,
            lines: self.args.lines,
            measured_seconds: run.measured.as_secs(),
            storm,
            server,
            highest_rate: None,
            recorded,
        })
    }
}

fn errors(recorded: &Recorded) -> String {
    let errors = recorded.kinds.iter().flat_map(|kind| &kind.errors);
    errors.map(|(error, count)| format!("{count} {error}")).collect::<Vec<_>>().join(", ")
}

fn tell(args: &Args, report: &Report) -> anyhow::Result<()> {
    let text = serde_json::to_string(report)?;
    if let Some(file) = &args.out {
        std::fs::write(file, &text).with_context(|| format!("write {}", file.display()))?;
    }
    if let Some(file) = &args.html {
        let page = page::page(&[(report.command.as_str(), report)]);
        std::fs::write(file, page).with_context(|| format!("write {}", file.display()))?;
    }
    if args.json { data(text) } else { data(report.text()) }
}

impl Report {
    /// For people.
    fn text(&self) -> String {
        let due = self.rate.map_or("closed loop".to_owned(), |rate| format!("{rate:.0} a second due"));
        let mut text = format!(
            "{due}, {} connections, {} lines, {} price rows, {} s\n{:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            self.connections,
            self.lines,
            self.price_rows,
            self.measured_seconds,
            "",
            "a second",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms"
        );
        for kind in &self.recorded.kinds {
            text += &format!(
                "{:<10} {:>9.0} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2}\n",
                kind.kind, kind.per_second, kind.p50_ms, kind.p90_ms, kind.p99_ms, kind.p999_ms, kind.max_ms
            );
            for (error, count) in &kind.errors {
                text += &format!("{:<10} {count:>9} errors: {error}\n", "");
            }
        }
        if let Some(server) = &self.server {
            text += &format!(
                "server: {:.2} cores, {:.0} us a request, {} MB\n",
                server.cpu,
                server.cpu_us_a_request,
                server.resident_bytes / 1_000_000
            );
        }
        if let Some(storm) = self.storm {
            text += &format!("{storm:.0} changes a second meanwhile\n");
        }
        if let Some(rate) = self.highest_rate {
            text += &format!("highest rate that keeps the p99: {rate:.0} a second\n");
        }
        text.trim_end().to_owned()
    }
}
