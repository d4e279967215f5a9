//! `GET /v1/operator/recovery`: what this node knows of orders, once its streams are not those any more that it read.
//!
//! Its tables do not change from there on, so pages of one answer belong together.

use pannier_core::ledger::orders::RECOVERY_FORMAT;
use pannier_protocol::api::operator::RecoveryPage;
use tokio::task::spawn_blocking;

use crate::app::App;
use crate::http::query::{parameters, refuse};
use crate::http::refusal::Refusal;
use crate::limits::RECOVERY_PARTS_PAGE;
use crate::progress::State;

pub(super) async fn page(app: &App, query: &str) -> Result<RecoveryPage, Refusal> {
    let asked = parameters(query, &["from"])?;
    let from = asked.get("from").map_or(Ok(0), |text| text.parse::<usize>());
    let from = from.map_err(|_| refuse("from", "the number of a part: 0 for the first".to_owned()))?;
    let snapshot = app.progress.read().clone();
    let tables = app.tables.get().filter(|_| snapshot.state == State::Refused);
    let parts = match tables.map(|tables| tables.ledger.orders().clone()) {
        // Packs all that is known of orders.
        Some(orders) => spawn_blocking(move || orders.recoverable()).await.expect("packing does not panic"),
        None => Ok(Vec::new()),
    };
    let parts = parts.map_err(|error| Refusal::NotReady { detail: error.to_string() })?;
    Ok(RecoveryPage {
        node: app.config.node_name(),
        incarnation: snapshot.incarnation.clone(),
        state: snapshot.state.as_str().to_owned(),
        detail: snapshot.detail.clone(),
        ledger: snapshot.applied.ledger,
        catalog: snapshot.applied.catalog,
        format: RECOVERY_FORMAT,
        parts_count: parts.len() as u64,
        parts: parts.into_iter().skip(from).take(RECOVERY_PARTS_PAGE).collect(),
    })
}
