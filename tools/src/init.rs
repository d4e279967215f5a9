//! `pannier init`: the only command, beside `up`, that creates streams.

use pannier_streams::Streams;

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
    /// Print the result as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let broker = args.broker.connect("pannier init").await?;
    let streams = pannier_streams::init(&broker, &args.broker.prefix, usize::from(args.replicas)).await?;
    rules::begin(&broker, &streams).await?;
    let Streams { ledger, catalog, review, dispatch, history, incarnation, .. } = &streams;
    let names = [ledger, catalog, review, dispatch, history].map(String::as_str);
    if args.json {
        return data(serde_json::json!({ "incarnation": incarnation, "streams": names }));
    }
    data(format_args!("incarnation {incarnation}: streams {} are as they must be", names.join(", ")))
}
