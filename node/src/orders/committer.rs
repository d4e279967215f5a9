//! Group commit: commands of many requests in one message of `ledger.order.<node>`.
//!
//! The broker syncs its disk once a message, so orders a second are messages a second unless a message carries many.
//! A group is closed when it is large enough or its first command has waited long enough; meanwhile the one before is
//! in flight, and with it under way nothing else is handed over: the next message expects the same last sequence, so
//! the broker takes one of the two and never both.
//!
//! A submitter must know three things apart: its command was never handed over (it may be told to try again), it is
//! stored (the verdict can be waited for), or nobody knows yet. A timeout is the third, never the first: so a command
//! changes hands in one atomic step, and one that was not taken can be withdrawn.
//!
//! The subject is claimed with the first command, and again when the claim is lost or another process took it. What
//! was in flight then stands before the new claim or nowhere, and a fold that passed the claim knows which.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use pannier_protocol::codec::encode;
use pannier_protocol::limits::{ORDER_GROUP_BYTES, ORDER_RESOLVED_BYTES_MAX};
use pannier_protocol::order::Command;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding, MarkId, SourceId, StreamSequence, Timestamp};
use pannier_streams::writer::{Chain, ClaimError, Draft, LostReason, Outcome, Writer};
use pannier_streams::{Broker, Streams};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::Moment;
use crate::limits::{COMMITTER_QUEUE, ORDER_GROUP_WAIT, RETRY_PAUSE};

/// What became of a command on its way to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// In the ledger, as the change `index` of the entry.
    Stored { position: StreamSequence, index: u32 },
    /// It was handed over, and the subject then claimed anew: it stands before that claim or nowhere.
    Superseded { by: StreamSequence },
    /// Handed over, and it may be stored now or later.
    Unknown,
    /// Nobody was asked to store it, and nobody will be.
    NotHandedOver,
    /// The broker will never take it.
    NotStored { reason: String },
}

/// Why a command is not even queued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    #[error(
        "the order has {bytes} bytes once it is resolved, the most is {ORDER_RESOLVED_BYTES_MAX}; place it in parts"
    )]
    TooLarge { bytes: usize },
    #[error("the command is not as the ledger must have it: {reason}")]
    Invalid { reason: String },
    #[error("the ledger cannot be written at the moment; try again with the same key")]
    Unavailable,
    #[error("too many orders wait to be written; try again with the same key")]
    Busy,
}

const QUEUED: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Who has a command: it is taken or withdrawn, never both.
#[derive(Debug, Default)]
struct Hands(AtomicU8);

impl Hands {
    fn pass(&self, to: u8) -> bool {
        self.0.compare_exchange(QUEUED, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A command that was submitted. Dropped, it is withdrawn if it was not handed over yet.
#[derive(Debug)]
pub struct Ticket {
    hands: Arc<Hands>,
    fate: oneshot::Receiver<Fate>,
}

impl Ticket {
    /// What is known within a time; [`Fate::Unknown`] can be asked again.
    pub async fn fate(&mut self, within: Duration) -> Fate {
        if let Ok(Ok(fate)) = tokio::time::timeout(within, &mut self.fate).await {
            return fate;
        }
        if self.hands.pass(WITHDRAWN) || self.hands.0.load(Ordering::Acquire) == WITHDRAWN {
            return Fate::NotHandedOver;
        }
        // It may have been settled between the two looks.
        self.fate.try_recv().unwrap_or(Fate::Unknown)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.hands.pass(WITHDRAWN);
    }
}

struct Submission {
    command: Command,
    bytes: usize,
    since: Moment,
    hands: Arc<Hands>,
    fate: oneshot::Sender<Fate>,
}

/// Takes commands; cheap to clone.
#[derive(Debug, Clone)]
pub struct Committer {
    queue: mpsc::Sender<Submission>,
    available: Arc<AtomicBool>,
}

/// Where groups go, and by which clock they are stamped.
pub struct Options {
    pub broker: Broker,
    pub streams: Streams,
    /// In the subject.
    pub node: SourceId,
    /// Commands in one message, at most; 1 writes each by itself.
    pub group_commands: usize,
    /// Broker time, estimated.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The one task that writes the subject.
pub struct GroupCommit {
    options: Options,
    queue: mpsc::Receiver<Submission>,
    available: Arc<AtomicBool>,
    writer: Option<Writer>,
    /// Of the last message; never falls.
    position: u64,
}

impl Committer {
    /// The two ends; nothing is written until [`GroupCommit::run`] runs.
    pub fn new(options: Options) -> (Self, GroupCommit) {
        let (sender, queue) = mpsc::channel(COMMITTER_QUEUE);
        let available = Arc::new(AtomicBool::new(true));
        let commit =
            GroupCommit { options, queue, available: Arc::clone(&available), writer: None, position: 0 };
        (Self { queue: sender, available }, commit)
    }

    /// Queues a command, or says at once why not.
    pub fn submit(&self, command: Command) -> Result<Ticket, SubmitError> {
        let change = Change::Command(Box::new(command.clone()));
        change.check().map_err(|invalid| SubmitError::Invalid { reason: invalid.to_string() })?;
        let encoded = encode(Encoding::MessagePack, &change);
        let bytes = encoded.map_err(|error| SubmitError::Invalid { reason: error.to_string() })?.len();
        if bytes > ORDER_RESOLVED_BYTES_MAX {
            return Err(SubmitError::TooLarge { bytes });
        }
        if !self.available.load(Ordering::Acquire) {
            return Err(SubmitError::Unavailable);
        }
        let (sender, fate) = oneshot::channel();
        let hands = Arc::<Hands>::default();
        let submission =
            Submission { command, bytes, since: Moment::now(), hands: Arc::clone(&hands), fate: sender };
        self.queue.try_send(submission).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Unavailable,
        })?;
        Ok(Ticket { hands, fate })
    }
}

impl GroupCommit {
    /// Until told to stop: what is queued then was not handed over; what is in flight is settled if the broker answers.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(group)) = stop.run_until_cancelled(self.group()).await {
            if self.writer.is_none() && stop.run_until_cancelled(self.claim()).await.is_none() {
                return;
            }
            self.commit(group, &stop).await;
        }
    }

    /// The next commands to go together; `None` once every [`Committer`] is gone.
    async fn group(&mut self) -> Option<Vec<Submission>> {
        let first = self.queue.recv().await?;
        let closes = tokio::time::sleep(ORDER_GROUP_WAIT.saturating_sub(first.since.elapsed()));
        tokio::pin!(closes);
        let (mut bytes, mut group) = (first.bytes, vec![first]);
        while bytes < ORDER_GROUP_BYTES && group.len() < self.options.group_commands {
            tokio::select! {
                biased;
                next = self.queue.recv() => match next {
                    Some(next) => {
                        bytes += next.bytes;
                        group.push(next);
                    }
                    None => break,
                },
                () = &mut closes => break,
            }
        }
        Some(group)
    }

    /// Until it is claimed.
    async fn claim(&mut self) {
        loop {
            match self.try_claim().await {
                Ok(writer) => {
                    tracing::info!(subject = %writer.subject(), claim = %writer.epoch().claim, "orders are written here");
                    self.writer = Some(writer);
                    return self.available.store(true, Ordering::Release);
                }
                Err(error) => {
                    self.available.store(false, Ordering::Release);
                    tracing::warn!(%error, "the subject of orders cannot be claimed yet, trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    async fn try_claim(&self) -> Result<Writer, ClaimError> {
        let Options { broker, streams, node, now, .. } = &self.options;
        let subject = Subject::Order(node.clone());
        let chain = Chain { subject, source: node.clone(), encoding: Encoding::MessagePack };
        let instance = MarkId::new(&format!("pannier-node-{}", std::process::id()));
        let not_settled = |error: pannier_protocol::IdError| ClaimError::NotSettled {
            subject: chain.subject.to_string(),
            reason: error.to_string(),
        };
        Writer::claim(broker, streams, chain.clone(), &instance.map_err(not_settled)?, now()).await
    }

    /// Hands a group over and stays with it until its fate is known.
    async fn commit(&mut self, group: Vec<Submission>, stop: &CancellationToken) {
        let now = (self.options.now)();
        let (commands, waiting) = taken(group, now);
        let Some(writer) = self.writer.as_mut().filter(|_| !commands.is_empty()) else { return };
        self.position = self.position.max(u64::try_from(now.millis()).unwrap_or(0));
        let changes = commands.into_iter().map(|command| Change::Command(Box::new(command))).collect();
        let draft =
            Draft { position: self.position, sent_at: now, traceparent: None, transaction: None, changes };
        let mut outcome = writer.publish(draft).await;
        while let Outcome::Unsettled { reason } = &outcome {
            self.available.store(false, Ordering::Release);
            tracing::warn!(reason, "a group of orders is not known to be stored, asking again");
            if stop.run_until_cancelled(tokio::time::sleep(RETRY_PAUSE)).await.is_none() {
                return;
            }
            outcome = writer.settle().await;
        }
        match outcome {
            Outcome::Stored(position) => {
                self.available.store(true, Ordering::Release);
                tell(waiting, |index| Fate::Stored { position, index });
            }
            Outcome::Refused { reason } => {
                tracing::error!(reason, "the broker will not take a group of orders");
                self.available.store(true, Ordering::Release);
                tell(waiting, |_| Fate::NotStored { reason: reason.clone() });
            }
            Outcome::Lost(LostReason::Gone) => {
                tracing::info!(
                    "what was written last of orders is no more in the ledger; it is claimed anew"
                );
                self.claim_anew(waiting, stop).await;
            }
            Outcome::Lost(_) | Outcome::Fenced { .. } | Outcome::Unsettled { .. } => {
                tracing::error!(
                    ?outcome,
                    "this node's subject of orders was written by another; is node.name unique?"
                );
                self.claim_anew(waiting, stop).await;
            }
        }
    }

    /// What was in flight stands before the new claim or nowhere.
    async fn claim_anew(&mut self, waiting: Vec<oneshot::Sender<Fate>>, stop: &CancellationToken) {
        self.available.store(false, Ordering::Release);
        self.writer = None;
        if stop.run_until_cancelled(self.claim()).await.is_none() {
            return;
        }
        let by = self.writer.as_ref().map_or(StreamSequence(0), |writer| writer.epoch().claim);
        tell(waiting, |_| Fate::Superseded { by });
    }
}

/// Takes what was not withdrawn and could still be judged; the rest was never handed over.
fn taken(group: Vec<Submission>, now: Timestamp) -> (Vec<Command>, Vec<oneshot::Sender<Fate>>) {
    let in_time = |command: &Command| command.keyed_by().is_none_or(|keyed| now <= keyed.judge_before);
    let taken = group.into_iter().filter(|one| in_time(&one.command) && one.hands.pass(TAKEN));
    taken.map(|one| (one.command, one.fate)).unzip()
}

/// Nobody may be waiting any more.
fn tell(waiting: Vec<oneshot::Sender<Fate>>, fate: impl Fn(u32) -> Fate) {
    for (index, sender) in (0..).zip(waiting) {
        let _ = sender.send(fate(index));
    }
}
