//! Folders that are loaded once: every kind of file, rejects, parking, and what a later file changes.

use pannier_core::entry::Effect;
use pannier_core::rows::Rows;
use pannier_protocol::subject::Subject;
use pannier_protocol::{AccountId, Partition, SourceId};
use serde_json::json;

use super::{Site, catalog_digest, change, names, stock_digest};

const MAPPING: &str = r#"
[[file]]
name = "items"
pattern = "items_{cut}.csv"
table = "items"
mode = "full"
complete = { by = "rename" }
cut = { from = "name", pattern = "%Y%m%dT%H%M" }
format = { header = true }
columns = { item = "ITEM", base_uom = "UOM", class = "CLASS" }

[[file]]
name = "uoms"
pattern = "uoms.csv"
table = "uoms"
mode = "full"
complete = { by = "rename" }
columns = { item = 1, uom = 2, numerator = 3 }

[[file]]
name = "accounts"
pattern = "accounts*.csv"
table = "accounts"
mode = "delta"
complete = { by = "rename" }
columns = { account = 1, parent = 2, removed = { number = 3, default = "no" } }

[[file]]
name = "contracts"
pattern = "contracts*.csv"
table = "scopes"
mode = "full"
covers = "contracts"
complete = { by = "rename" }
columns = { contract = 1, member_accounts = { number = 2, separator = "|" } }

[[file]]
name = "prices"
pattern = "prices*.csv"
table = "prices"
mode = "full"
covers = "scopes"
complete = { by = "rename" }
columns = { contract = 1, list = 2, item = 3, currency = { value = "USD" }, min_quantity = 4, value = 5 }

[[file]]
name = "stock"
pattern = "stock*.csv"
table = "stock"
mode = "full"
covers = "warehouses"
rejects_max_percent = 40
complete = { by = "rename" }
columns = { item = 1, warehouse = 2, on_hand = 3 }
"#;

fn family(root: &str) -> Partition {
    Partition::of_root(&AccountId::new(root).unwrap())
}

fn account(account: &str, parent: Option<&str>, root: &str) -> pannier_protocol::Change {
    change(json!({"account": {"account": account, "parent": parent, "root": root}}))
}

fn contract(contract: &str, members: &[&str]) -> pannier_protocol::Change {
    let members: Vec<_> = members.iter().map(|account| json!({"account": account})).collect();
    change(json!({"scope": {"scope": {"contract": contract}, "members": members}}))
}

fn price(scope: serde_json::Value, item: &str, breaks: &[[&str; 2]]) -> pannier_protocol::Change {
    let row = json!([item, null, null, null, 1, "fixed", null, breaks]);
    change(json!({"prices": {"scope": scope, "currency": "USD", "rows": [row]}}))
}

fn item(item: &str, uoms: serde_json::Value) -> pannier_protocol::Change {
    change(json!({"item": {"item": item, "base_uom": "EA", "class": "BOLT", "uoms": uoms}}))
}

fn cell(item: &str, warehouse: &str, on_hand: &str) -> pannier_protocol::Change {
    change(json!({"stock_set": {"item": item, "warehouse": warehouse, "uom": "EA", "on_hand": on_hand}}))
}

async fn loaded() -> Site {
    let site = Site::new(MAPPING).await;
    site.put("items_20261123T0600.csv", "ITEM,UOM,CLASS\nA,EA,BOLT\nB,EA,BOLT\n");
    site.put("uoms.csv", "A,BX,100\nA,CS,1000\n");
    site.put("accounts.csv", "C-1,,\nC-1-01,C-1,\nC-2,,\n");
    site.put("contracts.csv", "K-1,C-1-01\nK-2,C-1|C-2\n");
    site.put("prices.csv", "K-1,,A,10,1.1\nK-1,,A,0,1.2\nK-2,,A,0,1.3\n,STD,A,0,2\n,STD,B,0,3\n");
    site.put("stock.csv", "A,DAL,10\nB,DAL,20\nA,CHI,5\n");
    let summary = site.load().await;
    assert!(summary.files.iter().all(|file| file.parked.is_none() && file.rejects == 0), "{summary:?}");
    site
}

#[tokio::test]
async fn files_of_every_kind_arrive_where_they_belong() {
    let site = loaded().await;
    let folded = site.fold().await;
    assert_eq!(folded.effects, []);
    let uoms = json!([
        {"uom": "BX", "numerator": 100, "denominator": 1}, {"uom": "CS", "numerator": 1000, "denominator": 1}
    ]);
    let shared = [
        item("A", uoms),
        item("B", json!([])),
        account("C-1", None, "C-1"),
        account("C-1-01", Some("C-1"), "C-1"),
        account("C-2", None, "C-2"),
        contract("K-2", &["C-1", "C-2"]),
        price(json!({"contract": "K-2"}), "A", &[["0", "1.3"]]),
        price(json!({"list": "STD"}), "A", &[["0", "2"]]),
        price(json!({"list": "STD"}), "B", &[["0", "3"]]),
    ];
    assert_eq!(folded.shared().digest(), catalog_digest(&shared));
    let own = [
        contract("K-1", &["C-1-01"]),
        price(json!({"contract": "K-1"}), "A", &[["0", "1.2"], ["10", "1.1"]]),
    ];
    let rows = folded.family(family("C-1")).unwrap();
    assert_eq!(rows.digest(), catalog_digest(&own));
    let stock = [cell("A", "DAL", "10"), cell("B", "DAL", "20"), cell("A", "CHI", "5")];
    assert_eq!(folded.stock().digest(), stock_digest(&stock));
    assert_eq!(names(&site.folder()), Vec::<String>::new());
    assert_eq!(names(&site.folder().join("done")).len(), 6);
    let source = SourceId::new("erp-1").unwrap();
    let ledger = folded.state_of(&Subject::Stock(source.clone()));
    let catalog = folded.state_of(&Subject::Catalog(Partition::Shared, source));
    assert!(!ledger.suspect && ledger.loaded && ledger.caught_up_to.is_some(), "{ledger:?}");
    let cut = catalog.caught_up_to.unwrap().to_string();
    assert_eq!(cut, "2026-11-23T06:00:00Z", "the oldest export of a stream's tables");
}

#[tokio::test]
async fn later_files_change_what_they_cover_and_no_more() {
    let site = loaded().await;
    // C-2 moves below C-1: the contract of both becomes one family's, and its prices go with it.
    site.put("accounts2.csv", "C-2,C-1,\n");
    site.put("prices2.csv", "K-1,,B,0,9\n");
    site.put("stock2.csv", "A,CHI,6\n");
    site.put("uoms.csv", "B,BX,50\n");
    site.load().await;
    let folded = site.fold().await;
    assert_eq!(folded.effects.iter().filter(|effect| !is_parked(effect)).count(), 0, "{:?}", folded.effects);
    let shared = [
        item("A", json!([])),
        item("B", json!([{"uom": "BX", "numerator": 50, "denominator": 1}])),
        account("C-1", None, "C-1"),
        account("C-1-01", Some("C-1"), "C-1"),
        account("C-2", Some("C-1"), "C-1"),
        price(json!({"list": "STD"}), "A", &[["0", "2"]]),
        price(json!({"list": "STD"}), "B", &[["0", "3"]]),
    ];
    assert_eq!(folded.shared().digest(), catalog_digest(&shared));
    let stock = [cell("A", "DAL", "10"), cell("B", "DAL", "20"), cell("A", "CHI", "6")];
    assert_eq!(folded.stock().digest(), stock_digest(&stock));
}

/// The one row of K-1 is replaced by another: the node parks what removes more than a tenth of a scope.
fn is_parked(effect: &Effect) -> bool {
    match effect {
        Effect::Review(review) => review.reason.contains("would remove"),
        Effect::Dropped { reason, .. } => *reason == pannier_core::entry::DropReason::StagingDropped,
        Effect::Resync { .. } | Effect::Stop { .. } => false,
    }
}

#[tokio::test]
async fn bad_rows_are_set_aside_and_bad_files_parked() {
    let site = loaded().await;
    site.put("stock3.csv", "A,DAL,11\nB,DAL,2O\nA,CHI,7\n");
    site.put("stock4.csv", "A,DAL,x\nB,DAL,y\nA,CHI,7\n");
    let summary = site.load().await;
    let third = summary.files.iter().find(|file| file.name == "stock3.csv").unwrap();
    assert_eq!((third.rows, third.rejects, third.parked.as_deref()), (3, 1, None));
    let rejects = std::fs::read_to_string(site.folder().join("rejects/stock3.csv.csv")).unwrap();
    assert!(rejects.contains("2,3 (on_hand),") && rejects.contains("2O"), "{rejects}");
    let fourth = summary.files.iter().find(|file| file.name == "stock4.csv").unwrap();
    assert!(fourth.parked.as_deref().unwrap().contains("2 of 3 rows are bad, more than 40%"), "{fourth:?}");
    assert_eq!(names(&site.folder().join("parked")), ["stock4.csv", "stock4.csv.reason"]);
    let reviews = site.reviews().await;
    let row = reviews.iter().find(|review| review["kind"] == "row").unwrap();
    assert_eq!((&row["file"], &row["line"]), (&json!("stock3.csv"), &json!(2)));
    assert!(reviews.iter().any(|review| review["kind"] == "file" && review["file"] == "stock4.csv"));

    let config = pannier_adapters::files::FilesConfig::load(&site.config_file("state.redb")).unwrap();
    let unknown = pannier_adapters::files::approve(&config, "stock9.csv").unwrap_err().to_string();
    assert!(unknown.contains("it has: stock4.csv"), "{unknown}");
    pannier_adapters::files::approve(&config, "stock4.csv").unwrap();
    let summary = site.load().await;
    assert_eq!(summary.files[0].parked, None);
    assert_eq!(names(&site.folder().join("parked")), Vec::<String>::new());
    let folded = site.fold().await;
    let stock = [cell("A", "DAL", "11"), cell("B", "DAL", "20"), cell("A", "CHI", "7")];
    assert_eq!(folded.stock().digest(), stock_digest(&stock), "a bad row leaves what was there");
}
