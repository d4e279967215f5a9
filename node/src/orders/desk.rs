//! One keyed command from a request to its verdict.

use pannier_core::ledger::orders::{KeyId, KeyOutcome, KeyRecord, Operation};
use pannier_protocol::order::Command;
use pannier_protocol::{AccountId, AsOf, Fingerprint, IdempotencyKey, StreamSequence, Timestamp};

use super::verdict::{Judged, judged, passed};
use super::{Committer, Fate, SubmitError};
use crate::app::{App, Tables};
use crate::checkpoint::Cover;
use crate::limits::{
    LEDGER_LAG_MAX, ORDER_JUDGE_BEFORE_MS, ORDER_JUDGED_WAIT, ORDER_PRICED_COUNT_MAX, ORDER_STORED_WAIT,
};

/// Who asks for what, under which key.
pub(crate) struct Asked {
    pub(crate) account: AccountId,
    pub(crate) operation: Operation,
    pub(crate) key: IdempotencyKey,
    /// Of the request as it came.
    pub(crate) fingerprint: Fingerprint,
}

/// What is known of a command in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    Judged(KeyOutcome),
    /// It is or may be in the ledger: to be asked again.
    Pending,
}

/// Why nothing came of a command; under the same key it may be tried again, but for the first.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeskError {
    #[error("the key was used for another request of this account; draw a new key for a new request")]
    KeyReused,
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error("the ledger is out of reach; try again with the same key")]
    OutOfReach,
    #[error(
        "this node is more than {} s behind the ledger; try again with the same key, here or on another node",
        LEDGER_LAG_MAX.as_secs()
    )]
    Behind,
    #[error(
        "nodes do not agree on what is in stock, so none takes orders; try again with the same key once operators have \
         taken the wrong one out (pannier cluster)"
    )]
    Disagree,
    #[error(
        "another node has read orders that the ledger has lost: none are taken until operators have brought them back \
         (pannier recover); try again with the same key"
    )]
    Lost,
    #[error(
        "the broker lost entries, and operators bring back what nodes know of them: no orders until that is done \
         (pannier recover); try again with the same key"
    )]
    Recovering,
    #[error(
        "no confirmed checkpoint is younger than two thirds of what the ledger keeps, so what is ordered now could be lost; \
         try again with the same key once a node has written one (checkpoint.folder; pannier cluster)"
    )]
    Uncovered,
    #[error("prices or caps changed each time that it was judged; try again with the same key")]
    PricedAgain,
}

/// Commits the command that `command` makes of (now, judge before), unless the key was used before, and waits for the
/// verdict of this node's own fold. One that is sent back to be priced again is made anew.
pub(crate) async fn settle<E: From<DeskError>>(
    app: &App,
    tables: &Tables,
    asked: Asked,
    mut command: impl FnMut(Timestamp, Timestamp) -> Result<Command, E>,
) -> Result<Answered, E> {
    let orders = tables.ledger.orders();
    let id = KeyId { account: asked.account, operation: asked.operation, key: asked.key };
    let same = |record: &KeyRecord| {
        let own = record.fingerprint == asked.fingerprint;
        if own { Ok(Answered::Judged(record.outcome)) } else { Err(DeskError::KeyReused) }
    };
    for _ in 0..ORDER_PRICED_COUNT_MAX {
        if let Some(record) = orders.key(&id) {
            let answered = same(&record)?;
            // It is seen before the rest of its entry is, which may be the order that it names.
            let is_whole = passed(&app.progress, record.position, ORDER_JUDGED_WAIT).await;
            return Ok(if is_whole { answered } else { Answered::Pending });
        }
        let committer = writable(app, tables)?;
        let now = app.clock.now();
        let command = command(now, now.plus_millis(ORDER_JUDGE_BEFORE_MS))?;
        let mut ticket = committer.submit(command).map_err(DeskError::Submit)?;
        let fate = ticket.fate(ORDER_STORED_WAIT).await;
        match judged(&app.progress, &fate, ORDER_JUDGED_WAIT, || orders.key(&id)).await {
            Judged::Verdict(record) => return Ok(same(&record)?),
            Judged::NotPlaced => return Err(DeskError::OutOfReach.into()),
            Judged::Pending if was_returned(app, &fate) => {}
            Judged::Pending => return Ok(Answered::Pending),
        }
    }
    Err(DeskError::PricedAgain.into())
}

/// What a command would be handed to, if its verdict can be expected soon.
fn writable<'a>(app: &'a App, tables: &Tables) -> Result<&'a Committer, DeskError> {
    let progress = app.progress.read();
    if progress.ledger_lag().is_none_or(|lag| lag > LEDGER_LAG_MAX) {
        return Err(if progress.connected { DeskError::Behind } else { DeskError::OutOfReach });
    }
    if app.metrics.members_disagree.get() != 0 {
        return Err(DeskError::Disagree);
    }
    if app.metrics.members_ahead.get() != 0 {
        return Err(DeskError::Lost);
    }
    if app.checkpoints.cover(app.clock.now()) == Cover::TooOld {
        return Err(DeskError::Uncovered);
    }
    if tables.ledger.orders().recovery().is_some_and(|recovery| !recovery.done) {
        return Err(DeskError::Recovering);
    }
    app.committer.get().filter(|_| progress.connected).ok_or(DeskError::OutOfReach)
}

/// Its entry was passed and left no record.
fn was_returned(app: &App, fate: &Fate) -> bool {
    let Fate::Stored { position, .. } = fate else { return false };
    app.progress.read().applied.ledger >= *position
}

/// What an answer about orders rests on: the ledger alone.
pub(crate) fn as_of(tables: &Tables) -> AsOf {
    let none = StreamSequence(0);
    let (incarnation, ledger) = (tables.incarnation.clone(), tables.ledger.position());
    AsOf { incarnation, ledger, shared: none, partition: none }
}
