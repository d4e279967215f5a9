//! When a backend is asked at all.
//!
//! Without it, every order in hand finds out for itself that nobody is there, and a backend that comes back is met
//! by all of them at once. Time is passed in.

use std::fmt;
use std::time::Duration;

use super::backend::BackendError;
use crate::limits::{BREAKER_OPEN_MAX, BREAKER_OPEN_MIN, BREAKER_TRANSIENT_MAX};

/// What operators see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BreakerState {
    #[default]
    Closed,
    /// Nothing is asked, and nothing pulled.
    Open,
    /// One call finds out whether it is back.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        })
    }
}

/// Whether a call may be made. All times are since a start that the caller chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    Go,
    /// After so long; `None`: when the probe under way has its answer.
    Wait(Option<Duration>),
}

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Until when it is open; `None`: closed.
    open_until: Option<Duration>,
    probing: bool,
    /// Transient failures since the last change that succeeded.
    failures: u32,
    /// Times that it opened since then.
    openings: u32,
}

impl Breaker {
    pub(crate) fn state(&self, now: Duration) -> BreakerState {
        match self.open_until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Asks for one call; after [`Permit::Go`] its outcome must be told.
    pub(crate) fn permit(&mut self, now: Duration) -> Permit {
        match self.open_until {
            None => Permit::Go,
            Some(until) if now < until => Permit::Wait(Some(until - now)),
            Some(_) if self.probing => Permit::Wait(None),
            Some(_) => {
                self.probing = true;
                Permit::Go
            }
        }
    }

    /// Whether new work may be asked for. A half-open breaker needs one call, and what is under way makes it.
    pub(crate) fn may_pull(&self, now: Duration, under_way: usize) -> bool {
        match self.state(now) {
            BreakerState::Closed => true,
            BreakerState::Open => false,
            BreakerState::HalfOpen => under_way == 0,
        }
    }

    /// When it becomes half-open.
    pub(crate) fn opens_until(&self) -> Option<Duration> {
        self.open_until
    }

    pub(crate) fn tell(&mut self, outcome: Result<(), &BackendError>, now: Duration) {
        match outcome {
            // Whatever it says about the order, it is there.
            Ok(()) | Err(BackendError::Business(_) | BackendError::Poison(_)) => *self = Self::default(),
            Err(BackendError::Down(_)) => self.open(now),
            Err(BackendError::Transient(_)) => {
                self.failures = self.failures.saturating_add(1);
                if self.probing || self.failures >= BREAKER_TRANSIENT_MAX {
                    self.open(now);
                }
            }
        }
    }

    /// The outcome of a call that changes nothing. With a full disk a backend still answers those: an answer resets
    /// nothing, and leaves it to the next call to be the probe.
    pub(crate) fn tell_read(&mut self, outcome: Result<(), &BackendError>, now: Duration) {
        match outcome {
            Ok(()) | Err(BackendError::Business(_) | BackendError::Poison(_)) => self.abandon(),
            Err(BackendError::Down(_) | BackendError::Transient(_)) => self.tell(outcome, now),
        }
    }

    /// The call was given up before it had an outcome.
    pub(crate) fn abandon(&mut self) {
        self.probing = false;
    }

    /// Calls that were under way when it opened fail too, and open it no further.
    fn open(&mut self, now: Duration) {
        if self.open_until.is_none_or(|until| now >= until) {
            let doubled = BREAKER_OPEN_MIN.saturating_mul(1 << self.openings.min(16));
            self.openings = self.openings.saturating_add(1);
            self.open_until = Some(now + doubled.min(BREAKER_OPEN_MAX));
        }
        self.probing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Result<(), BackendError> = Err(BackendError::Down(String::new()));
    const TRANSIENT: Result<(), BackendError> = Err(BackendError::Transient(String::new()));
    const REFUSED: Result<(), BackendError> = Err(BackendError::Business(String::new()));

    fn tell(breaker: &mut Breaker, outcome: &Result<(), BackendError>, now: Duration) {
        breaker.tell(outcome.as_ref().copied(), now);
    }

    #[test]
    fn it_opens_at_once_when_nobody_is_there_and_after_some_failures_else() {
        let zero = Duration::ZERO;
        for (outcome, times, state) in [
            (&DOWN, 1, BreakerState::Open),
            (&TRANSIENT, BREAKER_TRANSIENT_MAX - 1, BreakerState::Closed),
            (&TRANSIENT, BREAKER_TRANSIENT_MAX, BreakerState::Open),
            (&REFUSED, 100, BreakerState::Closed),
            (&Ok(()), 100, BreakerState::Closed),
        ] {
            let mut breaker = Breaker::default();
            (0..times).for_each(|_| tell(&mut breaker, outcome, zero));
            assert_eq!(breaker.state(zero), state, "{outcome:?} {times}");
            assert_eq!(breaker.may_pull(zero, 0), state == BreakerState::Closed);
        }
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let mut breaker = Breaker::default();
        tell(&mut breaker, &DOWN, Duration::ZERO);
        assert_eq!(breaker.permit(Duration::ZERO), Permit::Wait(Some(BREAKER_OPEN_MIN)));
        let now = BREAKER_OPEN_MIN;
        assert_eq!(breaker.state(now), BreakerState::HalfOpen);
        assert_eq!((breaker.may_pull(now, 1), breaker.may_pull(now, 0)), (false, true));
        assert_eq!(breaker.permit(now), Permit::Go);
        assert_eq!(breaker.permit(now), Permit::Wait(None), "the probe is under way");
        breaker.abandon();
        assert_eq!(breaker.permit(now), Permit::Go, "a probe that was given up leaves its place");
        tell(&mut breaker, &TRANSIENT, now);
        assert_eq!(breaker.permit(now), Permit::Wait(Some(BREAKER_OPEN_MIN * 2)), "it waits longer");
        let now = now + BREAKER_OPEN_MIN * 2;
        assert_eq!(breaker.permit(now), Permit::Go);
        tell(&mut breaker, &Ok(()), now);
        assert_eq!((breaker.state(now), breaker.permit(now)), (BreakerState::Closed, Permit::Go));
    }

    #[test]
    fn a_backend_that_can_only_be_read_opens_it_and_closes_it_not() {
        let (mut breaker, zero) = (Breaker::default(), Duration::ZERO);
        for _ in 0..BREAKER_TRANSIENT_MAX {
            assert_eq!(breaker.state(zero), BreakerState::Closed);
            breaker.tell_read(Ok(()), zero);
            tell(&mut breaker, &TRANSIENT, zero);
        }
        assert_eq!(breaker.state(zero), BreakerState::Open);
        let now = BREAKER_OPEN_MIN;
        for outcome in [&Ok(()), &REFUSED] {
            assert_eq!(breaker.permit(now), Permit::Go);
            breaker.tell_read(outcome.as_ref().copied(), now);
            assert_eq!(breaker.state(now), BreakerState::HalfOpen, "{outcome:?}");
        }
        assert_eq!(breaker.permit(now), Permit::Go, "what comes next is the probe");
        tell(&mut breaker, &TRANSIENT, now);
        assert_eq!(breaker.permit(now), Permit::Wait(Some(BREAKER_OPEN_MIN * 2)), "it failed");
    }

    #[test]
    fn a_read_that_nobody_answers_is_a_failed_probe() {
        for outcome in [&TRANSIENT, &DOWN] {
            let mut breaker = Breaker::default();
            tell(&mut breaker, &DOWN, Duration::ZERO);
            assert_eq!(breaker.permit(BREAKER_OPEN_MIN), Permit::Go);
            breaker.tell_read(outcome.as_ref().copied(), BREAKER_OPEN_MIN);
            assert_eq!(breaker.state(BREAKER_OPEN_MIN), BreakerState::Open, "{outcome:?}");
        }
    }

    #[test]
    fn it_stays_open_for_a_bounded_time_and_stragglers_do_not_prolong_it() {
        let (mut breaker, mut now) = (Breaker::default(), Duration::ZERO);
        for _ in 0..100 {
            tell(&mut breaker, &DOWN, now);
            let until = breaker.opens_until().unwrap();
            assert!(until - now <= BREAKER_OPEN_MAX);
            tell(&mut breaker, &DOWN, now);
            assert_eq!(breaker.opens_until(), Some(until));
            now = until;
        }
    }
}
