//! A catalog written down in a few lines, and what it says to a question.

use std::sync::Arc;

use pannier_protocol::change::{Change, Invalidate};
use pannier_protocol::codec::{self, Encoding};
use pannier_protocol::limits::MESSAGE_BYTES_MAX;
use pannier_protocol::subject::Subject;
use pannier_protocol::{AccountId, Currency, Decimal, Partition, SourceId, Timestamp};

use crate::catalog::{AccountContext, CatalogChain, CatalogRows, CatalogTables, accounts, items, uoms};
use crate::dictionary::Dictionary;
use crate::freshness::{ChainState, ChainStatus, Condemned};
use crate::ledger::{LedgerTables, StockChain, StockRows};
use crate::quote::{BasketScopes, CapUse, PriceQuestion, Quote, Wants, quote};
use crate::rows::{RowVersion, Rows, Stated};

pub(super) struct World {
    pub dictionary: Arc<Dictionary>,
    pub tables: CatalogTables,
    pub ledger: LedgerTables,
    sequence: u64,
}

/// A line of a basket of its own; what is left out is that of [`Ask::default`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub account: Option<&'a str>,
    pub ship_to: Option<&'a str>,
    pub item: &'a str,
    pub quantity: &'a str,
    pub uom: Option<&'a str>,
    pub currency: &'a str,
    pub at: &'a str,
    pub contract: Option<&'a str>,
    pub warehouse: Option<&'a str>,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self {
            account: Some("C"),
            ship_to: None,
            item: "A",
            quantity: "1",
            uom: None,
            currency: "USD",
            at: "2026-06-15T12:00:00Z",
            contract: None,
            warehouse: None,
        }
    }
}

pub(super) fn read(json: &str) -> Change {
    let change: Change = codec::decode(Encoding::Json, json.as_bytes(), MESSAGE_BYTES_MAX)
        .unwrap_or_else(|error| panic!("{error}: {json}"));
    change.check().unwrap_or_else(|error| panic!("{error}: {json}"));
    change
}

fn status(subject: Subject) -> Arc<ChainStatus> {
    Arc::new(ChainStatus::new(subject, ChainState { loaded: true, ..ChainState::default() }))
}

impl World {
    pub(super) fn new(lines: &str) -> Self {
        let (dictionary, tables) = (Arc::default(), CatalogTables::default());
        let mut world = Self { dictionary, tables, ledger: LedgerTables::default(), sequence: 0 };
        world.add("erp", Partition::Shared, lines);
        world
    }

    /// One message a line, in the shorthand of [`expand`].
    pub(super) fn add(&mut self, source: &str, partition: Partition, lines: &str) {
        let source = SourceId::new(source).unwrap();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.sequence += 1;
            let rejected = self.state(&source, partition, &read(&expand(line)), self.sequence);
            assert_eq!(rejected, Vec::<String>::new(), "{line}");
        }
    }

    /// The reasons of what was refused.
    pub(super) fn state(
        &mut self,
        source: &SourceId,
        partition: Partition,
        change: &Change,
        sequence: u64,
    ) -> Vec<String> {
        if let Change::Policy(policy) = change {
            self.tables.put(policy);
            return Vec::new();
        }
        let version = RowVersion::new(0, sequence);
        let batch = [Stated { change, version }];
        let rejected = if change.fits(&Subject::Stock(source.clone())) {
            let found = self.ledger.chains.iter().position(|chain| chain.source == *source);
            let at = found.unwrap_or_else(|| {
                let rows = Arc::new(StockRows::new(Arc::clone(&self.dictionary)));
                let status = status(Subject::Stock(source.clone()));
                self.ledger.chains.push(StockChain { source: source.clone(), status, rows });
                self.ledger.chains.len() - 1
            });
            self.ledger.chains[at].rows.apply(&batch)
        } else {
            self.chain(source, partition).rows.apply(&batch)
        };
        rejected.into_iter().map(|rejection| rejection.reason).collect()
    }

    pub(super) fn chain(&mut self, source: &SourceId, partition: Partition) -> &CatalogChain {
        let all = Arc::make_mut(&mut self.tables.chains);
        let chains = match partition {
            Partition::Shared => &mut all.shared,
            Partition::Family(number) => &mut all.families[usize::from(number)],
        };
        let at = chains.iter().position(|chain| chain.source == *source).unwrap_or_else(|| {
            let rows = Arc::new(CatalogRows::new(Arc::clone(&self.dictionary)));
            let status = status(Subject::Catalog(partition, source.clone()));
            let at = chains.partition_point(|chain| chain.source < *source);
            chains.insert(at, CatalogChain { source: source.clone(), partition, status, rows });
            at
        });
        &chains[at]
    }

    /// Condemns what the shared chain of `erp` said so far.
    pub(super) fn condemn(&mut self, invalidate: &str) {
        let Change::Invalidate(Invalidate { scope, mode, .. }) = read(invalidate) else {
            panic!("{invalidate} is no invalidation")
        };
        let sequence = pannier_protocol::SourceSequence(self.sequence);
        let chain = self.chain(&SourceId::new("erp").unwrap(), Partition::Shared);
        chain.status.update(|state| {
            let up_to = (pannier_protocol::StreamSequence::default(), sequence);
            Arc::make_mut(&mut state.condemned).push(Condemned { scope, mode, up_to });
        });
    }

    pub(super) fn account(&self, account: Option<&str>, ship_to: Option<&str>) -> Option<AccountContext> {
        let id = |text: &str| AccountId::new(text).unwrap();
        let ship_to = ship_to.map(id);
        let context =
            |account: &str| accounts::resolve(&self.tables, &self.dictionary, &id(account), ship_to.as_ref());
        account.map(|account| context(account).unwrap())
    }

    /// The lines as one basket of the first one's account.
    pub(super) fn quotes(&self, asks: &[Ask<'_>]) -> Vec<Quote> {
        let context = self.account(asks[0].account, asks[0].ship_to);
        let scopes = BasketScopes::load(&self.tables, &self.ledger, &self.dictionary, context.as_ref());
        let mut caps = CapUse::default();
        let quotes = asks.iter().map(|ask| {
            let item_type = pannier_protocol::api::ItemType::Own;
            let found = items::resolve(&self.tables, &self.dictionary, context.as_ref(), ask.item, item_type);
            let item = found.unwrap().record;
            let unit = uoms::resolve(&item, &self.dictionary, ask.uom, None).unwrap();
            let question = PriceQuestion {
                scopes: &scopes,
                item: &item,
                unit,
                quantity: Decimal::parse(ask.quantity).unwrap(),
                currency: Currency::new(ask.currency).unwrap(),
                pricing_date: Timestamp::parse(ask.at).unwrap(),
                contract: ask.contract,
                warehouse: ask.warehouse,
                wants: Wants { breaks: true, list_price: true, explain: true, record: true },
            };
            quote(&question, &mut caps)
        });
        quotes.collect()
    }

    pub(super) fn quote(&self, ask: Ask<'_>) -> Quote {
        self.quotes(&[ask]).remove(0)
    }
}

/// As in `1.2 EA 144.00 customer_contract K until 2027-01-01T00:00:00Z`, or why there is no price.
pub(super) fn show(quote: &Quote) -> String {
    let price = match &quote.price {
        Ok(price) => price,
        Err(reason) => return format!("{reason:?}"),
    };
    let mut text = format!("{} ", price.unit_price);
    if price.per != Decimal::ONE {
        text += &format!("per {} ", price.per);
    }
    text += &format!("{} {} {}", price.uom, price.extended, price.level);
    if let Some(contract) = &price.contract {
        text += &format!(" {contract}");
    }
    for part in price.parts.iter().flatten() {
        text += &format!(" [{} at {} {}]", part.quantity, part.unit_price, part.level);
    }
    if let Some(until) = price.valid_until {
        text += &format!(" until {until}");
    }
    text
}

/// JSON of one line of shorthand:
///
/// ```text
/// prices <kind> <id> <currency> [dates] <row> ...   a row: item|class|uom|warehouse|per|method|break uom|bound=value,...
/// header <kind> <id> [dates] <member> ...           a member: account:C or group:G
/// levels <name>:<policy> ...                           the levels of the default, by these policies
/// ```
///
/// Dates are local in UTC (or `@zone`), the end exclusive (inclusive after `..=`); anything else is JSON already.
pub(super) fn expand(line: &str) -> String {
    let mut words = line.split_whitespace();
    match words.next() {
        Some("prices") => {
            let (scope, currency) = (scope(&mut words), words.next().unwrap());
            let (dates, rows): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains(".."));
            let rows: Vec<_> = rows.into_iter().map(row).collect();
            let dates = dates.first().copied().map_or_else(String::new, span);
            format!(
                r#"{{"prices":{{"scope":{scope},"currency":"{currency}"{dates},"rows":[{}]}}}}"#,
                rows.join(",")
            )
        }
        Some("header") => {
            let scope = scope(&mut words);
            let (dates, members): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains(".."));
            let member = |text: &&str| {
                let (kind, id) = text.split_once(':').unwrap();
                format!(r#"{{"{kind}":"{id}"}}"#)
            };
            let members: Vec<_> = members.iter().map(member).collect();
            let dates = dates.first().copied().map_or_else(String::new, span);
            format!(r#"{{"scope":{{"scope":{scope}{dates},"members":[{}]}}}}"#, members.join(","))
        }
        Some("levels") => levels(words),
        Some(_) | None => line.to_owned(),
    }
}

fn scope<'a>(words: &mut impl Iterator<Item = &'a str>) -> String {
    let (kind, id) = (words.next().unwrap(), words.next().unwrap());
    format!(r#"{{"{kind}":"{id}"}}"#)
}

fn span(text: &str) -> String {
    let (text, zone) = text.split_once('@').unwrap_or((text, "UTC"));
    let (from, to) = text.split_once("..").unwrap();
    let (to, inclusive) = to.strip_prefix('=').map_or((to, false), |to| (to, true));
    let edge = |name: &str, date: &str, inclusive: bool| match date {
        "" => String::new(),
        _ => format!(r#","{name}":{{"date":"{date}","inclusive":{inclusive},"zone":"{zone}"}}"#),
    };
    edge("from", from, true) + &edge("to", to, inclusive)
}

fn row(text: &str) -> String {
    let fields: Vec<&str> = text.split('|').collect();
    let [item, class, uom, warehouse, per, method, break_uom, breaks] = fields[..] else {
        panic!("{text:?} has not 8 fields")
    };
    let id = |text: &str| if text.is_empty() { "null".to_owned() } else { format!(r#""{text}""#) };
    let steps = breaks.split(',').map(|step| {
        let (bound, value) = step.split_once('=').unwrap_or(("0", step));
        format!(r#"["{bound}","{value}"]"#)
    });
    let steps: Vec<_> = steps.collect();
    let per = if per.is_empty() { "1" } else { per };
    let method = match method.split_once(':') {
        None if method.is_empty() => r#""fixed""#.to_owned(),
        None => id(method),
        Some((digits, percents)) => {
            let percents: Vec<_> = percents.split('+').map(|percent| format!(r#""{percent}""#)).collect();
            let digits = digits.strip_prefix("chain").unwrap();
            let digits = if digits.is_empty() { "null" } else { digits };
            format!(r#"{{"list_chain":{{"percents":[{}],"round_digits":{digits}}}}}"#, percents.join(","))
        }
    };
    let (item, class, uom, warehouse) = (id(item), id(class), id(uom), id(warehouse));
    format!("[{item},{class},{uom},{warehouse},{per},{method},{},[{}]]", id(break_uom), steps.join(","))
}

fn levels<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let levels = words.map(|word| {
        let (name, policy) = word.split_once(':').unwrap();
        let (name, warehouse) = name.split_once('@').unwrap_or((name, "any"));
        let (customer, item) = match name {
            "customer_price" => ("customer", "any"),
            "group_item_price" => ("group", "item"),
            "group_class_price" => ("group", "class"),
            "group_price" => ("group", "any"),
            other => (other, "any"),
        };
        format!(
            r#"{{"name":"{name}","customer":"{customer}","item":"{item}","warehouse":"{warehouse}","policy":"{policy}"}}"#
        )
    });
    let levels: Vec<_> = levels.collect();
    format!(r#"{{"policy":{{"version":1,"document":{{"levels":[{}]}}}}}}"#, levels.join(","))
}
