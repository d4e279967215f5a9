//! Follows one stream and queues what it brings for the apply thread. Reconnects, restarts and vanished
//! consumers are the streams crate's business; what is left here is to say so, and to refuse when the stream
//! is no longer the one that the tables were made from.

use std::sync::Arc;

use pannier_protocol::StreamSequence;
use pannier_streams::Broker;
use pannier_streams::consumer::{Consumer, Delivery, Event, Loss, Options};
use tokio::sync::mpsc;

use crate::app::App;
use crate::checkpoint::Handover;
use crate::metrics::OfStream;
use crate::progress::StreamName;
use crate::shutdown::Tasks;

/// One turn of the apply thread.
pub(crate) enum Step {
    Batch(StreamName, Vec<Delivery>),
    /// All that the stream held up to here has been queued, also where its last entries are gone.
    CaughtUp(StreamName, StreamSequence),
    /// The state of both folds is wanted as it is here.
    Freeze(Handover),
}

/// Starts following `options.stream` after what was applied of it.
pub(crate) fn spawn(
    app: &Arc<App>,
    tasks: &Tasks,
    broker: Broker,
    name: StreamName,
    options: Options,
    steps: mpsc::Sender<Step>,
) {
    let (consumer, events) = Consumer::new(broker, options);
    let (consuming, queueing) = match name {
        StreamName::Ledger => ("ledger consumer", "ledger queue"),
        StreamName::Catalog => ("catalog consumer", "catalog queue"),
    };
    // Ends by itself when the queue's end of the channel is dropped.
    tasks.spawn(consuming, async move {
        let end = consumer.run().await;
        tracing::debug!(?end, stream = name.as_str(), "the consumer ended");
    });
    tasks.spawn(queueing, queue(Arc::clone(app), tasks.clone(), name, events, steps));
}

async fn queue(
    app: Arc<App>,
    tasks: Tasks,
    name: StreamName,
    mut events: mpsc::Receiver<Event>,
    steps: mpsc::Sender<Step>,
) {
    let stop = tasks.token();
    while let Some(Some(event)) = stop.run_until_cancelled(events.recv()).await {
        let step = match event {
            Event::Batch(deliveries) => Step::Batch(name, deliveries),
            Event::CaughtUp { up_to } => Step::CaughtUp(name, up_to),
            Event::Interrupted { reason } => {
                tracing::warn!(stream = name.as_str(), %reason, "subscribing again");
                app.metrics.consumer_restarts.get_or_create(&OfStream { stream: name.as_str() }).inc();
                continue;
            }
            Event::Lost(loss @ (Loss::RolledBack { .. } | Loss::Diverged { .. })) => {
                return app.progress.refuse_lost(advice(&loss));
            }
            Event::Lost(loss) => return app.progress.refuse(advice(&loss)),
        };
        if let Some(Err(_)) | None = stop.run_until_cancelled(steps.send(step)).await {
            return;
        }
    }
}

/// What happened, and what to do. In every case the node keeps what it holds and serves none of it.
fn advice(loss: &Loss) -> String {
    match loss {
        Loss::Deleted { .. } => {
            format!(
                "{loss}; restore the stream, or, to give up what it lost, remove what is in checkpoint.folder and \
                 restart the node to load what is there now"
            )
        }
        Loss::RolledBack { .. } | Loss::Diverged { .. } => {
            format!(
                "{loss}; let this node run: `pannier recover` brings back what it knows of orders. To give that up, \
                 remove what is in checkpoint.folder and restart it to load what is there now"
            )
        }
        Loss::OtherIncarnation { .. } => {
            format!("{loss}; restart the node once the new streams are what you want it to serve")
        }
        Loss::AgedOut { .. } => {
            format!(
                "{loss}; restart the node: it takes a newer checkpoint if there is one, and says so if not"
            )
        }
    }
}
