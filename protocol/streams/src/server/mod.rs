//! A nats-server for `cargo up` and the tests.
//!
//! Nobody who clones the repository should have to install a broker first, and a test against a mock
//! broker proves nothing about the traps it is there for. So a server is *found*: the one that is named,
//! else one on the PATH that is new enough, else the pinned one, fetched once into a cache and held
//! against its SHA-256. Distribution packages are no fallback: an old server drops the stream options it
//! does not know without a word. It is then *started* as a child with its own store and a free port.

mod fetch;
mod find;
mod local;

pub use find::{FindError, Finder, ServerVersion};
pub use local::{Cluster, LocalServer, Options, StartError, SyncInterval};
