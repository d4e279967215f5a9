//! `GET /v1/price-availability/{item}?account=&quantity=...` as the basket of one line that it stands for.
//! Every parameter is a field of the request under its own name, so that the two documents cannot drift apart.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use pannier_protocol::Decimal;
use pannier_protocol::api::{Include, LineRequest, LookupRequest, MaxStaleness, RequestedQuantity};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::refusal::Refusal;
use crate::limits::{PATH_BYTES_MAX, QUERY_PARAMETERS_MAX};

/// Every parameter with what it says; also what the OpenAPI document lists.
pub(crate) const PARAMETERS: [(&str, &str); 15] = [
    ("account", "Without: an anonymous visitor, who sees shared levels only."),
    ("ship_to", "One of the account's ship-to records."),
    ("quantity", "A positive decimal of at most 6 places; without: 1."),
    ("uom", "Unit of the quantity; without: the reference's unit, else the base unit."),
    ("item_type", "Whose number the item is: own, customer, vendor or gtin."),
    ("currency", "ISO 4217; without: the account's, else the tenant's."),
    ("channel", "The sales channel."),
    ("contract", "Price by this contract first."),
    ("warehouse", "Ship from this warehouse only."),
    ("requested_date", "A day, as in 2026-11-23."),
    ("pricing_date", "The instant at which prices must be in force, in RFC 3339; without: now."),
    ("include", "Parts of the answer with commas between; without: price,availability."),
    ("at_least", "The `as_of` of an earlier answer: never answer from before it."),
    ("priority", "checkout or bulk."),
    ("max_staleness_ms", "Largest age in milliseconds, of prices and of availability alike."),
];

/// Whether an act is only tried: `dry_run=true`, and no other parameter.
pub(crate) fn dry_run(query: &str) -> Result<bool, Refusal> {
    match parameters(query, &["dry_run"])?.get("dry_run").map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(refuse("dry_run", format!("{other:?} is neither true nor false"))),
    }
}

/// The request that path and query stand for; the error names the parameter.
pub(crate) fn lookup_of(item: &str, query: &str) -> Result<LookupRequest, Refusal> {
    if item.len() + query.len() > PATH_BYTES_MAX {
        return Err(refuse("query", format!("longer than {PATH_BYTES_MAX} bytes; use POST")));
    }
    let item = decoded("item", item, false)?;
    let mut request = LookupRequest {
        account: None,
        ship_to: None,
        currency: None,
        channel: None,
        pricing_date: None,
        max_staleness_ms: None,
        at_least: None,
        include: None,
        priority: None,
        lines: Vec::new(),
    };
    let mut line = LineRequest {
        line: CompactString::const_new("1"),
        item: CompactString::new(&item),
        item_type: None,
        quantity: RequestedQuantity::Valid(Decimal::ONE),
        uom: None,
        contract: None,
        warehouse: None,
        requested_date: None,
    };
    let mut seen = BTreeSet::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded("query", name, true)?;
        if !seen.insert(name.to_string()) {
            return Err(refuse(&name, "given twice".to_owned()));
        }
        if seen.len() > QUERY_PARAMETERS_MAX {
            return Err(refuse("query", format!("more than {QUERY_PARAMETERS_MAX} parameters")));
        }
        set(&mut request, &mut line, &name, value)?;
    }
    request.lines.push(line);
    Ok(request)
}

fn set(request: &mut LookupRequest, line: &mut LineRequest, name: &str, value: &str) -> Result<(), Refusal> {
    let value = decoded(name, value, true)?;
    // `account=` is how a form says that it has none.
    if value.is_empty() {
        return if PARAMETERS.iter().any(|(known, _)| *known == name) { Ok(()) } else { unknown(name) };
    }
    match name {
        "account" => request.account = Some(parsed(name, &value)?),
        "ship_to" => request.ship_to = Some(parsed(name, &value)?),
        "currency" => request.currency = Some(parsed(name, &value)?),
        "channel" => request.channel = Some(parsed(name, &value)?),
        "pricing_date" => request.pricing_date = Some(parsed(name, &value)?),
        "at_least" => request.at_least = Some(parsed(name, &value)?),
        "priority" => request.priority = Some(parsed(name, &value)?),
        "include" => {
            let parts: Result<BTreeSet<Include>, Refusal> =
                value.split(',').map(|part| parsed(name, part)).collect();
            request.include = Some(parts?);
        }
        "max_staleness_ms" => {
            let millis: u64 = value
                .parse()
                .map_err(|_| refuse(name, format!("{value:?} is no whole number of milliseconds")))?;
            request.max_staleness_ms = Some(MaxStaleness { price: Some(millis), availability: Some(millis) });
        }
        "quantity" => line.quantity = parsed(name, &value)?,
        "uom" => line.uom = Some(CompactString::new(&value)),
        "item_type" => line.item_type = Some(parsed(name, &value)?),
        "contract" => line.contract = Some(CompactString::new(&value)),
        "warehouse" => line.warehouse = Some(CompactString::new(&value)),
        "requested_date" => line.requested_date = Some(parsed(name, &value)?),
        _ => return unknown(name),
    }
    Ok(())
}

fn unknown(name: &str) -> Result<(), Refusal> {
    let known: Vec<&str> = PARAMETERS.iter().map(|(known, _)| *known).collect();
    Err(refuse(name, format!("no parameter of this path; it takes {}", known.join(", "))))
}

pub(super) fn refuse(name: &str, reason: String) -> Refusal {
    Refusal::Parameter { name: name.chars().take(64).collect(), reason }
}

pub(super) fn parsed<'de, T: Deserialize<'de>>(name: &str, value: &'de str) -> Result<T, Refusal> {
    let text: StrDeserializer<'de, ValueError> = value.into_deserializer();
    T::deserialize(text).map_err(|error| refuse(name, error.to_string()))
}

/// The parameters of a path that takes `known` ones, each at most once; what is empty counts as left out.
pub(super) fn parameters(
    query: &str,
    known: &[&'static str],
) -> Result<BTreeMap<&'static str, String>, Refusal> {
    if query.len() > PATH_BYTES_MAX {
        return Err(refuse("query", format!("longer than {PATH_BYTES_MAX} bytes")));
    }
    let mut found = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded("query", name, true)?;
        let Some(known) = known.iter().find(|known| **known == name) else {
            let reason = format!("no parameter of this path; it takes {}", known.join(", "));
            return Err(refuse(&name, reason));
        };
        let value = decoded(known, value, true)?.into_owned();
        if found.insert(*known, value).is_some() {
            return Err(refuse(known, "given twice".to_owned()));
        }
    }
    found.retain(|_, value| !value.is_empty());
    Ok(found)
}

/// Percent-decoded; in a query `+` is a blank.
fn decoded<'a>(name: &str, text: &'a str, plus_is_blank: bool) -> Result<Cow<'a, str>, Refusal> {
    if !text.bytes().any(|b| b == b'%' || b == b'+') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err(refuse(name, "a % is not followed by two hexadecimal digits".to_owned()));
                };
                (high * 16 + low) as u8
            }
            b'+' if plus_is_blank => b' ',
            other => other,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| refuse(name, "not UTF-8 once decoded".to_owned()))?;
    Ok(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(item: &str, query: &str, want: serde_json::Value) {
        let mut got = serde_json::to_value(lookup_of(item, query).unwrap()).unwrap();
        let fields = got.as_object_mut().unwrap();
        fields.retain(|_, value| !value.is_null());
        assert_eq!(got, want, "{item}?{query}");
    }

    #[track_caller]
    fn check_refused(item: &str, query: &str, want: &str) {
        let refusal = lookup_of(item, query).unwrap_err();
        assert_eq!(refusal.code().as_str(), "invalid_request");
        let text = refusal.to_string();
        assert!(text.starts_with(want), "{item}?{query} gives\n  {text}\nnot\n  {want}");
    }

    #[test]
    fn parameters_are_fields() {
        use serde_json::json;
        check("SKU-1", "", json!({"lines": [{"line": "1", "item": "SKU-1", "quantity": "1"}]}));
        check(
            "a%2Fb+c",
            "account=C%201&quantity=2.5&uom=BX&currency=",
            json!({"account": "C 1", "lines": [{"line": "1", "item": "a/b+c", "quantity": "2.5", "uom": "BX"}]}),
        );
        check(
            "1",
            "item_type=gtin&contract=K+7&warehouse=DAL&requested_date=2026-11-23&ship_to=S&currency=USD\
             &channel=web&pricing_date=2026-11-23T09:00:00Z&include=price,explain&at_least=a.L1.S2.P3\
             &priority=bulk&max_staleness_ms=5000",
            json!({
                "ship_to": "S", "currency": "USD", "channel": "web", "pricing_date": "2026-11-23T09:00:00Z",
                "include": ["price", "explain"], "at_least": "a.L1.S2.P3", "priority": "bulk",
                "max_staleness_ms": {"price": 5000, "availability": 5000},
                "lines": [{"line": "1", "item": "1", "item_type": "gtin", "quantity": "1", "contract": "K 7",
                           "warehouse": "DAL", "requested_date": "2026-11-23"}],
            }),
        );
        // A quantity that is none is told on the line, as with POST.
        check("1", "quantity=x", json!({"lines": [{"line": "1", "item": "1", "quantity": "x"}]}));
    }

    #[test]
    fn wrong_parameters_are_named() {
        check_refused("%zz", "", "item: a % is not followed by two hexadecimal digits");
        check_refused("%ff", "", "item: not UTF-8 once decoded");
        check_refused("1", "acount=x", "acount: no parameter of this path; it takes account, ");
        check_refused("1", "acount=", "acount: no parameter of this path");
        check_refused("1", "uom=a&uom=b", "uom: given twice");
        check_refused("1", "account=%00", "account: an id has a control character at byte 0");
        check_refused("1", "currency=usd", "currency: ");
        check_refused("1", "pricing_date=now", "pricing_date: \"now\" is no RFC 3339 instant");
        check_refused("1", "requested_date=1.1.2026", "requested_date: \"1.1.2026\" is no date");
        check_refused("1", "include=price,cost", "include: unknown variant `cost`, expected one of ");
        check_refused("1", "priority=high", "priority: unknown variant `high`, expected ");
        check_refused("1", "item_type=sku", "item_type: unknown variant `sku`, expected one of ");
        check_refused("1", "at_least=7", "at_least: \"7\" is no position");
        check_refused(
            "1",
            "max_staleness_ms=-1",
            "max_staleness_ms: \"-1\" is no whole number of milliseconds",
        );
        check_refused(&"x".repeat(PATH_BYTES_MAX + 1), "", "query: longer than 8192 bytes; use POST");
    }
}
