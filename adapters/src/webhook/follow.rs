//! From nodes into the store: what happened to orders, page by page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use pannier_client::Nodes;
use pannier_protocol::ChannelId;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::event::{Lane, events_of};
use super::store::Store;
use super::{WebhookError, WebhookStatus, blocking};
use crate::limits::{RETRY_DELAY_MAX, WEBHOOK_LOOK_PATIENCE, WEBHOOK_PAGE_STEPS};
use crate::runner::now;

pub(super) struct Follow {
    pub(super) store: Arc<Store>,
    pub(super) nodes: Nodes,
    pub(super) channel: Option<ChannelId>,
    pub(super) poll: Duration,
    /// What was taken in. Full, nothing more is asked for.
    pub(super) taken: mpsc::Sender<Vec<(u64, Lane)>>,
    pub(super) status: watch::Sender<WebhookStatus>,
}

impl Follow {
    /// For ever, however long no node answers; a place of one node holds on all of them.
    pub(super) async fn run(self) -> Result<Infallible, WebhookError> {
        let store = Arc::clone(&self.store);
        let mut place = blocking(move || store.place()).await?;
        loop {
            let asked = self.nodes.events(
                self.channel.as_ref(),
                place.as_deref(),
                WEBHOOK_PAGE_STEPS,
                WEBHOOK_LOOK_PATIENCE,
            );
            let page = match asked.await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "no node says what happened to orders; asking again");
                    sleep(RETRY_DELAY_MAX).await;
                    continue;
                }
            };
            let events = events_of(&page, place.as_deref(), now());
            if page.missed {
                tracing::error!(after = place, "steps of orders are not kept any more; the receiver is told");
                self.status.send_modify(|status| status.missed += 1);
            }
            if !events.is_empty() || place.as_deref() != Some(page.next.as_str()) {
                let (store, next) = (Arc::clone(&self.store), page.next.clone());
                let taken = blocking(move || store.take(&next, &events)).await?;
                place = Some(page.next);
                // It ends only with the process.
                let _ = self.taken.send(taken).await;
            }
            if !page.more {
                sleep(self.poll).await;
            }
        }
    }
}
