//! From the two streams to the tables.
//!
//! ```text
//! ledger consumer  --\                               /--> tables, progress
//!                     +--> queue --> apply thread --+
//! catalog consumer --/                               \--> wishes --> publisher --> review stream, resync
//! ```
//!
//! Nothing is created here: a node checks the streams that `pannier init` made and refuses to start without
//! them. Positions of the two streams do not depend on each other, so each consumer goes at its own pace and
//! the queue between keeps the order within each. Where the state starts is a checkpoint, or genesis.

mod apply;
mod begin;
mod consume;
mod effects;
mod leader;
mod repeat;
mod review;
mod watch;

use std::sync::Arc;

use pannier_streams::connect;
use pannier_streams::consumer::Options;
use pannier_streams::stored::ReadError;
use pannier_streams::{Broker, ConfigError, ConnectError, Streams, open};
use tokio::sync::mpsc;

pub(crate) use apply::{LastMessages, entry_of};
pub(crate) use consume::Step;
pub(crate) use leader::{Ends, Leader};

use crate::app::App;
use crate::asking::Asker;
use crate::checkpoint::{Folder, Keeper, Sharer, Tail, Taker};
use crate::limits::{APPLY_QUEUE_STEPS, RETRY_PAUSE, WISHES_QUEUE};
use crate::members;
use crate::orders::operators::OperatorDesk;
use crate::orders::outbox::Outbox;
use crate::orders::{Committer, committer};
use crate::progress::StreamName;
use crate::shutdown::{Failure, Tasks};

/// Why the feed cannot begin; nothing that waiting would cure.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Streams(#[from] ConfigError),
}

/// Waits for NATS, checks the streams, and starts everything that feeds the tables.
pub(crate) async fn run(app: Arc<App>, tasks: Tasks) {
    let opened = tasks.token().run_until_cancelled(connect(&app)).await;
    let started = match opened {
        None => return,
        Some(Ok((broker, streams))) => Box::pin(start(&app, &tasks, broker, streams)).await,
        Some(Err(error)) => Err(error.to_string()),
    };
    if let Err(reason) = started {
        tasks.fail(Failure::Failed { task: "feed", reason });
    }
}

/// As long as it takes: a node may start before its NATS.
async fn connect(app: &App) -> Result<(Broker, Streams), OpenError> {
    let nats = &app.config.nats;
    let broker = Broker::connect(&connect::Options::new(nats.servers.join(","), "pannier-node")).await?;
    loop {
        match open(&broker, &nats.prefix).await {
            Ok(streams) => return Ok((broker, streams)),
            Err(ConfigError::Read(error)) if error.is_temporary() => again(&error).await,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn again(error: &ReadError) {
    tracing::warn!(%error, "the streams cannot be read yet, trying again");
    tokio::time::sleep(RETRY_PAUSE).await;
}

/// The error says what to do.
async fn start(app: &Arc<App>, tasks: &Tasks, broker: Broker, streams: Streams) -> Result<(), String> {
    let incarnation = streams.incarnation.clone();
    let leader = Leader::new(broker.clone(), streams.clone());
    let start = loop {
        match tasks.token().run_until_cancelled(leader.ends(&app.clock)).await {
            None => return Ok(()),
            Some(Ok(ends)) => break ends,
            Some(Err(error)) if error.is_temporary() => again(&error).await,
            Some(Err(error)) => return Err(error.to_string()),
        }
    };
    app.checkpoints.limit(streams.ages.ledger);
    if streams.ages.ledger.is_some() && Folder::of(&app.config.checkpoint).is_none() {
        tracing::warn!(
            "the ledger forgets, and this node keeps no checkpoint: set checkpoint.folder on two nodes at least"
        );
    }
    if start.first.ledger.0 <= 1 {
        app.checkpoints.covered(start.genesis.unwrap_or_else(|| app.clock.now()));
    }
    let begun = begin::folds(app, tasks, &broker, &streams, start.first).await?;
    let Some((tables, ledger, catalog, last)) = begun else { return Ok(()) };
    let asker = Asker::new(broker.clone(), streams.prefix.clone(), &app.config.ask);
    let set = app.asker.set(asker).is_ok() && app.leader.set(leader).is_ok();
    if !set || app.tables.set(tables).is_err() {
        return Err("the feed of a node was started twice; this is a bug".to_owned());
    }
    let from = last.positions();
    tracing::info!(%incarnation, ?from, to = ?start.at, "catching up");
    // Before it can be ready: then it takes orders.
    members::meet(app, &broker, &streams).await;
    app.progress.opened(incarnation.clone(), start.at, start.asked);
    app.progress.applied(from);

    let (step_sender, steps) = mpsc::channel(APPLY_QUEUE_STEPS);
    let (wish_sender, wishes) = mpsc::channel(WISHES_QUEUE);
    for (name, stream) in [(StreamName::Ledger, &streams.ledger), (StreamName::Catalog, &streams.catalog)] {
        let after = last.after(name);
        let options = Options { stream: stream.clone(), incarnation: incarnation.clone(), after };
        consume::spawn(app, tasks, broker.clone(), name, options, step_sender.clone());
    }
    let taker = Taker::new(&step_sender, tasks.clone());
    app.giver.taker.set(taker.clone()).map_err(|_| "the feed of a node was started twice; this is a bug")?;
    if let Some(folder) = Folder::of(&app.config.checkpoint) {
        let (app, tasks_of) = (Arc::clone(app), tasks.clone());
        if !app.config.checkpoint.share_interval.is_zero() {
            let (app, tasks_of, folder) = (Arc::clone(&app), tasks.clone(), folder.clone());
            let (broker, streams) = (broker.clone(), streams.clone());
            let sharer = Sharer { app, tasks: tasks_of, folder, broker, streams };
            tasks.spawn("shared checkpoints", sharer.run());
        }
        let keeper = Keeper { app, tasks: tasks_of, folder, taker: taker.clone() };
        tasks.spawn("checkpoints", keeper.run());
    }
    drop(step_sender);
    let tail = Folder::of(&app.config.checkpoint).map(|folder| Tail::new(folder, incarnation.clone()));
    let applier = apply::Applier {
        app: Arc::clone(app),
        tasks: tasks.clone(),
        incarnation,
        ledger,
        catalog,
        last,
        tail,
        steps,
        wishes: wish_sender,
    };
    tasks
        .spawn_thread("pannier-apply", move || applier.run())
        .map_err(|error| format!("starting the apply thread: {error}; raise the limit of threads"))?;
    start_committer(app, tasks, &broker, &streams)?;
    tasks.spawn("link", link(Arc::clone(app), tasks.clone(), broker.clone()));
    tasks.spawn("watch", watch::run(Arc::clone(app), tasks.clone()));
    let repeater =
        repeat::Repeater { app: Arc::clone(app), broker: broker.clone(), streams: streams.clone() };
    tasks.spawn("policies", repeater.run(tasks.clone()));
    let members = members::run(Arc::clone(app), tasks.clone(), broker.clone(), streams.clone());
    tasks.spawn("members", members);
    let (app, tasks_of) = (Arc::clone(app), tasks.clone());
    tasks.spawn("publisher", effects::Publisher { app, tasks: tasks_of, broker, streams, wishes }.run());
    Ok(())
}

/// Commands can be taken from here on; their verdicts come once the tables are there.
fn start_committer(app: &Arc<App>, tasks: &Tasks, broker: &Broker, streams: &Streams) -> Result<(), String> {
    let clock = Arc::clone(app);
    let (committer, commit) = Committer::new(committer::Options {
        broker: broker.clone(),
        streams: streams.clone(),
        node: app.config.node_name(),
        group_commands: app.config.orders.group_commands,
        now: Box::new(move || clock.clock.now()),
    });
    let outbox = Outbox {
        app: Arc::clone(app),
        broker: broker.clone(),
        streams: streams.clone(),
        committer: committer.clone(),
    };
    let desk = OperatorDesk::new(broker.clone(), streams.clone());
    app.operators.set(desk).map_err(|_| "the feed of a node was started twice; this is a bug")?;
    app.committer.set(committer).map_err(|_| "the feed of a node was started twice; this is a bug")?;
    tasks.spawn("orders", commit.run(tasks.token()));
    tasks.spawn("outbox", outbox.run(tasks.clone()));
    Ok(())
}

/// Shows whether the broker is connected; a lost link costs no readiness.
async fn link(app: Arc<App>, tasks: Tasks, broker: Broker) {
    let stop = tasks.token();
    let mut link = broker.link();
    loop {
        let connected = link.borrow_and_update().connected;
        app.progress.set_connected(connected);
        app.metrics.broker_connected.set(i64::from(connected));
        match stop.run_until_cancelled(link.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
    }
}
