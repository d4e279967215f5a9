//! The sample into the streams, through the file adapter: what a distributor would do with its own exports.

use anyhow::{Context, bail, ensure};
use pannier_adapters::files::{self, FilesConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::home::{Home, Loaded};
use crate::sample::{self, ContentArgs};

/// What came out of it.
pub(super) struct Sample {
    /// Configurations of the adapters, for going on.
    adapters: Vec<FilesConfig>,
    /// Rows that were read; `None` where an earlier run had loaded them.
    pub(super) rows: Option<u64>,
    pub(super) loaded: Loaded,
}

/// Loads the sample that is asked for, unless the streams have it already.
pub(super) async fn load(home: &Home, content: &ContentArgs, nats: &str) -> anyhow::Result<Sample> {
    let wanted = Loaded { items: content.items, seed: content.seed, as_of: content.day()? };
    let before = home.loaded()?;
    if let Some(before) = &before {
        ensure!(
            (before.items, before.seed) == (wanted.items, wanted.seed),
            "{} holds the sample of --items {} --seed {}; ask for the same, or start over with --fresh",
            home.folder().display(),
            before.items,
            before.seed
        );
    }
    let folder = home.sample();
    let mut rows = None;
    if before.as_ref() != Some(&wanted) {
        super::say("writing the sample distributor's files");
        let distributor = sample::distributor(wanted.items, wanted.seed)?;
        sample::files::write(&distributor, wanted.as_of, &folder)?;
    }
    let mappings = sample::files::write_mappings(&folder, nats)?;
    let mut adapters = Vec::new();
    for path in [&mappings.erp, &mappings.wms] {
        adapters.push(FilesConfig::load(path).with_context(|| path.display().to_string())?);
    }
    if before.as_ref() != Some(&wanted) {
        super::say("loading them through the file adapter");
        let mut total = 0;
        for config in &adapters {
            total += load_files(config).await?;
        }
        rows = Some(total);
        home.set_loaded(&wanted)?;
    }
    Ok(Sample { adapters, rows, loaded: wanted })
}

async fn load_files(config: &FilesConfig) -> anyhow::Result<u64> {
    let source = config.source.clone();
    let summary = files::load_once(config.clone(), |file| {
        tracing::info!(%source, file = file.name, rows = file.rows, rejects = file.rejects, "loaded");
    })
    .await
    .with_context(|| format!("load the files of {source}"))?;
    for file in &summary.files {
        if let Some(reason) = &file.parked {
            bail!("{} of {source} was parked: {reason}", file.name);
        }
        ensure!(
            file.rejects == 0,
            "{} rows of {} were rejected; see {}",
            file.rejects,
            file.name,
            config.folder.join("rejects").display()
        );
    }
    Ok(summary.files.iter().map(|file| file.rows).sum())
}

/// Keeps the adapters going: they take new files, tick, and answer nodes that ask for a chain again.
pub(super) fn keep_going(sample: Sample, stop: &CancellationToken) -> JoinSet<anyhow::Result<()>> {
    let mut adapters = JoinSet::new();
    for config in sample.adapters {
        let stop = stop.clone();
        adapters.spawn(async move {
            let source = config.source.clone();
            files::run(config, stop).await.with_context(|| format!("adapter of {source}"))
        });
    }
    adapters
}
