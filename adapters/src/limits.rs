//! Every bound of the adapters.

/// Shortest interval that a configuration may ask for, in ms.
pub const INTERVAL_MS_MIN: u64 = 50;
/// Largest file that is taken, in bytes: it is read as a whole.
pub const FILE_BYTES_MAX: u64 = 4 << 30;
/// Review entries of one file: a subject costs the broker memory, the rejects file holds all of them.
pub const REVIEWS_PER_FILE_MAX: usize = 200;
