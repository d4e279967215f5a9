//! A seeded simulation of orders and holds: several cores fold one ledger while everything around them fails, against a
//! naive model and against the shelves themselves.
//!
//! The problem: what loses money is an order of events that nobody thought of, as a hold that ends in the millisecond in
//! which its order arrives late, while the ERP is restored. Tests written by hand contain what somebody thought of. Here
//! chance writes them: one seed decides everything, so what fails once fails again, and is a test from then on.
//!
//! ```text
//!  clients --commands--> nodes --groups--> broker: one stream -------> witness core == model   (each entry)
//!    ^ ask again           ^ fold, crash     ^ lost, late, doubled  \--> cores of the nodes     (each digest)
//!    +---------------------+                 |
//!  operators --decisions---------------------+     shelves >= what is promised from them      (each step)
//!  ERP <--dispatches, create-only-- outbox   |     the outbox: each order one open dispatch   (each entry)
//!   +--events, figures by name or position --+     at rest: nothing is open, nothing in flight (the end)
//! ```
//!
//! - `run`: the turns of a run. `rest`: its end. `check`, `shelves`: what it is held to. `profile`: what a seed has in it.
//! - `broker`, `writer`: the stream, its network, and the rules of publishing. `node`: core, group commit, outbox.
//! - `client`, `operator`, `erp`: who acts. `world`: items, warehouses, and intake.
//! - `model`: the same rules written a second time, slowly, from the requirements.
//! - `random`, `trace`: the seed, and what the run wrote; the same seed twice writes the same bytes.
//!
//! **Run it**: `tests/sim/run --seeds 1000` (see `tests/sim/run --help`); a test of the integration tests runs 100 seeds.
//! A failure names its seed: `tests/sim/run --from SEED --seeds 1 --trace` writes the whole run. Decide by the requirement
//! who is wrong, model or core, and write the unit test of it first.
//!
//! **A new actor** is a module with an `act` that draws what it does from `Random`, writes by a `Writer` of its own
//! subject and says what it did in words; it gets its weight in `Simulation::step`, and its last turn in `rest`. What it
//! writes has to mean something to `model`. **A new fault** of the network is a field of `Faults` and an arm of
//! `Broker::publish`; any other a field of `Profile`, so that some seeds have it and others do not. A change of the order
//! in which chance is drawn makes other runs of all seeds: old numbers are no regression tests, unit tests are.

mod broker;
mod check;
mod client;
mod erp;
mod model;
mod node;
mod operator;
mod profile;
mod random;
mod rest;
mod run;
mod shelves;
mod trace;
mod world;
mod writer;

pub use run::{Failure, Options, Report, run, twice};
pub use trace::Trace;

/// Steps of a run in which actors take turns, before it comes to rest.
pub const STEPS: usize = 200;

impl Failure {
    /// What went wrong, the last that happened before it, and how to see the rest.
    pub fn told(&self, steps: usize) -> String {
        const LINES: usize = 12;
        let lines = self.trace.lines();
        let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
        let Self { seed, what, .. } = self;
        format!(
            "seed {seed}: {what}\nbefore it:\n{last}\nreplay: tests/sim/run --from {seed} --seeds 1 --steps {steps} --trace"
        )
    }
}
