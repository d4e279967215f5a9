//! Limits of the core on one screen. Those of the gate are part of rule version 1, those of orders of version 2.

/// Digests of the last messages that a chain remembers, to tell a duplicate from a fork.
pub const DIGEST_WINDOW: usize = 1_024;
/// A snapshot that would remove more than this share of its scope is parked until approved.
pub const SNAPSHOT_REMOVAL_PERCENT_MAX: u64 = 10;
/// Changes that an open unit may stage.
pub const UNIT_CHANGES_MAX: usize = 1_000_000;
/// Live changes that an open or parked snapshot keeps to apply on top of itself.
pub const SNAPSHOT_OVERLAY_MAX: usize = 1_000_000;
/// Chains (a source on a subject) of both streams together.
pub const CHAINS_MAX: usize = 4_096;
/// Snapshots of one chain that wait for approval, each of another scope.
pub const SNAPSHOTS_PARKED_MAX: usize = 4;
/// Snapshot scopes that a suspect chain remembers to have been repeated.
pub const SCOPES_REPEATED_MAX: usize = 4_096;
/// Ticks that wait for the chain they speak of to arrive.
pub const TICKS_PENDING_MAX: usize = 16;
/// How far the stamps of broker and publisher may lie apart before they are counted, in milliseconds.
pub const STAMPS_APART_MS_MAX: u64 = 5_000;
/// Invalidations in force on one chain; past it the first becomes one of the whole chain.
pub const INVALIDATIONS_MAX: usize = 1_024;

/// Receipts that a cell remembers for netting; past it the oldest go.
pub const CELL_RECEIPTS_MAX: usize = 1_024;
/// Order lines that one figure names as contained; the oldest are forgotten.
pub const REFLECTED_LINES_MAX: usize = 1_024;
/// Rows in one sorted block of a price scope.
pub const BLOCK_ROWS_MAX: usize = 64;
/// Rows to come of one key that a lookup looks at to say until when its price holds.
pub const FUTURE_ROWS_MAX: usize = 8;
/// Changes of price that a lookup follows to say until when its price holds, under a `lowest` level.
pub const VALIDITY_STEPS_MAX: usize = 64;
/// Lists that derive from each other in a row.
pub const LIST_DEPTH_MAX: usize = 8;
/// Lists with a parent that are watched for deriving from themselves by way of several sources.
pub const DERIVED_LISTS_MAX: usize = 65_536;
/// Accounts above an account.
pub const ANCESTORS_MAX: usize = 16;
/// Kits inside kits.
pub const KIT_DEPTH_MAX: usize = 4;
/// Components of one kit, over all kits inside it.
pub const KIT_PARTS_MAX: usize = 1_024;
/// Replacements that hand on to each other.
pub const REPLACEMENT_DEPTH_MAX: usize = 8;
/// Rejected candidates that `explain` names.
pub const EXPLAIN_CANDIDATES_MAX: usize = 64;
/// Offers of one line.
pub const OFFERS_MAX: usize = 16;
/// Entries of one line's schedule.
pub const SCHEDULE_ENTRIES_MAX: usize = 64;

/// Questions to sources that one basket may need.
pub const QUESTIONS_MAX: usize = 64;

/// How far ahead the end of a hold may lie when it is asked for, in milliseconds: a day.
pub const HOLD_AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// DashMap's default shard count locks readers out for 220 ms when one of its few shards grows at 12 M rows;
/// with this many it is under a millisecond.
pub const TABLE_SHARDS: usize = 4_096;
/// Shards of a stock table: an entry an item, so a source's map has a tenth of what price tables hold.
pub const TABLE_SHARDS_STOCK: usize = 1_024;
/// Shards of maps with few entries.
pub const TABLE_SHARDS_SMALL: usize = 64;
/// Shards of one chain's price scopes: 65 partitions a source have such a map each, and a million scopes in
/// one of them still lock a shard of 4,000 only.
pub const SCOPE_SHARDS: usize = 256;

/// Orders that a dry run of routing names, of each old and new backend.
pub const REROUTED_SHOWN_MAX: usize = 20;

/// Ledger time for which a key is remembered. This and the next ones are part of rule version 2, in milliseconds.
pub const KEY_KEPT_MS: i64 = 7 * DAY_MS;
/// An order that is over shrinks to its outcome.
pub const ORDER_CLOSED_KEPT_MS: i64 = DAY_MS;
/// The same purchase order with the same lines is suspect.
pub const DUPLICATE_KEPT_MS: i64 = 30 * DAY_MS;
/// After its acknowledgement an order should be in its source's figures.
pub const OVERLAY_AGE_MS_MAX: i64 = DAY_MS;
/// Steps of an order's life that are kept; the first and the last.
pub const ORDER_STEPS_MAX: usize = 64;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

const _: () = assert!(TABLE_SHARDS.is_power_of_two() && TABLE_SHARDS_SMALL.is_power_of_two());
const _: () = assert!(TABLE_SHARDS_STOCK.is_power_of_two());
const _: () = assert!(SCOPE_SHARDS.is_power_of_two());

/// A frame of a checkpoint before it is packed, in bytes.
/// Records of one part of a recovery before they are packed, where one alone does not have more; at most.
pub const RECOVERED_PLAIN_BYTES: usize = 128 * 1024;
pub const RECOVERED_PLAIN_BYTES_MAX: usize = 4 * 1024 * 1024;
pub const CHECKPOINT_FRAME_BYTES: usize = 256 * 1024;
/// A record of a checkpoint; the largest are orders and scopes with all their tombstones.
pub const CHECKPOINT_RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Price rows, and ids, in one record of a checkpoint.
pub const CHECKPOINT_PRICE_ROWS: usize = 4_096;
pub const CHECKPOINT_IDS: usize = 4_096;
