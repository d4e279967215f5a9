//! Holds: live up to, and not at, the moment they expire.

use pannier_protocol::api::OrderLineState;
use pannier_protocol::order::{ChangeHold, HoldId, IfShort, KeyedBy, PlaceHold, ReleaseHold, StockLine};

use super::keys::Outcome;
use super::orders::Line;
use super::{Model, micros};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldState {
    Held,
    Refused,
    Expired,
    Released,
    Ordered,
}

#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) placed: PlaceHold,
    /// As it was last said; time ends it without a word.
    pub(crate) said: HoldState,
    pub(crate) expires: i64,
    pub(crate) lines: Vec<Line>,
}

impl Hold {
    pub(super) fn end(&mut self, said: HoldState) {
        self.said = said;
        self.lines.iter_mut().for_each(|line| line.parts.clear());
    }
}

impl Model {
    pub(crate) fn is_live(&self, hold: &Hold) -> bool {
        hold.said == HoldState::Held && self.clock < hold.expires
    }

    pub(crate) fn hold_state(&self, hold: &Hold) -> HoldState {
        let lapsed = hold.said == HoldState::Held && !self.is_live(hold);
        if lapsed { HoldState::Expired } else { hold.said }
    }

    pub(super) fn place_hold(&mut self, place: &PlaceHold) {
        // Of one that outlives its key there is not a second.
        let stands = self.holds.get(&place.hold).is_some_and(|hold| self.is_live(hold));
        if !self.is_first("hold", &place.keyed) || stands {
            return;
        }
        // Its sources are chosen again.
        if self.handover > place.terms.handover {
            return;
        }
        let expires = place.expires_at.millis();
        let late = self.is_late(&place.keyed) || expires <= self.clock;
        let if_short = if place.partial { IfShort::Partial } else { IfShort::Reject };
        let wanted: Vec<StockLine> =
            place.lines.iter().map(|line| StockLine { if_short, ..line.clone() }).collect();
        let lines = self.judge_lines(wanted.iter(), &place.terms);
        let got = |line: &Line| line.state != OrderLineState::Rejected;
        let enough = if place.partial { lines.iter().any(got) } else { lines.iter().all(got) };
        let said = match (late, enough) {
            (true, _) => HoldState::Expired,
            (false, true) => HoldState::Held,
            (false, false) => HoldState::Refused,
        };
        self.saw(("hold", said));
        let mut hold = Hold { placed: place.clone(), said, expires, lines };
        if said != HoldState::Held {
            hold.end(said);
        }
        self.holds.insert(place.hold, hold);
        self.remember("hold", &place.keyed, Outcome::Hold(place.hold));
    }

    pub(super) fn change_hold(&mut self, change: &ChangeHold) {
        if !self.is_first("change", &change.keyed)
            || !self.is_own_and_live("change", &change.hold, &change.keyed)
        {
            return;
        }
        let Some(hold) = self.holds.get_mut(&change.hold) else { return };
        hold.expires = change.expires_at.map_or(hold.expires, |at| at.millis());
        for line in &mut hold.lines {
            let kept = change.keep.iter().find(|(name, _)| name.as_str() == line.name);
            let kept = kept.map_or(line.quantity, |(_, kept)| micros(*kept).min(line.quantity));
            line.give_back(line.quantity - kept);
            line.quantity = kept;
        }
    }

    pub(super) fn release_hold(&mut self, release: &ReleaseHold) {
        if self.is_first("release", &release.keyed)
            && self.is_own_and_live("release", &release.hold, &release.keyed)
            && let Some(hold) = self.holds.get_mut(&release.hold)
        {
            hold.end(HoldState::Released);
        }
    }

    /// Remembers the key either way.
    fn is_own_and_live(&mut self, operation: &'static str, hold: &HoldId, keyed: &KeyedBy) -> bool {
        let own = self.known_hold(hold).filter(|hold| hold.placed.keyed.account == keyed.account);
        let live = own.is_some_and(|hold| self.is_live(hold));
        let outcome = match (own, self.is_late(keyed)) {
            (_, true) => Outcome::Expired,
            (Some(_), false) => Outcome::Hold(*hold),
            (None, false) => Outcome::Unknown,
        };
        self.remember(operation, keyed, outcome);
        live && matches!(outcome, Outcome::Hold(_))
    }

    /// A hold is known as long as its key is, or it is live.
    pub(crate) fn known_hold(&self, id: &HoldId) -> Option<&Hold> {
        let hold = self.holds.get(id)?;
        let keyed = &hold.placed.keyed;
        let key = (keyed.account.to_string(), "hold", keyed.key.to_string());
        (self.is_live(hold) || self.remembered(&key).is_some()).then_some(hold)
    }
}
