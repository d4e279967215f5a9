//! Baskets against both folds, as a node runs them: messages in, answers out.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};
use pannier_protocol::api::{LineAnswer, LookupAnswer, LookupRequest, decode_lookup};
use pannier_protocol::ask::LiveRows;
use pannier_protocol::change::Change;
use pannier_protocol::codec::{self, Encoding, encode_envelope};
use pannier_protocol::limits::MESSAGE_BYTES_MAX;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Envelope, Epoch, Incarnation, SourceSequence, StreamSequence, Timestamp};

use super::{Caller, Lookup, LookupRefusal, Promised};
use crate::catalog::Catalog;
use crate::dictionary::Dictionary;
use crate::entry::Entry;
use crate::freshness::Board;
use crate::ledger::Ledger;
use crate::live::LiveAnswer;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) struct Node {
    pub(crate) dictionary: Arc<Dictionary>,
    pub(crate) ledger: Ledger,
    pub(crate) catalog: Catalog,
    /// By subject.
    claims: BTreeMap<String, StreamSequence>,
    stored: u64,
}

impl Node {
    pub(crate) fn new() -> Self {
        let (dictionary, board): (Arc<Dictionary>, Arc<Board>) = Default::default();
        let incarnation = Incarnation::new("7f3a").unwrap();
        Self {
            ledger: Ledger::new(Arc::clone(&dictionary), Arc::clone(&board), incarnation.clone()),
            catalog: Catalog::new(Arc::clone(&dictionary), board, incarnation),
            dictionary,
            claims: BTreeMap::new(),
            stored: 0,
        }
    }

    /// The items, accounts, prices and stock that the tests are about.
    fn stocked() -> Self {
        let mut node = Self::new();
        node.say("catalog.shared.erp", 1, CATALOG);
        node.say("ledger.stock.wms", 1, STOCK);
        node
    }

    /// The next message of a chain; its first is preceded by the claim.
    pub(crate) fn say(&mut self, subject: &str, sequence: u64, changes: &str) {
        if !self.claims.contains_key(subject) {
            self.claims.insert(subject.to_owned(), StreamSequence(self.stored + 1));
            self.put(subject, None, 0, r#"[{"claim":{"instance":"test"}}]"#);
        }
        let epoch = Epoch { incarnation: Incarnation::new("7f3a").unwrap(), claim: self.claims[subject] };
        self.put(subject, Some(epoch), sequence, changes);
    }

    fn put(&mut self, subject: &str, epoch: Option<Epoch>, sequence: u64, changes: &str) {
        let changes: Vec<Change> =
            codec::decode(Encoding::Json, changes.as_bytes(), MESSAGE_BYTES_MAX).unwrap();
        let subject = Subject::parse(subject).unwrap();
        let source = subject.source().unwrap().clone();
        let envelope = Envelope::new(source, epoch, SourceSequence(sequence), sequence, NOW, changes);
        let payload = encode_envelope(Encoding::MessagePack, &envelope).unwrap();
        self.stored += 1;
        let stream_sequence = StreamSequence(self.stored);
        let encoding = Some(Encoding::MessagePack);
        let entry = Entry { subject, stream_sequence, stream_time: NOW, encoding, payload: &payload };
        match entry.subject.in_ledger() {
            true => self.ledger.apply(&entry),
            false => self.catalog.apply(&entry),
        };
    }

    fn ask(&self, request: &str) -> Result<LookupAnswer, LookupRefusal> {
        Ok(self.promise(request, &[])?.answer)
    }

    fn promise(&self, request: &str, live: &[Arc<LiveAnswer>]) -> Result<Promised, LookupRefusal> {
        let request: LookupRequest = decode_lookup(Encoding::Json, request.as_bytes()).unwrap();
        let (ledger, catalog) = (self.ledger.reader(), self.catalog.reader());
        let lookup = Lookup { ledger: &ledger, catalog: &catalog, dictionary: &self.dictionary };
        lookup.promise(&request, NOW, Caller { may_explain: true }, live)
    }

    /// One line a line: status, price, availability, freshness.
    #[track_caller]
    fn check(&self, request: &str, want: Expect) {
        let answer = self.ask(request).unwrap();
        let mut shown = String::new();
        for line in &answer.lines {
            let price = line.price.as_ref().map(|price| format!("{} {}", price.extended, price.level));
            let stock =
                line.availability.as_ref().map(|stock| format!("{} {:?}", stock.available, stock.status));
            let fresh = line.freshness.map(|pair| {
                let state = |part: Option<pannier_protocol::api::Freshness>| part.map(|part| part.state);
                format!("{:?}/{:?}", state(pair.price), state(pair.availability))
            });
            let parts = [price, stock, fresh, line.detail.clone()].into_iter().flatten().collect::<Vec<_>>();
            shown += &format!("{} {:?}: {}\n", line.line, line.status, parts.join(", "));
        }
        let total = &answer.total;
        shown += &format!("{} {}/{}\n", total.extended, total.lines_priced, total.complete);
        want.assert_eq(&shown);
    }
}

const CATALOG: &str = r#"[
    {"item":{"item":"BOLT","base_uom":"EA","uoms":[{"uom":"BX","numerator":10,"denominator":1}]}},
    {"item":{"item":"SAW","base_uom":"EA","entitlement":"tools"}},
    {"item":{"item":"GIFT","base_uom":"EA"}},
    {"account":{"account":"C-1","root":"C-1","currency":"USD"}},
    {"account":{"account":"C-1-01","parent":"C-1","root":"C-1"}},
    {"account":{"account":"C-2","root":"C-2","blocked":true}},
    {"scope":{"scope":{"contract":"K-7"},"members":[{"account":"C-1"}]}},
    {"prices":{"scope":{"contract":"K-7"},"currency":"USD","rows":[["BOLT",null,"EA",null,1,"fixed",null,[["0","1.2"]]]]}},
    {"prices":{"scope":{"list":"LIST"},"currency":"USD","rows":[
        ["BOLT",null,"EA",null,1,"fixed",null,[["0","1.5"]]],["SAW",null,"EA",null,1,"fixed",null,[["0","30"]]]]}},
    {"tick":{"caught_up_to":"2027-01-15T07:59:50Z","subjects":[
        {"subject":"catalog.shared.erp","epoch":{"incarnation":"7f3a","claim":1},"sequence":1}]}}
]"#;

const STOCK: &str = r#"[
    {"stock_set":{"item":"BOLT","warehouse":"DAL","uom":"EA","on_hand":"25"}},
    {"stock_set":{"item":"GIFT","warehouse":"DAL","uom":"EA","on_hand":"3"}},
    {"tick":{"caught_up_to":"2027-01-15T07:59:59Z","subjects":[
        {"subject":"ledger.stock.wms","epoch":{"incarnation":"7f3a","claim":3},"sequence":1}]}}
]"#;

#[test]
fn contract_and_stock_answer_with_their_proof() {
    let node = Node::stocked();
    let request = r#"{"account":"C-1","ship_to":"C-1-01","lines":[
        {"line":"1","item":"BOLT","quantity":"2","uom":"BX"},{"line":"2","item":"BOLT","quantity":"6"}]}"#;
    node.check(
        request,
        expect![[r#"
            1 Ok: 24.00 customer_contract, 2 InStock, Some(Fresh)/Some(Fresh)
            2 Ok: 7.20 customer_contract, 5 Partial, Some(Fresh)/Some(Fresh)
            31.20 2/true
        "#]],
    );
    let answer = node.ask(request).unwrap();
    assert_eq!(answer.as_of.to_string(), "7f3a.L4.S2.P0");
    let sources: Vec<_> =
        answer.sources.iter().map(|of| (of.source.as_str(), of.table.as_str(), of.age_ms)).collect();
    assert_eq!(sources, [("erp", "shared", Some(10_000)), ("wms", "stock", Some(1_000))]);
}

#[test]
fn one_bad_line_never_fails_the_basket() {
    Node::stocked().check(
        r#"{"account":"C-1","lines":[
            {"line":"unknown","item":"NUT","quantity":"1"},
            {"line":"hidden","item":"SAW","quantity":"1"},
            {"line":"none","item":"BOLT","quantity":"-1"},
            {"line":"unit","item":"BOLT","quantity":"1","uom":"PAL"},
            {"line":"unpriced","item":"GIFT","quantity":"2"},
            {"line":"again","item":"GIFT","quantity":"2"}]}"#,
        expect![[r#"
            unknown NotFound: no such item
            hidden NotFound: no such item
            none InvalidQuantity: a quantity is a positive decimal of at most 6 places, as a string
            unit InvalidUom: the item is not sold in this unit; ask in one of its units
            unpriced NoPrice: 3 InStock, Some(Fresh)/Some(Fresh), no price is in force for this item, quantity, currency and date
            again NoPrice: 1 Partial, Some(Fresh)/Some(Fresh), no price is in force for this item, quantity, currency and date
            0.00 0/false
        "#]],
    );
}

#[test]
fn a_basket_is_refused_for_its_account_only() {
    let node = Node::stocked();
    let ask = |head: &str| {
        let request = format!(r#"{{{head}"lines":[{{"line":"1","item":"BOLT","quantity":"1"}}]}}"#);
        node.ask(&request).map(|answer| answer.account.map(|account| account.to_string()))
    };
    assert_eq!(ask(""), Ok(None));
    assert_eq!(ask(r#""account":"C-9","#), Err(LookupRefusal::UnknownAccount));
    assert_eq!(ask(r#""account":"C-1","ship_to":"C-2","#), Err(LookupRefusal::UnknownAccount));
    assert_eq!(ask(r#""account":"C-2","#), Err(LookupRefusal::AccountBlocked));
    assert!(matches!(
        ask(r#""ship_to":"C-1","#),
        Err(LookupRefusal::InvalidRequest { field: "ship_to", .. })
    ));
}

#[test]
fn a_gap_refuses_what_the_chain_could_have_known() {
    let mut node = Node::stocked();
    node.say("catalog.shared.erp", 3, r#"[{"item":{"item":"NEW","base_uom":"EA"}}]"#);
    let request = r#"{"account":"C-1","lines":[
        {"line":"known","item":"BOLT","quantity":"1"},{"line":"unknown","item":"NUT","quantity":"1"}]}"#;
    node.check(
        request,
        expect![[r#"
            known Suspect: a message of a source is missing; a snapshot was asked for
            unknown Suspect: a message of a source is missing; a snapshot was asked for
            0.00 0/false
        "#]],
    );
    let serve = r#"[{"policy":{"version":1,"document":{"staleness":{"rules":[],"suspect":"serve"}}}}]"#;
    node.say("catalog.shared.desk", 1, serve);
    node.check(
        request,
        expect![[r#"
            known Ok: 1.20 customer_contract, 25 InStock, Some(Suspect)/Some(Fresh)
            unknown NotFound: no such item
            1.20 1/false
        "#]],
    );
}

/// The units of an item come from the catalog, also where nobody asks for its price.
#[test]
fn a_gap_in_the_catalog_is_told_of_stock_alone() {
    let mut node = Node::stocked();
    let request = r#"{"account":"C-1","include":["availability"],"lines":[
        {"line":"1","item":"BOLT","quantity":"1","uom":"BX"}]}"#;
    node.check(
        request,
        expect![[r#"
            1 Ok: 2 InStock, None/Some(Fresh)
            0.00 0/false
        "#]],
    );
    node.say("catalog.shared.erp", 3, r#"[{"item":{"item":"NEW","base_uom":"EA"}}]"#);
    node.check(
        request,
        expect![[r#"
            1 Suspect: a message of a source is missing; a snapshot was asked for
            0.00 0/false
        "#]],
    );
    let serve = r#"[{"policy":{"version":1,"document":{"staleness":{"rules":[],"suspect":"serve"}}}}]"#;
    node.say("catalog.shared.desk", 1, serve);
    node.check(
        request,
        expect![[r#"
            1 Ok: 2 InStock, None/Some(Suspect)
            0.00 0/false
        "#]],
    );
    let answer = node.ask(request).unwrap();
    assert!(answer.sources.iter().any(|source| source.source.as_str() == "erp"));
}

#[test]
fn past_its_bound_an_answer_is_flagged_or_refused() {
    let mut node = Node::stocked();
    let request = r#"{"account":"C-1","max_staleness_ms":{"price":9999,"availability":1000},"lines":[
        {"line":"1","item":"BOLT","quantity":"1"}]}"#;
    let flagged = expect![[r#"
        1 Ok: 1.20 customer_contract, 25 InStock, Some(Stale)/Some(Fresh)
        1.20 1/true
    "#]];
    node.check(request, flagged);
    let rule = r#"{"table":"price","budget_ms":10000,"past":"refuse"}"#;
    let refuse = format!(
        r#"[{{"policy":{{"version":1,"document":{{"staleness":{{"rules":[{rule}],"suspect":"refuse"}}}}}}}}]"#
    );
    node.say("catalog.shared.desk", 1, &refuse);
    node.check(
        request,
        expect![[r#"
            1 Stale: the source was last read to its end too long ago
            0.00 0/false
        "#]],
    );
    node.check(
        r#"{"account":"C-1","lines":[{"line":"1","item":"BOLT","quantity":"1"}]}"#,
        expect![[r#"
            1 Ok: 1.20 customer_contract, 25 InStock, Some(Fresh)/Some(Fresh)
            1.20 1/true
        "#]],
    );
}

#[test]
fn a_refused_line_takes_nothing() {
    let mut node = Node::stocked();
    let condemned = r#"[{"invalidate":{"scope":{"item":"BOLT"},"mode":"hard","up_to":[
        {"subject":"ledger.stock.wms","epoch":{"incarnation":"7f3a","claim":3},"sequence":1}]}}]"#;
    node.say("ledger.stock.wms", 2, condemned);
    node.check(
        r#"{"account":"C-1","lines":[{"line":"1","item":"BOLT","quantity":"1"}]}"#,
        expect![[r#"
            1 Invalidated: its source has condemned this data and not sent it anew yet
            0.00 0/false
        "#]],
    );
    let anew = r#"[{"stock_set":{"item":"BOLT","warehouse":"DAL","uom":"EA","on_hand":"7"}}]"#;
    node.say("ledger.stock.wms", 3, anew);
    node.check(
        r#"{"account":"C-1","lines":[{"line":"1","item":"BOLT","quantity":"1"}]}"#,
        expect![[r#"
            1 Ok: 1.20 customer_contract, 7 InStock, Some(Fresh)/Some(Fresh)
            1.20 1/true
        "#]],
    );
}

#[test]
fn a_cell_in_a_former_base_unit_is_stale_for_the_line() {
    let mut node = Node::stocked();
    let request =
        r#"{"account":"C-1","include":["availability"],"lines":[{"line":"1","item":"BOLT","quantity":"1"}]}"#;
    let item =
        r#"[{"item":{"item":"BOLT","base_uom":"BX","uoms":[{"uom":"EA","numerator":1,"denominator":10}]}}]"#;
    node.say("catalog.shared.erp", 2, item);
    node.check(
        request,
        expect![[r#"
            1 Ok: 0 OutOfStock, None/Some(Stale)
            0.00 0/false
        "#]],
    );
}

#[test]
fn what_the_account_may_not_buy_is_answered_as_what_does_not_exist() {
    let mut node = Node::stocked();
    let changes = r#"[{"reference":{"kind":"gtin","number":"400","item":"SAW"}},
        {"prices":{"scope":{"contract":"K-7"},"currency":"USD","rows":[["SAW",null,null,null,1,"fixed",null,[["0","20"]]]]}}]"#;
    node.say("catalog.shared.erp", 2, changes);
    node.say(
        "ledger.stock.wms",
        2,
        r#"[{"stock_set":{"item":"SAW","warehouse":"DAL","uom":"EA","on_hand":"9"}}]"#,
    );
    let ask = |account: &str, item: &str, more: &str| {
        let request = format!(
            r#"{{{account}"include":["price","breaks","list_price","availability","warehouses","schedule","substitutes","explain"],
                "lines":[{{"line":"1","item":"{item}"{more}}}]}}"#
        );
        let answer =
            String::from_utf8(codec::encode(Encoding::Json, &node.ask(&request).unwrap()).unwrap()).unwrap();
        answer.replace(&format!(r#""{item}""#), r#""?""#)
    };
    for account in ["", r#""account":"C-1","#] {
        for more in [
            r#","quantity":"1""#,
            // Item and entitlement are looked at before the rest.
            r#","quantity":"-1""#,
            r#","quantity":"1","uom":"PAL""#,
            r#","quantity":"1","contract":"K-7","warehouse":"DAL""#,
        ] {
            let unknown = ask(account, "NUT", more);
            assert!(unknown.contains("not_found"), "{unknown}");
            assert_eq!(ask(account, "SAW", more), unknown);
        }
        let by_number = r#","quantity":"1","item_type":"gtin""#;
        assert_eq!(ask(account, "400", by_number), ask(account, "999", by_number));
    }
}

/// What no source has said yet is served flagged where policy serves, never as fresh.
#[test]
fn what_is_not_loaded_is_never_fresh() {
    let serve = r#"[{"policy":{"version":1,"document":{"staleness":{"rules":[],"suspect":"serve"}}}}]"#;
    let request =
        r#"{"account":"C-1","include":["availability"],"lines":[{"line":"1","item":"BOLT","quantity":"1"}]}"#;
    let mut node = Node::new();
    node.say("catalog.shared.erp", 1, CATALOG);
    node.say("catalog.shared.desk", 1, serve);
    node.check(
        request,
        expect![[r#"
            1 Ok: 0 OutOfStock, None/Some(Stale)
            0.00 0/false
        "#]],
    );
    node.say("ledger.stock.wms", 1, r#"[{"snapshot_begin":{"id":"S","scope":{"table":"all"},"cut":1}}]"#);
    let tick = r#"[{"tick":{"caught_up_to":"2027-01-15T07:59:59Z","subjects":[
        {"subject":"ledger.stock.wms","epoch":{"incarnation":"7f3a","claim":5},"sequence":2}]}}]"#;
    node.say("ledger.stock.wms", 2, tick);
    node.check(
        request,
        expect![[r#"
            1 Ok: 0 OutOfStock, None/Some(Stale)
            0.00 0/false
        "#]],
    );
}

#[test]
fn past_its_budget_a_source_is_asked_for_one_reply() {
    let mut node = Node::stocked();
    let policy = |version: u64, unanswered: &str| {
        let rule =
            format!(r#"{{"table":"availability","budget_ms":500,"past":"ask","unanswered":"{unanswered}"}}"#);
        format!(
            r#"[{{"policy":{{"version":{version},"document":{{"staleness":{{"rules":[{rule}],"suspect":"refuse"}}}}}}}}]"#
        )
    };
    node.say("catalog.shared.desk", 1, &policy(1, "refuse"));
    let request = r#"{"account":"C-1","include":["availability"],"lines":[
        {"line":"1","item":"BOLT","quantity":"1"},{"line":"2","item":"BOLT","quantity":"2","uom":"BX"},
        {"line":"3","item":"NUT","quantity":"1"}]}"#;
    let refused = expect![[r#"
        1 Stale: the source was last read to its end too long ago
        2 Stale: the source was last read to its end too long ago
        3 NotFound: no such item
        0.00 0/false
    "#]];
    node.check(request, refused);
    let promised = node.promise(request, &[]).unwrap();
    let asked = promised.questions.iter().map(|it| (it.source.as_str(), it.asked.item().as_str()));
    assert_eq!(asked.collect::<Vec<_>>(), [("wms", "BOLT")]);

    let answered = |read_at: Timestamp, changes: &str| {
        let changes = codec::decode(Encoding::Json, changes.as_bytes(), MESSAGE_BYTES_MAX).unwrap();
        Arc::new(LiveAnswer { question: promised.questions[0].clone(), rows: LiveRows { read_at, changes } })
    };
    let cell = r#"[{"stock_set":{"item":"BOLT","warehouse":"AUS","uom":"EA","on_hand":"19"}}]"#;
    let live = answered(NOW.plus_millis(-20), cell);
    let again = node.promise(request, std::slice::from_ref(&live)).unwrap();
    assert_eq!(again.questions, []);
    let shown = |answer: &LookupAnswer| -> Vec<String> {
        let line = |line: &LineAnswer| {
            let stock = line.availability.as_ref().map(|of| of.available.to_string());
            let fresh = line.freshness.and_then(|of| of.availability);
            let fresh = fresh.map(|of| format!("{:?} {:?} {}", of.state, of.age_ms, of.live));
            format!("{:?} {stock:?} {fresh:?}", line.status)
        };
        answer.lines.iter().map(line).collect()
    };
    let fresh = r#"Some("Fresh Some(20) true")"#;
    // What the source does not name it has not: nothing in DAL.
    let want = [format!(r#"Ok Some("19") {fresh}"#), format!(r#"Ok Some("1") {fresh}"#)];
    assert_eq!(shown(&again.answer)[..2], want);
    let chain: Vec<_> = again.answer.sources.iter().map(|of| (of.source.as_str(), of.age_ms)).collect();
    assert_eq!(chain, [("wms", Some(1_000)), ("erp", Some(10_000))]);
    // Nothing of it stays.
    node.check(
        request,
        expect![[r#"
            1 Stale: the source was last read to its end too long ago
            2 Stale: the source was last read to its end too long ago
            3 NotFound: no such item
            0.00 0/false
        "#]],
    );
    // What was read before the chain caught up is the older of the two.
    let old = answered(NOW.plus_millis(-2_000), cell);
    assert_eq!(shown(&node.promise(request, &[old]).unwrap().answer)[0], "Stale None None");
    node.say("catalog.shared.desk", 2, &policy(2, "serve"));
    node.check(
        request,
        expect![[r#"
            1 Ok: 25 InStock, None/Some(Stale)
            2 Ok: 2 InStock, None/Some(Stale)
            3 NotFound: no such item
            0.00 0/false
        "#]],
    );
}
