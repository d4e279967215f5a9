//! What a chain needs of the tables behind it: the seam between the gate, which knows sequences and no
//! stock, and the tables, which know rows and no sequences.

use pannier_protocol::Change;
use pannier_protocol::ItemId;
use pannier_protocol::change::SnapshotScope;
use serde::{Deserialize, Serialize};

/// When a row was stated, within its chain: greater is later, also across epochs. The epoch's number within
/// the chain (from 0, in the order in which they began) in the upper 16 bits, the source sequence below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct RowVersion(u64);

impl RowVersion {
    const SEQUENCE_BITS: u32 = 48;
    /// The highest source sequence; the gate takes none above.
    pub const SEQUENCE_MAX: u64 = (1 << Self::SEQUENCE_BITS) - 1;

    pub const fn new(epoch_number: u16, source_sequence: u64) -> Self {
        assert!(source_sequence < 1 << Self::SEQUENCE_BITS, "a source sequence fits in 48 bits");
        Self(((epoch_number as u64) << Self::SEQUENCE_BITS) | source_sequence)
    }

    pub const fn epoch_number(self) -> u16 {
        (self.0 >> Self::SEQUENCE_BITS) as u16
    }

    pub const fn source_sequence(self) -> u64 {
        self.0 & ((1 << Self::SEQUENCE_BITS) - 1)
    }
}

/// A change with the version of the message that stated it.
#[derive(Debug, Clone, Copy)]
pub struct Stated<'a> {
    pub change: &'a Change,
    pub version: RowVersion,
}

/// A row that its table refused; the other rows of the message stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRejection {
    /// One sentence: which row, what is wrong, what to do.
    pub reason: String,
    /// The item of a figure that does not say any more what its source says; without: the row is missing, no more.
    pub outdated: Option<ItemId>,
}

impl RowRejection {
    pub fn new(reason: String) -> Self {
        Self { reason, outdated: None }
    }
}

/// The rows of one chain (one source on one subject). One writer, many readers: methods take `&self`, and a
/// reader sees each unit of visibility (an item's stock, a price scope, an item or account record) either
/// before or after a batch, never between.
pub trait Rows: Send + Sync + Sized {
    /// An empty table beside this one, to build a snapshot in.
    fn aside(&self) -> Self;

    /// Applies the changes as one batch, in order: every unit of visibility that they touch is replaced once.
    /// Marks (`claim`, `tick`, `part`...) are not rows and are passed over.
    fn apply(&self, batch: &[Stated<'_>]) -> Vec<RowRejection>;

    /// Rows within a scope.
    fn rows_count(&self, scope: &SnapshotScope) -> u64;

    /// Rows of `self` within the scope that `aside` does not have: what a snapshot would remove.
    fn rows_missing_in(&self, aside: &Self, scope: &SnapshotScope) -> u64;

    /// Gives `aside`, which holds the rows of the scope by now, everything of `self` that lies outside of it,
    /// sharing what can be shared. Where both have a part of one record (cells of an item in two warehouses, a
    /// price scope's header beside its rows) the parts are merged.
    fn share_outside(&self, aside: &Self, scope: &SnapshotScope);

    /// Wrapping sum of the stable hashes of all rows (XXH3-128 of their canonical encoding with external
    /// ids), kept as changes apply.
    fn digest(&self) -> u128;
}

/// Whether a change adds to what is there instead of replacing it.
pub fn is_relative(change: &Change) -> bool {
    matches!(change, Change::StockAdjust(_))
}
