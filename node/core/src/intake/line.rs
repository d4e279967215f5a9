//! One line of an order or hold: item and entitlement, quantity, unit, multiple, price, and where it is taken from,
//! in this order.

use pannier_protocol::api::{LineAsked, LineStatus, OrderLineRequest, RequestedQuantity};
use pannier_protocol::change::StalenessTable;
use pannier_protocol::limits::ORDER_NEEDS_MAX;
use pannier_protocol::order::{IfShort, IntakeDoubt, OrderLine, OrderReason, StockLine};
use pannier_protocol::{ClassId, Decimal, ItemId, LineId, UomCode};

use super::{Desk, HeldPrices, IntakeRefusal};
use crate::availability::{self, StockQuestion};
use crate::basket::{self, Budget, Refused, Resolved};
use crate::freshness::Consulted;

/// What the unit of a line is called that names none and whose item is not found: it is told to nobody but the
/// one who asked, and says nothing of whether the item exists.
const UOM_NOT_NAMED: &str = "-";

/// What orders and holds say alike of a line.
pub(super) struct StockAsked<'l> {
    pub(super) line: &'l LineId,
    pub(super) asked: LineAsked<'l>,
    pub(super) if_short: IfShort,
}

impl Desk<'_> {
    pub(super) fn order_line(
        &mut self,
        line: &OrderLineRequest,
        held: &HeldPrices,
    ) -> Result<OrderLine, IntakeRefusal> {
        let asked = StockAsked { line: &line.line, asked: line.asked(), if_short: line.if_short };
        let (stock, resolved) = self.stock_line(&asked)?;
        let Some(resolved) = resolved else {
            return Ok(OrderLine { stock, price: None, caps: Vec::new() });
        };
        let (price, caps) = self.price(line, &resolved, held.get(&line.line));
        Ok(OrderLine { stock, price, caps })
    }

    /// What the line takes, with the item unless a doubt refuses the line: then it takes nothing, and says what was
    /// asked.
    pub(super) fn stock_line(
        &mut self,
        line: &StockAsked<'_>,
    ) -> Result<(StockLine, Option<Resolved>), IntakeRefusal> {
        let found = basket::resolve(self.catalog, self.dictionary, Some(self.account), line.asked);
        let resolved = match found {
            Ok(resolved) => resolved,
            Err(refused) => {
                let refused = self.not_found(refused).unwrap_or(refused);
                self.doubt(line.line, reason(refused.status), refused.detail);
                return Ok((refused_line(line)?, None));
            }
        };
        let mut stock = self.sourced(line, &resolved)?;
        if resolved.quantity != resolved.asked {
            self.doubt(
                line.line,
                OrderReason::OffMultiple,
                "order a multiple of what the unit is sold in, at or above its minimum",
            );
            stock.quantity = resolved.asked;
            return Ok((stock, None));
        }
        let question = self.stock_question(line, &resolved);
        let sources = availability::sources(&question);
        let budget = self.budget(StalenessTable::Availability, resolved.item.class_id.as_ref());
        if let Err(refused) = budget.judge_stock(&sources.consulted, sources.flags, self.now) {
            self.doubt(line.line, OrderReason::NotFresh, refused.detail);
            return Ok((stock, None));
        }
        if sources.needs.is_empty() || sources.needs.len() > ORDER_NEEDS_MAX {
            self.doubt(
                line.line,
                OrderReason::OutOfStock,
                "the kit cannot be taken apart; its components are to be corrected",
            );
            return Ok((stock, None));
        }
        (stock.warehouses, stock.needs, stock.step) = (sources.warehouses, sources.needs, sources.step);
        Ok((stock, Some(resolved)))
    }

    /// What is not there may be in the message that is missing: then that is the answer.
    fn not_found(&self, refused: Refused) -> Option<Refused> {
        if refused.status != LineStatus::NotFound {
            return None;
        }
        let mut consulted = Consulted::default();
        self.scopes.note(None, &mut consulted);
        self.budget(StalenessTable::Price, None).judge(&consulted, self.now).err()
    }

    pub(super) fn budget(&self, table: StalenessTable, class: Option<&ClassId>) -> Budget {
        Budget::new(&self.catalog.policies, table, class, None)
    }

    pub(super) fn doubt(&mut self, line: &LineId, reason: OrderReason, detail: impl Into<String>) {
        self.doubts.push(IntakeDoubt { line: Some(line.clone()), reason, detail: detail.into() });
    }

    /// The line as it was resolved, without its sources yet.
    fn sourced(&self, line: &StockAsked<'_>, resolved: &Resolved) -> Result<StockLine, IntakeRefusal> {
        let uom = self.dictionary.uoms.name(resolved.unit.uom);
        Ok(StockLine {
            item: resolved.item.id.clone(),
            quantity: resolved.quantity,
            uom: UomCode::new(uom).map_err(|_| INVALID_UOM)?,
            ..refused_line(line)?
        })
    }

    fn stock_question<'q>(&'q self, line: &StockAsked<'q>, resolved: &'q Resolved) -> StockQuestion<'q> {
        StockQuestion {
            ledger: self.ledger,
            catalog: self.catalog,
            dictionary: self.dictionary,
            account: Some(self.account),
            item: &resolved.item,
            unit: resolved.unit,
            quantity: resolved.quantity,
            warehouse: line.asked.warehouse,
            requested_date: None,
            today: self.today,
            now: self.now,
            // An order is judged by the ledger, whatever a source says beside it.
            live: &[],
        }
    }
}

const INVALID_UOM: IntakeRefusal =
    IntakeRefusal::InvalidRequest { field: "lines.uom", reason: "no unit has such a code; 1 to 64 bytes" };

/// What was asked, and nothing of what is known. A quantity that is none is told as 1: the line takes nothing.
fn refused_line(line: &StockAsked<'_>) -> Result<StockLine, IntakeRefusal> {
    let reason = "no item has such a number; 1 to 64 bytes without control characters";
    let no_item = |_| IntakeRefusal::InvalidRequest { field: "lines.item", reason };
    let quantity = match *line.asked.quantity {
        RequestedQuantity::Valid(quantity) => quantity,
        RequestedQuantity::Invalid(_) => Decimal::ONE,
    };
    Ok(StockLine {
        line: line.line.clone(),
        item: ItemId::new(line.asked.item).map_err(no_item)?,
        quantity,
        uom: UomCode::new(line.asked.uom.unwrap_or(UOM_NOT_NAMED)).map_err(|_| INVALID_UOM)?,
        step: Decimal::ONE,
        if_short: line.if_short,
        warehouses: Vec::new(),
        needs: Vec::new(),
    })
}

/// What freshness refuses is not fresh, whatever exactly is wrong with it.
pub(super) fn reason(status: LineStatus) -> OrderReason {
    match status {
        LineStatus::NotFound => OrderReason::NotFound,
        LineStatus::InvalidQuantity => OrderReason::InvalidQuantity,
        LineStatus::InvalidUom => OrderReason::InvalidUom,
        LineStatus::NotOnContract => OrderReason::NotOnContract,
        LineStatus::NoPrice => OrderReason::NoPrice,
        LineStatus::Ok
        | LineStatus::Stale
        | LineStatus::Suspect
        | LineStatus::Invalidated
        | LineStatus::NotLoaded => OrderReason::NotFresh,
    }
}
