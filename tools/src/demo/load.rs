//! What goes on while a cluster is shaken: customers who ask and order, and sources that say how fresh they are.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use pannier_client::Nodes;
use pannier_protocol::api::{FreshnessState, LookupAnswer, MaxStaleness, OrderAnswer, OrderState};
use pannier_protocol::change::Tick;
use pannier_protocol::{Change, IdempotencyKey, OrderId, SourceId};
use pannier_streams::{Broker, Streams};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::broker::now;
use crate::stage::world;

const LOOKUP_CLIENTS: usize = 6;
const LOOKUP_LINES: usize = 10;
const LOOKUP_EVERY: Duration = Duration::from_millis(25);
const ORDER_EVERY: Duration = Duration::from_millis(100);
/// Every second order is sent to two nodes at once.
const SENT_TWICE_EVERY: u64 = 2;
/// How long a lookup may be asked of one node after the other.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(15);
const ORDER_PATIENCE: Duration = Duration::from_secs(180);
const TICK_EVERY: Duration = Duration::from_millis(500);
pub(super) const STALENESS_MS_MAX: u64 = 3_000;
const SOURCES: [&str; 2] = ["ledger.stock.wms", "catalog.shared.erp"];

/// What customers were told in the end.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) lookups_sent: u64,
    pub(super) lookups_failed: u64,
    pub(super) stale_answers: u64,
    pub(super) stale_age_ms_max: u64,
    /// The answers to every order, by the id that its key gives it.
    pub(super) orders: BTreeMap<OrderId, Vec<OrderAnswer>>,
    pub(super) orders_unanswered: u64,
}

pub(super) struct Load {
    stop: watch::Sender<bool>,
    lookups: JoinSet<anyhow::Result<Told>>,
    orders: JoinSet<anyhow::Result<Told>>,
    sources: JoinSet<()>,
}

impl Told {
    /// Orders that a customer has a promise for.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &OrderId> {
        let is_promised = |answer: &OrderAnswer| {
            matches!(
                answer.state,
                OrderState::Accepted
                    | OrderState::Dispatched
                    | OrderState::Backordered
                    | OrderState::Acknowledged
            )
        };
        self.orders.iter().filter(move |(_, answers)| answers.iter().any(is_promised)).map(|(order, _)| order)
    }

    fn add(&mut self, other: Self) {
        self.lookups_sent += other.lookups_sent;
        self.lookups_failed += other.lookups_failed;
        self.stale_answers += other.stale_answers;
        self.stale_age_ms_max = self.stale_age_ms_max.max(other.stale_age_ms_max);
        self.orders.extend(other.orders);
        self.orders_unanswered += other.orders_unanswered;
    }

    fn see(&mut self, answer: &LookupAnswer) {
        let parts = answer.lines.iter().filter_map(|line| line.freshness.as_ref());
        let parts = parts.flat_map(|pair| [pair.price, pair.availability]).flatten();
        let stale: Vec<u64> =
            parts.filter(|it| it.state == FreshnessState::Stale).filter_map(|it| it.age_ms).collect();
        self.stale_answers += u64::from(!stale.is_empty());
        self.stale_age_ms_max = stale.into_iter().fold(self.stale_age_ms_max, u64::max);
    }
}

impl Load {
    pub(super) fn start(nodes: &Nodes, broker: Broker, streams: &Streams) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut lookups = JoinSet::new();
        for client in 0..LOOKUP_CLIENTS {
            lookups.spawn(look_up(nodes.beginning_with(client), client, stopped.clone()));
        }
        let mut orders = JoinSet::new();
        orders.spawn(order(nodes.clone(), stopped.clone()));
        let mut sources = JoinSet::new();
        for subject in SOURCES {
            sources.spawn(tick(broker.clone(), streams.clone(), subject, stopped.clone()));
        }
        Self { stop, lookups, orders, sources }
    }

    /// Once everybody has the answer that he waits for.
    pub(super) async fn stop(mut self) -> anyhow::Result<Told> {
        self.stop.send_replace(true);
        let mut told = Told::default();
        for clients in [&mut self.lookups, &mut self.orders] {
            while let Some(one) = clients.join_next().await {
                told.add(one.context("a customer ended")??);
            }
        }
        self.sources.shutdown().await;
        Ok(told)
    }
}

async fn look_up(nodes: Nodes, client: usize, stopped: watch::Receiver<bool>) -> anyhow::Result<Told> {
    let (mut told, mut pace, mut number) = (Told::default(), interval(LOOKUP_EVERY), client);
    while !*stopped.borrow() {
        pace.tick().await;
        let mut basket = world::basket(number, LOOKUP_LINES)?;
        let bound = Some(STALENESS_MS_MAX);
        basket.max_staleness_ms = Some(MaxStaleness { price: bound, availability: bound });
        told.lookups_sent += 1;
        match nodes.lookup(&basket, LOOKUP_PATIENCE).await {
            Ok(answer) => told.see(&answer),
            Err(error) => {
                told.lookups_failed += 1;
                tracing::error!(%error, "a lookup failed on every node");
            }
        }
        number += LOOKUP_CLIENTS;
    }
    Ok(told)
}

async fn order(nodes: Nodes, stopped: watch::Receiver<bool>) -> anyhow::Result<Told> {
    let (mut placing, mut pace) = (JoinSet::new(), interval(ORDER_EVERY));
    for number in 0.. {
        if *stopped.borrow() {
            break;
        }
        pace.tick().await;
        placing.spawn(place(nodes.clone(), number));
    }
    let mut told = Told::default();
    while let Some(one) = placing.join_next().await {
        let (order, answers) = one.context("a customer ended")??;
        told.orders_unanswered += answers.iter().filter(|answer| answer.is_none()).count() as u64;
        told.orders.insert(order, answers.into_iter().flatten().collect());
    }
    Ok(told)
}

/// `None`: not answered.
async fn place(nodes: Nodes, number: u64) -> anyhow::Result<(OrderId, Vec<Option<OrderAnswer>>)> {
    let key = IdempotencyKey::new(&format!("demo-{number}"))?;
    let request = world::order(&SourceId::new("demo")?, number)?;
    let order = OrderId::derive(&request.account, &key);
    let ask = |beginning: usize| {
        let nodes = nodes.beginning_with(beginning);
        let (key, request) = (&key, &request);
        async move { nodes.place_order(key, request, ORDER_PATIENCE).await }
    };
    let first = usize::try_from(number)?;
    let answers = match number.is_multiple_of(SENT_TWICE_EVERY) {
        true => {
            let (one, other) = tokio::join!(ask(first), ask(first + 1));
            vec![one, other]
        }
        false => vec![ask(first).await],
    };
    let answered = answers.into_iter().map(|answer| {
        answer
            .inspect_err(|error| tracing::error!(%order, %error, "an order has no answer from any node"))
            .ok()
    });
    Ok((order, answered.collect()))
}

/// Read to its end all the time; what the brokers do not take is said again with the next one.
async fn tick(broker: Broker, streams: Streams, subject: &'static str, stopped: watch::Receiver<bool>) {
    let mut pace = interval(TICK_EVERY);
    while !*stopped.borrow() {
        pace.tick().await;
        let said = async {
            let mut held = world::source(&broker, &streams, subject).await?;
            let tick = Tick { caught_up_to: now()?, subjects: vec![held.point()] };
            held.publish(vec![Change::Tick(tick)], None).await
        };
        if let Err(error) = said.await {
            tracing::warn!(subject, %error, "a source could not say how fresh it is");
        }
    }
}
