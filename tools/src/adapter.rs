//! `pannier adapter`: from a source system to the change streams.

use std::path::PathBuf;

use anyhow::Context;
use pannier_adapters::files::{self, FilesConfig};
use tokio_util::sync::CancellationToken;

use crate::cli::{data, told_to_stop};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Watches a folder for flat files, by a mapping.
    Files(FilesArgs),
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

pub async fn run(command: Command) -> anyhow::Result<()> {
    let Command::Files(args) = command;
    let mut config = FilesConfig::load(&args.config).with_context(|| args.config.display().to_string())?;
    if let Some(nats) = args.nats {
        config.nats = nats;
    }
    if args.once {
        return load_once(config, args.json).await;
    }
    let stop = CancellationToken::new();
    let work = tokio::spawn(files::run(config, stop.clone()));
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
