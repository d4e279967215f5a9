use pannier_protocol::change::{PriceRow, Reflected, StockSet};
use pannier_protocol::{Change, ListId, Timestamp, Zone};

use super::catalog::Terms;
use super::model::{Model, Taken};
use super::table::{Read, Table};

/// `sale.sale 7 reference=R state=draft`: what is not named is null.
fn read(text: &str) -> Read {
    let mut words = text.split(' ');
    let model = words.next().unwrap();
    let table = Table::ALL.iter().copied().find(|table| table.model() == model).unwrap();
    let id = words.next().unwrap().parse().unwrap();
    let mut cells = vec![None; table.columns().len()];
    let mut is_gone = false;
    for word in words {
        let Some((column, value)) = word.split_once('=') else {
            is_gone = word == "gone";
            continue;
        };
        let at = table.columns().iter().position(|known| *known == column).unwrap();
        cells[at] = Some(value.replace('_', " "));
    }
    Read { table, id, cells: (!is_gone).then_some(cells) }
}

const ORDER: &str = "2f35yzft4vdbe7f2bc5t399rj5";

/// One item in two warehouses, with a list and a customer. Locations are those of `tests/erp`.
const BASE: &str = "\
currency.currency 1 code=USD
company.company 1 party=1 currency=1
product.uom 1 symbol=u factor=1.0 rate=1.0 rounding=1.0 active=t
product.uom 36 symbol=cs factor=12.0 rate=0.083333333333 rounding=1.0 active=t
stock.location 5 code=MAIN type=warehouse storage_location=3 input_location=1 output_location=2 active=t
stock.location 1 code=IN type=storage parent=5 active=t
stock.location 2 code=OUT type=storage parent=5 active=t
stock.location 3 code=STO type=storage parent=5 active=t
stock.location 8 code=SHELF type=storage parent=3 active=t
stock.location 12 code=EAST type=warehouse storage_location=11 input_location=9 output_location=10 active=t
stock.location 9 type=storage parent=12 active=t
stock.location 10 type=storage parent=12 active=t
stock.location 11 type=storage parent=12 active=t
stock.location 4 type=lost_found active=t
stock.location 6 type=supplier active=t
stock.location 7 type=customer active=t
product.template 1 name=Item default_uom=1 sale_uom=36 salable=t type=goods active=t
product.product 1 template=1 code=A active=t
product.list_price 1 template=1 company=1 list_price=1.2500
party.party 1 code=HARBOUR active=t
party.party 3 code=C-1 active=t
product.price_list 1 name=Wholesale company=1 active=t
party.party.sale_price_list 1 party=3 company=1 sale_price_list=1
stock.move 1 product=1 internal_quantity=500.0 from_location=4 to_location=3 state=done company=1
stock.move 2 product=1 internal_quantity=120.0 from_location=4 to_location=11 state=done company=1";

fn terms() -> Terms {
    Terms { zone: Zone::utc(), base_list: ListId::new("LIST").unwrap(), backorder: false }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn take(model: &mut Model, rows: &str) -> Taken {
    let reads = rows.lines().filter(|line| !line.is_empty()).map(read).collect();
    model.take(reads, at("2026-11-25T12:00:00Z"))
}

fn world() -> Model {
    let mut model = Model::new(1, terms());
    take(&mut model, BASE);
    model
}

/// `MAIN 500-2 [1:2]`: on hand less quarantine, allocated, and what is named.
fn cell(of: &StockSet) -> String {
    let named = match &of.reflects {
        Some(Reflected::Lines(lines)) => {
            let line = |it: &pannier_protocol::change::ReflectedLine| format!("{}:{}", it.line, it.quantity);
            lines.iter().map(line).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    };
    let sellable = of.on_hand.checked_sub(of.quarantine).unwrap();
    format!("{} {sellable}-{} [{named}]", of.warehouse, of.allocated)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not published here needs no name")]
fn shown(changes: &[Change]) -> Vec<String> {
    let price = |row: &PriceRow| {
        row.breaks.iter().map(|it| format!("{}:{}", it.0, it.1)).collect::<Vec<_>>().join(",")
    };
    let day = |edge: &Option<pannier_protocol::DateEdge>| {
        edge.as_ref().map_or("..".to_owned(), |edge| edge.date.to_string())
    };
    let show = |change: &Change| match change {
        Change::StockSet(of) => cell(of),
        Change::SupplySet(of) => {
            format!("supply {} {} {} {}", of.warehouse, of.reference, of.date, of.quantity)
        }
        Change::SupplyRemoved(of) => format!("supply {} {} gone", of.warehouse, of.reference),
        Change::Prices(of) => {
            let rows: Vec<_> = of.rows.iter().map(price).collect();
            format!("{} {} {} {}", of.scope.id(), day(&of.from), day(&of.to), rows.join(" "))
        }
        Change::PricesRemoved(of) => format!("{} {} gone", of.scope.id(), day(&of.from)),
        Change::Item(of) => format!("item {} {:?} {}", of.item, of.status, of.uoms.len()),
        Change::ItemRemoved(of) => format!("item {} gone", of.item),
        Change::StockRemoved(of) => format!("{} {} gone", of.warehouse, of.item),
        Change::Account(of) => {
            let lists: Vec<_> = of.lists.iter().map(ToString::to_string).collect();
            format!("account {} {}", of.account, lists.join(","))
        }
        Change::AccountRemoved(of) => format!("account {} gone", of.account),
        other => format!("{other:?}"),
    };
    changes.iter().map(show).collect()
}

/// Applies step after step, each rows that were seen together and what they come to.
fn steps(model: &mut Model, steps: &[(&str, &[&str])]) {
    for (rows, want) in steps {
        let taken = take(model, rows);
        assert_eq!(taken.findings, vec![], "{rows}");
        assert_eq!(shown(&taken.changes), *want, "{rows}");
    }
}

fn sale(state: &str, shipment: &str) -> String {
    format!(
        "sale.sale 7 reference={ORDER} state={state} shipment_state={shipment} warehouse=5 company=1 \
             write_date=2026-11-25T11:00:00"
    )
}

const LINE: &str = "sale.line 9 sale=7 product=1 quantity=1.0 unit=36 note=1";

fn inner(id: u32, quantity: u32, state: &str) -> String {
    format!(
        "stock.move {id} product=1 internal_quantity={quantity} from_location=3 to_location=2 state={state} \
             origin=stock.move,91 company=1"
    )
}

fn outer(id: u32, quantity: u32, state: &str) -> String {
    format!(
        "stock.move {id} product=1 internal_quantity={quantity} from_location=2 to_location=7 state={state} \
             origin=sale.line,9 company=1"
    )
}

fn rows(rows: &[String]) -> String {
    rows.join("\n")
}

#[test]
fn all_of_it_is_said_first() {
    let mut model = Model::new(1, terms());
    let mut first = shown(&take(&mut model, BASE).changes);
    first.sort();
    let want = [
        "EAST 120-0 []",
        "LIST .. .. 0:1.25",
        "MAIN 500-0 []",
        "account C-1 Wholesale,LIST",
        "item A Active 2",
    ];
    assert_eq!(first, want);
    let whole: Vec<_> = model.whole().into_iter().flat_map(|snapshot| shown(&snapshot.rows)).collect();
    let mut sorted = whole.clone();
    sorted.sort();
    assert_eq!(sorted, want);
    assert_eq!(shown(&take(&mut model, BASE).changes), Vec::<String>::new(), "nothing new");
}

/// An order of one case of twelve, from its draft to its shipment in two parts.
#[test]
fn an_order_is_contained_from_its_confirmation_on() {
    let mut model = world();
    let draft = rows(&[sale("draft", "none"), LINE.to_owned()]);
    let confirmed = sale("confirmed", "none");
    let waiting = rows(&[inner(92, 12, "draft"), outer(91, 12, "draft"), sale("processing", "waiting")]);
    // A part of four is picked: what is left of the order has no move until the part is gone.
    let part = rows(&[inner(92, 4, "assigned")]);
    let picked = rows(&[inner(92, 4, "done"), outer(91, 4, "draft")]);
    let shipped = rows(&[outer(91, 4, "done")]);
    let again =
        rows(&[sale("processing", "partially_shipped"), inner(94, 8, "draft"), outer(93, 8, "draft")]);
    let rest = rows(&[inner(94, 8, "done"), outer(93, 8, "done"), sale("processing", "sent")]);
    steps(
        &mut model,
        &[
            (&draft, &[]),
            (&sale("quotation", "none"), &[]),
            (&confirmed, &["MAIN 500-12 [1:12]"]),
            (&waiting, &[]),
            (&part, &[]),
            (&picked, &[]),
            (&shipped, &["MAIN 496-8 [1:12]"]),
            (&again, &[]),
            (&rest, &["MAIN 488-0 [1:12]"]),
            (&sale("done", "sent"), &[]),
        ],
    );
}

#[test]
fn rows_that_come_together_are_said_once() {
    let mut model = world();
    let all = rows(&[
        sale("draft", "none"),
        LINE.to_owned(),
        sale("quotation", "none"),
        sale("confirmed", "none"),
        inner(92, 12, "draft"),
        outer(91, 12, "draft"),
        sale("processing", "waiting"),
    ]);
    steps(&mut model, &[(&all, &["MAIN 500-12 [1:12]"])]);
}

#[test]
fn what_is_cancelled_is_free_again_and_stays_named() {
    let mut model = world();
    let placed = rows(&[sale("processing", "waiting"), LINE.to_owned(), outer(91, 12, "draft")]);
    let cancelled = rows(&[sale("processing", "exception"), outer(91, 12, "cancelled")]);
    let again = rows(&[sale("processing", "waiting"), outer(95, 12, "draft")]);
    steps(
        &mut model,
        &[
            (&placed, &["MAIN 500-12 [1:12]"]),
            (&cancelled, &["MAIN 500-0 [1:12]"]),
            (&again, &["MAIN 500-12 [1:12]"]),
        ],
    );
}

/// Assigned is what Tryton calls reserved; a draft that nobody ordered takes nothing.
#[test]
fn reserved_is_not_assigned() {
    let mut model = world();
    let moved = |state: &str| {
        format!(
            "stock.move 50 product=1 internal_quantity=30 from_location=3 to_location=11 state={state} \
                 planned_date=2026-12-01 company=1"
        )
    };
    let foreign =
        "stock.move 51 product=1 internal_quantity=99 from_location=3 to_location=7 state=done company=2";
    steps(
        &mut model,
        &[
            (&moved("draft"), &["supply EAST move/50 2026-12-01 30"]),
            (&moved("assigned"), &["MAIN 500-30 []"]),
            (&moved("done"), &["supply EAST move/50 gone", "EAST 150-0 []", "MAIN 470-0 []"]),
            (foreign, &[]),
        ],
    );
}

#[test]
fn a_receipt_is_one_change_and_waits_to_be_put_away() {
    let mut model = world();
    let due = |state: &str| {
        format!(
            "purchase.purchase 1 number=77\npurchase.line 1 purchase=1\nstock.move 81 product=1 \
                 internal_quantity=200 from_location=6 to_location=1 state={state} planned_date=2026-12-02 \
                 origin=purchase.line,1 company=1"
        )
    };
    let away = |state: &str| {
        format!(
            "stock.move 82 product=1 internal_quantity=200 from_location=1 to_location=8 state={state} \
                 planned_date=2026-12-02 company=1"
        )
    };
    let undated =
        "stock.move 83 product=1 internal_quantity=5 from_location=6 to_location=1 state=draft company=1";
    let received = rows(&[due("done"), away("draft")]);
    steps(
        &mut model,
        &[
            (&due("draft"), &["supply MAIN 77/81 2026-12-02 200"]),
            (&received, &["supply MAIN 77/81 gone", "MAIN 500-0 []", "supply MAIN move/82 2026-12-02 200"]),
            (&away("done"), &["supply MAIN move/82 gone", "MAIN 700-0 []"]),
            (undated, &[]),
        ],
    );
}

#[test]
fn a_name_that_vanished_is_taken_back_once_and_an_old_one_is_left_out() {
    let mut model = world();
    let placed = rows(&[sale("processing", "waiting"), LINE.to_owned(), outer(91, 12, "draft")]);
    let restored = "sale.sale 7 gone\nsale.line 9 gone\nstock.move 91 gone";
    let touched =
        "stock.move 3 product=1 internal_quantity=1 from_location=4 to_location=3 state=done company=1";
    steps(
        &mut model,
        &[
            (&placed, &["MAIN 500-12 [1:12]"]),
            (restored, &["MAIN 500-0 [1:0]"]),
            (touched, &["MAIN 501-0 []"]),
        ],
    );
    let mut model = world();
    let sent = rows(&[sale("processing", "sent"), LINE.to_owned(), outer(91, 12, "done")]);
    steps(&mut model, &[(&sent, &["MAIN 488-0 [1:12]"])]);
    let later = model.take(vec![read(touched)], at("2026-11-29T12:00:00Z"));
    assert_eq!(shown(&later.changes), ["MAIN 489-0 []"]);
}

fn cache(id: u32, day: u32, prices: &[(u32, &str)]) -> Read {
    let step = |(bound, price): &(u32, &str)| {
        format!(r#"[{bound}.0,{{"__class__":"Decimal","decimal":"{price}"}}]"#)
    };
    let steps: Vec<_> = prices.iter().map(step).collect();
    let pattern = format!(r#"{{"date":{{"__class__":"date","year":2026,"month":11,"day":{day}}}}}"#);
    let texts = ["1".to_owned(), "1".to_owned(), "1".to_owned(), format!("[{}]", steps.join(",")), pattern];
    Read { table: Table::Cache, id: id.into(), cells: Some(texts.map(Some).to_vec()) }
}

fn gone(id: u32) -> Read {
    Read { table: Table::Cache, id: id.into(), cells: None }
}

/// The job deletes all prices and makes them again, with one day more.
#[test]
fn prices_that_are_made_again_are_said_when_they_differ() {
    let mut model = world();
    let (old, new) = ([(0, "1.2500"), (24, "1.1250")], [(0, "1.1111")]);
    for (rows, want) in [
        (vec![cache(1, 25, &old), cache(2, 26, &old)], vec!["Wholesale .. .. 0:1.25,24:1.125"]),
        (vec![gone(1), gone(2), cache(3, 25, &old), cache(4, 26, &old)], vec![]),
        (
            vec![gone(3), gone(4), cache(5, 25, &old), cache(6, 26, &new)],
            vec!["Wholesale .. 2026-11-25 0:1.25,24:1.125", "Wholesale 2026-11-26 .. 0:1.1111"],
        ),
        (
            vec![gone(5), gone(6), cache(7, 26, &new), cache(8, 27, &new)],
            vec!["Wholesale 2026-11-26 gone", "Wholesale .. .. 0:1.1111"],
        ),
        // A page read before the job and one read after it: the later row stands.
        (vec![cache(9, 26, &old), cache(10, 27, &old)], vec!["Wholesale .. .. 0:1.25,24:1.125"]),
        (vec![gone(7), gone(8), gone(9), gone(10)], vec!["Wholesale .. gone"]),
    ] {
        let taken = model.take(rows, at("2026-11-25T12:00:00Z"));
        assert_eq!(shown(&taken.changes), want);
    }
}

#[test]
fn items_and_accounts_follow_their_records() {
    let mut model = world();
    steps(
        &mut model,
        &[
            (
                "product.template 1 name=Item default_uom=1 salable=t type=goods active=t",
                &["item A Active 1"],
            ),
            ("product.product 1 template=1 code=A active=f", &["item A Discontinued 1"]),
            (
                "product.product 1 template=1 code=B active=t",
                &[
                    "item A gone",
                    "EAST A gone",
                    "MAIN A gone",
                    "LIST .. gone",
                    "LIST .. .. 0:1.25",
                    "item B Active 1",
                    "EAST 120-0 []",
                    "MAIN 500-0 []",
                ],
            ),
            ("product.list_price 1 template=1 company=1 list_price=2", &["LIST .. .. 0:2"]),
            ("product.list_price 1 gone", &["LIST .. gone"]),
            ("party.party.sale_price_list 1 party=3 company=1", &["account C-1 LIST"]),
            ("product.price_list 1 name=Retail company=1 active=t", &[]),
            ("party.party 3 code=C-2 active=t", &["account C-1 gone", "account C-2 LIST"]),
            ("party.party 3 code=C-2 active=f", &["account C-2 gone"]),
        ],
    );
}

#[test]
fn a_code_belongs_to_one_product_and_passes_on() {
    let mut model = world();
    let second = "product.product 2 template=1 code=A active=t";
    let taken = take(&mut model, second);
    assert_eq!((shown(&taken.changes), taken.findings.len()), (vec![], 1), "{:?}", taken.findings);
    assert_eq!(taken.findings[0].reason, "product 2 has the code A of product 1");
    // Off the first and, in the same change, on to the second, which was never in stock.
    let want =
        ["item A gone", "EAST A gone", "MAIN A gone", "LIST .. gone", "LIST .. .. 0:1.25", "item A Active 2"];
    assert_eq!(shown(&take(&mut model, "product.product 1 gone").changes), want);
}

#[test]
fn a_row_that_cannot_be_read_is_told() {
    let mut model = world();
    let taken = take(&mut model, "stock.move 9 product=x from_location=3 to_location=7 state=done company=1");
    assert_eq!(taken.findings[0].origin, "stock_move-9");
    assert!(taken.findings[0].reason.contains("column product"), "{}", taken.findings[0].reason);
}
