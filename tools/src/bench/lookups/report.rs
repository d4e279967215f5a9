//! Figures side by side.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::super::closed::Measured;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) price_rows: u64,
    pub(super) connections: usize,
    pub(super) seconds: u64,
    pub(super) rows: Vec<Row>,
    /// What is compared, by name; what was not there to compare with is left out.
    figures: BTreeMap<&'static str, f64>,
}

/// One server.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: String,
    answer_bytes: usize,
    pub(super) runs: Vec<Run>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    pub(super) per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    /// Of the server, a request.
    cpu_us: f64,
}

impl Run {
    /// `cpu` is of the warm-up too.
    pub(super) fn of(measured: &Measured, cpu: Duration, warm_up: Duration) -> Self {
        let share = measured.took.as_secs_f64() / (measured.took + warm_up).as_secs_f64();
        Self {
            per_second: measured.per_second(),
            p50_ms: measured.quantile(0.5),
            p99_ms: measured.quantile(0.99),
            p999_ms: measured.quantile(0.999),
            cpu_us: cpu.as_secs_f64() * share * 1e6 / measured.answered as f64,
        }
    }
}

impl Row {
    pub(super) fn new(name: &str, answer_bytes: usize) -> Self {
        Self { name: name.to_owned(), answer_bytes, runs: Vec::new() }
    }

    /// The run in the middle, and the lowest and highest rates.
    fn median(&self) -> Option<(Run, f64, f64)> {
        let mut runs = self.runs.clone();
        runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        let (first, last) = (runs.first()?.per_second, runs.last()?.per_second);
        Some((runs.get(runs.len() / 2)?.clone(), first, last))
    }
}

const RATIOS: [(&str, &str, &str); 5] = [
    ("basket_json_to_redis", "node, basket, JSON", "Redis MGET of 40 keys"),
    ("basket_messagepack_to_redis", "node, basket, MessagePack", "Redis MGET of 40 keys"),
    ("basket_json_to_redis_lua", "node, basket, JSON", "Redis pricing in Lua"),
    ("basket_json_to_postgres", "node, basket, JSON", "PostgreSQL pricing in SQL"),
    ("basket_json_to_bare", "node, basket, JSON", "bare hyper, basket, JSON"),
];

/// Of what the server's CPU has to do for a request.
const CPU_RATIOS: [(&str, &str, &str); 2] = [
    ("basket_quic_cpu_to_http", "node, basket, QUIC", "node, basket, MessagePack"),
    ("line_quic_cpu_to_http", "node, line, QUIC", "node, line, JSON"),
];

impl Report {
    pub(super) fn of(price_rows: u64, connections: usize, seconds: u64, rows: Vec<Row>) -> Self {
        let mut report = Self { price_rows, connections, seconds, rows, figures: BTreeMap::new() };
        for (name, one, other) in RATIOS {
            report.figures.extend(report.ratio(one, other).map(|ratio| (name, ratio)));
        }
        for (name, one, other) in CPU_RATIOS {
            report.figures.extend(report.cpu_ratio(one, other).map(|ratio| (name, ratio)));
        }
        let above = report.above("node, line, JSON", "bare hyper, line, JSON");
        report.figures.extend(above.map(|above| ("line_json_cpu_us_above_bare", above)));
        report
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} price rows, {} connections, {} s a run, server and client on one core each\n\
             {:<34} {:>9} {:>19} {:>7} {:>7} {:>8} {:>8}\n",
            self.price_rows,
            self.connections,
            self.seconds,
            "",
            "median/s",
            "lowest to highest",
            "p50 ms",
            "p99 ms",
            "CPU us",
            "bytes",
        );
        for row in &self.rows {
            let Some((run, lowest, highest)) = row.median() else { continue };
            text += &format!(
                "{:<34} {:>9.0} {:>19} {:>7.2} {:>7.2} {:>8.1} {:>8}\n",
                row.name,
                run.per_second,
                format!("{lowest:.0} to {highest:.0}"),
                run.p50_ms,
                run.p99_ms,
                run.cpu_us,
                row.answer_bytes
            );
        }
        for (name, figure) in &self.figures {
            text += &format!("{name}: {figure:.3}\n");
        }
        text.trim_end().to_owned()
    }

    fn run(&self, name: &str) -> Option<Run> {
        Some(self.rows.iter().find(|row| row.name == name)?.median()?.0)
    }

    /// Of median rates.
    fn ratio(&self, one: &str, other: &str) -> Option<f64> {
        Some(self.run(one)?.per_second / self.run(other)?.per_second)
    }

    fn cpu_ratio(&self, one: &str, other: &str) -> Option<f64> {
        Some(self.run(one)?.cpu_us / self.run(other)?.cpu_us)
    }

    /// In microseconds a request.
    fn above(&self, one: &str, other: &str) -> Option<f64> {
        Some(self.run(one)?.cpu_us - self.run(other)?.cpu_us)
    }
}
