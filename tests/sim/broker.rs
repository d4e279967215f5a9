//! The broker: one stream in total order, dispatches that are created once, and a network that loses, delays and
//! doubles. What it answers is what JetStream answers; what it does not answer may have been stored all the same.

use std::collections::BTreeMap;

use pannier_protocol::StreamSequence;
use pannier_protocol::Timestamp;
use pannier_protocol::subject::Subject;

use super::random::Random;

/// A message as the stream holds it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) subject: Subject,
    pub(crate) sequence: StreamSequence,
    pub(crate) time: Timestamp,
    pub(crate) payload: Vec<u8>,
    /// The writer's own name of it (its claim and number), which it reads back after silence.
    pub(crate) name: Name,
}

/// A claim's place and the number under it; a claim itself has neither, and is known by its drawn instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) instance: u64,
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(crate) struct Publish {
    pub(crate) subject: Subject,
    /// What the subject's last message must be; 0: none.
    pub(crate) expected: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) name: Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Stored(u64),
    /// The subject's last message is another one.
    Refused,
    /// Nobody knows.
    Silence,
}

/// How often the network fails, in percent of messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) lost: usize,
    pub(crate) ack_lost: usize,
    pub(crate) late: usize,
    pub(crate) doubled: usize,
}

impl Faults {
    pub(crate) const NONE: Self = Self { lost: 0, ack_lost: 0, late: 0, doubled: 0 };
}

pub(crate) struct Broker {
    pub(crate) faults: Faults,
    /// True time, and how far the leader's clock is off.
    pub(crate) now: i64,
    pub(crate) offset: i64,
    stream: Vec<Stored>,
    last: BTreeMap<Subject, usize>,
    /// Published while a connection was down; each is delivered at its time, if it still may be.
    late: Vec<(i64, Publish)>,
    /// PNA_DISPATCH and PNA_REVIEW by subject: create-only.
    created: BTreeMap<String, String>,
    /// In the order in which they were created.
    pub(crate) dispatches: Vec<String>,
}

impl Broker {
    pub(crate) fn new(now: i64) -> Self {
        Self {
            faults: Faults::NONE,
            now,
            offset: 0,
            stream: Vec::new(),
            last: BTreeMap::new(),
            late: Vec::new(),
            created: BTreeMap::new(),
            dispatches: Vec::new(),
        }
    }

    pub(crate) fn stream(&self) -> &[Stored] {
        &self.stream
    }

    /// By the leader's clock.
    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now + self.offset)
    }

    /// The last message of a subject.
    pub(crate) fn last_of(&self, subject: &Subject) -> Option<&Stored> {
        self.last.get(subject).and_then(|at| self.stream.get(*at))
    }

    pub(crate) fn publish(&mut self, random: &mut Random, publish: Publish) -> Reply {
        let Faults { lost, ack_lost, late, doubled } = self.faults;
        let fine = 100 - lost - ack_lost - late - doubled;
        match random.weighted(&[fine, lost, ack_lost, late, doubled]) {
            1 => Reply::Silence,
            2 => {
                self.store(publish);
                Reply::Silence
            }
            3 => {
                self.late.push((self.now + random.between(1, 60_000), publish));
                Reply::Silence
            }
            4 => {
                // A proxy that repeats what it sent and minds no expectation.
                let again = publish.clone();
                if let Reply::Stored(sequence) = self.store(publish) {
                    self.store(Publish { expected: sequence, ..again });
                }
                Reply::Silence
            }
            _ => self.store(publish),
        }
    }

    fn store(&mut self, publish: Publish) -> Reply {
        let last = self.last_of(&publish.subject).map_or(0, |stored| stored.sequence.0);
        if last != publish.expected {
            return Reply::Refused;
        }
        let sequence = StreamSequence(u64::try_from(self.stream.len()).unwrap_or(u64::MAX) + 1);
        let Publish { subject, payload, name, .. } = publish;
        self.last.insert(subject.clone(), self.stream.len());
        self.stream.push(Stored { subject, sequence, time: self.time(), payload, name });
        Reply::Stored(sequence.0)
    }

    /// What was held up arrives.
    pub(crate) fn deliver_late(&mut self) {
        let now = self.now;
        let (due, later): (Vec<_>, Vec<_>) = self.late.drain(..).partition(|(at, _)| *at <= now);
        self.late = later;
        for (_, publish) in due {
            self.store(publish);
        }
    }

    /// Create-only: false when the name is taken. The same name never means two things.
    pub(crate) fn create(&mut self, subject: String, content: String) -> Result<bool, String> {
        match self.created.get(&subject) {
            Some(there) if *there == content => Ok(false),
            Some(there) => Err(format!("{subject} was created as {there} and then as {content}")),
            None => {
                if subject.starts_with("dispatch.") {
                    self.dispatches.push(subject.clone());
                }
                self.created.insert(subject, content);
                Ok(true)
            }
        }
    }

    /// What a dispatch says, as JSON.
    pub(crate) fn content(&self, subject: &str) -> &str {
        self.created.get(subject).map_or("", String::as_str)
    }

    /// The kinds of the review entries, one each.
    pub(crate) fn reviews(&self) -> Vec<String> {
        let kind = |subject: &String| Some(subject.strip_prefix("review.")?.split('.').next()?.to_owned());
        self.created.keys().filter_map(kind).collect()
    }
}
