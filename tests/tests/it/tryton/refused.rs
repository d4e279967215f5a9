//! What a database does not allow, or would leave out, ends the adapter at its start with what to do about it.

use pannier_tests::TestBroker;
use serde_json::json;

use super::erp::Erp;
use super::replication::{followed, followed_as, sql};
use super::source::Running;

/// What is done to the database, and what is said of it.
const LEFT_OUT: [(&str, &str); 8] = [
    ("DROP PUBLICATION pannier", "there is no publication pannier"),
    (
        "ALTER PUBLICATION pannier DROP TABLE party_party, sale_line",
        "lacks public.party_party, public.sale_line",
    ),
    ("ALTER PUBLICATION pannier SET (publish = 'insert, update')", "has no delete, truncate"),
    (
        "ALTER PUBLICATION pannier DROP TABLE party_party;
         ALTER PUBLICATION pannier ADD TABLE party_party WHERE (id > 7)",
        "a part of public.party_party only",
    ),
    (
        "ALTER PUBLICATION pannier DROP TABLE party_party, sale_line;
         ALTER PUBLICATION pannier ADD TABLE party_party (id, code), sale_line (id, sale)",
        "a part of public.party_party, public.sale_line only",
    ),
    (
        "CREATE SCHEMA archive; CREATE TABLE archive.party_party (LIKE party_party INCLUDING ALL);
         ALTER PUBLICATION pannier DROP TABLE party_party;
         ALTER PUBLICATION pannier ADD TABLE archive.party_party",
        "lacks public.party_party",
    ),
    ("ALTER TABLE party_party REPLICA IDENTITY NOTHING", "which row of public.party_party is deleted"),
    ("ALTER ROLE pannier SET search_path = archive", "has no product_uom, stock_location"),
];

/// What an error says to do, as far as it is a statement.
fn statement(told: &str) -> Option<&str> {
    let begin = told.find("ALTER").into_iter().chain(told.find("CREATE")).min()?;
    told[begin..].split_once("; then start again").map(|(statement, _)| statement)
}

/// Leaves the database as it was, but for a table of another schema that has a name of Tryton's and is published too.
pub(super) async fn check_refusals(erp: &Erp, test: &TestBroker) {
    for (done, want) in LEFT_OUT {
        sql(erp, done);
        let told = Running::start(followed(erp, test)).refused().await;
        assert!(told.contains(want), "{done}: {told}");
        sql(erp, statement(&told).unwrap_or("ALTER ROLE pannier RESET search_path"));
    }
    for (key, value, want) in [
        ("password", "wrong", "SQLSTATE 28P01); check user, password"),
        ("user", "nobody", "SQLSTATE 28P01); check user, password"),
        ("database", "elsewhere", "SQLSTATE 3D000); check user, password and database"),
    ] {
        let mut other = erp.state.clone();
        let of = if key == "database" { &mut other } else { &mut other["postgres"] };
        of[key] = json!(value);
        let told = Running::start(followed_as(erp, test, &other)).refused().await;
        assert!(told.contains(want), "{key}: {told}");
    }
}
