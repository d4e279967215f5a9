//! Random streams of a source that always knows the truth, over a network that loses, repeats, delays and
//! forges, against two things that are easy to say:
//!
//! - a chain that is loaded and not suspect has exactly the rows that the source had when it sent the last
//!   message taken in (so nothing was lost, applied twice, or applied from a fenced writer);
//! - a chain is suspect exactly since something went wrong that the last snapshot, begun after it, has not healed.

use std::collections::{BTreeMap, HashMap};

use pannier_protocol::change::Table;
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::script::Stream;
use super::table::Key;
use crate::entry::{Effect, ReviewKind};
use crate::gate::GateMode;

type Truth = BTreeMap<Key, i64>;

/// What the source does, or what happens to it.
#[derive(Debug, Clone)]
enum Step {
    Live(Vec<Word>, Fate),
    UnitBegin(Fate),
    UnitPart(Vec<Word>, Fate),
    UnitCommit(Fate),
    SnapshotBegin(Fate),
    SnapshotPart(Fate),
    SnapshotEnd(Fate),
    Poison,
    /// Another process takes over, and begins with a snapshot.
    Takeover,
    /// A message of some time ago arrives, again or at last.
    Late(usize),
    /// A message arrives with the number of another and its own content.
    Forged(usize),
    /// The process before goes on writing.
    Zombie(Vec<Word>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Arrives,
    Twice,
    Lost,
}

/// Item, what happens to it, how much.
type Word = (u8, u8, u8);

fn text(words: &[Word]) -> String {
    let word = |(item, kind, quantity): &Word| match kind {
        0 => format!(" I{item}-"),
        1..=4 => format!(" I{item}={quantity}"),
        _ => format!(" I{item}+{quantity}"),
    };
    words.iter().map(word).collect()
}

fn tell(truth: &mut Truth, words: &[Word]) {
    for (item, kind, quantity) in words {
        let key = (Table::Stock, format!("I{item}"), "DAL".to_owned());
        let quantity = i64::from(*quantity) * 1_000_000;
        match kind {
            0 => drop(truth.remove(&key)),
            1..=4 => drop(truth.insert(key, quantity)),
            _ => truth.get_mut(&key).into_iter().for_each(|on_hand| *on_hand += quantity),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Rows,
    UnitBegin(String),
    UnitPart(String),
    UnitCommit(String),
    SnapshotBegin(String),
    SnapshotPart(String),
    SnapshotEnd(String),
    Poison,
}

struct Sent {
    epoch: usize,
    sequence: u64,
    kind: Kind,
    payload: Vec<u8>,
    /// What the source had when it had sent this.
    truth: Truth,
}

/// The source, its present process, and everything it ever sent.
struct World {
    stream: Stream,
    truth: Truth,
    epoch: usize,
    sequence: u64,
    ids: u32,
    unit: Option<(String, Vec<Word>)>,
    /// Id, and what is still to be sent of it.
    snapshot: Option<(String, Vec<String>)>,
    sent: Vec<Sent>,
    model: Model,
}

/// What a chain should think of itself.
#[derive(Debug, Default)]
struct Model {
    claimed: usize,
    epoch: usize,
    last: u64,
    /// By sequence of this epoch, hashes of the payloads taken in.
    taken: HashMap<u64, u64>,
    suspect: bool,
    loaded: bool,
    unit: Option<String>,
    snapshot: Option<String>,
    truth: Truth,
}

impl Model {
    fn doubt(&mut self) {
        self.suspect = true;
        (self.unit, self.snapshot) = (None, None);
    }

    fn claim(&mut self, epoch: usize) {
        self.claimed = epoch;
        if self.epoch > 0 {
            self.doubt();
        }
    }

    fn deliver(&mut self, sent: &Sent) {
        let begins = matches!(sent.kind, Kind::SnapshotBegin(_));
        if sent.epoch != self.claimed || (sent.epoch != self.epoch && self.epoch > 0 && !begins) {
            return;
        }
        if sent.epoch != self.epoch {
            if self.epoch > 0 {
                self.doubt();
            }
            self.loaded |= !begins;
            (self.epoch, self.last) = (sent.epoch, 0);
            self.taken.clear();
        }
        if sent.sequence <= self.last {
            if self.taken.get(&sent.sequence).is_some_and(|taken| *taken != xxh3_64(&sent.payload)) {
                self.doubt();
            }
            return;
        }
        if sent.sequence > self.last + 1 {
            self.doubt();
        }
        self.last = sent.sequence;
        self.taken.insert(sent.sequence, xxh3_64(&sent.payload));
        self.truth = sent.truth.clone();
        let stray = |open: &Option<String>, id: &String| open.as_ref() != Some(id);
        match &sent.kind {
            Kind::Rows => {}
            Kind::Poison => self.doubt(),
            Kind::UnitBegin(id) => self.unit = Some(id.clone()),
            Kind::SnapshotBegin(id) => self.snapshot = Some(id.clone()),
            Kind::UnitPart(id) if stray(&self.unit, id) => self.doubt_if_clear(),
            // What it says came after the begin of whatever snapshot is open.
            Kind::UnitCommit(id) if stray(&self.unit, id) => self.doubt(),
            Kind::UnitPart(_) => {}
            Kind::UnitCommit(_) => self.unit = None,
            Kind::SnapshotPart(id) | Kind::SnapshotEnd(id) if stray(&self.snapshot, id) => {
                self.doubt_if_clear();
            }
            Kind::SnapshotPart(_) => {}
            Kind::SnapshotEnd(_) => {
                (self.snapshot, self.suspect, self.loaded) = (None, false, true);
            }
        }
    }

    /// The rest of what was dropped says nothing new about a chain that is suspect already.
    fn doubt_if_clear(&mut self) {
        if !self.suspect {
            self.doubt();
        }
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            stream: Stream::new(GateMode::On),
            truth: Truth::new(),
            epoch: 0,
            sequence: 0,
            ids: 0,
            unit: None,
            snapshot: None,
            sent: Vec::new(),
            model: Model::default(),
        };
        world.claim();
        world
    }

    fn claim(&mut self) {
        (self.epoch, self.sequence) = (self.epoch + 1, 0);
        (self.unit, self.snapshot) = (None, None);
        self.stream.send("claim");
        self.model.claim(self.epoch);
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("m{}", self.ids)
    }

    /// The source sends `words` as its next message.
    fn send(&mut self, kind: Kind, words: &str, fate: Fate) {
        self.sequence += 1;
        let payload = self.stream.compose(&format!("{} {words}", self.sequence));
        let (epoch, sequence, truth) = (self.epoch, self.sequence, self.truth.clone());
        self.sent.push(Sent { epoch, sequence, kind, payload, truth });
        let at = self.sent.len() - 1;
        let times = match fate {
            Fate::Arrives => 1,
            Fate::Twice => 2,
            Fate::Lost => 0,
        };
        (0..times).for_each(|_| self.deliver(at));
    }

    fn deliver(&mut self, at: usize) {
        let sent = &self.sent[at];
        let out = self.stream.deliver(&sent.payload);
        self.model.deliver(sent);
        let parked = out
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Review(review) if review.kind == ReviewKind::Snapshot));
        if let (true, Kind::SnapshotEnd(id)) = (parked, &sent.kind) {
            assert!(!out.swapped, "what is parked is not in force");
            assert!(self.stream.approve(&id.clone()).swapped, "what is parked can be approved");
        }
    }

    fn begin_snapshot(&mut self, fate: Fate) {
        let id = self.id();
        let row = |((_, item, _), quantity): (&Key, &i64)| format!(" {item}={}", quantity / 1_000_000);
        self.snapshot = Some((id.clone(), self.truth.iter().map(row).collect()));
        self.send(Kind::SnapshotBegin(id.clone()), &format!("begin:{id}"), fate);
    }

    fn send_part(&mut self, rows_count: usize, fate: Fate) {
        let Some((id, rows)) = &mut self.snapshot else { return };
        let part: String = rows.drain(..rows_count.min(rows.len())).collect();
        let (kind, words) = (Kind::SnapshotPart(id.clone()), format!("part:{id}{part}"));
        self.send(kind, &words, fate);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Live(words, fate) => {
                let told = self.existing(words);
                tell(&mut self.truth, &told);
                self.send(Kind::Rows, &text(&told), *fate);
            }
            Step::UnitBegin(fate) => {
                let id = self.id();
                self.unit = Some((id.clone(), Vec::new()));
                self.send(Kind::UnitBegin(id.clone()), &format!("unit:{id}"), *fate);
            }
            Step::UnitPart(words, fate) => {
                // A unit may not rely on what others add meanwhile: it says how things are.
                let words: Vec<Word> = words.iter().map(|(item, kind, q)| (*item, *kind % 5, *q)).collect();
                let Some((id, kept)) = &mut self.unit else { return };
                kept.extend(&words);
                let (kind, line) = (Kind::UnitPart(id.clone()), format!("part:{id}{}", text(&words)));
                self.send(kind, &line, *fate);
            }
            Step::UnitCommit(fate) => {
                let Some((id, words)) = self.unit.take() else { return };
                tell(&mut self.truth, &words);
                self.send(Kind::UnitCommit(id.clone()), &format!("commit:{id}"), *fate);
            }
            Step::SnapshotBegin(fate) => self.begin_snapshot(*fate),
            Step::SnapshotPart(fate) => self.send_part(2, *fate),
            Step::SnapshotEnd(fate) => {
                self.send_part(usize::MAX, *fate);
                let Some((id, _)) = self.snapshot.take() else { return };
                self.send(Kind::SnapshotEnd(id.clone()), &format!("end:{id}"), Fate::Arrives);
            }
            Step::Poison => self.send(Kind::Poison, "poison", Fate::Arrives),
            Step::Takeover => {
                self.claim();
                self.begin_snapshot(Fate::Arrives);
            }
            Step::Late(back) => {
                if let Some(at) = self.sent.len().checked_sub(back + 1) {
                    self.deliver(at);
                }
            }
            Step::Forged(back) => self.forge(*back),
            Step::Zombie(words) => {
                let line = format!("e{}:{} {}", self.epoch - 1, self.sequence + 1, text(words));
                if self.epoch > 1 {
                    self.stream.send(&line);
                }
            }
        }
    }

    /// Only a number that was taken in can be seen to be used twice.
    fn forge(&mut self, back: usize) {
        let Some(sequence) = self.model.last.checked_sub(back as u64).filter(|sequence| *sequence > 0) else {
            return;
        };
        if self.model.epoch == self.epoch {
            let payload = self.stream.compose(&format!("{sequence} Z=99"));
            let forged = Sent { epoch: self.epoch, sequence, kind: Kind::Rows, payload, truth: Truth::new() };
            self.stream.deliver(&forged.payload);
            self.model.deliver(&forged);
        }
    }

    /// The words less what would add to nothing: the source knows what it has.
    fn existing(&self, words: &[Word]) -> Vec<Word> {
        let mut truth = self.truth.clone();
        let mut told = Vec::new();
        for word in words {
            let key = (Table::Stock, format!("I{}", word.0), "DAL".to_owned());
            if word.1 <= 4 || truth.contains_key(&key) {
                tell(&mut truth, std::slice::from_ref(word));
                told.push(*word);
            }
        }
        told
    }

    fn check(&self, step: &Step) {
        let state = self.stream.chain.status().load();
        let model = &self.model;
        assert_eq!((state.suspect, state.loaded), (model.suspect, model.loaded), "after {step:?}: {model:?}");
        assert_eq!(state.sequence.0, model.last, "after {step:?}: {model:?}");
        if model.loaded && !model.suspect {
            assert_eq!(self.stream.chain.rows().quantities(), model.truth, "after {step:?}: {model:?}");
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![12 => Just(Fate::Arrives), 2 => Just(Fate::Twice), 1 => Just(Fate::Lost)]
}

fn words() -> impl Strategy<Value = Vec<Word>> {
    prop::collection::vec((0..8_u8, 0..10_u8, 1..50_u8), 1..4)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (words(), fate()).prop_map(|(words, fate)| Step::Live(words, fate)),
        2 => fate().prop_map(Step::UnitBegin),
        3 => (words(), fate()).prop_map(|(words, fate)| Step::UnitPart(words, fate)),
        2 => fate().prop_map(Step::UnitCommit),
        3 => fate().prop_map(Step::SnapshotBegin),
        3 => fate().prop_map(Step::SnapshotPart),
        4 => fate().prop_map(Step::SnapshotEnd),
        1 => Just(Step::Poison),
        1 => Just(Step::Takeover),
        2 => (0..6_usize).prop_map(Step::Late),
        1 => (0..6_usize).prop_map(Step::Forged),
        1 => words().prop_map(Step::Zombie),
    ]
}

proptest! {
    #[test]
    fn a_chain_is_right_or_knows_that_it_may_not_be(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.check(step);
        }
        // Whatever happened, one whole snapshot heals it.
        world.begin_snapshot(Fate::Arrives);
        let end = Step::SnapshotEnd(Fate::Arrives);
        world.step(&end);
        if world.model.epoch == world.epoch {
            prop_assert!(!world.model.suspect && world.model.loaded);
        }
        world.check(&end);
    }
}
