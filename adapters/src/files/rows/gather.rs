//! Rows of one key to one thing, in the order in which keys first appear.

use std::collections::HashMap;
use std::hash::Hash;

use pannier_protocol::Change;

use super::{Body, Parsed};
use crate::files::row::{Cell, CellError, Reject, Row};
use crate::files::table::REMOVED;

/// Things by key, each with the rows that it came from.
pub(super) struct Gathered<'a, K, T> {
    places: HashMap<K, usize>,
    things: Vec<Thing<'a, K, T>>,
    rejects: Vec<Reject>,
}

struct Thing<'a, K, T> {
    key: K,
    /// `None` until a row was good.
    value: Option<T>,
    rows: Vec<Row<'a>>,
    /// A row of it was bad, and without that row the rest would say something else.
    spoilt: bool,
}

/// What became of the things.
pub(super) struct Finished<K, U> {
    pub(super) built: Vec<U>,
    pub(super) rejects: Vec<Reject>,
    /// Keys of things that could not be built.
    pub(super) failed: Vec<K>,
}

impl<'a, K: Hash + Eq + Clone, T> Gathered<'a, K, T> {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), things: Vec::new(), rejects: Vec::new() }
    }

    /// Adds a row to its thing, which is `None` before its first good row. What `add` refuses is rejected: that
    /// row alone, or, where `whole`, the thing with all its rows.
    pub(super) fn add(
        &mut self,
        row: Row<'a>,
        key: K,
        whole: bool,
        add: impl FnOnce(&mut Option<T>) -> Cell<()>,
    ) {
        let place = *self.places.entry(key.clone()).or_insert_with(|| {
            self.things.push(Thing { key, value: None, rows: Vec::new(), spoilt: false });
            self.things.len() - 1
        });
        let thing = &mut self.things[place];
        match add(&mut thing.value) {
            Ok(()) => thing.rows.push(row),
            Err(error) => {
                thing.spoilt |= whole;
                self.rejects.push(row.reject(error));
            }
        }
    }

    /// Sets aside a row without a readable key.
    pub(super) fn reject(&mut self, row: Row<'a>, error: CellError) {
        self.rejects.push(row.reject(error));
    }

    /// What is left, checked; of what is spoilt or invalid every row is rejected.
    pub(super) fn finish<U>(self, build: impl Fn(&K, T) -> Cell<U>) -> Finished<K, U> {
        let (mut built, mut rejects, mut failed) =
            (Vec::with_capacity(self.things.len()), self.rejects, Vec::new());
        for Thing { key, value, rows, spoilt } in self.things {
            let made = match value {
                Some(value) if !spoilt => build(&key, value),
                Some(_) | None => {
                    let reason = "another row of the same key is bad, and without it this one would mislead";
                    Err(CellError::row(reason))
                }
            };
            match made {
                Ok(value) => built.push(value),
                Err(error) => {
                    rejects.extend(rows.iter().map(|row| row.reject(error.clone())));
                    failed.push(key);
                }
            }
        }
        rejects.sort_by_key(|reject| reject.line);
        Finished { built, rejects, failed }
    }
}

/// A change that passes its own rules.
pub(super) fn checked(change: Change) -> Cell<Change> {
    match change.check() {
        Ok(()) => Ok(change),
        Err(error) => Err(CellError { column: error.field.to_owned(), reason: error.reason.to_owned() }),
    }
}

/// Rows that are one change each, or take one away, in their order.
pub(super) fn one_by_one(
    rows: &[Row<'_>],
    change: impl Fn(&Row<'_>) -> Cell<Change>,
    removal: impl Fn(&Row<'_>) -> Cell<Change>,
) -> Parsed {
    let mut parsed = Parsed::default();
    let mut groups = Vec::with_capacity(rows.len());
    for row in rows {
        let taken = row.yes(REMOVED).and_then(|removed| {
            groups.push(vec![if removed { removal(row)? } else { change(row).and_then(checked)? }]);
            Ok(())
        });
        if let Err(error) = taken {
            parsed.rejects.push(row.reject(error));
            parsed.failed.extend(removal(row));
        }
    }
    parsed.body = Body::Groups(groups);
    parsed
}
