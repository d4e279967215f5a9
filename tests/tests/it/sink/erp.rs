//! A backend in memory, shared by the processes that use it: documents, and what goes wrong on command.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use pannier_adapters::runner::sink::{
    Backend, BackendError, Cancellation, Confirmation, Confirmed, Document, DocumentState, Guarantee,
    Withdrawn,
};
use pannier_protocol::DocumentId;
use pannier_protocol::order::{Dispatch, OrderId};
use tokio::sync::{oneshot, watch};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    List,
    Create,
    Cancel,
    Confirm,
}

/// What the next call of one kind does besides, or instead.
pub(super) enum Turn {
    /// Says that it came, and is carried out when told, whether its caller still waits or not: a request that is on
    /// its way.
    Pause {
        came: oneshot::Sender<()>,
        go: oneshot::Receiver<()>,
    },
    /// Says that it came, and fails when told.
    PauseAndRefuse {
        came: oneshot::Sender<()>,
        go: oneshot::Receiver<()>,
        error: BackendError,
    },
    /// Is carried out and never answered.
    Hang,
    /// Is carried out and answered by something that cannot be read.
    Garbage,
    Refuse(BackendError),
    /// Nothing: it is there to be counted.
    Pass,
}

#[derive(Default)]
pub(super) struct Erp {
    documents: Mutex<Vec<(OrderId, Document)>>,
    pub(super) is_down: AtomicBool,
    /// It answers what only reads, as with a full disk.
    pub(super) is_read_only: AtomicBool,
    /// Calls that met a backend that was down, or could only be read.
    pub(super) refused: AtomicU32,
    /// Paused calls that were carried out.
    late: watch::Sender<u32>,
}

/// One process's connection to it.
pub(super) struct Connection {
    erp: Arc<Erp>,
    guarantee: Guarantee,
    /// Of calls for whichever order, and for one.
    turns: Mutex<VecDeque<(Op, Turn)>>,
    turns_of: Mutex<BTreeMap<OrderId, VecDeque<(Op, Turn)>>>,
}

/// Takes the first turn if it is one of `op`.
fn take(turns: &mut VecDeque<(Op, Turn)>, op: Op) -> Option<Turn> {
    let is_next = turns.front().is_some_and(|(next, _)| *next == op);
    if is_next { turns.pop_front().map(|(_, turn)| turn) } else { None }
}

impl Erp {
    pub(super) fn connect(self: &Arc<Self>, turns: Vec<(Op, Turn)>) -> Connection {
        let (turns, turns_of) = (Mutex::new(turns.into()), Mutex::default());
        Connection { erp: Arc::clone(self), guarantee: Guarantee::DraftListConfirm, turns, turns_of }
    }

    /// How many documents of an order are drafts, in effect, cancelled.
    pub(super) fn count(&self, order: OrderId) -> [usize; 3] {
        let documents = self.documents.lock().unwrap();
        let over = [DocumentState::Cancelled, DocumentState::TakenBack];
        [&[DocumentState::Draft][..], &[DocumentState::InEffect], &over].map(|states| {
            documents.iter().filter(|(of, document)| *of == order && states.contains(&document.state)).count()
        })
    }

    pub(super) fn carried_out(&self) -> u32 {
        *self.late.borrow()
    }

    pub(super) async fn until_carried_out(&self, count: u32) {
        let mut late = self.late.subscribe();
        let reached = late.wait_for(|reached| *reached >= count);
        tokio::time::timeout(super::PATIENCE, reached).await.expect("the paused call in time").unwrap();
    }

    /// A document that a call makes which its caller gave up long ago.
    pub(super) fn create_late(&self, order: OrderId) -> Document {
        let mut documents = self.documents.lock().unwrap();
        let id = DocumentId::new(&format!("SO-{}", documents.len() + 1)).unwrap();
        let document = Document { id, state: DocumentState::Draft };
        documents.push((order, document.clone()));
        document
    }

    /// Somebody there takes back what is in effect of an order.
    pub(super) fn take_back(&self, order: OrderId) {
        let mut documents = self.documents.lock().unwrap();
        let in_effect = |(of, document): &&mut (OrderId, Document)| {
            *of == order && document.state == DocumentState::InEffect
        };
        documents
            .iter_mut()
            .filter(in_effect)
            .for_each(|(_, document)| document.state = DocumentState::TakenBack);
    }

    fn order_of(&self, document: &Document) -> OrderId {
        let documents = self.documents.lock().unwrap();
        documents.iter().find(|(_, other)| other.id == document.id).unwrap().0
    }

    /// The state of a document after `change`, which sees the one before.
    fn change(&self, id: &DocumentId, change: impl FnOnce(DocumentState) -> DocumentState) -> DocumentState {
        let mut documents = self.documents.lock().unwrap();
        let (_, document) = documents.iter_mut().find(|(_, document)| document.id == *id).unwrap();
        document.state = change(document.state);
        document.state
    }
}

impl Connection {
    pub(super) fn unique(self) -> Self {
        Self { guarantee: Guarantee::UniqueReference, ..self }
    }

    /// With turns for the calls of one order.
    pub(super) fn with(self, order: OrderId, turns: Vec<(Op, Turn)>) -> Self {
        self.turns_of.lock().unwrap().insert(order, turns.into());
        self
    }

    fn turn(&self, op: Op, order: OrderId) -> Option<Turn> {
        let mut turns_of = self.turns_of.lock().unwrap();
        let of_order = turns_of.get_mut(&order).and_then(|turns| take(turns, op));
        of_order.or_else(|| take(&mut self.turns.lock().unwrap(), op))
    }

    async fn call<T, F>(&self, op: Op, order: OrderId, act: F) -> Result<T, BackendError>
    where
        T: Send + 'static,
        F: FnOnce(&Erp) -> Result<T, BackendError> + Send + 'static,
    {
        let turn = self.turn(op, order);
        if self.erp.is_down.load(Ordering::SeqCst) {
            self.erp.refused.fetch_add(1, Ordering::SeqCst);
            return Err(BackendError::Down("connection refused".to_owned()));
        }
        if op != Op::List && self.erp.is_read_only.load(Ordering::SeqCst) {
            self.erp.refused.fetch_add(1, Ordering::SeqCst);
            return Err(BackendError::Transient("attempt to write a readonly database".to_owned()));
        }
        match turn {
            None | Some(Turn::Pass) => act(&self.erp),
            Some(Turn::Refuse(error)) => Err(error),
            Some(Turn::Pause { came, go }) => {
                let erp = Arc::clone(&self.erp);
                came.send(()).unwrap();
                let late = tokio::spawn(async move {
                    let _ = go.await;
                    let outcome = act(&erp);
                    erp.late.send_modify(|count| *count += 1);
                    outcome
                });
                late.await.unwrap()
            }
            Some(Turn::PauseAndRefuse { came, go, error }) => {
                came.send(()).unwrap();
                let _ = go.await;
                Err(error)
            }
            Some(Turn::Hang) => {
                act(&self.erp)?;
                std::future::pending().await
            }
            Some(Turn::Garbage) => {
                act(&self.erp)?;
                Err(BackendError::Transient("the answer is no JSON".to_owned()))
            }
        }
    }
}

impl Backend for Connection {
    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    async fn list(&self, order: OrderId) -> Result<Vec<Document>, BackendError> {
        let of_order = move |erp: &Erp| {
            let documents = erp.documents.lock().unwrap();
            documents.iter().filter(|(of, _)| *of == order).map(|(_, document)| document.clone()).collect()
        };
        self.call(Op::List, order, move |erp| Ok(of_order(erp))).await
    }

    async fn create_draft(&self, dispatch: &Dispatch) -> Result<Document, BackendError> {
        let order = dispatch.order;
        let is_unique = self.guarantee == Guarantee::UniqueReference;
        self.call(Op::Create, order, move |erp| {
            if is_unique && erp.count(order) != [0, 0, 0] {
                return Err(BackendError::Transient("there is one with this reference".to_owned()));
            }
            Ok(erp.create_late(order))
        })
        .await
    }

    async fn cancel(&self, draft: &Document) -> Result<Withdrawn, BackendError> {
        let id = draft.id.clone();
        self.call(Op::Cancel, self.erp.order_of(draft), move |erp| {
            let cancel = |state| if state == DocumentState::Draft { DocumentState::Cancelled } else { state };
            let state = erp.change(&id, cancel);
            Ok(if state == DocumentState::InEffect { Withdrawn::InEffect } else { Withdrawn::Cancelled })
        })
        .await
    }

    async fn confirm(&self, document: &Document) -> Result<Confirmation, BackendError> {
        let id = document.id.clone();
        self.call(Op::Confirm, self.erp.order_of(document), move |erp| {
            let confirm = |state| if state == DocumentState::Draft { DocumentState::InEffect } else { state };
            if erp.change(&id, confirm) != DocumentState::InEffect {
                return Ok(Confirmation::Cancelled);
            }
            Ok(Confirmation::Confirmed(Confirmed { document: id, reflected_from: Vec::new() }))
        })
        .await
    }

    async fn cancel_order(
        &self,
        dispatch: &Dispatch,
        document: &Document,
    ) -> Result<Cancellation, BackendError> {
        let id = document.id.clone();
        self.call(Op::Cancel, dispatch.order, move |erp| {
            erp.change(&id, |_| DocumentState::TakenBack);
            Ok(Cancellation::Cancelled)
        })
        .await
    }
}
