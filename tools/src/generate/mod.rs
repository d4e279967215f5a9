//! `pannier generate`: a distributor of any size, to size a cluster with. The same seed and size give the same rows to the
//! byte, so whoever asks for baskets of it computes them and asks nobody.

mod publish;
mod shape;

pub(crate) use publish::{STOCK, publish};
pub(crate) use shape::{Shape, account_id, item_id};

use crate::broker::BrokerArgs;
use crate::cli::data;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    size: SizeArgs,
    /// Print the result as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

/// How much is generated; whoever asks for baskets of it names the same.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct SizeArgs {
    /// Price rows, 10,000 to 25,000,000; everything else follows from it: one item for 50 of them, one account with a
    /// contract for 600, four stock cells an item.
    #[arg(long, env = "PANNIER_ROWS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(10_000..=25_000_000))]
    pub(crate) rows: u64,
    /// Another one gives other rows.
    #[arg(long, env = "PANNIER_SEED", default_value_t = 1)]
    pub(crate) seed: u64,
}

impl SizeArgs {
    pub(crate) fn shape(self) -> Shape {
        Shape::new(self.rows, self.seed)
    }
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let (broker, streams) = args.broker.open("pannier generate").await?;
    let published = publish(&broker, &streams, args.size.shape()).await?;
    if args.json {
        return data(serde_json::to_string(&published)?);
    }
    data(published.text())
}
