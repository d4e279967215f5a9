//! `pannier adapter`: from a source system to the change streams.

use std::path::PathBuf;

use anyhow::Context;
use pannier_adapters::files::{self, FilesConfig};
use pannier_adapters::tryton::{self, Key, TrytonConfig};
use pannier_adapters::webhook::{self, Secrets, WebhookConfig};
use tokio_util::sync::CancellationToken;

use crate::cli::{data, told_to_stop};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Watches a folder for flat files, by a mapping.
    Files(FilesArgs),
    /// Publishes what Tryton knows, and hands orders over to it.
    Tryton(TrytonArgs),
    /// Tells a channel what happens to its orders, by signed webhooks.
    Webhook(WebhookArgs),
}

#[derive(Debug, clap::Args)]
pub struct FilesArgs {
    /// TOML; every key is documented in `deploy/files.toml`.
    #[arg(long, env = "PANNIER_FILES_CONFIG")]
    config: PathBuf,
    /// Where the broker is, instead of what the configuration says.
    #[arg(long, env = "PANNIER_NATS")]
    nats: Option<String>,
    /// Take the files that are there, publish them and end; prints what was taken.
    #[arg(long, env = "PANNIER_FILES_ONCE")]
    once: bool,
    /// With --once: print JSON, a file a line.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct TrytonArgs {
    /// TOML; every key is documented in `deploy/tryton.toml`.
    #[arg(long, env = "PANNIER_TRYTON_CONFIG")]
    config: PathBuf,
    /// Where the broker is, instead of what the configuration says.
    #[arg(long, env = "PANNIER_NATS")]
    nats: Option<String>,
    /// Of the user application in Tryton, instead of what the configuration says; better in the environment than here.
    #[arg(long, env = "PANNIER_TRYTON_KEY", hide_env_values = true)]
    key: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct WebhookArgs {
    /// TOML; every key is documented in `deploy/webhook.toml`.
    #[arg(long, env = "PANNIER_WEBHOOK_CONFIG")]
    config: PathBuf,
    /// Where the broker is, instead of what the configuration says.
    #[arg(long, env = "PANNIER_NATS")]
    nats: Option<String>,
    /// What signs, instead of the files of the configuration, with spaces between several; better in the environment
    /// than here.
    #[arg(long, env = "PANNIER_WEBHOOK_SECRETS", hide_env_values = true)]
    secrets: Option<String>,
    /// Allow plain HTTP to another machine.
    #[arg(long, env = "PANNIER_WEBHOOK_INSECURE")]
    insecure: bool,
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Files(args) => run_files(args).await,
        Command::Tryton(args) => run_tryton(args).await,
        Command::Webhook(args) => run_webhook(args).await,
    }
}

async fn run_tryton(args: TrytonArgs) -> anyhow::Result<()> {
    let mut config = TrytonConfig::load(&args.config).with_context(|| args.config.display().to_string())?;
    config.nats = args.nats.unwrap_or(config.nats);
    config.key = args.key.map(Key).or(config.key);
    until_told(|stop| tryton::run(config, stop)).await
}

async fn run_webhook(args: WebhookArgs) -> anyhow::Result<()> {
    let loaded = WebhookConfig::load(&args.config, args.insecure);
    let mut config = loaded.with_context(|| args.config.display().to_string())?;
    config.nats = args.nats.unwrap_or(config.nats);
    let secrets = match &args.secrets {
        Some(texts) => Secrets::new(texts.split_whitespace())?,
        None => config.secrets()?,
    };
    until_told(|stop| webhook::run(config, secrets, stop)).await
}

async fn run_files(args: FilesArgs) -> anyhow::Result<()> {
    let mut config = FilesConfig::load(&args.config).with_context(|| args.config.display().to_string())?;
    if let Some(nats) = args.nats {
        config.nats = nats;
    }
    if args.once {
        return load_once(config, args.json).await;
    }
    until_told(|stop| files::run(config, stop)).await
}

/// Runs an adapter until Ctrl-C or SIGTERM; what is in hand then is finished.
async fn until_told<E, F>(adapter: impl FnOnce(CancellationToken) -> F) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
{
    let stop = CancellationToken::new();
    let work = tokio::spawn(adapter(stop.clone()));
    tokio::pin!(work);
    let ended = tokio::select! {
        ended = &mut work => ended,
        told = told_to_stop() => {
            told?;
            stop.cancel();
            work.await
        }
    };
    Ok(ended.context("run the adapter")??)
}

async fn load_once(config: FilesConfig, json: bool) -> anyhow::Result<()> {
    let summary = files::load_once(config, |_| {}).await?;
    for file in &summary.files {
        if json {
            data(serde_json::json!({
                "file": file.name, "rows": file.rows, "rejects": file.rejects, "parked": file.parked,
            }))?;
        } else {
            let parked = file.parked.as_ref().map(|reason| format!(", parked: {reason}")).unwrap_or_default();
            data(format_args!("{}: {} rows, {} rejected{parked}", file.name, file.rows, file.rejects))?;
        }
    }
    Ok(())
}
