//! The publishers of a case file and the folds that they feed.

use std::collections::BTreeMap;
use std::sync::Arc;

use pannier_core::catalog::Catalog;
use pannier_core::dictionary::Dictionary;
use pannier_core::entry::{Effect, Entry};
use pannier_core::freshness::Board;
use pannier_core::ledger::Ledger;
use pannier_protocol::subject::Subject;
use pannier_protocol::{AccountId, Encoding, Incarnation, Partition, StreamSequence, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) struct Publisher {
    pub(crate) dictionary: Arc<Dictionary>,
    pub(crate) ledger: Ledger,
    pub(crate) catalog: Catalog,
    /// What went to review.
    pub(crate) reviews: Vec<String>,
    now: Timestamp,
    chains: BTreeMap<String, Chain>,
    /// Last stream sequence of ledger and catalog.
    last: [u64; 2],
}

#[derive(Default)]
struct Chain {
    claim: u64,
    sequence: u64,
    /// By sequence, from 1.
    sent: Vec<Vec<u8>>,
    /// Of the open unit: changes and payloads so far.
    count: u64,
    parts: Vec<u8>,
}

impl Publisher {
    pub(crate) fn new(now: Timestamp) -> Self {
        let (dictionary, board) = (Arc::new(Dictionary::default()), Arc::new(Board::default()));
        let incarnation = Incarnation::new("7f3a").unwrap();
        Self {
            ledger: Ledger::new(Arc::clone(&dictionary), Arc::clone(&board), incarnation.clone()),
            catalog: Catalog::new(Arc::clone(&dictionary), board, incarnation),
            dictionary,
            reviews: Vec::new(),
            now,
            chains: BTreeMap::new(),
            last: [0; 2],
        }
    }

    /// One line of a case file.
    pub(crate) fn line(&mut self, line: &str) {
        let (chain, rest) = line.trim().split_once(' ').unwrap();
        let subject = subject_of(chain);
        let (word, argument) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "skip" => {
                self.chain(&subject).sequence += 1;
                self.chain(&subject).sent.push(Vec::new());
            }
            "redeliver" => {
                let at: usize = argument.parse().unwrap();
                let payload = self.chain(&subject).sent[at - 1].clone();
                self.deliver(&subject, &payload);
            }
            "unit_begin" => {
                (self.chain(&subject).count, self.chain(&subject).parts) = (0, Vec::new());
                self.publish(&subject, json!([{"unit_begin": {"id": argument}}]));
            }
            "part" => {
                let (id, change) = argument.split_once(' ').unwrap();
                let change: Value = serde_json::from_str(change).unwrap();
                let payload = self.publish(&subject, json!([{"part": {"of": id}}, change]));
                self.chain(&subject).parts.extend(payload);
                self.chain(&subject).count += 1;
            }
            "unit_commit" => {
                let Chain { count, parts, .. } = self.chain(&subject);
                let hash: String = Sha256::digest(parts).iter().map(|byte| format!("{byte:02x}")).collect();
                let commit = json!([{"unit_commit": {"id": argument, "count": count, "hash": hash}}]);
                self.publish(&subject, commit);
            }
            "invalidate" => {
                let mut change: Value = serde_json::from_str(argument).unwrap();
                change["invalidate"]["up_to"] = json!([self.point(&subject)]);
                self.publish(&subject, json!([change]));
            }
            _ => {
                let changes: Value = serde_json::from_str(rest).unwrap_or_else(|e| panic!("{line}: {e}"));
                let changes = if changes.is_array() { changes } else { json!([changes]) };
                self.publish(&subject, changes);
            }
        }
    }

    /// Every source says up to when it was read.
    pub(crate) fn tick(&mut self, caught_up_to: Timestamp) {
        let subjects: Vec<String> = self.chains.keys().cloned().collect();
        for text in subjects {
            let subject = Subject::parse(&text).unwrap();
            let tick = json!({"caught_up_to": caught_up_to.to_string(), "subjects": [self.point(&subject)]});
            self.publish(&subject, json!([{"tick": tick}]));
        }
    }

    fn point(&mut self, subject: &Subject) -> Value {
        let Chain { claim, sequence, .. } = self.chain(subject);
        let epoch = json!({"incarnation": "7f3a", "claim": claim});
        json!({"subject": subject.to_string(), "epoch": epoch, "sequence": sequence})
    }

    fn chain(&mut self, subject: &Subject) -> &mut Chain {
        if !self.chains.contains_key(&subject.to_string()) {
            let claim = self.envelope(subject, None, 0, &json!([{"claim": {"instance": "case"}}]));
            let claim = self.deliver(subject, &claim);
            self.chains.insert(subject.to_string(), Chain { claim, ..Chain::default() });
        }
        self.chains.get_mut(&subject.to_string()).unwrap()
    }

    fn envelope(&self, subject: &Subject, claim: Option<u64>, sequence: u64, changes: &Value) -> Vec<u8> {
        let source = subject.source().unwrap().as_str();
        let epoch = claim.map(|claim| json!({"incarnation": "7f3a", "claim": claim}));
        let envelope = json!({
            "version": 1, "source": source, "epoch": epoch, "sequence": sequence, "position": sequence,
            "sent_at": self.now.to_string(), "changes": changes,
        });
        serde_json::to_vec(&envelope).unwrap()
    }

    fn publish(&mut self, subject: &Subject, changes: Value) -> Vec<u8> {
        let chain = self.chain(subject);
        chain.sequence += 1;
        let (claim, sequence) = (chain.claim, chain.sequence);
        let payload = self.envelope(subject, Some(claim), sequence, &changes);
        self.chain(subject).sent.push(payload.clone());
        self.deliver(subject, &payload);
        payload
    }

    /// Returns the stream sequence.
    fn deliver(&mut self, subject: &Subject, payload: &[u8]) -> u64 {
        let last = &mut self.last[usize::from(subject.in_ledger())];
        *last += 1;
        let stream_sequence = StreamSequence(*last);
        let entry = Entry {
            subject: subject.clone(),
            stream_sequence,
            stream_time: self.now,
            encoding: Some(Encoding::Json),
            payload,
        };
        let effects =
            if subject.in_ledger() { self.ledger.apply(&entry) } else { self.catalog.apply(&entry) };
        let reviews = effects.into_iter().filter_map(|effect| match effect {
            Effect::Review(review) => Some(review.reason),
            Effect::Resync { .. } | Effect::Dropped { .. } | Effect::Stop { .. } => None,
        });
        self.reviews.extend(reviews);
        stream_sequence.0
    }
}

/// `shared`, `family:P`, `stock`, each with `@source` behind it where it is not the usual one.
fn subject_of(chain: &str) -> Subject {
    let (chain, source) = chain.split_once('@').unwrap_or((chain, ""));
    let source = |usual: &'static str| {
        pannier_protocol::SourceId::new(if source.is_empty() { usual } else { source }).unwrap()
    };
    match chain.split_once(':') {
        Some(("family", root)) => {
            Subject::Catalog(Partition::of_root(&AccountId::new(root).unwrap()), source("erp-1"))
        }
        _ if chain == "shared" => Subject::Catalog(Partition::Shared, source("erp-1")),
        _ if chain == "stock" => Subject::Stock(source("wms-1")),
        _ => panic!("{chain} is no chain; see tests/cases/README.md"),
    }
}
