//! One Tryton of its own for a test.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pannier_adapters::tryton::{Query, Rest, TrytonConfig};
use pannier_tests::{TestBroker, room_for_tryton};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::SemaphorePermit;

use super::PATIENCE;

/// Runs until it is dropped.
pub(super) struct Erp {
    /// As `tests/erp/erp start` tells it.
    pub(super) state: Value,
    pub(super) rest: Rest,
    folder: TempDir,
    _room: SemaphorePermit<'static>,
}

fn erp(arguments: &[&str], run: &std::path::Path) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("erp/erp");
    let mut command = Command::new(script);
    command.args(arguments).arg("--run").arg(run).stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

impl Erp {
    /// `sqlite` or `postgres`.
    pub(super) async fn start(backend: &'static str) -> Self {
        let room = room_for_tryton().await;
        let folder = TempDir::new().unwrap();
        // PostgreSQL does not run as root: its own account has to get through to its data.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let mut start = erp(&["start", backend], &folder.path().join("erp"));
        let started = tokio::task::spawn_blocking(move || start.output()).await.unwrap().unwrap();
        assert!(started.status.success(), "tests/erp/erp start {backend}: {:?}", started.status);
        let state: Value = serde_json::from_slice(&started.stdout).unwrap();
        let text = |name: &str| state[name].as_str().unwrap();
        let rest = Rest::new(text("url"), text("key"), 1, PATIENCE).unwrap();
        Self { rest, state, folder, _room: room }
    }

    /// The adapter's configuration, with `more` behind it. State is kept across calls.
    pub(super) fn config(&self, test: &TestBroker, more: &str) -> TrytonConfig {
        let text = format!(
            "source = \"tryton\"\nstate = \"{}\"\nnats = \"{}\"\nurl = {}\nkey = {}\ncompany = 1\n{more}",
            self.folder.path().join("state").display(),
            test.server.url(),
            self.state["url"],
            self.state["key"],
        );
        TrytonConfig::parse(&text).unwrap()
    }

    /// All records of a model, within a context.
    pub(super) async fn all(&self, model: &str, fields: &[&str], context: &Value) -> Vec<Map<String, Value>> {
        self.rest.within(context).search(&Query::of(model, fields)).await.unwrap()
    }

    pub(super) async fn create(&self, model: &str, values: &Value) -> i64 {
        let made: Value = self.rest.create(model, &["id"], values).await.unwrap();
        made["id"].as_i64().unwrap()
    }

    pub(super) async fn press(&self, model: &str, id: i64, actions: &[&str]) {
        for action in actions {
            self.rest.press(model, id, action).await.unwrap();
        }
    }

    /// An order of ours, as the sink makes it: one line named `1` of so much of a product, in MAIN.
    pub(super) async fn order(&self, reference: &str, product: i64, quantity: u32) -> i64 {
        self.create(
            "sale.sale",
            &json!({
                "party": 3, "company": 1, "currency": 1, "reference": reference, "warehouse": 5,
                "invoice_address": 3, "shipment_address": 3, "payment_term": 10,
                "lines": [["create", [{"product": product, "quantity": quantity, "unit": 1, "note": "1",
                    "unit_price": {"__class__": "Decimal", "decimal": "1.2500"}}]]],
            }),
        )
        .await
    }

    /// The shipments of an order.
    pub(super) async fn shipments(&self, sale: i64) -> Vec<i64> {
        let found: Option<Value> = self.rest.find("sale.sale", sale, &["shipments"]).await.unwrap();
        let ids = found.unwrap()["shipments"].as_array().unwrap().clone();
        ids.iter().map(|id| id.as_i64().unwrap()).collect()
    }

    /// Counts a location's stock of a product.
    pub(super) async fn count(&self, location: i64, product: i64, quantity: u32) {
        let lines = json!([["create", [{"product": product, "quantity": quantity}]]]);
        let inventory = json!({"location": location, "company": 1, "lines": lines});
        let id = self.create("stock.inventory", &inventory).await;
        self.press("stock.inventory", id, &["confirm"]).await;
    }
}

impl Drop for Erp {
    fn drop(&mut self) {
        let stopped = erp(&["stop"], &self.folder.path().join("erp")).stdout(Stdio::null()).status();
        assert!(stopped.is_ok_and(|status| status.success()), "the test ERP did not stop");
    }
}
