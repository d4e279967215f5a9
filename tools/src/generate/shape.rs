//! What a generated distributor looks like.
//!
//! | rows | of what |
//! |---|---|
//! | one an item | the list `LIST`, with breaks at 10 and 100 |
//! | one in 20 items, 20 times | group prices: so many percent off the list |
//! | all the rest | contracts, one an account of about 600 rows: half of them with a break, one in 16 with a successor next year |
//!
//! The first item is in every contract: with 25 million rows that is 40,000 contracts on one item. Accounts are families
//! of their own, so contracts spread over all partitions. Nothing is kept: every row is computed from its place.

use pannier_protocol::change::{
    Account, Break, Item, Method, PriceKey, PriceRow, PriceScope, Prices, ScopeHeader, ScopeMember, StockSet,
};
use pannier_protocol::uom::ItemUom;
use pannier_protocol::{
    AccountId, Change, ContractId, Currency, DateEdge, Decimal, GroupId, ItemId, ListId, LocalDate,
    Partition, UomCode, WarehouseId, Zone,
};

const GROUPS: u64 = 20;
const ITEMS: std::ops::RangeInclusive<u64> = 1_000..=500_000;
const ROWS_AN_ITEM: u64 = 50;
const ROWS_A_CONTRACT: u64 = 600;
const ACCOUNTS: std::ops::RangeInclusive<u64> = 20..=40_000;
const WAREHOUSES: [&str; 4] = ["ATL", "CHI", "DAL", "RNO"];
/// Coprime to every number of items but its own multiples: a walk by it meets each item once.
const STRIDE: u64 = 7_919;
/// Price rows in one change.
pub(super) const ROWS_A_CHANGE: usize = 1_000;

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: u64,
    pub(crate) items: u64,
    pub(crate) accounts: u64,
    seed: u64,
}

impl Shape {
    pub(crate) fn new(rows: u64, seed: u64) -> Self {
        let mut items = (rows / ROWS_AN_ITEM).clamp(*ITEMS.start(), *ITEMS.end());
        items += u64::from((items - 1).is_multiple_of(STRIDE));
        let accounts = (rows / ROWS_A_CONTRACT).clamp(*ACCOUNTS.start(), *ACCOUNTS.end());
        Self { rows, items, accounts, seed }
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014) of a place: what is drawn there.
    pub(crate) fn drawn(&self, of: u64, at: u64) -> u64 {
        let mut mixed = self.seed ^ of.rotate_left(32) ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn group_rows(&self) -> u64 {
        self.items / GROUPS
    }

    /// Rows of one account's contract; together with list and groups they make up all rows.
    fn contract_rows(&self, account: u64) -> u64 {
        let left = self.rows.saturating_sub(self.items + GROUPS * self.group_rows());
        let more = u64::from(account < left % self.accounts);
        (left / self.accounts + more).min(self.items)
    }

    /// The item of a contract's row of that number; row 0 is the first item.
    pub(crate) fn contract_item(&self, account: u64, row: u64) -> u64 {
        if row == 0 {
            return 0;
        }
        let others = self.items - 1;
        1 + (self.drawn(1, account) % others + (row - 1) * STRIDE) % others
    }

    fn cents(&self, item: u64) -> u64 {
        500 + self.drawn(2, item) % 50_000
    }

    pub(super) fn partition(account: u64) -> Partition {
        Partition::of_root(&account_id(account))
    }

    pub(super) fn item(&self, item: u64) -> Change {
        let uom = |uom: &str, numerator| ItemUom {
            uom: uom_code(uom),
            numerator,
            denominator: 1,
            multiple: None,
            minimum: None,
        };
        Change::Item(Item {
            item: item_id(item),
            description: None,
            base_uom: uom_code("EA"),
            uoms: vec![uom("BX", 10), uom("PL", 200)],
            class: None,
            entitlement: None,
            status: pannier_protocol::change::ItemStatus::Active,
            backorder: item.is_multiple_of(2),
            lot_tracked: false,
            kit: Vec::new(),
            relations: Vec::new(),
        })
    }

    pub(crate) fn account(&self, account: u64) -> Change {
        let id = account_id(account);
        Change::Account(Account {
            account: id.clone(),
            parent: None,
            root: id,
            groups: vec![group_id(self.drawn(3, account) % GROUPS)],
            currency: None,
            entitlements: Vec::new(),
            contract_only: false,
            blocked: false,
            company: None,
            territories: Vec::new(),
            warehouses: Vec::new(),
            sourcing: None,
            lists: Vec::new(),
        })
    }

    pub(crate) fn cells(&self, item: u64) -> impl Iterator<Item = Change> {
        WAREHOUSES.into_iter().enumerate().map(move |(at, warehouse)| {
            let on_hand = 100 + self.drawn(4 + at as u64, item) % 10_000;
            Change::StockSet(StockSet {
                item: item_id(item),
                warehouse: WarehouseId::new(warehouse).expect("letters are an id"),
                uom: uom_code("EA"),
                class: None,
                on_hand: whole(on_hand),
                allocated: whole(on_hand / 20),
                quarantine: Decimal::ZERO,
                on_hand_is_net: false,
                receipts: Vec::new(),
                reflects: None,
            })
        })
    }

    /// The list, in changes.
    pub(crate) fn list(&self) -> impl Iterator<Item = Change> {
        let row = |item| {
            let cents = self.cents(item);
            row(item, Method::Fixed, &[(0, cents), (10, cents * 95 / 100), (100, cents * 90 / 100)])
        };
        let scope = PriceScope::List(ListId::new("LIST").expect("letters are an id"));
        changes(scope, self.items, row)
    }

    /// All prices of groups, in changes.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Change> {
        (0..GROUPS).flat_map(move |group| {
            let row = move |at: u64| {
                let percent = 1 + self.drawn(8, group * self.items + at) % 12;
                row((group + at * GROUPS) % self.items, Method::ListPercentOff, &[(0, percent * 100)])
            };
            changes(PriceScope::Group(group_id(group)), self.group_rows(), row)
        })
    }

    /// The contract of an account: its header, and its rows in changes.
    pub(crate) fn contract(&self, account: u64) -> impl Iterator<Item = Change> {
        let scope = PriceScope::Contract(contract_id(account));
        let header = ScopeHeader {
            scope: scope.clone(),
            from: None,
            to: None,
            members: vec![ScopeMember::Account(account_id(account))],
            parent: None,
        };
        // Every sixteenth row has one that follows it, which counts too.
        let rows = self.contract_rows(account);
        let later = rows / 17;
        let priced = move |at: u64, percent: u64| {
            let item = self.contract_item(account, at);
            let cents = self.cents(item) * (percent - self.drawn(9, account * 1_000_003 + at) % 25) / 100;
            let ladder = [(0, cents), (10, cents * 97 / 100)];
            row(item, Method::Fixed, if at.is_multiple_of(2) { &ladder } else { &ladder[..1] })
        };
        let now = dated(changes(scope.clone(), rows - later, move |at| priced(at, 90)), None, Some(2026));
        let next = dated(changes(scope, later, move |at| priced(at * 16, 93)), Some(2027), None);
        std::iter::once(Change::Scope(header)).chain(now).chain(next)
    }
}

/// `from` the first day of a year; `to` the last one.
fn dated(
    changes: impl Iterator<Item = Change>,
    from: Option<i16>,
    to: Option<i16>,
) -> impl Iterator<Item = Change> {
    let edge = |year: i16, day: &str| DateEdge {
        date: LocalDate::parse(&format!("{year}-{day}")).expect("a day"),
        inclusive: true,
        zone: Zone::utc(),
    };
    let (from, to) = (from.map(|year| edge(year, "01-01")), to.map(|year| edge(year, "12-31")));
    changes.map(move |mut change| {
        if let Change::Prices(prices) = &mut change {
            (prices.from, prices.to) = (from.clone(), to.clone());
        }
        change
    })
}

fn changes(scope: PriceScope, rows: u64, row: impl Fn(u64) -> PriceRow) -> impl Iterator<Item = Change> {
    let starts = (0..rows).step_by(ROWS_A_CHANGE);
    starts.map(move |start| {
        let end = rows.min(start + ROWS_A_CHANGE as u64);
        let currency = Currency::new("USD").expect("letters are a currency");
        let rows = (start..end).map(&row).collect();
        Change::Prices(Prices { scope: scope.clone(), currency, from: None, to: None, rows })
    })
}

/// Values are hundredths.
fn row(item: u64, method: Method, ladder: &[(u64, u64)]) -> PriceRow {
    let key = PriceKey { item: Some(item_id(item)), class: None, uom: None, warehouse: None };
    let breaks = ladder.iter().map(|(from, value)| Break(whole(*from), hundredths(*value))).collect();
    PriceRow { key, per: 1, method, break_uom: None, breaks }
}

fn whole(units: u64) -> Decimal {
    hundredths(units * 100)
}

fn hundredths(value: u64) -> Decimal {
    Decimal::from_micros(i64::try_from(value).expect("small numbers") * 10_000)
}

pub(crate) fn item_id(item: u64) -> ItemId {
    ItemId::new(&format!("G-{item:06}")).expect("letters and digits are an id")
}

pub(crate) fn account_id(account: u64) -> AccountId {
    AccountId::new(&format!("A-{account:05}")).expect("letters and digits are an id")
}

fn contract_id(account: u64) -> ContractId {
    ContractId::new(&format!("K-{account:05}")).expect("letters and digits are an id")
}

fn group_id(group: u64) -> GroupId {
    GroupId::new(&format!("GROUP-{group}")).expect("letters and digits are an id")
}

fn uom_code(uom: &str) -> UomCode {
    UomCode::new(uom).expect("letters are a unit")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all(shape: &Shape) -> Vec<Change> {
        let contracts = (0..shape.accounts).flat_map(|account| shape.contract(account));
        shape.list().chain(shape.groups()).chain(contracts).collect()
    }

    fn rows(changes: &[Change]) -> u64 {
        let rows =
            |change: &Change| if let Change::Prices(prices) = change { prices.rows.len() as u64 } else { 0 };
        changes.iter().map(rows).sum()
    }

    #[test]
    fn there_are_as_many_rows_as_were_asked_for() {
        for size in [10_000, 12_345, 200_000] {
            let changes = all(&Shape::new(size, 1));
            assert_eq!(rows(&changes), size);
            for change in &changes {
                assert_eq!(change.check(), Ok(()));
            }
        }
        let large = Shape::new(25_000_000, 1);
        let rest: u64 = (0..large.accounts).map(|account| large.contract_rows(account)).sum();
        assert_eq!(large.items + GROUPS * large.group_rows() + rest, 25_000_000);
        assert_eq!((large.items, large.accounts), (500_000, 40_000));
    }

    #[test]
    fn a_contract_prices_an_item_once_and_every_one_the_first() {
        let shape = Shape::new(100_000, 7);
        for account in [0, 1, shape.accounts - 1] {
            let count = shape.contract_rows(account);
            let items: BTreeSet<u64> = (0..count).map(|row| shape.contract_item(account, row)).collect();
            assert_eq!((items.len() as u64, items.contains(&0)), (count, true));
        }
    }

    #[test]
    fn a_seed_gives_the_same_rows_and_another_one_others() {
        let [one, again, other] = [1, 1, 2].map(|seed| all(&Shape::new(10_000, seed)));
        assert!(one == again && one != other);
    }
}
