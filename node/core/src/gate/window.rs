//! The digests of a chain's last messages, by sequence.

use std::collections::VecDeque;

use pannier_protocol::MessageDigest;

use crate::limits::DIGEST_WINDOW;

/// The last [`DIGEST_WINDOW`] sequences with the digests of those that arrived; has holes where messages are
/// missing. Addressed from its end, which is the last message.
#[derive(Debug, Default)]
pub(super) struct DigestWindow {
    pub(super) digests: VecDeque<Option<MessageDigest>>,
}

impl DigestWindow {
    /// The message that follows the last one after `missing` others.
    pub(super) fn push(&mut self, missing: u64, digest: MessageDigest) {
        let holes = usize::try_from(missing).map_or(DIGEST_WINDOW, |missing| missing.min(DIGEST_WINDOW));
        self.digests.extend(std::iter::repeat_n(None, holes));
        self.digests.push_back(Some(digest));
        let excess = self.digests.len().saturating_sub(DIGEST_WINDOW);
        self.digests.drain(..excess);
    }

    /// The digest of the message `back` before the last one; `None` when it is missing or too long ago.
    pub(super) fn get(&self, back: u64) -> Option<MessageDigest> {
        let from_end = usize::try_from(back).ok()?.checked_add(1)?;
        let at = self.digests.len().checked_sub(from_end)?;
        self.digests.get(at).copied().flatten()
    }

    pub(super) fn clear(&mut self) {
        self.digests.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_and_the_far_end_have_no_digest() {
        let mut window = DigestWindow::default();
        window.push(0, MessageDigest(1));
        window.push(2, MessageDigest(4));
        let digest = |back| window.get(back).map(|digest| digest.0);
        assert_eq!(
            [digest(0), digest(1), digest(2), digest(3), digest(4)],
            [Some(4), None, None, Some(1), None]
        );

        window.push(u64::MAX, MessageDigest(9));
        assert_eq!((window.get(0), window.get(1)), (Some(MessageDigest(9)), None));
        for message in 0..DIGEST_WINDOW as u128 {
            window.push(0, MessageDigest(message));
        }
        assert_eq!(window.get(DIGEST_WINDOW as u64 - 1), Some(MessageDigest(0)));
        assert_eq!(window.get(DIGEST_WINDOW as u64), None);
    }
}
