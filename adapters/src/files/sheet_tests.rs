//! Whole files that are refused, and when they were cut.

use pannier_protocol::Timestamp;

use super::FilesConfig;
use super::mapping::Mapping;
use super::sheet::Sheet;

fn mapping(keys: &str) -> Mapping {
    let text = format!(
        "source = \"erp-1\"\nfolder = \"in\"\nstate = \"s\"\nzone = \"America/Chicago\"\n[[file]]\nname = \"x\"\n\
         pattern = \"S_{{cut}}.csv\"\ntable = \"stock\"\nmode = \"full\"\n{keys}"
    );
    FilesConfig::parse(&text).unwrap().mappings().unwrap().remove(0)
}

const COLUMNS: &str = "columns = { item = 1, warehouse = 2, on_hand = 3 }\n";

/// Cut time and count of rows, or the reason why the file is refused.
#[track_caller]
fn check(keys: &str, text: &str, want: Result<(&str, usize), &str>) {
    let mapping = mapping(keys);
    let got = Sheet::read(text.as_bytes(), &mapping).and_then(|sheet| {
        sheet.check_count(&mapping)?;
        let cut = sheet.cut(&mapping, Some("20261123T0600"), Timestamp::from_millis(0))?;
        Ok((cut.to_string(), sheet.rows.len()))
    });
    match (got, want) {
        (Ok((cut, rows)), Ok(want)) => assert_eq!((cut.as_str(), rows), want, "{text:?}"),
        (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{text:?}: {got}"),
        (got, want) => panic!("{text:?}: {got:?}, expected {want:?}"),
    }
}

#[test]
fn the_cut_stands_where_the_mapping_says() {
    check(COLUMNS, "A,DAL,1\n", Ok(("1970-01-01T00:00:00Z", 1)));
    let name = format!("{COLUMNS}cut = {{ from = \"name\", pattern = \"%Y%m%dT%H%M\" }}\n");
    check(&name, "A,DAL,1\n", Ok(("2026-11-23T12:00:00Z", 1)));
    let other = format!("{COLUMNS}cut = {{ from = \"name\", pattern = \"%Y%m%d\" }}\n");
    check(&other, "A,DAL,1\n", Err("the file name's cut time: \"20261123T0600\" is no instant"));
    let leader = format!(
        "{COLUMNS}leader = {{ starts_with = \"H\", cut = 2 }}\ncut = {{ from = \"leader\", pattern = \"%Y%m%d\" }}\n"
    );
    check(&leader, "H,20261123\nA,DAL,1\nB,DAL,1\n", Ok(("2026-11-23T06:00:00Z", 2)));
    check(&leader, "H,yesterday\nA,DAL,1\n", Err("leader: \"yesterday\" is no instant"));
    check(&leader, "A,DAL,1\n", Err("there is no leader (a record that starts with \"H\")"));
}

#[test]
fn the_trailer_counts_the_rows() {
    let keys = format!(
        "{COLUMNS}trailer = {{ starts_with = \"TRL\", count = 2 }}\ncomplete = {{ by = \"trailer\" }}\n"
    );
    check(&keys, "A,DAL,1\nB,DAL,1\nTRL,2\n", Ok(("1970-01-01T00:00:00Z", 2)));
    check(&keys, "TRL,0\n", Ok(("1970-01-01T00:00:00Z", 0)));
    check(
        &keys,
        "A,DAL,1\n",
        Err("there is no trailer (a record that starts with \"TRL\"); is the file whole?"),
    );
    check(&keys, "A,DAL,1\nTRL,2\n", Err("the trailer counts 2 rows and the file has 1; is it whole?"));
    check(&keys, "A,DAL,1\nTRL,two\n", Err("trailer: \"two\" is no number"));
    check(&keys, "A,DAL,1\nTRL\n", Err("trailer: the row has 1 columns, this is column 2"));
}

#[test]
fn the_header_has_every_column_once() {
    let keys =
        "format = { header = true }\ncolumns = { item = \"ITEM\", warehouse = \"WH\", on_hand = \"QTY\" }\n";
    check(keys, "QTY, ITEM ,WH\n1,A,DAL\n", Ok(("1970-01-01T00:00:00Z", 1)));
    check(keys, "ITEM,WH\nA,DAL\n", Err("the header has no column \"QTY\"; it has ITEM, WH"));
    check(keys, "ITEM,WH,QTY,QTY\nA,DAL,1,2\n", Err("the header names \"QTY\" twice; map it by number"));
    check(keys, "", Err("the header has no column"));
}

#[test]
fn a_quote_that_is_never_closed_hides_no_rows() {
    let open = |line| format!("the quote that opens in line {line} or below is never closed");
    let two = Ok(("1970-01-01T00:00:00Z", 2));
    check(COLUMNS, "A,DAL,1\nB,DAL,2,\"5/8 bolt\nC,DAL,3\n", Err(&open(2)));
    check(COLUMNS, "\"A,DAL,1\n", Err(&open(1)));
    check(COLUMNS, "A,DAL,1,\"a \"\"quote\"\"\"\nB,DAL,2,\"two\nlines\"", two);
    check(COLUMNS, "A,DAL,1,5/8\" bolt\nB,DAL,2,\"\"\n", two);
    let text = format!("format = {{ quote = \"\" }}\n{COLUMNS}");
    check(&text, "A,DAL,1,\"5/8\nB,DAL,2,\"\n", two);
}
