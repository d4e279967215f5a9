//! What a chain says about itself: claims, ticks, units, snapshots, and what it condemns.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{bounded, bounded_text};
use crate::limits::{SHA256_HEX_BYTES, TICK_SUBJECTS_MAX};
use crate::subject::Subject;
use crate::{
    AccountId, ContractId, Epoch, ItemId, ListId, MarkId, SourceId, SourceSequence, Timestamp, WarehouseId,
};

use super::{PriceScope, PriceScopeKind};

/// A writer takes the subject over; the message's place in the stream is its epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Who claims, for operators: host and process, say.
    pub instance: MarkId,
}

/// Proof that a source was read to its end: one a source, on one of its subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tick {
    /// When the source itself was last read to its end, in broker time: start of the poll, commit time of
    /// the last log record, cut of the export. Repeated unchanged while the source cannot be reached.
    pub caught_up_to: Timestamp,
    /// The last message of every subject that this source writes.
    #[serde(deserialize_with = "bounded::<_, _, TICK_SUBJECTS_MAX>")]
    pub subjects: Vec<ChainPoint>,
}

/// A place in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainPoint {
    pub subject: Subject,
    pub epoch: Epoch,
    pub sequence: SourceSequence,
}

/// Rows that must not be trusted any more, whichever arrives first: they or this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invalidate {
    pub scope: InvalidateScope,
    pub mode: InvalidateMode,
    /// Per chain the last message that is condemned; rows of later messages and other chains are not.
    #[serde(deserialize_with = "bounded::<_, _, TICK_SUBJECTS_MAX>")]
    pub up_to: Vec<ChainPoint>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidateScope {
    All,
    Item(ItemId),
    Account(AccountId),
    Contract(ContractId),
    PriceList(ListId),
    Warehouse(WarehouseId),
    Source(SourceId),
}

impl fmt::Display for InvalidateScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Item(id) => write!(f, "item {id}"),
            Self::Account(id) => write!(f, "account {id}"),
            Self::Contract(id) => write!(f, "contract {id}"),
            Self::PriceList(id) => write!(f, "price list {id}"),
            Self::Warehouse(id) => write!(f, "warehouse {id}"),
            Self::Source(id) => write!(f, "source {id}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidateMode {
    /// Serve flagged, and ask for a refresh.
    Soft,
    /// Do not serve until refreshed.
    Hard,
}

/// Several messages that apply as one: this, then messages that begin with `part`, then `unit_commit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitBegin {
    pub id: MarkId,
}

/// First change of a message whose other changes belong to the open unit or snapshot `of`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub of: MarkId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitCommit {
    pub id: MarkId,
    /// Changes in all parts, the `part` marks not counted.
    pub count: u64,
    /// Lower-case hex SHA-256 of the payloads of the parts, as published, one after the other.
    #[serde(deserialize_with = "bounded_text::<_, SHA256_HEX_BYTES>")]
    pub hash: String,
}

/// The whole of a scope follows in parts; what is not repeated is gone at `snapshot_end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotBegin {
    pub id: MarkId,
    pub scope: SnapshotScope,
    /// The source's position that the rows are a picture of.
    pub cut: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotEnd {
    pub id: MarkId,
    /// Rows in all parts: a change is one, a price row is one, the `part` marks are not counted.
    pub rows: u64,
    /// Lower-case hex SHA-256 of the payloads of the parts, as published, one after the other.
    #[serde(deserialize_with = "bounded_text::<_, SHA256_HEX_BYTES>")]
    pub hash: String,
}

/// Which rows of the chain a snapshot repeats. The partition is the subject's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotScope {
    pub table: Table,
    /// Of stock tables: only this warehouse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<WarehouseId>,
    /// Of scopes and prices: only these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<PriceSelection>,
}

impl SnapshotScope {
    /// Every row of a table.
    pub fn whole(table: Table) -> Self {
        Self { table, warehouse: None, prices: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceSelection {
    Scope(PriceScope),
    Kind(PriceScopeKind),
}

/// The tables that a source can own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    Stock,
    Supply,
    Lots,
    /// Safety stock and oversell flags.
    Safety,
    Credit,
    Caps,
    Items,
    References,
    Accounts,
    /// Headers of price scopes.
    Scopes,
    /// Price rows.
    Prices,
    Policies,
    /// Every table that the subject can carry.
    All,
}

/// An operator's word that a parked snapshot is right although it removes much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotApproved {
    pub subject: Subject,
    pub epoch: Epoch,
    pub id: MarkId,
}

/// From here on the fold follows this version of the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleVersionActivated {
    pub version: u32,
}
