//! What the tills say the shelves said: a list row per store and product, and a promotion row where the till took
//! less. Both are inferred from what was paid; the data has no price file of its own.

use std::collections::BTreeMap;

use pannier_protocol::change::{
    Account, Break, Change, Item, ItemStatus, Method, PriceKey, PriceRow, PriceScope, Prices, PricesRemoved,
    ScopeHeader, ScopeMember,
};
use pannier_protocol::{AccountId, Currency, Decimal, ItemId, ListId, UomCode};

use crate::till::{Basket, Line};

/// Prices are per 1000 pieces, so that six digits hold a till's division.
const PER: u32 = 1_000;

/// Micros of the currency for [`PER`] pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    list: i64,
    promotion: Option<i64>,
}

/// The prices in force by what was paid so far.
#[derive(Default)]
pub(crate) struct Shelf {
    prices: BTreeMap<u32, BTreeMap<u32, Shown>>,
    /// Lines whose basket holds the product at another price: no single price can be right for both.
    pub(crate) contradictions: u64,
}

impl Shelf {
    /// Takes a basket in: the changes that make its prices hold, and the lines that they can hold for.
    pub(crate) fn take(&mut self, basket: &Basket) -> (Vec<Change>, Vec<Line>) {
        let mut moved = Vec::new();
        if !self.prices.contains_key(&basket.store) {
            moved.push(account(basket.store));
            moved.push(promotion_header(basket.store));
        }
        let shelf = self.prices.entry(basket.store).or_default();
        let mut agreed: BTreeMap<u32, Line> = BTreeMap::new();
        for line in &basket.lines {
            let shown = shown(line);
            if agreed.get(&line.product).is_some_and(|other| self::shown(other) != shown) {
                self.contradictions += 1;
                continue;
            }
            agreed.insert(line.product, *line);
            let before = shelf.insert(line.product, shown);
            if before.is_none_or(|before| before.list != shown.list) {
                moved.push(prices(list_scope(basket.store), line.product, shown.list));
            }
            match (before.and_then(|before| before.promotion), shown.promotion) {
                (was, now) if was == now => {}
                (_, Some(price)) => moved.push(prices(promotion_scope(basket.store), line.product, price)),
                (_, None) => moved.push(no_promotion(basket.store, line.product)),
            }
        }
        (moved, agreed.into_values().collect())
    }

    /// Everything that is said of a store, for a snapshot.
    pub(crate) fn rows(&self, store: u32) -> Vec<Change> {
        let Some(shelf) = self.prices.get(&store) else { return Vec::new() };
        let listed = shelf.iter().map(|(product, shown)| row(*product, shown.list)).collect();
        let promoted =
            shelf.iter().filter_map(|(product, shown)| Some(row(*product, shown.promotion?))).collect();
        [account(store), promotion_header(store)]
            .into_iter()
            .chain(in_batches(&list_scope(store), listed))
            .chain(in_batches(&promotion_scope(store), promoted))
            .collect()
    }

    pub(crate) fn stores(&self) -> impl Iterator<Item = u32> + '_ {
        self.prices.keys().copied()
    }
}

fn shown(line: &Line) -> Shown {
    let per_thousand = |cents: i64| {
        let micros = i128::from(cents) * 10_000 * i128::from(PER);
        let quantity = i128::from(line.quantity);
        i64::try_from((micros + quantity / 2) / quantity).expect("a till line is below nine million")
    };
    let list = per_thousand(line.sales_cents + line.discount_cents);
    let paid = per_thousand(line.sales_cents);
    Shown { list, promotion: (paid < list).then_some(paid) }
}

pub(crate) fn item_id(product: u32) -> ItemId {
    ItemId::new(&product.to_string()).expect("digits are an id")
}

pub(crate) fn account_id(store: u32) -> AccountId {
    AccountId::new(&format!("store-{store}")).expect("digits are an id")
}

fn list_id(store: u32) -> ListId {
    ListId::new(&format!("till-{store}")).expect("digits are an id")
}

fn list_scope(store: u32) -> PriceScope {
    PriceScope::List(list_id(store))
}

fn promotion_scope(store: u32) -> PriceScope {
    PriceScope::Promotion(list_id(store))
}

fn usd() -> Currency {
    Currency::new("USD").expect("USD is a currency")
}

fn each() -> UomCode {
    UomCode::new("EA").expect("EA is a unit")
}

pub(crate) fn item(product: u32) -> Change {
    Change::Item(Item {
        item: item_id(product),
        description: None,
        base_uom: each(),
        uoms: Vec::new(),
        class: None,
        entitlement: None,
        status: ItemStatus::Active,
        backorder: false,
        lot_tracked: false,
        kit: Vec::new(),
        relations: Vec::new(),
    })
}

fn account(store: u32) -> Change {
    Change::Account(Account {
        account: account_id(store),
        parent: None,
        root: account_id(store),
        groups: Vec::new(),
        currency: Some(usd()),
        entitlements: Vec::new(),
        contract_only: false,
        blocked: false,
        company: None,
        territories: Vec::new(),
        warehouses: Vec::new(),
        sourcing: None,
        lists: vec![list_id(store)],
    })
}

fn promotion_header(store: u32) -> Change {
    Change::Scope(ScopeHeader {
        scope: promotion_scope(store),
        from: None,
        to: None,
        members: vec![ScopeMember::Account(account_id(store))],
        parent: None,
    })
}

fn key(product: u32) -> PriceKey {
    PriceKey { item: Some(item_id(product)), class: None, uom: Some(each()), warehouse: None }
}

fn row(product: u32, micros: i64) -> PriceRow {
    PriceRow {
        key: key(product),
        per: PER,
        method: Method::Fixed,
        break_uom: None,
        breaks: vec![Break(Decimal::ZERO, Decimal::from_micros(micros))],
    }
}

fn prices(scope: PriceScope, product: u32, micros: i64) -> Change {
    Change::Prices(Prices { scope, currency: usd(), from: None, to: None, rows: vec![row(product, micros)] })
}

fn no_promotion(store: u32, product: u32) -> Change {
    Change::PricesRemoved(PricesRemoved {
        scope: promotion_scope(store),
        currency: usd(),
        from: None,
        rows: vec![key(product)],
    })
}

fn in_batches(scope: &PriceScope, rows: Vec<PriceRow>) -> Vec<Change> {
    let batch = |rows: &[PriceRow]| {
        Change::Prices(Prices {
            scope: scope.clone(),
            currency: usd(),
            from: None,
            to: None,
            rows: rows.to_vec(),
        })
    };
    rows.chunks(1_000).map(batch).collect()
}

/// What a writer that does not know its reign is over says of a product.
pub(crate) fn wrong_price(store: u32, product: u32) -> Change {
    prices(list_scope(store), product, 1)
}
