//! A live question to a source: what it has of one key at this moment. By request and reply on
//! `ask.<source>`, outside of every stream: an answer is for the one who asked and is no message of a chain.

use serde::{Deserialize, Serialize};

use crate::change::{PriceKey, PriceScope};
use crate::codec::{self, DecodeError, Encoding, bounded, bounded_text};
use crate::limits::{ASK_SCOPES_MAX, ASK_VERSION, MESSAGE_BYTES_MAX, MESSAGE_CHANGES_MAX, TEXT_BYTES_MAX};
use crate::{Change, ClassId, ItemId, SourceId, Timestamp};

/// What a node asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub version: u16,
    /// After so long nobody waits for the reply any more.
    pub within_ms: u32,
    pub about: Asked,
}

/// The key of a question.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// All that the source has of one item's stock, over all warehouses.
    Stock(AskedStock),
    /// All price rows that the source has of one item and its class, in these scopes.
    Prices(AskedPrices),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedStock {
    pub item: ItemId,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedPrices {
    pub item: ItemId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassId>,
    /// Each once, sorted.
    #[serde(deserialize_with = "bounded::<_, _, ASK_SCOPES_MAX>")]
    pub scopes: Vec<PriceScope>,
}

/// What the source says to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    pub version: u16,
    pub source: SourceId,
    pub says: Says,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    Rows(LiveRows),
    /// Why there is no answer, in a sentence.
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    Nothing(String),
}

/// The whole answer: what it does not have, the source does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveRows {
    /// When the source was read, in broker time; not before the question came.
    pub read_at: Timestamp,
    #[serde(deserialize_with = "bounded::<_, _, MESSAGE_CHANGES_MAX>")]
    pub changes: Vec<Change>,
}

/// Why a reply is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("version {version} is not {ASK_VERSION}, the one that was asked in")]
    Version { version: u16 },
    #[error("{source_id} answers in place of the source that was asked")]
    Source { source_id: SourceId },
    #[error("changes[{at}] is a {kind}, which is no row of what was asked")]
    Foreign { at: usize, kind: &'static str },
    #[error("changes[{at}]: {reason}")]
    Invalid { at: usize, reason: String },
}

impl Question {
    pub fn new(about: Asked, within_ms: u32) -> Self {
        Self { version: ASK_VERSION, within_ms, about }
    }

    pub fn decode(encoding: Encoding, bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(encoding, bytes, MESSAGE_BYTES_MAX)
    }
}

impl Asked {
    pub fn item(&self) -> &ItemId {
        match self {
            Self::Stock(asked) => &asked.item,
            Self::Prices(asked) => &asked.item,
        }
    }

    /// Whether a change is a row of what was asked, and nothing else.
    pub fn covers(&self, change: &Change) -> bool {
        match self {
            Self::Stock(asked) => stock_item(change) == Some(&asked.item),
            Self::Prices(asked) => {
                let Change::Prices(prices) = change else { return false };
                let is_asked = |key: &PriceKey| match (&key.item, &key.class) {
                    (Some(item), None) => *item == asked.item,
                    (None, Some(class)) => Some(class) == asked.class.as_ref(),
                    (Some(_), Some(_)) | (None, None) => false,
                };
                asked.scopes.contains(&prices.scope) && prices.rows.iter().all(|row| is_asked(&row.key))
            }
        }
    }
}

/// Of a change that states a row of an item's stock.
fn stock_item(change: &Change) -> Option<&ItemId> {
    if let Change::StockSet(set) = change {
        Some(&set.item)
    } else if let Change::SupplySet(set) = change {
        Some(&set.item)
    } else if let Change::LotsSet(set) = change {
        Some(&set.item)
    } else if let Change::SafetySet(set) = change {
        Some(&set.item)
    } else if let Change::OversellSet(set) = change {
        Some(&set.item)
    } else {
        None
    }
}

impl Reply {
    pub fn new(source: SourceId, says: Says) -> Self {
        Self { version: ASK_VERSION, source, says }
    }

    /// What `source` says to a question about `asked`; everything in it was checked.
    pub fn decode(
        encoding: Encoding,
        bytes: &[u8],
        source: &SourceId,
        asked: &Asked,
    ) -> Result<Says, BadReply> {
        let reply: Self = codec::decode(encoding, bytes, MESSAGE_BYTES_MAX)?;
        if reply.version != ASK_VERSION {
            return Err(BadReply::Version { version: reply.version });
        }
        if reply.source != *source {
            return Err(BadReply::Source { source_id: reply.source });
        }
        if let Says::Rows(rows) = &reply.says {
            for (at, change) in rows.changes.iter().enumerate() {
                if !asked.covers(change) {
                    return Err(BadReply::Foreign { at, kind: change.kind() });
                }
                if let Err(reason) = change.check() {
                    return Err(BadReply::Invalid { at, reason: reason.to_string() });
                }
            }
        }
        Ok(reply.says)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> Asked {
        codec::decode(Encoding::Json, json.as_bytes(), MESSAGE_BYTES_MAX).unwrap()
    }

    #[test]
    fn a_reply_is_about_what_was_asked() {
        let stock = asked(r#"{"stock":{"item":"BOLT"}}"#);
        let prices = asked(r#"{"prices":{"item":"BOLT","class":"fix","scopes":[{"list":"LIST"}]}}"#);
        let erp = SourceId::new("erp-1").unwrap();
        let cell = |item: &str| {
            format!(r#"{{"stock_set":{{"item":"{item}","warehouse":"DAL","uom":"EA","on_hand":"5"}}}}"#)
        };
        let price = |list: &str, key: &str| {
            format!(
                r#"{{"prices":{{"scope":{{"list":"{list}"}},"currency":"USD","rows":[[{key},null,null,1,"fixed",null,[["0","1"]]]]}}}}"#
            )
        };
        let own = r#""BOLT",null"#;
        for (asked, source, changes, want) in [
            (&stock, "erp-1", cell("BOLT"), ""),
            (&stock, "erp-1", String::new(), ""),
            (&stock, "erp-1", cell("NUT"), "changes[0] is a stock_set, which is no row of what was asked"),
            (&stock, "erp-1", price("LIST", own), "changes[0] is a prices, which is"),
            (&stock, "wms-1", cell("BOLT"), "wms-1 answers in place of"),
            (&prices, "erp-1", price("LIST", own), ""),
            (&prices, "erp-1", price("LIST", r#"null,"fix""#), ""),
            (&prices, "erp-1", price("LIST", r#"null,"other""#), "changes[0] is a prices, which is"),
            (&prices, "erp-1", price("MORE", own), "changes[0] is a prices, which is"),
            (&prices, "erp-1", cell("BOLT"), "changes[0] is a stock_set, which is"),
        ] {
            let text = format!(
                r#"{{"version":1,"source":"{source}","says":{{"rows":{{"read_at":"2026-11-23T09:00:00Z","changes":[{changes}]}}}}}}"#
            );
            let read = Reply::decode(Encoding::Json, text.as_bytes(), &erp, asked);
            let told = read.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(told.starts_with(want) && told.is_empty() == want.is_empty(), "{text}: {told}");
        }
        for (text, want) in [
            ("{", "?: EOF"),
            (r#"{"version":2,"source":"erp-1","says":{"nothing":"busy"}}"#, "version 2 is not 1"),
        ] {
            let told = Reply::decode(Encoding::Json, text.as_bytes(), &erp, &stock).unwrap_err().to_string();
            assert!(told.starts_with(want), "{told}");
        }
    }
}
