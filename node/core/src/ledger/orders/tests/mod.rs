//! Orders and holds through whole entries of a ledger.

mod acts;
mod handover;
mod holds;
mod life;
mod overlay;
mod recovery;
mod saved;
mod verdicts;
mod world;
