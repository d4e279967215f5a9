//! The core against the model after each entry: orders line by line, holds, what keys answer, the outbox, what lookups see
//! as promised.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use pannier_core::ledger::orders::{
    AlarmKind, KeyId, KeyOutcome, LineRecord, Operation, OrderRecord, OrdersReader, OutboxEntry, Promise,
};
use pannier_core::ledger::{LedgerReader, When as Promised};
use pannier_protocol::api::{HoldState as State, OrderLineState, OrderState};
use pannier_protocol::change::PriceScope;
use pannier_protocol::order::{DispatchKind, OrderReason};
use pannier_protocol::{AccountId, IdempotencyKey};

use super::model::{HoldState, Key, Line, Micros, Model, Order, Outcome, Take, Wanted, When, micros};
use super::node::Core;
use super::world::{CAPPED, CONTRACT, ITEMS, WAREHOUSES, contract, item};

/// A line as both sides can tell it.
#[derive(Debug, PartialEq, Eq)]
struct LineSeen {
    state: OrderLineState,
    quantity: Micros,
    /// Shipped, cancelled, returned.
    moved: [Micros; 3],
    parts: Vec<(String, When, Micros)>,
    /// Item, quantity, and what of it figures contain.
    takes: Vec<(String, Micros, Micros)>,
}

#[derive(Debug, PartialEq, Eq)]
struct OrderSeen {
    state: OrderState,
    reasons: BTreeSet<OrderReason>,
    backend: Option<String>,
    generation: u32,
    document: Option<String>,
    cancel_asked: bool,
    moving_to: Option<String>,
    lines: Vec<LineSeen>,
}

fn line_of_core(line: &LineRecord) -> LineSeen {
    let part = |it: &pannier_core::ledger::orders::Allocation| {
        let when = match it.when {
            Promise::Now => When::Now,
            Promise::On(date) => When::On(date),
            Promise::Someday => When::Someday,
        };
        (it.warehouse.to_string(), when, micros(it.units))
    };
    let takes = line.allocations.iter().flat_map(|it| &it.takes);
    let take = |it: &pannier_core::ledger::orders::Take| {
        (it.item.to_string(), micros(it.quantity), micros(it.quantity) - micros(it.open()))
    };
    LineSeen {
        state: line.state,
        quantity: micros(line.quantity),
        moved: [micros(line.shipped), micros(line.cancelled), micros(line.returned)],
        parts: line.allocations.iter().map(part).collect(),
        takes: takes.map(take).collect(),
    }
}

fn line_of_model(line: &Line, takes: &[Take]) -> LineSeen {
    LineSeen {
        state: line.state,
        quantity: line.quantity,
        moved: [line.shipped, line.cancelled, line.returned],
        parts: line.parts.iter().map(|it| (it.warehouse.to_string(), it.when, it.units)).collect(),
        takes: takes.iter().map(|it| (it.item.to_string(), it.quantity, it.contained)).collect(),
    }
}

/// Where an order that was never taken would have gone is nobody's business.
fn backend(state: OrderState, backend: Option<&pannier_protocol::SourceId>) -> Option<String> {
    backend.filter(|_| !matches!(state, OrderState::Rejected | OrderState::Expired)).map(ToString::to_string)
}

fn order_of_core(order: &OrderRecord) -> OrderSeen {
    OrderSeen {
        state: order.state,
        reasons: order.reasons.iter().copied().collect(),
        backend: backend(order.state, order.backend.as_ref()),
        generation: order.generation,
        document: order.document.as_ref().map(ToString::to_string),
        cancel_asked: order.cancel_asked,
        moving_to: order.moving_to.as_ref().map(ToString::to_string),
        lines: order.lines.iter().map(line_of_core).collect(),
    }
}

fn order_of_model(model: &Model, order: &Order) -> OrderSeen {
    OrderSeen {
        state: order.state,
        reasons: order.reasons.clone(),
        backend: backend(order.state, order.backend.as_ref()),
        generation: order.generation,
        document: order.document.clone(),
        cancel_asked: order.cancel_asked,
        moving_to: order.moving_to.as_ref().map(ToString::to_string),
        lines: order.lines.iter().map(|line| line_of_model(line, &model.takes(order, line))).collect(),
    }
}

/// Equal, or both sides in words.
fn same<T: PartialEq + Debug>(what: impl FnOnce() -> String, core: &T, model: &T) -> Result<(), String> {
    if core == model {
        return Ok(());
    }
    let (core, model) = (format!("{core:#?}"), format!("{model:#?}"));
    let differ = core.lines().zip(model.lines()).find(|(a, b)| a != b);
    let (a, b) = differ.unwrap_or(("(less)", "(more)"));
    Err(format!("{}:\n  core:  {}\n  model: {}\ncore {core}\nmodel {model}", what(), a.trim(), b.trim()))
}

/// After one entry. The model learns what the outbox entries are called, for commands name them.
pub(crate) fn against_model(core: &Core, model: &mut Model) -> Result<(), String> {
    let reader = core.ledger.reader();
    same(|| "ledger time".into(), &core.ledger.clock().millis(), &model.clock)?;
    orders(reader.orders(), model)?;
    holds(reader.orders(), model)?;
    keys(reader.orders(), model)?;
    outbox(reader.orders(), model)?;
    promises(core, &reader, model)
}

fn orders(reader: &OrdersReader, model: &Model) -> Result<(), String> {
    let ids: BTreeSet<_> = model.orders.iter().map(|order| order.placed.order).collect();
    for id in &ids {
        let core = reader.order(id).map(|order| order_of_core(&order));
        let known = model.order(id).map(|order| order_of_model(model, order));
        same(|| format!("order {id}"), &core, &known)?;
    }
    let count = reader.after(None, usize::MAX, |_| true).len();
    same(|| "number of orders".into(), &count, &ids.iter().filter(|id| model.order(id).is_some()).count())
}

fn holds(reader: &OrdersReader, model: &Model) -> Result<(), String> {
    for id in model.holds.keys() {
        let core = reader.hold(id).map(|hold| {
            let held = hold.state == State::Held;
            let lines: Vec<LineSeen> = hold.lines.iter().filter(|_| held).map(line_of_core).collect();
            (hold.state, hold.expires_at.millis(), lines)
        });
        let known = model.known_hold(id).map(|hold| {
            let state = match model.hold_state(hold) {
                HoldState::Held => State::Held,
                HoldState::Refused => State::Refused,
                HoldState::Expired => State::Expired,
                HoldState::Released => State::Released,
                HoldState::Ordered => State::Ordered,
            };
            let lines = hold.lines.iter().filter(|_| state == State::Held);
            let lines = lines.map(|line| line_of_model(line, &model.takes_of_hold(hold, line))).collect();
            (state, hold.expires, lines)
        });
        same(|| format!("hold {id}"), &core, &known)?;
    }
    Ok(())
}

fn keys(reader: &OrdersReader, model: &Model) -> Result<(), String> {
    for key in model.keys.keys() {
        let core = reader.key(&key_id(key)).map(|record| {
            let outcome = match record.outcome {
                KeyOutcome::Order(order) => Outcome::Order(order),
                KeyOutcome::Hold(hold) => Outcome::Hold(hold),
                KeyOutcome::Unknown => Outcome::Unknown,
                KeyOutcome::Expired => Outcome::Expired,
            };
            (record.fingerprint, outcome, record.position.0)
        });
        let known = model.remembered(key).map(|it| (it.fingerprint, it.outcome, it.position));
        same(|| format!("key {key:?}"), &core, &known)?;
    }
    Ok(())
}

fn key_id((account, operation, key): &Key) -> KeyId {
    let operation = match *operation {
        "order" => Operation::PlaceOrder,
        "cancel" => Operation::CancelOrder,
        "hold" => Operation::PlaceHold,
        "change" => Operation::ChangeHold,
        _ => Operation::ReleaseHold,
    };
    KeyId {
        account: AccountId::new(account).expect("an account"),
        operation,
        key: IdempotencyKey::new(key).expect("a key"),
    }
}

fn wanted(entry: &OutboxEntry) -> Wanted {
    match entry {
        OutboxEntry::Dispatch(it) => Wanted::Dispatch {
            create: it.kind == DispatchKind::Create,
            order: it.order,
            generation: it.generation,
            backend: it.backend.to_string(),
            lines: it.lines.iter().map(|line| (line.line.to_string(), micros(line.quantity))).collect(),
        },
        OutboxEntry::Alarm(alarm) => {
            let about = match (&alarm.order, alarm.kind) {
                (None, AlarmKind::Overcommit) => alarm.reason.split(':').next().unwrap_or("").to_owned(),
                (order, _) => order.map_or(String::new(), |order| order.to_string()),
            };
            Wanted::Alarm { kind: alarm.kind.as_str(), about }
        }
    }
}

fn outbox(reader: &OrdersReader, model: &mut Model) -> Result<(), String> {
    let entries = reader.outbox();
    let mut core: Vec<Wanted> = entries.iter().map(|(_, entry)| wanted(entry)).collect();
    core.sort();
    model.outbox.sort();
    same(|| "outbox".into(), &core, &model.outbox)?;
    model.named = entries.iter().map(|(id, entry)| (*id, wanted(entry))).collect();
    let mut creates: BTreeMap<_, usize> = BTreeMap::new();
    for (order, _) in entries.iter().filter_map(|(_, entry)| entry.created()) {
        *creates.entry(*order).or_default() += 1;
    }
    match creates.iter().find(|(_, count)| **count > 1) {
        Some((order, count)) => Err(format!("order {order} has {count} open dispatches that create it")),
        None => Ok(()),
    }
}

fn promises(core: &Core, reader: &LedgerReader, model: &Model) -> Result<(), String> {
    let (tables, dictionary) = (reader.load(), core.ledger.dictionary());
    let all = model.all_promised();
    for name in ITEMS {
        for at in WAREHOUSES {
            let item_no = dictionary.items.intern(name);
            let there = tables.promises.of(item_no);
            let there = there.iter().flat_map(|it| it.at(dictionary.warehouses.intern(at)));
            let live = there.filter(|it| it.expires.is_none_or(|expires| expires.millis() > model.clock));
            let mut seen: Vec<(When, Option<i64>, Micros)> = live
                .map(|it| {
                    let when = match it.when {
                        Promised::Now => When::Now,
                        Promised::On(date) => When::On(date),
                        Promised::Someday => When::Someday,
                    };
                    (when, it.expires.map(|it| it.millis()), micros(it.quantity))
                })
                .collect();
            let known = all.iter().filter(|it| it.item.as_str() == name && it.warehouse.as_str() == at);
            let mut known: Vec<_> = known.map(|it| (it.when, it.expires, it.open())).collect();
            seen.sort_unstable();
            known.sort_unstable();
            same(|| format!("what lookups see as promised of {name} at {at}"), &seen, &known)?;
        }
    }
    let scope = dictionary.scope(&PriceScope::Contract(contract(CONTRACT)));
    let seen = micros(tables.promises.cap_in_flight(scope, Some(dictionary.items.intern(CAPPED))));
    let known = model.cap_in_flight(&contract(CONTRACT), &Some(item(CAPPED)));
    same(|| "what lookups see as used of the cap".into(), &seen, &known)
}
