//! Who else is there: every node says once a second what it is and how far, in a key-value bucket of the broker, and
//! keeps what the others said. A node that cannot read the members keeps what it knew.
//!
//! Nobody is led by this: nodes are equal, and each judges by its own fold. What members tell is for operators, for
//! whoever wants a checkpoint of a peer, and for two things more: nodes whose tables differ at one position cannot all
//! be right, so orders are refused until the wrong one has found that out (`doubt`) or an operator has decided; and entries
//! that a node has read and the ledger lost are customers' orders, so none are taken before these are back.

mod digests;
mod doubt;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use pannier_core::ledger::RULE_VERSION;
use pannier_protocol::api::operator::{
    Agreement, ClusterShown, Member, MemberCheckpoint, MemberDifference, MemberPositions, MemberShown,
};
use pannier_protocol::{SourceId, StreamSequence, Timestamp};
use pannier_streams::members::{Bucket, Heard, MembersError};
use pannier_streams::{Broker, Streams};
use tokio::time::timeout;

pub(crate) use digests::Digests;
use doubt::Doubt;

use crate::app::{Addresses, App};
use crate::checkpoint::Cover;
use crate::limits::{HEARTBEAT_INTERVAL, MEMBER_SILENT_AFTER, MEMBERS_MAX, RETRY_PAUSE};
use crate::progress::State;
use crate::shutdown::Tasks;

/// What is known of all nodes, this one included.
#[derive(Debug, Default)]
pub(crate) struct Members {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// At most [`MEMBERS_MAX`].
    members: BTreeMap<SourceId, Member>,
    /// Whether the watch stands.
    connected: bool,
}

impl Members {
    /// A node whose tables differ from this one's, and where; not of one that has gone.
    pub(crate) fn disagreement(&self, app: &App) -> Option<(SourceId, MemberDifference)> {
        let own = app.digests.known();
        let known = self.read();
        known.members.iter().find_map(|(node, member)| {
            if heard(app, member) >= MEMBER_SILENT_AFTER || !is_of(app, member) {
                return None;
            }
            match digests::agreement(&own, &member.digests) {
                Agreement::Differs(difference) => Some((node.clone(), difference)),
                Agreement::Unknown | Agreement::Agrees(_) => None,
            }
        })
    }

    /// A node that has read entries that the ledger lost and nobody has recovered since, and how far.
    fn ahead(&self, app: &App) -> Option<(SourceId, StreamSequence)> {
        let tables = app.tables.get()?;
        let recovery = tables.ledger.orders().recovery();
        let recovered = recovery.filter(|it| it.done).map(|it| it.up_to);
        let known = self.read();
        let mut ahead = known.members.values().filter(|member| {
            member.lost_entries
                && member.node != app.config.node_name()
                && member.incarnation == tables.incarnation
                && heard(app, member) < MEMBER_SILENT_AFTER
                && recovered.is_none_or(|up_to| up_to < member.applied.ledger)
        });
        ahead.next().map(|member| (member.node.clone(), member.applied.ledger))
    }

    pub(crate) fn shown(&self, app: &App) -> ClusterShown {
        let own = app.digests.known();
        let known = self.read();
        let members = known.members.values().map(|member| MemberShown {
            heard_ms: u64::try_from(heard(app, member).as_millis()).unwrap_or(u64::MAX),
            silent: heard(app, member) >= MEMBER_SILENT_AFTER,
            agreement: match is_of(app, member) {
                true => digests::agreement(&own, &member.digests),
                false => Agreement::Unknown,
            },
            member: member.clone(),
        });
        ClusterShown { asked: app.config.node_name(), connected: known.connected, members: members.collect() }
    }

    /// Learns from the others which checkpoints are right.
    fn confirm(&self, app: &App) {
        let own = app.digests.known();
        let known = self.read();
        let is_other = |member: &&Member| member.node != app.config.node_name() && is_of(app, member);
        let others = known.members.values().filter(is_other);
        let mut is_alone = known.connected;
        for member in others.filter(|member| heard(app, member) < MEMBER_SILENT_AFTER) {
            is_alone = false;
            if let Some(checkpoint) = member.checkpoint.as_ref().filter(|it| it.confirmed) {
                app.checkpoints.covered(checkpoint.at);
            }
            if let Agreement::Agrees(at) = digests::agreement(&own, &member.digests) {
                app.checkpoints.agreed(Some(at));
            }
        }
        if is_alone {
            app.checkpoints.agreed(None);
        }
    }

    /// Whether this node comes first of those that have a checkpoint, by name: one copy in the object store is for all.
    pub(crate) fn is_first_to_share(&self, app: &App) -> bool {
        let (own, known) = (app.config.node_name(), self.read());
        let shares = |member: &Member| {
            member.checkpoint.is_some() && is_of(app, member) && heard(app, member) < MEMBER_SILENT_AFTER
        };
        !known.members.values().any(|member| member.node < own && shares(member))
    }

    fn hear(&self, heard: Heard) {
        let mut known = self.write();
        match heard {
            Heard::Said(name, bytes) => match serde_json::from_slice::<Member>(&bytes) {
                Ok(member)
                    if known.members.len() < MEMBERS_MAX || known.members.contains_key(&member.node) =>
                {
                    known.members.insert(member.node.clone(), member);
                }
                Ok(_) => tracing::warn!(name, "more than {MEMBERS_MAX} nodes are known; it is passed over"),
                Err(error) => tracing::warn!(name, %error, "what a node says of itself cannot be read"),
            },
            Heard::Left(name) => {
                if let Ok(node) = SourceId::new(&name) {
                    known.members.remove(&node);
                }
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        // Nothing that holds the lock can leave the map half changed.
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Since the node said so, both by broker time.
fn heard(app: &App, member: &Member) -> Duration {
    Duration::from_millis(app.clock.now().millis_since(member.at))
}

/// Digests of another life of the ledger are no matter of comparison, and those of a node that refuses its streams are of
/// what the broker has lost.
fn is_of(app: &App, member: &Member) -> bool {
    let is_refused = member.state == State::Refused.as_str();
    !is_refused && app.progress.read().incarnation.as_ref() == Some(&member.incarnation)
}

/// Other nodes of this ledger that are ready, the one that is ahead first; for a node that hears nobody yet.
pub(crate) async fn ready(
    app: &App,
    broker: &Broker,
    streams: &Streams,
) -> Result<Vec<Member>, MembersError> {
    let own = app.config.node_name();
    let known = Bucket::open(broker, streams).await?.all().await?;
    let read = known.iter().filter_map(|said| serde_json::from_slice::<Member>(said).ok());
    let is_ready = |member: &Member| {
        member.node != own
            && member.incarnation == streams.incarnation
            && member.state == State::Ready.as_str()
            && heard(app, member) < MEMBER_SILENT_AFTER
    };
    let mut ready: Vec<_> = read.filter(is_ready).collect();
    ready.sort_by_key(|member| std::cmp::Reverse((member.applied.ledger, member.applied.catalog)));
    Ok(ready)
}

/// Hears for the first time what others said, before this node takes an order.
pub(crate) async fn meet(app: &App, broker: &Broker, streams: &Streams) {
    let known = timeout(MEMBER_SILENT_AFTER, async { Bucket::open(broker, streams).await?.all().await });
    match known.await {
        Ok(Ok(known)) => {
            let said = known.into_iter().filter_map(|said| {
                let member: Member = serde_json::from_slice(&said).ok()?;
                Some(Heard::Said(member.node.to_string(), said))
            });
            said.for_each(|said| app.members.hear(said));
            look_for_lost_entries(app);
        }
        Ok(Err(error)) => tracing::warn!(%error, "the members cannot be read yet"),
        Err(_) => tracing::warn!("the members do not answer yet"),
    }
}

/// Until the node stops; then it says that it leaves.
pub(crate) async fn run(app: Arc<App>, tasks: Tasks, broker: Broker, streams: Streams) {
    let stop = tasks.token();
    let bucket = loop {
        match stop.run_until_cancelled(Bucket::open(&broker, &streams)).await {
            None => return,
            Some(Ok(bucket)) => break bucket,
            Some(Err(error)) => wait(&error, "open").await,
        }
    };
    let doubt = Doubt::new(Arc::clone(&app), tasks.clone(), broker.clone(), streams);
    tokio::select! {
        () = say(&app, &bucket, doubt) => {}
        () = hear(&app, &bucket) => {}
        () = stop.cancelled() => {}
    }
    if let Err(error) = bucket.leave(app.config.node_name().as_str()).await {
        tracing::debug!(%error, "could not say that the node leaves");
    }
}

async fn say(app: &App, bucket: &Bucket, mut doubt: Doubt) {
    let mut interval = tokio::time::interval(HEARTBEAT_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        look(app, &mut doubt);
        let Some(member) = own(app) else { continue };
        let bytes = serde_json::to_vec(&member).expect("strings and numbers are always JSON");
        if let Err(error) = bucket.say(member.node.as_str(), Bytes::from(bytes)).await {
            tracing::debug!(%error, "the members did not take what this node says of itself");
        }
    }
}

/// What others' tables and checkpoints say of this node's, told once, and again when it is over.
fn look(app: &App, doubt: &mut Doubt) {
    app.members.confirm(app);
    look_after_checkpoints(app);
    let differs = app.members.disagreement(app);
    let before = app.metrics.members_disagree.set(i64::from(differs.is_some()));
    doubt.look_into(differs.as_ref().map(|(_, at)| *at));
    look_for_lost_entries(app);
    app.metrics.members_heard.set(i64::try_from(app.members.read().members.len()).unwrap_or(i64::MAX));
    match differs {
        Some((node, at)) if before == 0 => {
            tracing::error!(%node, stream = ?at.stream, position = %at.position,
                "its tables differ from this node's: one of them is wrong; orders are refused until one leaves");
        }
        None if before != 0 => tracing::warn!("the nodes that are there agree again"),
        Some(_) | None => {}
    }
}

/// A node that refuses the streams has read entries that the ledger has not: customers hold answers that rest on them.
fn look_for_lost_entries(app: &App) {
    let ahead = app.members.ahead(app);
    let before = app.metrics.members_ahead.set(i64::from(ahead.is_some()));
    match ahead {
        Some((node, position)) if before == 0 => tracing::error!(%node, %position,
            "it has read entries that the ledger has lost: orders are refused until they are recovered (pannier \
             recover), or that node is stopped"),
        None if before != 0 => tracing::warn!("no node knows entries any more that the ledger has not"),
        Some(_) | None => {}
    }
}

fn look_after_checkpoints(app: &App) {
    let cover = app.checkpoints.cover(app.clock.now());
    let state = match cover {
        Cover::Good => 0,
        Cover::Old => 1,
        Cover::TooOld => 2,
    };
    let before = app.metrics.checkpoint_overdue.set(state);
    match cover {
        Cover::Old if before == 0 => tracing::error!(
            "the newest confirmed checkpoint is older than a third of what the ledger keeps: see that a node has \
             checkpoint.folder, and that nodes agree (pannier cluster)"
        ),
        Cover::TooOld if before < 2 => tracing::error!(
            "the newest confirmed checkpoint is older than two thirds of what the ledger keeps: no orders until one is written"
        ),
        Cover::Good if before != 0 => tracing::warn!("a checkpoint is confirmed again"),
        Cover::Good | Cover::Old | Cover::TooOld => {}
    }
}

async fn hear(app: &App, bucket: &Bucket) {
    loop {
        match bucket.listen().await {
            Ok(mut heard) => {
                app.members.write().connected = true;
                // What this node says itself comes back too: a watch that brings nothing has died without a word.
                while let Ok(Some(heard)) = timeout(MEMBER_SILENT_AFTER, heard.next()).await {
                    match heard {
                        Ok(heard) => app.members.hear(heard),
                        Err(error) => {
                            tracing::debug!(%error, "the members cannot be read");
                            break;
                        }
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "the members cannot be read"),
        }
        app.members.write().connected = false;
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn wait(error: &MembersError, what: &str) {
    tracing::warn!(%error, "could not {what} the members, trying again");
    tokio::time::sleep(RETRY_PAUSE).await;
}

/// What this node says of itself, once it knows which ledger it reads.
fn own(app: &App) -> Option<Member> {
    let Addresses { http, operator, quic } = *app.addresses.get()?;
    let progress = app.progress.read();
    let applied = MemberPositions { ledger: progress.applied.ledger, catalog: progress.applied.catalog };
    let lag = progress.ledger_lag().map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX));
    let is_given = !app.config.quic.authority.as_os_str().is_empty();
    Some(Member {
        node: app.config.node_name(),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        rules_known: RULE_VERSION,
        rules: app.rules(),
        incarnation: progress.incarnation.clone()?,
        state: progress.state.as_str().to_owned(),
        detail: progress.detail.clone(),
        lost_entries: progress.lost,
        applied,
        ledger_lag_ms: lag,
        lookups_in_flight: u64::try_from(app.metrics.lookups_in_flight.get()).unwrap_or(0),
        http: http.to_string(),
        operator: operator.to_string(),
        quic: quic.filter(|_| is_given).map(|listens| app.config.quic.advertised(listens)),
        digests: app.digests.shown(),
        // One that was taken before the first entry is of no time that could be written.
        checkpoint: app.checkpoints.newest().filter(|kept| kept.whole_at > Timestamp::MIN).map(|kept| {
            MemberCheckpoint {
                ledger: kept.ledger,
                catalog: kept.catalog,
                at: kept.whole_at,
                confirmed: kept.is_confirmed,
            }
        }),
        at: app.clock.now(),
    })
}
