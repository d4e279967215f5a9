//! `pannier demo orders`: the whole pipeline, from a customer's basket to a document in an ERP, while everything in
//! between fails in turn.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use pannier_client::{Nodes, Options};
use pannier_node::Config;
use pannier_protocol::api::{LookupAnswer, LookupRequest, OrderAnswer, OrderState};
use pannier_protocol::order::{Decision, Routing};
use pannier_protocol::{Decimal, MarkId};
use pannier_streams::server::{self, Finder, LocalServer, ServerVersion};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::audit::{Told, tally};
use super::erp::Erp;
use super::shop::{self, Placed};
use crate::broker::BrokerArgs;
use crate::cli::data;
use crate::stage::{NodeProcess, Process, Program};
use crate::{orders, policy, rules};

const READY_MAX: Duration = Duration::from_secs(120);
/// A request of a customer, before he turns to another node.
const TRY: Duration = Duration::from_secs(8);
const LOOKUP_PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(500);
/// How long the ERP may take for what is in flight at the end, for each order: it does about two a second.
const DRAIN_PER_ORDER: Duration = Duration::from_secs(4);
const ROUTING: &str = "[[rules]]\nbackend = \"tryton\"\n";
const POLICY: &str = "[defaults]\ncurrency = \"USD\"\nlists = [\"LIST\"]\n";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, env = "PANNIER_DEMO_ORDERS", default_value_t = 240)]
    orders: u64,
    /// The ERP's database: `sqlite`, read by polling, or `postgres`, read by its log.
    #[arg(long, env = "PANNIER_DEMO_DATABASE", default_value = "sqlite")]
    database: String,
    /// What sets the ERP up and starts it.
    #[arg(long, env = "PANNIER_DEMO_ERP", default_value = "tests/erp/erp")]
    erp: PathBuf,
    /// A nats-server; without: one on the PATH, else the pinned one is fetched.
    #[arg(long, env = "NATS_SERVER")]
    nats_server: Option<PathBuf>,
    /// Stores and logs are made in a new folder of this one.
    #[arg(long, env = "PANNIER_DEMO_DIR", default_value = "target")]
    dir: PathBuf,
    /// Keep that folder.
    #[arg(long, env = "PANNIER_DEMO_KEEP")]
    keep: bool,
    /// Print the result as one line of JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

/// What runs.
struct Stage {
    broker: LocalServer,
    erp: Erp,
    adapter: Process,
    nodes: Vec<NodeProcess>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    ensure!(args.orders > 0, "no orders, no demonstration");
    let dir = args.dir.canonicalize().with_context(|| format!("find {}", args.dir.display()))?;
    let folder = tempfile::Builder::new().prefix("pannier-demo-").tempdir_in(dir)?;
    // PostgreSQL runs under an account of its own, which must get in.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    say(format_args!("logs and stores are in {}", folder.path().display()));
    let folder = if args.keep { folder.keep() } else { folder.path().to_owned() };
    let mut stage = Stage::set(&args, &folder).await?;
    let outcome = Box::pin(perform(&mut stage, args.orders)).await;
    let stopped = stage.stop().await;
    let tally = outcome?;
    stopped?;
    if args.json {
        data(serde_json::to_string(&tally)?)?;
    } else {
        data(format_args!("{tally:#?}"))?;
    }
    ensure!(tally.is_clean(), "orders were lost or doubled, or stock was promised twice");
    Ok(())
}

/// Places the orders with everything failing in turn, waits for the ERP, and compares.
async fn perform(stage: &mut Stage, orders: u64) -> anyhow::Result<super::audit::Tally> {
    let nodes = stage.nodes()?;
    let available = available(&nodes).await?;
    say(format_args!("{orders} orders of {} items are placed", available.len()));
    let mut placing = JoinSet::new();
    let began = Instant::now();
    // Faster than the ERP takes them.
    let pace = Duration::from_millis(250);
    for number in 0..orders {
        let nodes = nodes.clone();
        let at = began + pace * u32::try_from(number)?;
        placing.spawn(async move {
            tokio::time::sleep_until(at).await;
            shop::place(nodes, number).await
        });
    }
    fail_in_turn(stage, pace * u32::try_from(orders)?).await?;
    let mut placed = Vec::new();
    while let Some(one) = placing.join_next().await {
        placed.push(one??);
    }
    say(format_args!("all customers have their answers after {:.0?}", began.elapsed()));
    let now = drained(&nodes, &placed, DRAIN_PER_ORDER * u32::try_from(orders)?).await?;
    let sales = stage.erp.sales().await?;
    let mut told = Vec::new();
    for (placed, now) in placed.into_iter().zip(now) {
        let mut verdicts = Vec::new();
        for answer in placed.told {
            let key = &placed.key;
            verdicts.push(answer.with_context(|| format!("a customer with the key {key} got no answer"))?);
        }
        told.push(Told { verdicts, now });
    }
    Ok(tally(&told, &sales, &available))
}

/// Everything once, spread over the time in which orders come.
async fn fail_in_turn(stage: &mut Stage, whole: Duration) -> anyhow::Result<()> {
    let step = whole / 12;
    sleep(step).await;
    say("node 1 is killed, and started again");
    stage.nodes[0].process().kill().await?;
    sleep(step).await;
    stage.nodes[0].process().start_again()?;
    say("the ERP stands still");
    stage.erp.pause()?;
    sleep(step * 2).await;
    say("the ERP goes on, and the adapter is killed in the middle of its work");
    stage.erp.go_on()?;
    sleep(step / 2).await;
    stage.adapter.kill().await?;
    sleep(step / 2).await;
    stage.adapter.start_again()?;
    sleep(step).await;
    say("the broker is killed, and started again");
    stage.broker.restart().await?;
    sleep(step).await;
    say("the adapter stands still for a while");
    stage.adapter.pause()?;
    sleep(step).await;
    stage.adapter.go_on()?;
    say("node 2 is killed, and started again");
    stage.nodes[1].process().kill().await?;
    sleep(step).await;
    stage.nodes[1].process().start_again()?;
    sleep(step).await;
    say("the adapter is killed once more");
    stage.adapter.kill().await?;
    sleep(step).await;
    stage.adapter.start_again()?;
    for node in &mut stage.nodes {
        node.ready(READY_MAX).await?;
    }
    Ok(())
}

/// What a node says of each order once nothing is under way any more, or when patience ends.
async fn drained(
    nodes: &Nodes,
    placed: &[Placed],
    within: Duration,
) -> anyhow::Result<Vec<Option<OrderAnswer>>> {
    let deadline = Instant::now() + within;
    loop {
        let mut now = Vec::new();
        for order in placed {
            let id = pannier_protocol::OrderId::derive(&order.request.account, &order.key);
            now.push(nodes.order(&id, LOOKUP_PATIENCE).await.ok());
        }
        let waits = |answer: &&OrderAnswer| {
            matches!(answer.state, OrderState::Accepted | OrderState::Backordered | OrderState::Dispatched)
        };
        let in_flight = now.iter().flatten().filter(waits).count();
        if in_flight == 0 || Instant::now() >= deadline {
            return Ok(now);
        }
        say(format_args!("{in_flight} orders wait for the ERP"));
        sleep(POLL * 10).await;
    }
}

/// What each item has, which no answer may promise more than.
async fn available(nodes: &Nodes) -> anyhow::Result<BTreeMap<String, Decimal>> {
    let items: Vec<String> = (1..=40).map(|item| format!("ITEM-{item:03}")).collect();
    let lines: Vec<_> =
        items.iter().map(|item| json!({"line": item, "item": item, "quantity": "1", "uom": "u"})).collect();
    let request =
        json!({"account": "CUST-001", "include": ["price", "availability", "schedule"], "lines": lines});
    let request: LookupRequest = serde_json::from_value(request)?;
    let deadline = Instant::now() + READY_MAX;
    loop {
        let found = nodes.lookup(&request, LOOKUP_PATIENCE).await.map(|answer| of_items(&answer));
        match found {
            Ok(available) if available.len() == items.len() => return Ok(available),
            _ if Instant::now() < deadline => sleep(POLL).await,
            Ok(available) => {
                anyhow::bail!(
                    "the adapter has published {} of {} items within {READY_MAX:?}",
                    available.len(),
                    items.len()
                )
            }
            Err(error) => return Err(error).context("look the items up"),
        }
    }
}

/// Items that are priced and counted.
fn of_items(answer: &LookupAnswer) -> BTreeMap<String, Decimal> {
    let priced = answer.lines.iter().filter(|line| line.price.is_some());
    priced.filter_map(|line| Some((line.item.to_string(), line.availability.as_ref()?.available))).collect()
}

impl Stage {
    async fn set(args: &Args, folder: &Path) -> anyhow::Result<Self> {
        say("the ERP is started (the first time it is set up, which takes minutes)");
        let erp = Erp::start(&args.erp, &args.database, folder).await?;
        match Box::pin(Self::set_around(args, folder, &erp)).await {
            Ok((broker, adapter, nodes)) => Ok(Self { broker, erp, adapter, nodes }),
            Err(error) => {
                erp.stop().await?;
                Err(error)
            }
        }
    }

    async fn set_around(
        args: &Args,
        folder: &Path,
        erp: &Erp,
    ) -> anyhow::Result<(LocalServer, Process, Vec<NodeProcess>)> {
        let (named, cache) = (args.nats_server.clone(), args.dir.join("nats-server"));
        let finder = Finder { named, cache, version_min: ServerVersion::FLOOR };
        let binary = finder.find().await?;
        let broker = LocalServer::start(server::Options::new(binary, folder.join("nats"))).await?;
        let nats = broker.url();
        begin(&nats).await?;

        let pannier = std::env::current_exe().context("find this program")?;
        let mapping = folder.join("tryton.toml");
        std::fs::write(&mapping, adapter_config(erp, &nats)?).context("write the adapter's configuration")?;
        let program = Program {
            binary: pannier.clone(),
            arguments: ["adapter", "tryton", "--config"]
                .map(str::to_owned)
                .into_iter()
                .chain([mapping.display().to_string()])
                .collect(),
            environment: Vec::new(),
        };
        let adapter = Process::start("adapter", program, folder)?;
        let start = |name| NodeProcess::start(name, &pannier, &nats, &[], folder);
        let mut nodes = vec![start("node-1")?, start("node-2")?];
        for node in &mut nodes {
            node.ready(READY_MAX).await?;
        }
        Ok((broker, adapter, nodes))
    }

    fn nodes(&self) -> anyhow::Result<Nodes> {
        let options = Options { deadline: TRY, ..Options::default() };
        Ok(Nodes::new(self.nodes.iter().map(NodeProcess::address), &options)?)
    }

    /// The ERP in any case: nobody else ends it.
    async fn stop(self) -> anyhow::Result<()> {
        let erp = self.erp.stop().await;
        let adapter = self.adapter.stop().await.map(|_| ());
        let mut stopped = erp.and(adapter);
        for node in self.nodes {
            stopped = stopped.and(node.stop().await);
        }
        self.broker.stop().await;
        stopped
    }
}

/// Streams, rules, routing and policies of a new deployment.
async fn begin(nats: &str) -> anyhow::Result<()> {
    let broker_args = BrokerArgs { nats: nats.to_owned(), prefix: Config::default().nats.prefix };
    let broker = broker_args.connect("pannier demo").await?;
    let streams = pannier_streams::init(&broker, &broker_args.prefix, 1).await?;
    rules::begin(&broker, &streams).await?;
    let (by, reason) = (MarkId::new("pannier-demo")?, "the demonstration has one ERP".to_owned());
    let routing = Routing { rules: orders::routes(ROUTING)?, by, reason, keyed: None };
    orders::publish(&broker, &streams, Decision::Routing(routing)).await?;
    policy::apply(&broker, &streams, policy::parse(POLICY)?).await?;
    Ok(())
}

fn adapter_config(erp: &Erp, nats: &str) -> anyhow::Result<String> {
    let config = json!({
        "source": "tryton", "backend": "tryton", "state": "tryton", "nats": nats, "url": erp.url(), "key": erp.key(),
        "company": 1, "request_ms_max": 5000,
        "orders": {"step_ms_max": 8000, "again_ms": 10000},
    });
    toml::to_string(&config).context("write the adapter's configuration")
}

/// What happens, to people.
fn say(step: impl std::fmt::Display) {
    eprintln!("pannier demo: {step}");
}
