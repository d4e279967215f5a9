//! The program `pannier`, so that tests can start it as a process and kill it.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    pannier::cli::Cli::parse().run().await
}
