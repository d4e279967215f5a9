//! What comes of a difference between this node's tables and another's: each folds again what it serves (see
//! `checkpoint::refold`). The one that differs from its own folding leaves and keeps the evidence. Where nobody does, orders
//! stay refused and lookups flagged until an operator has decided.

use std::sync::Arc;

use pannier_protocol::api::operator::{MemberDifference, MemberStream};
use pannier_streams::{Broker, Streams};

use crate::app::App;
use crate::checkpoint::{Refold, keep_evidence};
use crate::progress::StreamName;
use crate::shutdown::Tasks;

/// What looks into differences, one at a time.
pub(super) struct Doubt {
    app: Arc<App>,
    tasks: Tasks,
    broker: Broker,
    streams: Streams,
    /// The difference that was looked into last.
    last: Option<MemberDifference>,
}

impl Doubt {
    pub(super) fn new(app: Arc<App>, tasks: Tasks, broker: Broker, streams: Streams) -> Self {
        Self { app, tasks, broker, streams, last: None }
    }

    /// `None`: nobody that is there has other tables.
    pub(super) fn look_into(&mut self, differs: Option<MemberDifference>) {
        let Some(at) = differs else {
            self.last = None;
            return;
        };
        // Tables that differ once do so from there on.
        if self.last.replace(at).is_some() {
            return;
        }
        let refold = Refold {
            app: Arc::clone(&self.app),
            tasks: self.tasks.clone(),
            broker: self.broker.clone(),
            streams: self.streams.clone(),
            stream: match at.stream {
                MemberStream::Ledger => StreamName::Ledger,
                MemberStream::Catalog => StreamName::Catalog,
            },
            up_to: at.position,
        };
        self.tasks.spawn("refold", judge(refold, at));
    }
}

async fn judge(refold: Refold, at: MemberDifference) {
    let (app, tasks) = (Arc::clone(&refold.app), refold.tasks.clone());
    let (stream, position) = (refold.stream, at.position);
    let Some(live) =
        app.digests.known().into_iter().find(|it| (it.stream, it.position) == (at.stream, position))
    else {
        return tracing::warn!(%position, "the difference is too far back to be looked into");
    };
    match refold.run().await {
        Ok((digest, from)) if format!("{digest:032x}") == live.digest => tracing::error!(
            from, %position, "folded again, this node's tables are the same: another node is wrong, or two builds \
             fold unlike; orders are refused and lookups flagged until one of them leaves"
        ),
        Ok((_, from)) => {
            let kept = keep_evidence(&app, &tasks).await;
            app.progress.refuse(format!(
                "the tables at {position} of the {} are not what its entries make of {from}: this node is wrong and \
                 leaves; {kept}; restart it, and report what is there",
                stream.as_str()
            ));
        }
        Err(error) => {
            tracing::error!(%error, "it cannot be known whether this node's tables are the wrong ones");
        }
    }
}
