//! `pannier bench compare`: two runs side by side.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::{Report, page};
use crate::cli::data;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Written by `pannier bench load --out`.
    #[arg(env = "PANNIER_BEFORE")]
    before: PathBuf,
    #[arg(env = "PANNIER_AFTER")]
    after: PathBuf,
    /// Write a page with both there.
    #[arg(long, env = "PANNIER_HTML")]
    html: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

/// One figure of both.
#[derive(Debug, PartialEq, Serialize)]
struct Compared {
    kind: String,
    figure: &'static str,
    before: f64,
    after: f64,
    /// After to before; none where that was 0.
    ratio: Option<f64>,
}

pub(in super::super) fn run(args: &Args) -> anyhow::Result<()> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    if let Some(file) = &args.html {
        let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (one, other) = (name(&args.before), name(&args.after));
        let page = page::page(&[(one.as_str(), &before), (other.as_str(), &after)]);
        std::fs::write(file, page).with_context(|| format!("write {}", file.display()))?;
    }
    let compared = compared(&before, &after);
    if args.json {
        return data(serde_json::to_string(&compared)?);
    }
    data(format_args!("{:<24} {:>12} {:>12} {:>8}", "", "before", "after", "ratio"))?;
    compared.iter().try_for_each(|one| {
        let ratio = one.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let name = format!("{} {}", one.kind, one.figure);
        data(format_args!("{name:<24} {:>12.2} {:>12.2} {ratio:>8}", one.before, one.after))
    })
}

fn read(file: &Path) -> anyhow::Result<Report> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let report = serde_json::from_str(&text);
    report.with_context(|| format!("{} is not what `pannier bench load --out` writes", file.display()))
}

/// What both runs asked for.
fn compared(before: &Report, after: &Report) -> Vec<Compared> {
    let mut compared = Vec::new();
    let mut add = |kind: &str, figure, before: f64, after: f64| {
        let ratio = (before > 0.0).then(|| after / before);
        compared.push(Compared { kind: kind.to_owned(), figure, before, after, ratio });
    };
    for one in &before.recorded.kinds {
        let Some(other) = after.recorded.kinds.iter().find(|other| other.kind == one.kind) else { continue };
        let errors = |of: &super::recorded::KindRecorded| of.errors.values().sum::<u64>() as f64;
        add(&one.kind, "a second", one.per_second, other.per_second);
        add(&one.kind, "p50 ms", one.p50_ms, other.p50_ms);
        add(&one.kind, "p99 ms", one.p99_ms, other.p99_ms);
        add(&one.kind, "p99.9 ms", one.p999_ms, other.p999_ms);
        add(&one.kind, "max ms", one.max_ms, other.max_ms);
        add(&one.kind, "errors", errors(one), errors(other));
    }
    if let (Some(one), Some(other)) = (before.server, after.server) {
        add("server", "us a request", one.cpu_us_a_request, other.cpu_us_a_request);
        add("server", "MB", one.resident_bytes as f64 / 1e6, other.resident_bytes as f64 / 1e6);
    }
    compared
}
