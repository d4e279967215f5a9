//! Operators: they look at what waits, decide, now and then too late or about the wrong order, and change rules.

use std::sync::Arc;

use pannier_core::ledger::orders::{OrderRecord, OrdersReader};
use pannier_protocol::api::OrderState;
use pannier_protocol::change::{Ownership, RuleVersionActivated};
use pannier_protocol::order::{
    ActKey, Backends, CatalogFloor, DecideOrder, Decision, DismissOrder, EditOrder, EditedFacts, Fingerprint,
    Handover, HandoverScope, OrderId, Redispatch, ReleaseOverlay, RouteRule, Routing, Verdict,
};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, MarkId, Partition, StreamSequence};

use super::broker::Broker;
use super::profile::Profile;
use super::random::Random;
use super::world::{BACKENDS, group, key, source, warehouse};
use super::writer::Writer;

/// What every decision is signed with.
struct Signature {
    by: MarkId,
    reason: String,
    keyed: Option<ActKey>,
}

pub(crate) struct Operators {
    writer: Writer,
    profile: Profile,
    /// How far the catalog is, which intake prices by.
    pub(crate) catalog: u64,
    keys: u32,
    decided: Vec<Decision>,
}

impl Operators {
    pub(crate) fn new(profile: Profile) -> Self {
        let writer = Writer::new(Subject::Control, profile.encoding);
        Self { writer, profile, catalog: 10, keys: 0, decided: Vec::new() }
    }

    /// Orders exist from here on, and go somewhere.
    pub(crate) fn begin(&mut self, broker: &mut Broker, random: &mut Random) {
        let rules = Change::RuleVersionActivated(RuleVersionActivated { version: 3 });
        self.write(broker, random, rules);
        self.route_all(broker, random);
    }

    pub(crate) fn act(&mut self, broker: &mut Broker, orders: &OrdersReader, random: &mut Random) -> String {
        let decision = match random.weighted(&[40, 15, 10, 8, 8, 6, 8, 4, 6]) {
            0 => self.verdict(orders, random),
            1 => self.redispatch(orders, random),
            2 => self.dismiss(orders, random),
            3 => Some(Decision::Routing(self.routing(random))),
            4 => Some(self.raise_floor(random)),
            5 => self.release(orders, random),
            6 => self.edit(orders, random),
            7 => Some(self.hand_over(orders, random)),
            // The same act once more: somebody did not see the answer.
            _ => random.pick(&self.decided).cloned(),
        };
        let Some(decision) = decision else { return "nothing to decide".into() };
        let said = format!("an operator decides: {}", decision.kind());
        self.decided.push(decision.clone());
        self.decide(broker, random, decision);
        said
    }

    fn decide(&mut self, broker: &mut Broker, random: &mut Random, decision: Decision) {
        self.write(broker, random, Change::Decision(Box::new(decision)));
    }

    /// What is lost is not repeated: whoever decides looks again.
    fn write(&mut self, broker: &mut Broker, random: &mut Random, change: Change) {
        self.writer.settle(broker);
        if self.writer.is_claimed() || self.writer.claim(broker, random) {
            self.writer.write(broker, random, vec![change]);
        }
    }

    fn sign(&mut self, with_key: bool) -> Signature {
        self.keys += 1;
        let fingerprint = Fingerprint::of(&self.keys);
        let keyed = with_key.then(|| ActKey {
            key: key(&format!("act-{}", self.keys)),
            fingerprint,
            traceparent: None,
        });
        Signature { by: MarkId::new("jane").expect("a name"), reason: "so it is".to_owned(), keyed }
    }

    pub(crate) fn approve(&mut self, broker: &mut Broker, random: &mut Random, order: OrderId) {
        let Signature { by, reason, keyed } = self.sign(true);
        let decided = DecideOrder { order, verdict: Verdict::Approve, by, reason, keyed };
        self.decide(broker, random, Decision::Order(decided));
    }

    pub(crate) fn send_again(
        &mut self,
        broker: &mut Broker,
        random: &mut Random,
        order: OrderId,
        closes: u32,
    ) {
        let Signature { by, reason, keyed } = self.sign(true);
        let again = Redispatch { order, closes, backend: None, by, reason, keyed };
        self.decide(broker, random, Decision::Redispatch(again));
    }

    /// Everything goes to the first backend.
    pub(crate) fn route_all(&mut self, broker: &mut Broker, random: &mut Random) {
        let Signature { by, reason, keyed } = self.sign(true);
        let routing = Routing { rules: vec![all_to(BACKENDS[0])], by, reason, keyed };
        self.decide(broker, random, Decision::Routing(routing));
    }

    fn raise_floor(&mut self, random: &mut Random) -> Decision {
        let position = StreamSequence(self.catalog + u64::from(random.chance(50)));
        self.catalog += 1;
        let subject = Subject::Catalog(Partition::Shared, source(BACKENDS[0]));
        let Signature { by, reason, keyed } = self.sign(random.chance(50));
        Decision::CatalogFloor(CatalogFloor { subject, position, by, reason, keyed })
    }

    /// Of orders alone, now and then by what was in force before the last one.
    fn hand_over(&mut self, orders: &OrdersReader, random: &mut Random) -> Decision {
        let [first, second] = BACKENDS.map(source);
        let (from, to) = if random.chance(50) { (first, second) } else { (second, first) };
        let known = orders.handover().map_or(0, |record| record.ownership.version);
        let Signature { by, reason, keyed } = self.sign(random.chance(50));
        Decision::Handover(Box::new(Handover {
            scope: HandoverScope::default(),
            from: from.clone(),
            to: to.clone(),
            backends: Some(Backends { from, to }),
            snapshots: Vec::new(),
            catalog: Vec::new(),
            replaces: known.saturating_sub(u64::from(random.chance(15))),
            ownership: Ownership { rules: Vec::new() },
            moved: Vec::new(),
            by,
            reason,
            keyed,
        }))
    }

    fn release(&mut self, orders: &OrdersReader, random: &mut Random) -> Option<Decision> {
        if !self.profile.releases {
            return None;
        }
        let waits = |order: &OrderRecord| order.is_open_on_stock() && order.acknowledged_at.is_some();
        let order = some_order(orders, random, waits)?;
        let line = random.chance(50).then(|| order.lines[0].line.clone());
        let Signature { by, reason, keyed } = self.sign(random.chance(50));
        let order = order.placed.order;
        Some(Decision::ReleaseOverlay(ReleaseOverlay { order, line, by, reason, keyed }))
    }

    fn verdict(&mut self, orders: &OrdersReader, random: &mut Random) -> Option<Decision> {
        let order = some_order(orders, random, |order| order.state == OrderState::Review)?;
        let verdict = if random.chance(65) { Verdict::Approve } else { Verdict::Reject };
        let Signature { by, reason, keyed } = self.sign(random.chance(50));
        Some(Decision::Order(DecideOrder { order: order.placed.order, verdict, by, reason, keyed }))
    }

    fn redispatch(&mut self, orders: &OrdersReader, random: &mut Random) -> Option<Decision> {
        // Of what was acknowledged, too: its backend lost it, somebody believes.
        let also = random.chance(40);
        let waits = |it: &OrderRecord| {
            it.state == OrderState::DeadLettered || (also && it.state == OrderState::Acknowledged)
        };
        let order = some_order(orders, random, waits)?;
        let closes = order.generation.saturating_sub(u32::from(random.chance(15))).max(1);
        // To another backend only what none has.
        let moves = order.state == OrderState::DeadLettered && random.chance(30);
        let backend = moves.then(|| source(BACKENDS[random.below(2)]));
        let Signature { by, reason, keyed } = self.sign(random.chance(50));
        let order = order.placed.order;
        Some(Decision::Redispatch(Redispatch { order, closes, backend, by, reason, keyed }))
    }

    fn edit(&mut self, orders: &OrdersReader, random: &mut Random) -> Option<Decision> {
        let waits = |it: &OrderRecord| matches!(it.state, OrderState::Review | OrderState::DeadLettered);
        let order = some_order(orders, random, waits)?;
        let closes = order.generation.saturating_sub(u32::from(random.chance(15)));
        let set = EditedFacts { ship_to_address: Some("the back door".to_owned()), ..EditedFacts::default() };
        let Signature { by, reason, keyed } = self.sign(random.chance(50));
        let (order, clear) = (order.placed.order, Vec::new());
        Some(Decision::Edit(EditOrder { order, closes, set, clear, by, reason, keyed }))
    }

    fn dismiss(&mut self, orders: &OrdersReader, random: &mut Random) -> Option<Decision> {
        let order = some_order(orders, random, |order| order.state == OrderState::DeadLettered)?;
        let Signature { by, reason, keyed } = self.sign(random.chance(50));
        Some(Decision::Dismiss(DismissOrder { order: order.placed.order, by, reason, keyed }))
    }

    fn routing(&mut self, random: &mut Random) -> Routing {
        let mut rules = vec![all_to(BACKENDS[random.below(2)])];
        let other = all_to(BACKENDS[random.below(2)]);
        match random.below(5) {
            0 => rules.clear(),
            1 => rules.insert(0, RouteRule { group: Some(group("east")), ..other }),
            2 => rules.insert(0, RouteRule { warehouse: Some(warehouse("CHI")), ..other }),
            3 => rules = vec![RouteRule { warehouse: Some(warehouse("DAL")), ..other }],
            _ => {}
        }
        let Signature { by, reason, keyed } = self.sign(random.chance(50));
        Routing { rules, by, reason, keyed }
    }
}

/// One that waits for a decision, mostly.
fn some_order(
    orders: &OrdersReader,
    random: &mut Random,
    waits: impl Fn(&OrderRecord) -> bool,
) -> Option<Arc<OrderRecord>> {
    let all = orders.after(None, usize::MAX, |_| true);
    let waiting: Vec<_> = all.iter().filter(|order| waits(order)).cloned().collect();
    let from = if random.chance(90) { &waiting } else { &all };
    random.pick(from).cloned()
}

fn all_to(backend: &str) -> RouteRule {
    RouteRule { company: None, group: None, territory: None, warehouse: None, backend: source(backend) }
}
