//! How far a node's fold is behind the ledger.
//!
//! The leader says every few seconds where the ledger ends. Once the fold has that entry, everything that was in the
//! ledger when the leader was asked is in the tables; the time since then is the lag. So it grows while entries are
//! applied too slowly or not at all, right after a long outage, and while no leader answers, and a quiet ledger does
//! not look like one that stopped. Rejected: the age of the last entry applied, which a quiet ledger makes old.

use std::collections::VecDeque;
use std::time::Duration;

use pannier_protocol::StreamSequence;

use crate::clock::Moment;
use crate::limits::LEDGER_ENDS_MAX;

/// Two of these are equal when they say the same of every moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lag {
    /// All that the ledger held then is applied.
    reached: Option<Moment>,
    applied: StreamSequence,
    /// Ends that are not applied yet, and when the leader was asked; both rise.
    open: VecDeque<(StreamSequence, Moment)>,
}

impl Lag {
    /// The leader, asked at `asked`, says that the ledger ends at `end`.
    pub(crate) fn ends(&mut self, end: StreamSequence, asked: Moment) {
        if self.open.back().is_some_and(|(last, at)| end < *last || asked < *at) {
            return;
        }
        // Full, the ones between are given up: the oldest says the lag, the newest when it is over.
        if self.open.len() == LEDGER_ENDS_MAX {
            self.open.pop_back();
        }
        self.open.push_back((end, asked));
        self.settle();
    }

    pub(crate) fn applied(&mut self, to: StreamSequence) {
        self.applied = to;
        self.settle();
    }

    fn settle(&mut self) {
        while let Some((_, asked)) = self.open.pop_front_if(|(end, _)| *end <= self.applied) {
            self.reached = Some(self.reached.map_or(asked, |reached| reached.max(asked)));
        }
    }

    /// `None`: the fold was never at an end of the ledger.
    pub(crate) fn at(&self, now: Moment) -> Option<Duration> {
        self.reached.map(|reached| now.since(reached))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `e<end>@<s>`: the leader says so when asked then; `a<to>`: applied; `?<s>=<lag>`: what is known then.
    #[track_caller]
    fn check(script: &str) {
        let (mut lag, begin) = (Lag::default(), Moment::now());
        let at = |seconds: &str| begin.plus(Duration::from_secs(seconds.parse().unwrap()));
        let sequence = |text: &str| StreamSequence(text.parse().unwrap());
        for step in script.split_whitespace() {
            match step.split_at(1) {
                ("e", rest) => {
                    let (end, asked) = rest.split_once('@').unwrap();
                    lag.ends(sequence(end), at(asked));
                }
                ("a", to) => lag.applied(sequence(to)),
                (_, rest) => {
                    let (now, want) = rest.split_once('=').unwrap();
                    let got = lag.at(at(now)).map_or("never".to_owned(), |lag| lag.as_secs().to_string());
                    assert_eq!(got, want, "{step} of {script}");
                }
            }
        }
    }

    #[test]
    fn the_lag_is_the_time_since_the_fold_was_at_the_end() {
        check("?0=never e7@0 ?1=never a6 ?1=never a7 ?1=1");
        // A quiet ledger is not a late one.
        check("a7 e7@0 e7@2 e7@4 ?5=1 e7@400 ?401=1");
        // The applier stalls, then goes on.
        check("a7 e7@0 e9@2 e11@4 ?5=5 e13@6 ?7=7 a9 ?7=5 a12 ?7=3 a13 ?7=1");
        // Many entries at once after an outage: behind until they are applied, however quickly they come.
        check("a7 e7@0 e9000@600 a8000 ?600=600 a9000 ?600=0");
        // The leader does not answer.
        check("a7 e7@0 ?6=6");
        // One that was asked earlier and answers later says nothing new.
        check("a7 e9@4 e8@5 e9@3 ?6=never a9 ?6=2");
    }

    #[test]
    fn a_long_lag_is_remembered_in_bounded_space() {
        let (mut lag, begin) = (Lag::default(), Moment::now());
        let at = |seconds| begin.plus(Duration::from_secs(seconds));
        lag.ends(StreamSequence(0), at(0));
        for second in 1..1_000 {
            lag.ends(StreamSequence(second), at(second));
        }
        assert_eq!(lag.open.len(), LEDGER_ENDS_MAX);
        assert_eq!(lag.at(at(1_000)), Some(Duration::from_secs(1_000)));
        lag.applied(StreamSequence(999));
        assert_eq!(lag.at(at(1_000)), Some(Duration::from_secs(1)));
    }
}
