//! Every limit of the shell on one screen. What an operator sets is in the configuration; here are the
//! bounds of those settings and what nobody should have to set.

use std::time::Duration;

/// Batches that wait between the consumers and the apply thread, both streams together.
pub const APPLY_QUEUE_STEPS: usize = 16;
/// Batches that the apply thread takes before it publishes how far it is.
pub const APPLY_STEPS_MAX: usize = 8;
/// Wishes that wait to be published; full, they hold the apply thread back.
pub const WISHES_QUEUE: usize = 1_024;
/// Of an entry that goes to the review list, so many bytes are shown.
pub const REVIEW_EXCERPT_BYTES_MAX: usize = 512;
/// A chain that stays suspect is asked for again after the first of these, then after twice as long each time,
/// up to the second. The chains remembered are those of the tables, of which the core bounds the number.
pub const RESYNC_INTERVAL_MIN: Duration = Duration::from_secs(10);
pub const RESYNC_INTERVAL_MAX: Duration = Duration::from_secs(600);

/// Findings on their way to the review stream at a time.
pub const REVIEWS_IN_FLIGHT_MAX: usize = 64;
/// After one could not be stored, further ones are given up for so long.
pub const REVIEW_PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// A record of the ledger's entries on disk that says it is longer is damage; no message of the broker is.
pub const TAIL_RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Entries on disk past which a checkpoint is due before its time.
pub const TAIL_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How often a node looks whether the policies in force must be repeated, and after how long they are.
pub const POLICIES_LOOK_INTERVAL: Duration = Duration::from_secs(600);
pub const POLICIES_REPEATED_AFTER: Duration = Duration::from_secs(6 * 24 * 3_600);

/// How often the leader is asked where its streams end and what time it is.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How often a node says what it is, and after how long it counts as gone where it does not.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
pub const MEMBER_SILENT_AFTER: Duration = Duration::from_secs(5);
/// Nodes that are known of at a time.
pub const MEMBERS_MAX: usize = 256;
/// Digests of the tables are compared at every position that is a multiple, so many of the last ones.
pub const DIGEST_EVERY: u64 = 4_096;
pub const DIGESTS_KEPT_MAX: usize = 16;
/// And after so many of the last batches: others say theirs once a second.
pub const DIGESTS_RECENT_MAX: usize = 256;
/// A node whose fold was not at the ledger's end for longer takes no orders and holds.
pub const LEDGER_LAG_MAX: Duration = Duration::from_secs(5);
/// Ends of the ledger that are remembered until the fold is there.
pub const LEDGER_ENDS_MAX: usize = 16;
/// How long a lookup that has waited asks whether it waited for something that is not there.
pub const LEADER_ANSWER_MAX: Duration = Duration::from_millis(500);
/// Pause before a broker that is connected and cannot read its streams yet is asked again.
pub const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Bounds of what `[http]` and `[lookup]` may set.
pub const HTTP_CONNECTIONS_MAX: usize = 65_536;
pub const LOOKUPS_IN_FLIGHT_MAX: usize = 65_536;
pub const TIMEOUT_MAX: Duration = Duration::from_secs(600);
pub const AT_LEAST_WAIT_MAX: Duration = Duration::from_secs(30);

/// Bounds of what `[ask]` may set.
pub const ASK_IN_FLIGHT_MAX: usize = 1_024;
pub const ASK_WAIT_MAX: Duration = Duration::from_secs(5);
/// Live questions in a row without a usable reply after which a source is left alone, first and at most for how long.
pub const ASK_FAILURES_MAX: u32 = 5;
pub const ASK_OPEN_MIN: Duration = Duration::from_secs(1);
pub const ASK_OPEN_MAX: Duration = Duration::from_secs(30);
/// So long before the question a source may have been read for its reply: clocks differ.
pub const ASK_READ_EARLIER_MAX_MS: u64 = 1_000;

/// HTTP/2: concurrent streams of a connection, size of its header list, resets before it is closed.
pub const HTTP2_STREAMS_MAX: u32 = 128;
pub const HTTP2_HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
pub const HTTP2_RESETS_MAX: usize = 32;
/// HTTP/2 connections are pinged this often, and closed when the answer takes longer than the timeout.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);
pub const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/1: headers of a request, and the buffer that they must fit in.
pub const HTTP1_HEADERS_MAX: usize = 64;
pub const HTTP1_BUFFER_BYTES_MAX: usize = 32 * 1024;
/// Pause after a failed accept (out of file descriptors, mostly).
pub const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Longest `X-Correlation-ID`, in bytes of visible ASCII.
pub const CORRELATION_ID_BYTES_MAX: usize = 128;
/// Parameters of one query string.
pub const QUERY_PARAMETERS_MAX: usize = 32;
/// Longest path with its query, in bytes.
pub const PATH_BYTES_MAX: usize = 8 * 1024;
/// What `Retry-After` says, in seconds.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// How long a price may be promised at most, with how many keys, and how long their secrets are, in bytes.
pub const PRICE_HOLD_LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
pub const PRICE_HOLD_KEYS_MAX: usize = 8;
pub const PRICE_HOLD_SECRET_BYTES_MIN: usize = 32;
pub const PRICE_HOLD_SECRET_BYTES_MAX: usize = 1_024;

/// Streams of order events open at a time; further ones are answered 429.
pub const EVENT_STREAMS_MAX: usize = 1_024;
/// Frames that wait for one client, and how long one of them may wait before the client is given up.
pub const EVENT_FRAMES_MAX: usize = 16;
pub const EVENT_TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// A quiet stream says so often that it is alive.
pub const EVENT_HEARTBEAT: Duration = Duration::from_secs(15);
/// Between two looks at an order for one stream.
pub const EVENT_LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Commands that wait to be handed over to the ledger; further ones are answered 503.
pub const COMMITTER_QUEUE: usize = 4_096;
/// A command is judged expired when the broker stores it later than this after its receipt.
pub const ORDER_JUDGE_BEFORE_MS: i64 = 30_000;
/// How long a request waits to learn that its command is stored, and then for the verdict; after that it is 202.
pub const ORDER_STORED_WAIT: Duration = Duration::from_secs(5);
pub const ORDER_JUDGED_WAIT: Duration = Duration::from_secs(5);
/// How often an order that is sent back is priced again.
pub const ORDER_PRICED_COUNT_MAX: usize = 3;
/// How often an operator's act is offered again that another writer came before.
pub const ACT_ATTEMPTS_MAX: usize = 8;
/// Largest body of an operator's act, in bytes: the whole table of routing fits.
pub const ACT_BYTES_MAX: usize = 256 * 1024;
/// Entries of one page of what operators list: unless they say, and at most.
pub const PAGE_ENTRIES: usize = 50;
pub const PAGE_ENTRIES_MAX: usize = 200;
/// Keys that are named of each table in which a source differs: unless operators say, and at most.
pub const DRIFTS_SHOWN: usize = 10;
pub const DRIFTS_SHOWN_MAX: usize = 100;
/// Orders that are named of each overcommitted cell.
pub const OVERCOMMIT_ORDERS_SHOWN_MAX: usize = 20;
/// The outbox is looked at after every entry, and so often for what could not be published.
pub const OUTBOX_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Orders whose messages are published at a time: a broker that syncs its disk takes as many as it is given at once.
pub const OUTBOX_IN_FLIGHT_MAX: usize = 64;
/// A group of commands is closed once its first has waited so long.
pub const ORDER_GROUP_WAIT: Duration = Duration::from_millis(2);
/// Commands in one message, of which the wire bounds the number too.
pub const ORDER_GROUP_COMMANDS_MAX: usize = 1_024;

/// Bounds of what `[checkpoint]` may set.
pub const CHECKPOINT_INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
pub const CHECKPOINTS_KEPT_MIN: usize = 2;
pub const CHECKPOINTS_KEPT_MAX: usize = 64;
/// After a state could not be taken because a snapshot was open, it is tried again after this.
pub const CHECKPOINT_BUSY_PAUSE: Duration = Duration::from_secs(5);
/// Bytes of a checkpoint that are read at once.
pub const CHECKPOINT_READ_BYTES: usize = 1024 * 1024;
/// Nodes that are given this one's state at a time; pieces of it that wait for one; the largest request, in bytes.
pub const PEERS_FED_MAX: usize = 2;
pub const PEER_PIECES_WAITING: usize = 4;
pub const PEER_REQUEST_BYTES_MAX: usize = 4 * 1024;
/// A node from which nothing comes, or that takes nothing, for so long is gone; each is asked so often at most.
pub const PEER_SILENCE_MAX: Duration = Duration::from_secs(5);
pub const PEER_ROUNDS: usize = 2;
/// Requests under way on one QUIC connection.
pub const QUIC_STREAMS_MAX: u32 = 256;
/// Largest request on a stream, head and body, in bytes: the largest lookup and order fit.
pub const QUIC_REQUEST_BYTES_MAX: usize = 640 * 1024;
/// What a client may send beyond what was read, of one stream and of a connection, in bytes.
pub const QUIC_STREAM_BYTES: u32 = 256 * 1024;
pub const QUIC_CONNECTION_BYTES: u32 = 4 * 1024 * 1024;
/// Handshakes begun and not taken up.
pub const QUIC_HANDSHAKES_MAX: usize = 1_024;
/// A connection from which nothing at all comes for so many milliseconds is gone.
pub const QUIC_IDLE_MAX: u32 = 60_000;
/// Parts of one page of what is to be recovered; each has some 200 KiB at most.
pub const RECOVERY_PARTS_PAGE: usize = 32;
/// The object store is asked no longer for what it has: the next way is tried.
pub const CHECKPOINT_SHELF_WAIT_MAX: Duration = Duration::from_secs(30);
/// How often a node looks whether it is the one that puts a checkpoint into the object store, and how many stay there.
pub const CHECKPOINT_SHARE_LOOK: Duration = Duration::from_secs(10);
pub const CHECKPOINTS_SHARED: usize = 2;
/// Between two of them.
pub const CHECKPOINT_SHARE_INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the log says how far a checkpoint is that is being written or read.
pub const CHECKPOINT_PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

// Else a healthy node would look late between two looks.
const _: () = assert!(WATCH_INTERVAL.as_secs() * 2 < LEDGER_LAG_MAX.as_secs());
const _: () = assert!(ORDER_GROUP_COMMANDS_MAX <= pannier_protocol::limits::MESSAGE_CHANGES_MAX);
const _: () = assert!(APPLY_STEPS_MAX <= APPLY_QUEUE_STEPS);
const _: () = assert!(QUIC_REQUEST_BYTES_MAX > pannier_protocol::limits::LOOKUP_BYTES_MAX);
const _: () = assert!(QUIC_REQUEST_BYTES_MAX > pannier_protocol::limits::ORDER_BYTES_MAX);
const _: () = assert!(PATH_BYTES_MAX <= HTTP1_BUFFER_BYTES_MAX);
