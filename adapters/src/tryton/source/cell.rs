//! Values of REST as the text that PostgreSQL writes for them.

use serde_json::{Map, Value};

use super::table::{Cells, Id, Read, Table};

/// What REST answers for one row, with when it was written; `None`: it is no row.
pub(super) fn read(table: Table, row: &Map<String, Value>) -> Option<(Read, Option<String>)> {
    let id: Id = row.get("id")?.as_i64()?;
    let of = |column: &str| row.get(column).and_then(cell);
    let cells: Cells = table.columns().iter().map(|column| of(column)).collect();
    let written = of("write_date").or_else(|| of("create_date"));
    Some((Read { table, id, cells: Some(cells) }, written))
}

fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(flag) => Some(if *flag { "t" } else { "f" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) => Some(value.to_string()),
        Value::Object(object) => Some(classed(object).unwrap_or_else(|| value.to_string())),
    }
}

/// `{"__class__":"date","year":2026,"month":12,"day":1}` and its like.
fn classed(object: &Map<String, Value>) -> Option<String> {
    let part = |name: &str| object.get(name).and_then(Value::as_i64).unwrap_or(0);
    let day = || format!("{:04}-{:02}-{:02}", part("year"), part("month"), part("day"));
    match object.get("__class__")?.as_str()? {
        "Decimal" => Some(object.get("decimal")?.as_str()?.to_owned()),
        "date" => Some(day()),
        "datetime" => {
            let (hour, minute, second) = (part("hour"), part("minute"), part("second"));
            Some(format!("{} {hour:02}:{minute:02}:{second:02}.{:06}", day(), part("microsecond")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_rest_are_those_of_sql() {
        for (value, want) in [
            (json!(null), None),
            (json!(true), Some("t")),
            (json!(1), Some("1")),
            (json!(2.5), Some("2.5")),
            (json!("sale.line,7"), Some("sale.line,7")),
            (json!({"__class__": "Decimal", "decimal": "1.2500"}), Some("1.2500")),
            (json!({"__class__": "date", "year": 2026, "month": 2, "day": 1}), Some("2026-02-01")),
            (
                json!({"__class__": "datetime", "year": 2026, "month": 2, "day": 1, "hour": 3, "minute": 4,
                       "second": 5, "microsecond": 60}),
                Some("2026-02-01 03:04:05.000060"),
            ),
            (json!({"date": 1}), Some(r#"{"date":1}"#)),
        ] {
            assert_eq!(cell(&value).as_deref(), want, "{value}");
        }
    }

    #[test]
    fn a_row_is_as_old_as_its_last_write() {
        let time = |second: u8| json!({"__class__": "datetime", "year": 2026, "month": 2, "day": 1, "second": second});
        for (written, want) in
            [(json!(null), "2026-02-01 00:00:01.000000"), (time(2), "2026-02-01 00:00:02.000000")]
        {
            let row = json!({"id": 7, "code": "A", "create_date": time(1), "write_date": written});
            let (read, written) = read(Table::Currency, row.as_object().unwrap()).unwrap();
            assert_eq!((read.id, read.cells), (7, Some(vec![Some("A".to_owned())])));
            assert_eq!(written.as_deref(), Some(want));
        }
    }
}
