//! Every key of the configuration with the error that an operator gets.

use super::{FileTable, FilesConfig};

const DOCUMENTED: &str = include_str!("../../../deploy/files.toml");

#[test]
fn the_documented_configuration_is_valid() {
    let config = FilesConfig::parse(DOCUMENTED).unwrap();
    assert_eq!(config.files.len(), 4);
}

#[test]
fn every_field_is_documented() {
    let rows: String = DOCUMENTED.lines().filter(|line| line.starts_with("#   ")).collect();
    for table in FileTable::ALL {
        assert!(rows.contains(&format!("#   {}", table.as_str())), "{}", table.as_str());
        for spec in table.fields() {
            assert!(rows.contains(spec.name), "{}.{}", table.as_str(), spec.name);
        }
    }
}

const HEAD: &str = "source = \"erp-1\"\nfolder = \"in\"\nstate = \"s\"\n";
const STOCK: &str = "[[file]]\nname = \"stock\"\npattern = \"S.csv\"\ntable = \"stock\"\nmode = \"full\"\n";
const COLUMNS: &str = "columns = { item = 1, warehouse = 2, on_hand = 3 }\n";

#[track_caller]
fn check(text: &str, want: &str) {
    match FilesConfig::parse(text) {
        Ok(_) => panic!("accepted, expected {want:?}:\n{text}"),
        Err(error) => {
            let got = error.to_string();
            assert!(got.contains(want), "got {got}\nexpected {want:?}");
        }
    }
}

#[test]
fn keys_of_the_document() {
    let file = format!("{STOCK}{COLUMNS}");
    assert!(FilesConfig::parse(&format!("{HEAD}{file}")).is_ok());
    for (head, want) in [
        (HEAD.replace("erp-1", "ERP"), "source \"ERP\" is not 1 to 32"),
        (HEAD.replace("folder", "foldr"), "unknown field `foldr`"),
        (HEAD.replace("state = \"s\"\n", ""), "missing field `state`"),
        (format!("{HEAD}poll_ms = 1\n"), "poll_ms: at least 50 ms"),
        (format!("{HEAD}tick_ms = 1\n"), "tick_ms: at least 50 ms"),
        (format!("{HEAD}file_bytes_max = 0\n"), "file_bytes_max: 1 to 4294967296 bytes"),
        (format!("{HEAD}file_bytes_max = 4294967297\n"), "file_bytes_max: 1 to 4294967296 bytes"),
        (format!("{HEAD}nats = 4222\n"), "invalid type: integer `4222`, expected a string"),
        (HEAD.replace("folder = \"in\"\n", ""), "missing field `folder`"),
        (HEAD.replace("source = \"erp-1\"\n", ""), "missing field `source`"),
        (format!("{HEAD}zone = \"Texas\"\n"), "no IANA time zone"),
        (format!("{HEAD}prefix = \"A\"\n"), "prefix \"A\" is not"),
    ] {
        check(&format!("{head}{file}"), want);
    }
    check(&format!("{HEAD}file = []"), "file: at least one [[file]] is needed");
}

#[test]
fn keys_of_a_file() {
    for (keys, want) in [
        ("mode = \"fulll\"", "unknown variant `fulll`"),
        ("tabel = \"stock\"", "unknown field `tabel`"),
        ("covers = \"scopes\"", "covers: warehouses: stock tables only"),
        ("rejects_max_percent = 101", "rejects_max_percent: 0 to 100"),
        ("complete = { by = \"trailer\" }", "complete: by = \"trailer\" needs trailer.count"),
        ("complete = { by = \"trigger\", file = \"x\" }", "complete.file: a file name with {name} or {stem}"),
        ("complete = { by = \"unchanged\" }", "missing field `for_ms`"),
        ("complete = { by = \"unchanged\", for_ms = 0 }", "complete.for_ms: at least 50 ms"),
        ("complete = { by = \"trigger\", file = \"../{name}\" }", "complete.file: a file name with"),
        ("cut = { from = \"trailer\", pattern = \"%Y%m%d\" }", "cut: from = \"trailer\" needs trailer.cut"),
        ("cut = { from = \"clock\" }", "unknown variant `clock`"),
        (
            "leader = { starts_with = \"H\", cut = 2 }\ncut = { from = \"leader\", pattern = \"%H\" }",
            "cut.pattern: a pattern with a date",
        ),
        ("trailer = { cut = 2 }", "missing field `starts_with`"),
        ("trailer = { starts_with = \"T\", count = 0 }", "columns are numbered from 1"),
        ("trailer = { starts_with = \"T\", sum = 2 }", "unknown field `sum`"),
        ("format = { delimiter = \"\\n\" }", "format.delimiter: one ASCII character"),
        ("format = { delimiter = \"'\", quote = \"'\" }", "format.quote: the delimiter cannot be the quote"),
        ("format = { encoding = \"iso-2022-kr\" }", "format.encoding: no encoding by that name"),
        ("format = { kind = \"xml\" }", "unknown variant `xml`"),
        ("format = { header = \"yes\" }", "expected a boolean"),
        ("format = { skip_lines = -1 }", "expected u32"),
        ("ids = { trim = \"all\" }", "unknown variant `all`"),
        ("ids = { case = \"title\" }", "unknown variant `title`"),
        ("numbers = { decimal_mark = \"\" }", "expected a character"),
        ("numbers = { decimal_mark = \"0\" }", "no letters, digits or signs"),
        ("numbers = { thousands_mark = \"-\" }", "no letters, digits or signs"),
        ("numbers = { sign = \"none\" }", "unknown variant `none`"),
        ("dates = { end = \"open\" }", "unknown variant `open`"),
        ("dates = { none = \"x\" }", "expected a sequence"),
        ("words = { yes = [\"Y\"], no = [\"y\"] }", "words: a word stands in both yes and no"),
        ("zero_is_no_price = true", "zero_is_no_price: only prices have it"),
        ("complete = { by = \"magic\" }", "unknown variant `magic`"),
        ("cut = { from = \"name\", pattern = \"%Y%m%d\" }", "cut: from = \"name\" needs {cut}"),
        ("cut = { from = \"leader\", pattern = \"%Y%m%d\" }", "cut: from = \"leader\" needs leader.cut"),
        ("format = { delimiter = \"||\" }", "delimiter"),
        ("format = { delimiter = \"é\" }", "format.delimiter: one ASCII character"),
        ("format = { quote = \"''\" }", "format.quote: one ASCII character"),
        ("format = { encoding = \"ebcdic\" }", "format.encoding: no encoding by that name"),
        ("format = { kind = \"fixed\", header = true }", "columns.item: fixed-width columns need at"),
        ("leader = { starts_with = \"\" }", "leader.starts_with: what such a record starts with"),
        ("leader = { starts_with = \"H\", cut = \"CUT\" }", "leader.cut: a leader or trailer has no header"),
        ("numbers = { decimal_mark = \",\", thousands_mark = \",\" }", "are the same"),
        ("numbers = { implied_decimals = 7 }", "implied_decimals: at most 6"),
        ("dates = { pattern = \"%Y\" }", "pattern: year, month and day"),
        ("breaks = [{ min_quantity = 1, value = 2 }]", "breaks: only prices have breaks"),
    ] {
        let file = STOCK.lines().filter(|line| !keys.starts_with("mode") || !line.starts_with("mode"));
        let file: String = file.map(|line| format!("{line}\n")).collect();
        check(&format!("{HEAD}{file}{keys}\n{COLUMNS}"), want);
    }
    check(&format!("{HEAD}{}{COLUMNS}", STOCK.replace("stock\"\np", "Stock\"\np")), "name: 1 to 32 of a-z");
    check(&format!("{HEAD}{}{COLUMNS}", STOCK.replace("S.csv", "a/S.csv")), "pattern: a file name with");
    check(&format!("{HEAD}{STOCK}{COLUMNS}{STOCK}{COLUMNS}"), "name: two files have this name");
    let other = STOCK.replace("\"stock\"\np", "\"stock2\"\np");
    check(&format!("{HEAD}{STOCK}{COLUMNS}{other}{COLUMNS}"), "each would remove the other's rows");
}

#[test]
fn keys_of_columns() {
    let base = "item = 1, warehouse = 2";
    for (columns, want) in [
        (format!("{base}, onhand = 3"), "columns.onhand: stock has no such field; it has item, warehouse"),
        (base.to_owned(), "columns.on_hand: is missing"),
        (format!("{base}, on_hand = 0"), "columns are numbered from 1"),
        (
            format!("{base}, on_hand = true"),
            "a header name, a column number from 1, or a table of column keys",
        ),
        (format!("{base}, on_hand = \"QTY\""), "columns.on_hand: a name needs format.header = true"),
        (format!("{base}, on_hand = {{ numbr = 3 }}"), "unknown field `numbr`"),
        (format!("{base}, on_hand = {{}}"), "columns.on_hand: give a header name or a column number"),
        (format!("{base}, on_hand = {{ at = 1, width = 2 }}"), "columns.on_hand: give a header name"),
        (format!("{base}, on_hand = {{ number = 0 }}"), "columns.on_hand: columns are numbered from 1"),
        (
            format!("{base}, on_hand = {{ number = 1, value = \"1\" }}"),
            "either value or the place of a column",
        ),
        (
            format!("{base}, on_hand = {{ number = 3, separator = \"/\" }}"),
            "columns.on_hand: separator: only lists have one: groups,",
        ),
        (
            format!("{base}, on_hand = {{ number = 3, pad = {{ to = 65, with = \"0\" }} }}"),
            "columns.on_hand: pad.to: 1 to 64",
        ),
        (format!("{base}, on_hand = {{ number = 3, pad = {{ to = 5 }} }}"), "missing field `with`"),
        (format!("{base}, on_hand = {{ number = 3, strip = \"00\" }}"), "expected a character"),
        (format!("{base}, on_hand = {{ number = 3, trim = \"all\" }}"), "unknown variant `all`"),
        (format!("{base}, on_hand = {{ number = 3, case = \"title\" }}"), "unknown variant `title`"),
        (format!("{base}, on_hand = {{ number = 3, map = \"A\" }}"), "expected a map"),
        (format!("{base}, on_hand = {{ number = 3, prefix = 1 }}"), "expected a string"),
        (format!("{base}, on_hand = {{ number = 3, default = 0 }}"), "expected a string"),
        (format!("{base}, on_hand = {{ number = 3, sign = \"none\" }}"), "unknown variant `none`"),
        (format!("{base}, on_hand = {{ number = 3, implied_decimals = 7 }}"), "implied_decimals: at most 6"),
        (format!("{base}, on_hand = {{ number = 3, decimal_mark = \"1\" }}"), "no letters, digits or signs"),
        (format!("{base}, on_hand = {{ number = 3, thousands_mark = \".\" }}"), "are the same"),
        (format!("{base}, on_hand = {{ number = 3, pattern = \"%H\" }}"), "pattern: year, month and day"),
        (format!("{base}, on_hand = {{ number = 3, end = \"open\" }}"), "unknown variant `open`"),
        (format!("{base}, on_hand = 3, removed = 4"), "columns.removed: only delta files"),
    ] {
        check(&format!("{HEAD}{STOCK}columns = {{ {columns} }}\n"), want);
    }
    let prices = STOCK.replace("table = \"stock\"", "table = \"prices\"");
    for (columns, want) in [
        ("currency = 1, item = 2, value = 3", "columns: map at least one of contract"),
        ("list = 1, currency = 2, value = 3", "columns: map item, class or both"),
        ("list = 1, currency = 2, item = 3", "columns.value: map either value"),
    ] {
        check(&format!("{HEAD}{prices}columns = {{ {columns} }}\n"), want);
    }
}
