//! From an order's words to a sale's links. What cannot be found makes a dead letter that says what to do: no repetition
//! finds it, and an operator replays the order once it is there.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::order::{Dispatch, DispatchLine};
use pannier_protocol::{AccountId, WarehouseId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::rest::{Query, Rest};
use super::super::value::{Amount, Day, Flag, Quantity};
use super::error::failed;
use super::price::unit_price;
use crate::limits::CODES_PER_QUERY_MAX;
use crate::runner::sink::BackendError;

/// Looks up what an order names.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    rest: Rest,
    company: i64,
    /// Of what was promised from none.
    warehouse: Option<WarehouseId>,
}

#[derive(Debug, Clone, Deserialize)]
struct PartyRow {
    id: i64,
    customer_payment_term: Option<i64>,
    #[serde(default)]
    addresses: Vec<AddressRow>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct AddressRow {
    id: i64,
    #[serde(default)]
    active: Flag,
    #[serde(default)]
    invoice: Flag,
    #[serde(default)]
    delivery: Flag,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct IdRow {
    id: i64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct CurrencyRow {
    id: i64,
    digits: u32,
}

#[derive(Debug, Clone, Deserialize)]
struct ProductRow {
    id: i64,
    code: String,
    default_uom: UnitOfProduct,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct UnitOfProduct {
    category: i64,
}

#[derive(Debug, Clone, Deserialize)]
struct UnitRow {
    id: i64,
    symbol: String,
    category: i64,
}

impl PartyRow {
    /// The first that is meant for it, else the first.
    fn address(&self, meant: impl Fn(&AddressRow) -> bool) -> Option<i64> {
        let active = || self.addresses.iter().filter(|address| address.active.0);
        active().find(|address| meant(address)).or_else(|| active().next()).map(|address| address.id)
    }
}

fn poison(text: impl Into<String>) -> BackendError {
    BackendError::Poison(text.into())
}

/// The one row, or why it is none.
fn only<T>(rows: Vec<T>, what: &str) -> Result<T, BackendError> {
    let many = rows.len() > 1;
    match rows.into_iter().next() {
        Some(row) if !many => Ok(row),
        Some(_) => {
            Err(poison(format!("Tryton has more than one active {what}; leave one of them, then replay")))
        }
        None => Err(poison(format!("Tryton has no active {what}; create it there, then replay"))),
    }
}

impl Desk {
    pub(super) fn new(rest: Rest, company: i64, warehouse: Option<WarehouseId>) -> Self {
        Self { rest, company, warehouse }
    }

    pub(super) fn company(&self) -> i64 {
        self.company
    }

    /// The values of the sale.
    pub(super) async fn draft(&self, dispatch: &Dispatch) -> Result<Value, BackendError> {
        let facts = &dispatch.facts;
        let warehouse = self.warehouse_of(dispatch)?;
        let ship_to = facts.ship_to.as_ref().filter(|ship_to| **ship_to != dispatch.account);
        let (party, ship_to, warehouse, currency, lines) = tokio::try_join!(
            self.party(&dispatch.account),
            async {
                match ship_to {
                    Some(ship_to) => self.party(ship_to).await.map(Some),
                    None => Ok(None),
                }
            },
            self.warehouse(&warehouse),
            self.currency(dispatch.currency.as_str()),
            self.lines(&dispatch.lines),
        )?;
        let addressless =
            || poison(format!("party {} has no active address; add one, then replay", dispatch.account));
        let invoice = party.address(|address| address.invoice.0).ok_or_else(addressless)?;
        let receiver = ship_to.as_ref().unwrap_or(&party);
        let delivery = receiver.address(|address| address.delivery.0).ok_or_else(addressless)?;
        let lines: Result<Vec<Value>, BackendError> =
            dispatch.lines.iter().map(|line| sale_line(line, &lines, currency.digits)).collect();
        let mut values = json!({
            "company": self.company,
            "party": party.id,
            "invoice_address": invoice,
            "shipment_address": delivery,
            "payment_term": party.customer_payment_term,
            "warehouse": warehouse,
            "currency": currency.id,
            "reference": dispatch.order.to_string(),
            "comment": comment(dispatch),
            "lines": [["create", lines?]],
        });
        if let Some(ship_to) = ship_to {
            values["shipment_party"] = json!(ship_to.id);
        }
        if let Some(number) = &facts.purchase_order {
            values["description"] = json!(number);
        }
        if let Some(date) = facts.requested_date {
            values["shipping_date"] = json!(Day(date));
        }
        Ok(values)
    }

    /// A sale leaves from one warehouse: what was promised from two cannot be one sale.
    fn warehouse_of(&self, dispatch: &Dispatch) -> Result<WarehouseId, BackendError> {
        let promised = dispatch.lines.iter().flat_map(|line| &line.promised);
        let named: BTreeSet<&WarehouseId> = promised.filter_map(|part| part.warehouse.as_ref()).collect();
        let mut named = named.into_iter();
        match (named.next(), named.next()) {
            (Some(one), None) => Ok(one.clone()),
            (None, _) => self.warehouse.clone().ok_or_else(|| {
                poison("no line was promised from a warehouse; set orders.warehouse for back-orders, then replay")
            }),
            (Some(one), Some(other)) => Err(poison(format!(
                "its lines were promised from {one} and {other}, and a sale of Tryton has one warehouse; let the \
                 account's sourcing be `single`, and enter this order by hand"
            ))),
        }
    }

    async fn find<T: serde::de::DeserializeOwned>(
        &self,
        model: &str,
        fields: &[&str],
        domain: Value,
    ) -> Result<Vec<T>, BackendError> {
        self.rest.search(&Query::of(model, fields).filter(domain)).await.map_err(failed)
    }

    async fn party(&self, account: &AccountId) -> Result<PartyRow, BackendError> {
        let fields = ["customer_payment_term", "addresses.active", "addresses.invoice", "addresses.delivery"];
        let rows = self.find("party.party", &fields, json!([["code", "=", account]])).await?;
        only(rows, &format!("party with the code {account}"))
    }

    async fn warehouse(&self, warehouse: &WarehouseId) -> Result<i64, BackendError> {
        let domain = json!([["code", "=", warehouse], ["type", "=", "warehouse"]]);
        let rows: Vec<IdRow> = self.find("stock.location", &["code"], domain).await?;
        only(rows, &format!("warehouse with the code {warehouse}")).map(|row| row.id)
    }

    async fn currency(&self, code: &str) -> Result<CurrencyRow, BackendError> {
        let rows = self.find("currency.currency", &["digits"], json!([["code", "=", code]])).await?;
        only(rows, &format!("currency with the code {code}"))
    }

    /// Product and unit of every line: by code, and by symbol within the product's category of units.
    async fn lines(&self, lines: &[DispatchLine]) -> Result<Links, BackendError> {
        let codes: BTreeSet<&str> = lines.iter().map(|line| line.item.as_str()).collect();
        let symbols: BTreeSet<&str> = lines.iter().map(|line| line.uom.as_str()).collect();
        let mut links = Links::default();
        for codes in codes.into_iter().collect::<Vec<_>>().chunks(CODES_PER_QUERY_MAX) {
            let fields = ["code", "default_uom.category"];
            let rows: Vec<ProductRow> =
                self.find("product.product", &fields, json!([["code", "in", codes]])).await?;
            rows.into_iter().for_each(|row| links.products.entry(row.code.clone()).or_default().push(row));
        }
        for symbols in symbols.into_iter().collect::<Vec<_>>().chunks(CODES_PER_QUERY_MAX) {
            let fields = ["symbol", "category"];
            let rows: Vec<UnitRow> =
                self.find("product.uom", &fields, json!([["symbol", "in", symbols]])).await?;
            links.units.extend(rows);
        }
        Ok(links)
    }
}

#[derive(Debug, Default)]
struct Links {
    products: BTreeMap<String, Vec<ProductRow>>,
    units: Vec<UnitRow>,
}

fn sale_line(line: &DispatchLine, links: &Links, currency_digits: u32) -> Result<Value, BackendError> {
    let products = links.products.get(line.item.as_str()).cloned().unwrap_or_default();
    let product = only(products, &format!("product with the code {}", line.item))?;
    let category = product.default_uom.category;
    let is_unit = |unit: &&UnitRow| unit.symbol == line.uom.as_str() && unit.category == category;
    let units: Vec<UnitRow> = links.units.iter().filter(is_unit).cloned().collect();
    let unit = only(units, &format!("unit with the symbol {} for product {}", line.uom, line.item))?;
    let price = unit_price(line, currency_digits).map_err(poison)?;
    Ok(json!({
        "product": product.id,
        "quantity": Quantity(line.quantity),
        "unit": unit.id,
        "unit_price": Amount(price),
        "note": line.line,
    }))
}

/// What nobody judges, for people to read; a line each, as it came.
fn comment(dispatch: &Dispatch) -> String {
    let facts = &dispatch.facts;
    let mut lines = Vec::new();
    lines.extend(facts.channel.as_ref().map(|channel| format!("channel: {channel}")));
    lines.extend(facts.ship_to_address.as_ref().map(|address| format!("ship to: {address}")));
    lines.extend(facts.ship_complete.then(|| "ship complete".to_owned()));
    lines.extend(facts.references.iter().map(|(name, text)| format!("{name}: {text}")));
    lines.join("\n")
}
