//! Checkpoints in the object store: put there by one node for all, read by a node that starts where no other one runs.

use std::io::{self, Read};
use std::sync::Arc;

use pannier_protocol::Incarnation;
use pannier_streams::checkpoints::{Shelf, ShelfError, Shelved, TakenDown};
use pannier_streams::{Broker, Streams};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::folder::{Folder, Name};
use super::standing::Kept;
use crate::app::App;
use crate::limits::{CHECKPOINT_SHARE_LOOK, CHECKPOINTS_SHARED, PEER_SILENCE_MAX};
use crate::metrics::OfOutcome;
use crate::shutdown::Tasks;

/// What is there of one life of the ledger, the newest first.
pub(super) async fn listed(
    broker: &Broker,
    streams: &Streams,
) -> Result<(Shelf, Vec<(Name, Shelved)>), ShelfError> {
    let shelf = Shelf::open(broker, streams).await?;
    let of_ledger = of_incarnation(shelf.list().await?, &streams.incarnation);
    Ok((shelf, of_ledger))
}

fn of_incarnation(all: Vec<Shelved>, incarnation: &Incarnation) -> Vec<(Name, Shelved)> {
    let named = all.into_iter().filter_map(|shelved| Some((Name::parse(&shelved.name)?, shelved)));
    let mut named: Vec<_> = named.filter(|(name, _)| name.incarnation == *incarnation).collect();
    named.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    named
}

/// One on its way, to be read on a thread that may block.
pub(super) struct Taking {
    taken: TakenDown,
    runtime: Handle,
}

impl Taking {
    pub(super) fn new(taken: TakenDown) -> Self {
        Self { taken, runtime: Handle::current() }
    }
}

impl Read for Taking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = async { timeout(PEER_SILENCE_MAX, self.taken.read(buffer)).await };
        self.runtime.block_on(read).map_err(|_| io::Error::other("the brokers say no more"))?
    }
}

/// Puts this node's confirmed checkpoints there, where it is the one to do so.
pub(crate) struct Sharer {
    pub(crate) app: Arc<App>,
    pub(crate) tasks: Tasks,
    pub(crate) folder: Folder,
    pub(crate) broker: Broker,
    pub(crate) streams: Streams,
}

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
enum ShareError {
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error("{0} cannot be read: {1}")]
    File(Name, io::Error),
}

impl Sharer {
    /// Until the node stops.
    pub(crate) async fn run(self) {
        let stop = self.tasks.token();
        let look = self.app.config.checkpoint.share_interval.min(CHECKPOINT_SHARE_LOOK);
        while stop.run_until_cancelled(tokio::time::sleep(look)).await.is_some() {
            let Some(kept) = self.app.checkpoints.newest().filter(|kept| kept.is_confirmed) else { continue };
            if !self.app.members.is_first_to_share(&self.app) {
                continue;
            }
            let Some(shared) = stop.run_until_cancelled(self.share(&kept)).await else { return };
            let outcome = match shared {
                Ok(false) => continue,
                Ok(true) => "shared",
                Err(error) => {
                    tracing::warn!(%error, "no checkpoint in the object store; trying again");
                    "failed"
                }
            };
            self.app.metrics.checkpoints_shared.get_or_create(&OfOutcome { outcome }).inc();
        }
    }

    /// Unless one is there that is young enough, or newer.
    async fn share(&self, kept: &Kept) -> Result<bool, ShareError> {
        let (shelf, there) = listed(&self.broker, &self.streams).await?;
        let (incarnation, interval) = (&self.streams.incarnation, self.app.config.checkpoint.share_interval);
        let name = Name { incarnation: incarnation.clone(), ledger: kept.ledger, catalog: kept.catalog };
        if let Some((newest, shelved)) = there.first() {
            let age = shelved.at.map(|at| self.app.clock.now().millis_since(at));
            let is_young = age.is_some_and(|age| u128::from(age) < interval.as_millis());
            if is_young || *newest >= name {
                return Ok(false);
            }
        }
        let file = File::open(self.folder.file(&name)).await;
        let mut file = file.map_err(|error| ShareError::File(name.clone(), error))?;
        shelf.put(&name.to_string(), &mut file).await?;
        tracing::info!(%name, "checkpoint put into the object store");
        for (_, old) in there.iter().skip(CHECKPOINTS_SHARED - 1) {
            shelf.remove(&old.name).await?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_this_ledger_comes_first() {
        let shelved = |name: &str| Shelved { name: name.to_owned(), bytes: 1, at: None };
        let all = ["7f3a.L9.C1.checkpoint", "beef.L99.C9.checkpoint", "7f3a.L10.C1.checkpoint", "notes.txt"];
        let own = Incarnation::new("7f3a").unwrap();
        let listed = of_incarnation(all.map(shelved).to_vec(), &own);
        let names: Vec<_> = listed.iter().map(|(_, shelved)| shelved.name.as_str()).collect();
        assert_eq!(names, ["7f3a.L10.C1.checkpoint", "7f3a.L9.C1.checkpoint"]);
    }
}
