//! Tryton without its database: what changed, asked over REST.
//!
//! What makes a poll lose things, and what is done about it:
//!
//! - A new row has no `write_date`: `create_date` counts as well.
//! - Both are when the transaction began, so a row may appear with a time that an earlier poll has passed: each poll
//!   looks back before the last change that it saw, by Tryton's own clock, and what it knows already is no news. A row
//!   from the future, of a day on which that clock was wrong, does not make polls look away until then.
//! - What was deleted shows in no poll: now and then all of it is read and compared. The prices that Tryton computes
//!   are deleted and made again as a whole, so one new row there means that all of them are read.
//! - All of it is many pages, and Tryton works meanwhile: what changed since it began is read once more before any of
//!   it is said.

use std::collections::BTreeSet;

use pannier_protocol::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::cell;
use super::intake::Batch;
use super::model::Model;
use super::table::{Read, Table};
use super::text::instant;
use crate::tryton::{Query, Rest, RestError};

/// How far one has read, by Tryton's clock; `None`: nothing was ever there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) stock: Option<Timestamp>,
    pub(super) catalog: Option<Timestamp>,
}

/// Which tables a poll is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Stock,
    Catalog,
}

impl Part {
    fn tables(self) -> Vec<Table> {
        let of = |table: &Table| if table.is_stock() { Self::Stock } else { Self::Catalog };
        Table::ALL.iter().copied().filter(|table| of(table) == self).collect()
    }
}

impl Cursor {
    fn at(&mut self, part: Part) -> &mut Option<Timestamp> {
        match part {
            Part::Stock => &mut self.stock,
            Part::Catalog => &mut self.catalog,
        }
    }

    /// Moves it on to the latest time seen in a poll that began at `begun`, by this machine's clock: no change that is
    /// still to come is dated before both of them by more than the overlap.
    fn saw(&mut self, part: Part, seen: Option<Timestamp>, begun: Timestamp) {
        *self.at(part) = seen.map(|seen| seen.min(begun));
    }
}

/// Reads Tryton's tables.
pub(super) struct Poll {
    rest: Rest,
    overlap_ms: u64,
}

/// Rows of one reading, and the latest time among them.
#[derive(Default)]
struct Found {
    reads: Vec<Read>,
    seen: Option<Timestamp>,
}

impl Poll {
    pub(super) fn new(rest: &Rest, overlap_ms: u64) -> Self {
        // Records that are not active any more are read too: how else would one learn it.
        Self { rest: rest.within(&json!({"active_test": false})), overlap_ms }
    }

    /// What changed in one part since `cursor`, which is moved on; `begun` is now.
    pub(super) async fn changed(
        &self,
        part: Part,
        cursor: &mut Cursor,
        model: &Model,
        begun: Timestamp,
    ) -> Result<Batch, RestError> {
        let mut batch = Batch::default();
        let since = cursor.at(part).map(|seen| self.before(seen));
        let mut seen = *cursor.at(part);
        for table in part.tables() {
            let mut found = self.table(table, since).await?;
            if table.is_rewritten() && found.reads.iter().any(|read| !model.knows(read)) {
                let whole = self.table(table, None).await?;
                batch.whole.insert(table);
                found = Found { seen: found.seen.max(whole.seen), reads: whole.reads };
            }
            seen = seen.max(found.seen);
            batch.reads.extend(found.reads);
        }
        cursor.saw(part, seen, begun);
        Ok(batch)
    }

    /// All of it; `begun` is now.
    pub(super) async fn all(&self, cursor: &mut Cursor, begun: Timestamp) -> Result<Batch, RestError> {
        let again = self.newest().await?.map(|newest| self.before(newest.min(begun)));
        let mut batch = Batch { whole: Table::ALL.iter().copied().collect(), ..Batch::default() };
        let mut after = Cursor::default();
        for since in std::iter::once(None).chain(again.map(Some)) {
            for part in [Part::Catalog, Part::Stock] {
                for table in part.tables() {
                    let found = self.table(table, since).await?;
                    *after.at(part) = (*after.at(part)).max(found.seen);
                    batch.reads.extend(found.reads);
                }
            }
        }
        cursor.saw(Part::Catalog, after.catalog, begun);
        cursor.saw(Part::Stock, after.stock, begun);
        Ok(batch)
    }

    fn before(&self, seen: Timestamp) -> Timestamp {
        seen.plus_millis(-i64::try_from(self.overlap_ms).unwrap_or(i64::MAX))
    }

    /// A time of Tryton's clock that is not after now: all that changes from here on is later, less the overlap.
    async fn newest(&self) -> Result<Option<Timestamp>, RestError> {
        let query = Query::of(Table::Move.model(), &["create_date"]).order(json!([["id", "DESC"]])).limit(1);
        let rows: Vec<Map<String, Value>> = self.rest.search(&query).await?;
        let created = rows.first().and_then(|row| cell::read(Table::Move, row)).and_then(|(_, at)| at);
        Ok(created.as_deref().and_then(instant))
    }

    async fn table(&self, table: Table, since: Option<Timestamp>) -> Result<Found, RestError> {
        let mut fields = table.columns().to_vec();
        fields.extend(["create_date", "write_date"].iter().filter(|it| !table.columns().contains(it)));
        let domain = since.map_or_else(|| json!([]), changed_since);
        let mut query = Query::of(table.model(), &fields).filter(domain);
        let first = query.clone();
        let (mut found, mut ids) = (Found::default(), BTreeSet::new());
        loop {
            let rows: Vec<Map<String, Value>> = self.rest.search(&query).await?;
            let is_last = rows.len() < query.limit_asked();
            let mut last = None;
            for row in &rows {
                let Some((read, written)) = cell::read(table, row) else {
                    let reason = "a row without an id".to_owned();
                    return Err(RestError::Unreadable { what: table.model().to_owned(), reason });
                };
                found.seen = found.seen.max(written.as_deref().and_then(instant));
                last = Some(read.id);
                if ids.insert(read.id) {
                    found.reads.push(read);
                }
            }
            match last {
                Some(last) if !is_last => query = first.after(last),
                _ => return Ok(found),
            }
        }
    }
}

/// A row that was never written again has a null there, which is in no comparison.
fn changed_since(at: Timestamp) -> Value {
    let moment = crate::tryton::Moment(at);
    json!(["OR", [["write_date", ">=", moment]], [["create_date", ">=", moment]]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_future_does_not_make_polls_look_away() {
        let at = |millis| Timestamp::from_millis(millis);
        let mut cursor = Cursor::default();
        for (seen, begun, want) in [
            (None, 100, None),
            (Some(90), 100, Some(90)),
            (Some(9_000), 200, Some(200)),
            // Tryton's clock is behind, or ours was set back.
            (Some(150), 160, Some(150)),
        ] {
            cursor.saw(Part::Stock, seen.map(at), at(begun));
            assert_eq!((cursor.stock, cursor.catalog), (want.map(at), None), "{seen:?} at {begun}");
        }
    }
}
