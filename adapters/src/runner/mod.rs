//! What every adapter publishes through.
//!
//! An adapter knows its source; this knows how to say it so that a node can believe it. Left to each adapter,
//! the same mistakes come back in every one: progress saved before the publish (lost rows) or after it (doubled
//! ones), a restart that goes on under a stale state, two processes that overwrite each other, a gap that nobody
//! repeats. So an adapter only *submits*, and everything else is here, once.
//!
//! # Writing an adapter
//!
//! 1. [`Runner::open`] with a source id and a path for the state. One process a source.
//! 2. Read the source. Turn what it says into [`Change`]s: absolute rows, whole
//!    records. Put what must be seen together into one group of a [`Submission`]; what is the whole of a table,
//!    a warehouse or a price scope into a [`Snapshot`].
//! 3. Add to the submission's `notes` what says how far you have read: a file's name, a log position. Notes and
//!    changes are kept together or not at all. After a restart read your notes and go on behind them. Submitting
//!    the same thing twice is harmless: rows are absolute.
//! 4. [`Runner::submit`]; when it returns, the submission will be published whatever happens to the process. It
//!    blocks on the disk: call it from a blocking thread through [`Runner::desk`].
//! 5. [`Runner::drain`] publishes all of it. It waits for a broker that is away, and ends with an error only when
//!    going on would be wrong: another writer took over ([`DrainError::Fenced`]), the state is damaged.
//! 6. [`Runner::tick`] after each time that the source was read to its end, with that instant, and again every
//!    few seconds with the same one while nothing comes: its age is what readers see, so never the time of sending.
//!    It is told in broker time: convert what a clock of yours says by [`Desk::broker_time`] when you read it. The
//!    runner measures how far this machine's clock is from the broker's, at its start and every half minute.
//! 7. [`Runner::resync_requests`] and [`Runner::repeat`]: nodes ask for a chain again after a gap.
//! 8. Where the source can be asked about one item at a time, [`Runner::questions`]: what nodes want to know right now,
//!    because policy says `ask` and their tables are too old. A source that cannot leaves it out.
//!
//! ```no_run
//! use pannier_adapters::runner::{CaughtUp, Runner, RunnerConfig, Submission};
//! # fn read_source(after: u64) -> (u64, Vec<Vec<pannier_protocol::Change>>, pannier_protocol::Timestamp) {
//! #     (after, Vec::new(), pannier_protocol::Timestamp::default())
//! # }
//! # async fn adapter(config: RunnerConfig) -> Result<(), Box<dyn std::error::Error>> {
//! let mut runner = Runner::open(&config).await?;
//! let desk = runner.desk();
//! let note = desk.note("log")?.and_then(|bytes| bytes.try_into().ok());
//! let mut read_to = note.map_or(0, u64::from_be_bytes);
//! loop {
//!     let (position, groups, at) = read_source(read_to);
//!     let at = desk.broker_time(at);
//!     let notes = vec![("log".to_owned(), Some(position.to_be_bytes().to_vec()))];
//!     desk.submit(Submission { position, groups, notes, ..Submission::default() })?;
//!     read_to = position;
//!     runner.drain().await?;
//!     runner.tick(&CaughtUp { ledger: Some(at), ..CaughtUp::default() })?;
//!     runner.drain().await?;
//! }
//! # }
//! ```
//!
//! # How it holds
//!
//! - The store keeps a *mirror* of every row published, so that a chain can be repeated as a snapshot at any time
//!   without asking the source, and a lost state of the broker costs a snapshot, not an export.
//! - A submission is numbered and encoded into the outbox in the same transaction (`store`). What is sent is what
//!   was stored; after a crash the broker's last message of the subject says how much of it arrived.
//! - Streams forget, so a chain is repeated whole before its last snapshot is a week old.
//! - A chain without an epoch is claimed when it is drained; every epoch begins with a snapshot of the mirror.
//! - Prices go to the partition of the family that they serve; when members or roots change, they move (`home`).
//!
//! Rejected: asking adapters for a callback that re-reads everything (a source may be down when a node asks), and
//! numbering messages when they are sent (a snapshot's hash must be known before its last message is).

mod clock;
mod drain;
mod home;
mod outbox;
mod pack;
mod questions;
mod row_key;
pub mod sink;
mod store;
mod submit;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use pannier_protocol::subject::{Prefix, Subject};
use pannier_protocol::{AccountId, Change, ItemId, MarkId, Partition, SourceId, Timestamp};
use pannier_streams::clock::{ClockError, broker_offset};
use pannier_streams::connect::{ConnectError, Options};
use pannier_streams::{Broker, ConfigError};
use tokio::time::Instant;

pub(crate) use clock::{at, now};
pub use drain::{DrainError, Positions};
pub(crate) use home::price_scope;
pub use outbox::CaughtUp;
pub use questions::{Question, Questions};
pub use store::StoreError;
pub(crate) use store::{decode, encode};
pub use submit::{Review, Snapshot, Submission, priced};

use crate::limits::{CLOCK_INTERVAL, REPEAT_LOOK_INTERVAL, RESYNC_INTERVAL_MIN};
use clock::BrokerClock;
use drain::Drain;
use pannier_protocol::change::{Account, AccountRemoved, Item, ItemRemoved, Table};
use store::Store;

/// What a runner needs to know.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    pub source: SourceId,
    pub prefix: Prefix,
    /// NATS URLs with commas between.
    pub nats: String,
    /// The state: one file, of this source alone.
    pub state: std::path::PathBuf,
}

/// Why a runner cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the folder of the state {} cannot be made", path.display())]
    Folder {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Streams(#[from] ConfigError),
    #[error("resync requests cannot be subscribed to: {0}")]
    Subscribe(#[from] async_nats::SubscribeError),
    #[error("the broker's time cannot be compared with this machine's")]
    Clock(#[from] ClockError),
}

/// Publishes what one source says. See the module.
pub struct Runner {
    desk: Desk,
    drain: Drain,
    requests: async_nats::Subscriber,
    repeated: HashMap<Subject, Instant>,
    /// When the broker was last asked for its time.
    measured: Instant,
    /// When chains were last looked through for old ones; `None`: not once.
    looked: Option<Instant>,
}

/// Where submissions are handed in and the mirror is read: the part of a runner that needs no broker. Cheap to
/// clone; its calls block on the disk.
#[derive(Debug, Clone)]
pub struct Desk {
    store: Arc<Store>,
    source: SourceId,
    clock: Arc<BrokerClock>,
}

impl Runner {
    /// Opens the state and connects; waits for a broker that is not there yet.
    pub async fn open(config: &RunnerConfig) -> Result<Self, OpenError> {
        let desk = Desk::open(config.source.clone(), &config.state)?;
        let name = format!("pannier adapter {}", config.source);
        let broker = Broker::connect(&Options::new(config.nats.clone(), name)).await?;
        let streams = pannier_streams::open(&broker, &config.prefix).await?;
        desk.clock.set(broker_offset(&broker, &streams.ledger, now).await?);
        let requests = broker.client().subscribe(config.prefix.resync(&config.source)).await?;
        let instance = format!("pid-{}", std::process::id());
        let drain = Drain {
            broker,
            streams,
            source: config.source.clone(),
            instance: MarkId::new(&instance).expect("letters and digits are an id"),
            writers: HashMap::new(),
            positions: Positions::default(),
            unwritten: 0,
        };
        Ok(Self { desk, drain, requests, repeated: HashMap::new(), measured: Instant::now(), looked: None })
    }

    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Takes a submission in; durable when it returns. Blocks on the disk.
    pub fn submit(&self, submission: Submission) -> Result<(), StoreError> {
        self.desk.submit(submission)
    }

    /// Publishes all that was submitted. Can be dropped at any time and called again.
    pub async fn drain(&mut self) -> Result<Positions, DrainError> {
        self.measure_clock().await;
        self.repeat_old()?;
        self.drain.run(&self.desk.store).await
    }

    fn repeat_old(&mut self) -> Result<(), StoreError> {
        if self.looked.is_some_and(|at| at.elapsed() < REPEAT_LOOK_INTERVAL) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        for subject in outbox::repeat_old(&self.desk.store, &self.desk.source, now())? {
            tracing::info!(%subject, "repeating the chain as a snapshot, before streams forget the last one");
        }
        Ok(())
    }

    /// While the broker does not answer, what was measured last stands.
    async fn measure_clock(&mut self) {
        if self.measured.elapsed() < CLOCK_INTERVAL {
            return;
        }
        self.measured = Instant::now();
        let Drain { broker, streams, .. } = &self.drain;
        match broker_offset(broker, &streams.ledger, now).await {
            Ok(offset_millis) => {
                tracing::debug!(offset_millis, "the broker's clock less this machine's");
                self.desk.clock.set(offset_millis);
            }
            Err(error) => tracing::debug!(%error, "the broker's clock was not measured"),
        }
    }

    /// Says until when the source was read, in broker time ([`Desk::broker_time`]); published with the next [`Runner::drain`]. Chains that were not
    /// claimed yet are left out: drain first.
    pub fn tick(&self, caught_up: &CaughtUp) -> Result<(), StoreError> {
        outbox::push_ticks(&self.desk.store, &self.desk.source, caught_up, now())
    }

    /// What nodes want to know of this source right now. From here on they wait for its answers: take them up at once, or
    /// [`Question::decline`] them.
    pub async fn questions(&self, prefix: &Prefix) -> Result<Questions, async_nats::SubscribeError> {
        let (broker, source) = (self.drain.broker.clone(), self.desk.source.clone());
        let subscriber = broker.client().subscribe(prefix.ask(&source)).await?;
        Ok(Questions { subscriber, broker, source })
    }

    /// Waits for a node that asks for chains again: the subjects that it names, all when it names none.
    pub async fn resync_requests(&mut self) -> Vec<Subject> {
        match self.requests.next().await {
            Some(message) => named_subjects(&message.payload),
            None => std::future::pending().await,
        }
    }

    /// Repeats chains as snapshots with the next [`Runner::drain`]; none named: all. Each at most once in
    /// [`RESYNC_INTERVAL_MIN`], for every node of a cluster asks.
    pub fn repeat(&mut self, subjects: &[Subject]) -> Result<(), StoreError> {
        for (subject, _) in self.desk.store.chains()? {
            let is_named = subjects.is_empty() || subjects.contains(&subject);
            let is_recent = self.repeated.get(&subject).is_some_and(|at| at.elapsed() < RESYNC_INTERVAL_MIN);
            if is_named && !is_recent && outbox::repeat(&self.desk.store, &self.desk.source, &subject, now())?
            {
                tracing::info!(%subject, "repeating the chain as a snapshot, as a node asked");
                self.repeated.insert(subject, Instant::now());
            }
        }
        Ok(())
    }
}

/// A request is a subject without its prefix; anything else names none.
fn named_subjects(payload: &[u8]) -> Vec<Subject> {
    let text = std::str::from_utf8(payload).unwrap_or_default();
    Subject::parse(text.trim()).into_iter().collect()
}

impl Desk {
    pub(crate) fn open(source: SourceId, state: &Path) -> Result<Self, OpenError> {
        let folder = state.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)
            .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
        Ok(Self { store: Arc::new(Store::open(state)?), source, clock: Arc::default() })
    }

    /// An instant of this machine's clock, or of one that goes with it, in broker time: what ticks are told in.
    /// Convert it when it is read, and keep the result: clocks are set. An instant in the future counts as now.
    pub fn broker_time(&self, at: Timestamp) -> Timestamp {
        self.clock.broker_time(at, now())
    }

    /// See [`Runner::submit`].
    pub fn submit(&self, submission: Submission) -> Result<(), StoreError> {
        submit::submit(&self.store, &self.source, submission, now())
    }

    /// A note of a submission before.
    pub fn note(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.note(key)
    }

    /// All notes whose key begins with `prefix`, in order.
    pub fn notes(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.store.notes(prefix)
    }

    fn shared(&self) -> Subject {
        Subject::Catalog(Partition::Shared, self.source.clone())
    }

    /// What was last submitted of the rows that `removal` would take away.
    pub fn remembered(&self, removal: &Change) -> Result<Vec<Change>, StoreError> {
        let subject = self.store.subject_of(&self.source, removal)?;
        let keys = row_key::named(&subject, removal);
        keys.iter().filter_map(|key| self.store.row(key).transpose()).collect()
    }

    /// An item as it was last submitted.
    pub fn item(&self, item: &ItemId) -> Result<Option<Item>, StoreError> {
        let rows = self.remembered(&Change::ItemRemoved(ItemRemoved { item: item.clone() }))?;
        let item = |change| if let Change::Item(item) = change { Some(item) } else { None };
        Ok(rows.into_iter().find_map(item))
    }

    /// An account as it was last submitted.
    pub fn account(&self, account: &AccountId) -> Result<Option<Account>, StoreError> {
        let rows = self.remembered(&Change::AccountRemoved(AccountRemoved { account: account.clone() }))?;
        let account = |change| if let Change::Account(account) = change { Some(account) } else { None };
        Ok(rows.into_iter().find_map(account))
    }

    /// All items as they were last submitted, by id.
    pub fn items(&self) -> Result<Vec<Item>, StoreError> {
        let rows = self.store.rows(&row_key::table_range(&self.shared(), Table::Items))?;
        let item = |change| if let Change::Item(item) = change { Some(item) } else { None };
        Ok(rows.into_iter().filter_map(item).collect())
    }

    /// All accounts as they were last submitted, by id.
    pub fn accounts(&self) -> Result<HashMap<AccountId, Account>, StoreError> {
        let rows = self.store.rows(&row_key::table_range(&self.shared(), Table::Accounts))?;
        let account =
            |change| if let Change::Account(of) = change { Some((of.account.clone(), of)) } else { None };
        Ok(rows.into_iter().filter_map(account).collect())
    }
}
