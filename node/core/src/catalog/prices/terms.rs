//! Currency and dates of price rows. A contract's ten thousand rows mostly share one pair of dates, so a row
//! carries the number of its terms; they hold both what the source wrote and the instants it means.

use std::sync::Mutex;

use pannier_protocol::{Currency, DateEdge, LocalDate, Timestamp, Zone};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// In force from `start` (inclusive) to `end` (exclusive).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub currency: Currency,
    pub from: Option<DateEdge>,
    pub to: Option<DateEdge>,
    /// [`Timestamp::MIN`]: always was.
    pub start: Timestamp,
    /// [`Timestamp::MAX`]: no end.
    pub end: Timestamp,
}

/// A number of interned terms; the number says nothing of their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TermsNo(pub(super) u32);

type Edge = Option<(LocalDate, bool, String)>;

/// All terms of a chain, never forgotten: there are as many as currencies times pairs of dates.
#[derive(Default)]
pub(crate) struct TermsTable {
    numbers: Mutex<FxHashMap<(Currency, Edge, Edge), u32>>,
    pub(super) terms: boxcar::Vec<Terms>,
}

impl TermsTable {
    /// `None` when a date is past the calendar.
    pub(crate) fn intern(
        &self,
        currency: Currency,
        from: Option<&DateEdge>,
        to: Option<&DateEdge>,
    ) -> Option<TermsNo> {
        let mut numbers = self.numbers.lock().expect("nothing panics while it holds this lock");
        let key = (currency, edge(from), edge(to));
        if let Some(number) = numbers.get(&key) {
            return Some(TermsNo(*number));
        }
        let (start, end) = instants(from, to)?;
        let at = self.terms.push(Terms { currency, from: from.cloned(), to: to.cloned(), start, end });
        let number = u32::try_from(at).expect("fewer than 2^32 pairs of dates");
        numbers.insert(key, number);
        Some(TermsNo(number))
    }

    pub(crate) fn get(&self, number: TermsNo) -> &Terms {
        &self.terms[number.0 as usize]
    }
}

/// The half-open span that two edges mean; `None` past the calendar.
pub(super) fn instants(from: Option<&DateEdge>, to: Option<&DateEdge>) -> Option<(Timestamp, Timestamp)> {
    let start = from.map_or(Some(Timestamp::MIN), DateEdge::start_instant)?;
    let end = to.map_or(Some(Timestamp::MAX), DateEdge::end_instant)?;
    Some((start, end))
}

fn edge(edge: Option<&DateEdge>) -> Edge {
    edge.map(|DateEdge { date, inclusive, zone }| (*date, *inclusive, Zone::name(zone).to_owned()))
}
