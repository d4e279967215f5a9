//! `pannier review`: what could not be applied or delivered, with the reason, as it lies in the stream.

use serde_json::Value;

use crate::broker::BrokerArgs;
use crate::cli::data;
use crate::walk;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Prints every entry, a JSON object a line, the oldest first.
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    broker: BrokerArgs,
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    let Command::List(args) = command;
    let (broker, streams) = args.broker.open("pannier review").await?;
    for subject in streams.prefix.review() {
        walk::messages(&broker, &streams.review, &subject, |message| {
            let entry: Value = serde_json::from_slice(&message.payload)
                .unwrap_or_else(|_| String::from_utf8_lossy(&message.payload).into());
            let subject = message.subject.as_str();
            let stored = message.time.unix_timestamp();
            let stored =
                jiff::Timestamp::from_second(stored).map(|time| time.to_string()).unwrap_or_default();
            data(serde_json::json!({ "subject": subject, "stored": stored, "entry": entry }))
        })
        .await?;
    }
    Ok(())
}
