//! What a process has used, as Linux tells it.

use std::time::Duration;

use anyhow::Context;

/// User and system time so far.
pub(super) fn cpu(process_id: u32) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{process_id}/stat"));
    let text = text.with_context(|| format!("process {process_id} has ended"))?;
    // Behind the name in brackets, which may hold blanks: the two are the 12th and 13th.
    let fields = text.rsplit_once(')').context("the statistics of a process")?.1.split_whitespace();
    let ticks: Vec<u64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks.iter().sum::<u64>() as f64 / per_second as f64))
}

/// The same of the processes that it has started and that run.
pub(super) fn children_cpu(process_id: u32) -> anyhow::Result<Duration> {
    let mut all = Duration::ZERO;
    for process in std::fs::read_dir("/proc").context("read /proc")?.flatten() {
        let Some(child) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // One that has ended meanwhile is nobody's child.
        let Ok(text) = std::fs::read_to_string(process.path().join("stat")) else { continue };
        let parent =
            text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if parent == Some(process_id) {
            all += cpu(child).unwrap_or_default();
        }
    }
    Ok(all)
}

/// What it holds in memory.
pub(super) fn resident_bytes(process_id: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status"));
    let status = status.with_context(|| format!("process {process_id} has ended"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the size of a process")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1_024)
}
