//! Orders into a real Tryton, and back.

mod answers;
mod outage;
mod pipeline;
mod processes;
mod proxy;
mod words;

use std::path::Path;
use std::time::Duration;

use pannier_adapters::runner::sink::SinkLimits;
use pannier_adapters::tryton::{Orders, Rest, TrytonConfig};
use pannier_protocol::order::{Dispatch, DispatchKind};
use pannier_tests::Tryton;
use serde_json::{Value, from_value, json};

use crate::sink::dispatch;

/// Where no answer is lost none is given up, however busy the machine is.
const PATIENT: Duration = Duration::from_secs(30);

/// Where answers are lost: longer than most requests take on a busy machine. One that takes longer is given up too, and leaves
/// one more document without effect.
const HASTY: Duration = Duration::from_millis(2_500);

/// One order after the other, so that a fault meets the order that it is meant for.
const ONE_BY_ONE: SinkLimits = SinkLimits {
    orders: 1,
    requests_per_second: 1_000,
    requests_burst: 100,
    call_max: Duration::from_secs(15),
    retry_delay_max: Duration::from_millis(300),
    ack_wait: Duration::from_secs(5),
};

/// The configuration of an adapter that reaches Tryton at `address`.
fn document(tryton: &Tryton, address: &str, request_max: Duration, nats: &str, state: &Path) -> String {
    format!(
        "backend = \"erp\"\nstate = \"{}\"\nnats = \"{nats}\"\nurl = \"http://{address}/erp\"\nkey = {}\ncompany = 1\n\
         request_ms_max = {}\n[orders]\nagain_ms = 2000\nsteps_per_second = 1000\nsteps_burst = 100\npoll_ms = 200\n",
        state.display(),
        tryton.state["key"],
        request_max.as_millis(),
    )
}

/// Tryton as a backend, at `address`.
fn backend(tryton: &Tryton, address: &str, request_max: Duration) -> Orders {
    let text = document(tryton, address, request_max, "nats://127.0.0.1:1", tryton.folder.path());
    let config = TrytonConfig::parse(&text).unwrap();
    let rest: Rest = config.rest().unwrap();
    Orders::new(&config, rest)
}

/// Four of `ITEM-001` for `CUST-001` from MAIN.
fn create(key: &str) -> Dispatch {
    let line = json!({"line": "1", "item": "ITEM-001", "quantity": "4", "uom": "u", "price": price("1.25", "5.00", "u"),
        "promised": [{"quantity": "4", "date": "2026-12-01", "warehouse": "MAIN"}]});
    with_lines(key, json!([line]))
}

fn price(unit_price: &str, extended: &str, uom: &str) -> Value {
    json!({"unit_price": unit_price, "per": "1", "uom": uom, "extended": extended, "level": "list"})
}

fn with_lines(key: &str, lines: Value) -> Dispatch {
    let order = dispatch(key, DispatchKind::Create, 1);
    let (account, currency) = (from_value(json!("CUST-001")).unwrap(), from_value(json!("USD")).unwrap());
    Dispatch { account, currency, lines: from_value(lines).unwrap(), ..order }
}
