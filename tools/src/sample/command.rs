//! `pannier sample`: the sample distributor's files, for those who want to see or change them.

use std::path::PathBuf;

use anyhow::Context;
use pannier_protocol::LocalDate;

use super::{ITEMS, business_day, distributor, files};
use crate::broker::now;
use crate::cli::data;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder that the files of both systems and their mappings are written to.
    #[arg(long, env = "PANNIER_SAMPLE_OUT")]
    out: PathBuf,
    #[command(flatten)]
    content: ContentArgs,
}

/// What is in a sample; the same three give the same files.
#[derive(Debug, Clone, clap::Args)]
pub struct ContentArgs {
    /// Generated items beside the showcase.
    #[arg(long, env = "PANNIER_ITEMS", default_value_t = ITEMS)]
    pub items: usize,
    /// The day that prices and supply are dated around; without: today at the distributor.
    #[arg(long, env = "PANNIER_AS_OF", value_parser = LocalDate::parse)]
    pub as_of: Option<LocalDate>,
    /// Which items are drawn.
    #[arg(long, env = "PANNIER_SEED", default_value_t = 1)]
    pub seed: u64,
}

impl ContentArgs {
    pub fn day(&self) -> anyhow::Result<LocalDate> {
        self.as_of.map_or_else(|| business_day(now()?), Ok)
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let day = args.content.day()?;
    let distributor = distributor(args.content.items, args.content.seed)?;
    let out = &args.out;
    files::write(&distributor, day, out).with_context(|| format!("write the sample to {}", out.display()))?;
    let mappings = files::write_mappings(out, files::NATS)?;
    tracing::info!(items = distributor.items.len(), accounts = distributor.accounts.len(), %day, "written");
    data(mappings.erp.display())?;
    data(mappings.wms.display())
}
