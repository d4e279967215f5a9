//! How much a chain can be trusted: what lookups read of it beside its rows.

use arc_swap::ArcSwap;
use pannier_protocol::{SourceSequence, StreamSequence, Timestamp};

/// One chain's state, replaced as messages apply.
pub struct ChainStatus {
    state: ArcSwap<ChainState>,
}

/// What is known of one chain at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainState {
    /// Stream sequence of the claim that the chain lives under; 0 before the first.
    pub epoch: StreamSequence,
    /// The last message applied.
    pub sequence: SourceSequence,
    /// A message is missing, forked or of an unknown epoch, until a snapshot ends.
    pub suspect: bool,
    /// Its first snapshot, if it began with one, has ended.
    pub loaded: bool,
    /// When the source was last read to its end; `None`: it never said.
    pub caught_up_to: Option<Timestamp>,
}

impl ChainStatus {
    pub fn new(state: ChainState) -> Self {
        Self { state: ArcSwap::from_pointee(state) }
    }

    pub fn load(&self) -> std::sync::Arc<ChainState> {
        self.state.load_full()
    }
}
