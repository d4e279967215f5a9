//! From a sale with its lines and moves to what is said about the order.

use pannier_protocol::order::{LineProgress, OrderId, OrderProgressed, Shipment};
use pannier_protocol::{Decimal, DocumentId, LineId, Timestamp};
use serde::Deserialize;

use super::super::super::value::{Moment, Quantity};
use super::returns::Returned;

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
    state: String,
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
pub(super) struct LineRow {
    note: Option<String>,
    /// A line of text has none; a return's is negative.
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
pub(super) struct MoveRow {
    id: i64,
    pub(super) state: String,
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

    fn order(&self) -> Option<OrderId> {
        OrderId::parse(self.reference.as_deref()?).ok()
    }

    /// An order of ours that this sale has to carry out.
    pub(super) fn order_in_effect(&self) -> Option<OrderId> {
        let is_gone = |shipment: &ShipmentRow| shipment.state == "cancelled";
        let is_taken_back = !self.shipments.is_empty() && self.shipments.iter().all(is_gone);
        let is_in_effect =
            matches!(self.state.as_str(), "confirmed" | "processing" | "done") && !is_taken_back;
        self.order().filter(|_| is_in_effect)
    }

    /// Whether there is something that could come back.
    pub(super) fn has_shipped(&self) -> bool {
        self.order().is_some() && self.shipments.iter().any(|shipment| shipment.state == "done")
    }

    /// `None`: nothing of an order of ours moved yet.
    pub(super) fn progressed(&self, returned: &Returned) -> Option<OrderProgressed> {
        let order = self.order()?;
        let mut lines: Vec<LineProgress> = self.lines.iter().filter_map(LineRow::progress).collect();
        for line in &mut lines {
            let back = returned.get(&line.line).copied();
            (line.returned, line.restocked) =
                (back.map(|back| back.received), back.map(|back| back.restocked));
        }
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
    /// `None`: a line that is none of an order's.
    pub(super) fn name(&self) -> Option<LineId> {
        let (Some(_), Some(_), Some(note)) = (self.unit, self.quantity, &self.note) else { return None };
        LineId::new(note).ok()
    }

    /// Of the moves that count, in the line's unit; whoever splits a move may choose another.
    pub(super) fn moved(&self, counts: impl Fn(&MoveRow) -> bool) -> Option<Decimal> {
        let unit = self.unit?;
        let moves = self.moves.iter().filter(|one| counts(one));
        let sum: f64 = moves.map(|one| one.quantity * (one.unit.factor / unit.factor)).sum();
        Decimal::parse(&format!("{sum:.6}")).ok()
    }

    fn progress(&self) -> Option<LineProgress> {
        let line = self.name()?;
        let shipped = self.moved(|one| one.state == "done");
        let cancelled = self.moved(|one| one.state == "cancelled" && self.moves_ignored.contains(&one.id));
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
            "id": 7, "reference": reference, "state": "processing", "shipment_state": "partially shipped",
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
        assert_eq!(sale.order_in_effect(), OrderId::parse(reference).ok());
        let progressed = sale.progressed(&Returned::new())?;
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
