//! Looks at the streams from outside, every few seconds: where they end (for the lag that operators watch and
//! for `at_least`), and what time the broker has.

use std::sync::Arc;

use crate::app::App;
use crate::limits::WATCH_INTERVAL;
use crate::metrics::OfStream;
use crate::progress::StreamName;
use crate::shutdown::Tasks;

/// Until the node stops. Whether the streams are still the right ones is judged where they are consumed.
pub(crate) async fn run(app: Arc<App>, tasks: Tasks) {
    let stop = tasks.token();
    let mut interval = tokio::time::interval(WATCH_INTERVAL);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        let Some(leader) = app.leader.get() else { continue };
        match stop.run_until_cancelled(leader.ends(&app.clock)).await {
            None => return,
            Some(Ok(ends)) => app.progress.ends(ends.at, ends.asked),
            Some(Err(error)) => tracing::debug!(%error, "the leader did not answer"),
        }
        show(&app);
    }
}

fn show(app: &App) {
    let end = app.progress.read().end;
    for stream in [StreamName::Ledger, StreamName::Catalog] {
        let label = OfStream { stream: stream.as_str() };
        let end = i64::try_from(end.get(stream).0).unwrap_or(i64::MAX);
        app.metrics.end_position.get_or_create(&label).set(end);
    }
    app.metrics.clock_offset.set(app.clock.offset_millis());
}
