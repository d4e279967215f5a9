//! Leaves a source alone that fails in a row: for a moment, then one question finds out whether it is back.

use std::time::Duration;

use crate::clock::Moment;
use crate::limits::{ASK_FAILURES_MAX, ASK_OPEN_MAX, ASK_OPEN_MIN};

/// Of one source. Closed while few questions fail in a row.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    since: Moment,
    interval: Duration,
    /// The one question that may find the source back is under way.
    probing: bool,
}

impl Breaker {
    /// Whether a question may be asked; how it ended is to be told.
    pub(super) fn admits(&mut self, now: Moment) -> bool {
        let Some(open) = &mut self.open else { return true };
        let may_probe = !open.probing && now.since(open.since) >= open.interval;
        open.probing |= may_probe;
        may_probe
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Whether it opens with this one.
    pub(super) fn failed(&mut self, now: Moment) -> bool {
        self.failures = self.failures.saturating_add(1);
        let interval = match self.open {
            // Of a question that was under way when it opened.
            Some(open) if !open.probing => return false,
            Some(open) => (open.interval * 2).min(ASK_OPEN_MAX),
            None if self.failures < ASK_FAILURES_MAX => return false,
            None => ASK_OPEN_MIN,
        };
        self.open = Some(Open { since: now, interval, probing: false });
        true
    }

    /// It ended without telling anything of the source.
    pub(super) fn gave_up(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_probes_with_one_question() {
        let (mut breaker, start) = (Breaker::default(), Moment::now());
        for _ in 1..ASK_FAILURES_MAX {
            assert!(breaker.admits(start) && !breaker.failed(start));
        }
        breaker.succeeded();
        for count in 1..=ASK_FAILURES_MAX {
            assert!(breaker.admits(start));
            assert_eq!(breaker.failed(start), count == ASK_FAILURES_MAX, "{count}");
        }
        // One that was under way.
        assert!(!breaker.failed(start));
        let (mut now, mut interval) = (start, ASK_OPEN_MIN);
        for _ in 0..8 {
            let short = interval.checked_sub(Duration::from_millis(1)).unwrap();
            assert!(!breaker.admits(now.plus(short)), "{interval:?}");
            now = now.plus(interval);
            assert!(breaker.admits(now) && !breaker.admits(now), "{interval:?}");
            breaker.gave_up();
            assert!(breaker.admits(now), "{interval:?}");
            assert!(breaker.failed(now), "{interval:?}");
            interval = (interval * 2).min(ASK_OPEN_MAX);
        }
        assert_eq!(interval, ASK_OPEN_MAX);
        assert!(breaker.admits(now.plus(interval)));
        breaker.succeeded();
        assert!(breaker.admits(now) && breaker.admits(now));
    }
}
