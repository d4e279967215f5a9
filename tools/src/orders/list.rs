//! `pannier orders list`: page after page, so that a long queue costs the node and this command one page at a time.

use pannier_protocol::api::OrderState;
use pannier_protocol::api::operator::{OrderPage, OrderShown};
use pannier_protocol::{AccountId, SourceId};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

use crate::cli::data;
use crate::operator::{NodeArgs, word};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    node: NodeArgs,
    /// Only those in this state, as in `review` or `dead_lettered`.
    #[arg(long, env = "PANNIER_STATE", value_parser = state)]
    state: Option<OrderState>,
    /// Only those of this backend.
    #[arg(long, env = "PANNIER_BACKEND", value_parser = SourceId::new)]
    backend: Option<SourceId>,
    /// Only those of this account.
    #[arg(long, env = "PANNIER_ACCOUNT", value_parser = AccountId::new)]
    account: Option<AccountId>,
    /// Print JSON, an order a line.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

/// A state as on the wire; the error names them all.
fn state(text: &str) -> Result<OrderState, Error> {
    let text: StrDeserializer<'_, Error> = text.into_deserializer();
    OrderState::deserialize(text)
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let operator = args.node.open()?;
    let mut cursor: Option<String> = None;
    let mut count = 0_usize;
    loop {
        let page: OrderPage = operator.get(&path(&args, cursor.as_deref())).await?;
        if count == 0 && !args.json && !page.orders.is_empty() {
            data(HEADER)?;
        }
        for order in &page.orders {
            if args.json {
                data(serde_json::to_string(order)?)?;
            } else {
                data(line(order))?;
            }
        }
        count += page.orders.len();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    tracing::info!(count, "orders");
    Ok(())
}

fn path(args: &Args, cursor: Option<&str>) -> String {
    let mut path = "orders?limit=200".to_owned();
    let state = args.state.map(|state| word(&state));
    for (name, value) in [
        ("state", state.as_deref()),
        ("backend", args.backend.as_ref().map(SourceId::as_str)),
        ("account", args.account.as_ref().map(AccountId::as_str)),
        ("cursor", cursor),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    path
}

/// Percent-encoded, but for what is never special in a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

const HEADER: &str = "ORDER                       STATE              GEN  BACKEND   ACCOUNT       TOTAL           \
    PLACED                LAST";

pub(super) fn line(order: &OrderShown) -> String {
    let total = format!("{} {}", order.total, order.currency);
    let backend = order.backend.as_ref().map_or("-", SourceId::as_str);
    let last = order.last.as_ref().map_or("", |step| step.what.as_str());
    let line = format!(
        "{:<26}  {:<17}  {:>3}  {backend:<8}  {:<12}  {total:<14}  {:<20}  {last}",
        order.order.to_string(),
        word(&order.state),
        order.generation,
        order.account.as_str(),
        order.placed_at.to_string(),
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_in_a_query_is_encoded() {
        for (text, want) in [("C-1.2_a", "C-1.2_a"), ("a b&c=d", "a%20b%26c%3Dd"), ("ä", "%C3%A4")] {
            assert_eq!(encoded(text), want);
        }
    }

    #[test]
    fn a_state_that_is_none_is_told_which_there_are() {
        assert_eq!(state("dead_lettered").unwrap(), OrderState::DeadLettered);
        let told = state("dead").unwrap_err().to_string();
        assert!(told.starts_with("unknown variant `dead`, expected one of `pending`"), "{told}");
    }
}
