//! What a backend must be able to do, and how it says that it cannot.

use std::fmt;
use std::future::Future;

use pannier_protocol::DocumentId;
use pannier_protocol::order::{Dispatch, OrderId, SourcePosition};

/// How an order comes to be in effect once and not twice; operators see which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// The backend itself refuses a second document that bears the order's id.
    UniqueReference,
    /// A draft has no effect; all others of the order are cancelled before one is confirmed.
    DraftListConfirm,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UniqueReference => "unique_reference",
            Self::DraftListConfirm => "draft_list_confirm",
        })
    }
}

/// A document of the backend that bears the id of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub id: DocumentId,
    pub state: DocumentState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentState {
    /// Nothing is reserved, picked, printed or invoiced for it.
    Draft,
    InEffect,
    /// It was in effect, and somebody took it back: for good. What is told apart from a cancelled draft, so that an
    /// order that a human cancelled there before it was acknowledged is not made again.
    TakenBack,
    /// A draft that never was in effect: for good.
    Cancelled,
}

/// What became of a draft that was to be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawn {
    /// It is cancelled, now or before.
    Cancelled,
    /// It has been confirmed meanwhile, and still is.
    InEffect,
}

/// What became of a document that was to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// It is in effect, now or before.
    Confirmed(Confirmed),
    /// It had been cancelled meanwhile, and still is.
    Cancelled,
}

/// A document in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// As people know it there; it may be another name than the document was listed by.
    pub document: DocumentId,
    /// From which positions of which sources on their figures contain it; empty where they say so by name.
    pub reflected_from: Vec<SourcePosition>,
}

/// What became of an order in effect that was to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancellation {
    Cancelled,
    /// It is shipped, say. A human decides.
    TooLate {
        reason: String,
    },
}

/// Why a call did not do what it was to do. The text is for operators: what the backend said, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// It may or may not have been done: no answer in time, a broken connection, an answer that cannot be
    /// read, a conflict. Tried again.
    #[error("{0}")]
    Transient(String),
    /// Nobody is there: refused connections, maintenance, wrong credentials. All calls pause.
    #[error("{0}")]
    Down(String),
    /// The backend understood it and its rules refuse it: a blocked customer, a closed period. Goes to review.
    #[error("{0}")]
    Business(String),
    /// It can never be taken as it is: an item that is not there, a unit without a mapping. A dead letter.
    #[error("{0}")]
    Poison(String),
}

/// One system that takes orders. The runner paces the calls, gives them up after a time, repeats them and keeps the
/// calls of one order apart; of two processes both may be in a call all the same. See the module.
pub trait Backend: Send + Sync + 'static {
    fn guarantee(&self) -> Guarantee;

    /// All documents that bear the order's id, cancelled ones too, and those that a call a moment ago made: from
    /// the backend's own data, never from a cache, a replica or a search index.
    fn list(&self, order: OrderId) -> impl Future<Output = Result<Vec<Document>, BackendError>> + Send;

    /// A new document that bears the order's id. With [`Guarantee::UniqueReference`] it may be in effect at once,
    /// and a refusal since there is one already is [`BackendError::Transient`]: the next attempt finds it.
    fn create_draft(
        &self,
        dispatch: &Dispatch,
    ) -> impl Future<Output = Result<Document, BackendError>> + Send;

    /// Takes a draft back; never a document that is in effect. Both answers are final: the backend must decide
    /// between this and [`Backend::confirm`] of the same document in one transaction.
    fn cancel(&self, draft: &Document) -> impl Future<Output = Result<Withdrawn, BackendError>> + Send;

    /// Puts a document into effect; one that is already stays so and is answered alike.
    fn confirm(&self, document: &Document)
    -> impl Future<Output = Result<Confirmation, BackendError>> + Send;

    /// Takes back an order in effect, as the customer asked. One that is cancelled already is answered alike.
    fn cancel_order(
        &self,
        dispatch: &Dispatch,
        document: &Document,
    ) -> impl Future<Output = Result<Cancellation, BackendError>> + Send;
}
