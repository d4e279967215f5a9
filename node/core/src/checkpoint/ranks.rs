//! Interned numbers to ranks: the place of an id among all ids of its kind.

use crate::dictionary::{AccountNo, ClassNo, Dictionary, Interner, ItemNo, ScopeNo, UomNo, WarehouseNo};

/// How many ids of each kind there were, in the order of [`Ranks::KINDS`].
pub(super) type Counts = [usize; 6];

/// By number, of every kind.
pub(crate) struct Ranks {
    items: Vec<u32>,
    warehouses: Vec<u32>,
    accounts: Vec<u32>,
    classes: Vec<u32>,
    uoms: Vec<u32>,
    scopes: Vec<u32>,
}

/// The ids of one kind, by rank.
pub(super) type Names = [Vec<String>; 6];

/// What holds interned numbers and can hold ranks instead. Whatever is sorted by numbers is sorted anew.
pub(crate) trait Renumber {
    fn renumber(&mut self, ranks: &Ranks);
}

impl Ranks {
    pub(super) fn counts(dictionary: &Dictionary) -> Counts {
        let Dictionary { items, warehouses, accounts, classes, uoms, scopes } = dictionary;
        [items.len(), warehouses.len(), accounts.len(), classes.len(), uoms.len(), scopes.len()]
    }

    /// Of the first so many ids: those that came later belong to a later state.
    pub(super) fn new(dictionary: &Dictionary, counts: Counts) -> (Self, Names) {
        let (items, items_by_rank) = ranked(&dictionary.items, counts[0]);
        let (warehouses, warehouses_by_rank) = ranked(&dictionary.warehouses, counts[1]);
        let (accounts, accounts_by_rank) = ranked(&dictionary.accounts, counts[2]);
        let (classes, classes_by_rank) = ranked(&dictionary.classes, counts[3]);
        let (uoms, uoms_by_rank) = ranked(&dictionary.uoms, counts[4]);
        let (scopes, scopes_by_rank) = ranked(&dictionary.scopes, counts[5]);
        let names = [
            items_by_rank,
            warehouses_by_rank,
            accounts_by_rank,
            classes_by_rank,
            uoms_by_rank,
            scopes_by_rank,
        ];
        (Self { items, warehouses, accounts, classes, uoms, scopes }, names)
    }

    pub(super) fn intern(dictionary: &Dictionary, kind: usize, name: &str) -> Option<u32> {
        Some(match kind {
            0 => dictionary.items.intern(name).0,
            1 => dictionary.warehouses.intern(name).0,
            2 => dictionary.accounts.intern(name).0,
            3 => dictionary.classes.intern(name).0,
            4 => dictionary.uoms.intern(name).0,
            5 => dictionary.scopes.intern(name).0,
            _ => return None,
        })
    }
}

fn ranked<N: Copy + From<u32> + Into<u32>>(interner: &Interner<N>, count: usize) -> (Vec<u32>, Vec<String>) {
    let count = u32::try_from(count).expect("fewer than 2^32 ids of one kind");
    let mut numbers: Vec<u32> = (0..count).collect();
    numbers.sort_by_key(|number| interner.name(N::from(*number)));
    let mut ranks = vec![0; numbers.len()];
    for (rank, number) in numbers.iter().enumerate() {
        ranks[*number as usize] = rank as u32;
    }
    let names = numbers.iter().map(|number| interner.name(N::from(*number)).to_owned());
    (ranks, names.collect())
}

macro_rules! numbers {
    ($($number:ident $kind:ident),+) => {$(
        impl Renumber for $number {
            fn renumber(&mut self, ranks: &Ranks) {
                self.0 = ranks.$kind[self.0 as usize];
            }
        }
    )+};
}

numbers!(ItemNo items, WarehouseNo warehouses, AccountNo accounts, ClassNo classes, UomNo uoms, ScopeNo scopes);

impl<T: Renumber> Renumber for Option<T> {
    fn renumber(&mut self, ranks: &Ranks) {
        self.iter_mut().for_each(|value| value.renumber(ranks));
    }
}

impl<T: Renumber> Renumber for [T] {
    fn renumber(&mut self, ranks: &Ranks) {
        self.iter_mut().for_each(|value| value.renumber(ranks));
    }
}
