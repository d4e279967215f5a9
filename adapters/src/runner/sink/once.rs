//! Exactly one document of an order in effect, whatever is repeated, late or paused.
//!
//! Looking whether there is a document and creating one if not is two steps: a create that is carried out after
//! its caller gave it up, or a process that was paused between the two, makes a second. So where the backend
//! does not refuse the second one, creating has no effect, and taking effect is a step of its own:
//!
//! 1. Create a draft of one's own.
//! 2. List all documents of the order, after that.
//! 3. Cancel every other.
//! 4. Confirm the own one, only when all those are cancelled.
//!
//! Why two cannot both take effect: say A confirmed `a` and B confirmed `b`. Each listed after it had created, so
//! of the two lists the later one had both documents, say B's. Then B cancelled `a` before it confirmed `b`. A
//! document is either confirmed or cancelled, for good: A's confirm was refused if B's cancel came first, and
//! B's cancel if A's confirm did, and B did not confirm. When both cancel each other's, none is left and both try
//! again, with one of them fenced by then.
//!
//! A document in effect that is found is the order's, whoever confirmed it, a process that died before it could say so
//! for one: it is acknowledged again. A draft from before is never confirmed, for the order may have been edited.

use pannier_protocol::DocumentId;
use pannier_protocol::order::{Dispatch, OrderId};

use super::backend::{
    Backend, BackendError, Cancellation, Confirmation, Confirmed, Document, DocumentState, Guarantee,
    Withdrawn,
};
use super::calls::{Call, CallError, Calls};
use crate::limits::SINK_ROUNDS_MAX;

/// What attempts at one task know of each other.
#[derive(Debug, Default)]
pub(super) struct Memory {
    own: Option<Document>,
}

/// One round over the documents.
enum Round {
    Done(Confirmed),
    /// They changed meanwhile.
    Again,
}

/// An order that was brought into effect.
pub(super) enum Placed {
    /// By this.
    Made(Confirmed),
    /// It was.
    Found(Confirmed),
    /// It was, and is not any more: somebody there took it back before anybody was told of it.
    TakenBack(DocumentId),
}

/// Brings the order into effect, or finds that it is.
pub(super) async fn place<B: Backend>(
    calls: &Calls<B>,
    dispatch: &Dispatch,
    memory: &mut Memory,
) -> Result<Placed, CallError> {
    for _ in 0..SINK_ROUNDS_MAX {
        let round = match adopt(calls, dispatch.order).await? {
            Found::InEffect(confirmed) => return Ok(Placed::Found(confirmed)),
            Found::Changed => Round::Again,
            Found::Others(found) if let Some(document) = taken_back(dispatch, &found, memory) => {
                if cancel_drafts(calls, &found, None).await? {
                    return Ok(Placed::TakenBack(document));
                }
                Round::Again
            }
            Found::Others(found) => match calls.backend.guarantee() {
                Guarantee::UniqueReference => only_one(calls, dispatch, &found).await?,
                Guarantee::DraftListConfirm => draft_list_confirm(calls, dispatch, &found, memory).await?,
            },
        };
        if let Round::Done(confirmed) = round {
            return Ok(Placed::Made(confirmed));
        }
    }
    let reason = "the documents of the order change all the time; is another process at work on them?";
    Err(BackendError::Transient(reason.to_owned()).into())
}

/// What this dispatch made and somebody took back. Of a later generation only what this process made itself: what else is
/// there may be what the generation before left, and a human said that the order is to be made all the same.
fn taken_back(dispatch: &Dispatch, found: &[Document], memory: &Memory) -> Option<DocumentId> {
    let is_own = |document: &&Document| {
        dispatch.generation == 1 || memory.own.as_ref().is_some_and(|own| own.id == document.id)
    };
    let mut over = found.iter().filter(|document| document.state == DocumentState::TakenBack);
    over.find(is_own).map(|document| document.id.clone())
}

/// What an order has in the backend.
pub(super) enum Found {
    /// One document, confirmed again so that it says what a first confirm would have; the drafts are cancelled.
    InEffect(Confirmed),
    /// It was in effect when listed and is not any more.
    Changed,
    /// None is in effect.
    Others(Vec<Document>),
}

/// Acknowledges what is in effect; changes nothing where nothing is.
pub(super) async fn adopt<B: Backend>(calls: &Calls<B>, order: OrderId) -> Result<Found, CallError> {
    let found = list(calls, order).await?;
    let mut in_effect = found.iter().filter(|document| document.state == DocumentState::InEffect);
    let Some(document) = in_effect.next() else { return Ok(Found::Others(found)) };
    if let Some(second) = in_effect.next() {
        let (first, second) = (&document.id, &second.id);
        let reason =
            format!("{first} and {second} are both in effect for one order: cancel one by hand, then replay");
        return Err(BackendError::Poison(reason).into());
    }
    if !cancel_drafts(calls, &found, None).await? {
        return Ok(Found::Changed);
    }
    match calls.call(Call::Changes, |backend| backend.confirm(document)).await? {
        Confirmation::Confirmed(confirmed) => Ok(Found::InEffect(confirmed)),
        Confirmation::Cancelled => Ok(Found::Changed),
    }
}

async fn draft_list_confirm<B: Backend>(
    calls: &Calls<B>,
    dispatch: &Dispatch,
    found: &[Document],
    memory: &mut Memory,
) -> Result<Round, CallError> {
    let Some(own) = memory.own.clone() else {
        // Listed again before anything is confirmed: what counts is what is there after the draft is.
        memory.own = Some(calls.call(Call::Changes, |backend| backend.create_draft(dispatch)).await?);
        return Ok(Round::Again);
    };
    let state = found.iter().find(|document| document.id == own.id).map(|document| document.state);
    match state {
        Some(DocumentState::Draft) => {}
        Some(DocumentState::Cancelled | DocumentState::TakenBack | DocumentState::InEffect) => {
            memory.own = None;
            return Ok(Round::Again);
        }
        None => {
            let reason = format!("{} was created and is not among the order's documents", own.id);
            return Err(BackendError::Transient(reason).into());
        }
    }
    if !cancel_drafts(calls, found, Some(&own)).await? {
        return Ok(Round::Again);
    }
    match calls.call(Call::Changes, |backend| backend.confirm(&own)).await? {
        Confirmation::Confirmed(confirmed) => Ok(Round::Done(confirmed)),
        Confirmation::Cancelled => {
            memory.own = None;
            Ok(Round::Again)
        }
    }
}

/// The backend holds to one document an order: it is found, or made.
async fn only_one<B: Backend>(
    calls: &Calls<B>,
    dispatch: &Dispatch,
    found: &[Document],
) -> Result<Round, CallError> {
    let draft = found.iter().find(|document| document.state == DocumentState::Draft);
    let document = match (draft, found.first()) {
        (Some(draft), _) => draft.clone(),
        (None, Some(cancelled)) => {
            let reason = format!("{} bears the order's id and is cancelled there", cancelled.id);
            return Err(BackendError::Business(reason).into());
        }
        (None, None) => calls.call(Call::Changes, |backend| backend.create_draft(dispatch)).await?,
    };
    match calls.call(Call::Changes, |backend| backend.confirm(&document)).await? {
        Confirmation::Confirmed(confirmed) => Ok(Round::Done(confirmed)),
        Confirmation::Cancelled => Ok(Round::Again),
    }
}

/// Takes the whole order back: drafts of attempts that never ended, and what is in effect.
pub(super) async fn cancel<B: Backend>(
    calls: &Calls<B>,
    dispatch: &Dispatch,
) -> Result<Cancellation, CallError> {
    for _ in 0..SINK_ROUNDS_MAX {
        let found = list(calls, dispatch.order).await?;
        for document in found.iter().filter(|document| document.state == DocumentState::InEffect) {
            let asked = calls.call(Call::Changes, |backend| backend.cancel_order(dispatch, document)).await?;
            if let Cancellation::TooLate { reason } = asked {
                return Ok(Cancellation::TooLate { reason });
            }
        }
        if cancel_drafts(calls, &found, None).await? {
            return Ok(Cancellation::Cancelled);
        }
    }
    let reason = "the documents of the order change all the time; is another process at work on them?";
    Err(BackendError::Transient(reason.to_owned()).into())
}

/// Whether none of them took effect meanwhile.
async fn cancel_drafts<B: Backend>(
    calls: &Calls<B>,
    found: &[Document],
    but: Option<&Document>,
) -> Result<bool, CallError> {
    let is_other = |document: &&Document| but.is_none_or(|own| own.id != document.id);
    for draft in found.iter().filter(|d| d.state == DocumentState::Draft).filter(is_other) {
        if calls.call(Call::Changes, |backend| backend.cancel(draft)).await? == Withdrawn::InEffect {
            return Ok(false);
        }
    }
    Ok(true)
}

/// In order of their ids, so that two processes see them alike.
async fn list<B: Backend>(calls: &Calls<B>, order: OrderId) -> Result<Vec<Document>, CallError> {
    let mut found = calls.call(Call::Reads, |backend| backend.list(order)).await?;
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}
