//! Changes into messages: as full as the limits allow, without cutting what must apply as one.

use pannier_protocol::change::{Prices, PricesRemoved};
use pannier_protocol::codec;
use pannier_protocol::limits::{LEDGER_CHUNK_BYTES_MAX, MESSAGE_BYTES_MAX, MESSAGE_CHANGES_MAX};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding};
use serde::Serialize;

use super::row_key::header;
use crate::limits::{ENVELOPE_BYTES_MAX, UNIT_ROWS_MAX};

/// What a message may hold beside its envelope.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    bytes: usize,
    /// Changes; a price row counts as one.
    changes: usize,
}

impl Room {
    /// One change is left for the mark of a part.
    pub(super) fn of(subject: &Subject) -> Self {
        let bytes = if subject.in_ledger() { LEDGER_CHUNK_BYTES_MAX } else { MESSAGE_BYTES_MAX };
        Self { bytes: bytes - ENVELOPE_BYTES_MAX, changes: MESSAGE_CHANGES_MAX - 1 }
    }
}

/// Several changes for one message, or what is too large for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packed {
    Message(Vec<Change>),
    /// One group in several messages: a unit.
    Unit(Vec<Vec<Change>>),
}

/// Groups into as few messages as possible; each group stays whole.
pub(super) fn pack_groups(groups: Vec<Vec<Change>>, room: Room) -> Vec<Packed> {
    let mut packed = Vec::new();
    let (mut open, mut left) = (Vec::new(), room);
    for group in groups.into_iter().filter(|group| !group.is_empty()) {
        let (bytes, changes) = group.iter().map(size).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let fits = bytes <= left.bytes && changes <= left.changes;
        if !fits && !open.is_empty() {
            packed.push(Packed::Message(std::mem::take(&mut open)));
            left = room;
        }
        if bytes <= left.bytes && changes <= left.changes {
            left = Room { bytes: left.bytes - bytes, changes: left.changes - changes };
            open.extend(group);
        } else {
            packed.extend(pack_large(group, room));
        }
    }
    if !open.is_empty() {
        packed.push(Packed::Message(open));
    }
    packed
}

/// A group that fills messages: a unit, or several where even that is bounded.
fn pack_large(group: Vec<Change>, room: Room) -> Vec<Packed> {
    let mut units: Vec<(u64, Vec<Vec<Change>>)> = Vec::new();
    for part in pack_parts(group, room) {
        let rows = rows_count(&part);
        match units.last_mut().filter(|(staged, _)| staged + rows <= UNIT_ROWS_MAX) {
            Some((staged, parts)) => {
                *staged += rows;
                parts.push(part);
            }
            None => units.push((rows, vec![part])),
        }
    }
    let packed = |(_, mut parts): (u64, Vec<Vec<Change>>)| match parts.len() {
        1 => Packed::Message(parts.remove(0)),
        _ => Packed::Unit(parts),
    };
    units.into_iter().map(packed).collect()
}

/// Changes into parts that apply together later, cut wherever a part is full. Price rows that follow each
/// other with the same header share one change.
pub(super) fn pack_parts(changes: impl IntoIterator<Item = Change>, room: Room) -> Vec<Vec<Change>> {
    let mut parts = Parts { room, left: room, done: Vec::new(), open: Vec::new() };
    for change in changes {
        if let Change::Prices(prices) = change {
            parts.push_prices(prices);
        } else if let Change::PricesRemoved(removed) = change {
            parts.push_removed(&removed);
        } else {
            parts.make_room(encoded_bytes(&change));
            parts.open.push(change);
        }
    }
    parts.flush();
    parts.done
}

struct Parts {
    room: Room,
    left: Room,
    done: Vec<Vec<Change>>,
    open: Vec<Change>,
}

impl Parts {
    fn flush(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
        self.left = self.room;
    }

    /// Takes `bytes` and one change of what is left, in the next part if this one is full. True: it is.
    fn make_room(&mut self, bytes: usize) -> bool {
        let full = bytes > self.left.bytes || self.left.changes == 0;
        if full {
            self.flush();
        }
        self.left.bytes = self.left.bytes.saturating_sub(bytes);
        self.left.changes -= 1;
        full
    }

    fn push_prices(&mut self, prices: Prices) {
        let empty = header(&prices);
        let header_bytes = encoded_bytes(&Change::Prices(empty.clone())) + LENGTH_BYTES;
        for row in prices.rows {
            let same = |open: &Prices| {
                (&open.scope, open.currency, &open.from, &open.to)
                    == (&empty.scope, empty.currency, &empty.from, &empty.to)
            };
            let goes_on = matches!(self.open.last(), Some(Change::Prices(open)) if same(open));
            let bytes = encoded_bytes(&row);
            let began = self.make_room(if goes_on { bytes } else { bytes + header_bytes });
            match self.open.last_mut() {
                Some(Change::Prices(open)) if goes_on && !began => open.rows.push(row),
                _ => {
                    if goes_on && began {
                        self.left.bytes = self.left.bytes.saturating_sub(header_bytes);
                    }
                    self.open.push(Change::Prices(Prices { rows: vec![row], ..empty.clone() }));
                }
            }
        }
    }

    fn push_removed(&mut self, removed: &PricesRemoved) {
        for keys in removed.rows.chunks(REMOVED_KEYS) {
            let change = Change::PricesRemoved(PricesRemoved { rows: keys.to_vec(), ..removed.clone() });
            self.make_room(encoded_bytes(&change));
            self.open.push(change);
        }
    }
}

/// Keys in one change of removals: at most 70 KiB.
const REMOVED_KEYS: usize = 256;
/// A list of more than 15 elements has a longer length than an empty one.
const LENGTH_BYTES: usize = 4;

/// Bytes, and how many changes it counts as.
fn size(change: &Change) -> (usize, usize) {
    let count = if let Change::Prices(prices) = change { prices.rows.len() } else { 1 };
    (encoded_bytes(change), count)
}

/// How many rows a snapshot counts a change as: a change is one, a price row is one.
pub(super) fn rows_count(changes: &[Change]) -> u64 {
    let rows =
        |change: &Change| if let Change::Prices(prices) = change { prices.rows.len() as u64 } else { 1 };
    changes.iter().map(rows).sum()
}

fn encoded_bytes<T: Serialize>(value: &T) -> usize {
    codec::encode(Encoding::MessagePack, value).map_or(usize::MAX / 4, |bytes| bytes.len())
}
