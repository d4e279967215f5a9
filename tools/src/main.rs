//! `pannier`: see `pannier --help`.

use std::process::ExitCode;

use clap::Parser;
use pannier::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pannier: {error:#}");
            ExitCode::FAILURE
        }
    }
}
