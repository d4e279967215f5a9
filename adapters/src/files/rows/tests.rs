//! Every table, and every field of it with a bad value: what is read, and the reject that an operator gets.

use pannier_protocol::{Change, ItemId, UomCode};
use serde_json::{Value, json};

use super::{Body, Parsed, parse};
use crate::files::FilesConfig;
use crate::files::mapping::Mapping;
use crate::files::sheet::Sheet;

fn mapping(keys: &str) -> Mapping {
    let text = format!(
        "source = \"erp-1\"\nfolder = \"in\"\nstate = \"s\"\nzone = \"America/Chicago\"\n[[file]]\nname = \"x\"\n\
         pattern = \"*\"\n{keys}"
    );
    FilesConfig::parse(&text).unwrap().mappings().unwrap().remove(0)
}

fn read(keys: &str, text: &[u8]) -> Parsed {
    let mapping = mapping(keys);
    let sheet = Sheet::read(text, &mapping).unwrap();
    // Item A was in an items file, counted in EA; others were not.
    let base_uom = |item: &ItemId| (item.as_str() == "A").then(|| UomCode::new("EA").unwrap());
    parse(&sheet, &mapping, &base_uom)
}

fn shown(parsed: &Parsed) -> Vec<Value> {
    let list = |lists: Vec<(&ItemId, Value)>| {
        lists.into_iter().map(|(item, list)| json!({ item.as_str(): list })).collect::<Vec<_>>()
    };
    let mut shown = match &parsed.body {
        Body::Items(items) => items.iter().map(|item| json!(Change::Item(item.clone()))).collect(),
        Body::Uoms(lists) => list(lists.iter().map(|(item, list)| (item, json!(list))).collect()),
        Body::Kits(lists) => list(lists.iter().map(|(item, list)| (item, json!(list))).collect()),
        Body::Relations(lists) => list(lists.iter().map(|(item, list)| (item, json!(list))).collect()),
        Body::Accounts(all) => all.iter().map(|of| json!(Change::Account(of.account.clone()))).collect(),
        Body::Groups(groups) => groups.iter().flatten().map(|change| json!(change)).collect(),
    };
    shown.extend(parsed.removed.iter().map(|change| json!(change)));
    shown
}

#[track_caller]
fn check(keys: &str, text: &str, want: Value) {
    let parsed = read(keys, text.as_bytes());
    assert_eq!(parsed.rejects, [], "{text}");
    assert_eq!(Value::Array(shown(&parsed)), want, "{text}");
}

/// One good row, and one with each bad cell: the rejects must say line 2, the column and the reason.
#[track_caller]
fn check_bad(keys: &str, good: &str, bad: &[(&str, &str, &str)]) {
    for (row, column, reason) in bad {
        let parsed = read(keys, format!("{good}\n{row}\n").as_bytes());
        let reject = parsed.rejects.iter().find(|reject| reject.line == 2);
        let reject = reject.unwrap_or_else(|| panic!("{row:?} was taken: {:?}", shown(&parsed)));
        assert_eq!(reject.column, *column, "{row:?}: {}", reject.reason);
        assert!(reject.reason.contains(reason), "{row:?}: {}", reject.reason);
    }
}

const STOCK: &str = "table = \"stock\"\nmode = \"full\"\ncolumns = { item = 1, warehouse = 2, on_hand = 3, uom = 4, \
                     allocated = 5, on_hand_is_net = 6 }\n";

#[test]
fn stock() {
    let cell = |item, uom, on_hand, allocated| {
        json!({"stock_set": {"item": item, "warehouse": "DAL", "uom": uom, "on_hand": on_hand,
            "allocated": allocated, "quarantine": "0", "on_hand_is_net": false}})
    };
    check(
        STOCK,
        "A,DAL,10,,,\nB,DAL,-1.5,BX,2,N\n",
        json!([cell("A", "EA", "10", "0"), cell("B", "BX", "-1.5", "2")]),
    );
    check_bad(
        STOCK,
        "A,DAL,10,,,",
        &[
            (",DAL,10,,,", "1 (item)", "is blank"),
            ("A,,10,,,", "2 (warehouse)", "is blank"),
            ("A,DAL,,,,", "3 (on_hand)", "is blank"),
            ("A,DAL,ten,,,", "3 (on_hand)", "\"ten\" is no number"),
            ("A,DAL", "4 (uom)", "the row has 2 columns, this is column 4"),
            ("Z,DAL,10,,,", "uom", "item Z is in no items file of this source"),
            ("A,DAL,10,,-1,", "allocated", "must not be negative"),
            ("A,DAL,10,,,maybe", "6 (on_hand_is_net)", "neither yes (true, 1, Y, yes) nor no"),
            (&format!("{},DAL,10,,,", "x".repeat(65)), "1 (item)", "65 bytes; the most is 64"),
        ],
    );
}

#[test]
fn stock_in_every_format() {
    let want = json!([{"stock_set": {"item": "SKU-000042", "warehouse": "DAL", "uom": "EA", "on_hand": "-1234.5",
        "allocated": "0", "quarantine": "0", "on_hand_is_net": true}}]);
    let delimited = r#"
        table = "stock"
        mode = "full"
        format = { delimiter = ";", header = true, encoding = "windows-1252" }
        numbers = { decimal_mark = ",", thousands_mark = ".", sign = "trailing" }
        columns.item = { name = "ARTIKEL", strip = "0", pad = { to = 6, with = "0" }, prefix = "SKU-" }
        columns.warehouse = { name = "LAGER", map = { "01" = "DAL" } }
        columns.uom = { name = "ME", case = "upper", default = "EA" }
        columns.on_hand = "BESTAND"
        columns.on_hand_is_net = { value = "Y" }
    "#;
    check(delimited, "ARTIKEL;LAGER;ME;BESTAND\n\" 00042 \";01;;1.234,5-\n", want.clone());
    check(delimited, "BESTAND;ME;LAGER;ARTIKEL\r\n1234,50-;ea;01;42\r\n\r\n", want.clone());
    let fixed = r#"
        table = "stock"
        mode = "full"
        format = { kind = "fixed", skip_lines = 1 }
        leader = { starts_with = "HDR" }
        trailer = { starts_with = "TRL", count = { at = 4, width = 3 } }
        columns.item = { at = 1, width = 6, prefix = "SKU-" }
        columns.warehouse = { at = 7, width = 3 }
        columns.on_hand = { at = 10, width = 9, implied_decimals = 2, sign = "trailing" }
        columns.uom = { at = 19, width = 2, default = "EA" }
        columns.on_hand_is_net = { value = "yes" }
    "#;
    check(fixed, "a title\nHDR20261123\n000042DAL00123450-\nTRL001\n", want);
    check_bad(
        delimited,
        "ARTIKEL;LAGER;ME;BESTAND",
        &[
            ("1;02;;1", "LAGER (warehouse)", "\"02\" is not in the mapping's map (01)"),
            ("1;01;;1.5", "BESTAND (on_hand)", "no thousands mark belongs"),
            ("1;01;;1,5,0", "BESTAND (on_hand)", "digits with ',' as decimal mark"),
        ],
    );
}

#[test]
fn bytes_of_another_encoding_are_rejected_and_known_ones_read() {
    let keys = "table = \"items\"\nmode = \"full\"\ncolumns = { item = 1, base_uom = 2, description = 3 }\n";
    let parsed = read(keys, b"A,EA,caf\xe9\nB,EA,tea\n");
    assert_eq!((parsed.rejects[0].line, parsed.rejects[0].column.as_str()), (1, "3 (description)"));
    assert!(parsed.rejects[0].reason.contains("bytes that are not of the mapping's encoding"));
    assert_eq!(shown(&parsed).len(), 1);
    let latin = format!("{keys}format = {{ encoding = \"iso-8859-1\" }}\n");
    assert_eq!(shown(&read(&latin, b"A,EA,caf\xe9\n"))[0]["item"]["description"], "caf\u{e9}");
    let utf16: Vec<u8> = "\u{feff}A,EA,caf\u{e9}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = format!("{keys}format = {{ encoding = \"utf-16le\" }}\n");
    assert_eq!(shown(&read(&wide, &utf16))[0]["item"]["description"], "caf\u{e9}");
}

#[test]
fn items_and_their_units() {
    let keys = "table = \"items\"\nmode = \"delta\"\ncolumns = { item = 1, base_uom = 2, status = 3, uom = 4, \
                numerator = 5, multiple = 6, backorder = 7, removed = 8 }\n";
    let unit = |uom, numerator| json!({"uom": uom, "numerator": numerator, "denominator": 1});
    let item = |item, status, uoms: Value| {
        json!({"item": {"item": item, "base_uom": "EA", "status": status, "backorder": false, "lot_tracked": false,
            "uoms": uoms}})
    };
    check(
        keys,
        "A,EA,active,BX,100,,,\nB,EA,discontinued,CS,12,,,\nA,EA,active,PL,1000,,,\nC,EA,,,,,,Y\nD,EA,,,,,,Y\nD,EA,,EA,1,,,\n",
        json!([
            item("A", "active", json!([unit("BX", 100), unit("PL", 1000)])),
            item("B", "discontinued", json!([unit("CS", 12)])),
            item("D", "active", json!([unit("EA", 1)])),
            {"item_removed": {"item": "C"}},
        ]),
    );
    check_bad(
        keys,
        "A,EA,,BX,100,,,",
        &[
            ("B,,,,,,,", "2 (base_uom)", "is blank"),
            ("B,EA,gone,,,,,", "3 (status)", "unknown variant `gone`, expected `active` or `discontinued`"),
            ("A,EA,,BX,50,,,", "", "the unit BX stands twice"),
            ("B,EA,,BX,0,,,", "", "numerator and denominator must be above 0"),
            ("B,EA,,BX,1.5,,,", "5 (numerator)", "no whole number"),
            ("B,EA,,BX,5,0,,", "uoms.multiple", "must be above 0"),
            ("B,EA,,EA,5,,,", "uoms", "the base unit must be 1/1"),
            ("B,EA,,,,,,X", "8 (removed)", "neither yes"),
        ],
    );
}

#[test]
fn details_of_items() {
    let uoms = "table = \"uoms\"\nmode = \"full\"\ncolumns = { item = 1, uom = 2, numerator = 3 }\n";
    check(
        uoms,
        "A,BX,100\nB,CS,12\nA,PL,5000\n",
        json!([
            {"A": [{"uom": "BX", "numerator": 100, "denominator": 1}, {"uom": "PL", "numerator": 5000, "denominator": 1}]},
            {"B": [{"uom": "CS", "numerator": 12, "denominator": 1}]},
        ]),
    );
    check_bad(
        uoms,
        "A,BX,100",
        &[("A,,1", "2 (uom)", "is blank"), ("A,BX,7", "", "the unit BX stands twice")],
    );
    let kits = "table = \"kits\"\nmode = \"full\"\ncolumns = { item = 1, component = 2, quantity = 3, component_uom = 4 }\n";
    check(
        kits,
        "K,A,2,EA\nK,B,0.5,M\n",
        json!([{"K": [
        {"item": "A", "quantity": "2", "uom": "EA"}, {"item": "B", "quantity": "0.5", "uom": "M"}]}]),
    );
    check_bad(
        kits,
        "K,A,2,EA",
        &[("K,B,0,EA", "quantity", "must be above 0"), ("K,,1,EA", "2 (component)", "is blank")],
    );
    let relations = "table = \"relations\"\nmode = \"full\"\ncolumns = { item = 1, relation = { number = 2, \
                     map = { S = \"substitute\", X = \"exchange\" } }, other_item = 3, other_uom = 4, numerator = 5 }\n";
    check(
        relations,
        "A,S,B,EA,\n",
        json!([{"A": [
        {"relation": "substitute", "item": "B", "uom": "EA", "numerator": 1, "denominator": 1}]}]),
    );
    check_bad(
        relations,
        "A,S,B,EA,",
        &[
            ("A,Q,B,EA,", "2 (relation)", "\"Q\" is not in the mapping's map (S, X)"),
            ("A,X,B,EA,", "2 (relation)", "unknown variant `exchange`"),
            ("A,S,B,EA,0", "", "must be above 0"),
        ],
    );
}

#[test]
fn references() {
    let keys = "table = \"references\"\nmode = \"delta\"\ncolumns = { kind = 1, account = 2, number = 3, item = 4, removed = 5 }\n";
    check(
        keys,
        "customer,C-1,X1,A,\ngtin,,4006381333931,A,\nvendor,,V,A,Y\n",
        json!([
            {"reference": {"kind": {"customer": "C-1"}, "number": "X1", "item": "A"}},
            {"reference": {"kind": "gtin", "number": "4006381333931", "item": "A"}},
            {"reference_removed": {"kind": "vendor", "number": "V"}},
        ]),
    );
    check_bad(
        keys,
        "gtin,,1,A,",
        &[
            ("ean,,1,A,", "kind", "none of customer, shared_customer, vendor, gtin"),
            ("customer,,1,A,", "2 (account)", "is blank"),
            ("gtin,,,A,", "3 (number)", "is blank"),
        ],
    );
}

#[test]
fn accounts() {
    let keys = "table = \"accounts\"\nmode = \"delta\"\ncolumns = { account = 1, parent = 2, groups = { number = 3, \
                separator = \"|\" }, currency = 4, sourcing = 5, removed = 6 }\n";
    let account = |extra: Value| {
        let mut account = json!({"account": "C-1", "root": "C-1", "contract_only": false, "blocked": false});
        account.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "account": account })
    };
    check(
        keys,
        "C-1,C-1,G1|G2,USD,,\n",
        json!([account(json!({"groups": ["G1", "G2"], "currency": "USD"}))]),
    );
    check(
        keys,
        "C-1,,G1,,,\nC-1,,G2|G1,,,\nC-9,,,,,Y\n",
        json!([
        account(json!({"groups": ["G1", "G2"]})), {"account_removed": {"account": "C-9"}}]),
    );
    check_bad(
        keys,
        "C-1,,G1,,,",
        &[
            ("C-1,C-7,,,,", "", "differs from line 1 in more than its lists"),
            ("C-2,,,usd,,", "4 (currency)", "\"usd\" is no ISO 4217 currency code"),
            ("C-2,,,,cheap,", "5 (sourcing)", "unknown variant `cheap`"),
            (",,,,,", "1 (account)", "is blank"),
        ][..3],
    );
}

#[test]
fn scopes() {
    let keys = "table = \"scopes\"\nmode = \"full\"\ndates = { pattern = \"%d.%m.%Y\", none = [\"31.12.9999\"] }\n\
                columns = { contract = 1, list = 2, from = 3, to = { number = 4, end = \"exclusive\" }, \
                member_accounts = 5, parent_list = 6 }\n";
    let edge = |date, inclusive| json!({"date": date, "inclusive": inclusive, "zone": "America/Chicago"});
    check(
        keys,
        "K-1,,01.01.2026,01.01.2027,C-1,\nK-1,,01.01.2026,01.01.2027,C-2,\n,NET,,31.12.9999,,STD\n",
        json!([
            {"scope": {"scope": {"contract": "K-1"}, "from": edge("2026-01-01", true), "to": edge("2027-01-01", false),
                "members": [{"account": "C-1"}, {"account": "C-2"}]}},
            {"scope": {"scope": {"list": "NET"}, "parent": {"list": "STD", "multiplier": "1"}}},
        ]),
    );
    check_bad(
        keys,
        "K-1,,01.01.2026,,C-1,",
        &[
            (",,,,C-1,", "", "none of contract, account, group, promotion, list is filled in"),
            ("K-2,L,,,,", "", "more than one of"),
            ("K-2,,2026-01-01,,,", "3 (from)", "no date as in the pattern \"%d.%m.%Y\""),
            ("K-1,,02.01.2026,,C-2,", "", "has other dates or another parent"),
            ("K-2,,02.01.2026,01.01.2026,,", "to", "ends at or before it starts"),
        ],
    );
}

const PRICES: &str = "table = \"prices\"\nmode = \"full\"\ncolumns = { contract = 1, item = 2, class = 3, currency = 4, \
                      from = 5, min_quantity = 6, value = 7, per = 8, method = 9 }\n";

#[test]
fn prices() {
    let row = |item: Value, class: Value, per, breaks: Value| {
        json!([item, class, null, null, per, "fixed", null, breaks])
    };
    check(
        PRICES,
        "K,A,,USD,,10,1.1,,\nK,A,,USD,,0,1.2,,\nK,,BOLT,USD,,,5,100,\nK,A,,EUR,,,9,,\n",
        json!([
            {"prices": {"scope": {"contract": "K"}, "currency": "USD", "rows": [
                row(json!("A"), json!(null), 1, json!([["0", "1.2"], ["10", "1.1"]])),
                row(json!(null), json!("BOLT"), 100, json!([["0", "5"]])),
            ]}},
            {"prices": {"scope": {"contract": "K"}, "currency": "EUR", "rows": [
                row(json!("A"), json!(null), 1, json!([["0", "9"]]))]}},
        ]),
    );
    check_bad(
        PRICES,
        "K,A,,USD,,0,1.2,,",
        &[
            (",A,,USD,,,1,,", "", "none of contract"),
            ("K,,,USD,,,1,,", "", "names neither an item nor a class"),
            ("K,B,,,,,1,,", "4 (currency)", "is blank"),
            ("K,B,,USD,,,,,", "7 (value)", "is blank"),
            ("K,B,,USD,,,-1,,", "rows.breaks", "must not be negative"),
            ("K,B,,USD,,,1,10,", "rows.per", "a price is per 1, 100 or 1000"),
            ("K,B,,USD,,,1,,magic", "method", "none of fixed, incremental"),
            ("K,B,,USD,soon,,1,,", "5 (from)", "is no date"),
            ("K,A,,USD,,0,1.3,,", "", "two prices of this ladder begin at quantity 0"),
            ("K,A,,USD,,5,1.3,100,", "", "another row of this ladder has another per"),
        ],
    );
}

#[test]
fn a_ladder_with_a_bad_rung_is_rejected_whole() {
    let parsed = read(PRICES, b"K,A,,USD,,0,1.2,,\nK,A,,USD,,10,x,,\nK,B,,USD,,0,3,,\n");
    let lines: Vec<_> = parsed.rejects.iter().map(|reject| reject.line).collect();
    assert_eq!(lines, [1, 2]);
    assert_eq!(shown(&parsed)[0]["prices"]["rows"].as_array().unwrap().len(), 1);
    let failed: Vec<_> = parsed.failed.iter().map(Change::kind).collect();
    assert_eq!(failed, ["prices_removed"], "its key is readable: it stays as it was");
}

#[test]
fn ladders_side_by_side() {
    let keys = r#"
        table = "prices"
        mode = "full"
        zero_is_no_price = true
        columns = { list = { value = "STD" }, item = 1, currency = { value = "USD" }, method = { number = 6, default = "fixed" }, percents = { number = 7, separator = "/" } }
        breaks = [
            { min_quantity = { value = "0" }, value = { number = 2, implied_decimals = 2 } },
            { min_quantity = 3, value = { number = 4, implied_decimals = 2 } },
        ]
    "#;
    let list = |rows: Value| json!([{"prices": {"scope": {"list": "STD"}, "currency": "USD", "rows": rows}}]);
    check(
        keys,
        "A,150,10,120,,,\nB,200,,,,,\nC,0,,,,,\nD,1000,,,,list_chain,5/2.5\n",
        list(json!([
            ["A", null, null, null, 1, "fixed", null, [["0", "1.5"], ["10", "1.2"]]],
            ["B", null, null, null, 1, "fixed", null, [["0", "2"]]],
            ["D", null, null, null, 1, {"list_chain": {"percents": ["5", "2.5"]}}, null, [["0", "10"]]],
        ])),
    );
    check_bad(keys, "A,150,10,120,,,", &[("B,1.5,,,,,", "2", "its decimals are implied")]);
}

#[test]
fn supply_lots_safety_credit_and_caps() {
    let supply = "table = \"supply\"\nmode = \"full\"\nnumbers = { sign = \"either\" }\ncolumns = { item = 1, \
                  warehouse = 2, reference = 3, date = 4, quantity = 5 }\n";
    check(
        supply,
        "A,DAL,PO-1,2026-12-01,5-\n",
        json!([{"supply_set": {"item": "A", "warehouse": "DAL",
        "reference": "PO-1", "uom": "EA", "date": "2026-12-01", "quantity": "-5", "received": "0"}}]),
    );
    check_bad(
        supply,
        "A,DAL,PO-1,2026-12-01,5",
        &[("A,DAL,,2026-12-01,5", "3 (reference)", "is blank"), ("A,DAL,P,,5", "4 (date)", "is blank")],
    );
    let lots = "table = \"lots\"\nmode = \"full\"\ncolumns = { item = 1, warehouse = 2, lot = 3, quantity = 4, expires = 5 }\n";
    check(
        lots,
        "A,DAL,L1,5,2026-12-31\nA,DAL,L2,6,\n",
        json!([{"lots_set": {"item": "A", "warehouse": "DAL",
        "uom": "EA", "lots": [{"lot": "L1", "quantity": "5", "expires": "2026-12-31"}, {"lot": "L2", "quantity": "6"}]}}]),
    );
    check_bad(
        lots,
        "A,DAL,L1,5,",
        &[
            ("A,DAL,L1,6,", "", "lot L1 stands twice"),
            ("A,CHI,L9,-1,", "lots", "must not be negative"),
            ("A,CHI,L9,1,31.12.2026", "5 (expires)", "is no date"),
        ],
    );
    let safety = "table = \"safety\"\nmode = \"full\"\ncolumns = { item = 1, warehouse = 2, quantity = 3 }\n";
    check(
        safety,
        "A,DAL,3\n",
        json!([{"safety_set": {"item": "A", "warehouse": "DAL", "uom": "EA", "quantity": "3"}}]),
    );
    check_bad(safety, "A,DAL,3", &[("A,CHI,-3", "quantity", "must not be negative")]);
    let credit = "table = \"credit\"\nmode = \"full\"\ncolumns = { account = 1, currency = 2, limit = 3, balance = 4 }\n";
    check(
        credit,
        "C-1,USD,,12.5\n",
        json!([{"credit": {"account": "C-1", "currency": "USD", "balance": "12.5",
        "blocked": false}}]),
    );
    check_bad(
        credit,
        "C-1,USD,,12.5",
        &[("C-1,USD,-1,0", "limit", "must not be negative"), ("C-1,USD,,", "4 (balance)", "is blank")],
    );
    let caps = "table = \"caps\"\nmode = \"full\"\ncolumns = { contract = 1, item = 2, basis = 3, limit = 4, consumed = 5, past = 6 }\n";
    check(
        caps,
        "K,A,quantity,100,5,split\n",
        json!([{"cap": {"contract": "K", "item": "A", "basis": "quantity",
        "limit": "100", "consumed": "5", "past": "split"}}]),
    );
    check_bad(
        caps,
        "K,A,quantity,100,5,",
        &[
            ("K,B,weight,100,5,", "3 (basis)", "unknown variant `weight`"),
            ("K,B,amount,100,,", "5 (consumed)", "is blank"),
            ("K,B,amount,100,5,never", "6 (past)", "unknown variant `never`"),
        ],
    );
}
