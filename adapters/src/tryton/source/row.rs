//! What the rows of Tryton's tables mean, as far as anybody asks.

use pannier_protocol::{Decimal, LocalDate, Timestamp};

use super::table::{Cells, Id, Table};
use super::text::{breaks, decimal, instant, micros, pattern_date};

/// Why a row has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {id}: column {column} cannot be read: {text:?}", table.model())]
pub(super) struct BadRow {
    table: Table,
    id: Id,
    column: &'static str,
    text: Option<String>,
}

/// Reads one row's columns by name.
pub(super) struct Columns<'a> {
    pub(super) table: Table,
    pub(super) id: Id,
    pub(super) cells: &'a Cells,
}

impl<'a> Columns<'a> {
    fn text(&self, column: &'static str) -> Option<&'a str> {
        let at = self.table.columns().iter().position(|known| *known == column)?;
        self.cells.get(at)?.as_deref()
    }

    fn bad(&self, column: &'static str) -> BadRow {
        let text = self.text(column).map(|text| text.chars().take(64).collect());
        BadRow { table: self.table, id: self.id, column, text }
    }

    /// `None` where the column is null.
    fn read<T>(
        &self,
        column: &'static str,
        as_value: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, BadRow> {
        let read = |text| as_value(text).ok_or_else(|| self.bad(column));
        self.text(column).map(read).transpose()
    }

    fn link(&self, column: &'static str) -> Result<Option<Id>, BadRow> {
        self.read(column, |text| text.parse().ok())
    }

    fn needed(&self, column: &'static str) -> Result<Id, BadRow> {
        self.link(column)?.ok_or_else(|| self.bad(column))
    }

    fn quantity(&self, column: &'static str) -> Result<i64, BadRow> {
        Ok(self.read(column, micros)?.unwrap_or(0))
    }

    /// Null is false; where Tryton writes nothing a record is not active.
    fn flag(&self, column: &'static str) -> bool {
        matches!(self.text(column), Some("t" | "true" | "1"))
    }

    fn owned(&self, column: &'static str) -> String {
        self.text(column).unwrap_or_default().to_owned()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Company {
    pub(super) party: Id,
    pub(super) currency: Id,
}

/// `factor` is how many of the category's own unit one of this is, `rate` the other way round; whichever is above 1
/// is the exact one of the two.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Uom {
    pub(super) symbol: String,
    pub(super) factor: i64,
    pub(super) rate: i64,
    pub(super) rounding: i64,
    pub(super) is_active: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Storage,
    Warehouse,
    Customer,
    Supplier,
    Production,
    Other,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Location {
    pub(super) code: String,
    pub(super) place: Place,
    pub(super) parent: Option<Id>,
    pub(super) storage: Option<Id>,
    pub(super) input: Option<Id>,
    pub(super) is_active: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    pub(super) name: String,
    pub(super) uom: Id,
    pub(super) sale_uom: Option<Id>,
    pub(super) is_salable: bool,
    pub(super) is_stocked: bool,
    pub(super) is_active: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Product {
    pub(super) template: Id,
    pub(super) code: String,
    pub(super) is_active: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListPrice {
    pub(super) template: Id,
    pub(super) product: Option<Id>,
    pub(super) company: Option<Id>,
    pub(super) price: Option<Decimal>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Party {
    pub(super) code: String,
    pub(super) is_active: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct PartyList {
    pub(super) party: Option<Id>,
    pub(super) company: Option<Id>,
    pub(super) list: Option<Id>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct PriceList {
    pub(super) name: String,
    pub(super) company: Option<Id>,
    pub(super) is_active: bool,
}

/// Prices of one item in one list on one day: bounds in `uom` with what one of it costs from there on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cache {
    pub(super) list: Id,
    pub(super) product: Id,
    pub(super) uom: Id,
    /// Without: on every day.
    pub(super) date: Option<LocalDate>,
    /// Empty: the list says nothing of the item.
    pub(super) breaks: Vec<(Decimal, Decimal)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaleState {
    /// Draft, quotation or cancelled: nothing is taken.
    Open,
    Confirmed,
    Processing,
    Done,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sale {
    /// Where it is an order of ours: its id.
    pub(super) reference: Option<String>,
    pub(super) state: SaleState,
    /// `none`, `waiting`, `partially shipped`, `sent`, `exception`.
    pub(super) shipment_state: String,
    pub(super) warehouse: Option<Id>,
    pub(super) company: Option<Id>,
    pub(super) written: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct SaleLine {
    pub(super) sale: Id,
    pub(super) product: Option<Id>,
    /// Millionths of `unit`.
    pub(super) quantity: i64,
    pub(super) unit: Option<Id>,
    /// The line's name where the sale is an order of ours.
    pub(super) note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MoveState {
    /// To come, and promised to nobody.
    Draft,
    /// Set aside for it.
    Assigned,
    Done,
    /// Cancelled, or only thought of.
    Void,
}

impl MoveState {
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Draft | Self::Assigned)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    SaleLine(Id),
    PurchaseLine(Id),
    Other,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Move {
    pub(super) product: Id,
    /// Millionths of the item's base unit.
    pub(super) quantity: i64,
    pub(super) from: Id,
    pub(super) to: Id,
    pub(super) state: MoveState,
    /// Whether it was taken back, rather than never meant.
    pub(super) is_cancelled: bool,
    pub(super) planned: Option<LocalDate>,
    pub(super) origin: Origin,
    pub(super) company: Option<Id>,
}

impl Columns<'_> {
    pub(super) fn code(&self) -> String {
        self.owned("code")
    }

    pub(super) fn number(&self) -> String {
        self.owned("number")
    }

    pub(super) fn purchase(&self) -> Result<Id, BadRow> {
        self.needed("purchase")
    }

    pub(super) fn company(&self) -> Result<Company, BadRow> {
        Ok(Company { party: self.needed("party")?, currency: self.needed("currency")? })
    }

    pub(super) fn uom(&self) -> Result<Uom, BadRow> {
        Ok(Uom {
            symbol: self.owned("symbol"),
            factor: self.quantity("factor")?,
            rate: self.quantity("rate")?,
            rounding: self.quantity("rounding")?,
            is_active: self.flag("active"),
        })
    }

    pub(super) fn location(&self) -> Result<Location, BadRow> {
        let place = match self.text("type") {
            Some("storage" | "view") => Place::Storage,
            Some("warehouse") => Place::Warehouse,
            Some("customer") => Place::Customer,
            Some("supplier") => Place::Supplier,
            Some("production") => Place::Production,
            _ => Place::Other,
        };
        Ok(Location {
            code: self.code(),
            place,
            parent: self.link("parent")?,
            storage: self.link("storage_location")?,
            input: self.link("input_location")?,
            is_active: self.flag("active"),
        })
    }

    pub(super) fn template(&self) -> Result<Template, BadRow> {
        Ok(Template {
            name: self.owned("name"),
            uom: self.needed("default_uom")?,
            sale_uom: self.link("sale_uom")?,
            is_salable: self.flag("salable"),
            is_stocked: matches!(self.text("type"), Some("goods" | "assets")),
            is_active: self.flag("active"),
        })
    }

    pub(super) fn product(&self) -> Result<Product, BadRow> {
        Ok(Product { template: self.needed("template")?, code: self.code(), is_active: self.flag("active") })
    }

    pub(super) fn list_price(&self) -> Result<ListPrice, BadRow> {
        Ok(ListPrice {
            template: self.needed("template")?,
            product: self.link("product")?,
            company: self.link("company")?,
            price: self.read("list_price", decimal)?,
        })
    }

    pub(super) fn party(&self) -> Party {
        Party { code: self.code(), is_active: self.flag("active") }
    }

    pub(super) fn party_list(&self) -> Result<PartyList, BadRow> {
        Ok(PartyList {
            party: self.link("party")?,
            company: self.link("company")?,
            list: self.link("sale_price_list")?,
        })
    }

    pub(super) fn price_list(&self) -> Result<PriceList, BadRow> {
        Ok(PriceList {
            name: self.owned("name"),
            company: self.link("company")?,
            is_active: self.flag("active"),
        })
    }

    pub(super) fn cache(&self) -> Result<Cache, BadRow> {
        Ok(Cache {
            list: self.needed("price_list")?,
            product: self.needed("product")?,
            uom: self.needed("uom")?,
            date: self.read("pattern", pattern_date)?.flatten(),
            breaks: self.read("raw_unit_prices", breaks)?.unwrap_or_default(),
        })
    }

    pub(super) fn sale(&self) -> Result<Sale, BadRow> {
        let reference = self.text("reference").filter(|text| pannier_protocol::OrderId::parse(text).is_ok());
        let state = match self.text("state") {
            Some("confirmed") => SaleState::Confirmed,
            Some("processing") => SaleState::Processing,
            Some("done") => SaleState::Done,
            _ => SaleState::Open,
        };
        let created = self.read("create_date", instant)?;
        Ok(Sale {
            reference: reference.map(str::to_owned),
            state,
            shipment_state: self.owned("shipment_state"),
            warehouse: self.link("warehouse")?,
            company: self.link("company")?,
            written: self.read("write_date", instant)?.or(created).unwrap_or(Timestamp::MIN),
        })
    }

    pub(super) fn sale_line(&self) -> Result<SaleLine, BadRow> {
        Ok(SaleLine {
            sale: self.needed("sale")?,
            product: self.link("product")?,
            quantity: self.quantity("quantity")?,
            unit: self.link("unit")?,
            note: self.owned("note"),
        })
    }

    pub(super) fn stock_move(&self) -> Result<Move, BadRow> {
        let state = match self.text("state") {
            Some("draft") => MoveState::Draft,
            Some("assigned") => MoveState::Assigned,
            Some("done") => MoveState::Done,
            _ => MoveState::Void,
        };
        Ok(Move {
            product: self.needed("product")?,
            quantity: self.quantity("internal_quantity")?,
            from: self.needed("from_location")?,
            to: self.needed("to_location")?,
            state,
            is_cancelled: self.text("state") == Some("cancelled"),
            planned: self.read("planned_date", |text| LocalDate::parse(text).ok())?,
            origin: self.text("origin").map_or(Origin::Other, origin),
            company: self.link("company")?,
        })
    }
}

/// `sale.line,57`
fn origin(text: &str) -> Origin {
    let Some((model, id)) = text.split_once(',') else { return Origin::Other };
    match (model, id.parse()) {
        ("sale.line", Ok(id)) => Origin::SaleLine(id),
        ("purchase.line", Ok(id)) => Origin::PurchaseLine(id),
        _ => Origin::Other,
    }
}
