//! How far the node is, and whether it may answer: what `/readyz` says and what `at_least` waits for.
//!
//! One writer (the feed) publishes, everybody else reads or waits. Ready means caught up with the streams as
//! they ended when the node started; a node that falls behind later stays ready, because every answer says
//! how old it is, and a balancer that took all nodes out at once would turn late into never. What takes
//! readiness away again is only what makes the tables wrong: another life of the ledger, a stream that lost
//! its end, a message that needs a newer build.

use std::fmt;
use std::time::Duration;

use pannier_protocol::{AsOf, Incarnation, StreamSequence};
use serde::Serialize;
use tokio::sync::watch;

use crate::clock::Moment;
use crate::lag::Lag;

/// Where the node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No broker yet, or the streams are not checked.
    Starting,
    /// Reading a checkpoint.
    Loading,
    CatchingUp,
    Ready,
    /// The streams are not those that the tables were made from, or need a newer build. Final.
    Refused,
    Stopping,
}

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamName {
    Ledger,
    Catalog,
}

/// A position in each stream; 0 is before the first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Positions {
    pub ledger: StreamSequence,
    pub catalog: StreamSequence,
}

/// All that is known of the feed at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    pub state: State,
    /// One sentence where the state is not `ready`: what is missing, and what to do.
    pub detail: String,
    pub connected: bool,
    /// Where the tables come from, and how far that is.
    pub load: Option<Load>,
    /// Until the node is ready, where that can be told.
    pub seconds_left: Option<u64>,
    pub incarnation: Option<Incarnation>,
    pub applied: Positions,
    /// Where the streams ended when the node started; readiness is to have been there.
    pub start: Option<Positions>,
    /// Where the leader last said that they end.
    pub end: Positions,
    /// It is refused because the streams have lost entries that were applied.
    #[serde(skip)]
    pub lost: bool,
    #[serde(skip)]
    lag: Lag,
    /// When and where catching up began.
    #[serde(skip)]
    catch_up: Option<(Moment, Positions)>,
}

/// Where tables are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadSource {
    Disk,
    /// Of a node that runs.
    Peer,
    /// Of the object store.
    Store,
    /// From the first entries of the streams on.
    Log,
}

/// How far a node is in taking its tables from one place; of a log the positions say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Load {
    pub source: LoadSource,
    /// Of the checkpoint, and of the node that gives it.
    pub name: String,
    /// Records and price rows.
    pub rows: u64,
    pub bytes: u64,
    pub bytes_total: Option<u64>,
    pub seconds_left: Option<u64>,
}

/// The writing end; clones read.
#[derive(Clone)]
pub struct Progress {
    snapshot: watch::Sender<Snapshot>,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Loading => "loading",
            Self::CatchingUp => "catching_up",
            Self::Ready => "ready",
            Self::Refused => "refused",
            Self::Stopping => "stopping",
        }
    }
}

impl StreamName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Catalog => "catalog",
        }
    }
}

impl Positions {
    /// What an answer as of `as_of` was computed from. Shared and family partitions are one stream.
    pub fn of(as_of: &AsOf) -> Self {
        Self { ledger: as_of.ledger, catalog: as_of.shared.max(as_of.partition) }
    }

    pub fn covers(self, other: Self) -> bool {
        self.ledger >= other.ledger && self.catalog >= other.catalog
    }

    /// The later of both, in each stream.
    pub fn max(self, other: Self) -> Self {
        Self { ledger: self.ledger.max(other.ledger), catalog: self.catalog.max(other.catalog) }
    }

    pub fn set(&mut self, stream: StreamName, to: StreamSequence) {
        match stream {
            StreamName::Ledger => self.ledger = to,
            StreamName::Catalog => self.catalog = to,
        }
    }

    pub fn get(self, stream: StreamName) -> StreamSequence {
        match stream {
            StreamName::Ledger => self.ledger,
            StreamName::Catalog => self.catalog,
        }
    }
}

impl Load {
    pub fn new(source: LoadSource, name: String) -> Self {
        Self { source, name, rows: 0, bytes: 0, bytes_total: None, seconds_left: None }
    }

    /// So many more bytes, with which there are `rows`, `since` it began.
    pub fn advance(&mut self, rows: u64, bytes: usize, since: Duration) {
        self.rows = rows;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.seconds_left = self.bytes_total.and_then(|total| seconds_left(since, self.bytes, total));
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, name, rows, bytes, bytes_total, seconds_left } = self;
        match source {
            LoadSource::Log => return f.write_str("starting from the first entries of the streams"),
            LoadSource::Disk => write!(f, "loading checkpoint {name} from disk: {rows} rows, {bytes}")?,
            LoadSource::Peer => write!(f, "loading checkpoint {name} over QUIC: {rows} rows, {bytes}")?,
            LoadSource::Store => {
                write!(f, "loading checkpoint {name} from the object store: {rows} rows, {bytes}")?;
            }
        }
        if let Some(total) = bytes_total {
            write!(f, " of {total}")?;
        }
        write!(f, " bytes{}", left(*seconds_left))
    }
}

/// As fast as so far; `None` while nothing is done.
fn seconds_left(since: Duration, done: u64, all: u64) -> Option<u64> {
    let millis = u64::try_from(since.as_millis()).ok()?;
    let left = millis.checked_mul(all.saturating_sub(done))?.checked_div(done)?;
    Some(left.div_ceil(1_000))
}

fn left(seconds: Option<u64>) -> String {
    seconds.map_or_else(String::new, |seconds| format!(", about {seconds} s left"))
}

impl Snapshot {
    /// For how long the fold has not been at the end of the ledger; `None`: it never was.
    pub fn ledger_lag(&self) -> Option<Duration> {
        self.lag.at(Moment::now())
    }

    fn show_catching_up(&mut self) {
        let (State::CatchingUp, Some(start), Some((began, from))) = (self.state, self.start, self.catch_up)
        else {
            return;
        };
        let sum = |positions: Positions| positions.ledger.0.saturating_add(positions.catalog.0);
        let (all, done) = (sum(start).saturating_sub(sum(from)), sum(self.applied).saturating_sub(sum(from)));
        self.seconds_left = seconds_left(began.elapsed(), done, all);
        self.detail = format!("catching up with the streams as they were at start: {done} of {all} entries");
        self.detail.push_str(&left(self.seconds_left));
    }
}

impl Default for Progress {
    fn default() -> Self {
        let snapshot = Snapshot {
            state: State::Starting,
            detail: "waiting for NATS".to_owned(),
            connected: false,
            load: None,
            seconds_left: None,
            incarnation: None,
            applied: Positions::default(),
            start: None,
            end: Positions::default(),
            lost: false,
            lag: Lag::default(),
            catch_up: None,
        };
        Self { snapshot: watch::Sender::new(snapshot) }
    }
}

impl Progress {
    pub fn read(&self) -> watch::Ref<'_, Snapshot> {
        self.snapshot.borrow()
    }

    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    /// The link to the broker came or went; the state stays.
    pub fn set_connected(&self, connected: bool) {
        self.snapshot.send_if_modified(|s| std::mem::replace(&mut s.connected, connected) != connected);
    }

    /// A checkpoint, or the log, is what the tables are being made from.
    pub fn loading(&self, load: Load) {
        self.change(|s| {
            if matches!(s.state, State::Starting | State::Loading) {
                s.state = State::Loading;
                s.detail = load.to_string();
                s.seconds_left = load.seconds_left;
                s.load = Some(load);
            }
        });
    }

    /// The streams are checked; their leader, asked at `asked`, says that they end at `start`.
    pub fn opened(&self, incarnation: Incarnation, start: Positions, asked: Moment) {
        self.change(|s| {
            s.incarnation = Some(incarnation);
            s.start = Some(start);
            s.end = start;
            s.lag.ends(start.ledger, asked);
            s.catch_up = Some((asked, s.applied));
            s.state = State::CatchingUp;
            s.seconds_left = None;
            s.detail = "catching up with the streams as they were at start".to_owned();
        });
    }

    /// Everything up to `to` is in the tables.
    pub fn applied(&self, to: Positions) {
        self.change(|s| {
            s.applied = to;
            s.end = s.end.max(to);
            s.lag.applied(to.ledger);
            s.show_catching_up();
        });
    }

    /// The leader, asked at `asked`, says that the streams end at `end`; an older answer changes nothing.
    pub fn ends(&self, end: Positions, asked: Moment) {
        self.change(|s| {
            s.end = s.end.max(end);
            s.lag.ends(end.ledger, asked);
        });
    }

    /// As [`Progress::refuse`], where the streams have lost entries that are in the tables.
    pub fn refuse_lost(&self, detail: String) {
        self.change(|s| s.lost |= !matches!(s.state, State::Stopping | State::Refused));
        self.refuse(detail);
    }

    /// The tables can no longer be trusted, for the reason in `detail`. Nothing leads back, and the first reason
    /// stands: what breaks after it is its consequence.
    pub fn refuse(&self, detail: String) {
        self.change(|s| {
            if s.state != State::Stopping && s.state != State::Refused {
                s.state = State::Refused;
                s.detail = detail;
            }
        });
    }

    pub fn stopping(&self) {
        self.change(|s| {
            s.state = State::Stopping;
            s.detail = "the node was told to stop".to_owned();
        });
    }

    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        self.snapshot.send_modify(|s| {
            change(s);
            let there = s.start.is_some_and(|start| s.applied.covers(start));
            if s.state == State::CatchingUp && there {
                s.state = State::Ready;
                s.seconds_left = None;
                s.detail = String::new();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ledger: u64, catalog: u64) -> Positions {
        Positions { ledger: StreamSequence(ledger), catalog: StreamSequence(catalog) }
    }

    fn state(progress: &Progress) -> State {
        progress.read().state
    }

    #[test]
    fn ready_is_caught_up_with_both_streams_as_they_were() {
        let progress = Progress::default();
        assert_eq!(state(&progress), State::Starting);
        progress.opened(Incarnation::new("a").unwrap(), at(5, 7), Moment::now());
        progress.applied(at(5, 6));
        assert_eq!(state(&progress), State::CatchingUp);
        progress.applied(at(5, 7));
        assert_eq!(state(&progress), State::Ready);
        progress.ends(at(500, 700), Moment::now());
        assert_eq!(state(&progress), State::Ready);
        progress.ends(at(400, 800), Moment::now());
        assert_eq!(progress.read().end, at(500, 800));
    }

    #[test]
    fn empty_streams_are_caught_up_with_at_once() {
        let progress = Progress::default();
        progress.opened(Incarnation::new("a").unwrap(), at(0, 0), Moment::now());
        assert_eq!(state(&progress), State::Ready);
    }

    #[test]
    fn nothing_leads_back_from_refusal() {
        let progress = Progress::default();
        progress.opened(Incarnation::new("a").unwrap(), at(1, 1), Moment::now());
        progress.refuse("rolled back".to_owned());
        progress.applied(at(9, 9));
        assert_eq!(state(&progress), State::Refused);
        progress.stopping();
        progress.refuse("again".to_owned());
        assert_eq!(state(&progress), State::Stopping);
    }

    #[test]
    fn shared_and_family_positions_are_of_one_stream() {
        let as_of = AsOf::parse("a.L3.S9.P4").unwrap();
        assert_eq!(Positions::of(&as_of), at(3, 9));
        assert!(at(3, 9).covers(at(3, 8)) && !at(2, 99).covers(at(3, 8)));
    }
}
