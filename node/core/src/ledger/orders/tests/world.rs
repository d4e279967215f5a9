//! A ledger with two warehouses, a source of stock, an intake node and a backend.

use std::collections::BTreeMap;
use std::sync::Arc;

use pannier_protocol::api::{HoldState, OrderState};
use pannier_protocol::change::Change;
use pannier_protocol::codec::{self, encode_envelope};
use pannier_protocol::order::{Command, KeyedBy, OrderEvent, PlaceHold, PlaceOrder};
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    AccountId, Decimal, Encoding, Envelope, Epoch, Fingerprint, HoldId, IdempotencyKey, Incarnation, OrderId,
    SourceId, SourceSequence, StreamSequence, Timestamp,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::{OrderRecord, OutboxEntry};
use crate::entry::{Effect, Entry};
use crate::freshness::Board;
use crate::ledger::Ledger;

pub(super) const ORDERS: &str = "ledger.order.n1";
pub(super) const EVENTS: &str = "ledger.event.erp";
pub(super) const STOCK: &str = "ledger.stock.wms";
pub(super) const CONTROL: &str = "ledger.control";

pub(super) struct World {
    pub(super) ledger: Ledger,
    pub(super) board: Arc<Board>,
    position: u64,
    /// Claim and last sequence by subject.
    chains: BTreeMap<String, (u64, u64)>,
    /// Milliseconds.
    pub(super) now: i64,
    /// Of the last message.
    payload: Vec<u8>,
}

pub(super) fn account() -> AccountId {
    AccountId::new("C-1").unwrap()
}

pub(super) fn key(key: &str) -> IdempotencyKey {
    IdempotencyKey::new(key).unwrap()
}

pub(super) fn order_id(text: &str) -> OrderId {
    OrderId::derive(&account(), &key(text))
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    let text = value.to_string();
    codec::decode(Encoding::Json, text.as_bytes(), text.len())
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Rules of order routing by whom.
pub(super) fn route(by: &str, rules: Value) -> Value {
    json!({"rules": rules, "by": by, "reason": "known"})
}

/// `A 5 reject`: item, quantity, what if short. Sold by the piece from DAL, then CHI.
fn stock_line(at: usize, line: &str) -> Value {
    let words: Vec<&str> = line.split(' ').collect();
    let cell = json!({"stock": "wms", "supply": "wms", "safety": "wms"});
    json!({
        "line": (at + 1).to_string(), "item": words[0], "quantity": words[1], "uom": "EA", "step": "1",
        "if_short": words.get(2).unwrap_or(&"reject"), "warehouses": ["DAL", "CHI"],
        "needs": [{
            "item": words[0], "base_uom": "EA", "numerator": 1, "denominator": 1, "lot_tracked": false,
            "backorder": true, "cells": [cell, cell],
        }],
    })
}

fn terms() -> Value {
    json!({"zone": "UTC", "horizon_days": 30, "past_due": "ignore", "mode": "split"})
}

impl World {
    /// Under rule version 2, with everything routed to `erp`.
    pub(super) fn new() -> Self {
        let mut world = Self::with_rules_1();
        let activate = json!({"rule_version_activated": {"version": 2}});
        let routing = json!({"decision": {"routing": route("jane", json!([{"backend": "erp"}]))}});
        world.send(CONTROL, &[decode(&activate), decode(&routing)]);
        world
    }

    pub(super) fn with_rules_1() -> Self {
        let board: Arc<Board> = Arc::default();
        let incarnation = Incarnation::new("7f3a").unwrap();
        let ledger = Ledger::new(Arc::default(), Arc::clone(&board), incarnation);
        // 2026-11-23, noon.
        let now = 1_795_435_200_000;
        Self { ledger, board, position: 0, chains: BTreeMap::new(), now, payload: Vec::new() }
    }

    /// One message, stamped now.
    pub(super) fn send(&mut self, subject: &str, changes: &[Change]) -> Vec<Effect> {
        if !self.chains.contains_key(subject) {
            let claim: Change = decode(&json!({"claim": {"instance": "test"}}));
            let claimed = self.deliver(subject, None, 0, vec![claim]);
            assert_eq!(claimed, [], "{subject}");
            self.chains.insert(subject.to_owned(), (self.position, 0));
        }
        let (claim, sequence) = self.chains[subject];
        self.chains.insert(subject.to_owned(), (claim, sequence + 1));
        self.deliver(subject, Some(claim), sequence + 1, changes.to_vec())
    }

    fn deliver(
        &mut self,
        subject: &str,
        claim: Option<u64>,
        sequence: u64,
        changes: Vec<Change>,
    ) -> Vec<Effect> {
        let parsed = Subject::parse(subject).unwrap();
        let source = parsed.source().cloned().unwrap_or_else(|| SourceId::new("operator").unwrap());
        let epoch = claim.map(|claim| Epoch {
            incarnation: Incarnation::new("7f3a").unwrap(),
            claim: StreamSequence(claim),
        });
        let now = Timestamp::from_millis(self.now);
        let envelope = Envelope::new(source, epoch, SourceSequence(sequence), self.position, now, changes);
        let payload = encode_envelope(Encoding::MessagePack, &envelope).unwrap();
        self.position += 1;
        self.payload.clone_from(&payload);
        self.ledger.apply(&Entry {
            subject: parsed,
            stream_sequence: StreamSequence(self.position),
            stream_time: now,
            encoding: Some(Encoding::MessagePack),
            payload: &payload,
        })
    }

    /// A part of a snapshot of stock; returns the hash of its payload, as the end of the snapshot states it.
    pub(super) fn send_part(&mut self, changes: &[Change]) -> String {
        self.send(STOCK, changes);
        let hash = Sha256::digest(&self.payload);
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A claim on a subject that the rules in force do not know.
    pub(super) fn pass_over(&mut self, subject: &str) -> Vec<Effect> {
        self.deliver(subject, None, 0, vec![decode(&json!({"claim": {"instance": "test"}}))])
    }

    /// `A DAL 10`, with more fields as JSON.
    pub(super) fn stock(&mut self, cell: &str, rest: &Value) {
        let words: Vec<&str> = cell.split(' ').collect();
        let mut set = json!({"item": words[0], "warehouse": words[1], "uom": "EA", "on_hand": words[2]});
        set.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        self.send(STOCK, &[decode(&json!({"stock_set": set}))]);
    }

    pub(super) fn send_json(&mut self, subject: &str, change: &Value) {
        self.send(subject, &[decode(change)]);
    }

    pub(super) fn keyed(&self, name: &str, what: &str) -> KeyedBy {
        KeyedBy {
            account: account(),
            key: key(name),
            fingerprint: Fingerprint::of(&what),
            judge_before: Timestamp::from_millis(self.now + 30_000),
            traceparent: None,
        }
    }

    /// An order with this key and these lines; each costs 10 a piece.
    pub(super) fn order(&self, name: &str, lines: &[&str]) -> PlaceOrder {
        let lines = lines.iter().enumerate().map(|(at, line)| {
            let price =
                json!({"unit_price": "10", "per": "1", "uom": "EA", "extended": "10", "level": "list"});
            json!({"stock": stock_line(at, line), "price": price})
        });
        let lines: Vec<Value> = lines.collect();
        let keyed = serde_json::to_value(self.keyed(name, &json!(lines).to_string())).unwrap();
        decode(&json!({
            "order": order_id(name).to_string(), "keyed": keyed, "facts": {}, "currency": "USD", "total": "10",
            "priced_at": "7f3a.L1.S5.P5", "terms": terms(), "route": {}, "lines": lines,
        }))
    }

    pub(super) fn place(&mut self, order: PlaceOrder) -> OrderState {
        let id = order.order;
        self.send(ORDERS, &[Change::Command(Box::new(Command::PlaceOrder(Box::new(order))))]);
        self.ledger.reader().orders().order(&id).map_or(OrderState::Pending, |order| order.state)
    }

    pub(super) fn place_lines(&mut self, name: &str, lines: &[&str]) -> OrderState {
        let order = self.order(name, lines);
        self.place(order)
    }

    pub(super) fn hold(&mut self, name: &str, lines: &[&str], seconds: i64, partial: bool) -> HoldState {
        let lines: Vec<Value> = lines.iter().enumerate().map(|(at, line)| stock_line(at, line)).collect();
        let keyed = serde_json::to_value(self.keyed(name, &json!(lines).to_string())).unwrap();
        let id = HoldId::derive(&account(), &key(name));
        let hold: PlaceHold = decode(&json!({
            "hold": id.to_string(), "keyed": keyed, "partial": partial, "terms": terms(), "lines": lines,
            "expires_at": Timestamp::from_millis(self.now + seconds * 1_000).to_string(),
        }));
        self.command(Command::PlaceHold(hold));
        self.hold_state(name)
    }

    pub(super) fn hold_state(&self, name: &str) -> HoldState {
        let id = HoldId::derive(&account(), &key(name));
        self.ledger.reader().orders().hold(&id).unwrap().state
    }

    pub(super) fn command(&mut self, command: Command) {
        self.send(ORDERS, &[Change::Command(Box::new(command))]);
    }

    pub(super) fn event(&mut self, event: &Value) {
        let event: OrderEvent = decode(event);
        self.send(EVENTS, &[Change::Event(Box::new(event))]);
    }

    pub(super) fn decide(&mut self, decision: &Value) {
        self.send_json(CONTROL, &json!({ "decision": decision }));
    }

    pub(super) fn record(&self, name: &str) -> OrderRecord {
        (*self.ledger.reader().orders().order(&order_id(name)).unwrap()).clone()
    }

    pub(super) fn state(&self, name: &str) -> OrderState {
        self.record(name).state
    }

    /// What is promised of an item at a warehouse and in no figure, in pieces.
    pub(super) fn promised(&self, item: &str, warehouse: &str) -> String {
        let tables = self.ledger.reader().load();
        let dictionary = self.ledger.dictionary();
        let (item, warehouse) = (dictionary.items.intern(item), dictionary.warehouses.intern(warehouse));
        let now = Timestamp::from_millis(self.now);
        let promises = tables.promises.of(item);
        let open = promises.iter().flat_map(|it| it.at(warehouse));
        let open = open.filter(|it| it.expires.is_none_or(|expires| expires > now));
        open.map(|it| it.quantity).fold(Decimal::ZERO, |sum, one| sum.checked_add(one).unwrap()).to_string()
    }

    /// The outbox in words: `dispatch 1 to erp`, `alarm order`.
    pub(super) fn outbox(&self) -> Vec<String> {
        let entries = self.ledger.reader().orders().outbox();
        let told = entries.iter().map(|(_, entry)| match &**entry {
            OutboxEntry::Dispatch(it) => {
                format!("{:?} {} to {}", it.kind, it.generation, it.backend).to_lowercase()
            }
            OutboxEntry::Alarm(alarm) => format!("alarm {}", alarm.kind.as_str()),
        });
        told.collect()
    }

    /// Says that all of the outbox is published.
    pub(super) fn publish_outbox(&mut self) {
        let effects = self.ledger.reader().orders().outbox().iter().map(|(id, _)| *id).collect();
        self.command(Command::EffectsDone(pannier_protocol::order::EffectsDone { effects }));
    }
}
