//! What a message is to its chain, by epoch, sequence and digest alone.
//!
//! ```text
//!            fenced            duplicate, fork or too old to tell        next    gap
//!   epoch < claimed   |  1 ... last-1023 ... last  |  last+1  |  last+2 ...
//! ```

use pannier_protocol::{MessageDigest, SourceSequence, StreamSequence};

use super::window::DigestWindow;

/// A chain's place: the epoch it lives under and the last message of it.
#[derive(Debug, Default)]
pub struct SequenceGate {
    /// The highest claim; what was written under a lower one is fenced.
    pub(super) claimed: StreamSequence,
    /// The claim that the last message was written under; 0: none was ever accepted.
    pub(super) epoch: StreamSequence,
    pub(super) last: SourceSequence,
    pub(super) window: DigestWindow,
}

/// What the gate looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    pub epoch: StreamSequence,
    /// From 1.
    pub sequence: SourceSequence,
    pub digest: MessageDigest,
    /// Whether the message may begin a new epoch on a chain that had another before.
    pub begins_epoch: bool,
}

/// The first three consume the sequence, the others leave the chain as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Next,
    /// To be applied, but `missing` messages before it never came.
    Gap {
        missing: u64,
    },
    /// The first of a new epoch on a chain that had another before; `missing` before it never came.
    NewEpoch {
        missing: u64,
    },
    Duplicate,
    /// Not after the last message, and not among those whose digest is remembered.
    DuplicateUnverified,
    /// Seen with another content.
    Fork,
    Fenced,
    /// Never claimed on this chain, or not begun as an epoch must be.
    UnknownEpoch,
}

impl SequenceGate {
    /// A writer takes over by a claim at this place in the stream. False for a claim that is not after the last.
    pub fn claim(&mut self, claim: StreamSequence) -> bool {
        let later = claim > self.claimed;
        self.claimed = self.claimed.max(claim);
        later
    }

    /// Takes the message in, or says why not.
    pub fn judge(&mut self, message: &Numbered) -> Verdict {
        let Numbered { epoch, sequence, digest, begins_epoch } = *message;
        if epoch < self.claimed {
            return Verdict::Fenced;
        }
        if epoch > self.claimed || epoch == StreamSequence(0) {
            return Verdict::UnknownEpoch;
        }
        if epoch != self.epoch {
            let seen = self.is_seen();
            if seen && !begins_epoch {
                return Verdict::UnknownEpoch;
            }
            self.window.clear();
            let missing = self.take(SourceSequence(0), message);
            return match (seen, missing) {
                (true, missing) => Verdict::NewEpoch { missing },
                (false, 0) => Verdict::Next,
                (false, missing) => Verdict::Gap { missing },
            };
        }
        if sequence <= self.last {
            return match self.window.get(self.last.0 - sequence.0) {
                Some(seen) if seen == digest => Verdict::Duplicate,
                Some(_) => Verdict::Fork,
                None => Verdict::DuplicateUnverified,
            };
        }
        match self.take(self.last, message) {
            0 => Verdict::Next,
            missing => Verdict::Gap { missing },
        }
    }

    fn take(&mut self, last: SourceSequence, message: &Numbered) -> u64 {
        let missing = message.sequence.0.saturating_sub(last.0).saturating_sub(1);
        self.window.push(missing, message.digest);
        (self.epoch, self.last) = (message.epoch, message.sequence);
        missing
    }

    /// Whether a message was ever accepted.
    pub fn is_seen(&self) -> bool {
        self.epoch != StreamSequence(0)
    }

    pub fn claimed(&self) -> StreamSequence {
        self.claimed
    }

    pub fn epoch(&self) -> StreamSequence {
        self.epoch
    }

    pub fn last(&self) -> SourceSequence {
        self.last
    }
}
