//! The only place of the node that reads a clock.
//!
//! Ages and holds are told in broker time, because sources stamp in broker time and clocks of machines
//! disagree. A node that corrected its own clock by the stamps of what it applies would be as late as its
//! slowest delivery; so it asks the leader for the time with every look at the streams (`feed::watch`), and
//! takes the middle of question and answer for the moment at which the leader read its clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use pannier_protocol::Timestamp;

/// The node's estimate of broker time. Until the first measurement it is the machine's own clock.
#[derive(Debug)]
pub struct Clock {
    /// Broker time less the machine's, in milliseconds.
    offset_millis: AtomicI64,
}

/// A moment for measuring how long something takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Instant);

impl Moment {
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub fn now() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    #[cfg(test)]
    pub(crate) fn plus(self, by: Duration) -> Self {
        Self(self.0 + by)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self { offset_millis: AtomicI64::new(0) }
    }
}

impl Clock {
    /// Broker time, estimated.
    pub fn now(&self) -> Timestamp {
        Self::machine_now().plus_millis(self.offset_millis())
    }

    /// The machine's clock, uncorrected: what measurements are taken by.
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub fn machine_now() -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Takes in that the broker's clock showed `broker` somewhere between `asked` and `answered` (both of the
    /// machine's clock). An answer that took longer than a second says too little and is left out.
    pub fn measured(&self, asked: Timestamp, broker: Timestamp, answered: Timestamp) {
        let round_trip = answered.millis_since(asked);
        if answered < asked || round_trip > 1_000 {
            return;
        }
        let middle = asked.plus_millis(i64::try_from(round_trip / 2).unwrap_or(0));
        let offset = broker.millis().saturating_sub(middle.millis());
        self.offset_millis.store(offset, Ordering::Relaxed);
    }

    pub fn offset_millis(&self) -> i64 {
        self.offset_millis.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: i64, broker: i64, answered: i64, want: i64) {
        let clock = Clock::default();
        let at = Timestamp::from_millis;
        clock.measured(at(asked), at(broker), at(answered));
        assert_eq!(clock.offset_millis(), want, "{asked} {broker} {answered}");
    }

    #[test]
    fn the_offset_is_taken_from_the_middle_of_question_and_answer() {
        check(1_000, 1_010, 1_020, 0);
        check(1_000, 6_005, 1_010, 5_000);
        check(1_000, 500, 1_000, -500);
        // Too slow, or the machine's clock was set back meanwhile: nothing is learnt.
        check(1_000, 9_000, 2_001, 0);
        check(1_000, 9_000, 999, 0);
    }
}
