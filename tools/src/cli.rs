//! The command line. Data goes to stdout and everything else to stderr, so that what a script reads is
//! never mixed with what a person does; every flag has a twin in the environment.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::{
    adapter, bench, cluster, demo, generate, handover, init, invalidate, node, orders, policy, publish,
    recover, review, rules, sample, shadow, snapshot, up,
};

/// Price and availability for a distributor's checkout, from change streams, with proof of freshness.
#[derive(Debug, Parser)]
#[command(name = "pannier", version, propagate_version = true)]
pub struct Cli {
    /// What is logged to stderr: a level, or a filter as in `pannier_node=debug,info`. Without: `info`, and
    /// `warn` for `up`, which tells by itself what it does.
    #[arg(long, env = "PANNIER_LOG", global = true)]
    log: Option<String>,
    #[arg(long, env = "PANNIER_LOG_FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one node until Ctrl-C or SIGTERM.
    Node(node::Args),
    /// Creates the streams of a deployment, once, and checks them.
    Init(init::Args),
    /// Everything on this machine with sample data: broker, streams, adapters, node.
    Up(up::Args),
    /// Runs an adapter from a source system to the change streams.
    #[command(subcommand)]
    Adapter(adapter::Command),
    /// Publishes changes from stdin, a JSON change a line; prints a token to use as `at_least`.
    Publish(publish::Args),
    /// What the tenant decides by data.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Snapshots that wait for an operator's word.
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    /// Every node: state, positions, lag, build, rules, and whether their tables agree.
    Cluster(cluster::Args),
    /// Condemns rows that are not to be trusted any more, until their source sends them anew.
    Invalidate(invalidate::Args),
    /// Hands rows and orders over from one system to another, or back.
    Handover(handover::Args),
    /// Compares the rows of a source that do not count yet with those that do, key by key.
    Shadow(shadow::Args),
    /// Brings back what nodes know of orders that the broker has lost.
    Recover(recover::Args),
    /// Asks sources to send chains anew.
    Resync(invalidate::ResyncArgs),
    /// Orders as operators see them, and what operators decide about them.
    #[command(subcommand)]
    Orders(orders::Command),
    /// Which version of the rules every node follows.
    #[command(subcommand)]
    Rules(rules::Command),
    /// What could not be applied or delivered, and why.
    #[command(subcommand)]
    Review(review::Command),
    /// Shows what is promised, on this machine, with everything real and everything failing.
    #[command(subcommand)]
    Demo(demo::Command),
    /// Measures, each figure beside what it is compared with.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Publishes a distributor of any size, to measure with.
    Generate(generate::Args),
    /// Writes the sample distributor's files and their mappings.
    Sample(sample::Args),
}

impl Cli {
    fn start_logging(&self) -> anyhow::Result<()> {
        let default = if matches!(self.command, Command::Up(_)) { "warn" } else { "info,async_nats=warn" };
        let log = self.log.as_deref().unwrap_or(default);
        let filter = EnvFilter::try_new(log).with_context(|| format!("--log {log:?}"))?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let log = log.with_ansi(std::io::stderr().is_terminal());
        match self.log_format {
            LogFormat::Text => log.with_target(false).init(),
            LogFormat::Json => log.json().init(),
        }
        Ok(())
    }

    pub async fn run(self) -> anyhow::Result<()> {
        self.start_logging()?;
        match self.command {
            Command::Node(args) => node::run(args).await,
            Command::Init(args) => init::run(args).await,
            Command::Up(args) => Box::pin(up::run(args)).await,
            Command::Adapter(command) => adapter::run(command).await,
            Command::Publish(args) => publish::run(args).await,
            Command::Policy(command) => policy::run(command).await,
            Command::Snapshot(command) => snapshot::run(command).await,
            Command::Cluster(args) => cluster::run(args).await,
            Command::Invalidate(args) => invalidate::run(args).await,
            Command::Handover(args) => handover::run(args).await,
            Command::Generate(args) => generate::run(args).await,
            Command::Shadow(args) => shadow::run(args).await,
            Command::Recover(args) => recover::run(args).await,
            Command::Resync(args) => invalidate::resync(args).await,
            Command::Orders(command) => orders::run(command).await,
            Command::Rules(command) => rules::run(command).await,
            Command::Review(command) => review::run(command).await,
            Command::Demo(command) => demo::run(command).await,
            Command::Bench(command) => bench::run(command).await,
            Command::Sample(args) => sample::run(args),
        }
    }
}

/// One line of data to stdout.
pub(crate) fn data(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("write to stdout")
}

/// Ends at Ctrl-C, SIGTERM, or when the terminal goes away.
pub(crate) async fn told_to_stop() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut hang_up = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("listen for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn check_environment(command: &clap::Command) {
        for argument in command.get_arguments() {
            let is_own = !matches!(argument.get_id().as_str(), "help" | "version");
            assert!(!is_own || argument.get_env().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
        command.get_subcommands().for_each(check_environment);
    }

    #[test]
    fn every_flag_has_a_twin_in_the_environment() {
        Cli::command().debug_assert();
        check_environment(&Cli::command());
    }
}
