//! `pannier up`: everything on one machine, in one command.
//!
//! A newcomer should see a priced answer before reading a manual, and a demonstration with mocks or an
//! in-memory broker would show something that nobody runs. So this is the real thing, only small: a
//! nats-server as a child with a store of its own, the streams as `init` makes them, a node as `pannier node`
//! runs it, and the sample distributor, which comes in through the file adapter like any other's exports.

mod check;
mod home;
mod load;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use pannier_node::{Config, Node, StartError};
use pannier_protocol::order::{Decision, Routing};
use pannier_protocol::{MarkId, Timestamp};
use pannier_streams::Streams;
use pannier_streams::server::{Finder, LocalServer, Options, ServerVersion};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::home::Home;
use self::load::Sample;
use crate::broker::{BrokerArgs, now};
use crate::cli::told_to_stop;
use crate::sample::requests::Documented;
use crate::sample::{ContentArgs, POLICY};
use crate::{orders, policy, rules};

/// What a newcomer can change at once: source `mine` comes before `wms-1` where nobody is named owner.
const STOCK_CHANGE: &str =
    r#"{"stock_set":{"item":"SKU-4711","warehouse":"DAL","uom":"EA","on_hand":"500"}}"#;
/// Orders of the sample wait for a backend of this name.
const ROUTING: &str = "[[rules]]\nbackend = \"erp-1\"";
/// Ports that are tried one after the other when the first is taken.
const PORTS_TRIED_MAX: u16 = 100;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where lookups are answered; the next free port when this one is taken.
    #[arg(long, env = "PANNIER_UP_HTTP", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Keeps broker, files and states; without: `target/pannier-up` of the workspace, else
    /// `./pannier-up`.
    #[arg(long, env = "PANNIER_UP_DIR")]
    dir: Option<PathBuf>,
    /// Remove what an earlier run left and start over.
    #[arg(long, env = "PANNIER_UP_FRESH")]
    fresh: bool,
    /// Start over in a folder beside, send one documented lookup, print it and its answer, stop; the exit
    /// code says whether the answer was right.
    #[arg(long, env = "PANNIER_UP_CHECK")]
    check: bool,
    /// A nats-server 2.14 or newer; without: one on the PATH, else the pinned one is fetched.
    #[arg(long, env = "NATS_SERVER")]
    nats_server: Option<PathBuf>,
    #[command(flatten)]
    content: ContentArgs,
}

/// What runs.
struct Running {
    server: LocalServer,
    node: Node,
    adapters: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
    /// What to tell people.
    banner: String,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let name = if args.check { "pannier-up-check" } else { "pannier-up" };
    // A check starts over, and must not cost anybody the data of a folder that he named.
    let dir = args.dir.as_ref().map(|dir| if args.check { dir.join("check") } else { dir.clone() });
    let home = Home::open(dir.as_deref(), name, args.fresh || args.check)?;
    let running = tokio::select! {
        running = Box::pin(start(&home, &args)) => running?,
        // What was started ends with this process; the broker loses nothing that it acknowledged.
        told = told_to_stop() => return told,
    };
    let address = format!("http://{}", running.node.http_addr());
    if args.check {
        let checked = check::check(&address).await;
        running.stop().await?;
        return checked;
    }
    eprint!("{}", running.banner);
    running.until_told().await
}

async fn start(home: &Home, args: &Args) -> anyhow::Result<Running> {
    let began = now()?;
    let (named, cache) = (args.nats_server.clone(), home.cache.clone());
    let finder = Finder { named, cache, version_min: ServerVersion::FLOOR };
    say("finding a nats-server (the first run may fetch it)");
    let binary = finder.find().await?;
    say("starting it, creating the streams");
    let server = LocalServer::start(Options::new(binary, home.nats())).await?;
    let nats = server.url();
    let broker_args = BrokerArgs { nats: nats.clone(), prefix: Config::default().nats.prefix };
    let broker = broker_args.connect("pannier up").await?;
    let streams = pannier_streams::init(&broker, &broker_args.prefix, 1).await?;
    if rules::begin(&broker, &streams).await? {
        let (rules, by) = (orders::routes(ROUTING)?, MarkId::new("pannier-up")?);
        let reason = "the sample has one ERP".to_owned();
        let routing = Decision::Routing(Routing { rules, by, reason, keyed: None });
        orders::publish(&broker, &streams, routing).await.context("route the sample's orders")?;
    }
    policy::apply(&broker, &streams, policy::parse(POLICY)?).await.context("apply the sample's policies")?;
    let sample = load::load(home, &args.content, &nats).await.context("load the sample")?;
    say("starting the node");
    let node = start_node(home, &nats, args.http).await?;
    let handle = node.handle();
    if !handle.ready().await {
        let detail = handle.progress().borrow().detail.clone();
        node.stop().await?;
        bail!("the node cannot serve: {detail}");
    }
    let banner = banner(home, &server, &streams, &node, &sample, began)?;
    let stop = CancellationToken::new();
    let adapters = load::keep_going(sample, &stop);
    Ok(Running { server, node, adapters, stop, banner })
}

/// What takes a moment, to people.
fn say(step: &str) {
    eprintln!("pannier up: {step}");
}

/// The first free port from the one that was asked for on.
async fn start_node(home: &Home, nats: &str, http: SocketAddr) -> anyhow::Result<Node> {
    let mut config = Config::default();
    config.nats.servers = vec![nats.to_owned()];
    config.http.listen = http;
    // Beside it; where that one is any free port, so is this.
    let beside = if http.port() == 0 { 0 } else { http.port().wrapping_add(1) };
    config.operator.listen.set_port(beside);
    config.price_holds.keys.push(home.price_hold_key()?);
    for _ in 0..PORTS_TRIED_MAX {
        match Node::start(config.clone()).await {
            Ok(node) => return Ok(node),
            Err(StartError::Listen { address, source }) if source.kind() == std::io::ErrorKind::AddrInUse => {
                let is_operators = address == config.operator.listen;
                let taken = if is_operators { &mut config.operator.listen } else { &mut config.http.listen };
                taken.set_port(taken.port().checked_add(1).context("no free port above")?);
            }
            Err(error) => return Err(error.into()),
        }
    }
    bail!("no free port from {http} on")
}

/// Ten lines: what runs where, and what to try.
fn banner(
    home: &Home,
    server: &LocalServer,
    streams: &Streams,
    node: &Node,
    sample: &Sample,
    began: Timestamp,
) -> anyhow::Result<String> {
    let address = format!("http://{}", node.http_addr());
    let request = serde_json::to_string(&Documented::first()?.body()?)?;
    let (ledger, catalog) = (&streams.ledger, &streams.catalog);
    let rows = sample.rows.map_or_else(
        || "in the streams since an earlier run".to_owned(),
        |rows| format!("{rows} rows loaded through the file adapter"),
    );
    let mut text = String::new();
    let took = now()?.millis_since(began) as f32 / 1_000.0;
    writeln!(text, "Pannier is up after {took:.1} s. Ctrl-C stops it.")?;
    writeln!(text, "  lookups   {address}/v1/price-availability   ({address}/v1/openapi.json describes it)")?;
    let operators = node.operator_addr();
    writeln!(
        text,
        "  state     {address}/readyz   {address}/metrics   operators http://{operators}/v1/operator/orders"
    )?;
    writeln!(
        text,
        "  broker    {}   streams {ledger}, {catalog}, log {}",
        server.url(),
        server.log_file().display()
    )?;
    writeln!(
        text,
        "  sample    {} generated items as of {}: {rows}",
        sample.loaded.items, sample.loaded.as_of
    )?;
    writeln!(text, "  files     {}   put new exports into erp/ and wms/", home.sample().display())?;
    writeln!(text, "  data      {}   kept for the next run; --fresh starts over", home.folder().display())?;
    writeln!(
        text,
        "  publish   echo '{STOCK_CHANGE}' | {} publish --nats {} --subject ledger.stock.mine --tick",
        std::env::current_exe().context("find this program")?.display(),
        server.url()
    )?;
    writeln!(text, "Try:")?;
    writeln!(
        text,
        "curl -s {address}/v1/price-availability -H 'Content-Type: application/json' -d '{request}'"
    )?;
    Ok(text)
}

impl Running {
    /// Until Ctrl-C or SIGTERM, or until a part ends by itself.
    async fn until_told(mut self) -> anyhow::Result<()> {
        let mut progress = self.node.handle().progress();
        let ended = tokio::select! {
            told = told_to_stop() => told,
            Some(ended) = self.adapters.join_next() => match ended {
                Ok(outcome) => outcome,
                Err(panic) => Err(panic.into()),
            },
            _ = progress.wait_for(|now| matches!(now.state, pannier_node::progress::State::Refused | pannier_node::progress::State::Stopping)) => Ok(()),
        };
        eprintln!("stopping");
        let stopped = self.stop().await;
        ended.and(stopped)
    }

    /// Writers first, then the reader, then the broker.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut outcome = Ok(());
        while let Some(ended) = self.adapters.join_next().await {
            outcome = outcome.and(ended.map_err(anyhow::Error::from).and_then(|ended| ended));
        }
        let node = self.node.stop().await;
        self.server.stop().await;
        outcome.and(node.map_err(anyhow::Error::from))
    }
}

#[cfg(test)]
mod tests;
