//! What is published of a Tryton that is polled.

use std::collections::BTreeMap;

use pannier_adapters::tryton::TrytonConfig;
use pannier_adapters::tryton::source::{self, SourceError};
use pannier_client::HttpClient;
use pannier_node::{Config, Node};
use pannier_protocol::api::LookupRequest;
use pannier_protocol::ask::{Asked as About, AskedPrices, AskedStock, Question, Reply, Says};
use pannier_protocol::change::PriceScope;
use pannier_protocol::{AsOf, Change, Decimal, Encoding, ItemId, ListId, StreamSequence, codec};
use pannier_streams::Streams;
use pannier_tests::TestBroker;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use super::erp::Erp;
use super::heard::Heard;

/// Quick, and a reconciliation only at the start.
const POLLED: &str =
    "[poll]\nevery_ms = 100\ncatalog_every_ms = 300\noverlap_ms = 5000\n[catalog]\ntick_ms = 100\n";
pub(super) const ORDER: &str = "2f35yzft4vdbe7f2bc5t399rj5";

/// An adapter at work.
pub(super) struct Running {
    stop: CancellationToken,
    run: JoinHandle<Result<(), SourceError>>,
}

impl Running {
    pub(super) fn start(config: TrytonConfig) -> Self {
        let stop = CancellationToken::new();
        let run = tokio::spawn(source::run(config, stop.clone()));
        Self { stop, run }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.run).await.expect("it stops in time").unwrap().unwrap();
    }

    /// Why it ended by itself.
    pub(super) async fn refused(self) -> String {
        let ended = timeout(PATIENCE, self.run).await.expect("it ends in time").unwrap();
        ended.unwrap_err().to_string()
    }
}

fn decimal(value: &Value) -> Decimal {
    let exact = value.get("decimal").map(|text| text.as_str().unwrap().to_owned());
    let text = exact.unwrap_or_else(|| value.to_string());
    let trimmed = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    Decimal::parse(trimmed).unwrap()
}

/// A field of all items by code, as Tryton itself computes it.
async fn computed(erp: &Erp, field: &str, context: &Value) -> BTreeMap<String, Decimal> {
    let rows = erp.all("product.product", &["code", field], context).await;
    let of = |row: Map<String, Value>| (row["code"].as_str().unwrap().to_owned(), decimal(&row[field]));
    rows.into_iter().map(of).collect()
}

/// A node that has what was published.
pub(super) struct Asked {
    _node: Node,
    client: HttpClient,
    at_least: AsOf,
}

impl Asked {
    pub(super) async fn start(test: &TestBroker, streams: &Streams, ledger: u64, catalog: u64) -> Self {
        let mut config = Config::default();
        config.nats.servers = vec![test.server.url()];
        config.http.listen.set_port(0);
        config.operator.listen.set_port(0);
        config.lookup.at_least_wait = std::time::Duration::from_secs(30);
        let node = Node::start(config).await.unwrap();
        assert!(node.handle().ready().await);
        let options = pannier_client::Options { deadline: PATIENCE, ..pannier_client::Options::default() };
        let client = HttpClient::new(&format!("http://{}", node.http_addr()), options).unwrap();
        let at_least = AsOf {
            incarnation: streams.incarnation.clone(),
            ledger: StreamSequence(ledger),
            shared: StreamSequence(catalog),
            partition: StreamSequence(0),
        };
        Self { _node: node, client, at_least }
    }

    /// The lines of one account for so many of each item.
    async fn lines(&self, account: &str, items: &[&str], quantity: u32) -> Vec<Value> {
        let line =
            |item: &&str| json!({"line": item, "item": item, "quantity": quantity.to_string(), "uom": "u"});
        let request = json!({
            "account": account, "at_least": self.at_least.to_string(), "lines": items.iter().map(line).collect::<Vec<_>>(),
            "include": ["price", "breaks", "availability", "warehouses", "schedule"],
        });
        let request: LookupRequest = serde_json::from_value(request).unwrap();
        let answer = self.client.lookup(&request).await.unwrap();
        serde_json::to_value(answer).unwrap()["lines"].as_array().unwrap().clone()
    }
}

/// For all items: what a node answers is what Tryton answers, stock by warehouse and prices by list and quantity.
pub(super) async fn check_all(erp: &Erp, asked: &Asked) {
    let by_warehouse = [("MAIN", 5), ("EAST", 12)];
    let mut stock = BTreeMap::new();
    for (name, id) in by_warehouse {
        let context = json!({"locations": [id], "with_childs": true});
        stock.insert(name, computed(erp, "quantity", &context).await);
    }
    for (account, list) in [("CUST-001", 1), ("CUST-003", 2)] {
        for quantity in [1_u32, 24, 100] {
            let context = json!({"price_list": list, "quantity": quantity, "uom": 1, "currency": 1});
            let prices = computed(erp, "sale_price_uom", &context).await;
            assert_eq!(prices.len(), 40);
            let items: Vec<&str> = prices.keys().map(String::as_str).collect();
            let lines = asked.lines(account, &items, quantity).await;
            for (line, (item, price)) in lines.iter().zip(&prices) {
                let shown = Decimal::parse(line["price"]["unit_price"].as_str().unwrap()).unwrap();
                assert_eq!((&line["item"], shown), (&json!(item), *price), "{account} {quantity}: {line}");
                for place in line["availability"]["warehouses"].as_array().unwrap() {
                    let name = place["warehouse"].as_str().unwrap();
                    let available = Decimal::parse(place["available"].as_str().unwrap()).unwrap();
                    assert_eq!(available, stock[name][item], "{name}: {line}");
                }
                assert_eq!(line["availability"]["warehouses"].as_array().unwrap().len(), 2, "{line}");
            }
        }
    }
}

/// What is promised of an item as it comes in: by warehouse and day.
fn schedule(line: &Value) -> Vec<(String, String)> {
    let steps = line["availability"]["schedule"].as_array().unwrap().iter();
    let step = |it: &Value| {
        (it["warehouse"].as_str().unwrap().to_owned(), it["quantity"].as_str().unwrap().to_owned())
    };
    steps.map(step).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_answers_what_tryton_does() {
    let erp = Erp::start("sqlite").await;
    let (test, streams) = TestBroker::start_with_streams().await;
    let at = source::load_once(erp.config(&test, POLLED)).await.unwrap();
    let asked = Asked::start(&test, &streams, at.ledger.0, at.catalog.0).await;
    check_all(&erp, &asked).await;
    // More than there is: the purchase brings 200 more to MAIN in a week.
    let line = asked.lines("CUST-001", &["ITEM-001"], 800).await.remove(0);
    let want = [("EAST", "120"), ("MAIN", "500"), ("MAIN", "180")];
    assert_eq!(schedule(&line), want.map(|(place, many)| (place.to_owned(), many.to_owned())), "{line}");
}

/// An order of ours from its confirmation to its shipment: allocated at once, gone at the end, named all the while.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_named_in_the_figures_that_contain_it() {
    let erp = Erp::start("sqlite").await;
    let (test, streams) = TestBroker::start_with_streams().await;
    let mut heard = Heard::listen(&test.broker, &streams, true);
    let running = Running::start(erp.config(&test, POLLED));
    heard.until_cell("ITEM-002", "MAIN", "500-0 []").await;
    order_and_ship(&erp, &mut heard).await;
    running.stop().await;
}

/// The life of one order of seven of `ITEM-002`, three of them shipped first.
pub(super) async fn order_and_ship(erp: &Erp, heard: &mut Heard) {
    let sale = erp.order(ORDER, 2, 7).await;
    erp.press("sale.sale", sale, &["quote"]).await;
    heard.until_read_again().await;
    assert_eq!(heard.cell("ITEM-002", "MAIN"), "500-0 []", "a quotation takes nothing");
    erp.press("sale.sale", sale, &["confirm"]).await;
    heard.until_cell("ITEM-002", "MAIN", "500-7 [1:7]").await;
    let first = erp.shipments(sale).await[0];
    let moves = erp.all("stock.move", &["shipment", "origin"], &json!({})).await;
    let is_inner = |it: &&Map<String, Value>| {
        let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
        text("shipment") == format!("stock.shipment.out,{first}") && text("origin").starts_with("stock.move,")
    };
    let inner = moves.iter().find(is_inner).unwrap()["id"].as_i64().unwrap();
    erp.rest.write("stock.move", inner, &json!({"quantity": 3})).await.unwrap();
    erp.press("stock.shipment.out", first, &["assign_try", "pick"]).await;
    heard.until_read_again().await;
    assert_eq!(heard.cell("ITEM-002", "MAIN"), "500-7 [1:7]", "picked, and not gone");
    erp.press("stock.shipment.out", first, &["pack", "do"]).await;
    heard.until_cell("ITEM-002", "MAIN", "497-4 [1:7]").await;
    let shipments = erp.shipments(sale).await;
    let second = shipments.into_iter().find(|it| *it != first).unwrap();
    erp.press("stock.shipment.out", second, &["assign_try", "pick", "pack", "do"]).await;
    heard.until_cell("ITEM-002", "MAIN", "493-0 [1:7]").await;
    heard.until_read_again().await;
    assert_eq!(heard.cell("ITEM-002", "MAIN"), "493-0 [1:7]", "shipped, and still named");
}

/// Between two polls, which are an hour apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_question_is_answered_from_tryton_as_it_is_now() {
    let erp = Erp::start("sqlite").await;
    let (test, streams) = TestBroker::start_with_streams().await;
    let mut stock = Heard::listen(&test.broker, &streams, true);
    let seldom = POLLED
        .replace("every_ms = 100\ncatalog_every_ms = 300", "every_ms = 3600000\ncatalog_every_ms = 3600000");
    let running = Running::start(erp.config(&test, &seldom));
    stock.until_cell("ITEM-003", "MAIN", "500-0 []").await;
    erp.count(3, 3, 321).await;
    let ask = async |about: About| {
        let question = codec::encode(Encoding::MessagePack, &Question::new(about, 10_000)).unwrap();
        let to = format!("pna.v1.ask.{}", erp.config(&test, "").source.unwrap());
        let reply =
            timeout(PATIENCE, test.broker.client().request(to, question.into())).await.unwrap().unwrap();
        let reply: Reply = codec::decode(Encoding::MessagePack, &reply.payload, 1 << 20).unwrap();
        let Says::Rows(rows) = reply.says else { panic!("{reply:?}") };
        rows.changes
    };
    let item = ItemId::new("ITEM-003").unwrap();
    let cells = ask(About::Stock(AskedStock { item: item.clone() })).await;
    let on_hand = |change: &Change| {
        let Change::StockSet(set) = change else { return None };
        (set.warehouse.as_str() == "MAIN").then(|| set.on_hand.to_string())
    };
    assert_eq!(cells.iter().find_map(on_hand).as_deref(), Some("321"), "{cells:?}");
    // And it is published, though the next poll is far.
    stock.until_cell("ITEM-003", "MAIN", "321-0 []").await;
    let list = PriceScope::List(ListId::new("LIST").unwrap());
    let prices = ask(About::Prices(AskedPrices { item, class: None, scopes: vec![list] })).await;
    assert!(matches!(prices.as_slice(), [Change::Prices(prices)] if prices.rows.len() == 1), "{prices:?}");
    running.stop().await;
}

/// What happens while the adapter is away is said when it is back, and nothing else is said again.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_was() {
    let erp = Erp::start("sqlite").await;
    let (test, streams) = TestBroker::start_with_streams().await;
    let mut stock = Heard::listen(&test.broker, &streams, true);
    let mut catalog = Heard::listen(&test.broker, &streams, false);
    let running = Running::start(erp.config(&test, POLLED));
    stock.until_cell("ITEM-003", "MAIN", "500-0 []").await;
    catalog.until("prices", |heard| heard.rows.contains_key("price LIST ITEM-003 ..")).await;
    running.stop().await;
    erp.count(3, 3, 321).await;
    // A row that is gone: no poll shows it, only the comparison of all.
    let of = |row: &Map<String, Value>| (row["template"] == json!(3)).then(|| row["id"].as_i64().unwrap());
    let prices = erp.all("product.list_price", &["template"], &json!({})).await;
    let price = prices.iter().find_map(of).unwrap();
    let gone = json!({"list_prices": [["delete", [price]]]});
    erp.rest.write("product.template", 3, &gone).await.unwrap();
    stock.said();
    catalog.said();
    let running = Running::start(erp.config(&test, POLLED));
    stock.until_cell("ITEM-003", "MAIN", "321-0 []").await;
    catalog.until("no price", |heard| !heard.rows.contains_key("price LIST ITEM-003 ..")).await;
    stock.until_read_again().await;
    assert_eq!(stock.said(), ["stock ITEM-003 MAIN"]);
    assert_eq!(catalog.said(), ["price LIST ITEM-003 .."]);
    running.stop().await;
}
