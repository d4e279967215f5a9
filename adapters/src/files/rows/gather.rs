//! Rows of one key to one thing, in the order in which keys first appear.

use std::collections::HashMap;
use std::hash::Hash;

use pannier_protocol::Change;

use crate::files::row::{Cell, CellError, Reject, Row};
use crate::files::table::REMOVED;

/// Things by key, each with the lines that it came from.
pub(super) struct Gathered<'a, K, T> {
    places: HashMap<K, usize>,
    things: Vec<Thing<'a, K, T>>,
    pub(super) rejects: Vec<Reject>,
}

pub(super) struct Thing<'a, K, T> {
    pub(super) key: K,
    pub(super) value: T,
    pub(super) rows: Vec<Row<'a>>,
    /// A row of it was bad, and without that row the rest would say something else.
    spoilt: bool,
}

impl<'a, K: Hash + Eq + Clone, T> Gathered<'a, K, T> {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), things: Vec::new(), rejects: Vec::new() }
    }

    /// Adds a row to its thing, made from the first one. What `add` refuses is rejected: that row alone,
    /// or, where `whole`, the thing with all its rows.
    pub(super) fn add(
        &mut self,
        row: Row<'a>,
        key: K,
        make: impl FnOnce() -> Cell<T>,
        whole: bool,
        add: impl FnOnce(&mut T) -> Cell<()>,
    ) {
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => match make() {
                Ok(value) => {
                    self.places.insert(key.clone(), self.things.len());
                    self.things.push(Thing { key, value, rows: Vec::new(), spoilt: false });
                    self.things.len() - 1
                }
                Err(error) => return self.rejects.push(row.reject(error)),
            },
        };
        let thing = &mut self.things[place];
        match add(&mut thing.value) {
            Ok(()) => thing.rows.push(row),
            Err(error) => {
                thing.spoilt |= whole;
                self.rejects.push(row.reject(error));
            }
        }
    }

    /// Marks a key whose row could not even be added.
    pub(super) fn reject(&mut self, row: Row<'a>, error: CellError) {
        self.rejects.push(row.reject(error));
    }

    /// What is left, checked; of what is spoilt or invalid every row is rejected.
    pub(super) fn finish<U>(mut self, build: impl Fn(K, T) -> Cell<U>) -> (Vec<U>, Vec<Reject>) {
        let mut built = Vec::with_capacity(self.things.len());
        for thing in self.things {
            let error = if thing.spoilt {
                CellError::row("another row of the same key is bad, and without it this one would mislead")
            } else {
                match build(thing.key, thing.value) {
                    Ok(value) => {
                        built.push(value);
                        continue;
                    }
                    Err(error) => error,
                }
            };
            self.rejects.extend(thing.rows.iter().map(|row| row.reject(error.clone())));
        }
        self.rejects.sort_by_key(|reject| reject.line);
        (built, self.rejects)
    }
}

/// A change that passes its own rules.
pub(super) fn checked(change: Change) -> Cell<Change> {
    match change.check() {
        Ok(()) => Ok(change),
        Err(error) => Err(CellError { column: error.field.to_owned(), reason: error.reason.to_owned() }),
    }
}

/// Rows that are one change each, or take one away.
pub(super) fn one_by_one(
    rows: &[Row<'_>],
    change: impl Fn(&Row<'_>) -> Cell<Option<Change>>,
    removal: impl Fn(&Row<'_>) -> Cell<Change>,
) -> crate::files::rows::Parsed {
    let mut parsed = crate::files::rows::Parsed::default();
    let mut groups = Vec::with_capacity(rows.len());
    for row in rows {
        let taken = match row.yes(REMOVED) {
            Ok(true) => removal(row).map(|change| parsed.removed.push(change)),
            Ok(false) => change(row).and_then(|change| {
                if let Some(change) = change {
                    groups.push(vec![checked(change)?]);
                }
                Ok(())
            }),
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            parsed.rejects.push(row.reject(error));
        }
    }
    parsed.body = crate::files::rows::Body::Groups(groups);
    parsed
}
