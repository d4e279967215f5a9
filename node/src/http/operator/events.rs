//! `GET /v1/operator/events`: the steps of all orders from a place on, for a program that tells a channel of them.
//!
//! Pages rather than a stream: whoever passes events on asks again once it has them safe, so nothing is in flight that
//! could be lost. A place is the id of a step in an incarnation of the ledger, so it holds on every node and over
//! restarts.

use std::sync::Arc;

use pannier_core::ledger::orders::{OrderRecord, Stretch};
use pannier_protocol::api::OrderStep;
use pannier_protocol::api::operator::{EventPage, EventShown};
use pannier_protocol::{ChannelId, EffectId, Incarnation};

use super::lists::{filter, limit};
use crate::app::{App, Tables};
use crate::http::events::reach;
use crate::http::query::{parameters, refuse};
use crate::http::refusal::Refusal;
use crate::orders::desk::as_of;

pub(super) async fn page(app: &App, tables: &Tables, query: &str) -> Result<EventPage, Refusal> {
    let asked = parameters(query, &["channel", "limit", "after"])?;
    let channel: Option<ChannelId> = filter(&asked, "channel")?;
    let count = limit(&asked)?;
    let given = asked.get("after").map(|text| place(text)).transpose()?;
    let is_other = given.as_ref().is_some_and(|(incarnation, _)| *incarnation != tables.incarnation);
    let after = given.filter(|_| !is_other).map(|(_, id)| id);
    if let Some(after) = after {
        reach(app, after.position).await?;
    }
    let as_of = as_of(tables);
    let Stretch { steps, missed, next, more } =
        tables.ledger.orders().steps_after(after, as_of.ledger, count);
    let is_wanted =
        |(order, _): &(Arc<OrderRecord>, OrderStep)| channel.is_none() || order.facts().channel == channel;
    let events = steps.into_iter().filter(is_wanted).map(|(order, step)| EventShown {
        order: order.placed.order,
        account: order.placed.keyed.account.clone(),
        channel: order.facts().channel.clone(),
        purchase_order: order.facts().purchase_order.clone(),
        step,
    });
    let events = events.collect();
    // Where nothing is, the place is behind what was looked at: what comes and is forgotten before the next look counts.
    let next = next.or(after).unwrap_or(EffectId { position: as_of.ledger, index: u32::MAX });
    let next = format!("{}.{next}", as_of.incarnation);
    Ok(EventPage { as_of, missed: missed || is_other, events, next, more })
}

fn place(text: &str) -> Result<(Incarnation, EffectId), Refusal> {
    let read = || {
        let (incarnation, id) = text.split_once('.')?;
        Some((Incarnation::new(incarnation).ok()?, id.parse().ok()?))
    };
    read().ok_or_else(|| {
        refuse(
            "after",
            "no place of an event; give back the `next` of the page before, as it was answered".to_owned(),
        )
    })
}
