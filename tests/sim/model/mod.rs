//! The naive model: what the ledger means, read off the requirements a second time and without any of the core's
//! machinery. It has no index, no queue of what is due, no table that is kept up to date: it keeps what was said, and
//! works out what is live, remembered, contained or short anew each time that it is asked.
//!
//! - `gate`: which messages count.
//! - `sources`: what the sources said of stock, supply, credit and caps.
//! - `orders`, `place`, `events`, `decisions`: the life of orders.
//! - `holds`, `keys`: what ends by itself.
//! - `stock`: what may be promised of a line, by the definition of ATP.
//! - `overlay`, `balances`: what is promised and in no figure yet.

mod balances;
mod decisions;
mod events;
mod gate;
mod holds;
mod keys;
mod orders;
mod overlay;
mod place;
mod sources;
mod stock;

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::codec::decode_envelope;
use pannier_protocol::order::{Command, Decision, EffectId, HoldId, OrderId, RouteRule};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Decimal, Encoding, Envelope, ItemId, Timestamp, WarehouseId};

pub(crate) use holds::{Hold, HoldState};
pub(crate) use keys::{Key, Outcome, Remembered};
pub(crate) use orders::{Line, Order, When};
pub(crate) use overlay::Take;

use super::broker::Stored;
use gate::Gate;
use sources::Sources;

/// Millionths.
pub(crate) type Micros = i128;

pub(crate) fn micros(decimal: Decimal) -> Micros {
    i128::from(decimal.micros())
}

/// What must be in the outbox, in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    Dispatch { create: bool, order: OrderId, generation: u32, backend: String, lines: Vec<(String, Micros)> },
    Alarm { kind: &'static str, about: String },
}

/// What is counted beside states and reasons.
#[derive(Debug)]
enum Seen {
    Dropped,
    PricedAgain,
    KeyAgain,
    OutOfHold,
    Forgotten,
    SentAgain,
    HandedOver,
    CalledBack,
    MovedOn,
}

pub(crate) struct Model {
    encoding: Encoding,
    gate: Gate,
    /// Ledger time.
    pub(crate) clock: i64,
    /// The entry's own stamp.
    stream_time: i64,
    position: u64,
    pub(crate) activated: bool,
    pub(crate) sources: Sources,
    pub(crate) routing: Vec<RouteRule>,
    floors: BTreeMap<String, u64>,
    /// Acts of operators by their keys, with when each is forgotten.
    acts: BTreeMap<String, i64>,
    /// The version of ownership that the last handover put in force.
    pub(super) handover: Option<u64>,
    /// Every order that was ever placed; of one id the last one stands.
    pub(crate) orders: Vec<Order>,
    pub(crate) holds: BTreeMap<HoldId, Hold>,
    pub(crate) keys: BTreeMap<Key, Remembered>,
    pub(crate) outbox: Vec<Wanted>,
    /// What the entries of the outbox are called; told by whoever sees the names.
    pub(crate) named: BTreeMap<EffectId, Wanted>,
    overcommitted: BTreeSet<(ItemId, WarehouseId)>,
    /// How often what happened: what a campaign never reaches it does not test.
    pub(crate) seen: BTreeMap<String, usize>,
}

impl Model {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            gate: Gate::default(),
            clock: i64::MIN,
            stream_time: 0,
            position: 0,
            activated: false,
            sources: Sources::default(),
            routing: Vec::new(),
            acts: BTreeMap::new(),
            handover: None,
            floors: BTreeMap::new(),
            orders: Vec::new(),
            holds: BTreeMap::new(),
            keys: BTreeMap::new(),
            outbox: Vec::new(),
            named: BTreeMap::new(),
            overcommitted: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    /// The next entry of the ledger; says what is in it.
    pub(crate) fn apply(&mut self, stored: &Stored) -> String {
        let envelope = decode_envelope(self.encoding, &stored.payload).expect("what was written can be read");
        let kinds: Vec<&str> = envelope.changes.iter().map(Change::kind).collect();
        self.apply_changes(stored, &envelope);
        kinds.join(" ")
    }

    fn apply_changes(&mut self, stored: &Stored, envelope: &Envelope) {
        if !self.activated && matches!(stored.subject, Subject::Order(_) | Subject::Event(_)) {
            return;
        }
        self.position = stored.sequence.0;
        self.stream_time = stored.time.millis();
        self.clock = self.clock.max(self.stream_time.min(envelope.sent_at.millis()));
        self.time_passes();
        if !self.gate.counts(stored, envelope) {
            return self.saw(Seen::Dropped);
        }
        let backend = stored.subject.source().cloned();
        let mut figures = false;
        for change in &envelope.changes {
            match (change, &backend) {
                (Change::Command(command), _) => self.command(command),
                (Change::Event(event), Some(backend)) => self.event(backend, event),
                (Change::Decision(decision), _) => self.decision(decision),
                (Change::RuleVersionActivated(activated), _) => self.activated |= activated.version >= 2,
                (other, Some(source)) if matches!(stored.subject, Subject::Stock(_)) => {
                    figures |= self.sources.state(source, other);
                }
                _ => {}
            }
        }
        if figures {
            self.reflect(true);
        }
    }

    /// What ended by now and is told or changes what orders are.
    fn time_passes(&mut self) {
        self.tell_old_overlays();
        self.shrink_orders();
        self.tell_overcommit();
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::PlaceOrder(place) => self.place_order(place),
            Command::CancelOrder(cancel) => self.cancel_order(cancel),
            Command::PlaceHold(place) => self.place_hold(place),
            Command::ChangeHold(change) => self.change_hold(change),
            Command::ReleaseHold(release) => self.release_hold(release),
            Command::EffectsDone(done) => done.effects.iter().for_each(|effect| self.effect_done(effect)),
        }
        self.tell_overcommit();
    }

    fn decision(&mut self, decision: &Decision) {
        if let Some(keyed) = decision.act().keyed {
            let key = keyed.key.to_string();
            if self.acts.get(&key).is_some_and(|until| self.clock < *until) {
                return;
            }
            self.acts.insert(key, self.clock + keys::KEPT_MS);
        }
        match decision {
            Decision::Edit(edit) => self.edit(edit),
            Decision::Order(decided) => self.decide(decided),
            Decision::Redispatch(again) => self.redispatch(again),
            Decision::Dismiss(dismiss) => self.dismiss(dismiss),
            Decision::ReleaseOverlay(release) => self.release_overlay(release),
            Decision::Routing(routing) => self.routing = routing.rules.clone(),
            Decision::CatalogFloor(floor) => {
                let known = self.floors.entry(floor.subject.to_string()).or_insert(0);
                *known = (*known).max(floor.position.0);
            }
            // Of what lookups read, and no verdict; and of a broker that lost entries, as none does here.
            Decision::Invalidate(_) | Decision::Recover(_) => {}
            Decision::Handover(handover) => self.hand_over(handover),
        }
        self.tell_overcommit();
    }

    fn effect_done(&mut self, effect: &EffectId) {
        let Some(wanted) = self.named.remove(effect) else { return };
        let Some(at) = self.outbox.iter().position(|there| *there == wanted) else { return };
        self.outbox.remove(at);
        if let Wanted::Dispatch { create: true, order, generation, .. } = wanted {
            self.handed_over(&order, generation);
        }
    }

    fn saw(&mut self, what: impl std::fmt::Debug) {
        *self.seen.entry(format!("{what:?}").to_lowercase()).or_default() += 1;
    }

    fn alarm(&mut self, kind: &'static str, about: impl ToString) {
        self.outbox.push(Wanted::Alarm { kind, about: about.to_string() });
    }

    /// Instants at which something ends, for whoever wants to be there a moment before.
    pub(crate) fn instants(&self) -> Vec<i64> {
        let holds = self.holds.values().filter(|hold| self.is_live(hold)).map(|hold| hold.expires);
        let keys = self.keys.values().map(|remembered| remembered.until);
        let orders = self.orders.iter().flat_map(|order| {
            let old = order.acknowledged_at.map(|at| at + overlay::AGE_MS_MAX);
            let duplicate = order.placed_at + place::DUPLICATE_MS;
            [old, order.shrinks_at, Some(duplicate)].into_iter().flatten()
        });
        let mut all: Vec<i64> = holds.chain(keys).chain(orders).filter(|at| *at > self.clock).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock)
    }
}
