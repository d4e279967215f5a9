//! The nodes of a deployment: what each says of itself once a second, and what one node knows of all.

use serde::{Deserialize, Serialize};

use crate::{Incarnation, SourceId, StreamSequence, Timestamp};

/// What a node says of itself, as JSON in the members' bucket under its name. A newer build may say more, and an older
/// one passes that over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Member {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub node: SourceId,
    /// Of its build, as in `0.1.0`.
    pub build: String,
    /// The highest rule version that the build knows, and the one that its fold follows.
    pub rules_known: u32,
    pub rules: u32,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub incarnation: Incarnation,
    /// As `/readyz` says it.
    pub state: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// It refuses its streams since they have lost entries that it had applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost_entries: bool,
    /// Last entries applied.
    pub applied: MemberPositions,
    /// Since its fold was at the ledger's end; without: it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_lag_ms: Option<u64>,
    pub lookups_in_flight: u64,
    /// Where checkout and operators reach it.
    pub http: String,
    pub operator: String,
    /// Where other nodes take its state, as in `pannier-1:8443`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quic: Option<String>,
    /// Of what it had applied at some positions, ascending by stream and position.
    pub digests: Vec<MemberDigest>,
    /// The newest one on its disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<MemberCheckpoint>,
    /// Broker time, by its estimate.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberCheckpoint {
    /// The last entries in it.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub ledger: StreamSequence,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub catalog: StreamSequence,
    /// It has every entry that came before.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Another node had the same tables there or later; or there is no other node.
    pub confirmed: bool,
}

/// A stream sequence of each stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberPositions {
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub ledger: StreamSequence,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub catalog: StreamSequence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MemberStream {
    Ledger,
    Catalog,
}

/// What a stream's tables add up to once everything up to `position` is applied: the same on every node, or one of
/// them is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberDigest {
    pub stream: MemberStream,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub position: StreamSequence,
    /// 32 hexadecimal digits.
    pub digest: String,
}

/// `GET /v1/operator/cluster`: what the node that was asked knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterShown {
    /// Who was asked.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub asked: SourceId,
    /// Whether the members could be read lately; what is shown of others is the last that was known.
    pub connected: bool,
    /// By name.
    pub members: Vec<MemberShown>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberShown {
    pub member: Member,
    /// Since it was heard last.
    pub heard_ms: u64,
    /// It was not heard for so long that it counts as gone.
    pub silent: bool,
    /// Its tables beside those of the node that was asked.
    pub agreement: Agreement,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Agreement {
    /// No position is known of both.
    Unknown,
    /// Both had the same at every position known of both; the last one of each stream.
    Agrees(MemberPositions),
    /// They had not, from this position on at the latest.
    Differs(MemberDifference),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberDifference {
    pub stream: MemberStream,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub position: StreamSequence,
}
