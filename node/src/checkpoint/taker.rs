//! Asks the apply thread for the state between two entries.

use pannier_core::checkpoint::Busy;
use tokio::sync::{mpsc, oneshot};

use super::Taken;
use crate::feed::Step;
use crate::shutdown::Tasks;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Taker {
    /// Of the apply thread, which is not to live on because of this.
    steps: mpsc::WeakSender<Step>,
    tasks: Tasks,
}

/// Why there is no state to take.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakenError {
    #[error(transparent)]
    Busy(#[from] Busy),
    /// No failure.
    #[error("the node is stopping, or refuses what its streams hold")]
    Over,
}

impl Taker {
    pub(crate) fn new(steps: &mpsc::Sender<Step>, tasks: Tasks) -> Self {
        Self { steps: steps.downgrade(), tasks }
    }

    /// In line with the entries that wait to be applied.
    pub(crate) async fn take(&self) -> Result<Taken, TakenError> {
        let (handover, taken) = oneshot::channel();
        let steps = self.steps.upgrade().ok_or(TakenError::Over)?;
        let asking = async {
            steps.send(Step::Freeze(handover)).await.ok()?;
            drop(steps);
            taken.await.ok()
        };
        let taken = self.tasks.token().run_until_cancelled(asking).await.flatten();
        Ok(taken.ok_or(TakenError::Over)??)
    }
}
