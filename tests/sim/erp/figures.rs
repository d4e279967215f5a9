//! What the two sources report: absolute figures, as the books are at that moment.

use std::collections::BTreeMap;

use pannier_protocol::change::{
    Cap, CapBasis, CapPast, Credit, OversellSet, Part as PartMark, Reflected, ReflectedLine, SafetySet,
    SnapshotBegin, SnapshotEnd, SnapshotScope, StockSet, SupplySet, Table,
};
use pannier_protocol::order::OrderId;
use pannier_protocol::{Change, Decimal, MarkId, SupplyReference};
use sha2::{Digest, Sha256};

use super::super::broker::Broker;
use super::super::random::Random;
use super::super::trace::hex;
use super::super::world::{
    ACCOUNTS, BY_NAME, BY_POSITION, CAPPED, CONTRACT, ITEMS, WAREHOUSES, account, contract, item, keeper,
    needs, units, uom, usd, warehouse,
};
use super::super::writer::Fate;
use super::documents::base;
use super::{Erp, Reporter};

/// A message of a snapshot.
#[derive(Debug, Clone)]
pub(super) enum Chunk {
    Begin,
    Rows,
    /// With the hash of the rows as they were published, and their count.
    End(String, u64),
}

const CAP_LIMIT: i64 = 12;
const CREDIT_LIMIT: i64 = 200;

impl Erp {
    /// One message of one source: a part of its snapshot where it has to repeat itself, else some figures.
    pub(super) fn report(&mut self, broker: &mut Broker, random: &mut Random) -> String {
        let name = if random.chance(50) { BY_NAME } else { BY_POSITION };
        let rows = self.some_rows(name, broker.now, random);
        self.send(name, rows, broker, random)
    }

    /// Everything that a source knows, in a message of its own; false where it has to be tried again.
    pub(crate) fn report_all(
        &mut self,
        name: &'static str,
        broker: &mut Broker,
        random: &mut Random,
    ) -> bool {
        let rows = self.rows(name, broker.now);
        let is_whole = |erp: &Self| erp.reporters.get(name).is_some_and(Reporter::is_quiet);
        let before = is_whole(self) && self.reporters.get(name).is_some_and(|it| it.writer.is_claimed());
        self.send(name, rows, broker, random);
        before && is_whole(self)
    }

    fn send(
        &mut self,
        name: &'static str,
        rows: Vec<Change>,
        broker: &mut Broker,
        random: &mut Random,
    ) -> String {
        let all = self.rows(name, broker.now);
        let Some(reporter) = self.reporters.get_mut(name) else { return String::new() };
        if reporter.writer.settle(broker) == Fate::Lost {
            reporter.snapshot = None;
        }
        if !reporter.writer.is_claimed() {
            if !reporter.writer.claim(broker, random) {
                return format!("{name} cannot claim");
            }
            reporter.snapshots += 1;
            reporter.snapshot = Some(vec![Chunk::Rows, Chunk::Begin]);
        }
        match reporter.snapshot.as_mut().and_then(Vec::pop) {
            Some(chunk) => reporter.send_chunk(chunk, all, broker, random),
            None => {
                reporter.writer.write(broker, random, rows);
            }
        }
        format!("{name} reports")
    }

    fn some_rows(&mut self, name: &str, now: i64, random: &mut Random) -> Vec<Change> {
        let mut rows = self.rows(name, now);
        let count = 1 + random.below(rows.len().min(6));
        while rows.len() > count {
            rows.remove(random.below(rows.len()));
        }
        for row in &mut rows {
            if let Change::StockSet(set) = row
                && name == BY_NAME
                && random.chance(20)
            {
                // An export that knows no names: what was named stays so.
                set.reflects = None;
            }
        }
        if self.profile.oversell && random.chance(10) {
            let toggled = ITEMS[random.below(ITEMS.len())].to_owned();
            if !self.oversell.remove(&toggled) {
                self.oversell.insert(toggled);
            }
        }
        rows
    }

    fn rows(&self, name: &str, now: i64) -> Vec<Change> {
        let mut rows = Vec::new();
        for place in WAREHOUSES.iter().filter(|it| keeper(it) == name) {
            rows.extend(ITEMS.iter().map(|it| Change::StockSet(self.figure(it, place))));
            let (item, warehouse, quantity) = (item("C"), warehouse(place), units(1));
            rows.push(Change::SafetySet(SafetySet { item, warehouse, uom: uom("EA"), quantity }));
        }
        if name == BY_NAME {
            let flag = |it: &&str| OversellSet { item: item(it), allowed: self.oversell.contains(*it) };
            rows.extend(ITEMS.iter().map(|it| Change::OversellSet(flag(it))));
            return rows;
        }
        let today = pannier_protocol::Zone::utc().date_at(pannier_protocol::Timestamp::from_millis(now));
        for ((name, at), (quantity, days)) in &self.supply {
            let days = i32::try_from(*days).unwrap_or(0);
            rows.push(Change::SupplySet(SupplySet {
                item: item(name),
                warehouse: warehouse(at),
                reference: SupplyReference::new(&format!("PO-{name}-{at}")).expect("a reference"),
                uom: uom("EA"),
                date: today.and_then(|today| today.plus_days(days)).expect("a day"),
                quantity: units(*quantity),
                received: Decimal::ZERO,
            }));
        }
        rows.push(Change::Credit(self.credit()));
        rows.push(Change::Cap(self.cap()));
        rows
    }

    /// One cell: what is on the shelf, what documents have claimed of it, and which.
    fn figure(&self, name: &str, at: &str) -> StockSet {
        let place = (name.to_owned(), at.to_owned());
        let (mut allocated, mut named) = (0, BTreeMap::new());
        for (order, document) in &self.documents {
            for line in &document.lines {
                let each = needs(&line.item, &line.uom).into_iter().find(|(item, _, _)| *item == name);
                let Some((_, n, d)) = each else { continue };
                for part in line.parts.iter().filter(|part| part.warehouse == at) {
                    allocated += base(part.counted, n, d) - base(part.shipped, n, d);
                    *named.entry((*order, line.name.clone())).or_insert(0) += base(part.counted, n, d);
                }
            }
        }
        let named = named.into_iter().map(|((order, line), quantity)| ReflectedLine {
            order: order.to_string(),
            line,
            quantity: Decimal::from_micros(quantity),
        });
        let reflects = match keeper(at) == BY_NAME {
            true => Reflected::Lines(named.collect()),
            false => Reflected::Position(self.stated_position()),
        };
        // Each source has its own idea of what on hand means, and says so.
        let net = at == "CHI";
        let shelf = self.shelves.get(&place).copied().unwrap_or(0);
        StockSet {
            item: item(name),
            warehouse: warehouse(at),
            uom: uom("EA"),
            class: None,
            on_hand: Decimal::from_micros(if net { shelf - allocated } else { shelf }),
            allocated: Decimal::from_micros(allocated),
            quarantine: Decimal::ZERO,
            on_hand_is_net: net,
            receipts: Vec::new(),
            reflects: Some(reflects),
        }
    }

    /// Up to where the figures contain everything that was told to be in them: after a restore not past the first order that
    /// is missing, though younger ones are there. A position cannot say more.
    fn stated_position(&self) -> u64 {
        let is_there = |order: &OrderId| self.documents.get(order).is_some_and(|it| it.position.is_some());
        let missing = self.counted_from.iter().filter(|(order, _)| !is_there(order));
        missing.map(|(_, position)| position - 1).min().unwrap_or(self.position)
    }

    /// What was shipped is owed; documents are named or not, as the profile has it.
    fn credit(&self) -> Credit {
        Credit {
            account: account(ACCOUNTS[0]),
            currency: usd(),
            limit: Some(units(CREDIT_LIMIT)),
            balance: units(self.credit_owed),
            blocked: false,
            reflects: self.profile.restores.then(|| Reflected::Lines(self.amounts(10))),
        }
    }

    fn cap(&self) -> Cap {
        Cap {
            contract: contract(CONTRACT),
            item: Some(item(CAPPED)),
            basis: CapBasis::Quantity,
            limit: units(CAP_LIMIT),
            consumed: Decimal::ZERO,
            past: CapPast::default(),
            reflects: self.profile.corrections.then(|| Reflected::Lines(self.amounts(1))),
        }
    }

    /// Of every line what is in the balance: all of it once it was counted.
    fn amounts(&self, each: i64) -> Vec<ReflectedLine> {
        let mut lines = Vec::new();
        for (order, document) in &self.documents {
            for line in &document.lines {
                let ordered: i64 = line.parts.iter().map(|part| part.counted).sum();
                let factor = if line.uom == "CS" && each == 1 { 6 } else { each };
                let quantity = units(ordered * factor);
                lines.push(ReflectedLine { order: order.to_string(), line: line.name.clone(), quantity });
            }
        }
        lines
    }

    /// Supply comes in. Its line is lowered before the shelf has it: for a while it is nowhere, and never twice.
    pub(super) fn receive(&mut self, broker: &mut Broker, random: &mut Random) -> Option<String> {
        let places: Vec<_> = self.supply.keys().cloned().collect();
        let place = places[random.below(places.len())].clone();
        if random.chance(40) {
            self.supply.insert(place.clone(), (random.between(0, 20), random.between(-1, 14)));
            return Some(format!("{place:?} is re-planned"));
        }
        let planned = self.supply.get(&place).map_or(0, |it| it.0);
        let received = random.between(0, planned);
        let reporter = self.reporters.get(BY_POSITION);
        if reporter.is_none_or(|it| !it.writer.is_claimed() || it.snapshot.is_some()) {
            return None;
        }
        self.supply.entry(place.clone()).and_modify(|it| it.0 -= received);
        let rows = self.rows(BY_POSITION, broker.now);
        self.send(BY_POSITION, rows, broker, random);
        *self.shelves.entry(place.clone()).or_default() += received * 1_000_000;
        Some(format!("{received} of {place:?} come in"))
    }

    /// Somebody counts a shelf.
    pub(super) fn correct(&mut self, random: &mut Random) -> Option<String> {
        if !self.profile.corrections {
            return None;
        }
        let places: Vec<_> = self.shelves.keys().cloned().collect();
        let place = places[random.below(places.len())].clone();
        let shelf = self.shelves.entry(place.clone()).or_default();
        let after = (*shelf + random.between(-8, 8) * 1_000_000).max(0);
        if after < *shelf {
            *self.taken_away.entry(place.clone()).or_default() += *shelf - after;
        }
        *shelf = after;
        Some(format!("{place:?} has {after} after all"))
    }
}

impl Reporter {
    pub(super) fn is_quiet(&self) -> bool {
        self.snapshot.is_none() && !self.writer.is_unsettled()
    }

    fn send_chunk(&mut self, chunk: Chunk, rows: Vec<Change>, broker: &mut Broker, random: &mut Random) {
        let id = MarkId::new(&format!("s{}", self.snapshots)).expect("a mark");
        match chunk {
            Chunk::Begin => {
                let scope = SnapshotScope { table: Table::All, warehouse: None, prices: None };
                let begin = SnapshotBegin { id, scope, cut: self.writer.position() };
                self.writer.write(broker, random, vec![Change::SnapshotBegin(begin)]);
            }
            Chunk::Rows => {
                let count = u64::try_from(rows.len()).unwrap_or(0);
                let part = [Change::Part(PartMark { of: id })].into_iter().chain(rows);
                self.writer.write(broker, random, part.collect());
                let mut hash = Sha256::new();
                hash.update(&self.writer.payload);
                self.snapshot = Some(vec![Chunk::End(hex(hash), count)]);
            }
            Chunk::End(hash, rows) => {
                self.writer.write(broker, random, vec![Change::SnapshotEnd(SnapshotEnd { id, rows, hash })]);
                self.snapshot = None;
            }
        }
    }
}
