//! A node: a core that folds the stream in its own time, the group commit in front of it, and the outbox behind it. A
//! crash takes everything but the name; a restart folds from genesis.

use std::collections::VecDeque;

use pannier_core::entry::{Effect, Entry};
use pannier_core::ledger::Ledger;
use pannier_core::ledger::orders::OutboxEntry;
use pannier_protocol::codec;
use pannier_protocol::order::{Command, EffectsDone};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding};

use super::broker::{Broker, Stored};
use super::profile::Profile;
use super::random::Random;
use super::world::source;
use super::writer::{Fate, Writer, incarnation};

/// Commands of one group.
const GROUP_MAX: usize = 4;

/// The fold, and how far it is.
pub(crate) struct Core {
    pub(crate) ledger: Ledger,
    encoding: Encoding,
}

impl Core {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self { ledger: Ledger::new(Default::default(), Default::default(), incarnation()), encoding }
    }

    pub(crate) fn folded(&self) -> usize {
        usize::try_from(self.ledger.reader().position().0).unwrap_or(usize::MAX)
    }

    pub(crate) fn apply(&mut self, stored: &Stored) -> Vec<Effect> {
        self.ledger.apply(&Entry {
            subject: stored.subject.clone(),
            stream_sequence: stored.sequence,
            stream_time: stored.time,
            encoding: Some(self.encoding),
            payload: &stored.payload,
        })
    }
}

pub(crate) struct Node {
    pub(crate) name: String,
    core: Core,
    writer: Writer,
    queue: VecDeque<Command>,
    profile: Profile,
}

impl Node {
    pub(crate) fn new(name: String, profile: Profile) -> Self {
        let writer = Writer::new(Subject::Order(source(&name)), profile.encoding);
        Self { core: Core::new(profile.encoding), writer, queue: VecDeque::new(), name, profile }
    }

    /// Everything that was not in the stream is gone; what was on its way may still get there.
    pub(crate) fn crash(&mut self) {
        *self = Self::new(self.name.clone(), self.profile);
    }

    /// Until when what waits may be judged.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = i64> {
        self.queue.iter().filter_map(|it| it.keyed_by()).map(|keyed| keyed.judge_before.millis())
    }

    pub(crate) fn submit(&mut self, command: Command) {
        self.queue.push_back(command);
    }

    /// Folds up to `count` entries; tells each digest to `seen`.
    pub(crate) fn fold(
        &mut self,
        broker: &Broker,
        count: usize,
        mut seen: impl FnMut(&str, u64, u128) -> Result<(), String>,
    ) -> Result<(), String> {
        let from = self.core.folded();
        for stored in broker.stream().iter().skip(from).take(count) {
            self.core.apply(stored);
            seen(&self.name, stored.sequence.0, self.core.ledger.digest())?;
        }
        Ok(())
    }

    pub(crate) fn is_caught_up(&self, broker: &Broker) -> bool {
        self.core.folded() == broker.stream().len()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.writer.is_unsettled()
    }

    /// One group at most is on its way. After silence the subject is claimed anew, under the sequence that the group
    /// expected: the broker has one of the two.
    pub(crate) fn commit(&mut self, broker: &mut Broker, random: &mut Random) {
        self.writer.settle(broker);
        if self.queue.is_empty() || (!self.writer.is_claimed() && !self.writer.claim(broker, random)) {
            return;
        }
        let now = broker.now;
        // What can only be judged expired was never handed over.
        self.queue.retain(|it| it.keyed_by().is_none_or(|keyed| now <= keyed.judge_before.millis()));
        let count = self.queue.len().min(1 + random.below(GROUP_MAX));
        let group: Vec<Command> = self.queue.drain(..count).collect();
        if !group.is_empty() {
            let changes = group.into_iter().map(|command| Change::Command(Box::new(command))).collect();
            let fate = self.writer.write(broker, random, changes);
            debug_assert_ne!(fate, Fate::Lost, "the subject is claimed");
        }
    }

    /// Publishes what its own fold wants published, create-only, and says so in the ledger. `lazy`: some of it, and
    /// perhaps without a word, as when it crashes between the two.
    pub(crate) fn publish_outbox(
        &mut self,
        broker: &mut Broker,
        random: &mut Random,
        lazy: bool,
    ) -> Result<(), String> {
        if !self.is_caught_up(broker) {
            return Ok(());
        }
        let mut effects = Vec::new();
        for (id, entry) in self.core.ledger.reader().orders().outbox() {
            if lazy && random.chance(30) {
                continue;
            }
            let (subject, content) = match &*entry {
                OutboxEntry::Dispatch(it) => {
                    let text = codec::encode(Encoding::Json, it).expect("a dispatch is encodable");
                    let subject = format!("dispatch.{}.{}.{}", it.backend, it.order, it.generation);
                    (subject, String::from_utf8(text).expect("JSON is text"))
                }
                OutboxEntry::Alarm(alarm) => {
                    (format!("review.{}.{id}", alarm.kind.as_str()), format!("{alarm:?}"))
                }
            };
            broker.create(subject, content)?;
            effects.push(id);
        }
        let dies = lazy && random.chance(10);
        if !effects.is_empty() && !dies {
            self.submit(Command::EffectsDone(EffectsDone { effects }));
        }
        Ok(())
    }
}
