//! Whether a publication has all that is asked of the log: what it leaves out would be missing without a sign. That holds
//! for what it left out for a while too, so one that was changed, and be it changed back, counts as another one.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::table::Table;

/// What a publication leaves out, and the statement that mends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicationError {
    #[error(
        "the database has no {tables} that the adapter's user finds: check replication.database, and give the user the \
         schema of Tryton's tables (ALTER ROLE .. SET search_path) and the right to use it"
    )]
    NoTables { tables: String },
    #[error(
        "there is no publication {publication}: as the owner of Tryton's tables, CREATE PUBLICATION {publication} FOR \
         TABLE {tables}; then start again"
    )]
    NoPublication { publication: String, tables: String },
    #[error(
        "publication {publication} lacks {tables}: ALTER PUBLICATION {publication} ADD TABLE {tables}; then start again"
    )]
    Lacking { publication: String, tables: String },
    #[error(
        "publication {publication} has no {operations}: ALTER PUBLICATION {publication} SET (publish = \
         'insert, update, delete, truncate'); then start again"
    )]
    Operations { publication: String, operations: String },
    #[error(
        "publication {publication} has a part of {tables} only, by its row filter or column list: ALTER PUBLICATION \
         {publication} DROP TABLE {tables}; ALTER PUBLICATION {publication} ADD TABLE {tables}; then start again"
    )]
    Parts { publication: String, tables: String },
    #[error(
        "the log does not say which row of {table} is deleted: ALTER TABLE {table} REPLICA IDENTITY DEFAULT; then start \
         again"
    )]
    Identity { table: String },
}

/// One row of an answer.
pub(super) type Answer = Vec<Option<String>>;

/// In which schema each table is; those of the same name in others are not Tryton's.
pub(super) type Schemas = BTreeMap<Table, String>;

/// What it says of operations; no row where there is none. Servers differ in what they know.
pub(super) fn operations_sql(publication: &str) -> String {
    let known = OPERATIONS.map(|operation| format!("to_jsonb(p)->>'pub{operation}'")).join(", ");
    format!("SELECT {known} FROM pg_publication p WHERE pubname = '{publication}'")
}

/// What it says of each table that is followed.
pub(super) fn tables_sql(publication: &str) -> String {
    let names: Vec<String> = followed().map(Table::sql).collect();
    format!(
        "SELECT t.name, n.nspname, p.tablename, to_jsonb(p)->>'rowfilter', to_jsonb(p)->>'attnames', c.relreplident \
         FROM unnest('{{{}}}'::text[]) AS t (name) \
         LEFT JOIN pg_class c ON c.oid = to_regclass(t.name) LEFT JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_publication_tables p \
           ON p.pubname = '{publication}' AND p.schemaname = n.nspname AND p.tablename = c.relname",
        names.join(",")
    )
}

/// Which rows of the server's own tables it is made of, each with the transaction that wrote it. Older servers have no
/// schemas in publications.
pub(super) fn marks_sql(publication: &str, has_schemas: bool) -> String {
    let part = |table: &str, owner: &str| {
        format!(
            " UNION ALL SELECT '{table}', r.oid::text, r.xmin::text FROM {table} r JOIN pg_publication p \
             ON p.oid = r.{owner} WHERE p.pubname = '{publication}'"
        )
    };
    let schemas = if has_schemas { part(SCHEMAS_TABLE, "pnpubid") } else { String::new() };
    format!(
        "SELECT 'pg_publication', oid::text, xmin::text FROM pg_publication WHERE pubname = '{publication}'{}{schemas} \
         ORDER BY 1, 2",
        part("pg_publication_rel", "prpubid"),
    )
}

/// Whether the server has schemas in publications.
pub(super) fn has_schemas_sql() -> String {
    format!("SELECT to_regclass('pg_catalog.{SCHEMAS_TABLE}')")
}

const SCHEMAS_TABLE: &str = "pg_publication_namespace";

/// A name for what [`marks_sql`] answers.
pub(super) fn mark(answers: &[Answer]) -> String {
    let digest = Sha256::digest(format!("{answers:?}"));
    digest[..MARK_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

const MARK_BYTES: usize = 8;

const OPERATIONS: [&str; 4] = ["insert", "update", "delete", "truncate"];

fn followed() -> impl Iterator<Item = Table> {
    Table::ALL.iter().copied().filter(|table| table.is_followed())
}

/// Refuses what is not all of it.
pub(super) fn check(
    publication: &str,
    operations: &[Answer],
    tables: &[Answer],
) -> Result<Schemas, PublicationError> {
    let publication = publication.to_owned();
    let text = |row: &Answer, at: usize| row.get(at).cloned().flatten();
    let (mut schemas, mut found) = (Schemas::new(), Vec::new());
    for row in tables {
        if let (Some(table), Some(schema)) =
            (text(row, 0).and_then(|name| Table::of_sql(&name)), text(row, 1))
        {
            found.push((table, format!("{schema}.{}", table.sql()), row));
            schemas.insert(table, schema);
        }
    }
    let unfound: Vec<String> =
        followed().filter(|table| !schemas.contains_key(table)).map(Table::sql).collect();
    if !unfound.is_empty() {
        return Err(PublicationError::NoTables { tables: unfound.join(", ") });
    }
    let names = |is_wrong: &dyn Fn(Table, &Answer) -> bool| {
        let wrong = found.iter().filter(|(table, _, row)| is_wrong(*table, row));
        wrong.map(|(_, name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let Some(said) = operations.first() else {
        return Err(PublicationError::NoPublication { publication, tables: names(&|_, _| true) });
    };
    let lacking = names(&|_, row| text(row, 2).is_none());
    if !lacking.is_empty() {
        return Err(PublicationError::Lacking { publication, tables: lacking });
    }
    let is_left_out = |at: usize| text(said, at).is_some_and(|is_said| is_said != "true");
    let left_out = (0..).zip(OPERATIONS).filter(|(at, _)| is_left_out(*at)).map(|(_, operation)| operation);
    let left_out: Vec<&str> = left_out.collect();
    if !left_out.is_empty() {
        return Err(PublicationError::Operations { publication, operations: left_out.join(", ") });
    }
    let parts = names(&|table, row| text(row, 3).is_some() || !has_columns(table, text(row, 4).as_deref()));
    if !parts.is_empty() {
        return Err(PublicationError::Parts { publication, tables: parts });
    }
    let is_nameless = |row: &Answer| !matches!(text(row, 5).as_deref(), Some("d" | "f"));
    match found.iter().find(|(_, _, row)| is_nameless(row)) {
        Some((_, name, _)) => Err(PublicationError::Identity { table: name.clone() }),
        None => Ok(schemas),
    }
}

/// Whether all columns that are read are among these; a server without column lists names none.
fn has_columns(table: Table, published: Option<&str>) -> bool {
    let Some(published) = published else { return true };
    let published: Vec<String> = serde_json::from_str(published).unwrap_or_default();
    let mut needed = table.columns().iter().chain(&["id"]);
    needed.all(|column| published.iter().any(|name| name == column))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(table: Table) -> String {
        format!("{:?}", [table.columns(), &["id"]].concat())
    }

    /// What a server answers of a table that is published as a whole.
    fn whole(table: Table) -> Answer {
        let row = [&table.sql(), "public", &table.sql(), "", &columns(table), "d"];
        row.map(|text| (!text.is_empty()).then(|| text.to_owned())).to_vec()
    }

    /// With one cell of the row of `sale_line` and of `stock_move` changed.
    fn said(at: usize, text: Option<&str>) -> Vec<Answer> {
        let changed = |table: Table| {
            let mut row = whole(table);
            if matches!(table, Table::SaleLine | Table::Move) {
                row[at] = text.map(str::to_owned);
            }
            row
        };
        followed().map(changed).collect()
    }

    #[test]
    fn what_is_left_out_is_named_with_what_mends_it() {
        let operations = |said: [Option<&str>; 4]| vec![said.map(|text| text.map(str::to_owned)).to_vec()];
        let all = operations([Some("true"); 4]);
        let (both, old) = ("public.sale_line, public.stock_move", "[\"id\"]");
        let no_deletes = operations([Some("true"), Some("true"), Some("false"), Some("false")]);
        let narrow = columns(Table::Party);
        for (what, operations, tables, want) in [
            ("all", all.clone(), said(1, Some("public")), None),
            (
                "an old server",
                operations([Some("true"), Some("true"), Some("true"), None]),
                said(4, None),
                None,
            ),
            ("full identity", all.clone(), said(5, Some("f")), None),
            ("not there", all.clone(), said(1, None), Some("has no sale_line, stock_move that".to_owned())),
            (
                "no publication",
                Vec::new(),
                said(3, None),
                Some("CREATE PUBLICATION p FOR TABLE public.".to_owned()),
            ),
            ("lacking", all.clone(), said(2, None), Some(format!("ALTER PUBLICATION p ADD TABLE {both};"))),
            (
                "deletes",
                no_deletes,
                said(3, None),
                Some("has no delete, truncate: ALTER PUBLICATION p SET".to_owned()),
            ),
            ("filter", all.clone(), said(3, Some("(id > 7)")), Some(format!("part of {both} only"))),
            ("columns", all.clone(), said(4, Some(&narrow)), Some(format!("DROP TABLE {both};"))),
            ("only the key", all.clone(), said(4, Some(old)), Some(format!("part of {both} only"))),
            ("no key", all, said(5, Some("n")), Some("ALTER TABLE public.sale_line REPLICA".to_owned())),
        ] {
            let got = check("p", &operations, &tables);
            let Some(want) = want else {
                let schemas = got.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(schemas.len(), followed().count(), "{what}");
                continue;
            };
            let error = got.unwrap_err().to_string();
            assert!(error.contains(&want), "{what}: {error}");
        }
    }
}
