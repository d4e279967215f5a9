//! What time the broker has, as seen from a clock beside it.
//!
//! An acknowledgement says where a message was stored and not when, and a message that is read back gives the
//! time of its storing with a whole publish around it. The leader's answer to a question for a stream's state
//! carries its clock at that moment: half the round trip is all that is not known, and what that alone explains is no
//! offset. Two clocks of one machine are never apart.

use pannier_protocol::Timestamp;

use crate::connect::Broker;
use crate::limits::{OFFSET_ROUND_TRIP_MS_MAX, OFFSET_SAMPLES};
use crate::stored::{ReadError, stream_info};

/// Why the broker's time is not known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClockError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(
        "the leader of {stream} did not tell its time within {OFFSET_ROUND_TRIP_MS_MAX} ms, or this machine's \
         clock was set meanwhile: without it nothing can be said to be fresh; is the network overloaded?"
    )]
    Unclear { stream: String },
}

/// Broker time less `clock`'s, in milliseconds: of several questions the one with the shortest round trip.
pub async fn broker_offset(
    broker: &Broker,
    stream: &str,
    clock: impl Fn() -> Timestamp,
) -> Result<i64, ClockError> {
    let mut best: Option<(u64, i64)> = None;
    for _ in 0..OFFSET_SAMPLES {
        let asked = clock();
        let info = stream_info(broker, stream).await?;
        let answered = clock();
        let sample = info.broker_time.and_then(|time| sample(asked, time, answered));
        best = best.into_iter().chain(sample).min();
    }
    best.map(|(_, offset)| offset).ok_or_else(|| ClockError::Unclear { stream: stream.to_owned() })
}

/// Round trip and offset, where they say enough.
fn sample(asked: Timestamp, broker: Timestamp, answered: Timestamp) -> Option<(u64, i64)> {
    let round_trip = u64::try_from(answered.millis().checked_sub(asked.millis())?).ok()?;
    let middle = asked.millis() + i64::try_from(round_trip / 2).ok()?;
    let offset = broker.millis().saturating_sub(middle);
    // Each of the three is cut to its millisecond.
    let is_known = offset.unsigned_abs() > round_trip / 2 + 1;
    (round_trip <= OFFSET_ROUND_TRIP_MS_MAX).then_some((round_trip, if is_known { offset } else { 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_question_and_answer_is_compared() {
        let at = Timestamp::from_millis;
        for (asked, broker, answered, want) in [
            (1_000, 1_010, 1_020, Some((20, 0))),
            (1_000, 1_001, 1_000, Some((0, 0))),
            (1_000, 1_021, 1_020, Some((20, 0))),
            (1_000, 1_022, 1_020, Some((20, 12))),
            (1_000, 6_005, 1_010, Some((10, 5_000))),
            (1_000, 500, 1_000, Some((0, -500))),
            (1_000, 9_000, 2_001, None),
            (1_000, 9_000, 999, None),
        ] {
            assert_eq!(sample(at(asked), at(broker), at(answered)), want, "{asked} {broker} {answered}");
        }
    }
}
