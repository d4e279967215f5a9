//! `pannier orders`: what operators see of orders and decide about them.
//!
//! All of it goes through the operators' listener of a node: what became of a decision is what the fold made of it, and a
//! node has one. Rejected: publishing decisions from here, as this command once did, which needs no node and
//! cannot say whether anything came of them.

mod acts;
mod list;
mod routes;
mod show;
#[cfg(test)]
mod tests;

use pannier_protocol::order::Decision;
use pannier_protocol::subject::Subject;
use pannier_protocol::{AsOf, Change};
use pannier_streams::{Broker, Streams};

use crate::chain::Held;

pub(crate) use routes::routes;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Prints orders, the first placed first; those in `review` and `dead_lettered` wait for a human.
    List(list::Args),
    /// Prints one order with its whole life.
    Show(show::Args),
    /// Lets an order through that is held for review.
    Approve(acts::DecideArgs),
    /// Refuses an order that is held for review; what it kept is released.
    Reject(acts::DecideArgs),
    /// Closes a dispatch and opens the next: the replay of a dead letter, or a move to another backend.
    #[command(visible_alias = "replay")]
    Redispatch(acts::RedispatchArgs),
    /// Corrects a dead letter or an order in review, and sends it again.
    Edit(acts::EditArgs),
    /// Closes a dead letter that nobody will replay.
    Dismiss(acts::DecideArgs),
    /// Counts what an order promised as contained in the source's figures, though no change said so.
    Release(acts::ReleaseArgs),
    /// Replaces the rules of order routing by those of a TOML file: `[[rules]]` with `backend`, and the conditions
    /// `company`, `group`, `territory`, `warehouse`.
    Route(routes::Args),
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Approve(args) => acts::decide(args, "approve").await,
        Command::Reject(args) => acts::decide(args, "reject").await,
        Command::Redispatch(args) => acts::redispatch(args).await,
        Command::Edit(args) => acts::edit(args).await,
        Command::Dismiss(args) => acts::decide(args, "dismiss").await,
        Command::Release(args) => acts::release(args).await,
        Command::Route(args) => routes::run(args).await,
    }
}

/// Writes a decision where no node runs yet.
pub(crate) async fn publish(broker: &Broker, streams: &Streams, decision: Decision) -> anyhow::Result<AsOf> {
    let change = Change::Decision(Box::new(decision));
    change.check()?;
    let mut held = Held::operator(broker, streams, Subject::Control).await?;
    held.publish(vec![change], None).await
}
