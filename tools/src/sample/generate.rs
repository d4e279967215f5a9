//! The generated part of the range: numbers from TPC-DS, names and ids of our own.
//!
//! Items are numbered by popularity, so `SKU-10001` is the one that sells best. What a customer paid less
//! than list becomes a contract row of the account that the customer is dealt to, with the quantity as its
//! break; what was sold on the last day is allocated and not shipped yet; who sold out has a purchase order
//! under way. Blanks stay: an item without a list price, a warehouse that did not count.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use super::distributor::{Account, Distributor, Item, Price, Scope, Stock, Supply, Uom};
use super::tpcds::{ItemWeek, Sale};

/// Where TPC-DS has a number.
pub(super) const WAREHOUSES: [&str; 5] = ["DAL", "CHI", "ATL", "RNO", "NYC"];
const GROUPS: [&str; 3] = ["TRADE", "BUYCO", "MRO"];
const FIRST_ITEM: usize = 10_001;
const FIRST_ACCOUNT: usize = 10_001;
/// Generated items for one generated account.
const ITEMS_PER_ACCOUNT: usize = 25;
/// Below this many on hand over all warehouses an item is on order.
const REORDER_POINT: i64 = 1_500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    accounts: AccountNames,
    #[serde(rename = "family")]
    families: Vec<Family>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountNames {
    first: Vec<String>,
    second: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    class: String,
    name: String,
    a: Vec<String>,
    b: Vec<String>,
    base_uom: String,
    /// The pack's unit, and how many base units it holds.
    pack: (String, u32),
}

/// Adds `count` items, drawn from the week by `seed`, and the accounts that buy them. Past the number of
/// items that sold, the week's items repeat under new names.
pub(super) fn add_items(
    distributor: &mut Distributor,
    week: &[ItemWeek],
    count: usize,
    seed: u64,
) -> anyhow::Result<()> {
    let names: Names = toml::from_str(include_str!("families.toml")).context("read families.toml")?;
    let accounts = count.div_ceil(ITEMS_PER_ACCOUNT).max(1);
    add_accounts(distributor, &names.accounts, accounts);
    let mut contracts: BTreeMap<usize, ()> = BTreeMap::new();
    for (at, drawn) in draw(week.len(), count, seed).into_iter().enumerate() {
        let mut item = named_item(&names.families, at);
        let week = &week[drawn];
        let number = FIRST_ITEM + at;
        item.backorder = week.sales.len().is_multiple_of(2);
        item.stock = stock(week, number);
        if let Some(cents) = week.list_cents {
            let list = Price { list: Some("LIST".to_owned()), ..priced(&[(0, cents)]) };
            item.prices.push(list);
            for (account, ladder) in contract_ladders(week, cents, accounts) {
                contracts.insert(account, ());
                let contract = Some(format!("K-{}", FIRST_ACCOUNT + account));
                item.prices.push(Price { contract, ..priced(&ladder) });
            }
        }
        distributor.items.push(item);
    }
    distributor.scopes.extend(contracts.into_keys().map(|account| Scope {
        contract: Some(format!("K-{}", FIRST_ACCOUNT + account)),
        from: Some(-365),
        accounts: vec![format!("C-{}", FIRST_ACCOUNT + account)],
        ..Scope::default()
    }));
    Ok(())
}

/// Families of three: a holding and two accounts below it, with two ship-tos each.
fn add_accounts(distributor: &mut Distributor, names: &AccountNames, count: usize) {
    for at in 0..count {
        let id = |at: usize| format!("C-{}", FIRST_ACCOUNT + at);
        let root = at - at % 3;
        let first = &names.first[at % names.first.len()];
        let second = &names.second[(at / names.first.len() + at) % names.second.len()];
        let warehouses: Vec<String> =
            (0..3).map(|next| WAREHOUSES[(at + next) % WAREHOUSES.len()].to_owned()).collect();
        distributor.accounts.push(Account {
            account: id(at),
            name: format!("{first} {second}"),
            parent: (at != root).then(|| id(root)),
            root: Some(id(root)),
            groups: vec![GROUPS[at % GROUPS.len()].to_owned()],
            warehouses: warehouses.clone(),
            ..Account::default()
        });
        distributor.accounts.extend((1..=2).map(|yard| Account {
            account: format!("{}-{yard:02}", id(at)),
            name: format!("{first} {second}, yard {yard}"),
            parent: Some(id(at)),
            root: Some(id(root)),
            warehouses: warehouses[yard - 1..].to_vec(),
            ..Account::default()
        }));
    }
}

/// One item of each family in turn; a family that runs out of names counts a series on.
fn named_item(families: &[Family], at: usize) -> Item {
    let family = &families[at % families.len()];
    let turn = at / families.len();
    let names = family.a.len() * family.b.len();
    let (within, series) = (turn % names, turn / names);
    let a = &family.a[within % family.a.len()];
    let b = &family.b[within / family.a.len()];
    let mut description = family.name.replace("{a}", a).replace("{b}", b);
    if series > 0 {
        description = format!("{description} s{}", series + 1);
    }
    Item {
        item: format!("SKU-{}", FIRST_ITEM + at),
        description,
        base_uom: family.base_uom.clone(),
        class: family.class.clone(),
        uoms: vec![Uom {
            uom: family.pack.0.clone(),
            numerator: family.pack.1,
            multiple: None,
            minimum: None,
        }],
        ..Item::default()
    }
}

fn stock(week: &ItemWeek, number: usize) -> Vec<Stock> {
    let counted = week.on_hand.iter().filter_map(|(warehouse, on_hand)| Some((*warehouse, (*on_hand)?)));
    let total: i64 = counted.clone().map(|(_, on_hand)| on_hand).sum();
    let mut cells: Vec<Stock> = counted
        .map(|(warehouse, on_hand)| {
            let unshipped: i64 = week
                .sales
                .iter()
                .filter(|sale| sale.days_ago == 0 && home(sale) == warehouse)
                .map(|sale| sale.quantity)
                .sum();
            Stock {
                warehouse: WAREHOUSES[warehouse % WAREHOUSES.len()].to_owned(),
                on_hand: on_hand.to_string(),
                allocated: (unshipped > 0).then(|| unshipped.min(on_hand).to_string()),
                ..Stock::default()
            }
        })
        .collect();
    let sold: i64 = week.sales.iter().map(|sale| sale.quantity).sum();
    if total < REORDER_POINT
        && sold > 0
        && let Some(cell) = cells.first_mut()
    {
        let day = 2 + i32::try_from(number % 20).unwrap_or_default();
        cell.supply.push(Supply { reference: format!("PO-{number}"), day, quantity: sold.to_string() });
    }
    cells
}

fn home(sale: &Sale) -> usize {
    (sale.customer % WAREHOUSES.len() as u64) as usize
}

/// By account what its customers paid, as a ladder that falls: at most three rungs.
fn contract_ladders(week: &ItemWeek, list_cents: i64, accounts: usize) -> BTreeMap<usize, Vec<(i64, i64)>> {
    let mut ladders: BTreeMap<usize, Vec<(i64, i64)>> = BTreeMap::new();
    let discounted =
        week.sales.iter().filter(|sale| sale.paid_cents > 0 && sale.paid_cents < sale.list_cents);
    for sale in discounted {
        let account = (sale.customer % accounts as u64) as usize;
        let cents = list_cents * sale.paid_cents / sale.list_cents;
        if cents > 0 {
            ladders.entry(account).or_default().push((sale.quantity, cents));
        }
    }
    for ladder in ladders.values_mut() {
        ladder.sort_unstable();
        let mut lowest = i64::MAX;
        ladder.retain(|(_, cents)| {
            let falls = *cents < lowest;
            lowest = lowest.min(*cents);
            falls
        });
        ladder.dedup_by_key(|(quantity, _)| *quantity);
        ladder.truncate(3);
    }
    ladders
}

fn priced(ladder: &[(i64, i64)]) -> Price {
    let money = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
    let breaks = ladder.iter().map(|(from, cents)| (from.to_string(), money(*cents))).collect();
    Price { breaks, ..Price::default() }
}

/// `count` of `0..from` without repeats in rising order, then all of them again, and so on.
fn draw(from: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut drawn = Vec::with_capacity(count);
    while from > 0 && drawn.len() < count {
        let want = (count - drawn.len()).min(from);
        let mut keys: Vec<(u64, usize)> = (0..from).map(|at| (mix(seed, at as u64), at)).collect();
        keys.sort_unstable();
        let mut round: Vec<usize> = keys[..want].iter().map(|(_, at)| *at).collect();
        round.sort_unstable();
        drawn.extend(round);
    }
    drawn
}

/// SplitMix64 of seed and place: a stable order that looks like chance.
fn mix(seed: u64, at: u64) -> u64 {
    let mut z = seed.wrapping_add(at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_the_seeds_and_do_not_repeat_before_they_must() {
        assert_eq!(draw(1_000, 20, 7), draw(1_000, 20, 7));
        assert_ne!(draw(1_000, 20, 7), draw(1_000, 20, 8));
        let twice = draw(5, 12, 1);
        assert_eq!(twice[..10], [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
        assert_eq!(twice.len(), 12);
        assert!(draw(0, 3, 1).is_empty());
    }

    #[test]
    fn what_was_paid_becomes_a_falling_ladder() {
        let sale = |customer, quantity, paid_cents| Sale {
            days_ago: 1,
            customer,
            quantity,
            list_cents: 200,
            paid_cents,
        };
        let week = ItemWeek {
            sales: vec![sale(2, 10, 150), sale(4, 50, 100), sale(4, 20, 180), sale(3, 5, 200)],
            ..ItemWeek::default()
        };
        let ladders = contract_ladders(&week, 1_000, 2);
        assert_eq!(ladders, BTreeMap::from([(0, vec![(10, 750), (50, 500)])]));
    }
}
