//! The rules of availability as data: a distributor in JSON, lines, and what they are told.

mod atp;
mod offers;
mod promised;
mod rules;
mod sourcing;

use std::sync::Arc;

use expect_test::Expect;
use pannier_protocol::api::Availability;
use pannier_protocol::change::{Change, Policy, PolicyDocument};
use pannier_protocol::subject::Subject;
use pannier_protocol::{AccountId, Decimal, Encoding, LocalDate, Partition, SourceId, Timestamp, codec};

use super::{Promise, StockQuestion, Taken, promise};
use crate::catalog::{
    AccountContext, CatalogChain, CatalogRows, CatalogTables, ChainSet, ItemRecord, accounts, uoms,
};
use crate::dictionary::Dictionary;
use crate::freshness::{ChainState, ChainStatus};
use crate::ledger::{LedgerTables, Promised, StockChain, StockRows, When};
use crate::rows::{RowVersion, Rows, Stated};

const TODAY: &str = "2026-11-23";

/// A small distributor; what it does not say is as in a fresh deployment.
struct World {
    dictionary: Arc<Dictionary>,
    catalog: CatalogTables,
    ledger: LedgerTables,
    taken: Taken,
}

/// What a line says beside item, quantity and unit.
#[derive(Default, Clone, Copy)]
struct Ask {
    account: Option<&'static str>,
    warehouse: Option<&'static str>,
    requested_date: Option<&'static str>,
}

fn change(json: &str) -> Change {
    let change: Change = codec::decode(Encoding::Json, json.as_bytes(), json.len()).unwrap();
    change.check().unwrap();
    change
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn date(text: &str) -> LocalDate {
    LocalDate::parse(text).unwrap()
}

/// Noon of today.
fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T12:00:00Z").unwrap()
}

/// Days from today.
fn on(day: i32) -> LocalDate {
    date(TODAY).plus_days(day).unwrap()
}

fn status(subject: Subject) -> Arc<ChainStatus> {
    Arc::new(ChainStatus::new(subject, ChainState { loaded: true, ..ChainState::default() }))
}

fn apply(rows: &impl Rows, sequence: u64, changes: &[String]) {
    let changes: Vec<_> = changes.iter().map(|json| change(json)).collect();
    let version = RowVersion::new(0, sequence);
    let batch: Vec<_> = changes.iter().map(|change| Stated { change, version }).collect();
    assert_eq!(rows.apply(&batch), []);
}

impl World {
    /// Changes of the catalog, from one source.
    fn new(catalog: &[String]) -> Self {
        let dictionary = Arc::new(Dictionary::default());
        let rows = Arc::new(CatalogRows::new(Arc::clone(&dictionary)));
        apply(&*rows, 1, catalog);
        let source = SourceId::new("erp").unwrap();
        let status = status(Subject::Catalog(Partition::Shared, source.clone()));
        let chain = CatalogChain { source, partition: Partition::Shared, status, rows };
        let catalog = CatalogTables {
            chains: Arc::new(ChainSet { shared: vec![chain], ..ChainSet::default() }),
            ..CatalogTables::default()
        };
        Self { dictionary, catalog, ledger: LedgerTables::default(), taken: Taken::default() }
    }

    /// One batch of a source's stock.
    fn stock(mut self, source: &str, changes: &[String]) -> Self {
        let source = SourceId::new(source).unwrap();
        let at = self.ledger.chains.iter().position(|chain| chain.source == source).unwrap_or_else(|| {
            let rows = Arc::new(StockRows::new(Arc::clone(&self.dictionary)));
            let status = status(Subject::Stock(source.clone()));
            self.ledger.chains.push(StockChain { source: source.clone(), status, rows });
            self.ledger.chains.len() - 1
        });
        apply(&*self.ledger.chains[at].rows, 1, changes);
        self.ledger.chains.sort_by(|a, b| a.source.cmp(&b.source));
        self
    }

    /// `lines` are item, warehouse, quantity, when (`now`, `someday` or days from today), and for a hold the
    /// minutes from now after which it ends.
    fn promised(self, lines: &[&str]) -> Self {
        let mut of: std::collections::BTreeMap<_, Vec<Promised>> = std::collections::BTreeMap::new();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let when = match words[3] {
                "now" => When::Now,
                "someday" => When::Someday,
                day => When::On(on(day.parse().unwrap())),
            };
            let minutes = words.get(4).map(|minutes| minutes.parse::<i64>().unwrap());
            of.entry(self.dictionary.items.intern(words[0])).or_default().push(Promised {
                warehouse: self.dictionary.warehouses.intern(words[1]),
                when,
                expires: minutes.map(|minutes| now().plus_millis(minutes * 60_000)),
                uom: self.dictionary.uoms.intern("EA"),
                quantity: decimal(words[2]),
            });
        }
        of.into_iter().for_each(|(item, promised)| self.ledger.promises.put(item, promised));
        self
    }

    fn policy(mut self, document: &str) -> Self {
        let document: PolicyDocument =
            codec::decode(Encoding::Json, document.as_bytes(), document.len()).unwrap();
        self.catalog.put(&Policy { version: 1, document });
        self
    }

    fn item(&self, id: &str) -> Arc<ItemRecord> {
        let item = self.dictionary.items.get(id).unwrap();
        crate::catalog::find_item(&self.catalog, item).unwrap()
    }

    fn account(&self, id: &str) -> AccountContext {
        let id = AccountId::new(id).unwrap();
        accounts::resolve(&self.catalog, &self.dictionary, &id, None).unwrap()
    }

    /// `line` is item, quantity and unit: `A 12 EA`. Nothing is taken.
    fn promise(&self, line: &str, ask: Ask) -> Promise {
        let mut words = line.split(' ');
        let (id, quantity) = (words.next().unwrap(), words.next().unwrap());
        let item = self.item(id);
        let unit = uoms::resolve(&item, &self.dictionary, words.next(), None).unwrap();
        let account = ask.account.map(|id| self.account(id));
        let question = StockQuestion {
            ledger: &self.ledger,
            catalog: &self.catalog,
            dictionary: &self.dictionary,
            account: account.as_ref(),
            item: &item,
            unit,
            quantity: unit.quantity_to_order(decimal(quantity)).unwrap(),
            warehouse: ask.warehouse,
            requested_date: ask.requested_date.map(date),
            today: date(TODAY),
            now: now(),
            live: &[],
        };
        promise(&question, &self.taken)
    }

    /// Asks the lines one after the other, as a basket does.
    #[track_caller]
    fn check_asking(mut self, ask: Ask, lines: &[&str], want: &Expect) {
        let mut told = String::new();
        for line in lines {
            let promise = self.promise(line, ask);
            promise.take(&mut self.taken);
            told += &format!("{line}: {}\n", show(&promise));
        }
        want.assert_eq(&told);
    }

    #[track_caller]
    fn check(self, lines: &[&str], want: &Expect) {
        self.check_asking(Ask::default(), lines, want);
    }
}

/// `in_stock 12 (DAL 12), whole by 2026-11-23: 2026-11-23 DAL 5`
fn show(promise: &Promise) -> String {
    let Availability { status, available, warehouses, schedule, .. } = &promise.availability;
    let status = serde_word(status);
    let list = |entries: Vec<String>| entries.join(", ");
    let at = warehouses.iter().flatten().map(|at| format!("{} {}", at.warehouse, at.available)).collect();
    let leaves = schedule.iter().flatten();
    let leaves =
        leaves.map(|entry| format!("{} {} {}", entry.date, entry.warehouse, entry.quantity)).collect();
    let whole = promise.availability.earliest_full_date;
    let whole = whole.map_or_else(|| "never whole".to_owned(), |date| format!("whole by {date}"));
    let met = match promise.availability.requested_date_met {
        Some(true) => ", in time",
        Some(false) => ", late",
        None => "",
    };
    let stale = if promise.flags.stale_unit { ", stale unit" } else { "" };
    let missing = if promise.flags.owner_missing { ", owner missing" } else { "" };
    format!("{status} {available} ({}), {whole}: {}{met}{stale}{missing}", list(at), list(leaves))
}

fn serde_word(status: &pannier_protocol::api::AvailabilityStatus) -> String {
    let json = codec::encode(Encoding::Json, status).unwrap();
    String::from_utf8(json).unwrap().trim_matches('"').to_owned()
}

/// `rest` are further fields, as in `,"backorder":true`.
fn item(id: &str, rest: &str) -> String {
    format!(r#"{{"item":{{"item":"{id}","base_uom":"EA"{rest}}}}}"#)
}

fn account(id: &str, warehouses: &str, rest: &str) -> String {
    format!(r#"{{"account":{{"account":"{id}","root":"{id}","warehouses":{warehouses}{rest}}}}}"#)
}

fn cell(item: &str, warehouse: &str, on_hand: &str, rest: &str) -> String {
    format!(
        r#"{{"stock_set":{{"item":"{item}","warehouse":"{warehouse}","uom":"EA","on_hand":"{on_hand}"{rest}}}}}"#
    )
}

/// `day` is counted from today.
fn supply(item: &str, warehouse: &str, reference: &str, day: i32, quantity: &str) -> String {
    let date = on(day);
    format!(
        r#"{{"supply_set":{{"item":"{item}","warehouse":"{warehouse}","uom":"EA","reference":"{reference}","date":"{date}","quantity":"{quantity}"}}}}"#
    )
}
