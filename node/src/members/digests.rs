//! Digests of the tables at positions that all nodes come by, and what two nodes' digests say together.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pannier_protocol::StreamSequence;
use pannier_protocol::api::operator::{
    Agreement, MemberDifference, MemberDigest, MemberPositions, MemberStream,
};

use crate::limits::{DIGEST_EVERY, DIGESTS_KEPT_MAX, DIGESTS_RECENT_MAX};
use crate::progress::StreamName;

/// What this node's tables added up to: at every [`DIGEST_EVERY`]th position, and after the last batch, where nodes
/// meet that have nothing to do.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    streams: Mutex<BTreeMap<MemberStream, Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The oldest first, at most [`DIGESTS_KEPT_MAX`].
    marks: VecDeque<(StreamSequence, u128)>,
    last: Option<(StreamSequence, u128)>,
    /// After the last batches, at most [`DIGESTS_RECENT_MAX`]: what others said a moment ago is compared with them.
    recent: VecDeque<(StreamSequence, u128)>,
}

impl Digests {
    /// Whether the digest after this entry is to be kept.
    pub(crate) fn is_mark(position: StreamSequence) -> bool {
        position.0.is_multiple_of(DIGEST_EVERY)
    }

    pub(crate) fn mark(&self, stream: StreamName, position: StreamSequence, digest: u128) {
        let mut streams = self.lock();
        let marks = &mut streams.entry(of(stream)).or_default().marks;
        if marks.len() == DIGESTS_KEPT_MAX {
            marks.pop_front();
        }
        marks.push_back((position, digest));
    }

    pub(crate) fn after_batch(&self, stream: StreamName, position: StreamSequence, digest: u128) {
        let mut streams = self.lock();
        let kept = streams.entry(of(stream)).or_default();
        if kept.last.is_some_and(|(last, _)| last == position) {
            return;
        }
        kept.last = Some((position, digest));
        if kept.recent.len() == DIGESTS_RECENT_MAX {
            kept.recent.pop_front();
        }
        kept.recent.push_back((position, digest));
    }

    /// What others are told, by stream and position.
    pub(crate) fn shown(&self) -> Vec<MemberDigest> {
        self.listed(|kept| kept.marks.iter().copied().chain(kept.last).collect())
    }

    /// What is compared with that of others: more, for they said it a while ago.
    pub(crate) fn known(&self) -> Vec<MemberDigest> {
        self.listed(|kept| kept.marks.iter().chain(&kept.recent).copied().collect())
    }

    fn listed(&self, of: impl Fn(&Kept) -> BTreeMap<StreamSequence, u128>) -> Vec<MemberDigest> {
        let streams = self.lock();
        let shown = streams.iter().flat_map(|(stream, kept)| {
            of(kept).into_iter().map(|(position, digest)| MemberDigest {
                stream: *stream,
                position,
                digest: format!("{digest:032x}"),
            })
        });
        shown.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MemberStream, Kept>> {
        // Nothing that holds the lock can leave the map half changed.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of(stream: StreamName) -> MemberStream {
    match stream {
        StreamName::Ledger => MemberStream::Ledger,
        StreamName::Catalog => MemberStream::Catalog,
    }
}

/// What two nodes' digests say of their tables.
pub(super) fn agreement(own: &[MemberDigest], other: &[MemberDigest]) -> Agreement {
    let own: BTreeMap<_, _> = own.iter().map(|it| ((it.stream, it.position), &it.digest)).collect();
    let both = other.iter().filter_map(|it| Some((it, *own.get(&(it.stream, it.position))?)));
    let (mut at, mut is_known) = (MemberPositions::default(), false);
    for (it, digest) in both {
        if it.digest != *digest {
            return Agreement::Differs(MemberDifference { stream: it.stream, position: it.position });
        }
        is_known = true;
        match it.stream {
            MemberStream::Ledger => at.ledger = at.ledger.max(it.position),
            MemberStream::Catalog => at.catalog = at.catalog.max(it.position),
        }
    }
    if is_known { Agreement::Agrees(at) } else { Agreement::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `L5a C7b`: stream, position, digest.
    fn digests(text: &str) -> Vec<MemberDigest> {
        let digest = |word: &str| MemberDigest {
            stream: if word.starts_with('L') { MemberStream::Ledger } else { MemberStream::Catalog },
            position: StreamSequence(word[1..word.len() - 1].parse().unwrap()),
            digest: word[word.len() - 1..].to_owned(),
        };
        text.split_whitespace().map(digest).collect()
    }

    #[test]
    fn nodes_are_compared_where_both_have_been() {
        let at = |ledger, catalog| {
            let (ledger, catalog) = (StreamSequence(ledger), StreamSequence(catalog));
            Agreement::Agrees(MemberPositions { ledger, catalog })
        };
        let differs = |stream, position| {
            Agreement::Differs(MemberDifference { stream, position: StreamSequence(position) })
        };
        for (own, other, want) in [
            ("", "L5a", Agreement::Unknown),
            ("L4a", "L5a", Agreement::Unknown),
            ("L4a L5b", "L5b L6c", at(5, 0)),
            ("L4a L5b C7x", "L4a C7x", at(4, 7)),
            ("L4a L5b", "L4a L5c", differs(MemberStream::Ledger, 5)),
            ("L4a C7x C8z", "L4a C7y C8z", differs(MemberStream::Catalog, 7)),
        ] {
            assert_eq!(agreement(&digests(own), &digests(other)), want, "{own} and {other}");
        }
    }

    #[test]
    fn marks_and_the_last_batch_are_kept_in_bounded_space() {
        let kept = Digests::default();
        for mark in 1..=2 * DIGESTS_KEPT_MAX as u64 {
            let position = StreamSequence(mark * DIGEST_EVERY);
            assert!(Digests::is_mark(position));
            kept.mark(StreamName::Ledger, position, u128::from(mark));
            kept.after_batch(StreamName::Ledger, position, u128::from(mark));
        }
        let shown = kept.shown();
        assert_eq!(shown.len(), DIGESTS_KEPT_MAX, "the last batch ended at a mark");
        assert_eq!(shown.last().unwrap().digest, format!("{:032x}", 2 * DIGESTS_KEPT_MAX));
        assert!(!Digests::is_mark(StreamSequence(DIGEST_EVERY + 1)));
    }
}
