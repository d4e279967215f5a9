//! Every limit of the wire on one screen. A limit that a verdict of the fold depends on is part of
//! rule version 1 and changes only with the rule version.

/// Version of the envelope that this build writes and the highest it reads.
pub const ENVELOPE_VERSION: u16 = 1;

/// Largest change message, in bytes of its payload.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Most changes in one message.
pub const MESSAGE_CHANGES_MAX: usize = 1_024;
/// Most rows in one `prices` change: a message is at most that many anyway.
pub const PRICE_ROWS_MAX: usize = 1_024;
/// Most breaks of one price row.
pub const PRICE_BREAKS_MAX: usize = 64;
/// Nesting of a message or request: maps and arrays inside each other.
pub const DEPTH_MAX: usize = 32;
/// Largest snapshot chunk on the ledger, in bytes, so that orders pass between two of them.
pub const LEDGER_CHUNK_BYTES_MAX: usize = 32 * 1024;

/// Version of questions to sources, and of their replies.
pub const ASK_VERSION: u16 = 1;
/// Most price scopes in one question.
pub const ASK_SCOPES_MAX: usize = 256;

/// Longest id, in bytes of UTF-8.
pub const ID_BYTES_MAX: usize = 64;
/// SHA-256 in hex.
pub const SHA256_HEX_BYTES: usize = 64;
/// Longest W3C trace context, in bytes.
pub const TRACEPARENT_BYTES_MAX: usize = 128;
/// Greatest sequence that a publisher may give: what fits beside an epoch number in a row's version.
pub const SOURCE_SEQUENCE_MAX: u64 = (1 << 48) - 1;
/// Longest free text (descriptions, reasons), in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 1_024;

/// Most lines of one lookup.
pub const LOOKUP_LINES_MAX: usize = 500;
/// Largest lookup request body, in bytes.
pub const LOOKUP_BYTES_MAX: usize = 512 * 1024;

/// Largest head of a request or answer on a QUIC stream, in bytes: the longest path fits.
pub const FRAME_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most lines of one order or hold.
pub const ORDER_LINES_MAX: usize = 500;
/// Most references of the client's own that an order carries.
pub const ORDER_REFERENCES_MAX: usize = 32;
/// Largest order or hold request body, in bytes: 500 lines, a signed price each.
pub const ORDER_BYTES_MAX: usize = 512 * 1024;
/// Longest signed price, in bytes; one of usual names has some 700.
pub const PRICE_HOLD_BYTES_MAX: usize = 4 * 1024;
/// Longest part of what is recovered after the broker lost entries, in bytes of its base64.
pub const RECOVERED_BYTES_MAX: usize = 200 * 1024;
/// Largest order once it is resolved, in bytes of its command; above it the order is refused.
pub const ORDER_RESOLVED_BYTES_MAX: usize = 128 * 1024;
/// A group of commands is closed once it has this many bytes, so that the next one does not wait for it.
pub const ORDER_GROUP_BYTES: usize = 64 * 1024;
/// Most components of a line that is a kit.
pub const ORDER_NEEDS_MAX: usize = 64;
/// Supply counts at most this many days ahead.
pub const HORIZON_DAYS_MAX: u16 = 730;
/// Most outbox entries that one command takes out.
pub const EFFECTS_DONE_MAX: usize = 1_024;

/// Most price levels of a tenant.
pub const LEVELS_MAX: usize = 32;
/// Most steps of a chain discount.
pub const CHAIN_PERCENTS_MAX: usize = 16;
/// Most elements of a list inside an item, account or policy (units, components, groups...).
pub const LIST_MAX: usize = 1_024;

/// Tables that one handover names.
pub const HANDOVER_TABLES_MAX: usize = 16;
/// Partitions of the catalog beside `shared`.
pub const PARTITIONS: u8 = 64;
/// Subjects that one source can write: the ledger's, shared and one a partition.
pub const TICK_SUBJECTS_MAX: usize = PARTITIONS as usize + 2;

const _: () = assert!(RECOVERED_BYTES_MAX + 4 * TEXT_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(LEDGER_CHUNK_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(ORDER_GROUP_BYTES + ORDER_RESOLVED_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(PRICE_ROWS_MAX <= MESSAGE_CHANGES_MAX);
