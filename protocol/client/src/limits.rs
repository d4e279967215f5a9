//! Every limit of the client on one screen.

use std::time::Duration;

/// Largest answer taken, in bytes: 500 lines with everything included stay far below.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// From handing over the request to the last byte of the answer, unless [`crate::Options`] say otherwise.
/// Above the bound of a node's wait for `at_least`.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// A connection that nobody used for that long is closed.
pub const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(60);
/// A QUIC connection that is quiet says so often that it is there.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Idle connections kept open to one node.
pub const CONNECTIONS_IDLE_MAX: usize = 64;
/// Between two tries of one call on several nodes: the pause doubles from the first to the second, with jitter.
pub const RETRY_PAUSE_MIN: Duration = Duration::from_millis(20);
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);
