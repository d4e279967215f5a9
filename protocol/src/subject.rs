//! The subject grammar under one configurable prefix (`pna.v1`): where each kind of message goes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{OrderId, Partition, SourceId};

/// A writer's subject without the prefix: one *chain* of sequence numbers each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// `ledger.stock.<source>`: stock, supply, lots, limits and balances of one source.
    Stock(SourceId),
    /// `ledger.order.<node>`: groups of order commands of one intake node.
    Order(SourceId),
    /// `ledger.event.<source>`: what an ERP says became of orders.
    Event(SourceId),
    /// `ledger.control`: what operators decide for all nodes.
    Control,
    /// `catalog.<partition>.<source>`.
    Catalog(Partition, SourceId),
}

/// Why a text is no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no subject of the ledger or the catalog; see WIRE.md, Subjects")]
pub struct SubjectError {
    text: String,
}

impl Subject {
    /// Whether the ledger stream holds it, else the catalog stream does.
    pub fn in_ledger(&self) -> bool {
        !matches!(self, Self::Catalog(..))
    }

    /// The source named in the subject; the control subject has none.
    pub fn source(&self) -> Option<&SourceId> {
        match self {
            Self::Stock(source) | Self::Order(source) | Self::Event(source) | Self::Catalog(_, source) => {
                Some(source)
            }
            Self::Control => None,
        }
    }

    /// Without the prefix, as in `catalog.07.erp-1`.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let error = || SubjectError { text: text.chars().take(96).collect() };
        let source = |token: &str| SourceId::new(token).map_err(|_| error());
        let tokens: Vec<&str> = text.splitn(4, '.').collect();
        match tokens.as_slice() {
            ["ledger", "control"] => Ok(Self::Control),
            ["ledger", "stock", token] => source(token).map(Self::Stock),
            ["ledger", "order", token] => source(token).map(Self::Order),
            ["ledger", "event", token] => source(token).map(Self::Event),
            ["catalog", partition, token] => {
                Ok(Self::Catalog(partition.parse().map_err(|()| error())?, source(token)?))
            }
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stock(source) => write!(f, "ledger.stock.{source}"),
            Self::Order(source) => write!(f, "ledger.order.{source}"),
            Self::Event(source) => write!(f, "ledger.event.{source}"),
            Self::Control => f.write_str("ledger.control"),
            Self::Catalog(partition, source) => write!(f, "catalog.{partition}.{source}"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// The prefix of one deployment: one to four subject tokens, as in `pna.v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// Why a text is no prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "prefix {text:?} is not 1 to 4 tokens of a-z, 0-9, '-' and '_' with points between, as in \"pna.v1\""
)]
pub struct PrefixError {
    text: String,
}

impl Default for Prefix {
    fn default() -> Self {
        Self("pna.v1".to_owned())
    }
}

impl Prefix {
    pub fn new(text: &str) -> Result<Self, PrefixError> {
        let fits = text.split('.').count() <= 4 && text.split('.').all(|token| SourceId::new(token).is_ok());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(PrefixError { text: text.chars().take(64).collect() })
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full subject that a message is published on.
    pub fn full(&self, subject: &Subject) -> String {
        format!("{}.{subject}", self.0)
    }

    /// The subject behind a full one; an error for a message that is not under this prefix.
    pub fn strip(&self, full: &str) -> Result<Subject, SubjectError> {
        let rest = full.strip_prefix(&self.0).and_then(|rest| rest.strip_prefix('.'));
        Subject::parse(rest.unwrap_or(full))
    }

    /// What the ledger stream captures.
    pub fn ledger(&self) -> Vec<String> {
        ["ledger.stock.*", "ledger.order.*", "ledger.event.*", "ledger.control"]
            .map(|s| format!("{}.{s}", self.0))
            .to_vec()
    }

    /// What the catalog stream captures.
    pub fn catalog(&self) -> Vec<String> {
        vec![format!("{}.catalog.*.*", self.0)]
    }

    /// What the review stream captures.
    pub fn review(&self) -> Vec<String> {
        vec![format!("{}.review.*.*", self.0)]
    }

    /// `review.<kind>.<origin>`; both must be single tokens.
    pub fn review_entry(&self, kind: &str, origin: &str) -> String {
        format!("{}.review.{kind}.{origin}", self.0)
    }

    /// What the dispatch stream captures.
    pub fn dispatches(&self) -> Vec<String> {
        vec![format!("{}.dispatch.*.*.*", self.0)]
    }

    /// `dispatch.<backend>.<order>.<generation>`: one task of a backend, created once.
    pub fn dispatch(&self, backend: &SourceId, order: &OrderId, generation: u32) -> String {
        format!("{}.dispatch.{backend}.{order}.{generation}", self.0)
    }

    /// All tasks of one backend.
    pub fn dispatches_of(&self, backend: &SourceId) -> String {
        format!("{}.dispatch.{backend}.*.*", self.0)
    }

    /// What the history stream takes from the ledger: the life of orders.
    pub fn history(&self) -> Vec<String> {
        ["ledger.order.*", "ledger.event.*", "ledger.control"].map(|s| format!("{}.{s}", self.0)).to_vec()
    }

    /// Core NATS subject on which nodes ask the adapter of `source` to send a snapshot again.
    pub fn resync(&self, source: &SourceId) -> String {
        format!("{}.resync.{source}", self.0)
    }

    /// Core NATS subject on which nodes ask the adapter of `source` what it has of a key right now; it replies.
    pub fn ask(&self, source: &SourceId) -> String {
        format!("{}.ask.{source}", self.0)
    }

    /// The name of a stream of this deployment: `PNA_LEDGER` for the default prefix, else the prefix
    /// in capitals before it.
    pub fn stream(&self, name: &str) -> String {
        if *self == Self::default() {
            return format!("PNA_{name}");
        }
        let tokens: String =
            self.0.chars().map(|c| if c == '.' { '_' } else { c.to_ascii_uppercase() }).collect();
        format!("PNA_{tokens}_{name}")
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_round_trip() {
        let prefix = Prefix::default();
        for text in [
            "ledger.stock.wms-1",
            "ledger.order.node-1",
            "ledger.event.erp-1",
            "ledger.control",
            "catalog.shared.erp-1",
            "catalog.07.erp-1",
        ] {
            let subject = Subject::parse(text).unwrap();
            assert_eq!(subject.to_string(), text);
            assert_eq!(prefix.strip(&prefix.full(&subject)), Ok(subject));
        }
        for bad in [
            "ledger",
            "ledger.stock",
            "ledger.stock.ERP",
            "catalog.64.erp",
            "catalog.7.erp",
            "ledger.stock.a.b",
        ] {
            assert!(Subject::parse(bad).is_err(), "{bad:?}");
        }
    }

    /// Whether a NATS filter takes the subject: `*` is any one token.
    fn takes(filter: &str, subject: &str) -> bool {
        let (filter, subject): (Vec<_>, Vec<_>) = (filter.split('.').collect(), subject.split('.').collect());
        filter.len() == subject.len() && filter.iter().zip(&subject).all(|(f, s)| *f == "*" || f == s)
    }

    #[test]
    fn a_task_of_a_backend_has_one_subject() {
        let order = OrderId::parse("3m5h9q2k7c0000000000000001").unwrap();
        let [erp, other] = ["erp-1", "erp-10"].map(|id| SourceId::new(id).unwrap());
        for prefix in [Prefix::default(), Prefix::new("acme.pna").unwrap()] {
            let subject = prefix.dispatch(&erp, &order, 2);
            assert_eq!(subject, format!("{prefix}.dispatch.erp-1.{order}.2", prefix = prefix.as_str()));
            assert!(prefix.dispatches().iter().any(|filter| takes(filter, &subject)));
            assert!(takes(&prefix.dispatches_of(&erp), &subject));
            assert!(!takes(&prefix.dispatches_of(&other), &subject));
            // No chain: the ledger's and the catalog's readers take it for nothing of theirs.
            assert!(prefix.strip(&subject).is_err());
        }
    }

    #[test]
    fn history_is_the_ledger_without_stock() {
        let prefix = Prefix::default();
        let kept = |text: &str| {
            let subject = prefix.full(&Subject::parse(text).unwrap());
            prefix.history().iter().any(|filter| takes(filter, &subject))
        };
        for (text, want) in [
            ("ledger.order.node-1", true),
            ("ledger.event.erp-1", true),
            ("ledger.control", true),
            ("ledger.stock.wms-1", false),
            ("catalog.shared.erp-1", false),
        ] {
            assert_eq!(kept(text), want, "{text}");
        }
        // A stream's source takes nothing that the stream does not have.
        assert!(prefix.history().iter().all(|filter| prefix.ledger().contains(filter)));
    }

    #[test]
    fn streams_of_two_deployments_have_two_names() {
        assert_eq!(Prefix::default().stream("LEDGER"), "PNA_LEDGER");
        assert_eq!(Prefix::new("acme.pna").unwrap().stream("LEDGER"), "PNA_ACME_PNA_LEDGER");
        for bad in ["", ".", "a..b", "a.*", "a b", "A"] {
            assert!(Prefix::new(bad).is_err(), "{bad:?}");
        }
    }
}
