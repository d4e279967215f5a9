//! Every bound of the adapters.

use std::time::Duration;

/// Shortest interval that a configuration may ask for, in ms.
pub const INTERVAL_MS_MIN: u64 = 50;
/// Largest file that is taken unless the configuration says otherwise, in bytes: files are held in memory as a
/// whole, one at a time, with what is made of them.
pub const FILE_BYTES_DEFAULT: u64 = 64 << 20;
/// The most that a configuration may ask for.
pub const FILE_BYTES_MAX: u64 = 4 << 30;
/// What taking a file costs, bytes of memory a byte of file: measured with 200,000 stock rows of 15 bytes, and less
/// for wider ones.
pub const MEMORY_PER_BYTE: u64 = 80;
/// `*` in one file pattern: each multiplies the ways to match a name.
pub const PATTERN_STARS_MAX: usize = 4;
/// Review entries of one file: a subject costs the broker memory, the rejects file holds all of them.
pub const REVIEWS_PER_FILE_MAX: usize = 200;

/// Bytes of a message that are not its changes: ids, epoch, trace context, the mark of a part.
pub const ENVELOPE_BYTES_MAX: usize = 1_024;
/// Rows of one unit: what a node stages at most.
pub const UNIT_ROWS_MAX: u64 = 1_000_000;
/// Largest entry of the store, in bytes: an encoded message and what stands beside it.
pub const STORED_BYTES_MAX: usize = 2 * pannier_protocol::limits::MESSAGE_BYTES_MAX;
/// A chain is repeated on request at most this often: every node of a cluster asks.
pub const RESYNC_INTERVAL_MIN: Duration = Duration::from_secs(10);
/// Streams forget: every chain is repeated whole before it is so old, in ms.
pub const REPEAT_AGE_MS_MAX: i64 = 6 * 24 * 60 * 60 * 1_000;
/// Between two families' partitions of one source, which are not all repeated at once.
pub const REPEAT_SPREAD_MS: i64 = 20 * 60 * 1_000;
/// Between two looks for chains that are so old.
pub const REPEAT_LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Between two looks at the broker's clock: machines drift by some ms in that time.
pub const CLOCK_INTERVAL: Duration = Duration::from_secs(30);
/// Between two attempts to reach the broker, first and longest.
pub const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);
/// Acknowledgements between two that are written through to disk.
pub const ACKNOWLEDGED_UNWRITTEN_MAX: u64 = 256;
/// Accounts above each other in a family.
pub const FAMILY_DEPTH_MAX: usize = 16;
/// A file whose trailer is missing or wrong is parked when it has not grown for so long.
pub const TRAILER_PATIENCE: Duration = Duration::from_secs(60);

/// Orders that a sink works on at once, and the most that a configuration may ask for.
pub const SINK_ORDERS_DEFAULT: usize = 4;
pub const SINK_ORDERS_MAX: usize = 256;
/// Requests to a backend in a second and at once after a pause, unless the configuration says otherwise.
pub const SINK_REQUESTS_PER_SECOND_DEFAULT: u32 = 10;
pub const SINK_REQUESTS_BURST_DEFAULT: u32 = 4;
/// A call that has no answer by then is given up: it may have been carried out.
pub const SINK_CALL_MAX_DEFAULT: Duration = Duration::from_secs(30);
/// First and longest pause before an order is tried again; jitter comes on top.
pub const SINK_RETRY_DELAY_MIN: Duration = Duration::from_millis(200);
pub const SINK_RETRY_DELAY_MAX: Duration = Duration::from_secs(30);
/// An order that fails so often while others get through is given up.
pub const SINK_ATTEMPTS_MAX: u32 = 12;
/// Orders that failed and are tried again while others take their places.
pub const SINK_ASIDE_MAX: usize = 32;
/// How often one attempt lists the documents again because another process changed them.
pub const SINK_ROUNDS_MAX: u32 = 8;
/// Transient failures in a row that open the circuit breaker.
pub const BREAKER_TRANSIENT_MAX: u32 = 5;
/// How long the breaker is open, first and at most.
pub const BREAKER_OPEN_MIN: Duration = Duration::from_secs(1);
pub const BREAKER_OPEN_MAX: Duration = Duration::from_secs(60);
/// Between two looks whether another process took over.
pub const FENCE_INTERVAL: Duration = Duration::from_secs(5);
/// What is in hand may take so long to end when a sink stops.
pub const SINK_STOP_MAX: Duration = Duration::from_secs(10);

/// Bytes of one answer of Tryton.
pub const REST_ANSWER_BYTES_MAX: usize = 32 << 20;
/// Rows of one search unless it says otherwise.
pub const REST_ROWS_DEFAULT: usize = 1_000;
/// Of what Tryton says with an error, as much is kept.
pub const REST_TEXT_CHARS_MAX: usize = 512;
/// A request to Tryton without an answer by then is given up, unless the configuration says otherwise.
pub const REST_REQUEST_MAX_DEFAULT: Duration = Duration::from_secs(15);
/// Tryton does some two orders a second, however many are asked for at once; an order is four steps or more.
pub const TRYTON_ORDERS_DEFAULT: usize = 4;
pub const TRYTON_REQUESTS_PER_SECOND_DEFAULT: u32 = 20;
pub const TRYTON_REQUESTS_BURST_DEFAULT: u32 = 8;
/// Shortest time after which an order of a process that says nothing goes to another, in ms.
pub const ORDERS_AGAIN_MS_MIN: u64 = 1_000;
/// Buttons of a sale that are pressed within one step.
pub const SALE_STEPS_MAX: usize = 24;
/// Codes looked up by one request: its line is limited to 64 KiB there.
pub const CODES_PER_QUERY_MAX: usize = 100;
/// Sales of one request when looking what became of orders, and the longest pause after one that failed.
pub const PROGRESS_PAGE_ROWS: usize = 100;
pub const PROGRESS_RETRY_DELAY_MAX: Duration = Duration::from_secs(60);
/// Between two looks for shipments in Tryton, how far each looks back, and between two comparisons of all, in ms.
pub const PROGRESS_POLL_MS_DEFAULT: u64 = 5_000;
pub const PROGRESS_OVERLAP_MS_DEFAULT: u64 = 120_000;
pub const PROGRESS_RECONCILE_MS_DEFAULT: u64 = 600_000;

/// Order lines that a row of Tryton's stock names as contained: with as many that vanished it fits into a chunk of the
/// ledger, whatever the lines are called.
pub const REFLECTED_LINES_MAX: usize = 128;
/// A shipped order stays named for so long, in ms: a node forgets it a day after it heard of the shipment.
pub const REFLECTED_KEPT_MS: u64 = 3 * 24 * 3_600_000;

/// Between two polls of moves and orders, and of the rest of Tryton; how far each looks back; between two comparisons
/// of all, in ms.
pub const POLL_MS_DEFAULT: u64 = 2_000;
pub const POLL_CATALOG_MS_DEFAULT: u64 = 30_000;
pub const POLL_OVERLAP_MS_DEFAULT: u64 = 60_000;
pub const POLL_RECONCILE_MS_DEFAULT: u64 = 3_600_000;
/// Between two ticks of what Tryton publishes, in ms.
pub const SOURCE_TICK_MS_DEFAULT: u64 = 2_000;
/// Between two attempts to read a Tryton that does not answer, first and longest.
pub const SOURCE_RETRY_DELAY_MIN: Duration = Duration::from_millis(500);
pub const SOURCE_RETRY_DELAY_MAX: Duration = Duration::from_secs(30);
/// Rows of one query while all tables are read.
pub const SNAPSHOT_ROWS_MAX: usize = 5_000;
/// How often PostgreSQL is told up to where its log was taken in.
pub const LOG_STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Steps that a node is asked for at once by who sends webhooks, and between two looks for new ones, in ms.
pub const WEBHOOK_PAGE_STEPS: usize = 200;
pub const WEBHOOK_POLL_MS_DEFAULT: u64 = 500;
/// Until a look is answered by some node, it is told again in the log after so long.
pub const WEBHOOK_LOOK_PATIENCE: Duration = Duration::from_secs(30);
/// Events that wait to be delivered: beyond, nodes are not asked for more, which keep them a day after the order is over.
pub const WEBHOOK_PENDING_MAX: usize = 100_000;
/// Deliveries under way, and the most that a configuration may ask for.
pub const WEBHOOK_AT_ONCE_DEFAULT: usize = 8;
pub const WEBHOOK_AT_ONCE_MAX: usize = 256;
/// A delivery without an answer by then is given up and repeated, unless the configuration says otherwise.
pub const WEBHOOK_REQUEST_MAX_DEFAULT: Duration = Duration::from_secs(15);
/// Pauses of one order's events after a delivery that failed, first and longest unless the configuration says
/// otherwise; jitter comes on top.
pub const WEBHOOK_RETRY_DELAY_MIN: Duration = Duration::from_millis(500);
pub const WEBHOOK_RETRY_DELAY_MAX_DEFAULT: Duration = Duration::from_secs(300);
/// A receiver that answers 429 or 503 and says until when is left alone, at most so long.
pub const WEBHOOK_RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// An event that could not be delivered for so long goes to the review list, unless the configuration says otherwise.
pub const WEBHOOK_GIVE_UP_DEFAULT: Duration = Duration::from_secs(3 * 24 * 3_600);
/// Secrets in use at once, and how long each is, in bytes: what Standard Webhooks asks for.
pub const WEBHOOK_SECRETS_MAX: usize = 4;
pub const WEBHOOK_SECRET_BYTES_MIN: usize = 24;
pub const WEBHOOK_SECRET_BYTES_MAX: usize = 64;
/// What is in hand may take so long to end when the process is told to stop.
pub const WEBHOOK_STOP_MAX: Duration = Duration::from_secs(10);
/// Of what a receiver answers, as much is read, so that its connection can be used again; one that nobody used for so
/// long is closed.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 64 * 1024;
pub const WEBHOOK_CONNECTION_IDLE_MAX: Duration = Duration::from_secs(60);
