//! The one writer of a subject, as nodes, adapters and operators have it: it claims, numbers its messages, expects the
//! last sequence, and after silence reads what the broker has before it writes again.

use pannier_protocol::change::Claim;
use pannier_protocol::codec::encode_envelope;
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    Change, Encoding, Envelope, Epoch, Incarnation, MarkId, SourceId, SourceSequence, StreamSequence,
    Timestamp,
};

use super::broker::{Broker, Name, Publish, Reply};
use super::random::Random;

/// The ledger's life.
pub(crate) fn incarnation() -> Incarnation {
    Incarnation::new("7f3a").expect("an incarnation")
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stored,
    /// It was handed over and nobody knows; [`Writer::settle`] asks.
    Unknown,
    /// It is not there. It may still be on its way, and what is written next expects the same last sequence: the
    /// broker takes one of the two.
    Lost,
}

#[derive(Debug)]
pub(crate) struct Writer {
    subject: Subject,
    source: SourceId,
    encoding: Encoding,
    /// Place of its claim; `None`: to be claimed.
    epoch: Option<u64>,
    expected: u64,
    sequence: u64,
    /// The payload of the message at hand, whose hash a snapshot needs.
    pub(crate) payload: Vec<u8>,
    unsettled: Option<Name>,
    /// The source's own coordinate; never falls.
    position: u64,
}

impl Writer {
    pub(crate) fn new(subject: Subject, encoding: Encoding) -> Self {
        let operator = || SourceId::new("operator").expect("a source");
        Self {
            source: subject.source().cloned().unwrap_or_else(operator),
            subject,
            encoding,
            epoch: None,
            expected: 0,
            sequence: 0,
            payload: Vec::new(),
            unsettled: None,
            position: 0,
        }
    }

    pub(crate) fn is_claimed(&self) -> bool {
        self.epoch.is_some()
    }

    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled.is_some()
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Takes the subject over; what another process has on its way stands before the claim or nowhere.
    pub(crate) fn claim(&mut self, broker: &mut Broker, random: &mut Random) -> bool {
        let instance = random.between(1, i64::MAX - 1).unsigned_abs();
        let name = Name { epoch: 0, sequence: 0, instance };
        let mark = MarkId::new(&format!("sim-{instance}")).expect("a mark");
        let claim = Change::Claim(Claim { instance: mark });
        self.expected = broker.last_of(&self.subject).map_or(0, |last| last.sequence.0);
        let reply = self.hand_over(broker, random, name, None, vec![claim]);
        let last = broker.last_of(&self.subject).filter(|last| last.name == name);
        let stored = match (reply, last) {
            (Reply::Stored(sequence), _) => Some(sequence),
            // It reads what the broker has.
            (_, Some(last)) => Some(last.sequence.0),
            _ => None,
        };
        self.unsettled = None;
        if let Some(sequence) = stored {
            (self.epoch, self.expected, self.sequence) = (Some(sequence), sequence, 0);
            // Of a claim that was doubled the later one counts.
            let last = broker.last_of(&self.subject).map_or(sequence, |last| last.sequence.0);
            (self.epoch, self.expected) = (Some(last), last);
        }
        stored.is_some()
    }

    /// One message. The subject must be claimed and nothing unsettled.
    pub(crate) fn write(&mut self, broker: &mut Broker, random: &mut Random, changes: Vec<Change>) -> Fate {
        let Some(epoch) = self.epoch else { return Fate::Lost };
        let name = Name { epoch, sequence: self.sequence + 1, instance: 0 };
        let claimed = Epoch { incarnation: incarnation(), claim: StreamSequence(epoch) };
        match self.hand_over(broker, random, name, Some(claimed), changes) {
            Reply::Stored(sequence) => {
                (self.expected, self.sequence) = (sequence, name.sequence);
                Fate::Stored
            }
            Reply::Refused | Reply::Silence => {
                self.unsettled = Some(name);
                Fate::Unknown
            }
        }
    }

    fn hand_over(
        &mut self,
        broker: &mut Broker,
        random: &mut Random,
        name: Name,
        epoch: Option<Epoch>,
        changes: Vec<Change>,
    ) -> Reply {
        self.position = self.position.max(broker.now.unsigned_abs());
        // Publishers' clocks are a little off.
        let skew = if random.chance(10) { random.between(-3_000, 3_000) } else { 0 };
        let sent_at = Timestamp::from_millis(broker.now + skew);
        let sequence = SourceSequence(name.sequence);
        let envelope = Envelope::new(self.source.clone(), epoch, sequence, self.position, sent_at, changes);
        envelope.check(&self.subject).expect("the simulation writes what the ledger takes");
        let payload = encode_envelope(self.encoding, &envelope).expect("an envelope is encodable");
        self.payload.clone_from(&payload);
        let (subject, expected) = (self.subject.clone(), self.expected);
        broker.publish(random, Publish { subject, expected, payload, name })
    }

    /// Reads the last message of the subject after silence. What is not its own ends the claim.
    pub(crate) fn settle(&mut self, broker: &Broker) -> Fate {
        let Some(name) = self.unsettled.take() else { return Fate::Stored };
        match broker.last_of(&self.subject) {
            Some(last) if last.name == name => {
                (self.expected, self.sequence) = (last.sequence.0, name.sequence);
                Fate::Stored
            }
            _ => {
                self.epoch = None;
                Fate::Lost
            }
        }
    }
}
