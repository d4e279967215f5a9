//! `pannier node`: one node of a cluster.

use std::path::PathBuf;

use anyhow::Context;
use pannier_node::{Config, Node};

use crate::cli::told_to_stop;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// TOML; every key is documented in `deploy/pannier.toml` and can be set by the environment, as in
    /// `PANNIER_HTTP__LISTEN`. Without: the defaults.
    #[arg(long, env = "PANNIER_CONFIG")]
    config: Option<PathBuf>,
    /// Listen on an address that other machines can reach, though callers are not authenticated.
    #[arg(long, env = "PANNIER_INSECURE_LISTEN")]
    insecure_listen: bool,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut environment: Vec<(String, String)> = std::env::vars().collect();
    if args.insecure_listen {
        for listener in ["HTTP", "OPERATOR"] {
            environment.push((format!("PANNIER_{listener}__INSECURE_LISTEN"), "true".to_owned()));
        }
    }
    let config = Config::load(args.config.as_deref(), environment).context("read the configuration")?;
    let node = Node::start(config).await?;
    let handle = node.handle();
    let told = tokio::spawn(async move {
        let outcome = told_to_stop().await;
        handle.stop();
        outcome
    });
    let ended = node.run().await;
    told.abort();
    Ok(ended?)
}
