//! `pannier bench lookups`: baskets beside what a shop would use instead, in turn in one run.
//!
//! Every server has one core and the client another one; requests are written before, and answers are counted and not
//! read, so that the client is never what is measured. Redis is asked for the keys that the basket would need, and prices
//! nothing; the bare server reads the same request and sends the same bytes, and looks nothing up.

mod bare;
mod peers;
mod priced;
mod raw;
mod report;
mod scripted;
mod sql;

pub(super) use bare::Args as BareArgs;
pub(super) use bare::run as run_bare;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use pannier_client::{HttpClient, Options};
use pannier_protocol::api::LookupRequest;
use pannier_protocol::{Encoding, codec};
use serde_json::json;

use self::peers::{Asks, Peer};
use self::raw::{Framing, Load};
use self::report::{Report, Row, Run};
use super::distributor::{Distributor, Site};
use super::start::{AUTHORITY, certificates};
use crate::cli::data;
use crate::generate::{Shape, SizeArgs, account_id, item_id};
use crate::stage::NodeProcess;

const READY_MAX: Duration = Duration::from_secs(15 * 60);
const WARM_UP: Duration = Duration::from_secs(1);
/// Different ones, asked in turn.
const BASKETS: u64 = 1_000;
const LINES: u64 = 20;
/// More than this are not put into PostgreSQL.
const SQL_ROWS_MAX: u64 = 2_000_000;
/// Of servers; the client has the next one.
const CORE: &str = "0";
const CLIENT_CORE: &str = "1";
/// Set where this process has its core already.
const PINNED: &str = "PANNIER_BENCH_PINNED";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    size: SizeArgs,
    /// Connections, each of which asks again as soon as it is answered.
    #[arg(long, env = "PANNIER_CLIENTS", default_value_t = 32)]
    connections: usize,
    /// Of one run, after a second of warm-up.
    #[arg(long, env = "PANNIER_SECONDS", default_value_t = 4)]
    seconds: u64,
    /// Runs of each, in turn.
    #[arg(long, env = "PANNIER_RUNS", default_value_t = 5)]
    runs: usize,
    /// A redis-server; without: one on the PATH, else nothing is compared with it.
    #[arg(long, env = "REDIS_SERVER", default_value = "redis-server")]
    redis_server: PathBuf,
    /// A nats-server; without: one on the PATH, else the pinned one is fetched.
    #[arg(long, env = "NATS_SERVER")]
    nats_server: Option<PathBuf>,
    /// Where stores are made and removed.
    #[arg(long, env = "PANNIER_BENCH_DIR", default_value = "target")]
    dir: PathBuf,
    /// Print the runs as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    ensure!(
        args.runs > 0 && args.connections > 0 && args.seconds > 0,
        "runs, connections and seconds are at least 1"
    );
    if std::env::var_os(PINNED).is_none() {
        return pinned().await;
    }
    let certified = tempfile::tempdir_in(&args.dir).context("make a folder")?;
    let peering = certificates(certified.path())?;
    let site = Site {
        dir: &args.dir,
        nats_server: args.nats_server.clone(),
        sync: None,
        core: Some(CORE),
        environment: &peering.environment(),
    };
    let mut staged = Distributor::start(site, args.size.shape()).await?;
    let folder = staged.folder().to_owned();
    let folders = (folder.as_path(), certified.path());
    let outcome = Box::pin(measure(&args, &mut staged.node, folders)).await;
    staged.stop().await?;
    let report = outcome?;
    if args.json {
        return data(serde_json::to_string(&report)?);
    }
    data(report.text())
}

/// This program once more with the same arguments, on a core of its own.
async fn pinned() -> anyhow::Result<()> {
    let pannier = std::env::current_exe().context("find this program")?;
    let mut command = tokio::process::Command::new("taskset");
    command.args(["-c", CLIENT_CORE]).arg(pannier).args(std::env::args_os().skip(1)).env(PINNED, "1");
    let status =
        command.status().await.context("run taskset, which is in util-linux: two cores are needed")?;
    ensure!(status.success(), "the measurement ended with {status}");
    Ok(())
}

async fn measure(
    args: &Args,
    node: &mut NodeProcess,
    (folder, certified): (&Path, &Path),
) -> anyhow::Result<Report> {
    let shape = args.size.shape();
    let mut peers = Vec::new();
    for (name, lines, encoding) in [
        ("basket, JSON", LINES, Encoding::Json),
        ("basket, MessagePack", LINES, Encoding::MessagePack),
        ("line, JSON", 1, Encoding::Json),
    ] {
        let requests = requests(&shape, lines, encoding)?;
        let answer = answered(node, &shape, lines, encoding).await?;
        let load = Load { address: node.socket()?, requests, framing: Framing::Http, greeting: Vec::new() };
        peers.push(Peer::of_node(name, Asks::Raw(load), node.process().id()?, answer.len()));
        peers.push(bare::start(&format!("bare hyper, {name}"), &peers, answer, folder).await?);
    }
    match peers::redis(&args.redis_server, &shape, (BASKETS, LINES), folder).await? {
        Some(redis) => peers.push(redis),
        None => eprintln!("there is no {}: install it to compare with it", args.redis_server.display()),
    }
    peers.extend(scripted::redis(&args.redis_server, &shape, (BASKETS, LINES), folder).await?);
    match args.rows_in_sql(&shape) {
        true => match sql::postgres(&shape, (BASKETS, LINES), folder).await? {
            Some(postgres) => peers.push(postgres),
            None => eprintln!("there is no PostgreSQL 15: install postgresql-15 to compare with it"),
        },
        false => eprintln!(
            "PostgreSQL is left out above {SQL_ROWS_MAX} price rows: loading them takes longer than all the rest"
        ),
    }
    for (name, lines) in [("basket, QUIC", LINES), ("line, QUIC", 1)] {
        peers.push(over_quic(node, &shape, (name, lines), certified).await?);
    }
    let mut rows: Vec<Row> = peers.iter().map(|peer| Row::new(&peer.name, peer.answer_bytes)).collect();
    for number in 1..=args.runs {
        for (peer, row) in peers.iter().zip(&mut rows) {
            let before = peer.cpu()?;
            let measured = peer.ask(args.connections, WARM_UP, Duration::from_secs(args.seconds)).await;
            let measured = measured.with_context(|| peer.name.clone())?;
            let run = Run::of(&measured, peer.cpu()?.saturating_sub(before), WARM_UP);
            eprintln!("run {number}: {}: {:.0}/s", peer.name, run.per_second);
            row.runs.push(run);
        }
    }
    for peer in peers {
        peer.stop().await?;
    }
    Ok(Report::of(shape.rows, args.connections, args.seconds, rows))
}

impl Args {
    fn rows_in_sql(&self, shape: &Shape) -> bool {
        shape.rows <= SQL_ROWS_MAX
    }
}

/// The node's other door; what it answers is MessagePack.
async fn over_quic(
    node: &mut NodeProcess,
    shape: &Shape,
    (name, lines): (&str, u64),
    certified: &Path,
) -> anyhow::Result<Peer> {
    let authority = Some(std::fs::read(certified.join(AUTHORITY)).context("read the authority")?);
    let client = Options { deadline: READY_MAX, authority, encoding: Encoding::MessagePack };
    let requests = (0..BASKETS).map(|number| request(shape, number, lines)).collect::<anyhow::Result<_>>()?;
    let answer = answered(node, shape, lines, Encoding::MessagePack).await?;
    let asks = Asks::Client { client, address: format!("quic://{}", node.quic().await?), requests };
    Ok(Peer::of_node(name, asks, node.process().id()?, answer.len()))
}

/// A basket of that number: an account, and items half of which are in its contract.
fn basket(shape: &Shape, number: u64, lines: u64) -> (u64, Vec<u64>) {
    let account = shape.drawn(20, number) % shape.accounts;
    let item = |line: u64| match line.is_multiple_of(2) {
        true => shape.contract_item(account, shape.drawn(21, number * LINES + line) % 300),
        false => shape.drawn(22, number * LINES + line) % shape.items,
    };
    (account, (0..lines).map(item).collect())
}

fn request(shape: &Shape, number: u64, lines: u64) -> anyhow::Result<LookupRequest> {
    let (account, items) = basket(shape, number, lines);
    let line = |(at, item): (usize, u64)| json!({"line": (at + 1).to_string(), "item": item_id(item), "quantity": "12", "uom": "EA"});
    let lines: Vec<_> = items.into_iter().enumerate().map(line).collect();
    Ok(serde_json::from_value(json!({"account": account_id(account), "lines": lines}))?)
}

/// Whole HTTP requests.
fn requests(shape: &Shape, lines: u64, encoding: Encoding) -> anyhow::Result<Arc<[Bytes]>> {
    let written = (0..BASKETS).map(|number| {
        let body = codec::encode(encoding, &request(shape, number, lines)?)?;
        let kind = encoding.content_type();
        let head = format!(
            "POST /v1/price-availability HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\nAccept: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Ok(Bytes::from([head.as_bytes(), &body].concat()))
    });
    written.collect()
}

/// What the node answers to the first one, which must be priced: a figure of refusals would be none.
async fn answered(
    node: &NodeProcess,
    shape: &Shape,
    lines: u64,
    encoding: Encoding,
) -> anyhow::Result<Bytes> {
    let options = Options { encoding, deadline: READY_MAX, ..Options::default() };
    let http = HttpClient::new(node.address(), options)?;
    let answer = http.lookup(&request(shape, 0, lines)?).await?;
    if let Some(line) = answer.lines.iter().find(|line| line.price.is_none() || line.availability.is_none()) {
        bail!("the node does not price what was generated: {line:?}");
    }
    Ok(Bytes::from(codec::encode(encoding, &answer)?))
}
