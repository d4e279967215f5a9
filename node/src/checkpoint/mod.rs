//! Checkpoints of this node: written while it serves, read when it starts.
//!
//! ```text
//! keeper --freeze, in line with entries--> apply thread --frozen state--> blocking thread --> FOLDER/tmp --> FOLDER
//! start: newest file that can be read, else the state of a node that runs, else the object store's, else the log where it
//!        still begins at genesis, else not ready
//! ```
//!
//! The bytes are `pannier_core::checkpoint`'s business. Here is what is around them: when, where on disk, what is
//! counted, and which of several to trust. The keeper asks through the queue of the apply thread, so a state is taken
//! between two entries and nothing is locked; what is taken is shared with the tables, so lookups do not notice.
//!
//! Beside them stand the entries of the ledger that came since (`tail`), for the day on which the broker has them no more.
//!
//! A file under its name is whole: it was synced before it was renamed, and the folder after. One that cannot be read
//! nevertheless is left where it is, as evidence, until newer ones push it out.

mod begin;
mod draft;
mod folder;
mod give;
mod keeper;
mod peers;
mod read;
mod refold;
mod shelf;
mod standing;
mod tail;
mod taker;

pub(crate) use begin::{BeginError, Beginner, Beginning};
pub(crate) use folder::{Folder, FolderError};
pub(crate) use give::Giver;
pub(crate) use keeper::{Keeper, keep_evidence};
pub(crate) use refold::Refold;
pub(crate) use shelf::Sharer;
pub(crate) use standing::{Cover, Standing};
pub(crate) use tail::{Tail, read as read_tail};
pub(crate) use taker::Taker;

use std::time::Duration;

use pannier_core::checkpoint::{Busy, Frozen, Head};

/// What the apply thread hands over.
pub(crate) struct Taken {
    pub(crate) frozen: Frozen,
    pub(crate) head: Head,
    /// For so long nothing was applied.
    pub(crate) paused: Duration,
}

/// Where the apply thread puts what was asked of it.
pub(crate) type Handover = tokio::sync::oneshot::Sender<Result<Taken, Busy>>;
