//! A simulated ERP with two order books (backends) over one set of shelves, and the two sources that report them: `wms`
//! says by name which orders its figures contain, `erp` by position. It is honest and unreliable: its figures are what it
//! has at that moment, and it counts orders late, in part, and, restored from a backup, not any more.

mod documents;
mod figures;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pannier_core::ledger::orders::{OrdersReader, is_closed};
use pannier_protocol::order::{OrderEvent, OrderId};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding};

use super::broker::Broker;
use super::profile::Profile;
use super::random::Random;
use super::world::{BACKENDS, BY_NAME, BY_POSITION, ITEMS, WAREHOUSES, source};
use super::writer::{Fate, Writer};

/// Actions that are drawn until one finds something to do.
const TURNS: usize = 4;

/// A part of a line as it was promised, in whole units of the line.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) warehouse: String,
    /// Promised from the shelf.
    pub(crate) now: bool,
    pub(crate) units: i64,
    /// What of it the figures contain.
    pub(crate) counted: i64,
    pub(crate) shipped: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct DocumentLine {
    pub(crate) name: String,
    pub(crate) item: String,
    pub(crate) uom: String,
    pub(crate) parts: Vec<Part>,
    pub(crate) cancelled: i64,
    pub(crate) returned: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) number: u64,
    pub(crate) backend: String,
    pub(crate) generation: u32,
    pub(crate) cancelled: bool,
    /// Nothing more comes of it.
    pub(crate) finished: bool,
    /// Where `erp` counted it.
    pub(crate) position: Option<u64>,
    pub(crate) lines: Vec<DocumentLine>,
}

/// Events of one backend on their way to the ledger.
struct Outgoing {
    writer: Writer,
    waiting: VecDeque<OrderEvent>,
    in_flight: Vec<OrderEvent>,
}

/// Figures of one source.
struct Reporter {
    writer: Writer,
    /// Of a snapshot: what is left to send, last first.
    snapshot: Option<Vec<figures::Chunk>>,
    snapshots: u64,
}

pub(crate) struct Erp {
    pub(crate) profile: Profile,
    /// What there is, in millionths, whatever anybody reported.
    pub(crate) shelves: BTreeMap<(String, String), i64>,
    /// What left the shelves without an order, or for one that was promised it later: nobody could know.
    pub(crate) taken_away: BTreeMap<(String, String), i64>,
    supply: BTreeMap<(String, String), (i64, i64)>,
    pub(crate) documents: BTreeMap<OrderId, Document>,
    /// Orders that will never have a document below this generation.
    refused: BTreeMap<OrderId, u32>,
    backup: BTreeMap<OrderId, Document>,
    /// Dispatches read so far.
    read: usize,
    numbers: u64,
    /// Of the books, in which `erp` counts; never falls, or a new document would seem to be in an old figure.
    position: u64,
    /// From where on orders were told to be in the figures of `erp`.
    counted_from: BTreeMap<OrderId, u64>,
    credit_owed: i64,
    oversell: BTreeSet<String>,
    backends: BTreeMap<&'static str, Outgoing>,
    reporters: BTreeMap<&'static str, Reporter>,
    told: Vec<(&'static str, OrderEvent)>,
}

impl Erp {
    pub(crate) fn new(profile: Profile, random: &mut Random) -> Self {
        let outgoing = |name: &&'static str| {
            let writer = Writer::new(Subject::Event(source(name)), profile.encoding);
            (*name, Outgoing { writer, waiting: VecDeque::new(), in_flight: Vec::new() })
        };
        let reporter = |name: &&'static str| {
            let writer = Writer::new(Subject::Stock(source(name)), profile.encoding);
            (*name, Reporter { writer, snapshot: None, snapshots: 0 })
        };
        let most = [8, 25, 60][random.below(3)];
        let mut shelves = BTreeMap::new();
        let mut supply = BTreeMap::new();
        for item in ITEMS {
            for warehouse in WAREHOUSES {
                let place = (item.to_owned(), warehouse.to_owned());
                shelves.insert(place.clone(), random.between(0, most) * 1_000_000);
                supply.insert(place, (random.between(0, 20), random.between(-1, 14)));
            }
        }
        Self {
            profile,
            shelves,
            taken_away: BTreeMap::new(),
            supply,
            documents: BTreeMap::new(),
            refused: BTreeMap::new(),
            backup: BTreeMap::new(),
            read: 0,
            numbers: 0,
            position: 100,
            counted_from: BTreeMap::new(),
            credit_owed: 0,
            oversell: BTreeSet::new(),
            backends: BACKENDS.iter().map(outgoing).collect(),
            reporters: [BY_NAME, BY_POSITION].iter().map(reporter).collect(),
            told: Vec::new(),
        }
    }

    /// Something happens in the ERP; what, in words.
    pub(crate) fn act(
        &mut self,
        broker: &mut Broker,
        promises: &OrdersReader,
        random: &mut Random,
    ) -> String {
        // What finds nothing to do leaves its turn to another.
        (0..TURNS)
            .find_map(|_| self.turn(broker, promises, random))
            .unwrap_or_else(|| "the ERP idles".to_owned())
    }

    fn turn(&mut self, broker: &mut Broker, promises: &OrdersReader, random: &mut Random) -> Option<String> {
        match random.weighted(&[24, 14, 18, 18, 5, 4, 5, 4, 3, 8, 3]) {
            0 => self.take_dispatch(broker, promises, random),
            1 => self.count(random),
            2 => self.ship(random),
            3 => Some(self.report(broker, random)),
            4 => self.receive(broker, random),
            5 => self.correct(random),
            6 => self.cancel(random),
            7 => self.take_return(random),
            8 => Some(self.restart(random)),
            9 => self.restore(random),
            _ => self.repeat(random),
        }
    }

    /// Sends what waits: events in order, a message at a time.
    pub(crate) fn send_events(&mut self, broker: &mut Broker, random: &mut Random) {
        for outgoing in self.backends.values_mut() {
            if outgoing.writer.is_unsettled() {
                if outgoing.writer.settle(broker) == Fate::Lost {
                    // They are cumulative: told again under the next claim.
                    for event in outgoing.in_flight.drain(..).rev() {
                        outgoing.waiting.push_front(event);
                    }
                }
                outgoing.in_flight.clear();
            }
            if outgoing.waiting.is_empty()
                || (!outgoing.writer.is_claimed() && !outgoing.writer.claim(broker, random))
            {
                continue;
            }
            let count = outgoing.waiting.len().min(1 + random.below(3));
            let events: Vec<OrderEvent> = outgoing.waiting.drain(..count).collect();
            let changes = events.iter().map(|event| Change::Event(Box::new(event.clone()))).collect();
            if outgoing.writer.write(broker, random, changes) != Fate::Stored {
                outgoing.in_flight = events;
            }
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.backends.values().all(|it| it.waiting.is_empty() && it.in_flight.is_empty())
            && self.reporters.values().all(Reporter::is_quiet)
    }

    fn tell(&mut self, backend: &str, event: OrderEvent) {
        if let Some((name, outgoing)) = self.backends.iter_mut().find(|(name, _)| **name == backend) {
            outgoing.waiting.push_back(event.clone());
            self.told.push((name, event));
        }
    }

    /// An adapter that lost its place tells again what it told.
    fn repeat(&mut self, random: &mut Random) -> Option<String> {
        let (name, event) = random.pick(&self.told).cloned()?;
        if let Some(outgoing) = self.backends.get_mut(name) {
            outgoing.waiting.push_back(event.clone());
        }
        Some(format!("{name} tells again: {} of {}", event.kind(), event.order()))
    }

    /// A source's process is replaced: it claims anew and repeats everything.
    fn restart(&mut self, random: &mut Random) -> String {
        let names: Vec<&'static str> = self.reporters.keys().copied().collect();
        let name = names[random.below(names.len())];
        self.replace(name);
        format!("{name} is restarted")
    }

    fn replace(&mut self, name: &'static str) {
        let encoding: Encoding = self.profile.encoding;
        if let Some(reporter) = self.reporters.get_mut(name) {
            reporter.writer = Writer::new(Subject::Stock(source(name)), encoding);
            reporter.snapshot = None;
        }
    }

    /// Restored from a backup: documents without effect are gone, and what was counted since is not counted any more.
    fn restore(&mut self, random: &mut Random) -> Option<String> {
        if !self.profile.restores {
            return None;
        }
        if random.chance(50) {
            self.backup = self.documents.clone();
            return Some("the ERP is backed up".to_owned());
        }
        let backup = self.backup.clone();
        let shipped =
            |document: &Document| document.lines.iter().flat_map(|it| &it.parts).any(|it| it.shipped > 0);
        self.documents.retain(|order, document| backup.contains_key(order) || shipped(document));
        for (order, document) in &mut self.documents {
            if document.cancelled {
                continue;
            }
            let before = backup.get(order);
            document.position = before.and_then(|before| before.position);
            for (at, line) in document.lines.iter_mut().enumerate() {
                for (p, part) in line.parts.iter_mut().enumerate() {
                    let then = before
                        .and_then(|before| before.lines.get(at)?.parts.get(p))
                        .map_or(0, |it| it.counted);
                    part.counted = part.counted.min(then).max(part.shipped);
                }
            }
        }
        [BY_NAME, BY_POSITION].into_iter().for_each(|name| self.replace(name));
        Some("the ERP is restored from its backup".to_owned())
    }
}

impl Erp {
    pub(crate) fn has_document(&self, order: &OrderId) -> bool {
        self.documents.get(order).is_some_and(|document| !document.cancelled)
    }

    /// Dispatches that it has not read.
    pub(crate) fn has_waiting(&self, broker: &Broker) -> bool {
        self.read < broker.dispatches.len()
    }

    /// At the end: everything is taken, what the shelves give is shipped, the rest is cancelled, all is told.
    pub(crate) fn finish(&mut self, broker: &mut Broker, promises: &OrdersReader, random: &mut Random) {
        while self.has_waiting(broker) {
            self.take_dispatch(broker, promises, random);
        }
        let open = self.documents.iter().filter(|(_, it)| !it.cancelled && !it.finished);
        for order in open.map(|(order, _)| *order).collect::<Vec<OrderId>>() {
            self.ship_order(order, true, random);
            self.cancel_rest(order);
            self.count_order(order, true, random);
        }
        let is_open = |order: &OrderId| promises.order(order).is_some_and(|it| !is_closed(it.state));
        self.counted_from.retain(|order, _| is_open(order));
        while !self.backends.values().all(|it| it.waiting.is_empty() && it.in_flight.is_empty()) {
            self.send_events(broker, random);
        }
    }
}
