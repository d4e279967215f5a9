//! `pannier init`: the only command, beside `up`, that creates streams.

use std::time::Duration;

use pannier_streams::{Ages, Streams};

use crate::broker::BrokerArgs;
use crate::cli::data;
use crate::rules;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    broker: BrokerArgs,
    /// Copies of each stream: 3 in production, on three servers in three zones.
    #[arg(long, env = "PANNIER_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// Days for which the ledger keeps its entries; what is older is in checkpoints alone, so nodes need a
    /// `checkpoint.folder`. Past a third of it without a confirmed checkpoint they alarm, past two thirds they take no
    /// orders. 0: everything is kept.
    #[arg(long, env = "PANNIER_LEDGER_DAYS", default_value_t = 7)]
    ledger_days: u16,
    /// The same of the catalog. What it holds is repeated within 7 days: by our adapters, and by nodes of what operators
    /// said; a publisher of your own repeats its chains itself.
    #[arg(long, env = "PANNIER_CATALOG_DAYS", default_value_t = 35)]
    catalog_days: u16,
    /// Print the result as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let broker = args.broker.connect("pannier init").await?;
    let days = |days: u16| (days > 0).then(|| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    let wanted = Ages { ledger: days(args.ledger_days), catalog: days(args.catalog_days) };
    let replicas = usize::from(args.replicas);
    let streams = pannier_streams::init_with(&broker, &args.broker.prefix, replicas, wanted).await?;
    if streams.ages != wanted {
        tracing::warn!(
            "the streams of {} were there and keep the ages that they were made with",
            streams.prefix.as_str()
        );
    }
    rules::begin(&broker, &streams).await?;
    let Streams { ledger, catalog, review, dispatch, history, incarnation, .. } = &streams;
    let names = [ledger, catalog, review, dispatch, history].map(String::as_str);
    if args.json {
        return data(serde_json::json!({ "incarnation": incarnation, "streams": names }));
    }
    data(format_args!("incarnation {incarnation}: streams {} are as they must be", names.join(", ")))
}
