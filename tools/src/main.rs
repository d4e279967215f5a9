//! `pannier`: see `pannier --help`.

use std::process::ExitCode;

use clap::Parser;
use pannier::cli::Cli;

/// Of a lookup a tenth was the system's allocator; see benches/README.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
