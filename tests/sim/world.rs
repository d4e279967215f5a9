//! What there is in the simulated world, and intake: from a wish to the command that a node writes, with what the catalog
//! would say of it.

use pannier_protocol::change::{PastDue, SourcingMode};
use pannier_protocol::order::{
    CapUse, CreditUse, Fingerprint, IfShort, KeyedBy, Need, NeedCell, OrderLine, OrderRequestFacts,
    PlaceHold, PlaceOrder, PriceRecord, RouteFacts, StockLine, StockTerms,
};
use pannier_protocol::{
    AccountId, AsOf, ContractId, Currency, Decimal, GroupId, HoldId, IdempotencyKey, ItemId, LevelName,
    LineId, OrderId, PurchaseOrder, SourceId, StreamSequence, Timestamp, UomCode, WarehouseId, Zone,
};

use super::writer::incarnation;

pub(crate) const ITEMS: [&str; 3] = ["A", "B", "C"];
/// One of A and two of B.
pub(crate) const KIT: &str = "K";
pub(crate) const WAREHOUSES: [&str; 2] = ["DAL", "CHI"];
/// Says by name which orders its figures contain, and keeps DAL.
pub(crate) const BY_NAME: &str = "wms";
/// Says it by position, and keeps CHI, supply, credit and caps.
pub(crate) const BY_POSITION: &str = "erp";
pub(crate) const BACKENDS: [&str; 2] = ["erp", "erp2"];
/// The first has credit and a capped contract.
pub(crate) const ACCOUNTS: [&str; 3] = ["C-1", "C-2", "C-3"];
pub(crate) const CONTRACT: &str = "K-1";
pub(crate) const CAPPED: &str = "A";
pub(crate) const HORIZON_DAYS: u16 = 10;
/// How long after intake a command may be judged.
const JUDGE_WITHIN_MS: i64 = 30_000;
const PRICE: i64 = 10;

macro_rules! named {
    ($($name:ident $of:ty),+ $(,)?) => {$(
        pub(crate) fn $name(text: &str) -> $of {
            <$of>::new(text).expect("an id")
        }
    )+};
}

named! {
    item ItemId, warehouse WarehouseId, source SourceId, account AccountId, uom UomCode, line_id LineId,
    contract ContractId, key IdempotencyKey, purchase_order PurchaseOrder, level LevelName, group GroupId,
}

pub(crate) fn units(count: i64) -> Decimal {
    Decimal::from_int(count).expect("a small number")
}

pub(crate) fn usd() -> Currency {
    Currency::new("USD").expect("a currency")
}

/// Whose figure counts at a warehouse.
pub(crate) fn keeper(warehouse: &str) -> &'static str {
    if warehouse == "DAL" { BY_NAME } else { BY_POSITION }
}

/// What a client wants of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) item: &'static str,
    pub(crate) quantity: i64,
    pub(crate) uom: &'static str,
    pub(crate) if_short: IfShort,
    pub(crate) backorder: bool,
    /// Whether it is closer to the second warehouse.
    pub(crate) from_second: bool,
}

/// Base units for one of these, as a fraction.
fn factor(uom: &str) -> (i64, i64) {
    match uom {
        "CS" => (6, 1),
        "TH" => (1, 3),
        _ => (1, 1),
    }
}

/// What one of a unit of an item takes: item, and base units as a fraction.
pub(crate) fn needs(name: &str, unit: &str) -> Vec<(&'static str, i64, i64)> {
    let (numerator, denominator) = factor(unit);
    let each = |name: &'static str, each: i64| (name, numerator * each, denominator);
    match ITEMS.iter().find(|item| **item == name) {
        Some(item) => vec![each(item, 1)],
        None => vec![each("A", 1), each("B", 2)],
    }
}

fn stock_line(at: usize, wish: &Wish) -> StockLine {
    let mut warehouses = WAREHOUSES;
    if wish.from_second {
        warehouses.reverse();
    }
    let cell = |warehouse: &&str| NeedCell {
        stock: Some(source(keeper(warehouse))),
        supply: Some(source(BY_POSITION)),
        lots: None,
        safety: Some(source(keeper(warehouse))),
    };
    let need = |(name, numerator, denominator): &(&str, i64, i64)| Need {
        item: item(name),
        base_uom: uom("EA"),
        numerator: *numerator,
        denominator: *denominator,
        lot_tracked: false,
        backorder: wish.backorder,
        cells: warehouses.iter().map(cell).collect(),
    };
    StockLine {
        line: line_id(&(at + 1).to_string()),
        item: item(wish.item),
        quantity: units(wish.quantity),
        uom: uom(wish.uom),
        step: units(1),
        if_short: wish.if_short,
        warehouses: warehouses.iter().map(|name| warehouse(name)).collect(),
        needs: needs(wish.item, wish.uom).iter().map(need).collect(),
    }
}

/// What the node that takes a request knows at that moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intake {
    pub(crate) now: i64,
    /// Of the catalog it priced by.
    pub(crate) catalog: u64,
    pub(crate) mode: SourcingMode,
    /// The handover that it chose its sources by.
    pub(crate) handover: Option<u64>,
}

impl Intake {
    pub(crate) fn keyed(&self, of: &str, named: &str, fingerprint: Fingerprint) -> KeyedBy {
        KeyedBy {
            account: account(of),
            key: key(named),
            fingerprint,
            judge_before: Timestamp::from_millis(self.now + JUDGE_WITHIN_MS),
            traceparent: None,
        }
    }

    fn terms(&self) -> StockTerms {
        let past_due = PastDue::Ignore;
        StockTerms {
            zone: Zone::utc(),
            horizon_days: HORIZON_DAYS,
            past_due,
            mode: self.mode,
            handover: self.handover,
        }
    }

    pub(crate) fn hold(&self, keyed: KeyedBy, wishes: &[Wish], partial: bool, expires_at: i64) -> PlaceHold {
        PlaceHold {
            hold: HoldId::derive(&keyed.account, &keyed.key),
            keyed,
            expires_at: Timestamp::from_millis(expires_at),
            partial,
            terms: self.terms(),
            lines: wishes.iter().enumerate().map(|(at, wish)| stock_line(at, wish)).collect(),
        }
    }

    pub(crate) fn order(
        &self,
        keyed: KeyedBy,
        wishes: &[Wish],
        number: Option<&str>,
        hold: Option<HoldId>,
    ) -> PlaceOrder {
        let first = keyed.account.as_str() == ACCOUNTS[0];
        let lines: Vec<OrderLine> =
            wishes.iter().enumerate().map(|(at, wish)| priced(at, wish, first)).collect();
        let total = units(wishes.iter().map(|wish| wish.quantity * PRICE).sum());
        let at = StreamSequence(self.catalog);
        let priced_at =
            AsOf { incarnation: incarnation(), ledger: StreamSequence(1), shared: at, partition: at };
        let credit = first.then(|| CreditUse {
            account: keyed.account.clone(),
            source: source(BY_POSITION),
            amount: total,
        });
        let groups = if keyed.account.as_str() == ACCOUNTS[1] { vec![group("east")] } else { Vec::new() };
        PlaceOrder {
            order: OrderId::derive(&keyed.account, &keyed.key),
            keyed,
            facts: OrderRequestFacts {
                purchase_order: number.map(purchase_order),
                ..OrderRequestFacts::default()
            },
            currency: usd(),
            total,
            priced_at,
            terms: self.terms(),
            route: RouteFacts { groups, ..RouteFacts::default() },
            credit,
            hold,
            doubts: Vec::new(),
            lines,
        }
    }
}

fn priced(at: usize, wish: &Wish, capped: bool) -> OrderLine {
    let stock = stock_line(at, wish);
    let price = PriceRecord {
        unit_price: units(PRICE),
        per: units(1),
        uom: stock.uom.clone(),
        extended: units(wish.quantity * PRICE),
        level: level("list"),
        contract: None,
        row: None,
    };
    // In thirds no whole number of pieces is capped.
    let caps = (capped && wish.item == CAPPED && wish.uom != "TH").then(|| CapUse {
        source: source(BY_POSITION),
        contract: contract(CONTRACT),
        item: Some(item(CAPPED)),
        amount: units(wish.quantity * factor(wish.uom).0),
    });
    OrderLine { stock, price: Some(price), caps: caps.into_iter().collect() }
}
