//! Headers of price scopes, and their rows.

use std::sync::Arc;

use pannier_protocol::change::{Break, Method, Table};
use pannier_protocol::{ClassId, SourceId, Timestamp, WarehouseId};

use super::tally::{Amount, Facts};
use super::{Compared, Comparison, Place, Sources, Tallies, distinct};
use crate::catalog::{CatalogChain, Header, Pricing, Row, RowKey, Scope, find_item, show_row};
use crate::dictionary::{Dictionary, ScopeNo};

/// What a row prices, and until when.
struct Priced<'a> {
    row: &'a Row,
    end: Timestamp,
}

impl PartialEq for Priced<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.row.pricing(), other.row.pricing());
        let terms = |it: &Pricing<'_>| (it.per, it.break_uom);
        self.end == other.end && terms(&a) == terms(&b) && a.method == b.method && a.breaks() == b.breaks()
    }
}

impl Compared for Priced<'_> {
    fn facts(&self, names: &Dictionary) -> Facts {
        let pricing = self.row.pricing();
        let of_break = |Break(from, value): &Break| match from.is_zero() {
            true => value.to_string(),
            false => format!("{value} from {from}"),
        };
        let breaks: Vec<String> = pricing.breaks().iter().map(of_break).collect();
        let uom = pricing.break_uom.map(|uom| ("break_uom", names.uoms.name(uom).to_owned()));
        let until = (self.end < Timestamp::MAX).then(|| ("until", self.end.to_string()));
        let method = match pricing.method {
            Method::Fixed => "fixed".to_owned(),
            Method::Incremental => "incremental".to_owned(),
            Method::ListMultiplier => "list_multiplier".to_owned(),
            Method::ListPercentOff => "list_percent_off".to_owned(),
            Method::ListChain { percents, round_digits } => {
                let percents: Vec<String> = percents.iter().map(ToString::to_string).collect();
                let digits = round_digits.map_or_else(String::new, |digits| format!(" to {digits} digits"));
                format!("list_chain {}{digits}", percents.join(", "))
            }
        };
        let facts = Facts::new(
            [("price", breaks.join(", ")), ("per", pricing.per.to_string()), ("method", method)]
                .into_iter()
                .chain(uom)
                .chain(until),
        );
        // The price of much is where money is lost.
        let last = pricing.breaks().last().map(|it| i128::from(it.1.micros()));
        match last {
            Some(micros) => facts.with(Amount::Relative { micros }),
            None => facts,
        }
    }
}

/// One chain's part of a scope.
type Part<'a> = (&'a CatalogChain, Arc<Scope>);

impl Comparison<'_> {
    pub(super) fn prices(&self, chains: &[CatalogChain], tallies: &mut Tallies) {
        for no in distinct(chains.iter().map(|chain| chain.rows.scope_numbers())) {
            let parts: Vec<Part<'_>> =
                chains.iter().filter_map(|chain| Some((chain, chain.rows.scope(no)?))).collect();
            self.header(no, &parts, tallies);
            self.rows_of(&parts, tallies);
        }
    }

    fn header(&self, no: ScopeNo, parts: &[Part<'_>], tallies: &mut Tallies) {
        let names = self.dictionary;
        let headers = parts
            .iter()
            .filter_map(|(chain, scope)| Some((&chain.source, of_header(scope.header()?, names))));
        let place = Place { table: Table::Scopes, warehouse: None, class: None };
        self.compare(tallies, place, &headers.collect(), || names.scope_name(no).to_owned());
    }

    fn rows_of(&self, parts: &[Part<'_>], tallies: &mut Tallies) {
        let mut rows: Vec<(RowKey, &SourceId, Priced<'_>)> = Vec::new();
        for (chain, scope) in parts {
            let terms = chain.rows.terms();
            rows.extend(scope.keyed(terms).map(|(key, row, end)| (key, &chain.source, Priced { row, end })));
        }
        let Some((_, scope)) = parts.first() else { return };
        // Stable: of one key the sources stay in the order of their ids.
        rows.sort_by_key(|(key, _, _)| *key);
        let mut rows = rows.into_iter().peekable();
        while let Some((key, source, priced)) = rows.next() {
            let mut same: Sources<'_, Priced<'_>> = vec![(source, priced)];
            while let Some((_, source, priced)) = rows.next_if(|(next, _, _)| *next == key) {
                same.push((source, priced));
            }
            self.row(scope, key, &same, tallies);
        }
    }

    fn row(&self, scope: &Scope, key: RowKey, rows: &Sources<'_, Priced<'_>>, tallies: &mut Tallies) {
        let names = self.dictionary;
        let warehouse = key.place.warehouse().map(|no| names.warehouses.name(no));
        let warehouse = warehouse.and_then(|name| WarehouseId::new(name).ok());
        let target = key.place.target;
        let class = match target.item_no() {
            Some(item) => find_item(self.catalog, item).and_then(|item| item.class_id.clone()),
            None => ClassId::new(target.name(names)).ok(),
        };
        let place = Place { table: Table::Prices, warehouse: warehouse.as_ref(), class: class.as_ref() };
        self.compare(tallies, place, rows, || {
            let from = (key.start > Timestamp::MIN).then(|| format!(" from {}", key.start));
            let from = from.unwrap_or_default();
            format!("{} {}{from}", show_row(&scope.scope, key.place, names), key.currency)
        });
    }
}

fn of_header(header: &Header, names: &Dictionary) -> Facts {
    let mut members: Vec<&str> = header.members.iter().map(|member| names.scope_name(*member)).collect();
    members.sort_unstable();
    let parent =
        header.parent.map(|(list, times)| ("parent", format!("{times} of {}", names.scope_name(list))));
    let from = (header.start > Timestamp::MIN).then(|| ("from", header.start.to_string()));
    let until = (header.end < Timestamp::MAX).then(|| ("until", header.end.to_string()));
    Facts::new([("members", members.join(", "))].into_iter().chain(parent).chain(from).chain(until))
}
