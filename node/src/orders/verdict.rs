//! From a place in the ledger to the verdict: the node's own fold judges an entry when it passes it, so an answer
//! waits for that and asks nobody.

use std::time::Duration;

use pannier_protocol::StreamSequence;

use super::Fate;
use crate::progress::Progress;

/// What became of a command, as far as the node knows in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged<V> {
    /// What the fold says of it, from its own state.
    Verdict(V),
    /// In the ledger, or possibly so, and not seen judged: 202, to be asked again.
    Pending,
    /// Never in the ledger: 503, to be tried again under the same key.
    NotPlaced,
}

/// Waits for the node's fold to pass the command's entry, then reads: `read` gives what the fold knows of the
/// command, `None` where it has no record of it.
pub async fn judged<V>(
    progress: &Progress,
    fate: &Fate,
    within: Duration,
    read: impl FnOnce() -> Option<V>,
) -> Judged<V> {
    let (position, is_there) = match fate {
        Fate::Stored { position, .. } => (*position, true),
        // Whatever was stored of the command stands before that claim.
        Fate::Superseded { by } => (*by, false),
        Fate::Unknown => return Judged::Pending,
        Fate::NotHandedOver | Fate::NotStored { .. } => return Judged::NotPlaced,
    };
    if !passed(progress, position, within).await {
        return Judged::Pending;
    }
    match read() {
        Some(verdict) => Judged::Verdict(verdict),
        // An entry without a record was sent back to be priced again; whoever reads decides what that means.
        None if is_there => Judged::Pending,
        None => Judged::NotPlaced,
    }
}

/// Whether the tables of this node contain the ledger's entry within a time.
pub async fn passed(progress: &Progress, position: StreamSequence, within: Duration) -> bool {
    let mut watched = progress.subscribe();
    let reached = watched.wait_for(|snapshot| snapshot.applied.ledger >= position);
    matches!(tokio::time::timeout(within, reached).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Positions;

    #[track_caller]
    fn check(fate: &Fate, ledger: u64, record: Option<u8>, want: &Judged<u8>) {
        let progress = Progress::default();
        progress.applied(Positions { ledger: StreamSequence(ledger), ..Positions::default() });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let judged = runtime.block_on(judged(&progress, fate, Duration::from_millis(1), || record));
        assert_eq!(judged, *want, "{fate:?} at {ledger}");
    }

    #[test]
    fn a_verdict_is_read_once_the_fold_is_there() {
        let stored = Fate::Stored { position: StreamSequence(7), index: 0 };
        let superseded = Fate::Superseded { by: StreamSequence(7) };
        check(&stored, 6, Some(1), &Judged::Pending);
        check(&stored, 7, Some(1), &Judged::Verdict(1));
        check(&stored, 7, None, &Judged::Pending);
        check(&superseded, 6, None, &Judged::Pending);
        check(&superseded, 8, Some(2), &Judged::Verdict(2));
        check(&superseded, 8, None, &Judged::NotPlaced);
        check(&Fate::Unknown, 9, Some(1), &Judged::Pending);
        check(&Fate::NotHandedOver, 9, Some(1), &Judged::NotPlaced);
    }
}
