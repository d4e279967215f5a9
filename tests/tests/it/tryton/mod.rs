//! The adapter of Tryton against a real one (`tests/erp`).

mod erp;
mod handover;
mod heard;
mod orders;
mod refused;
mod replication;
mod source;

use std::time::Duration;

/// Nothing in these tests takes this long; what does hangs.
const PATIENCE: Duration = Duration::from_secs(120);
