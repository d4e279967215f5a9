//! The stable hash of one price row: XXH3-128 of the row's canonical MessagePack (as on the wire, with
//! external ids), seeded with XXH3-64 of that of what it shares with the rows beside it: scope, currency and
//! dates. Rows keep no hash of their own (16 bytes of 40); it is made again when a row goes.

use pannier_protocol::change::PriceScope;
use serde::Serialize;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use super::row::Row;
use super::terms::{TermsNo, TermsTable};
use crate::dictionary::Dictionary;

/// Hashes rows of one scope; remembers the seed of the last terms.
pub(super) struct RowHasher<'a> {
    scope: &'a PriceScope,
    terms: &'a TermsTable,
    dictionary: &'a Dictionary,
    seed: Option<(TermsNo, u64)>,
    buffer: Vec<u8>,
}

impl<'a> RowHasher<'a> {
    pub(super) fn new(scope: &'a PriceScope, terms: &'a TermsTable, dictionary: &'a Dictionary) -> Self {
        Self { scope, terms, dictionary, seed: None, buffer: Vec::with_capacity(128) }
    }

    pub(super) fn hash(&mut self, row: &Row) -> u128 {
        let seed = match self.seed {
            Some((terms, seed)) if terms == row.terms => seed,
            Some(_) | None => {
                let terms = self.terms.get(row.terms);
                self.write(&(self.scope, terms.currency, &terms.from, &terms.to));
                let seed = xxh3_64(&self.buffer);
                self.seed = Some((row.terms, seed));
                seed
            }
        };
        let (dictionary, place, pricing) = (self.dictionary, row.place, row.pricing());
        let name = place.target.name(dictionary);
        let (item, class) = if place.target.is_class() { (None, Some(name)) } else { (Some(name), None) };
        let uom = place.uom().map(|uom| dictionary.uoms.name(uom));
        let warehouse = place.warehouse().map(|warehouse| dictionary.warehouses.name(warehouse));
        let break_uom = pricing.break_uom.map(|uom| dictionary.uoms.name(uom));
        self.write(&(item, class, uom, warehouse, pricing.per, pricing.method, break_uom, pricing.breaks()));
        xxh3_128_with_seed(&self.buffer, seed)
    }

    fn write(&mut self, value: &impl Serialize) {
        self.buffer.clear();
        let mut serializer = rmp_serde::Serializer::new(&mut self.buffer).with_struct_map();
        let written = value.serialize(&mut serializer);
        assert!(written.is_ok(), "wire types serialize into memory without failing");
    }
}
