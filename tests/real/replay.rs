//! The year, basket by basket: what it changes is published, then it is asked for with `at_least`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use async_nats::jetstream;
use pannier_client::{HttpClient, Options};
use pannier_core::gate::GateMode;
use pannier_node::{Config, Node};
use pannier_protocol::api::{
    Include, LineAnswer, LineRequest, LineStatus, LookupAnswer, LookupRequest, RequestedQuantity,
};
use pannier_protocol::change::Change;
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    AsOf, Currency, Decimal, Encoding, Incarnation, Money, Partition, SourceId, StreamSequence, Timestamp,
};
use pannier_tests::TestBroker;
use tokio::time::Instant;

use crate::chain::Chain;
use crate::chaos::{Fault, Faults};
use crate::report::Report;
use crate::shelf::{self, Shelf};
use crate::till::{Basket, Line};

/// Sources that share the stores between them.
const SOURCES: u32 = 8;
/// A node restarts after each such part of the run.
const RESTARTS: usize = 3;

struct Replay {
    _broker: TestBroker,
    config: Config,
    mode: GateMode,
    context: jetstream::Context,
    incarnation: Incarnation,
    node: Option<Node>,
    client: HttpClient,
    chains: BTreeMap<Subject, Chain>,
    shelf: Shelf,
    faults: Faults,
    report: Report,
}

pub(crate) async fn run(baskets: &[Basket], seed: u64, gate_off: bool) -> anyhow::Result<Report> {
    let mode = if gate_off { GateMode::Off } else { GateMode::On };
    let mut replay = Replay::start(mode, seed).await?;
    replay.publish_items(baskets).await?;
    let began = Instant::now();
    for (at, basket) in baskets.iter().enumerate() {
        if at > 0
            && at % (baskets.len() / (RESTARTS + 1)).max(1) == 0
            && replay.report.restarts < RESTARTS as u64
        {
            replay.restart().await?;
        }
        replay.basket(basket).await.with_context(|| format!("basket {at}"))?;
        if at % 10_000 == 9_999 {
            show_progress(at + 1, baskets.len(), &replay.report);
        }
    }
    replay.report.elapsed = began.elapsed();
    replay.report.contradictions = replay.shelf.contradictions;
    if let Some(node) = replay.node.take() {
        node.stop().await?;
    }
    Ok(replay.report)
}

fn show_progress(done: usize, all: usize, report: &Report) {
    eprintln!("{done} of {all} baskets, {} mismatches", report.mismatches);
}

impl Replay {
    async fn start(mode: GateMode, seed: u64) -> anyhow::Result<Self> {
        let (broker, streams) = TestBroker::start_with_streams().await;
        let mut config = Config::default();
        config.nats.servers = vec![broker.server.url()];
        config.http.listen = "127.0.0.1:0".parse()?;
        config.operator.listen.set_port(0);
        let context = broker.broker.context().clone();
        let node = Node::start_with_gate(config.clone(), mode).await?;
        anyhow::ensure!(node.handle().ready().await, "the node does not get ready");
        let client = client(&node)?;
        Ok(Self {
            _broker: broker,
            incarnation: streams.incarnation,
            node: Some(node),
            chains: BTreeMap::new(),
            shelf: Shelf::default(),
            faults: Faults::new(seed),
            report: Report::new()?,
            config,
            mode,
            context,
            client,
        })
    }

    /// The node forgets everything and reads the streams again.
    async fn restart(&mut self) -> anyhow::Result<()> {
        if let Some(node) = self.node.take() {
            node.stop().await?;
        }
        let node = Node::start_with_gate(self.config.clone(), self.mode).await?;
        anyhow::ensure!(node.handle().ready().await, "the node does not get ready again");
        self.client = client(&node)?;
        self.node = Some(node);
        self.report.restarts += 1;
        Ok(())
    }

    async fn publish_items(&mut self, baskets: &[Basket]) -> anyhow::Result<()> {
        let products: std::collections::BTreeSet<u32> =
            baskets.iter().flat_map(|basket| basket.lines.iter().map(|line| line.product)).collect();
        let products: Vec<u32> = products.into_iter().collect();
        let subject = Subject::Catalog(Partition::Shared, SourceId::new("items")?);
        let now = baskets.first().map_or(Timestamp::default(), |basket| basket.instant);
        for products in products.chunks(1_000) {
            self.say(&subject, products.iter().map(|product| shelf::item(*product)).collect(), now).await?;
        }
        Ok(())
    }

    async fn basket(&mut self, basket: &Basket) -> anyhow::Result<()> {
        let (moved, lines) = self.shelf.take(basket);
        self.report.events += moved.len() as u64;
        let subject = subject(basket.store)?;
        let fault = self.faults.draw();
        match fault {
            Some(Fault::Reordered) if !moved.is_empty() => {
                self.reordered(&subject, basket.store, moved, basket.instant).await?;
            }
            _ if moved.is_empty() => {}
            _ => self.say(&subject, moved, basket.instant).await?,
        }
        self.inject(fault, &subject, basket).await?;
        self.ask(basket, &lines).await
    }

    async fn say(&mut self, subject: &Subject, changes: Vec<Change>, now: Timestamp) -> anyhow::Result<()> {
        let context = self.context.clone();
        let chain = self.chain(subject, now).await?;
        let bytes = chain.next(changes, now)?;
        chain.send(&context, bytes).await
    }

    async fn chain(&mut self, subject: &Subject, now: Timestamp) -> anyhow::Result<&mut Chain> {
        if !self.chains.contains_key(subject) {
            let chain = Chain::claim(&self.context, subject.clone(), &self.incarnation, now).await?;
            self.chains.insert(subject.clone(), chain);
        }
        self.chains.get_mut(subject).context("the chain was claimed")
    }

    /// The second of two messages comes first; between the two and until the snapshot the chain is suspect.
    async fn reordered(
        &mut self,
        subject: &Subject,
        store: u32,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let context = self.context.clone();
        let chain = self.chain(subject, now).await?;
        let (first, second) = (chain.next(vec![shelf::item(0)], now)?, chain.next(changes, now)?);
        chain.send(&context, second).await?;
        let at_least = self.at_least();
        let refused = self.lookup(&[(store, 0, 1)], store, at_least).await?;
        let suspect = refused.lines.iter().filter(|line| line.status == LineStatus::Suspect).count() as u64;
        self.report.refused_suspect += suspect;
        self.report.mismatches += u64::from(suspect == 0);
        self.chain(subject, now).await?.send(&context, first).await?;
        self.snapshot(subject, now).await?;
        self.report.reordered += 1;
        Ok(())
    }

    async fn snapshot(&mut self, subject: &Subject, now: Timestamp) -> anyhow::Result<()> {
        let mut rows = vec![shelf::item(0)];
        for store in self.shelf.stores() {
            if self::subject(store)? == *subject {
                rows.extend(self.shelf.rows(store));
            }
        }
        let context = self.context.clone();
        self.chain(subject, now).await?.snapshot(&context, rows, now).await
    }

    async fn inject(
        &mut self,
        fault: Option<Fault>,
        subject: &Subject,
        basket: &Basket,
    ) -> anyhow::Result<()> {
        let (context, now) = (self.context.clone(), basket.instant);
        let back = (self.faults.next() % 50) as usize;
        let wrong = basket.lines.iter().map(|line| shelf::wrong_price(basket.store, line.product)).collect();
        let chain = self.chain(subject, now).await?;
        match fault {
            Some(Fault::Duplicate) => {
                self.report.duplicates += u64::from(chain.send_again(&context, back).await?);
            }
            Some(Fault::OldDuplicate) => {
                self.report.old_duplicates += u64::from(chain.send_again(&context, 1_100 + back).await?);
            }
            Some(Fault::LateEpoch) => {
                self.report.late_epochs += u64::from(chain.send_late(&context, wrong, now).await?);
            }
            Some(Fault::NewEpoch) => {
                chain.claim_again(&context, now).await?;
                self.snapshot(subject, now).await?;
                self.report.new_epochs += 1;
            }
            // Its two messages have changed places already.
            Some(Fault::Reordered) | None => {}
        }
        Ok(())
    }

    /// Behind everything that was published.
    fn at_least(&self) -> AsOf {
        let shared = self.chains.values().map(|chain| chain.last).max().unwrap_or_default();
        let none = StreamSequence(0);
        AsOf { incarnation: self.incarnation.clone(), ledger: none, shared, partition: none }
    }

    async fn ask(&mut self, basket: &Basket, lines: &[Line]) -> anyhow::Result<()> {
        let at_least = self.at_least();
        let asked: Vec<_> = lines.iter().map(|line| (basket.store, line.product, line.quantity)).collect();
        let began = Instant::now();
        let answer = self.lookup(&asked, basket.store, at_least).await?;
        self.report.lookups.record(u64::try_from(began.elapsed().as_micros())?)?;
        self.report.baskets += 1;
        self.report.lines += lines.len() as u64;
        for (line, answered) in lines.iter().zip(&answer.lines) {
            if !is_the_tills(line, answered) {
                self.report.mismatches += 1;
                if self.report.mismatches <= 5 {
                    eprintln!("store {} {line:?}: {answered:?}", basket.store);
                }
            }
        }
        Ok(())
    }

    async fn lookup(
        &self,
        lines: &[(u32, u32, i64)],
        store: u32,
        at_least: AsOf,
    ) -> anyhow::Result<LookupAnswer> {
        let line = |(at, (_, product, quantity)): (usize, &(u32, u32, i64))| LineRequest {
            line: at.to_string().into(),
            item: product.to_string().into(),
            item_type: None,
            quantity: Decimal::from_int(*quantity)
                .map_or(RequestedQuantity::Invalid("0".into()), RequestedQuantity::Valid),
            uom: None,
            contract: None,
            warehouse: None,
            requested_date: None,
        };
        let request = LookupRequest {
            account: Some(shelf::account_id(store)),
            ship_to: None,
            currency: None,
            channel: None,
            pricing_date: None,
            max_staleness_ms: None,
            at_least: Some(at_least),
            include: Some([Include::Price].into()),
            priority: None,
            lines: lines.iter().enumerate().map(line).collect(),
        };
        Ok(self.client.lookup(&request).await?)
    }
}

/// The chain that says a store's prices.
fn subject(store: u32) -> anyhow::Result<Subject> {
    let source = SourceId::new(&format!("till-{}", store % SOURCES))?;
    Ok(Subject::Catalog(Partition::Shared, source))
}

fn is_the_tills(line: &Line, answered: &LineAnswer) -> bool {
    let usd = Currency::new("USD").expect("USD is a currency");
    let paid = Money::new(Decimal::from_micros(line.sales_cents * 10_000), usd);
    answered.price.as_ref().is_some_and(|price| price.extended.amount == paid.amount)
}

fn client(node: &Node) -> anyhow::Result<HttpClient> {
    let options = Options { encoding: Encoding::MessagePack, ..Options::default() };
    Ok(HttpClient::new(&format!("http://{}", node.http_addr()), options)?)
}
