//! A deployment on this machine whose parts are processes of their own, so that they can be killed, paused and
//! started again while somebody watches what clients see: for demonstrations and for tests.
//!
//! Rejected: nodes as tasks of one process. A task cannot be killed between two instructions, and shares the memory
//! in which a lost write would be found again.

mod authority;
mod node;
mod process;
pub(crate) mod world;

pub use authority::{Authority, Issued};
pub use node::NodeProcess;
pub use process::{Process, Program};
