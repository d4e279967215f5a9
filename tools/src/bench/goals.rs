//! `pannier bench goals`: figures that are wanted, each beside what this machine does, by the command that anybody can
//! repeat it with.

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::Value;
use tokio::process::Command;

use crate::cli::data;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Fewer runs and smaller tables, in a few minutes: what is wanted at 25 million rows is measured at one million, and
    /// neither met nor missed.
    #[arg(long, env = "PANNIER_QUICK")]
    quick: bool,
    /// Print one JSON array.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

/// One command and the goals that its figures are for.
struct Measurement {
    full: &'static str,
    quick: &'static str,
    goals: &'static [Goal],
}

struct Goal {
    name: &'static str,
    unit: &'static str,
    /// In the command's JSON.
    pointer: &'static str,
    bound: Bound,
    /// Wanted at 25 million rows, where the quick command has fewer.
    is_of_size: bool,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug, Serialize)]
struct Shown {
    name: &'static str,
    /// `None`: what it is compared with is not there.
    figure: Option<f64>,
    unit: &'static str,
    goal: String,
    /// `None`: it was not measured, or not at the size that is meant.
    met: Option<bool>,
    command: String,
}

const MEASUREMENTS: [Measurement; 3] = [
    Measurement {
        full: "bench lookups --rows 25000000 --runs 5 --seconds 5 --json",
        quick: "bench lookups --rows 10000 --runs 3 --seconds 2 --json",
        goals: &[
            Goal {
                name: "20-line basket, JSON",
                unit: "of Redis MGET of 40 keys",
                pointer: "/figures/basket_json_to_redis",
                bound: Bound::AtLeast(0.6),
                is_of_size: false,
            },
            Goal {
                name: "20-line basket, MessagePack",
                unit: "of Redis MGET of 40 keys",
                pointer: "/figures/basket_messagepack_to_redis",
                bound: Bound::AtLeast(1.0),
                is_of_size: false,
            },
            Goal {
                name: "20-line basket, JSON",
                unit: "of Redis with the same pricing in Lua",
                pointer: "/figures/basket_json_to_redis_lua",
                bound: Bound::AtLeast(3.0),
                is_of_size: false,
            },
            Goal {
                name: "QUIC, single line",
                unit: "of HTTP's server CPU",
                pointer: "/figures/line_quic_cpu_to_http",
                bound: Bound::AtMost(1.0),
                is_of_size: false,
            },
            Goal {
                name: "QUIC, 20-line basket",
                unit: "of HTTP's server CPU",
                pointer: "/figures/basket_quic_cpu_to_http",
                bound: Bound::AtMost(1.5),
                is_of_size: false,
            },
            Goal {
                name: "single line, JSON",
                unit: "us of server CPU above bare hyper",
                pointer: "/figures/line_json_cpu_us_above_bare",
                bound: Bound::AtMost(2.0),
                is_of_size: false,
            },
        ],
    },
    Measurement {
        full: "bench orders --runs 5 --seconds 5 --json",
        quick: "bench orders --runs 1 --seconds 3 --json",
        goals: &[Goal {
            name: "judged orders, grouped",
            unit: "of those with one order a message",
            pointer: "/ratio",
            bound: Bound::AtLeast(5.0),
            is_of_size: false,
        }],
    },
    Measurement {
        full: "bench start --rows 25000000 --runs 3 --json",
        quick: "bench start --rows 1000000 --runs 1 --json",
        goals: &[
            Goal {
                name: "start from disk, 25 M price rows",
                unit: "s",
                pointer: "/figures/disk_seconds",
                bound: Bound::AtMost(5.0),
                is_of_size: true,
            },
            Goal {
                name: "start from a peer, 25 M price rows",
                unit: "s",
                pointer: "/figures/peer_seconds",
                bound: Bound::AtMost(8.0),
                is_of_size: true,
            },
            Goal {
                name: "memory, with everything that a node has",
                unit: "bytes a price row",
                pointer: "/figures/resident_bytes_a_row",
                bound: Bound::AtMost(64.0),
                is_of_size: true,
            },
        ],
    },
];

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let mut shown = Vec::new();
    for measurement in &MEASUREMENTS {
        let command = if args.quick { measurement.quick } else { measurement.full };
        eprintln!("pannier {command}");
        let report = measured(command).await?;
        shown.extend(measurement.goals.iter().map(|goal| goal.shown(&report, command, args.quick)));
    }
    if args.json {
        return data(serde_json::to_string(&shown)?);
    }
    shown.iter().try_for_each(|goal| data(goal.text()))
}

/// What the command prints; its progress goes where this one's does.
async fn measured(command: &str) -> anyhow::Result<Value> {
    let pannier = std::env::current_exe().context("find this program")?;
    let mut process = Command::new(pannier);
    process.args(command.split(' ')).stderr(std::process::Stdio::inherit()).kill_on_drop(true);
    let output = process.output().await.with_context(|| format!("run pannier {command}"))?;
    ensure!(output.status.success(), "pannier {command} ended with {}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("read what pannier {command} prints"))
}

impl Goal {
    fn shown(&self, report: &Value, command: &str, quick: bool) -> Shown {
        let figure = report.pointer(self.pointer).and_then(Value::as_f64);
        let is_meant = !(quick && self.is_of_size);
        let (goal, met): (_, fn(f64, f64) -> bool) = match self.bound {
            Bound::AtLeast(bound) => ((format!("at least {bound}"), bound), |figure, bound| figure >= bound),
            Bound::AtMost(bound) => ((format!("at most {bound}"), bound), |figure, bound| figure <= bound),
        };
        Shown {
            name: self.name,
            figure,
            unit: self.unit,
            met: figure.filter(|_| is_meant).map(|figure| met(figure, goal.1)),
            goal: goal.0,
            command: format!("pannier {command}"),
        }
    }
}

impl Shown {
    fn text(&self) -> String {
        let figure = self.figure.map_or("not measured".to_owned(), |figure| format!("{figure:.3}"));
        let met = match self.met {
            None => "-",
            Some(true) => "met",
            Some(false) => "missed",
        };
        format!("{:<40} {figure:>12} {}; {}: {met}", self.name, self.unit, self.goal)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_goal_is_met_missed_or_not_judged() {
        let goal = Goal {
            name: "start",
            unit: "s",
            pointer: "/figures/disk_seconds",
            bound: Bound::AtMost(5.0),
            is_of_size: true,
        };
        let met = |seconds: Value, quick| {
            goal.shown(&json!({"figures": {"disk_seconds": seconds}}), "bench start", quick).met
        };
        assert_eq!(met(json!(5.0), false), Some(true));
        assert_eq!(met(json!(5.1), false), Some(false));
        assert_eq!(met(json!(5.1), true), None);
        assert_eq!(met(Value::Null, false), None);
    }

    #[test]
    fn every_command_can_be_given() {
        for measurement in &MEASUREMENTS {
            for command in [measurement.full, measurement.quick] {
                Cli::try_parse_from(format!("pannier {command}").split(' ')).unwrap();
            }
        }
    }
}
