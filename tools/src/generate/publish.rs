//! A generated distributor on the streams, as two sources would put it there.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use anyhow::Context;
use pannier_protocol::change::{ChainPoint, Tick};
use pannier_protocol::subject::Subject;
use pannier_protocol::{AsOf, Change, Partition, SourceId};
use pannier_streams::{Broker, Streams};
use serde::Serialize;
use tokio::time::{Duration, Instant};

use super::Shape;
use super::shape::ROWS_A_CHANGE;
use crate::broker::now;
use crate::chain::Held;
use crate::policy;
use crate::stage::world::source;

const POLICY: &str = "[defaults]\ncurrency = \"USD\"\nlists = [\"LIST\"]\n";
const CATALOG: &str = "gen-erp";
/// The source of all stock.
pub(crate) const STOCK: &str = "gen-wms";
/// Changes in one message that are no price rows.
const BATCH: usize = 500;
const SHOWN_EVERY: Duration = Duration::from_millis(500);

/// What was published; a node that is at all tokens has it.
#[derive(Debug, Serialize)]
pub(crate) struct Published {
    rows: u64,
    items: u64,
    accounts: u64,
    cells: u64,
    messages: u64,
    seconds: f64,
    pub(crate) at: Vec<AsOf>,
}

impl Published {
    pub(crate) fn text(&self) -> String {
        let Self { rows, items, accounts, cells, messages, seconds, .. } = self;
        format!(
            "{rows} price rows, {items} items, {accounts} accounts, {cells} cells in {messages} messages, {seconds:.1} s"
        )
    }
}

/// Everything, partition after partition, and then a tick of each source.
pub(crate) async fn publish(broker: &Broker, streams: &Streams, shape: Shape) -> anyhow::Result<Published> {
    let began = Instant::now();
    let policy = policy::apply(broker, streams, policy::parse(POLICY)?).await?;
    let mut writer = Writer {
        broker,
        streams,
        points: BTreeMap::new(),
        at: vec![policy],
        rows: 0,
        messages: 0,
        shown: began,
    };
    let items = (0..shape.items).map(|item| shape.item(item));
    let accounts = (0..shape.accounts).map(|account| shape.account(account));
    let shared = items.chain(accounts).chain(shape.list()).chain(shape.groups());
    writer.chain(Subject::Catalog(Partition::Shared, SourceId::new(CATALOG)?), shared, shape).await?;
    let mut families: BTreeMap<Partition, Vec<u64>> = BTreeMap::new();
    for account in 0..shape.accounts {
        families.entry(Shape::partition(account)).or_default().push(account);
    }
    for (partition, accounts) in families {
        let contracts = accounts.into_iter().flat_map(|account| shape.contract(account));
        writer.chain(Subject::Catalog(partition, SourceId::new(CATALOG)?), contracts, shape).await?;
    }
    let cells = (0..shape.items).flat_map(|item| shape.cells(item));
    writer.chain(Subject::Stock(SourceId::new(STOCK)?), cells, shape).await?;
    writer.tick().await?;
    let Writer { at, messages, .. } = writer;
    Ok(Published {
        rows: shape.rows,
        items: shape.items,
        accounts: shape.accounts,
        cells: shape.items * 4,
        messages,
        seconds: began.elapsed().as_secs_f64(),
        at,
    })
}

struct Writer<'a> {
    broker: &'a Broker,
    streams: &'a Streams,
    points: BTreeMap<SourceId, Vec<ChainPoint>>,
    at: Vec<AsOf>,
    rows: u64,
    messages: u64,
    shown: Instant,
}

impl Writer<'_> {
    async fn chain(
        &mut self,
        subject: Subject,
        changes: impl Iterator<Item = Change>,
        shape: Shape,
    ) -> anyhow::Result<()> {
        let mut held = source(self.broker, self.streams, &subject.to_string()).await?;
        let (mut batch, mut rows) = (Vec::new(), 0);
        for change in changes {
            let more = if let Change::Prices(prices) = &change { prices.rows.len() } else { 0 };
            if batch.len() == BATCH || (rows > 0 && rows + more > ROWS_A_CHANGE) {
                self.send(&mut held, std::mem::take(&mut batch), rows, shape).await?;
                rows = 0;
            }
            rows += more;
            batch.push(change);
        }
        self.send(&mut held, batch, rows, shape).await?;
        let source = subject.source().cloned().context("a subject of a source")?;
        self.points.entry(source).or_default().push(held.point());
        self.at.push(held.last());
        Ok(())
    }

    async fn send(
        &mut self,
        held: &mut Held,
        batch: Vec<Change>,
        rows: usize,
        shape: Shape,
    ) -> anyhow::Result<()> {
        held.publish(batch, None).await?;
        self.messages += 1;
        self.rows += rows as u64;
        if self.shown.elapsed() >= SHOWN_EVERY && std::io::stderr().is_terminal() {
            self.shown = Instant::now();
            eprint!("\r{} of {} price rows ", self.rows, shape.rows);
        }
        Ok(())
    }

    /// Each source says, on its first subject, that all of it was read now.
    async fn tick(&mut self) -> anyhow::Result<()> {
        for points in std::mem::take(&mut self.points).into_values() {
            let first = points.first().context("a source has a subject")?.subject.clone();
            let mut held = source(self.broker, self.streams, &first.to_string()).await?;
            let tick = Change::Tick(Tick { caught_up_to: now()?, subjects: points });
            held.publish(vec![tick], None).await?;
            self.at.push(held.last());
        }
        Ok(())
    }
}
