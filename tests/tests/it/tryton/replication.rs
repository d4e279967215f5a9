//! What is published of a Tryton whose database's log is followed.

use std::io::Write;
use std::process::{Command, Stdio};

use pannier_adapters::tryton::TrytonConfig;
use pannier_tests::TestBroker;
use serde_json::{Value, json};

use super::erp::Erp;
use super::heard::Heard;
use super::refused::check_refusals;
use super::source::{Asked, Running, check_all, order_and_ship};

/// The adapter's configuration with the database's address.
pub(super) fn followed(erp: &Erp, test: &TestBroker) -> TrytonConfig {
    followed_as(erp, test, &erp.state)
}

/// The same, with what `state` says of the database.
pub(super) fn followed_as(erp: &Erp, test: &TestBroker, state: &Value) -> TrytonConfig {
    let of = &state["postgres"];
    let more = format!(
        "[catalog]\ntick_ms = 100\n[replication]\nhost = {}\nport = {}\ndatabase = {}\nuser = {}\npassword = {}\n",
        of["host"], of["port"], state["database"], of["user"], of["password"],
    );
    erp.config(test, &more)
}

/// `psql` as the owner of everything.
fn psql(erp: &Erp) -> Command {
    let of = &erp.state["postgres"];
    let text = |name: &str| of[name].as_str().unwrap();
    let mut command = Command::new("psql");
    command
        .args(["-qAt", "-v", "ON_ERROR_STOP=1", "-h", text("host"), "-p", &of["port"].to_string()])
        .args(["-U", text("owner"), erp.state["database"].as_str().unwrap()])
        .env("PGPASSWORD", text("owner_password"));
    command
}

/// What `psql` answers to statements, each its own transaction.
pub(super) fn sql(erp: &Erp, statements: &str) -> String {
    let done = psql(erp).args(["-c", statements]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// What came back to the same, said by a change that comes after it.
async fn nothing_but(erp: &Erp, heard: &mut Heard, party: i64, account: &str) {
    sql(erp, &format!("UPDATE party_party SET active = false WHERE id = {party}"));
    let name = format!("account {account}");
    heard.until("the account is gone", |heard| !heard.rows.contains_key(&name)).await;
    assert_eq!(heard.said(), [name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_the_database_says_all_that_happens() {
    let erp = Erp::start("postgres").await;
    let (test, streams) = TestBroker::start_with_streams().await;
    let mut stock = Heard::listen(&test.broker, &streams, true);
    let mut catalog = Heard::listen(&test.broker, &streams, false);
    check_refusals(&erp, &test).await;
    let running = Running::start(followed(&erp, &test));
    // Tryton works while all tables are read.
    for product in 21..25 {
        erp.count(3, product, u32::try_from(product).unwrap()).await;
    }
    for product in 21..25 {
        stock.until_cell(&format!("ITEM-0{product}"), "MAIN", &format!("{product}-0 []")).await;
    }
    catalog.until("the prices", |heard| heard.rows.contains_key("price LIST ITEM-040 ..")).await;
    order_and_ship(&erp, &mut stock).await;
    let asked = Asked::start(&test, &streams, 0, 0).await;
    check_all(&erp, &asked).await;
    stock.until_read_again().await;
    catalog.said();
    // The price job: all rows are deleted and made again.
    sql(
        &erp,
        "BEGIN; CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM product_price_list_cache;
         DELETE FROM product_price_list_cache; UPDATE kept SET id = id + 100000;
         INSERT INTO product_price_list_cache SELECT * FROM kept; COMMIT",
    );
    sql(&erp, "INSERT INTO archive.party_party SELECT * FROM party_party; DELETE FROM archive.party_party");
    nothing_but(&erp, &mut catalog, 14, "CUST-012").await;
    sql(&erp, "DELETE FROM product_list_price WHERE template = 40");
    let gone = |heard: &Heard| !heard.rows.contains_key("price LIST ITEM-040 ..");
    catalog.until("a deleted price", gone).await;
    sql(
        &erp,
        "BEGIN; CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM product_list_price WHERE template <> 39;
         UPDATE product_list_price SET list_price = 99; TRUNCATE product_list_price;
         INSERT INTO product_list_price SELECT * FROM kept; COMMIT",
    );
    catalog.said();
    let gone = |heard: &Heard| !heard.rows.contains_key("price LIST ITEM-039 ..");
    catalog.until("a price that was emptied out", gone).await;
    assert_eq!(catalog.said(), ["price LIST ITEM-039 .."]);
    away(&erp, &test, running, &mut stock, &mut catalog).await;
}

/// The adapter is away, the server crashes, the slot is lost: nothing is missed, and nothing is said again.
async fn away(erp: &Erp, test: &TestBroker, running: Running, stock: &mut Heard, catalog: &mut Heard) {
    running.stop().await;
    stock.said();
    catalog.said();
    erp.count(3, 30, 333).await;
    let running = Running::start(followed(erp, test));
    stock.until_cell("ITEM-030", "MAIN", "333-0 []").await;
    assert_eq!(stock.said(), ["stock ITEM-030 MAIN"]);
    // One process of the server dies, and it ends all others and recovers.
    let pid = sql(erp, "SELECT pid FROM pg_stat_replication WHERE state = 'streaming'");
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    stock.until_read_again().await;
    sql_when_back(erp, "UPDATE stock_move SET state = 'draft' WHERE state = 'done' AND product = 31");
    stock.until_cell("ITEM-031", "MAIN", "0-0 []").await;
    running.stop().await;
    stock.said();
    erp.count(3, 32, 444).await;
    sql(erp, "SELECT pg_drop_replication_slot('pannier')");
    let running = Running::start(followed(erp, test));
    stock.until_cell("ITEM-032", "MAIN", "444-0 []").await;
    running.stop().await;
    assert_eq!((stock.said(), catalog.said()), (vec!["stock ITEM-032 MAIN".to_owned()], vec![]));
    // So it is left when the adapter is stopped before it has read all tables: the new slot begins after a change.
    erp.count(3, 33, 555).await;
    sql(erp, "SELECT pg_drop_replication_slot('pannier')");
    sql(erp, "SELECT pg_create_logical_replication_slot('pannier', 'pgoutput')");
    let running = Running::start(followed(erp, test));
    stock.until_cell("ITEM-033", "MAIN", "555-0 []").await;
    running.stop().await;
    assert_eq!((stock.said(), catalog.said()), (vec!["stock ITEM-033 MAIN".to_owned()], vec![]));
    unpublished(erp, test, stock, catalog).await;
    late_rows(erp, test, catalog).await;
}

/// What was not published for a while is not in the log, and is read when the publication is whole again.
async fn unpublished(erp: &Erp, test: &TestBroker, stock: &mut Heard, catalog: &mut Heard) {
    sql(erp, "ALTER PUBLICATION pannier DROP TABLE stock_move");
    erp.count(3, 34, 666).await;
    sql(erp, "ALTER PUBLICATION pannier ADD TABLE stock_move");
    let running = Running::start(followed(erp, test));
    stock.until_cell("ITEM-034", "MAIN", "666-0 []").await;
    // The same while the adapter is at work.
    sql(
        erp,
        "ALTER PUBLICATION pannier DROP TABLE party_party; UPDATE party_party SET active = false WHERE id = 11;
         ALTER PUBLICATION pannier ADD TABLE party_party",
    );
    catalog.until("an account is gone", |heard| !heard.rows.contains_key("account CUST-009")).await;
    running.stop().await;
    let said = (vec!["stock ITEM-034 MAIN".to_owned()], vec!["account CUST-009".to_owned()]);
    assert_eq!((stock.said(), catalog.said()), said);
}

/// The server refuses everybody while it recovers; the statement is one that may be repeated.
fn sql_when_back(erp: &Erp, statement: &str) {
    let is_done = || psql(erp).args(["-c", statement]).stderr(Stdio::null()).status().unwrap().success();
    assert!((0..1_000).any(|_| is_done()), "the server does not come back");
}

/// Polled, a row appears with the time at which its transaction began, long after later ones were seen.
async fn late_rows(erp: &Erp, test: &TestBroker, catalog: &mut Heard) {
    let polled =
        "[poll]\nevery_ms = 100\ncatalog_every_ms = 100\noverlap_ms = 120000\n[catalog]\ntick_ms = 100\n";
    let running = Running::start(erp.config(test, polled));
    let mut late = psql(erp).stdin(Stdio::piped()).spawn().unwrap();
    let begin = "BEGIN; UPDATE party_party SET active = false, write_date = now() WHERE id = 13;\n";
    let mut statements = late.stdin.take().unwrap();
    statements.write_all(begin.as_bytes()).unwrap();
    let retired = json!({"active": false});
    erp.rest.write("party.party", 12, &retired).await.unwrap();
    catalog.until("a later change", |heard| !heard.rows.contains_key("account CUST-010")).await;
    assert!(catalog.rows.contains_key("account CUST-011"));
    statements.write_all(b"COMMIT;\n").unwrap();
    drop(statements);
    catalog.until("the late row", |heard| !heard.rows.contains_key("account CUST-011")).await;
    assert!(late.wait().unwrap().success());
    running.stop().await;
}
