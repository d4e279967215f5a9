//! The walk against a second one that was written from the semantics alone: a flat list of rows, scanned from
//! end to end for every level and every instant, recursive where the walk is a loop.

use num_rational::Ratio;
use pannier_protocol::change::LevelPolicy;
use proptest::prelude::*;

use super::BASE;
use super::world::{Ask, World, expand, read};

type Number = Ratio<i128>;

/// A scope of account `C` (shipping to `C-1`), with its level, rank and depth there.
const SCOPES: [(&str, usize, usize, usize); 11] = [
    ("contract KS", 0, 0, 0),
    ("contract KC", 1, 0, 0),
    ("contract KD", 1, 0, 0),
    ("contract KP", 2, 0, 0),
    ("contract KQ", 2, 1, 0),
    ("account C", 3, 0, 0),
    ("group G1", 4, 0, 0),
    ("group G2", 4, 1, 0),
    ("promotion SALE", 5, 9, 0),
    ("list L", 6, 0, 0),
    ("list M", 6, 0, 1),
];
const HEADERS: &str = r#"
    header contract KS account:C-1
    header contract KC account:C
    header contract KD account:C
    header contract KP account:P
    header contract KQ account:Q
    {"scope":{"scope":{"list":"L"},"parent":{"list":"M","multiplier":"0.5"}}}
"#;
const LEVELS: [&str; 7] = [
    "ship_to_contract",
    "customer_contract",
    "ancestor_contract",
    "customer_price",
    "group_price",
    "promotion",
    "list",
];
const LIST: usize = 6;
const DAYS: u8 = 8;

#[derive(Debug, Clone)]
struct Row {
    scope: usize,
    /// Otherwise of the class.
    of_item: bool,
    uom: Option<usize>,
    at_warehouse: bool,
    euro: bool,
    from: Option<u8>,
    to: Option<u8>,
    /// 0 fixed, 1 incremental, 2 multiplier, 3 percent off.
    method: usize,
    break_uom: Option<usize>,
    breaks: Vec<(u8, u8)>,
    /// Position in the log, which is the tie-break.
    sequence: usize,
}

/// Units of the item with their factors; the last one it lacks.
const UOMS: [(&str, i128); 4] = [("EA", 1), ("PK", 4), ("BX", 10), ("CASE", 0)];

#[derive(Debug, Clone)]
struct Case {
    rows: Vec<Row>,
    policies: Vec<LevelPolicy>,
    quantity: u8,
    uom: usize,
    day: u8,
    at_warehouse: bool,
}

fn row() -> impl Strategy<Value = Row> {
    let key = (0..SCOPES.len(), any::<bool>(), prop::option::of(0..4_usize), prop::bool::weighted(0.2));
    let dates = (prop::option::of(0..DAYS), prop::option::of(1..DAYS));
    let breaks = prop::collection::btree_map(0..25_u8, 0..60_u8, 1..4);
    let price = (0..4_usize, prop::option::weighted(0.2, 0..4_usize), breaks, prop::bool::weighted(0.1));
    (key, dates, price).prop_map(|(key, (from, length), (method, break_uom, breaks, euro))| Row {
        scope: key.0,
        of_item: key.1,
        uom: key.2,
        at_warehouse: key.3,
        euro,
        from,
        to: length.map(|length| from.unwrap_or(0) + length),
        method,
        break_uom,
        breaks: breaks.into_iter().collect(),
        sequence: 0,
    })
}

fn case() -> impl Strategy<Value = Case> {
    let policy = prop_oneof![
        3 => Just(LevelPolicy::First),
        1 => Just(LevelPolicy::Lowest),
        1 => Just(LevelPolicy::Additive),
    ];
    let rows = prop::collection::vec(row(), 0..30);
    let policies = prop::collection::vec(policy, LEVELS.len());
    let line = (1..40_u8, 0..3_usize, 0..DAYS, any::<bool>());
    (rows, policies, line).prop_map(|(rows, policies, (quantity, uom, day, at_warehouse))| Case {
        rows,
        policies,
        quantity,
        uom,
        day,
        at_warehouse,
    })
}

fn date(day: u8) -> String {
    format!("2026-06-{:02}", day + 1)
}

impl Row {
    fn shorthand(&self) -> String {
        let from = self.from.map_or_else(String::new, date);
        let to = self.to.map_or_else(String::new, date);
        let (item, class) = if self.of_item { ("A", "") } else { ("", "bolts") };
        let uom = |uom: Option<usize>| uom.map_or("", |at| UOMS[at].0);
        let warehouse = if self.at_warehouse { "DAL" } else { "" };
        let method = ["", "incremental", "list_multiplier", "list_percent_off"][self.method];
        let breaks: Vec<_> = self.breaks.iter().map(|(bound, value)| format!("{bound}={value}")).collect();
        format!(
            "prices {} {} {from}..{to} {item}|{class}|{}|{warehouse}||{method}|{}|{}",
            SCOPES[self.scope].0,
            if self.euro { "EUR" } else { "USD" },
            uom(self.uom),
            uom(self.break_uom),
            breaks.join(","),
        )
    }

    fn same_key(&self, other: &Self) -> bool {
        let key = |row: &Self| (row.scope, row.of_item, row.uom, row.at_warehouse, row.euro);
        key(self) == key(other)
    }

    /// Days as half-open bounds; the calendar of a case is much shorter than the bounds of "always".
    fn span(&self) -> (i32, i32) {
        (self.from.map_or(-1000, i32::from), self.to.map_or(1000, i32::from))
    }

    fn holds_on(&self, day: i32) -> bool {
        let (from, to) = self.span();
        from <= day && day < to
    }
}

/// The rows in force in the sense of semantics 1.4: one replaces its key and `from`; one that overlaps
/// others is refused.
fn accepted(rows: &[Row]) -> Vec<Row> {
    let mut kept: Vec<Row> = Vec::new();
    for (sequence, row) in rows.iter().enumerate() {
        let (from, to) = row.span();
        let others = |other: &&Row| other.same_key(row) && other.span().0 != from;
        if kept.iter().filter(others).any(|other| from < other.span().1 && other.span().0 < to) {
            continue;
        }
        kept.retain(|other| !(other.same_key(row) && other.span().0 == from));
        kept.push(Row { sequence, ..row.clone() });
    }
    kept
}

struct Naive<'a> {
    case: &'a Case,
    rows: &'a [Row],
    day: i32,
}

/// A price of one base unit, with the level shown and the rows that made it.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    price: Number,
    level: usize,
    rows: Vec<usize>,
}

impl Naive<'_> {
    fn base_quantity(&self) -> Number {
        Number::from_integer(i128::from(self.case.quantity) * UOMS[self.case.uom].1)
    }

    /// The satisfied bound in base units and the value there.
    fn step(&self, row: &Row) -> Option<(Number, Number)> {
        let factor = UOMS[row.break_uom.or(row.uom).unwrap_or(0)].1;
        let quantity = self.base_quantity() / factor;
        let number = |value: u8| Number::from_integer(i128::from(value));
        let satisfied = row.breaks.iter().rfind(|step| number(step.0) <= quantity);
        let bound = satisfied.map_or(Number::from_integer(0), |step| number(step.0) * factor);
        if row.method != 1 {
            return satisfied.map(|step| (bound, number(step.1)));
        }
        let mut total = Number::from_integer(0);
        for (at, step) in row.breaks.iter().enumerate() {
            let lower = if at == 0 { Number::from_integer(0) } else { number(step.0) };
            let upper = row.breaks.get(at + 1).map_or(quantity, |next| number(next.0).min(quantity));
            total += (upper - lower).max(Number::from_integer(0)) * number(step.1);
        }
        Some((bound, total / quantity))
    }

    fn matches(&self, row: &Row) -> bool {
        let sold = |uom: Option<usize>| uom != Some(3);
        row.holds_on(self.day)
            && !row.euro
            && sold(row.uom)
            && sold(row.break_uom)
            && (!row.at_warehouse || self.case.at_warehouse)
            && self.step(row).is_some()
    }

    /// Rows of one level that match, the best first.
    fn matching(&self, level: usize, depth_above: Option<usize>) -> Vec<&Row> {
        let of_level = |row: &&Row| {
            let (_, at, _, depth) = SCOPES[row.scope];
            at == level && depth_above.is_none_or(|above| depth > above)
        };
        let mut found: Vec<&Row> =
            self.rows.iter().filter(of_level).filter(|row| self.matches(row)).collect();
        // What a list prices itself does not come from the list above it.
        if level == LIST {
            let priced = found.iter().filter(|row| self.value(row).is_some());
            if let Some(own) = priced.map(|row| SCOPES[row.scope].3).min() {
                found.retain(|row| SCOPES[row.scope].3 == own);
            }
        }
        found.sort_by_key(|row| {
            let (_, _, rank, _) = SCOPES[row.scope];
            let (bound, _) = self.step(row).unwrap();
            let other_unit = row.uom.unwrap_or(0) != self.case.uom;
            (
                (!row.of_item, rank, !row.at_warehouse, other_unit),
                std::cmp::Reverse((bound, row.span().0, row.sequence)),
            )
        });
        found
    }

    /// What a row makes of one base unit, and the rows that it took.
    fn value(&self, row: &Row) -> Option<(Number, Vec<usize>)> {
        let (_, level, _, depth) = SCOPES[row.scope];
        let (_, value) = self.step(row)?;
        let zero = Number::from_integer(0);
        let factor = UOMS[row.uom.unwrap_or(0)].1;
        let times = if depth == 1 { Number::new(1, 2) } else { Number::from_integer(1) };
        if row.method < 2 {
            return Some((value / factor * times, vec![row.sequence]));
        }
        // A derived row in a list starts from the lists above it, any other from the list.
        let (list, mut rows) = if level == LIST {
            let above = self.best(self.matching(LIST, Some(depth)))?;
            (above.0 / times, above.1)
        } else {
            self.list()?
        };
        rows.insert(0, row.sequence);
        let price =
            if row.method == 2 { list * value } else { list * (Number::from_integer(100) - value) / 100 };
        Some((price.max(zero) * times, rows))
    }

    fn best(&self, rows: Vec<&Row>) -> Option<(Number, Vec<usize>)> {
        rows.into_iter().find_map(|row| self.value(row))
    }

    /// The winner of the list level.
    fn list(&self) -> Option<(Number, Vec<usize>)> {
        let rows = self.matching(LIST, None);
        match self.case.policies[LIST] {
            LevelPolicy::Lowest => {
                rows.into_iter().filter_map(|row| self.value(row)).min_by(|a, b| a.0.cmp(&b.0))
            }
            LevelPolicy::First | LevelPolicy::Additive => self.best(rows),
        }
    }

    fn walk(&self, level: usize, percents: Number, added: &[(usize, usize)], owed: bool) -> Option<Found> {
        let found = |(price, mut rows): (Number, Vec<usize>), at: usize| {
            let off = (Number::from_integer(100) - percents) / 100;
            rows.extend(added.iter().map(|(_, sequence)| *sequence));
            let level = added.first().map_or(at, |(level, _)| *level);
            let price = if added.is_empty() { price } else { price * off };
            Found { price: price.max(Number::from_integer(0)), level, rows }
        };
        if level == LEVELS.len() {
            let list = self.list().filter(|_| owed)?;
            return Some(found(list, 0));
        }
        let rows = self.matching(level, None);
        match self.case.policies[level] {
            LevelPolicy::First => match self.best(rows) {
                Some(hit) => Some(found(hit, level)),
                None => self.walk(level + 1, percents, added, owed),
            },
            LevelPolicy::Lowest => {
                let prices = rows.into_iter().filter_map(|row| self.value(row));
                // The first of equals, which `min_by` gives.
                let hit = prices.min_by(|a, b| a.0.cmp(&b.0)).map(|hit| found(hit, level));
                let owed = owed && hit.is_none();
                let below = self.walk(level + 1, percents, added, owed);
                match (hit, below) {
                    (Some(hit), Some(below)) if below.price < hit.price => Some(below),
                    (Some(hit), _) => Some(hit),
                    (None, below) => below,
                }
            }
            LevelPolicy::Additive => {
                let hit = rows.into_iter().find(|row| row.method == 3 || self.value(row).is_some());
                match hit {
                    Some(row) if row.method == 3 => {
                        let percents = percents + self.step(row).unwrap().1;
                        let added: Vec<_> = added.iter().copied().chain([(level, row.sequence)]).collect();
                        self.walk(level + 1, percents, &added, true)
                    }
                    Some(row) => self.value(row).map(|hit| found(hit, level)),
                    None => self.walk(level + 1, percents, added, owed),
                }
            }
        }
    }
}

/// Extended, level and end of validity, as an answer has them.
fn expected(case: &Case) -> Option<(String, String, Option<String>)> {
    let rows = accepted(&case.rows);
    let on = |day: i32| {
        let naive = Naive { case, rows: &rows, day };
        naive.walk(0, Number::from_integer(0), &[], false)
    };
    let day = i32::from(case.day);
    let found = on(day)?;
    let mut edges: Vec<i32> = rows.iter().flat_map(|row| [row.span().0, row.span().1]).collect();
    edges.retain(|edge| *edge > day && *edge < 1000);
    edges.sort_unstable();
    let differs = |edge: &i32| on(*edge).is_none_or(|then| then.rows != found.rows);
    let until = edges.into_iter().find(differs);
    let naive = Naive { case, rows: &rows, day };
    let cents = (found.price * naive.base_quantity() * 100).round().to_integer();
    let extended = format!("{}.{:02}", cents / 100, cents % 100);
    let until = until.map(|day| format!("{}T00:00:00Z", date(u8::try_from(day).unwrap())));
    Some((extended, LEVELS[found.level].to_owned(), until))
}

fn actual(case: &Case) -> Option<(String, String, Option<String>)> {
    let mut world = World::new(BASE);
    let erp = pannier_protocol::SourceId::new("erp").unwrap();
    let shared = pannier_protocol::Partition::Shared;
    let levels = LEVELS.iter().zip(&case.policies).map(|(name, policy)| {
        let policy = match policy {
            LevelPolicy::First => "first",
            LevelPolicy::Lowest => "lowest",
            LevelPolicy::Additive => "additive",
        };
        format!("{name}:{policy}")
    });
    world.add("erp", shared, HEADERS);
    world.add("erp", shared, &format!("levels {}", levels.collect::<Vec<_>>().join(" ")));
    for (at, row) in case.rows.iter().enumerate() {
        // Overlaps are refused, as the other one does.
        world.state(&erp, shared, &read(&expand(&row.shorthand())), 1000 + at as u64);
    }
    let (quantity, at) = (case.quantity.to_string(), format!("{}T00:00:00Z", date(case.day)));
    let quote = world.quote(Ask {
        ship_to: Some("C-1"),
        quantity: &quantity,
        uom: Some(UOMS[case.uom].0),
        at: &at,
        warehouse: case.at_warehouse.then_some("DAL"),
        ..Ask::default()
    });
    let price = quote.price.ok()?;
    let until = price.valid_until.map(|until| until.to_string());
    Some((price.extended.to_string(), price.level.to_string(), until))
}

proptest! {
    // `PROPTEST_CASES` asks for more.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(512)))]

    #[test]
    fn the_walk_is_what_the_semantics_say(case in case()) {
        prop_assert_eq!(actual(&case), expected(&case));
    }
}

#[test]
fn the_cases_reach_prices_of_every_level() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let cases: Vec<_> = (0..400).map(|_| case().new_tree(&mut runner).unwrap().current()).collect();
    let found: Vec<_> = cases.iter().filter_map(expected).collect();
    for level in LEVELS {
        assert!(found.iter().any(|(_, name, _)| name == level), "no case ends at {level}");
    }
    assert!(found.iter().filter(|(_, _, until)| until.is_some()).count() > 20);
}
