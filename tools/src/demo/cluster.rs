//! `pannier demo cluster`: three brokers and three nodes, all restarted one after the other and a node lost, while
//! customers ask and order all the time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use pannier_client::{HttpClient, Nodes, Options};
use pannier_core::ledger::RULE_VERSION;
use pannier_node::Config;
use pannier_protocol::OrderId;
use pannier_protocol::api::operator::{Agreement, ClusterShown};
use pannier_streams::server::{self, Cluster, Finder, LocalServer, ServerVersion};
use pannier_streams::{Broker, Streams};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::load::{Load, Told};
use super::outage::{self, Outage};
use crate::broker::BrokerArgs;
use crate::cli::data;
use crate::stage::{NodeProcess, world};
use crate::{rules, walk};

const READY_MAX: Duration = Duration::from_secs(120);
/// A request of a customer, before he turns to another node.
const TRY: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(200);
const MEMBERS: usize = 3;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Between two things that happen to the cluster.
    #[arg(long, env = "PANNIER_DEMO_SECONDS", default_value_t = 3)]
    seconds: u64,
    /// At the end no broker is there for so long, at most 120: lookups go on and turn stale in time, orders are refused. 0:
    /// some are there all the time.
    #[arg(long, env = "PANNIER_DEMO_OUTAGE_SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=120))]
    outage: u64,
    /// An older build of this program: the nodes begin as that one, each is this one once it was restarted, and then the
    /// newest rules are put in force.
    #[arg(long, env = "PANNIER_FROM_BUILD", requires = "from_rules")]
    from_build: Option<PathBuf>,
    /// The newest version of the rules that the older build knows.
    #[arg(long, env = "PANNIER_FROM_RULES", requires = "from_build")]
    from_rules: Option<u32>,
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

/// The one line.
#[derive(Debug, Serialize)]
struct Outcome {
    lookups_sent: u64,
    /// No node answered in time, or one with anything but a documented refusal.
    lookups_failed: u64,
    orders_sent: usize,
    orders_accepted: usize,
    /// Judged in two ways, or dispatched more than once.
    doubled: usize,
    /// Accepted, and unknown at the end or never dispatched.
    lost: usize,
    /// Flagged so: the customers bear three seconds.
    stale_answers: u64,
    stale_age_ms_max: u64,
    digests_agree: bool,
    /// Without brokers.
    #[serde(skip_serializing_if = "Option::is_none")]
    outage: Option<Outage>,
}

struct Stage {
    brokers: Vec<LocalServer>,
    nodes: Vec<NodeProcess>,
    streams: Streams,
    /// What a node is from its next start on.
    pannier: PathBuf,
    /// In force at the start.
    rules: u32,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let dir = args.dir.canonicalize().with_context(|| format!("find {}", args.dir.display()))?;
    let folder = tempfile::Builder::new().prefix("pannier-demo-").tempdir_in(dir)?;
    say(format_args!("logs and stores are in {}", folder.path().display()));
    let temporary = folder.path().to_owned();
    let kept = args.keep.then(|| folder.keep());
    let mut stage = Stage::set(&args, kept.as_ref().unwrap_or(&temporary)).await?;
    let lasts = (args.outage > 0).then(|| Duration::from_secs(args.outage));
    let outcome = Box::pin(perform(&mut stage, Duration::from_secs(args.seconds), lasts)).await;
    let stopped = stage.stop().await;
    let (outcome, unanswered) = outcome?;
    stopped?;
    if args.json {
        data(serde_json::to_string(&outcome)?)?;
    } else {
        data(format_args!("{outcome:#?}"))?;
    }
    ensure!(outcome.lookups_failed == 0, "lookups failed");
    ensure!(unanswered == 0, "{unanswered} orders have no answer from any node");
    ensure!(outcome.doubled == 0 && outcome.lost == 0, "orders were lost or doubled");
    ensure!(outcome.digests_agree, "the nodes' tables do not agree");
    let honest = outcome.outage.as_ref().is_none_or(|it| it.lookups_wrong == 0 && it.orders_wrong == 0);
    ensure!(honest, "without brokers nodes answered what they should not");
    Ok(())
}

/// The second: requests for an order that no node answered in time, or one with anything but a documented refusal.
async fn perform(
    stage: &mut Stage,
    step: Duration,
    outage: Option<Duration>,
) -> anyhow::Result<(Outcome, u64)> {
    let options = Options { deadline: TRY, ..Options::default() };
    let nodes = Nodes::new(stage.nodes.iter().map(NodeProcess::address), &options)?;
    let load = Load::start(&nodes, stage.connect().await?, &stage.streams);
    let happened = match (happen(stage, step).await, outage) {
        (Ok(()), Some(lasts)) => stage.without_brokers(lasts).await.map(Some),
        (happened, _) => happened.map(|()| None),
    };
    say("customers stop");
    let told = load.stop().await?;
    let outage = happened?;
    let digests_agree = stage.agree().await?;
    let broker = stage.connect().await?;
    let dispatched = settled(&broker, &stage.streams, &told).await?;
    let mut outcome = Outcome {
        lookups_sent: told.lookups_sent,
        lookups_failed: told.lookups_failed,
        orders_sent: told.orders.len(),
        orders_accepted: told.accepted().count(),
        doubled: told.orders.values().filter(|verdicts| !is_one(verdicts)).count(),
        lost: 0,
        stale_answers: told.stale_answers,
        stale_age_ms_max: told.stale_age_ms_max,
        digests_agree,
        outage,
    };
    for order in told.accepted() {
        let copies = dispatched.get(order).copied().unwrap_or(0);
        let known = nodes.order(order, READY_MAX).await.is_ok();
        outcome.doubled += usize::from(copies > 1);
        outcome.lost += usize::from(copies == 0 || !known);
    }
    Ok((outcome, told.orders_unanswered))
}

/// Every node and every broker, one after the other, and then a node by surprise.
async fn happen(stage: &mut Stage, step: Duration) -> anyhow::Result<()> {
    sleep(step).await;
    for at in 0..MEMBERS {
        say(format_args!("node {} is stopped, and started again", at + 1));
        stage.nodes[at].process().finish().await?;
        stage.nodes[at].process().start_again_as(&stage.pannier)?;
        stage.nodes[at].ready(READY_MAX).await?;
        sleep(step).await;
    }
    if stage.rules < RULE_VERSION {
        say(format_args!("rule version {RULE_VERSION} is put in force, after {}", stage.rules));
        rules::activate(&stage.connect().await?, &stage.streams, RULE_VERSION).await?;
        sleep(step).await;
    }
    for at in 0..MEMBERS {
        say(format_args!("broker {} is killed, and started again", at + 1));
        stage.brokers[at].restart().await?;
        stage.whole().await?;
        sleep(step).await;
    }
    say("node 2 is killed, and started again");
    stage.nodes[1].process().kill().await?;
    sleep(step).await;
    stage.nodes[1].process().start_again()?;
    stage.nodes[1].ready(READY_MAX).await?;
    sleep(step).await;
    Ok(())
}

/// Dispatches of every order, once each that was accepted has one, or patience ends.
async fn settled(
    broker: &Broker,
    streams: &Streams,
    told: &Told,
) -> anyhow::Result<BTreeMap<OrderId, usize>> {
    let deadline = Instant::now() + READY_MAX;
    loop {
        let mut dispatched: BTreeMap<OrderId, usize> = BTreeMap::new();
        let subject = format!("{}.dispatch.>", streams.prefix.as_str());
        walk::messages(broker, &streams.dispatch, &subject, |message| {
            let order = message.subject.rsplit('.').nth(1).and_then(|order| OrderId::parse(order).ok());
            *dispatched.entry(order.context("a dispatch names its order")?).or_default() += 1;
            Ok(())
        })
        .await?;
        let is_whole = told.accepted().all(|order| dispatched.contains_key(order));
        if is_whole || Instant::now() >= deadline {
            return Ok(dispatched);
        }
        sleep(POLL).await;
    }
}

/// Whether every answer to an order said the same.
fn is_one(verdicts: &[pannier_protocol::api::OrderAnswer]) -> bool {
    verdicts.windows(2).all(|two| (two[0].order, &two[0].lines) == (two[1].order, &two[1].lines))
}

impl Stage {
    async fn set(args: &Args, folder: &Path) -> anyhow::Result<Self> {
        let (named, cache) = (args.nats_server.clone(), args.dir.join("nats-server"));
        let binary = Finder { named, cache, version_min: ServerVersion::FLOOR }.find().await?;
        let ports = free_ports()?;
        let mut brokers = Vec::new();
        for (at, port) in ports.iter().enumerate() {
            let server_name = format!("nats-{}", at + 1);
            let options = server::Options::new(&binary, folder.join(&server_name));
            let cluster = Some(Cluster { server_name, port: *port, members: ports.clone() });
            brokers.push(LocalServer::start(server::Options { cluster, ..options }).await?);
        }
        let nats = urls(&brokers);
        let broker_args = BrokerArgs { nats: nats.clone(), prefix: Config::default().nats.prefix };
        let broker = broker_args.connect("pannier demo").await?;
        let streams = pannier_streams::init(&broker, &broker_args.prefix, MEMBERS).await?;
        let rules = args.from_rules.unwrap_or(RULE_VERSION);
        rules::activate(&broker, &streams, rules).await?;
        let loaded = world::load(&broker, &streams).await?;
        let pannier = std::env::current_exe().context("find this program")?;
        let first = args.from_build.as_ref().unwrap_or(&pannier);
        let start = |at| NodeProcess::start(&format!("node-{at}"), first, &nats, &[], folder);
        let nodes = (1..=MEMBERS).map(start).collect::<anyhow::Result<Vec<_>>>()?;
        let mut stage = Self { brokers, nodes, streams, pannier, rules };
        for node in &mut stage.nodes {
            node.ready(READY_MAX).await?;
            let client =
                HttpClient::new(node.address(), Options { deadline: READY_MAX, ..Options::default() })?;
            for as_of in &loaded {
                let path = format!("/v1/price-availability/B-0000?quantity=1&at_least={as_of}");
                let status = client.get(&path).await?.status();
                ensure!(status.is_success(), "a node is not at {as_of}: {status}");
            }
        }
        Ok(stage)
    }

    /// All at once, and for so long.
    async fn without_brokers(&mut self, lasts: Duration) -> anyhow::Result<Outage> {
        say(format_args!("all brokers are killed, for {lasts:?}"));
        for broker in &mut self.brokers {
            broker.kill().await;
        }
        let nodes: Vec<_> = self.nodes.iter().map(|node| node.address().to_owned()).collect();
        let outage = outage::bear(&nodes, lasts).await?;
        say("all brokers are started again");
        for broker in &mut self.brokers {
            broker.start_again().await?;
        }
        self.whole().await?;
        Ok(outage)
    }

    async fn connect(&self) -> anyhow::Result<Broker> {
        let prefix = Config::default().nats.prefix;
        BrokerArgs { nats: urls(&self.brokers), prefix }.connect("pannier demo").await
    }

    /// Until every stream has a leader and all its copies are up to date: the next broker may go then.
    async fn whole(&self) -> anyhow::Result<()> {
        let broker = self.connect().await?;
        let Streams { ledger, catalog, review, dispatch, history, .. } = &self.streams;
        let deadline = Instant::now() + READY_MAX;
        for stream in [ledger, catalog, review, dispatch, history] {
            loop {
                let info = broker.context().get_stream(stream).await.map(|it| it.cached_info().clone());
                let cluster = info.as_ref().ok().and_then(|info| info.cluster.as_ref());
                let is_whole = cluster.is_some_and(|cluster| {
                    let current = cluster.replicas.iter().filter(|it| it.current && !it.offline).count();
                    cluster.leader.is_some() && current == MEMBERS - 1
                });
                if is_whole {
                    break;
                }
                ensure!(Instant::now() < deadline, "{stream} is not whole within {READY_MAX:?}");
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// Whether all nodes come to know of each other as equal.
    async fn agree(&self) -> anyhow::Result<bool> {
        let deadline = Instant::now() + READY_MAX;
        for node in &self.nodes {
            let http = HttpClient::new(node.operator(), Options::default())?;
            loop {
                let shown: ClusterShown =
                    serde_json::from_slice(http.get("/v1/operator/cluster").await?.body())?;
                let agree =
                    shown.members.iter().filter(|it| matches!(it.agreement, Agreement::Agrees(_))).count();
                if agree == MEMBERS {
                    break;
                }
                let differ = shown.members.iter().any(|it| matches!(it.agreement, Agreement::Differs(_)));
                if differ || Instant::now() >= deadline {
                    say(format_args!("{shown:?}"));
                    return Ok(false);
                }
                sleep(POLL).await;
            }
        }
        Ok(true)
    }

    async fn stop(self) -> anyhow::Result<()> {
        let mut stopped = Ok(());
        for node in self.nodes {
            stopped = stopped.and(node.stop().await);
        }
        for broker in self.brokers {
            broker.stop().await;
        }
        stopped
    }
}

fn urls(brokers: &[LocalServer]) -> String {
    brokers.iter().map(LocalServer::url).collect::<Vec<_>>().join(",")
}

/// For the brokers' links to each other, which all must know before the first one starts.
fn free_ports() -> anyhow::Result<Vec<u16>> {
    let bind = |_| std::net::TcpListener::bind("127.0.0.1:0").context("find a free port");
    let listeners = (0..MEMBERS).map(bind).collect::<anyhow::Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// What happens, to people.
fn say(step: impl std::fmt::Display) {
    eprintln!("pannier demo: {step}");
}
