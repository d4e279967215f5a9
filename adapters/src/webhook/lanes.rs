//! Whose turn it is: the events of one order one after the other, those of several orders at once, and an order whose
//! event could not be delivered waits without holding others up. Time is passed in.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::event::Lane;
use crate::limits::WEBHOOK_RETRY_DELAY_MIN;

#[derive(Debug)]
pub(super) struct Lanes {
    lines: HashMap<Lane, Line>,
    /// Lanes whose first event may be delivered; a lane is here, in `paused` or under way.
    ready: VecDeque<Lane>,
    paused: BTreeSet<(Duration, Lane)>,
    /// All events.
    count: usize,
    pause_max: Duration,
}

#[derive(Debug, Default)]
struct Line {
    events: VecDeque<u64>,
    /// Of the first event, once it failed.
    pauses: Option<ExponentialBackoff>,
}

impl Lanes {
    pub(super) fn new(pause_max: Duration) -> Self {
        Self { lines: HashMap::new(), ready: VecDeque::new(), paused: BTreeSet::new(), count: 0, pause_max }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, number: u64, lane: Lane) {
        let line = self.lines.entry(lane).or_default();
        if line.events.is_empty() {
            self.ready.push_back(lane);
        }
        line.events.push_back(number);
        self.count += 1;
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next event, of an order that has none under way.
    pub(super) fn begin(&mut self) -> Option<(u64, Lane)> {
        let lane = self.ready.pop_front()?;
        let number = self.lines.get(&lane)?.events.front()?;
        Some((*number, lane))
    }

    /// The event under way needs no more deliveries.
    pub(super) fn done(&mut self, lane: Lane) {
        let Some(line) = self.lines.get_mut(&lane) else { return };
        line.pauses = None;
        self.count -= usize::from(line.events.pop_front().is_some());
        if line.events.is_empty() {
            self.lines.remove(&lane);
        } else {
            self.ready.push_back(lane);
        }
    }

    /// It failed: again after a pause. Each of an event is longer than the one before, up to a longest.
    pub(super) fn again(&mut self, lane: Lane, now: Duration) {
        let Some(line) = self.lines.get_mut(&lane) else { return };
        let pauses = line.pauses.get_or_insert_with(|| {
            ExponentialBuilder::default()
                .with_min_delay(WEBHOOK_RETRY_DELAY_MIN)
                .with_max_delay(self.pause_max)
                .without_max_times()
                .with_jitter()
                .build()
        });
        let pause = pauses.next().unwrap_or(self.pause_max);
        self.paused.insert((now + pause, lane));
    }

    /// Lanes whose pause is over get ready.
    pub(super) fn wake(&mut self, now: Duration) {
        while self.paused.first().is_some_and(|(until, _)| *until <= now) {
            self.ready.extend(self.paused.pop_first().map(|(_, lane)| lane));
        }
    }

    pub(super) fn next_wake(&self) -> Option<Duration> {
        self.paused.first().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use pannier_protocol::OrderId;

    use super::*;

    #[test]
    fn one_order_waits_for_itself_and_for_no_other() {
        let lane = |last| Some(OrderId::parse(&format!("3m5h9q2k7c000000000000000{last}")).unwrap());
        let (a, b) = (lane(1), lane(2));
        let mut lanes = Lanes::new(Duration::from_secs(60));
        for (number, lane) in [(1, a), (2, b), (3, a), (4, a)] {
            lanes.push(number, lane);
        }
        assert_eq!((lanes.begin(), lanes.begin(), lanes.begin()), (Some((1, a)), Some((2, b)), None));
        let zero = Duration::ZERO;
        lanes.again(a, zero);
        lanes.done(b);
        lanes.push(5, b);
        assert_eq!(
            (lanes.begin(), lanes.begin(), lanes.len()),
            (Some((5, b)), None, 4),
            "the first one waits"
        );
        lanes.wake(zero);
        assert!(!lanes.is_ready());
        let wake = lanes.next_wake().unwrap();
        assert!(wake >= WEBHOOK_RETRY_DELAY_MIN && wake <= WEBHOOK_RETRY_DELAY_MIN * 2, "{wake:?}");
        lanes.wake(wake);
        for number in [1, 3, 4] {
            assert_eq!(lanes.begin(), Some((number, a)));
            lanes.done(a);
        }
        assert_eq!((lanes.begin(), lanes.next_wake(), lanes.len()), (None, None, 1));
        lanes.done(b);
        assert_eq!(lanes.len(), 0);
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let longest = Duration::from_secs(4);
        let mut lanes = Lanes::new(longest);
        lanes.push(1, None);
        let mut now = Duration::ZERO;
        for least in [500, 1_000, 2_000, 4_000, 4_000, 4_000].map(Duration::from_millis) {
            lanes.begin().unwrap();
            lanes.again(None, now);
            let wake = lanes.next_wake().unwrap();
            assert!(wake - now >= least && wake - now <= longest * 2, "{:?}", wake - now);
            now = wake;
            lanes.wake(now);
        }
    }
}
