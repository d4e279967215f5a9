//! `pannier shadow`: whether a source that is to take over says what those say that it would replace.

use std::collections::BTreeMap;

use pannier_protocol::api::operator::{ComparedSource, Drift, ShadowShown, TableDrift};
use pannier_protocol::change::Table;
use pannier_protocol::{ClassId, SourceId, WarehouseId};

use crate::cli::data;
use crate::handover::table;
use crate::operator::{NodeArgs, word};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    node: NodeArgs,
    /// Whose rows are compared with those that count.
    #[arg(env = "PANNIER_SOURCE", value_parser = SourceId::new)]
    source: SourceId,
    /// Only with what this one owns.
    #[arg(long, env = "PANNIER_OWNER", value_parser = SourceId::new)]
    owner: Option<SourceId>,
    /// A table as in the policy `ownership`; may be given several times.
    #[arg(long = "table", env = "PANNIER_TABLES", value_parser = table, value_delimiter = ',', default_value = "all")]
    tables: Vec<Table>,
    /// Only rows of there.
    #[arg(long, env = "PANNIER_WAREHOUSE", value_parser = WarehouseId::new)]
    warehouse: Option<WarehouseId>,
    /// Only rows of this class.
    #[arg(long, env = "PANNIER_CLASS", value_parser = ClassId::new)]
    class: Option<ClassId>,
    /// So many of the worst keys of each table, at most 100.
    #[arg(long, env = "PANNIER_WORST", default_value_t = 10)]
    worst: u8,
    /// Print the result as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let tables: Vec<String> = args.tables.iter().map(word).collect();
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("source", args.source.as_str()).append_pair("tables", &tables.join(","));
    query.append_pair("worst", &args.worst.to_string());
    for (name, value) in [
        ("owner", args.owner.as_ref().map(SourceId::as_str)),
        ("warehouse", args.warehouse.as_ref().map(WarehouseId::as_str)),
        ("class", args.class.as_ref().map(ClassId::as_str)),
    ] {
        query.extend_pairs(value.map(|value| (name, value)));
    }
    let shown: ShadowShown = args.node.open()?.get(&format!("shadow?{}", query.finish())).await?;
    if args.json {
        return data(serde_json::to_string(&shown)?);
    }
    shown.tables.iter().try_for_each(show)?;
    if shown.tables.is_empty() {
        tracing::info!("nothing is there to compare: no rows, or {} owns them all", shown.source);
    }
    tracing::info!(as_of = %shown.as_of, "compared");
    Ok(())
}

fn show(table: &TableDrift) -> anyhow::Result<()> {
    data(counts(table))?;
    let sources: Vec<String> = table.sources.iter().map(standing).collect();
    data(format_args!("  {}", sources.join(", ")))?;
    table.worst.iter().try_for_each(|drift| data(format_args!("  {}", told(drift))))
}

/// As in `stock: 90 equal, 8 different, 2 missing, 0 extra`.
pub(crate) fn counts(table: &TableDrift) -> String {
    let TableDrift { equal_count, different_count, missing_count, extra_count, .. } = table;
    let name = word(&table.table);
    format!(
        "{name}: {equal_count} equal, {different_count} different, {missing_count} missing, {extra_count} extra"
    )
}

fn standing(compared: &ComparedSource) -> String {
    let age = compared.age_ms.map_or("of unknown age".to_owned(), |age| format!("{age} ms old"));
    let suspect = if compared.suspect { ", suspect" } else { "" };
    format!("{} ({age}{suspect})", compared.source)
}

/// As in `SKU-1 @DAL: wms-1 says quantity 5 EA, the shadow quantity 3 EA; apart by 2`.
fn told(drift: &Drift) -> String {
    let says = |facts: &BTreeMap<String, String>| {
        let facts: Vec<String> = facts.iter().map(|(name, text)| format!("{name} {text}")).collect();
        if facts.is_empty() { "nothing".to_owned() } else { facts.join(", ") }
    };
    let by = drift.by.map_or(String::new(), |by| format!("; apart by {by}"));
    format!(
        "{}: {} says {}, the shadow {}{by}",
        drift.key,
        drift.owner,
        says(&drift.owned),
        says(&drift.shadow)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_drift_is_a_sentence() {
        let drift = |owned, shadow, by| -> Drift {
            let drift =
                json!({"key": "SKU-1 @DAL", "owner": "wms-1", "by": by, "owned": owned, "shadow": shadow});
            serde_json::from_value(drift).unwrap()
        };
        assert_eq!(
            told(&drift(json!({"quantity": "5 EA"}), json!({"quantity": "3 EA"}), json!("2"))),
            "SKU-1 @DAL: wms-1 says quantity 5 EA, the shadow quantity 3 EA; apart by 2"
        );
        assert_eq!(
            told(&drift(json!({"kit": "", "status": "active"}), json!({}), json!(null))),
            "SKU-1 @DAL: wms-1 says kit , status active, the shadow nothing"
        );
    }
}
