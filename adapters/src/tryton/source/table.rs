//! Which of Tryton's tables are read, by which columns, and what one row looks like before it means anything.
//!
//! SQL and REST name the same things: a model's stored fields are the table's columns. Both are brought to the
//! text that PostgreSQL writes, so that there is one reading of them (`row`), whichever way they came.

/// Tryton's number of a record.
pub(super) type Id = i64;

/// A row's columns in the order of [`Table::columns`], as text; `None` is null.
pub(super) type Cells = Vec<Option<String>>;

/// What was found of one row; `None`: it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) table: Table,
    pub(super) id: Id,
    pub(super) cells: Option<Cells>,
}

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident $model:literal [$($column:literal)+],)+) => {
        /// A table of Tryton's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) enum Table {
            $($(#[$doc])* $name,)+
        }

        impl Table {
            /// In the order in which they are read: what others are judged by comes first, moves come last.
            pub(super) const ALL: &[Self] = &[$(Self::$name),+];

            /// As REST calls it.
            pub(super) const fn model(self) -> &'static str {
                match self { $(Self::$name => $model,)+ }
            }

            /// Beside `id`.
            pub(super) const fn columns(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($column),+],)+ }
            }
        }
    };
}

tables! {
    Currency "currency.currency" ["code"],
    Company "company.company" ["party" "currency"],
    Uom "product.uom" ["symbol" "factor" "rate" "rounding" "active"],
    Location "stock.location" [
        "code" "type" "parent" "storage_location" "input_location" "output_location" "active"
    ],
    Template "product.template" ["name" "default_uom" "sale_uom" "salable" "type" "active"],
    Product "product.product" ["template" "code" "active"],
    ListPrice "product.list_price" ["template" "product" "company" "list_price"],
    Party "party.party" ["code" "active"],
    PartyList "party.party.sale_price_list" ["party" "company" "sale_price_list"],
    PriceList "product.price_list" ["name" "company" "active"],
    /// Prices that Tryton's own job has computed. It deletes all rows and makes new ones.
    Cache "product.price_list.cache" ["price_list" "product" "uom" "raw_unit_prices" "pattern"],
    Purchase "purchase.purchase" ["number"],
    PurchaseLine "purchase.line" ["purchase"],
    Sale "sale.sale" ["reference" "state" "shipment_state" "warehouse" "company" "create_date" "write_date"],
    SaleLine "sale.line" ["sale" "product" "quantity" "unit" "note"],
    Move "stock.move" [
        "product" "internal_quantity" "from_location" "to_location" "state" "planned_date" "origin" "company"
    ],
}

impl Table {
    /// As SQL calls it.
    pub(super) fn sql(self) -> String {
        self.model().replace('.', "_")
    }

    pub(super) fn of_sql(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|table| table.sql() == name)
    }

    /// Whether the log has it: the others are only read with a snapshot.
    pub(super) fn is_followed(self) -> bool {
        !matches!(self, Self::Currency | Self::Company)
    }

    /// What stock is made of, in the ledger; the rest is the catalog.
    pub(super) fn is_stock(self) -> bool {
        matches!(self, Self::Purchase | Self::PurchaseLine | Self::Sale | Self::SaleLine | Self::Move)
    }

    /// Whether a new row means that others were deleted: only a read of all of them tells which.
    pub(super) fn is_rewritten(self) -> bool {
        self == Self::Cache
    }
}

/// Where the mirror keeps a row between two lives of the adapter.
pub(super) fn note_key(table: Table, id: Id) -> String {
    format!("{ROW_NOTES}{}/{id}", table.model())
}

/// What a note is about, if it is a row.
pub(super) fn of_note(key: &str) -> Option<(Table, Id)> {
    let (model, id) = key.strip_prefix(ROW_NOTES)?.split_once('/')?;
    let table = Table::ALL.iter().copied().find(|table| table.model() == model)?;
    Some((table, id.parse().ok()?))
}

/// What the keys of all rows begin with.
pub(super) const ROW_NOTES: &str = "row/";
