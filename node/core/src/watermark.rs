//! How far a stream is applied, for readers that were promised not to see less.
//!
//! A lookup reads the watermark *before* its first probe and names it in its answer as a floor. That holds
//! only if whoever sees the number also sees what was applied before it was raised: a release store after the
//! last row, an acquire load before the first. Checked by loom (`.ci/run loom`), under a cfg of our own: with
//! `--cfg loom` other crates change too. This is the only module of the core with atomics of its own.

#[cfg(pannier_loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(pannier_loom))]
use std::sync::atomic::{AtomicU64, Ordering};

use pannier_protocol::StreamSequence;

/// The last message applied of one part of a stream; one writer, many readers.
#[derive(Debug)]
pub struct Watermark(AtomicU64);

impl Default for Watermark {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Watermark {
    /// The last message applied; 0 before the first.
    pub fn get(&self) -> StreamSequence {
        StreamSequence(self.0.load(Ordering::Acquire))
    }

    /// Everything up to `sequence` can be seen now. Only the writer calls it, with rising numbers.
    pub fn raise(&self, sequence: StreamSequence) {
        self.0.store(sequence.0, Ordering::Release);
    }
}

#[cfg(all(test, pannier_loom))]
mod tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU64, Ordering};
    use loom::thread;

    use super::*;

    #[test]
    fn who_sees_the_watermark_sees_the_rows() {
        loom::model(|| {
            let row = Arc::new(AtomicU64::new(0));
            let applied = Arc::new(Watermark::default());
            let writer = {
                let (row, applied) = (Arc::clone(&row), Arc::clone(&applied));
                thread::spawn(move || {
                    for sequence in 1..=2 {
                        row.store(sequence, Ordering::Relaxed);
                        applied.raise(StreamSequence(sequence));
                    }
                })
            };
            let floor = applied.get();
            let seen = row.load(Ordering::Relaxed);
            assert!(seen >= floor.0, "the answer says {floor} and shows {seen}");
            writer.join().expect("the writer ends");
        });
    }
}
