//! Every limit and time of this crate on one screen.

use std::time::Duration;

/// How long a started nats-server may take until it listens.
pub const SERVER_READY_MAX: Duration = Duration::from_secs(20);
/// How long a nats-server may take to stop in order before it is killed.
pub const SERVER_STOP_MAX: Duration = Duration::from_secs(10);
/// How long `nats-server --version` may take.
pub const SERVER_VERSION_MAX: Duration = Duration::from_secs(10);
/// How long the download of a nats-server may take.
pub const SERVER_FETCH_MAX: Duration = Duration::from_secs(300);
/// Between two looks for the file in which a starting server names its port.
pub const SERVER_POLL: Duration = Duration::from_millis(10);

/// Ping interval: two unanswered pings end a connection, so a dead peer is noticed in 10 to 15 s
/// instead of the client's default of 2 to 3 minutes.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Longest wait for one TCP and TLS connect.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// First and longest delay between two attempts to reconnect; jitter comes on top, up to as much again.
pub const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(50);
pub const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(2);
/// A client leaves a server in lame-duck mode within this time, at random, so that not all leave at once.
pub const LAME_DUCK_SPREAD: Duration = Duration::from_secs(2);
/// Longest wait for one answer of the JetStream API, and for one publish acknowledgement.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Within this time a message with the same id is stored once. Set explicitly: servers' defaults differ.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Room for headers beside the payload in a stream's largest message, in bytes.
pub const HEADER_BYTES_MAX: usize = 4 * 1024;
/// How long a dispatch is kept: longer than an order can stay open, since one that aged out could be made again.
pub const DISPATCH_AGE_MAX: Duration = Duration::from_secs(120 * 24 * 60 * 60);
/// How long the life of an order can be read back.
pub const HISTORY_AGE_MAX: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// How long brokers remember a node that is not heard any more.
pub const MEMBER_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a checkpoint stays in the object store that nobody replaced.
pub const CHECKPOINT_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The most that a node says of itself.
pub const MEMBER_BYTES_MAX: i32 = 16 * 1024;
/// How often an unready broker is asked for a stream's configuration, one request timeout each.
pub const CONFIG_ATTEMPTS_MAX: u32 = 10;

/// How often the leader is asked for its time in one measurement; the quickest answer counts.
pub const OFFSET_SAMPLES: u32 = 3;
/// An answer that took longer says too little about the leader's time.
pub const OFFSET_ROUND_TRIP_MS_MAX: u64 = 1_000;

/// How long one call tries to settle a publish. A 503 (election, restart) passes within 10 s as a rule.
pub const PUBLISH_SETTLE_MAX: Duration = Duration::from_secs(30);
/// First and longest pause before the same message is sent again.
pub const PUBLISH_RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
pub const PUBLISH_RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// Pause after the server said that it has too many requests.
pub const OVERLOAD_PAUSE: Duration = Duration::from_millis(500);
/// How often a claim that another writer overtook is made again.
pub const CLAIM_ATTEMPTS_MAX: u32 = 5;
/// Times that a message whose fate is unknown is offered again before whoever waits is told so.
pub const SETTLE_ATTEMPTS_MAX: usize = 3;

const _: () = assert!(PUBLISH_SETTLE_MAX.as_secs() >= 10 + REQUEST_TIMEOUT.as_secs());

/// A consumer without anything to send says so this often.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// A consumer that says nothing for so long is made anew.
pub const SILENCE_MAX: Duration = Duration::from_secs(4);
/// The broker removes a consumer that nobody listens to after this.
pub const CONSUMER_INACTIVE_MAX: Duration = Duration::from_secs(10);
/// Between two attempts to subscribe, and two looks at a stream whose leader does not answer.
pub const RESUBSCRIBE_DELAY: Duration = Duration::from_secs(1);
/// A stream is lost when two looks so far apart say the same.
pub const LOSS_CONFIRM: Duration = Duration::from_secs(2);
/// Most messages and bytes of one batch; a batch is what is there, never waited for.
pub const BATCH_MESSAGES_MAX: usize = 1_024;
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Events under way between a consumer and its receiver.
pub const BATCHES_MAX: usize = 8;
/// Messages that a subscription holds before it drops some. A push consumer has up to 32 MiB under way
/// before its flow control waits, which is more small messages than the client's default of 65,536.
pub const SUBSCRIPTION_MESSAGES_MAX: usize = 1 << 19;

const _: () = assert!(SILENCE_MAX.as_millis() >= 3 * HEARTBEAT.as_millis());

/// A pull request ends after this, so that one that was lost with a leader is made again.
pub const PULL_EXPIRES: Duration = Duration::from_secs(2);
/// Past its end a pull request is waited for this long: its answer may be on its way.
pub const PULL_GRACE: Duration = Duration::from_secs(2);
/// Between two attempts to open a work consumer, or to pull from one.
pub const PULL_RETRY_DELAY: Duration = Duration::from_millis(500);
/// A work consumer that has messages to give, and room, and gives none for so long is made anew.
pub const WORK_STALLED_MAX: Duration = Duration::from_secs(10);
/// A work consumer's message that nobody acknowledged or worked on for so long is given to another.
pub const ACK_WAIT: Duration = Duration::from_secs(30);
/// Who works on a message says so this many times within that.
pub const IN_PROGRESS_PER_ACK_WAIT: u32 = 3;
/// How often an acknowledgement that is not confirmed is sent again before the redelivery is left to it.
pub const ACK_ATTEMPTS_MAX: u32 = 5;

const _: () = assert!(IN_PROGRESS_PER_ACK_WAIT >= 2);
const _: () = assert!(WORK_STALLED_MAX.as_secs() > 2 * PULL_EXPIRES.as_secs() + PULL_GRACE.as_secs());
