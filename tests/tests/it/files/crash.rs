//! The adapter's process killed at random points while files keep coming.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use pannier_core::rows::Rows;
use pannier_protocol::Change;
use serde_json::json;

use super::{Site, catalog_digest, change, stock_digest};

const MAPPING: &str = r#"
[[file]]
name = "stock-full"
pattern = "full_{cut}.csv"
table = "stock"
mode = "full"
covers = "warehouses"
complete = { by = "rename" }
cut = { from = "name", pattern = "%s" }
columns = { item = 1, warehouse = 2, on_hand = 3, uom = { value = "EA" } }

[[file]]
name = "stock-delta"
pattern = "delta_{cut}.csv"
table = "stock"
mode = "delta"
complete = { by = "rename" }
cut = { from = "name", pattern = "%s" }
columns = { item = 1, warehouse = 2, on_hand = 3, removed = 4, uom = { value = "EA" } }

[[file]]
name = "prices"
pattern = "prices_{cut}.csv"
table = "prices"
mode = "full"
covers = "scopes"
complete = { by = "rename" }
cut = { from = "name", pattern = "%s" }
columns = { account = 1, item = 2, value = 3, currency = { value = "USD" } }
"#;

const ITEMS: u64 = 1_500;
const ROUNDS: u64 = 14;

/// The same numbers every run (a linear congruence): what is random is where a kill hits.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What the files say so far.
#[derive(Default)]
struct Truth {
    stock: BTreeMap<(u64, &'static str), u64>,
    prices: BTreeMap<(u64, u64), u64>,
}

impl Truth {
    /// The next file, by name and text.
    fn next(&mut self, round: u64, numbers: &mut Numbers) -> (String, String) {
        let cut = 1_795_400_000 + round;
        let mut text = String::new();
        let warehouse = ["DAL", "CHI"][(round % 2) as usize];
        if round < 2 || round.is_multiple_of(5) {
            for item in 0..ITEMS {
                if round < 2 || self.stock.contains_key(&(item, warehouse)) {
                    let on_hand = numbers.below(1_000);
                    self.stock.insert((item, warehouse), on_hand);
                    writeln!(text, "I{item},{warehouse},{on_hand}").unwrap();
                }
            }
            return (format!("full_{cut}.csv"), text);
        }
        if round.is_multiple_of(3) {
            for account in 0..40 {
                for item in 0..30 {
                    let price = 1 + numbers.below(9_000);
                    self.prices.insert((account, item), price);
                    writeln!(text, "C{account},I{item},{price}").unwrap();
                }
            }
            return (format!("prices_{cut}.csv"), text);
        }
        for _ in 0..600 {
            let (item, on_hand) = (numbers.below(ITEMS), numbers.below(1_000));
            if numbers.below(50) == 0 {
                self.stock.remove(&(item, warehouse));
                writeln!(text, "I{item},{warehouse},0,yes").unwrap();
            } else {
                self.stock.insert((item, warehouse), on_hand);
                writeln!(text, "I{item},{warehouse},{on_hand},no").unwrap();
            }
        }
        (format!("delta_{cut}.csv"), text)
    }

    fn stock(&self) -> Vec<Change> {
        let set = |((item, warehouse), on_hand): (&(u64, &str), &u64)| {
            let (item, on_hand) = (format!("I{item}"), on_hand.to_string());
            change(
                json!({"stock_set": {"item": item, "warehouse": warehouse, "uom": "EA", "on_hand": on_hand}}),
            )
        };
        self.stock.iter().map(set).collect()
    }

    fn prices(&self) -> Vec<Change> {
        let price = |((account, item), price): (&(u64, u64), &u64)| {
            let row =
                json!([format!("I{item}"), null, null, null, 1, "fixed", null, [["0", price.to_string()]]]);
            let scope = json!({"account": format!("C{account}")});
            change(json!({"prices": {"scope": scope, "currency": "USD", "rows": [row]}}))
        };
        self.prices.iter().map(price).collect()
    }
}

#[tokio::test]
async fn killed_at_random_points_it_neither_loses_nor_doubles() {
    let site = Site::new(MAPPING).await;
    let config = site.config_file("state.redb");
    let (mut truth, mut numbers) = (Truth::default(), Numbers(7));
    for round in 0..ROUNDS {
        let (name, text) = truth.next(round, &mut numbers);
        site.put(&name, &text);
        let mut adapter = Command::new(env!("CARGO_BIN_EXE_files_adapter")).arg(&config).spawn().unwrap();
        // Not a wait for something: how far it gets is what is varied.
        tokio::time::sleep(Duration::from_millis(20 + numbers.below(260))).await;
        adapter.kill().unwrap();
        adapter.wait().unwrap();
    }
    site.load().await;
    let folded = site.fold().await;
    assert_eq!(folded.effects, [], "no duplicate, no gap, nothing refused");
    assert_eq!(folded.stock().digest(), stock_digest(&truth.stock()));
    let families = folded.catalog.chains.families.iter().flatten().map(|chain| chain.rows.digest());
    let sum = families.fold(0_u128, u128::wrapping_add);
    assert_eq!(sum, catalog_digest(&truth.prices()));
    assert_eq!(site.reviews().await, Vec::<serde_json::Value>::new());
}
