//! One run: actors take turns as chance has it, the model and a core that is never behind look at every entry, and in the
//! end the faults stop and everything must come to rest.

use std::collections::BTreeMap;

use pannier_core::ledger::orders::OrdersReader;
use pannier_protocol::Timestamp;

use super::broker::{Broker, Faults};
use super::check;
use super::client::Clients;
use super::erp::Erp;
use super::model::Model;
use super::node::{Core, Node};
use super::operator::Operators;
use super::profile::Profile;
use super::random::Random;
use super::rest;
use super::shelves;
use super::trace::Trace;
use super::world::Intake;

/// 2026-11-23, noon.
const BEGIN_MS: i64 = 1_795_435_200_000;
/// Steps for which time stands still after a jump, so that something happens at that very instant.
const STILL_STEPS: usize = 4;

#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub seed: u64,
    pub steps: usize,
}

/// A run that held.
#[derive(Debug)]
pub struct Report {
    pub trace: Trace,
    pub entries: usize,
    /// How often things were seen, in words: what a seed never reaches it does not test.
    pub seen: BTreeMap<String, usize>,
}

/// A run that did not.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    pub what: String,
    pub trace: Trace,
}

pub(crate) struct Simulation {
    pub(crate) random: Random,
    pub(crate) profile: Profile,
    pub(crate) broker: Broker,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Clients,
    pub(crate) erp: Erp,
    pub(crate) operators: Operators,
    pub(crate) model: Model,
    /// Folds each entry as it is stored.
    pub(crate) witness: Core,
    /// Its digest after each entry.
    digests: Vec<u128>,
    still: usize,
    trace: Trace,
    seen: BTreeMap<String, usize>,
}

/// Runs one seed from the first entry to rest.
pub fn run(options: Options) -> Result<Report, Box<Failure>> {
    let mut simulation = Simulation::new(options.seed);
    let outcome = simulation.run(options.steps);
    let Simulation { trace, mut seen, broker, model, .. } = simulation;
    seen.extend(model.seen.into_iter().map(|(what, count)| (format!("judged {what}"), count)));
    match outcome {
        Ok(()) => Ok(Report { trace, entries: broker.stream().len(), seen }),
        Err(what) => Err(Box::new(Failure { seed: options.seed, what, trace })),
    }
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let profile = Profile::draw(&mut random);
        let nodes = (1..=profile.nodes).map(|at| Node::new(format!("n{at}"), profile));
        let mut trace = Trace::default();
        trace.note(format!("seed {seed}: {profile:?}"));
        Self {
            broker: Broker::new(BEGIN_MS),
            nodes: nodes.collect(),
            clients: Clients::default(),
            erp: Erp::new(profile, &mut random),
            operators: Operators::new(profile),
            model: Model::new(profile.encoding),
            witness: Core::new(profile.encoding),
            digests: Vec::new(),
            still: 0,
            trace,
            seen: BTreeMap::new(),
            random,
            profile,
        }
    }

    fn run(&mut self, steps: usize) -> Result<(), String> {
        self.operators.begin(&mut self.broker, &mut self.random);
        self.report_everything()?;
        self.broker.faults = self.profile.faults;
        for _ in 0..steps {
            self.pass_time();
            let said = self.step()?;
            self.note(&said);
            self.look()?;
        }
        self.broker.faults = Faults::NONE;
        rest::come_to_rest(self)
    }

    pub(crate) fn note(&mut self, said: &str) {
        let line = format!("{} {said}", Timestamp::from_millis(self.broker.now));
        self.trace.note(line);
    }

    /// Both sources, from the beginning to the end of a snapshot and a message after it.
    pub(crate) fn report_everything(&mut self) -> Result<(), String> {
        for name in [super::world::BY_NAME, super::world::BY_POSITION] {
            while !self.erp.report_all(name, &mut self.broker, &mut self.random) {
                self.look()?;
            }
            self.look()?;
        }
        Ok(())
    }

    /// Mostly a moment, now and then hours, or to where something ends: a millisecond before, there, or after.
    fn pass_time(&mut self) {
        if self.still > 0 {
            self.still -= 1;
            return;
        }
        let random = &mut self.random;
        if random.chance(self.profile.jumps) {
            // Mostly one that is near: a run in which everything is over at once meets nothing.
            let ahead = [1, 1, 1, 1, 1, 30, 30, 200, 900][random.below(9)] * 3_600_000;
            let deadlines = self.nodes.iter().flat_map(Node::deadlines);
            let instants = self.model.instants().into_iter().chain(deadlines);
            let ahead = self.broker.now + ahead;
            let near: Vec<i64> = instants.filter(|at| *at < ahead).collect();
            if let Some(instant) = random.pick(&near) {
                self.broker.offset = 0;
                self.broker.now = self.broker.now.max(instant + random.between(-1, 1));
                self.still = STILL_STEPS;
                return self.broker.deliver_late();
            }
        }
        let most = match random.weighted(&[80, 14, 4, 2]) {
            0 => 2_000,
            1 => 120_000,
            2 => 3_600_000,
            _ => 43_200_000,
        };
        self.broker.now += random.between(0, most);
        if random.chance(5) {
            // A new leader's clock.
            self.broker.offset = random.between(-4_000, 4_000);
        }
        self.broker.deliver_late();
    }

    fn step(&mut self) -> Result<String, String> {
        let orders = self.witness.ledger.reader().orders().clone();
        let at = self.random.below(self.nodes.len());
        let said = match self.random.weighted(&[32, 44, 22, 5]) {
            0 => self.ask(at, &orders),
            1 => self.node_step(at)?,
            2 => {
                let said = self.erp.act(&mut self.broker, &orders, &mut self.random);
                self.erp.send_events(&mut self.broker, &mut self.random);
                said
            }
            _ => self.operators.act(&mut self.broker, &orders, &mut self.random),
        };
        Ok(said)
    }

    fn ask(&mut self, at: usize, answers: &OrdersReader) -> String {
        let catalog = self.operators.catalog - self.random.below(2) as u64;
        // A moment ago, now and then.
        let known = answers.handover().map(|record| record.ownership.version);
        let handover = known.map(|version| version - u64::from(self.random.chance(5)));
        let intake = Intake { now: self.broker.now, catalog, mode: self.profile.mode, handover };
        let (said, command) = self.clients.ask(intake, answers, &self.profile, &mut self.random);
        // Sent twice at once, to two nodes.
        if self.random.chance(8) {
            let other = self.random.below(self.nodes.len());
            self.nodes[other].submit(command.clone());
        }
        self.nodes[at].submit(command);
        said
    }

    fn node_step(&mut self, at: usize) -> Result<String, String> {
        let Self { nodes, broker, random, digests, .. } = self;
        let node = &mut nodes[at];
        if random.chance(self.profile.crashes) {
            node.crash();
            return Ok(format!("{} crashes", node.name));
        }
        let count = if random.chance(50) { usize::MAX } else { random.below(20) };
        node.fold(broker, count, |name, at, digest| agrees(digests, name, at, digest))?;
        if random.chance(30) {
            node.publish_outbox(broker, random, true)?;
        }
        node.commit(broker, random);
        Ok(format!("{} folds and commits", node.name))
    }

    /// What every entry is held to.
    pub(crate) fn look(&mut self) -> Result<(), String> {
        while let Some(stored) = self.broker.stream().get(self.witness.folded()) {
            let effects = self.witness.apply(stored);
            let kinds = self.model.apply(stored);
            let digest = self.witness.ledger.digest();
            self.digests.push(digest);
            let line =
                format!("{} {} {} {digest:032x} {kinds}", stored.sequence, stored.subject, stored.time);
            self.trace.note(line);
            effects.iter().for_each(|effect| self.trace.note(format!("  {effect:?}")));
            let at = stored.sequence;
            check::against_model(&self.witness, &mut self.model)
                .map_err(|what| format!("at {at} ({}): {what}", stored.subject))?;
        }
        if !self.profile.may_oversell() {
            shelves::hold_what_is_promised(&self.witness, &self.model, &self.erp)?;
        }
        Ok(())
    }

    pub(crate) fn node_is_level(&mut self, at: usize) -> Result<(), String> {
        let digests = &self.digests;
        self.nodes[at].fold(&self.broker, usize::MAX, |name, at, digest| agrees(digests, name, at, digest))
    }

    pub(crate) fn count(&mut self, what: String) {
        *self.seen.entry(what).or_default() += 1;
    }
}

/// Every core has the same digest after the same entry.
fn agrees(digests: &[u128], name: &str, at: u64, digest: u128) -> Result<(), String> {
    let index = usize::try_from(at).unwrap_or(usize::MAX).saturating_sub(1);
    match digests.get(index) {
        Some(known) if *known != digest => {
            Err(format!("at {at} {name} has digest {digest:032x}, and the witness had {known:032x}"))
        }
        _ => Ok(()),
    }
}

/// Whether two runs of a seed wrote the same bytes.
pub fn twice(options: Options) -> Result<(), String> {
    let trace = |outcome: Result<Report, Box<Failure>>| match outcome {
        Ok(report) => report.trace,
        Err(failure) => failure.trace,
    };
    let (once, again) = (trace(run(options)), trace(run(options)));
    match once.hash() == again.hash() {
        true => Ok(()),
        false => Err(super::trace::first_difference(&once, &again).unwrap_or_default()),
    }
}
