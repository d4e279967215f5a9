//! How fast a backend is asked: so many requests a second, and so many at once after a pause.
//!
//! A virtual schedule instead of a bucket that is filled (the generic cell rate algorithm): one number, no
//! fractions, no timer. Time is passed in.

use std::time::Duration;

#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// How far the schedule may be ahead of the time.
    slack: Duration,
    /// When the next request is due on the schedule.
    due: Duration,
}

impl Pace {
    /// Both are at least 1.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, slack: interval * (burst.max(1) - 1), due: Duration::ZERO }
    }

    /// Takes a place, or says how long to wait before asking again.
    pub(super) fn take(&mut self, now: Duration) -> Option<Duration> {
        let wait = self.due.saturating_sub(self.slack).saturating_sub(now);
        if wait > Duration::ZERO {
            return Some(wait);
        }
        self.due = self.due.max(now) + self.interval;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of requests that are always wanted go through by then.
    fn passed(pace: &mut Pace, until: Duration) -> u32 {
        let (mut now, mut count) = (Duration::ZERO, 0);
        while now < until {
            match pace.take(now) {
                Some(wait) => now += wait,
                None => count += 1,
            }
        }
        count
    }

    #[test]
    fn the_rate_holds_and_a_burst_comes_on_top_once() {
        for (per_second, burst, seconds, want) in
            [(2, 1, 10, 20), (2, 5, 10, 24), (100, 1, 1, 100), (0, 0, 3, 3)]
        {
            let got = passed(&mut Pace::new(per_second, burst), Duration::from_secs(seconds));
            assert_eq!(got, want, "{per_second} {burst}");
        }
    }

    #[test]
    fn a_pause_earns_no_more_than_a_burst() {
        let mut pace = Pace::new(10, 3);
        let hour = Duration::from_secs(3_600);
        let at_once = std::iter::repeat_with(|| pace.take(hour)).take_while(Option::is_none).count();
        assert_eq!(at_once, 3);
        assert_eq!(pace.take(hour), Some(Duration::from_millis(100)));
    }
}
