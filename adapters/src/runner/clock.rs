//! The only clock of the adapters, and how far it is from the broker's.
//!
//! Nodes tell the age of an answer in broker time. A source's instants are those of a machine, whose clock may
//! be minutes off, and then everything that it says would look that much fresher, or older, than it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use pannier_protocol::Timestamp;

/// Now, in ms since 1970, by the machine.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub(crate) fn now() -> Timestamp {
    at(SystemTime::now())
}

/// A file's time of change, say.
pub(crate) fn at(time: SystemTime) -> Timestamp {
    let millis = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    Timestamp::from_millis(millis)
}

/// The broker's time less the machine's, as last measured.
#[derive(Debug, Default)]
pub(super) struct BrokerClock {
    offset_millis: AtomicI64,
}

impl BrokerClock {
    pub(super) fn set(&self, offset_millis: i64) {
        self.offset_millis.store(offset_millis, Ordering::Relaxed);
    }

    /// An instant that was read from a clock at `now`, both of the machine's time, in the broker's. What is later
    /// than now was read from a clock that is ahead: nothing can have been read to its end in the future.
    pub(super) fn broker_time(&self, at: Timestamp, now: Timestamp) -> Timestamp {
        at.min(now).plus_millis(self.offset_millis.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_become_the_brokers() {
        let now = Timestamp::from_millis(100_000);
        for (at, offset, want) in [
            (90_000, 0, 90_000),
            (90_000, -300_000, -210_000),
            (90_000, 5_000, 95_000),
            (100_001, 0, 100_000),
            (7_200_000, 5_000, 105_000),
        ] {
            let clock = BrokerClock::default();
            clock.set(offset);
            let got = clock.broker_time(Timestamp::from_millis(at), now);
            assert_eq!(got.millis(), want, "{at} {offset}");
        }
    }
}
