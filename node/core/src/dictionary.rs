//! External ids to small numbers and back, one dictionary a node. The numbers depend on arrival order: they
//! appear in no message and no digest; a checkpoint has ranks of its own (`checkpoint::ranks`).

use compact_str::CompactString;
use dashmap::DashMap;
use pannier_protocol::change::PriceScope;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::limits::TABLE_SHARDS_SMALL;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl From<u32> for $name {
            fn from(number: u32) -> Self {
                Self(number)
            }
        }

        impl From<$name> for u32 {
            fn from(number: $name) -> Self {
                number.0
            }
        }
    )+};
}

numbers! {
    /// An interned item id.
    ItemNo,
    /// An interned warehouse id.
    WarehouseNo,
    /// An interned account id.
    AccountNo,
    /// An interned product class.
    ClassNo,
    /// An interned unit of measure.
    UomNo,
    /// An interned price scope (contract, account, group, promotion or list).
    ScopeNo,
}

/// Ids of one kind. Numbers are dense from 0 and never change their meaning; ids are never forgotten.
pub struct Interner<N> {
    numbers: DashMap<CompactString, u32, FxBuildHasher>,
    names: boxcar::Vec<CompactString>,
    kind: std::marker::PhantomData<N>,
}

impl<N: Copy + From<u32> + Into<u32>> Interner<N> {
    fn new() -> Self {
        Self {
            numbers: DashMap::with_hasher_and_shard_amount(FxBuildHasher, TABLE_SHARDS_SMALL),
            names: boxcar::Vec::new(),
            kind: std::marker::PhantomData,
        }
    }

    /// The number of `name`, given now if it had none. At 2^32 names it panics: the node is out of ids.
    pub fn intern(&self, name: &str) -> N {
        if let Some(number) = self.get(name) {
            return number;
        }
        let entry = self.numbers.entry(CompactString::new(name)).or_insert_with(|| {
            let at = self.names.push(CompactString::new(name));
            u32::try_from(at).expect("fewer than 2^32 ids of one kind")
        });
        N::from(*entry.value())
    }

    /// The number of `name`, if it was ever interned. Lookups ask this, so that requests intern nothing.
    pub fn get(&self, name: &str) -> Option<N> {
        self.numbers.get(name).map(|entry| N::from(*entry.value()))
    }

    /// The id behind a number; empty for a number that this interner never gave.
    pub fn name(&self, number: N) -> &str {
        self.names.get(number.into() as usize).map_or("", CompactString::as_str)
    }

    pub fn len(&self) -> usize {
        self.names.count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All interners of a node; shared by every table.
pub struct Dictionary {
    pub items: Interner<ItemNo>,
    pub warehouses: Interner<WarehouseNo>,
    pub accounts: Interner<AccountNo>,
    pub classes: Interner<ClassNo>,
    pub uoms: Interner<UomNo>,
    pub(crate) scopes: Interner<ScopeNo>,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            items: Interner::new(),
            warehouses: Interner::new(),
            accounts: Interner::new(),
            classes: Interner::new(),
            uoms: Interner::new(),
            scopes: Interner::new(),
        }
    }
}

impl Dictionary {
    pub fn scope(&self, scope: &PriceScope) -> ScopeNo {
        self.scopes.intern(&scope_key(scope))
    }

    pub fn scope_if_known(&self, scope: &PriceScope) -> Option<ScopeNo> {
        self.scopes.get(&scope_key(scope))
    }

    /// As in `contract K-7`.
    pub fn scope_name(&self, scope: ScopeNo) -> &str {
        self.scopes.name(scope)
    }

    /// The id in a scope's name, as in `K-7`.
    pub fn scope_id(&self, scope: ScopeNo) -> Option<&str> {
        self.scope_name(scope).split_once(' ').map(|(_, id)| id)
    }
}

fn scope_key(scope: &PriceScope) -> CompactString {
    compact_str::format_compact!("{scope}")
}
