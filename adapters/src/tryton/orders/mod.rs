//! Orders into Tryton, and what becomes of them there.
//!
//! An order is the `sale.sale` whose `reference` is the order's id. Tryton takes the same reference twice without
//! complaint, so the way is draft, list, cancel the others, confirm
//! ([`Guarantee::DraftListConfirm`]): drafts and quotations have no effect, a confirmed sale is processed into shipments
//! and an invoice. What an order's words become:
//!
//! | order | sale |
//! |---|---|
//! | id | `reference` |
//! | account, ship-to | `party`, `shipment_party`, by code, with their first addresses for invoice and delivery |
//! | purchase order | `description` |
//! | channel, address in words, ship complete, references | `comment`, a line each, untouched |
//! | requested date | `shipping_date` |
//! | warehouse that the lines are promised from | `warehouse`, by code |
//! | line, item, unit | `sale.line`: `note`, `product` by code, `unit` by symbol |
//! | price | `unit_price` of the line's unit, at most four digits |
//!
//! `sale.line.note` is the name of the order's line, here and for whoever states what stock figures contain: nobody
//! else writes it, it is not printed, and a line's id would say nothing about the order.
//!
//! Traps of the real system, each with its test:
//!
//! - `confirm` answers `confirmed` and processes the sale in a second transaction. A sale that was left between
//!   the two is in effect and has no shipment: it is told to go on (`process`).
//! - What a button answers is not what is there afterwards: the sale is read again after each.
//! - A processed sale cannot be cancelled; its shipments can, and it stays `processing` for good. A sale whose
//!   shipments are all cancelled counts as cancelled.
//! - **Confirming and cancelling exclude each other on PostgreSQL only**, whose isolation makes the later of two
//!   transactions fail and be tried again. On SQLite both are answered with 200 when they meet, and either wins. So
//!   exactly once holds where Tryton runs on PostgreSQL; on SQLite, which is for trying out, two processes must not
//!   work on one order within a second.
//!
//! Nothing is remembered between calls: codes are looked up for every order (some 50 ms of the half second that an order
//! takes), because a cached id of a party that was merged or a unit that was replaced is a wrong order.

mod draft;
mod error;
mod price;
mod progress;
mod run;
mod sale;

use pannier_protocol::DocumentId;
use pannier_protocol::order::{Dispatch, OrderId};
use serde_json::json;

use super::config::TrytonConfig;
use super::rest::{Query, Rest, RestError};
use crate::limits::SALE_STEPS_MAX;
use crate::runner::sink::{
    Backend, BackendError, Cancellation, Confirmation, Confirmed, Document, DocumentState, Guarantee,
    Withdrawn,
};
use error::failed;
use progress::Again;
pub use progress::{ProgressError, SeenError};
pub use run::OrdersError;
pub(super) use run::run;
use sale::{FIELDS, SaleRow, State};

/// Tryton as a backend of the sink.
#[derive(Debug, Clone)]
pub struct Orders {
    rest: Rest,
    desk: draft::Desk,
    again: Again,
}

/// What came of pressing a button.
enum Pressed {
    Done,
    /// What Tryton said.
    Refused(String),
}

impl Orders {
    pub fn new(config: &TrytonConfig, rest: Rest) -> Self {
        let desk = draft::Desk::new(rest.clone(), config.company, config.orders.warehouse.clone());
        Self { rest, desk, again: Again::default() }
    }

    async fn read(&self, document: &Document) -> Result<Option<SaleRow>, BackendError> {
        let id: i64 = document.id.as_str().parse().map_err(|_| {
            BackendError::Poison(format!("{} is no id of a sale: a defect of the adapter", document.id))
        })?;
        self.rest.find("sale.sale", id, &FIELDS).await.map_err(failed)
    }

    async fn press(&self, model: &str, id: i64, action: &str) -> Result<Pressed, BackendError> {
        match self.rest.press(model, id, action).await {
            Ok(()) => Ok(Pressed::Done),
            // Deleted meanwhile, which reading it again will show.
            Err(RestError::Missing { what }) => Ok(Pressed::Refused(format!("there is no {what}"))),
            Err(RestError::Refused { message }) => Ok(Pressed::Refused(message)),
            Err(error) => Err(failed(error)),
        }
    }

    /// Presses buttons of a sale until `next` has an answer; what it says after a button decides, not what the
    /// button answered. A refusal counts only where the same button would be the next again.
    async fn walk<T>(
        &self,
        document: &Document,
        mut next: impl FnMut(Option<&SaleRow>) -> Step<T>,
    ) -> Result<T, BackendError> {
        let mut before: Option<((i64, &str), Pressed)> = None;
        for _ in 0..SALE_STEPS_MAX {
            let sale = self.read(document).await?;
            let (model, id, action) = match next(sale.as_ref()) {
                Step::End(end) => return Ok(end),
                Step::Press(model, id, action) => (model, id, action),
            };
            match before {
                Some((same, Pressed::Refused(message))) if same == (id, action) => {
                    return Err(BackendError::Business(message));
                }
                _ => before = Some(((id, action), self.press(model, id, action).await?)),
            }
        }
        let text = format!("the sale {} does not get on: is somebody else at work on it?", document.id);
        Err(BackendError::Transient(text))
    }
}

impl Orders {
    /// Over what is not shipped any more. Where the key's user may not, accounting sees an invoice without goods, and
    /// the order is cancelled all the same.
    async fn cancel_invoices(&self, document: &Document) -> Result<(), BackendError> {
        let Some(sale) = self.read(document).await? else { return Ok(()) };
        for invoice in sale.invoices_to_cancel() {
            if let Pressed::Refused(message) = self.press("account.invoice", invoice, "cancel").await? {
                tracing::warn!(sale = sale.name(), invoice, message, "the invoice stays; cancel it by hand");
            }
        }
        Ok(())
    }
}

/// What to do with a sale as it is.
enum Step<T> {
    End(T),
    /// Model, id and button.
    Press(&'static str, i64, &'static str),
}

impl Backend for Orders {
    fn guarantee(&self) -> Guarantee {
        Guarantee::DraftListConfirm
    }

    async fn list(&self, order: OrderId) -> Result<Vec<Document>, BackendError> {
        let domain = json!([["reference", "=", order.to_string()], ["company", "=", self.desk.company()]]);
        let query = Query::of("sale.sale", &FIELDS).filter(domain);
        let rows: Vec<SaleRow> = self.rest.search(&query).await.map_err(failed)?;
        if rows.len() >= query.limit_asked() {
            let text = format!("{} sales bear the reference {order}: delete the cancelled ones", rows.len());
            return Err(BackendError::Business(text));
        }
        if rows.iter().any(|row| row.standing() == DocumentState::InEffect) {
            self.again.put(order);
        }
        rows.iter()
            .map(|row| Ok(Document { id: document_id(&row.id.to_string())?, state: row.standing() }))
            .collect()
    }

    async fn create_draft(&self, dispatch: &Dispatch) -> Result<Document, BackendError> {
        let values = self.desk.draft(dispatch).await?;
        let row: SaleRow = self.rest.create("sale.sale", &FIELDS, &values).await.map_err(failed)?;
        Ok(Document { id: document_id(&row.id.to_string())?, state: row.standing() })
    }

    async fn cancel(&self, draft: &Document) -> Result<Withdrawn, BackendError> {
        let next = |sale: Option<&SaleRow>| match sale {
            Some(sale) if sale.standing() == DocumentState::InEffect => Step::End(Withdrawn::InEffect),
            Some(sale) if sale.standing() == DocumentState::Draft => {
                Step::Press("sale.sale", sale.id, "cancel")
            }
            Some(_) | None => Step::End(Withdrawn::Cancelled),
        };
        self.walk(draft, next).await
    }

    async fn confirm(&self, document: &Document) -> Result<Confirmation, BackendError> {
        let next = |sale: Option<&SaleRow>| match sale {
            Some(sale) if !sale.is_over() => match sale.state {
                State::Draft => Step::Press("sale.sale", sale.id, "quote"),
                State::Quotation => Step::Press("sale.sale", sale.id, "confirm"),
                State::Confirmed => Step::Press("sale.sale", sale.id, "process"),
                State::Processing | State::Done | State::Cancelled => Step::End(Some(sale.name())),
            },
            Some(_) | None => Step::End(None),
        };
        Ok(match self.walk(document, next).await? {
            // Figures say by name which orders they contain.
            Some(name) => {
                let (document, reflected_from) = (document_id(&name)?, Vec::new());
                Confirmation::Confirmed(Confirmed { document, reflected_from })
            }
            None => Confirmation::Cancelled,
        })
    }

    async fn cancel_order(&self, _: &Dispatch, document: &Document) -> Result<Cancellation, BackendError> {
        let next = |sale: Option<&SaleRow>| {
            let Some(sale) = sale else { return Step::End(Cancellation::Cancelled) };
            match sale.state {
                _ if sale.is_over() => Step::End(Cancellation::Cancelled),
                State::Draft | State::Quotation => Step::Press("sale.sale", sale.id, "cancel"),
                State::Confirmed => Step::Press("sale.sale", sale.id, "process"),
                State::Processing | State::Done | State::Cancelled => match sale.shipment_to_cancel() {
                    Ok(shipment) => Step::Press("stock.shipment.out", shipment, "cancel"),
                    Err(reason) => Step::End(Cancellation::TooLate { reason }),
                },
            }
        };
        let asked = self.walk(document, next).await?;
        if asked == Cancellation::Cancelled {
            self.cancel_invoices(document).await?;
        }
        Ok(asked)
    }
}

fn document_id(text: &str) -> Result<DocumentId, BackendError> {
    let told =
        |error| BackendError::Poison(format!("Tryton's number {text:?} cannot be an id here: {error}"));
    DocumentId::new(text).map_err(told)
}
