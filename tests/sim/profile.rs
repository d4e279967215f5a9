//! What a run has in it. Each seed leaves some of it out: with everything at once the rare things hide behind the
//! frequent ones.

use pannier_protocol::Encoding;
use pannier_protocol::change::SourcingMode;

use super::broker::Faults;
use super::random::Random;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    pub(crate) encoding: Encoding,
    pub(crate) faults: Faults,
    pub(crate) mode: SourcingMode,
    pub(crate) nodes: usize,
    /// Percent of node steps that are a crash.
    pub(crate) crashes: usize,
    /// Percent of client steps that are about holds.
    pub(crate) holds: usize,
    /// Percent of dispatches that the backend refuses.
    pub(crate) refusals: usize,
    pub(crate) restores: bool,
    pub(crate) corrections: bool,
    pub(crate) oversell: bool,
    /// Whether operators release what figures do not confirm.
    pub(crate) releases: bool,
    pub(crate) kits: bool,
    /// Percent of steps that jump to an instant at which something ends.
    pub(crate) jumps: usize,
}

impl Profile {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let encoding = if random.chance(80) { Encoding::MessagePack } else { Encoding::Json };
        let rate = |random: &mut Random| if random.chance(50) { random.below(8) } else { 0 };
        let (lost, ack_lost) = (rate(random), rate(random));
        let faults = Faults { lost, ack_lost, late: rate(random), doubled: rate(random) };
        let modes =
            [SourcingMode::Split, SourcingMode::Split, SourcingMode::ShipComplete, SourcingMode::Single];
        Self {
            encoding,
            faults,
            mode: modes[random.below(modes.len())],
            nodes: 3 + random.below(2),
            crashes: random.below(12),
            holds: random.below(60),
            refusals: if random.chance(50) { random.below(30) } else { 0 },
            restores: random.chance(40),
            corrections: random.chance(40),
            oversell: random.chance(20),
            releases: random.chance(25),
            kits: random.chance(60),
            jumps: random.below(14),
        }
    }

    /// Whether nothing may ever be promised twice, whatever happens: with these, what is on the shelf or in the figures is
    /// not what the ledger was told.
    pub(crate) fn may_oversell(&self) -> bool {
        self.oversell || self.releases
    }
}
