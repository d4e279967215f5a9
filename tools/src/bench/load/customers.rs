//! Who asks: so many at a time, each for the next request that is due, or (in a closed loop) for one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http::{Method, Request};
use pannier_client::{CallError, HttpClient, NodeClient, Options, SendError};
use pannier_protocol::IdempotencyKey;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::Run;
use super::arrivals::{Arrivals, now};
use super::draw::{Draw, Kind};
use super::recorded::{Outcome, Recorder};

/// Requests that are due and not taken up: a minute of a fast machine.
const DUE_MAX: usize = 1 << 22;

/// One node, as customers reach it.
#[derive(Clone)]
pub(super) struct Target {
    node: NodeClient,
    /// For what goes over HTTP alone.
    http: Option<HttpClient>,
}

impl Target {
    pub(super) fn new(address: &str, options: &Options) -> anyhow::Result<Self> {
        let node = NodeClient::new(address, options.clone())?;
        let http =
            address.starts_with("http").then(|| HttpClient::new(address, options.clone())).transpose()?;
        Ok(Self { node, http })
    }
}

/// Names the orders of this run.
pub(super) struct Names {
    prefix: String,
    next: AtomicU64,
}

impl Names {
    pub(super) fn new() -> anyhow::Result<Self> {
        let prefix = format!("load-{:x}-{:x}", crate::broker::now()?.millis(), std::process::id());
        Ok(Self { prefix, next: AtomicU64::new(0) })
    }

    fn next(&self) -> String {
        format!("{}-{}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Whose turn it is, and since when.
#[derive(Clone)]
enum Turns {
    Open(Arc<Mutex<mpsc::Receiver<Instant>>>),
    Closed { until: Instant },
}

impl Turns {
    async fn next(&self) -> Option<Instant> {
        match self {
            Self::Open(due) => due.lock().await.recv().await,
            Self::Closed { until } => Some(now()).filter(|now| now < until),
        }
    }
}

/// Until all that was due has been answered; what is asked before `begin` is not recorded.
pub(super) async fn ask(
    run: &Run,
    targets: &[Target],
    draw: &Draw,
    names: &Arc<Names>,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let start = now();
    let lasts = run.warm_up + run.measured;
    let turns = match run.rate {
        None => Turns::Closed { until: start + lasts },
        Some(rate) => {
            let (sender, due) = mpsc::channel(DUE_MAX);
            Arrivals::new(rate, run.pattern, lasts, run.seed)?
                .send(start, sender)
                .context("start a thread")?;
            Turns::Open(Arc::new(Mutex::new(due)))
        }
    };
    let (told, mut outcomes) = mpsc::channel(4_096);
    let mut customers = JoinSet::new();
    for number in 0..run.connections {
        let customer = Customer {
            target: targets[number % targets.len()].clone(),
            draw: draw.seeded(run.seed.wrapping_add(number as u64)),
            names: Arc::clone(names),
        };
        customers.spawn(customer.work(turns.clone(), told.clone()));
    }
    drop(told);
    recorder.begin(start + run.warm_up);
    while let Some(outcome) = outcomes.recv().await {
        recorder.take(outcome);
    }
    while let Some(ended) = customers.join_next().await {
        ended.context("a customer ended")??;
    }
    Ok(())
}

struct Customer {
    target: Target,
    draw: Draw,
    names: Arc<Names>,
}

impl Customer {
    async fn work(mut self, turns: Turns, told: mpsc::Sender<Outcome>) -> anyhow::Result<()> {
        while let Some(due) = turns.next().await {
            let kind = self.draw.kind();
            let error = match kind {
                Kind::Lookup => self.target.node.lookup(&self.draw.lookup()?).await.err().map(|it| word(&it)),
                Kind::Order => {
                    let name = self.names.next();
                    let (key, order) = (IdempotencyKey::new(&name)?, self.draw.order(&name)?);
                    self.target.node.place_order(&key, &order).await.err().map(|it| word(&it))
                }
                Kind::Hold => self.hold().await?,
            };
            let outcome = Outcome { kind, due, done: now(), error };
            if told.send(outcome).await.is_err() {
                bail!("nobody records what is answered");
            }
        }
        Ok(())
    }

    async fn hold(&mut self) -> anyhow::Result<Option<String>> {
        let http =
            self.target.http.as_ref().context("holds are asked for over HTTP: leave them out of --mix")?;
        let hold = self.draw.hold(crate::broker::now()?)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/v1/holds", http.address()))
            .header("content-type", "application/json")
            .header("idempotency-key", self.names.next());
        let answered = http.send(request.body(serde_json::to_vec(&hold)?.into())?).await;
        Ok(match answered {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("status {}", response.status().as_u16())),
            Err(error) => Some(of_send(&error)),
        })
    }
}

/// What went wrong, in a word: errors are counted by it.
fn word(error: &CallError) -> String {
    match error {
        CallError::Send(error) => of_send(error),
        CallError::Problem { problem, .. } => problem.code.as_str().to_owned(),
        CallError::Status { status } => format!("status {status}"),
        CallError::Encode(_) | CallError::NoOperators { .. } | CallError::Answer(_) => error.to_string(),
    }
}

fn of_send(error: &SendError) -> String {
    match error {
        SendError::Deadline { .. } => "no answer in time".to_owned(),
        SendError::Unreachable { .. } => "unreachable".to_owned(),
        SendError::Broken { .. } => "connection broke".to_owned(),
        SendError::TooLarge { .. } | SendError::Request(_) => error.to_string(),
    }
}

/// How long one request may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
