//! How a source whose rows do not count compares with those whose rows do. What is compared is walked over on a thread of
//! its own, for which no other request waits.

use std::sync::Arc;

use pannier_core::lookup::tables_in_force;
use pannier_core::shadow::Comparison;
use pannier_protocol::api::operator::{ShadowShown, TableDrift};
use pannier_protocol::change::Table;
use pannier_protocol::order::HandoverScope;
use pannier_protocol::{SourceId, Timestamp};
use tokio::task::spawn_blocking;

use super::lists::filter;
use crate::app::Tables;
use crate::http::query::{parameters, parsed, refuse};
use crate::http::refusal::Refusal;
use crate::limits::{DRIFTS_SHOWN, DRIFTS_SHOWN_MAX};
use crate::orders::desk::as_of;

/// What is compared; borrowed of nothing, for the thread that does it.
pub(super) struct Compared {
    pub(super) shadow: SourceId,
    /// Only what this one owns; without: whoever does.
    pub(super) owner: Option<SourceId>,
    pub(super) scope: HandoverScope,
    pub(super) worst_max: usize,
}

/// `GET /v1/operator/shadow`.
pub(super) async fn shown(tables: &Tables, now: Timestamp, query: &str) -> Result<ShadowShown, Refusal> {
    let asked = parameters(query, &["source", "owner", "tables", "warehouse", "class", "worst"])?;
    let source: Option<SourceId> = filter(&asked, "source")?;
    let source = source.ok_or_else(|| refuse("source", "name the source that is compared".to_owned()))?;
    let is_of =
        |source: &SourceId| tables.board.states().iter().any(|(subject, _)| subject.source() == Some(source));
    if !is_of(&source) {
        let unknown = format!("no chain of {source} is known; GET /v1/operator/sources lists them");
        return Err(refuse("source", unknown));
    }
    let named = asked.get("tables").map_or("all", String::as_str);
    let named: Result<Vec<Table>, Refusal> = named.split(',').map(|name| parsed("tables", name)).collect();
    let worst_max = match asked.get("worst").map(|text| text.parse()) {
        None => DRIFTS_SHOWN,
        Some(Ok(count)) if count <= DRIFTS_SHOWN_MAX => count,
        Some(_) => return Err(refuse("worst", format!("a whole number from 0 to {DRIFTS_SHOWN_MAX}"))),
    };
    let (warehouse, class) = (filter(&asked, "warehouse")?, filter(&asked, "class")?);
    let compared = Compared {
        shadow: source.clone(),
        owner: filter(&asked, "owner")?,
        scope: HandoverScope { tables: named?, warehouse, class },
        worst_max,
    };
    let as_of = as_of(tables);
    Ok(ShadowShown { as_of, source, tables: drift(tables, now, compared).await })
}

/// Of each table that has a row to compare.
pub(super) async fn drift(tables: &Tables, now: Timestamp, compared: Compared) -> Vec<TableDrift> {
    let (ledger, catalog) = tables_in_force(&tables.ledger, &tables.catalog);
    let dictionary = Arc::clone(&tables.dictionary);
    let walk = spawn_blocking(move || {
        let Compared { shadow, owner, scope, worst_max } = &compared;
        let comparison = Comparison {
            ledger: &ledger,
            catalog: &catalog,
            dictionary: &dictionary,
            now,
            shadow,
            owner: owner.as_ref(),
            scope,
            worst_max: *worst_max,
        };
        comparison.run()
    });
    walk.await.expect("comparing rows does not panic")
}
