//! From a sale with its lines and moves to what is said about the order.

use pannier_protocol::order::{LineProgress, OrderId, OrderProgressed, Shipment};
use pannier_protocol::{Decimal, DocumentId, LineId, Timestamp};
use serde::Deserialize;

use super::super::super::value::{Moment, Quantity};

/// All that is read of a sale, in one request.
pub(super) const FIELDS: [&str; 15] = [
    "reference",
    "state",
    "shipment_state",
    "create_date",
    "write_date",
    "shipments.number",
    "shipments.state",
    "shipments.write_date",
    "lines.note",
    "lines.quantity",
    "lines.unit.factor",
    "lines.moves_ignored",
    "lines.moves.state",
    "lines.moves.quantity",
    "lines.moves.unit.factor",
];

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sale {
    pub(super) id: i64,
    reference: Option<String>,
    shipment_state: Option<String>,
    create_date: Option<Moment>,
    write_date: Option<Moment>,
    #[serde(default)]
    shipments: Vec<ShipmentRow>,
    #[serde(default)]
    lines: Vec<LineRow>,
}

#[derive(Debug, Clone, Deserialize)]
struct ShipmentRow {
    number: Option<String>,
    state: String,
    write_date: Option<Moment>,
}

#[derive(Debug, Clone, Deserialize)]
struct LineRow {
    note: Option<String>,
    /// A line of text has none.
    quantity: Option<Quantity>,
    unit: Option<UnitRow>,
    #[serde(default)]
    moves: Vec<MoveRow>,
    #[serde(default)]
    moves_ignored: Vec<i64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct UnitRow {
    factor: f64,
}

#[derive(Debug, Clone, Deserialize)]
struct MoveRow {
    id: i64,
    state: String,
    quantity: f64,
    unit: UnitRow,
}

impl Sale {
    /// The latest of what a poll asks for and can be read here.
    pub(super) fn changed(&self) -> Option<Timestamp> {
        let shipments = self.shipments.iter().map(|shipment| shipment.write_date);
        shipments.chain([self.create_date, self.write_date]).flatten().max().map(|Moment(at)| at)
    }

    pub(super) fn is_sent(&self) -> bool {
        self.shipment_state.as_deref() == Some("sent")
    }

    /// `None`: nothing of an order of ours moved yet.
    pub(super) fn progressed(&self) -> Option<OrderProgressed> {
        let order = OrderId::parse(self.reference.as_deref()?).ok()?;
        let lines: Vec<LineProgress> = self.lines.iter().filter_map(LineRow::progress).collect();
        let moved = |quantity: Option<Decimal>| quantity.is_some_and(Decimal::is_positive);
        if !lines.iter().any(|line| moved(line.shipped) || moved(line.cancelled)) {
            return None;
        }
        Some(OrderProgressed { order, shipment: self.shipment(), lines, reflected_from: Vec::new() })
    }

    /// The last one that left.
    fn shipment(&self) -> Option<Shipment> {
        let done = self.shipments.iter().filter(|shipment| shipment.state == "done");
        let last = done.max_by_key(|shipment| shipment.write_date)?;
        let document = DocumentId::new(last.number.as_deref()?).ok()?;
        Some(Shipment { document, at: last.write_date?.0, tracking: None })
    }
}

impl LineRow {
    /// `None`: a line that is none of the order's.
    fn progress(&self) -> Option<LineProgress> {
        let (unit, _) = (self.unit?, self.quantity?);
        let line = LineId::new(self.note.as_deref()?).ok()?;
        let sum = |counts: &dyn Fn(&&MoveRow) -> bool| {
            // In the line's unit; whoever splits a move may choose another.
            let parts =
                self.moves.iter().filter(counts).map(|one| one.quantity * (one.unit.factor / unit.factor));
            Decimal::parse(&format!("{:.6}", parts.sum::<f64>())).ok()
        };
        let shipped = sum(&|one| one.state == "done");
        let cancelled = sum(&|one| one.state == "cancelled" && self.moves_ignored.contains(&one.id));
        let cancelled = cancelled.filter(|quantity| quantity.is_positive());
        Some(LineProgress { line, shipped, cancelled, returned: None, restocked: None, substituted_by: None })
    }
}

#[cfg(test)]
mod tests {
    use pannier_protocol::{AccountId, IdempotencyKey};
    use serde_json::{Value, from_value, json};

    use super::*;

    fn order() -> String {
        OrderId::derive(&AccountId::new("C-1").unwrap(), &IdempotencyKey::new("k").unwrap()).to_string()
    }

    fn moved(id: i64, state: &str, quantity: f64, factor: f64) -> Value {
        json!({"id": id, "state": state, "quantity": quantity, "unit": {"factor": factor}})
    }

    /// Two lines, of which the second stays still; the first is of cases of 12.
    fn said(reference: &str, moves: &[Value], ignored: &[i64]) -> Option<String> {
        let at = |second: u8| json!({"__class__": "datetime", "year": 2026, "month": 12, "day": 1, "second": second});
        let sale: Sale = from_value(json!({
            "id": 7, "reference": reference, "shipment_state": "partially shipped",
            "create_date": at(1), "write_date": null,
            "shipments": [
                {"number": "S2", "state": "done", "write_date": at(9)},
                {"number": "S1", "state": "done", "write_date": at(5)},
                {"number": null, "state": "waiting", "write_date": null},
            ],
            "lines": [
                {"note": "1", "quantity": 10.0, "unit": {"factor": 12.0}, "moves": moves, "moves_ignored": ignored},
                {"note": "2", "quantity": 1.0, "unit": {"factor": 1.0}, "moves": [], "moves_ignored": []},
                {"note": null, "quantity": 1.0, "unit": {"factor": 1.0}, "moves": [moved(9, "done", 1.0, 1.0)]},
                {"note": "text", "quantity": null, "unit": null},
            ],
        }))
        .unwrap();
        assert_eq!(sale.changed().unwrap().to_string(), "2026-12-01T00:00:09Z");
        let progressed = sale.progressed()?;
        assert_eq!(progressed.shipment.unwrap().document.as_str(), "S2", "the last one");
        let text =
            |quantity: Option<Decimal>| quantity.map_or("-".to_owned(), |quantity| quantity.to_string());
        let line =
            |line: LineProgress| format!("{}:{}:{}", line.line, text(line.shipped), text(line.cancelled));
        Some(progressed.lines.into_iter().map(line).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn quantities_are_what_moves_say() {
        let (four, six) = (moved(1, "done", 4.0, 12.0), moved(2, "draft", 6.0, 12.0));
        let (loose, gone) = (moved(3, "done", 6.0, 1.0), moved(4, "cancelled", 6.0, 12.0));
        for (moves, ignored, want) in [
            (vec![six.clone()], vec![], None),
            (vec![four.clone(), six], vec![], Some("1:4:- 2:0:-")),
            (vec![four.clone(), loose], vec![], Some("1:4.5:- 2:0:-")),
            // Cancelled and not decided on; decided.
            (vec![gone.clone()], vec![], None),
            (vec![gone.clone()], vec![4], Some("1:0:6 2:0:-")),
            (vec![four, gone], vec![4], Some("1:4:6 2:0:-")),
        ] {
            assert_eq!(said(&order(), &moves, &ignored).as_deref(), want, "{moves:?}");
        }
        assert_eq!(said("PO 4711", &[moved(1, "done", 4.0, 12.0)], &[]), None, "somebody else's sale");
    }
}
