//! Items, accounts and prices, out of Tryton's products, parties and price lists.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::change::{Account, Break, Item, ItemStatus, Method, PriceKey, PriceRow};
use pannier_protocol::uom::ItemUom;
use pannier_protocol::{AccountId, Currency, DateEdge, Decimal, ItemId, ListId, LocalDate, UomCode, Zone};

use super::row::{Cache, Template, Uom};
use super::stock::ratio;
use super::table::Id;
use super::tables::Tables;

/// What an operator decides about the catalog.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// In which days are meant.
    pub(super) zone: Zone,
    /// The list of the items' own prices.
    pub(super) base_list: ListId,
    /// Orders past what is there are taken.
    pub(super) backorder: bool,
}

/// Names that hold for all rows.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) currency: Option<Currency>,
    pub(super) lists: BTreeMap<Id, ListId>,
    /// The product whose item it is: of several of one code the first.
    owners: BTreeMap<ItemId, Id>,
}

impl Names {
    pub(super) fn of(tables: &Tables, terms: &Terms) -> Self {
        let company = tables.companies.get(&tables.company);
        let code = company.and_then(|company| tables.currencies.get(&company.currency));
        let mut names = Self { currency: code.and_then(|code| Currency::new(code).ok()), ..Self::default() };
        let mut used = BTreeSet::from([terms.base_list.clone()]);
        for (id, list) in tables.price_lists.iter().filter(|(_, list)| list.is_active) {
            // Names need not be unique there; the first one has it.
            let plain = ListId::new(&list.name).ok().filter(|name| !used.contains(name));
            let name = plain.or_else(|| ListId::new(&format!("price-list-{id}")).ok());
            used.extend(name.clone());
            names.lists.extend(name.map(|name| (*id, name)));
        }
        for (id, product) in &tables.products {
            if let Ok(item) = ItemId::new(&product.code) {
                names.owners.entry(item).or_insert(*id);
            }
        }
        names
    }

    /// Which product an item is.
    pub(super) fn owner(&self, item: &str) -> Option<Id> {
        self.owners.get(item).copied()
    }

    /// What a product is called, unless another one of its code was there first.
    pub(super) fn item(&self, tables: &Tables, product: Id) -> Option<ItemId> {
        let item = ItemId::new(&tables.products.get(&product)?.code).ok()?;
        (self.owners.get(&item) == Some(&product)).then_some(item)
    }
}

/// The item that is sold as `product`; what is not for sale is none.
pub(super) fn item(tables: &Tables, terms: &Terms, product: Id, name: &ItemId) -> Option<Item> {
    let row = tables.products.get(&product)?;
    let template = tables.templates.get(&row.template).filter(|it| it.is_salable)?;
    let base = tables.uoms.get(&template.uom)?;
    let mut description = template.name.clone();
    while description.len() > pannier_protocol::limits::TEXT_BYTES_MAX {
        description.pop();
    }
    let is_active = row.is_active && template.is_active;
    Some(Item {
        item: name.clone(),
        description: (!description.is_empty()).then_some(description),
        base_uom: UomCode::new(&base.symbol).ok()?,
        uoms: uoms(tables, template, base),
        class: None,
        entitlement: None,
        status: if is_active { ItemStatus::Active } else { ItemStatus::Discontinued },
        backorder: terms.backorder && is_active,
        lot_tracked: false,
        kit: Vec::new(),
        relations: Vec::new(),
    })
}

/// The base unit and the one that it is sold by.
fn uoms(tables: &Tables, template: &Template, base: &Uom) -> Vec<ItemUom> {
    let sold = template.sale_uom.filter(|id| *id != template.uom).and_then(|id| tables.uoms.get(&id));
    let unit = |of: &Uom| {
        let (numerator, denominator) = ratio(of, base);
        Some(ItemUom {
            uom: UomCode::new(&of.symbol).ok()?,
            numerator: u32::try_from(numerator).ok().filter(|it| *it > 0)?,
            denominator: u32::try_from(denominator).ok().filter(|it| *it > 0)?,
            multiple: Some(Decimal::from_micros(of.rounding)).filter(|it| it.is_positive()),
            minimum: None,
        })
    };
    std::iter::once(base).chain(sold.filter(|it| it.is_active)).filter_map(unit).collect()
}

/// The account that `party` is; the company itself is none.
pub(super) fn account(tables: &Tables, names: &Names, terms: &Terms, party: Id) -> Option<Account> {
    let row = tables.parties.get(&party).filter(|it| it.is_active)?;
    if tables.companies.values().any(|it| it.party == party) {
        return None;
    }
    let account = AccountId::new(&row.code).ok()?;
    let lists = tables.by.lists_of_party.of(party).filter_map(|id| tables.party_lists.get(&id)?.list);
    let mut lists: Vec<ListId> = lists.filter_map(|list| names.lists.get(&list)).take(1).cloned().collect();
    lists.push(terms.base_list.clone());
    Some(Account {
        root: account.clone(),
        account,
        parent: None,
        groups: Vec::new(),
        currency: names.currency,
        entitlements: Vec::new(),
        contract_only: false,
        blocked: false,
        company: None,
        territories: Vec::new(),
        warehouses: Vec::new(),
        sourcing: None,
        lists,
    })
}

/// When a price begins to hold, by list: what the rows of one item are known by.
pub(super) type PriceAt = (ListId, Option<LocalDate>);

/// A price and the last day on which it holds.
pub(super) type PriceUntil = (PriceRow, Option<LocalDate>);

/// What an item costs.
pub(super) type Prices = BTreeMap<PriceAt, PriceUntil>;

/// What an item costs in each list. A list that Tryton has computed for some days holds before the first and after
/// the last of them too: nobody said that it ends.
pub(super) fn prices(tables: &Tables, names: &Names, terms: &Terms, product: Id) -> Prices {
    let mut found = BTreeMap::new();
    let Some(row) = tables.products.get(&product) else { return found };
    let Some(template) = tables.templates.get(&row.template).filter(|it| it.is_salable) else { return found };
    let Some(item) = names.item(tables, product) else { return found };
    let of = tables.by.list_prices_of_template.of(row.template).filter_map(|id| tables.list_prices.get(&id));
    let own = |it: &&super::row::ListPrice| it.price.is_some();
    let mut of: Vec<_> = of.filter(own).filter(|it| it.product.is_none_or(|of| of == product)).collect();
    of.sort_by_key(|it| it.product.is_none());
    if let Some(price) = of.first().and_then(|it| it.price).filter(|it| !it.is_negative()) {
        let breaks = vec![Break(Decimal::ZERO, price)];
        found.insert((terms.base_list.clone(), None), (price_row(item.clone(), None, breaks), None));
    }
    let mut lists: BTreeMap<Id, BTreeMap<Option<LocalDate>, &Cache>> = BTreeMap::new();
    for id in tables.by.caches_of_product.of(product) {
        // A page read twice may have the day's old row and its new one: the later id stands.
        if let Some(cache) = tables.caches.get(&id) {
            lists.entry(cache.list).or_default().insert(cache.date, cache);
        }
    }
    for (list, days) in lists {
        let Some(list) = names.lists.get(&list) else { continue };
        let mut begun: Option<(Option<LocalDate>, PriceRow)> = None;
        for (at, (date, cache)) in days.into_iter().enumerate() {
            let row = cached(tables, template, item.clone(), cache);
            if begun.as_ref().map(|(_, before)| before) == row.as_ref() {
                continue;
            }
            if let Some((from, before)) = begun.take() {
                let until = date.and_then(|date| date.plus_days(-1));
                found.insert((list.clone(), from), (before, until));
            }
            begun = row.map(|row| (date.filter(|_| at > 0), row));
        }
        found.extend(begun.map(|(from, row)| ((list.clone(), from), (row, None))));
    }
    found
}

fn cached(tables: &Tables, template: &Template, item: ItemId, cache: &Cache) -> Option<PriceRow> {
    let uom = if cache.uom == template.uom {
        None
    } else {
        Some(UomCode::new(&tables.uoms.get(&cache.uom)?.symbol).ok()?)
    };
    if cache.breaks.is_empty() || cache.breaks.iter().any(|(_, price)| price.is_negative()) {
        return None;
    }
    let breaks = cache.breaks.iter().map(|(bound, price)| Break(*bound, *price)).collect();
    Some(price_row(item, uom, breaks))
}

fn price_row(item: ItemId, uom: Option<UomCode>, breaks: Vec<Break>) -> PriceRow {
    let key = PriceKey { item: Some(item), class: None, uom, warehouse: None };
    PriceRow { key, per: 1, method: Method::Fixed, break_uom: None, breaks }
}

/// A day as the beginning or, inclusive too, the end of a price.
pub(super) fn edge(date: LocalDate, zone: &Zone) -> DateEdge {
    DateEdge { date, inclusive: true, zone: zone.clone() }
}
