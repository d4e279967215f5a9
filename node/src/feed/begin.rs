//! What the tables are made of before the streams are followed: a checkpoint that the streams go on from, or nothing.

use std::sync::Arc;

use pannier_core::catalog::Catalog;
use pannier_core::checkpoint::Loaded;
use pannier_core::entry::Effect;
use pannier_core::gate::GateMode;
use pannier_core::ledger::Ledger;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Incarnation, Partition, SourceId};
use pannier_streams::held::OPERATOR;
use pannier_streams::stored::{ReadError, message_at};
use pannier_streams::{Broker, Streams};

use super::again;
use super::apply::{LastMessages, entry_of};
use crate::app::{App, Tables};
use crate::checkpoint::{BeginError, Beginner, Beginning, Folder, read_tail};
use crate::progress::{Positions, StreamName};
use crate::shutdown::Tasks;

/// Tables, what writes them, and what was applied last.
type Folds = (Tables, Ledger, Catalog, LastMessages);

/// `None`: the node stops, or has no tables and says why. The error says what to do.
pub(super) async fn folds(
    app: &Arc<App>,
    tasks: &Tasks,
    broker: &Broker,
    streams: &Streams,
    first: Positions,
) -> Result<Option<Folds>, String> {
    let stop = tasks.token();
    let (mut before, mut with_tail) = (None, true);
    loop {
        let beginner = Beginner::new(Arc::clone(app), tasks.clone(), streams, first, before);
        let (mut folds, is_own) = match beginner.begin(broker, streams).await {
            Ok(begun) => {
                let is_own = matches!(begun, Beginning::Genesis | Beginning::Own(_));
                (begun.folds(streams.incarnation.clone(), app.gate), is_own)
            }
            Err(BeginError::Stopped) => return Ok(None),
            Err(error) => {
                tracing::error!(%error, "this node has no tables");
                app.progress.refuse(error.to_string());
                return Ok(None);
            }
        };
        let without_tail = folds.3.positions().ledger;
        if with_tail && is_own {
            folds = on_tail(app, &streams.incarnation, folds).await;
        }
        let is_overtaken = loop {
            match stop.run_until_cancelled(is_overtaken(broker, streams, &folds.3)).await {
                None => return Ok(None),
                Some(Ok(is_overtaken)) => break is_overtaken,
                Some(Err(error)) if error.is_temporary() => again(&error).await,
                Some(Err(error)) => return Err(error.to_string()),
            }
        };
        if !is_overtaken {
            return Ok(Some(folds));
        }
        let position = folds.3.positions().ledger;
        tracing::warn!(%position, "this state ends with entries that were lost and recovered: taking an older one");
        with_tail = false;
        before = (position == without_tail).then_some(position).or(before);
    }
}

/// Folds what this node had read of the ledger after that state, and still has on its disk.
async fn on_tail(app: &Arc<App>, incarnation: &Incarnation, folds: Folds) -> Folds {
    let Some(folder) = Folder::of(&app.config.checkpoint) else { return folds };
    let (app, incarnation) = (Arc::clone(app), incarnation.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let (tables, mut ledger, catalog, mut last) = folds;
        let after = last.positions().ledger;
        let read = read_tail(&folder, &incarnation, after, |delivery| {
            let Ok(entry) = entry_of(&app.config.nats.prefix, &delivery) else { return true };
            // What it wanted published was published when this node read it first, or is in the outbox.
            let effects = ledger.apply(&entry);
            let goes_on = !effects.iter().any(|effect| matches!(effect, Effect::Stop { .. }));
            if goes_on {
                last.set(StreamName::Ledger, Some(&delivery));
            }
            goes_on
        });
        match read {
            Ok(0) => {}
            Ok(count) => {
                tracing::info!(count, %after, "entries of the ledger were folded that stood on disk")
            }
            Err(error) => tracing::error!(%error, "going on without the entries that stand on disk"),
        }
        (tables, ledger, catalog, last)
    });
    reading.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

impl Beginning {
    fn folds(self, incarnation: Incarnation, gate: GateMode) -> Folds {
        match self {
            Self::Genesis => {
                let (tables, ledger, catalog) = Tables::build(incarnation, gate);
                (tables, ledger, catalog, LastMessages::default())
            }
            Self::Own(loaded) | Self::Others(loaded) => {
                let Loaded { head, dictionary, board, ledger, catalog, .. } = *loaded;
                let last = LastMessages::of(&head);
                (Tables::of(dictionary, board, &ledger, &catalog), ledger, catalog, last)
            }
        }
    }
}

/// Whether the last entries of a checkpoint are among those that the broker lost: `pannier recover` has filled their places
/// since. A place that anything else has taken is the consumers' to find, and an operator's to look into.
async fn is_overtaken(broker: &Broker, streams: &Streams, last: &LastMessages) -> Result<bool, ReadError> {
    let operators = SourceId::new(OPERATOR).expect("a name of our own");
    let filled = [
        (StreamName::Ledger, &streams.ledger, Subject::Control),
        (StreamName::Catalog, &streams.catalog, Subject::Catalog(Partition::Shared, operators)),
    ];
    for (name, stream, subject) in filled {
        let Some(position) = last.after(name) else { continue };
        let found = message_at(broker, stream, position.stream_sequence).await?;
        let subject = streams.prefix.full(&subject);
        if found.is_some_and(|it| it.digest() != position.digest && it.subject == subject) {
            return Ok(true);
        }
    }
    Ok(false)
}
