//! Which fault comes when: a fixed sequence of draws by seed.

/// What goes wrong beside a basket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A message of a moment ago comes again.
    Duplicate,
    /// A message that no window remembers comes again.
    OldDuplicate,
    /// A writer of the reign before sends a price of its own.
    LateEpoch,
    /// Two messages change places; the source then sends a snapshot.
    Reordered,
    /// The source claims anew and sends a snapshot.
    NewEpoch,
}

/// One in how many baskets.
const DUPLICATE: u64 = 20;
const OLD_DUPLICATE: u64 = 200;
const LATE_EPOCH: u64 = 200;
const REORDERED: u64 = 4_000;
const NEW_EPOCH: u64 = 4_000;

/// SplitMix64: faults must be the same on every machine, whatever a library's generator becomes.
pub(crate) struct Faults {
    state: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn draw(&mut self) -> Option<Fault> {
        let mut hits = |one_in| self.next().is_multiple_of(one_in);
        if hits(NEW_EPOCH) {
            Some(Fault::NewEpoch)
        } else if hits(REORDERED) {
            Some(Fault::Reordered)
        } else if hits(LATE_EPOCH) {
            Some(Fault::LateEpoch)
        } else if hits(OLD_DUPLICATE) {
            Some(Fault::OldDuplicate)
        } else if hits(DUPLICATE) {
            Some(Fault::Duplicate)
        } else {
            None
        }
    }
}
