//! A real Tryton (`tests/erp`), of a test's own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pannier_adapters::tryton::{Query, Rest};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// At once: each is a Python process that keeps a core busy.
static ROOM: Semaphore = Semaphore::const_new(2);

/// For a request of a test.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// Taken before another one is started, and kept as long as it runs.
pub async fn room_for_tryton() -> SemaphorePermit<'static> {
    ROOM.acquire().await.expect("it is never closed")
}

/// What Tryton keeps its data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Runs until it is dropped.
pub struct Tryton {
    /// As `tests/erp/erp start` tells it.
    pub state: Value,
    pub rest: Rest,
    pub folder: TempDir,
    _room: SemaphorePermit<'static>,
}

fn script(arguments: &[&str], run: &Path) -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("erp/erp"));
    command.args(arguments).arg("--run").arg(run).stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

impl Tryton {
    /// A copy of the filled database; the first start of a day makes it, under a lock, and takes minutes.
    pub async fn start(database: Database) -> Self {
        Self::start_in(room_for_tryton().await, database).await
    }

    /// An old one and a new one. The room for both is taken at once: two tests that have one each would wait for ever.
    pub async fn start_two(database: Database) -> [Self; 2] {
        let mut rooms = ROOM.acquire_many(2).await.expect("it is never closed");
        let other = rooms.split(1).expect("there is room for two");
        [Self::start_in(rooms, database).await, Self::start_in(other, database).await]
    }

    async fn start_in(room: SemaphorePermit<'static>, database: Database) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        // PostgreSQL does not run as root: its own account has to get through to its data.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
        let backend = if database == Database::Sqlite { "sqlite" } else { "postgres" };
        let mut start = script(&["start", backend], &folder.path().join("erp"));
        let started = tokio::task::spawn_blocking(move || start.output()).await;
        let started = started.expect("it does not panic").expect("tests/erp/erp can be run");
        assert!(started.status.success(), "tests/erp/erp start {backend}: {:?}", started.status);
        let state: Value = serde_json::from_slice(&started.stdout).expect("a JSON line");
        let text = |name: &str| state[name].as_str().expect("url and key").to_owned();
        let rest = Rest::new(&text("url"), &text("key"), 1, REQUEST_MAX).expect("an address");
        Self { state, rest, folder, _room: room }
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.state["trytond"]["port"])
    }

    /// Of Tryton's own process.
    pub fn process_id(&self) -> i32 {
        let id = self.state["trytond"]["pid"].as_i64().and_then(|id| i32::try_from(id).ok());
        id.expect("a process id")
    }

    /// All sales with a reference, with all that tests look at.
    pub async fn sales(&self, reference: &str) -> Vec<Value> {
        let fields = [
            "number",
            "state",
            "party.code",
            "warehouse.code",
            "description",
            "comment",
            "shipping_date",
            "shipment_party.code",
            "shipments.state",
            "invoices.state",
            "lines.product.code",
            "lines.quantity",
            "lines.unit.symbol",
            "lines.unit_price",
            "lines.note",
        ];
        let query = Query::of("sale.sale", &fields).filter(json!([["reference", "=", reference]]));
        self.rest.search(&query).await.expect("Tryton answers")
    }

    /// How many sales with a reference are drafts, in effect, cancelled.
    pub async fn count(&self, reference: &str) -> [usize; 3] {
        let sales = self.sales(reference).await;
        let of = |states: &[&str]| {
            sales
                .iter()
                .filter(|sale| sale["state"].as_str().is_some_and(|state| states.contains(&state)))
                .count()
        };
        [of(&["draft", "quotation"]), of(&["confirmed", "processing", "done"]), of(&["cancelled"])]
    }

    /// Changes what no interface would, behind Tryton's back; on SQLite.
    pub fn sql(&self, statement: &str) {
        let file = self.folder.path().join("erp/data/erp.sqlite");
        let program = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: db.execute(sys.argv[2])";
        let done = Command::new("python3").args(["-c", program]).arg(file).arg(statement).status();
        assert!(done.is_ok_and(|status| status.success()), "{statement}");
    }

    pub async fn press(&self, model: &str, id: i64, actions: &[&str]) {
        for action in actions {
            self.rest
                .press(model, id, action)
                .await
                .unwrap_or_else(|error| panic!("{model} {action}: {error}"));
        }
    }
}

impl Drop for Tryton {
    fn drop(&mut self) {
        let stopped = script(&["stop"], &self.folder.path().join("erp")).stdout(Stdio::null()).status();
        if !std::thread::panicking() {
            assert!(stopped.is_ok_and(|status| status.success()), "the test ERP did not stop");
        }
    }
}
