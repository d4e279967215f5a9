//! A sale as Tryton has it, and what its state means for an order.

use serde::Deserialize;

use crate::runner::sink::DocumentState;

/// What is read of a sale to know its state.
pub(super) const FIELDS: [&str; 6] =
    ["number", "state", "shipments.number", "shipments.state", "invoices.state", "invoices.number"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Draft,
    Quotation,
    Confirmed,
    Processing,
    Done,
    Cancelled,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct SaleRow {
    pub(super) id: i64,
    pub(super) state: State,
    /// From the quote on.
    number: Option<String>,
    #[serde(default)]
    shipments: Vec<PaperRow>,
    #[serde(default)]
    invoices: Vec<PaperRow>,
}

/// A shipment or an invoice.
#[derive(Debug, Clone, Deserialize)]
struct PaperRow {
    id: i64,
    number: Option<String>,
    state: String,
}

impl SaleRow {
    pub(super) fn standing(&self) -> DocumentState {
        match self.state {
            State::Draft | State::Quotation => DocumentState::Draft,
            State::Confirmed => DocumentState::InEffect,
            State::Processing | State::Done | State::Cancelled if self.is_taken_back() => {
                DocumentState::TakenBack
            }
            State::Processing | State::Done => DocumentState::InEffect,
            State::Cancelled => DocumentState::Cancelled,
        }
    }

    /// Nothing is to come of it any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.standing(), DocumentState::TakenBack | DocumentState::Cancelled)
    }

    /// All that it was to ship is cancelled, which it had once it was processed; Tryton leaves such a sale in processing for
    /// good.
    fn is_taken_back(&self) -> bool {
        !self.shipments.is_empty() && self.shipments.iter().all(|shipment| shipment.state == "cancelled")
    }

    /// As people know it.
    pub(super) fn name(&self) -> String {
        self.number.clone().unwrap_or_else(|| self.id.to_string())
    }

    /// The next shipment to cancel, or why it is too late for that.
    pub(super) fn shipment_to_cancel(&self) -> Result<i64, String> {
        let is_open = |paper: &&PaperRow| matches!(paper.state.as_str(), "draft" | "waiting" | "assigned");
        let is_late = |paper: &&PaperRow| !is_open(paper) && paper.state != "cancelled";
        if let Some(late) = self.shipments.iter().find(is_late) {
            let number = late.number.clone().unwrap_or_else(|| late.id.to_string());
            return Err(format!("shipment {number} of sale {} is {} already", self.name(), late.state));
        }
        if let Some(posted) =
            self.invoices.iter().find(|invoice| matches!(&*invoice.state, "posted" | "paid"))
        {
            let number = posted.number.clone().unwrap_or_else(|| posted.id.to_string());
            return Err(format!("invoice {number} of sale {} is {} already", self.name(), posted.state));
        }
        let open = self.shipments.iter().find(is_open).map(|shipment| shipment.id);
        open.ok_or_else(|| format!("sale {} has no shipment that could be cancelled", self.name()))
    }

    /// Invoices that nobody has sent.
    pub(super) fn invoices_to_cancel(&self) -> impl Iterator<Item = i64> {
        let is_open = |paper: &&PaperRow| matches!(paper.state.as_str(), "draft" | "validated");
        self.invoices.iter().filter(is_open).map(|invoice| invoice.id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn sale(state: &str, shipments: &[&str], invoices: &[&str]) -> SaleRow {
        let papers = |states: &[&str]| -> Value {
            (1..).zip(states).map(|(id, state)| json!({"id": id, "number": null, "state": state})).collect()
        };
        let (shipments, invoices) = (papers(shipments), papers(invoices));
        let row =
            json!({"id": 7, "number": "S7", "state": state, "shipments": shipments, "invoices": invoices});
        from_value(row).unwrap()
    }

    #[test]
    fn what_a_state_means() {
        use DocumentState::{Cancelled, Draft, InEffect, TakenBack};
        for (state, shipments, want) in [
            ("draft", &[][..], Draft),
            ("quotation", &[], Draft),
            ("confirmed", &[], InEffect),
            ("processing", &[], InEffect),
            ("processing", &["waiting"], InEffect),
            ("processing", &["cancelled", "waiting"], InEffect),
            ("processing", &["cancelled", "done"], InEffect),
            ("processing", &["cancelled", "cancelled"], TakenBack),
            ("done", &["done"], InEffect),
            ("cancelled", &[], Cancelled),
            ("cancelled", &["cancelled"], TakenBack),
        ] {
            assert_eq!(sale(state, shipments, &[]).standing(), want, "{state} {shipments:?}");
        }
    }

    #[test]
    fn until_when_a_sale_can_be_taken_back() {
        for (shipments, invoices, want) in [
            (&["waiting"][..], &["draft"][..], Ok(1)),
            (&["cancelled", "assigned"], &[], Ok(2)),
            (&["waiting", "picked"], &[], Err("shipment 2 of sale S7 is picked already")),
            (&["done", "waiting"], &[], Err("shipment 1 of sale S7 is done already")),
            (&["waiting"], &["posted"], Err("invoice 1 of sale S7 is posted already")),
            (&[], &[], Err("sale S7 has no shipment that could be cancelled")),
        ] {
            let got = sale("processing", shipments, invoices).shipment_to_cancel();
            assert_eq!(got, want.map_err(str::to_owned), "{shipments:?} {invoices:?}");
        }
        let invoices = ["paid", "draft", "validated", "cancelled"];
        let open: Vec<i64> = sale("processing", &["cancelled"], &invoices).invoices_to_cancel().collect();
        assert_eq!(open, [2, 3]);
    }
}
