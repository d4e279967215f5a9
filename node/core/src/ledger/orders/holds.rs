//! Holds: stock kept for an account until a moment. Lookups stop subtracting a hold at that moment by their own clock;
//! the fold ends it at the first entry whose ledger time is not before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use pannier_protocol::api::{HoldState, OrderLineState};
use pannier_protocol::order::{ChangeHold, IfShort, PlaceHold, ReleaseHold, StockLine};
use pannier_protocol::{Decimal, HoldId, Timestamp};

use super::keys::{KeyId, KeyOutcome, Operation};
use super::record::{HoldRecord, LineRecord, takes};
use super::state::{Due, Owner};
use super::{At, Orders};
use crate::dictionary::ItemNo;
use crate::sourcing::Taken;

impl Orders {
    pub(super) fn place_hold(&mut self, at: &mut At<'_>, place: &PlaceHold) {
        // Its id comes from its key: a second one would take the place of the first.
        if !self.is_first(Operation::PlaceHold, &place.keyed) || self.is_held(&place.hold) {
            return;
        }
        // Nothing is remembered: the node chooses its sources again.
        if self.is_before_handover(place.terms.handover) {
            return;
        }
        let late = at.stream_time > place.keyed.judge_before || place.expires_at <= at.stock.now;
        let mut taken = Taken::default();
        let if_short = if place.partial { IfShort::Partial } else { IfShort::Reject };
        let judged = |line: &StockLine| {
            at.stock.judge(&StockLine { if_short, ..line.clone() }, &place.terms, &mut taken)
        };
        let mut lines: Vec<LineRecord> =
            if late { Vec::new() } else { place.lines.iter().map(judged).collect() };
        let held = |line: &LineRecord| line.state != OrderLineState::Rejected;
        let enough = if place.partial { lines.iter().any(held) } else { lines.iter().all(held) };
        let state = match (late, enough) {
            (true, _) => HoldState::Expired,
            (false, true) => HoldState::Held,
            (false, false) => HoldState::Refused,
        };
        if state != HoldState::Held {
            lines.iter_mut().for_each(|line| line.allocations.clear());
        }
        self.remember(at, Operation::PlaceHold, &place.keyed, KeyOutcome::Hold(place.hold));
        self.index.due.insert((place.expires_at, Due::HoldEnds(place.hold)));
        let placed = Arc::new(place.clone());
        self.put_hold(
            at,
            HoldRecord { placed, position: at.position, state, expires_at: place.expires_at, lines },
        );
    }

    pub(super) fn change_hold(&mut self, at: &mut At<'_>, change: &ChangeHold) {
        if !self.is_first(Operation::ChangeHold, &change.keyed) {
            return;
        }
        let Some(mut hold) = self.own_hold(at, Operation::ChangeHold, &change.hold, &change.keyed) else {
            return;
        };
        if let Some(expires_at) = change.expires_at {
            hold.expires_at = expires_at;
            self.index.due.insert((expires_at, Due::HoldEnds(change.hold)));
        }
        for (line, placed) in hold.lines.iter_mut().zip(&hold.placed.lines) {
            let Some(kept) = change.keep.get(&line.line).filter(|kept| **kept < line.quantity) else {
                continue;
            };
            let back = line.quantity.checked_sub(*kept).map_or(Decimal::ZERO, Decimal::clamped);
            line.give_back(back, &placed.needs);
            line.quantity = *kept;
        }
        if hold.expires_at <= at.stock.now {
            // The wish came late: its moment is over, also for what stands behind it in the same entry.
            return self.end_hold(at, hold, HoldState::Expired);
        }
        self.put_hold(at, hold);
    }

    pub(super) fn is_held(&self, hold: &HoldId) -> bool {
        self.reader.hold(hold).is_some_and(|hold| hold.state == HoldState::Held)
    }

    /// A hold that was extended again and again may have outlived its key, and is found by nothing once it is over.
    pub(super) fn hold_is_over(&mut self, hold: &HoldRecord) {
        if self.reader.key(&KeyId::new(Operation::PlaceHold, &hold.placed.keyed)).is_none() {
            self.digest = self.digest.wrapping_add(self.reader.0.forget_hold(&hold.placed.hold));
        }
    }

    pub(super) fn release_hold(&mut self, at: &mut At<'_>, release: &ReleaseHold) {
        if !self.is_first(Operation::ReleaseHold, &release.keyed) {
            return;
        }
        if let Some(hold) = self.own_hold(at, Operation::ReleaseHold, &release.hold, &release.keyed) {
            self.end_hold(at, hold, HoldState::Released);
        }
    }

    /// The hold, if it is the account's and in force; remembers the key either way.
    fn own_hold(
        &mut self,
        at: &At<'_>,
        operation: Operation,
        hold: &HoldId,
        keyed: &pannier_protocol::order::KeyedBy,
    ) -> Option<HoldRecord> {
        let late = at.stream_time > keyed.judge_before;
        let own = self.reader.hold(hold).filter(|it| it.placed.keyed.account == keyed.account);
        let outcome = match (&own, late) {
            (_, true) => KeyOutcome::Expired,
            (Some(_), false) => KeyOutcome::Hold(*hold),
            (None, false) => KeyOutcome::Unknown,
        };
        self.remember(at, operation, keyed, outcome);
        own.filter(|it| !late && it.state == HoldState::Held).map(|it| (*it).clone())
    }

    pub(super) fn hold_ends(&mut self, at: &mut At<'_>, hold: &HoldId, time: Timestamp) {
        let Some(hold) = self.reader.hold(hold) else { return };
        if hold.state == HoldState::Held && hold.expires_at <= time {
            self.end_hold(at, (*hold).clone(), HoldState::Expired);
        }
    }

    pub(super) fn end_hold(&mut self, at: &mut At<'_>, mut hold: HoldRecord, state: HoldState) {
        hold.state = state;
        hold.lines.iter_mut().for_each(|line| line.allocations.clear());
        self.put_hold(at, hold.clone());
        self.hold_is_over(&hold);
    }

    pub(super) fn put_hold(&mut self, at: &mut At<'_>, hold: HoldRecord) {
        for item in self.write_hold(at, hold) {
            self.show_item(at, item);
        }
    }

    /// Writes a hold; what is shown of these items is up to the caller.
    pub(super) fn write_hold(&mut self, at: &At<'_>, hold: HoldRecord) -> BTreeSet<ItemNo> {
        let id = hold.placed.hold;
        let items_of = |hold: &HoldRecord| takes(&hold.lines).map(|take| at.item(&take.item)).collect();
        let old: BTreeSet<_> = self.reader.hold(&id).as_deref().map(items_of).unwrap_or_default();
        let new = items_of(&hold);
        self.index_items(Owner::Hold(id), &old, &new);
        self.digest = self.digest.wrapping_add(self.reader.0.set_hold(hold));
        old.union(&new).copied().collect()
    }
}
