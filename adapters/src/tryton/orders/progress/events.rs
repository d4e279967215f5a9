//! From a sale with its lines and moves to what is said about the order.
//!
//! Who splits a line in Tryton copies it, with the note that names the order's line: the copies count together, in the unit
//! of the first of them. A negative line of a sale is something that comes back.

use std::collections::BTreeMap;

use pannier_protocol::order::{LineProgress, OrderId, OrderProgressed, Shipment};
use pannier_protocol::{Decimal, DocumentId, LineId, Timestamp};
use serde::Deserialize;

use super::super::super::value::{Moment, Quantity};
use super::returns::{self, Back, PaperRow, Returned};

/// All that is read of a sale, in one request.
pub(super) const FIELDS: [&str; 16] = [
    "reference",
    "state",
    "shipment_state",
    "create_date",
    "write_date",
    "shipments.number",
    "shipments.state",
    "shipments.write_date",
    "shipment_returns.state",
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
    shipment_returns: Vec<PaperRow>,
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
    id: i64,
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
        let mut returned = returned.clone();
        returns::add(&self.lines, &self.shipment_returns, &mut returned);
        let mut named: BTreeMap<LineId, Vec<&LineRow>> = BTreeMap::new();
        for line in &self.lines {
            if let Some(name) = line.name() {
                named.entry(name).or_default().push(line);
            }
        }
        let told = named.into_iter().filter_map(|(name, rows)| {
            let back = returned.get(&name).copied();
            progress(name, &rows, back)
        });
        let lines: Vec<LineProgress> = told.collect();
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

    /// Whether it is there to come back.
    pub(super) fn is_back(&self) -> bool {
        self.quantity.is_some_and(|Quantity(quantity)| quantity.is_negative())
    }

    /// Of the moves that count, in the item's base unit: whoever splits a move or a line may choose another.
    pub(super) fn moved(&self, counts: impl Fn(&MoveRow) -> bool) -> f64 {
        let moves = self.moves.iter().filter(|one| counts(one));
        moves.map(|one| one.quantity * one.unit.factor).sum()
    }
}

/// What came back has left before: an order of which both is news is told of one after the other. `None`: nothing came
/// back.
pub(super) fn before_returns(progressed: &OrderProgressed) -> Option<OrderProgressed> {
    let is_back = |line: &LineProgress| line.returned.is_some_and(Decimal::is_positive);
    let mut shipped = progressed.clone();
    shipped.lines.iter_mut().for_each(|line| (line.returned, line.restocked) = (None, None));
    progressed.lines.iter().any(is_back).then_some(shipped)
}

/// Of all rows of one name.
fn progress(line: LineId, rows: &[&LineRow], back: Option<Back>) -> Option<LineProgress> {
    let unit = rows.iter().min_by_key(|row| row.id)?.unit?;
    let quantity = |base: f64| Decimal::parse(&format!("{:.6}", base / unit.factor)).ok();
    let out = || rows.iter().filter(|row| !row.is_back());
    let shipped = quantity(out().map(|row| row.moved(|one| one.state == "done")).sum());
    let ignored =
        |row: &&&LineRow| row.moved(|one| one.state == "cancelled" && row.moves_ignored.contains(&one.id));
    let cancelled = quantity(out().map(|row| ignored(&row)).sum());
    let cancelled = cancelled.filter(|quantity| quantity.is_positive());
    let returned = back.and_then(|back| quantity(back.received));
    let restocked = back.and_then(|back| quantity(back.restocked));
    Some(LineProgress { line, shipped, cancelled, returned, restocked, substituted_by: None })
}

#[cfg(test)]
mod tests {
    use pannier_protocol::order::OrderEvent;
    use pannier_protocol::{AccountId, Change, IdempotencyKey};
    use serde_json::{Value, from_value, json};

    use super::*;

    fn order() -> String {
        OrderId::derive(&AccountId::new("C-1").unwrap(), &IdempotencyKey::new("k").unwrap()).to_string()
    }

    fn moved(id: i64, state: &str, quantity: f64, factor: f64) -> Value {
        json!({"id": id, "state": state, "quantity": quantity, "unit": {"factor": factor}})
    }

    fn at(second: u8) -> Value {
        json!({"__class__": "datetime", "year": 2026, "month": 12, "day": 1, "second": second})
    }

    fn sale(reference: &str, lines: &Value, papers: &[&str]) -> Sale {
        let papers: Value = papers.iter().map(|state| json!({"id": 3, "state": state})).collect();
        from_value(json!({
            "id": 7, "reference": reference, "state": "processing", "shipment_state": "partially shipped",
            "create_date": at(1), "write_date": null,
            "shipments": [
                {"number": "S2", "state": "done", "write_date": at(9)},
                {"number": "S1", "state": "done", "write_date": at(5)},
                {"number": null, "state": "waiting", "write_date": null},
            ],
            "shipment_returns": papers, "lines": lines,
        }))
        .unwrap()
    }

    fn line(id: i64, note: &str, quantity: f64, factor: f64, moves: &[Value]) -> Value {
        json!({"id": id, "note": note, "quantity": quantity, "unit": {"factor": factor}, "moves": moves,
            "moves_ignored": []})
    }

    /// `line:shipped:cancelled`, with `:returned:restocked` where something came back.
    fn words(progressed: OrderProgressed) -> String {
        let text =
            |quantity: Option<Decimal>| quantity.map_or("-".to_owned(), |quantity| quantity.to_string());
        let word = |line: LineProgress| {
            let back = line.returned.map(|back| format!(":{back}:{}", text(line.restocked)));
            let (shipped, cancelled) = (text(line.shipped), text(line.cancelled));
            format!("{}:{shipped}:{cancelled}{}", line.line, back.unwrap_or_default())
        };
        progressed.lines.into_iter().map(word).collect::<Vec<_>>().join(" ")
    }

    /// Two lines, of which the second stays still; the first is of cases of 12.
    fn said(reference: &str, moves: &[Value], ignored: &[i64]) -> Option<String> {
        let sale = sale(
            reference,
            &json!([
                {"id": 1, "note": "1", "quantity": 10.0, "unit": {"factor": 12.0}, "moves": moves,
                    "moves_ignored": ignored},
                line(2, "2", 1.0, 1.0, &[]),
                {"id": 3, "note": null, "quantity": 1.0, "unit": {"factor": 1.0},
                    "moves": [moved(9, "done", 1.0, 1.0)]},
                {"id": 4, "note": "text", "quantity": null, "unit": null},
            ]),
            &[],
        );
        assert_eq!(sale.changed().unwrap().to_string(), "2026-12-01T00:00:09Z");
        assert_eq!(sale.order_in_effect(), OrderId::parse(reference).ok());
        let progressed = sale.progressed(&Returned::new())?;
        assert_eq!(progressed.shipment.as_ref().unwrap().document.as_str(), "S2", "the last one");
        Some(words(progressed))
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

    #[test]
    fn lines_of_one_name_count_together() {
        let case = |id, quantity, moves: &[Value]| line(id, "1", quantity, 12.0, moves);
        let piece = |id, quantity, moves: &[Value]| line(id, "1", quantity, 1.0, moves);
        let (two, three) = ([moved(1, "done", 2.0, 12.0)], [moved(2, "done", 3.0, 12.0)]);
        let six = [moved(3, "done", 6.0, 1.0)];
        let before = |received: f64| {
            let back = Back { received, restocked: received };
            Returned::from([(LineId::new("1").unwrap(), back)])
        };
        for (lines, papers, returned, want) in [
            (json!([case(1, 4.0, &two), case(2, 6.0, &three)]), &[][..], 0.0, "1:5:-"),
            // In another unit, and the first of them is not the first that is read.
            (json!([piece(2, 72.0, &six), case(1, 4.0, &two)]), &[], 0.0, "1:2.5:-"),
            // Taken back in the sale itself, and in another one before.
            (json!([case(1, 4.0, &two), piece(2, -6.0, &six)]), &["received"], 0.0, "1:2:-:0.5:0"),
            (json!([case(1, 4.0, &two), piece(2, -6.0, &six)]), &["done"], 12.0, "1:2:-:1.5:1.5"),
        ] {
            let returned = if returned > 0.0 { before(returned) } else { Returned::new() };
            let progressed = sale(&order(), &lines, papers).progressed(&returned).unwrap();
            let event = Change::Event(Box::new(OrderEvent::Progressed(progressed.clone())));
            assert_eq!(event.check(), Ok(()), "{lines}");
            assert_eq!(words(progressed), want, "{lines}");
        }
    }
}
