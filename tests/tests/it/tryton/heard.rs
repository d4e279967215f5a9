//! What was published, as a node that believes everything would have it.

use std::collections::BTreeMap;

use pannier_protocol::change::{PriceKey, PriceRow, Prices};
use pannier_protocol::codec::decode_envelope;
use pannier_protocol::{Change, DateEdge, Encoding};
use pannier_streams::consumer::{Consumer, Event, Options};
use pannier_streams::{Broker, Streams};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::PATIENCE;

/// Rows by name, as JSON of their change, and every message of theirs in order.
pub(super) struct Heard {
    events: mpsc::Receiver<Event>,
    pub(super) rows: BTreeMap<String, Change>,
    /// Names of rows said, since last asked.
    pub(super) said: Vec<String>,
    /// `caught_up_to` of the last tick.
    pub(super) caught_up: Option<pannier_protocol::Timestamp>,
    pub(super) position: u64,
}

/// Rows by name, as `stock ITEM-001 MAIN` or `price LIST ITEM-001 ..`; `None`: it is gone.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not published here needs no name")]
fn rows(change: Change) -> Vec<(String, Option<Change>)> {
    let since = |edge: &Option<DateEdge>| edge.as_ref().map_or("..".to_owned(), |edge| edge.date.to_string());
    let item = |key: &PriceKey| key.item.as_ref().unwrap().to_string();
    let name = match &change {
        Change::StockSet(of) => format!("stock {} {}", of.item, of.warehouse),
        Change::SupplySet(of) => format!("supply {} {} {}", of.item, of.warehouse, of.reference),
        Change::Item(of) => format!("item {}", of.item),
        Change::Account(of) => format!("account {}", of.account),
        Change::StockRemoved(of) => return vec![(format!("stock {} {}", of.item, of.warehouse), None)],
        Change::SupplyRemoved(of) => {
            return vec![(format!("supply {} {} {}", of.item, of.warehouse, of.reference), None)];
        }
        Change::ItemRemoved(of) => return vec![(format!("item {}", of.item), None)],
        Change::AccountRemoved(of) => return vec![(format!("account {}", of.account), None)],
        Change::PricesRemoved(of) => {
            let gone = |key| (format!("price {} {} {}", of.scope.id(), item(key), since(&of.from)), None);
            return of.rows.iter().map(gone).collect();
        }
        Change::Prices(of) => {
            let one = |row: &PriceRow| {
                let name = format!("price {} {} {}", of.scope.id(), item(&row.key), since(&of.from));
                (name, Some(Change::Prices(Prices { rows: vec![row.clone()], ..of.clone() })))
            };
            return of.rows.iter().map(one).collect();
        }
        _ => return Vec::new(),
    };
    vec![(name, Some(change))]
}

impl Heard {
    /// Of one stream, from its beginning.
    pub(super) fn listen(broker: &Broker, streams: &Streams, in_ledger: bool) -> Self {
        let stream = if in_ledger { streams.ledger.clone() } else { streams.catalog.clone() };
        let incarnation = streams.incarnation.clone();
        let (consumer, events) = Consumer::new(broker.clone(), Options { stream, incarnation, after: None });
        tokio::spawn(consumer.run());
        let (rows, said) = (BTreeMap::new(), Vec::new());
        Self { events, rows, said, caught_up: None, position: 0 }
    }

    /// Until what is known fits; panics with what was known when it never does.
    pub(super) async fn until(&mut self, what: &str, fits: impl Fn(&Self) -> bool) {
        while !fits(self) {
            let Ok(event) = timeout(PATIENCE, self.events.recv()).await else {
                panic!("{what}: {:#?}", self.rows);
            };
            let Some(Event::Batch(batch)) = event else { continue };
            for delivery in batch {
                let envelope = decode_envelope(Encoding::MessagePack, &delivery.payload).unwrap();
                self.position = self.position.max(envelope.position);
                for change in envelope.changes {
                    self.note(change);
                }
            }
        }
    }

    fn note(&mut self, change: Change) {
        if let Change::Tick(tick) = &change {
            self.caught_up = self.caught_up.max(Some(tick.caught_up_to));
        }
        for (name, row) in rows(change) {
            self.said.push(name.clone());
            match row {
                Some(row) => self.rows.insert(name, row),
                None => self.rows.remove(&name),
            };
        }
    }

    /// Until Tryton was read again, begun after now: what was there before is heard.
    pub(super) async fn until_read_again(&mut self) {
        for _ in 0..2 {
            let before = self.caught_up;
            self.until("a later tick", |heard| heard.caught_up > before).await;
        }
    }

    /// What was said since last asked.
    pub(super) fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    /// `500-2 [1:2]`: on hand, allocated, and what is named.
    pub(super) fn cell(&self, item: &str, warehouse: &str) -> String {
        let Some(Change::StockSet(of)) = self.rows.get(&format!("stock {item} {warehouse}")) else {
            return "-".to_owned();
        };
        let named = match &of.reflects {
            Some(pannier_protocol::change::Reflected::Lines(lines)) => {
                lines.iter().map(|it| format!("{}:{}", it.line, it.quantity)).collect::<Vec<_>>().join(" ")
            }
            _ => String::new(),
        };
        format!("{}-{} [{named}]", of.on_hand, of.allocated)
    }

    /// Until a cell shows so.
    pub(super) async fn until_cell(&mut self, item: &str, warehouse: &str, shown: &str) {
        let what = format!("{item} {warehouse} {shown}");
        self.until(&what, |heard| heard.cell(item, warehouse) == shown).await;
    }
}
