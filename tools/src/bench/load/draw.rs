//! What is asked: baskets and orders over a generated distributor, a few items and accounts far more often than most.

use anyhow::{Context, ensure};
use pannier_protocol::Timestamp;
use pannier_protocol::api::{HoldRequest, LookupRequest, OrderRequest};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Zipf};
use serde_json::{Value, json};

use crate::generate::{Shape, account_id, item_id};

const HOLD_MS: i64 = 60_000;

/// Kinds of requests by weight, as in `lookups=90,orders=8,holds=2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mix {
    lookups: u32,
    orders: u32,
    holds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Lookup,
    Order,
    Hold,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lookup => "lookups",
            Self::Order => "orders",
            Self::Hold => "holds",
        }
    }
}

impl std::str::FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut mix = Self { lookups: 0, orders: 0, holds: 0 };
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, ""));
            let weight = weight.parse().map_err(|_| {
                format!("{part:?} is no kind and weight; write it as in lookups=90,orders=8,holds=2")
            })?;
            match name {
                "lookups" => mix.lookups = weight,
                "orders" => mix.orders = weight,
                "holds" => mix.holds = weight,
                _ => return Err(format!("{name:?} is none of lookups, orders, holds")),
            }
        }
        match mix.total() {
            0 => Err("all weights are 0, so nothing would be asked".to_owned()),
            _ => Ok(mix),
        }
    }
}

impl Mix {
    fn total(self) -> u32 {
        self.lookups.saturating_add(self.orders).saturating_add(self.holds)
    }

    fn pick(self, at: u32) -> Kind {
        match at {
            at if at < self.lookups => Kind::Lookup,
            at if at < self.lookups + self.orders => Kind::Order,
            _ => Kind::Hold,
        }
    }
}

/// Draws requests; the same seed draws the same ones.
#[derive(Clone)]
pub(super) struct Draw {
    shape: Shape,
    mix: Mix,
    lines: u64,
    items: Zipf<f64>,
    accounts: Zipf<f64>,
    random: SmallRng,
}

impl Draw {
    /// `skew` is the exponent: 0 is all alike, 1 is what shops see.
    pub(super) fn new(shape: Shape, mix: Mix, lines: u64, skew: f64, seed: u64) -> anyhow::Result<Self> {
        ensure!(lines <= shape.items / 2, "{lines} lines are too many for {} items", shape.items);
        let zipf = |count: u64| Zipf::new(count as f64, skew).context("--skew is 0 or more");
        let (items, accounts) = (zipf(shape.items)?, zipf(shape.accounts)?);
        Ok(Self { shape, mix, lines, items, accounts, random: SmallRng::seed_from_u64(seed) })
    }

    /// The same distributor, and other requests.
    pub(super) fn seeded(&self, seed: u64) -> Self {
        Self { random: SmallRng::seed_from_u64(seed), ..self.clone() }
    }

    pub(super) fn kind(&mut self) -> Kind {
        self.mix.pick(self.random.random_range(0..self.mix.total()))
    }

    pub(super) fn lookup(&mut self) -> anyhow::Result<LookupRequest> {
        let (account, lines) = (self.account(), self.lines()?);
        Ok(serde_json::from_value(json!({"account": account_id(account), "lines": lines}))?)
    }

    /// `number` tells its purchase order from others.
    pub(super) fn order(&mut self, number: &str) -> anyhow::Result<OrderRequest> {
        let (account, lines) = (self.account(), self.lines()?);
        let order = json!({"account": account_id(account), "purchase_order": number, "lines": lines});
        Ok(serde_json::from_value(order)?)
    }

    pub(super) fn hold(&mut self, now: Timestamp) -> anyhow::Result<HoldRequest> {
        let (account, lines) = (self.account(), self.lines()?);
        let expires_at = now.plus_millis(HOLD_MS);
        let hold = json!({"account": account_id(account), "expires_at": expires_at, "partial": true, "lines": lines});
        Ok(serde_json::from_value(hold)?)
    }

    fn account(&mut self) -> u64 {
        rank(self.accounts.sample(&mut self.random), self.shape.accounts)
    }

    /// Each item once.
    fn lines(&mut self) -> anyhow::Result<Vec<Value>> {
        let mut items: Vec<u64> = Vec::new();
        while (items.len() as u64) < self.lines {
            let item = rank(self.items.sample(&mut self.random), self.shape.items);
            if !items.contains(&item) {
                items.push(item);
            }
        }
        let line = |(at, item): (usize, u64)| json!({"line": (at + 1).to_string(), "item": item_id(item), "quantity": "1", "uom": "EA"});
        Ok(items.into_iter().enumerate().map(line).collect())
    }
}

/// Samples are from 1 to the count.
fn rank(sample: f64, count: u64) -> u64 {
    (sample as u64).clamp(1, count) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(skew: f64, seed: u64) -> Draw {
        let mix = "lookups=8,orders=1,holds=1".parse().unwrap();
        Draw::new(Shape::new(10_000, 1), mix, 5, skew, seed).unwrap()
    }

    #[test]
    fn a_seed_draws_the_same_and_few_are_asked_for_often() {
        let asked = |skew, seed| {
            let mut draw = draw(skew, seed);
            (0..200).map(|_| draw.lookup().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(asked(1.0, 3), asked(1.0, 3));
        assert_ne!(asked(1.0, 3), asked(1.0, 4));
        let of_first = |asked: Vec<LookupRequest>| {
            asked.iter().flat_map(|it| &it.lines).filter(|line| line.item == item_id(0)).count()
        };
        assert!(of_first(asked(1.0, 3)) > 50 && of_first(asked(0.0, 3)) < 10);
    }

    #[test]
    fn kinds_come_as_they_weigh() {
        let mut draw = draw(1.0, 1);
        let mut counts = [0; 3];
        (0..10_000).for_each(|_| counts[draw.kind() as usize] += 1);
        assert!((7_800..8_200).contains(&counts[0]) && (900..1_100).contains(&counts[1]), "{counts:?}");
        for (wrong, want) in [
            ("lookups", "is no kind and weight"),
            ("browse=1", "is none of lookups"),
            ("lookups=0", "nothing would be asked"),
        ] {
            assert!(wrong.parse::<Mix>().unwrap_err().contains(want), "{wrong}");
        }
    }
}
