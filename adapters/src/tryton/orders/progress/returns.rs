//! What came back: sales that name another as their origin.

use std::collections::BTreeMap;

use pannier_protocol::LineId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::super::rest::{Query, Rest, RestError};
use super::events::{LineRow, Sale};

/// In the item's base unit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Back {
    pub(super) received: f64,
    /// Of it, what is in stock again.
    pub(super) restocked: f64,
}

/// By the name of the line that it was sold by.
pub(super) type Returned = BTreeMap<LineId, Back>;

const FIELDS: [&str; 8] = [
    "origin",
    "shipment_returns.state",
    "lines.note",
    "lines.quantity",
    "lines.unit.factor",
    "lines.moves.state",
    "lines.moves.quantity",
    "lines.moves.unit.factor",
];

#[derive(Debug, Clone, Deserialize)]
struct ReturnRow {
    id: i64,
    /// As in `sale.sale,7`.
    origin: Option<String>,
    #[serde(default)]
    shipment_returns: Vec<PaperRow>,
    #[serde(default)]
    lines: Vec<LineRow>,
}

/// What it comes back with.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct PaperRow {
    state: String,
}

#[derive(Debug, Clone, Deserialize)]
struct OriginRow {
    id: i64,
    origin: Option<String>,
}

fn sale_of(origin: Option<&str>) -> Option<i64> {
    origin?.strip_prefix("sale.sale,")?.parse().ok()
}

/// Whose returns changed.
pub(super) async fn origins(rest: &Rest, changed: Value) -> Result<Vec<i64>, RestError> {
    let domain = json!([["origin", "like", "sale.sale,%"], changed]);
    let query = Query::of("sale.sale", &["origin"]).filter(domain);
    let (mut page, mut found) = (query.clone(), Vec::new());
    loop {
        let rows: Vec<OriginRow> = rest.search(&page).await?;
        found.extend(rows.iter().filter_map(|row| sale_of(row.origin.as_deref())));
        match rows.last() {
            Some(last) if rows.len() >= query.limit_asked() => page = query.after(last.id),
            Some(_) | None => return Ok(found),
        }
    }
}

/// What came back of each of these sales.
pub(super) async fn of(rest: &Rest, sales: &[Sale]) -> Result<BTreeMap<i64, Returned>, RestError> {
    let shipped = sales.iter().filter(|sale| sale.has_shipped());
    let origins: Vec<String> = shipped.map(|sale| format!("sale.sale,{}", sale.id)).collect();
    if origins.is_empty() {
        return Ok(BTreeMap::new());
    }
    let query = Query::of("sale.sale", &FIELDS).filter(json!([["origin", "in", origins]]));
    let (mut page, mut returned) = (query.clone(), BTreeMap::new());
    loop {
        let rows: Vec<ReturnRow> = rest.search(&page).await?;
        for row in &rows {
            if let Some(sale) = sale_of(row.origin.as_deref()) {
                add(&row.lines, &row.shipment_returns, returned.entry(sale).or_default());
            }
        }
        match rows.last() {
            Some(last) if rows.len() >= query.limit_asked() => page = query.after(last.id),
            Some(_) | None => return Ok(returned),
        }
    }
}

/// Of lines that come back with these papers; others of them leave, as those of an exchange.
pub(super) fn add(lines: &[LineRow], papers: &[PaperRow], returned: &mut Returned) {
    let is_in_stock = papers.iter().all(|paper| paper.state == "done");
    for line in lines.iter().filter(|line| line.is_back()) {
        let received = line.moved(|one| one.state == "done");
        let Some(name) = line.name().filter(|_| received > 0.0) else { continue };
        let back = returned.entry(name).or_default();
        back.received += received;
        if is_in_stock {
            back.restocked += received;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::from_value;

    use super::*;

    #[test]
    fn what_is_received_is_restocked_when_its_papers_are_done() {
        let row = |state: &str, moved: &str, quantity: f64| -> ReturnRow {
            let unit = json!({"factor": 12.0});
            let moves = json!([{"id": 1, "state": moved, "quantity": quantity.abs(), "unit": unit}]);
            let line = json!({"id": 3, "note": "1", "quantity": -quantity, "unit": unit, "moves": moves});
            let papers = json!([{"state": state}]);
            from_value(json!({"id": 9, "origin": "sale.sale,7", "shipment_returns": papers, "lines": [line]}))
                .unwrap()
        };
        let mut returned = Returned::new();
        for (row, want) in [
            (row("draft", "draft", 4.0), None),
            (row("received", "done", 1.0), Some((12.0, 0.0))),
            (row("done", "done", 2.5), Some((42.0, 30.0))),
            // What is sent in its place.
            (row("done", "done", -1.0), Some((42.0, 30.0))),
        ] {
            add(&row.lines, &row.shipment_returns, &mut returned);
            let back = returned.get(&LineId::new("1").unwrap());
            assert_eq!(back.map(|back| (back.received, back.restocked)), want);
        }
        assert_eq!(sale_of(Some("sale.sale,7")), Some(7));
        assert_eq!(sale_of(Some("project.work,7")), None);
    }
}
