//! `pannier cluster`: every node, how far it is, and whether its tables agree with those of the node that is asked.

use anyhow::bail;
use pannier_protocol::api::operator::{Agreement, ClusterShown, MemberShown};

use crate::cli::data;
use crate::operator::{NodeArgs, word};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    node: NodeArgs,
    /// Print the result as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

/// Fails where nodes differ, for scripts.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let shown: ClusterShown = args.node.open()?.get("cluster").await?;
    if args.json {
        data(serde_json::to_string(&shown)?)?;
    } else {
        if !shown.connected {
            tracing::warn!(asked = %shown.asked, "it cannot read the members now; this is the last that it knew");
        }
        data(line(&[
            "NODE",
            "STATE",
            "LEDGER",
            "CATALOG",
            "LAG",
            "BUILD",
            "RULES",
            "HEARD",
            "TABLES",
            "CHECKPOINT",
            "HTTP",
        ]))?;
        for member in &shown.members {
            data(line(&cells(member).each_ref().map(String::as_str)))?;
        }
    }
    let differ = shown.members.iter().filter(|it| matches!(it.agreement, Agreement::Differs(_)));
    let differ: Vec<&str> = differ.map(|it| it.member.node.as_str()).collect();
    if !differ.is_empty() {
        bail!(
            "{} and {} have different tables: stop the one that is wrong, and let it start anew from the streams",
            shown.asked,
            differ.join(", ")
        );
    }
    Ok(())
}

fn cells(shown: &MemberShown) -> [String; 11] {
    let member = &shown.member;
    let state = if shown.silent { "silent".to_owned() } else { member.state.clone() };
    let lag = member.ledger_lag_ms.map_or("-".to_owned(), |lag| format!("{lag} ms"));
    let rules = match member.rules == member.rules_known {
        true => member.rules.to_string(),
        false => format!("{} of {}", member.rules, member.rules_known),
    };
    let tables = match &shown.agreement {
        Agreement::Unknown => "not compared".to_owned(),
        Agreement::Agrees(at) => format!("agree at {}/{}", at.ledger, at.catalog),
        Agreement::Differs(at) => format!("DIFFER at {} {}", word(&at.stream), at.position),
    };
    let checkpoint = member.checkpoint.as_ref().map_or("none".to_owned(), |it| {
        let confirmed = if it.confirmed { "" } else { "?" };
        format!("{}/{}{confirmed}", it.ledger, it.catalog)
    });
    let applied = member.applied;
    [
        member.node.to_string(),
        state,
        applied.ledger.to_string(),
        applied.catalog.to_string(),
        lag,
        member.build.clone(),
        rules,
        format!("{} ms", shown.heard_ms),
        tables,
        checkpoint,
        member.http.clone(),
    ]
}

fn line(cells: &[&str; 11]) -> String {
    let [node, state, ledger, catalog, lag, build, rules, heard, tables, checkpoint, http] = cells;
    format!(
        "{node:<16} {state:<11} {ledger:>10} {catalog:>10} {lag:>8} {build:<8} {rules:<6} {heard:>8}  {tables:<28} {checkpoint:<20} {http}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_a_line() {
        let shown = |heard_ms: u64, agreement: serde_json::Value| -> MemberShown {
            serde_json::from_value(json!({
                "member": {
                    "node": "n2", "build": "0.1.0", "rules_known": 3, "rules": 2, "incarnation": "7f3a", "state": "ready",
                    "applied": {"ledger": 8, "catalog": 5}, "ledger_lag_ms": 0, "lookups_in_flight": 3,
                    "http": "h:1", "operator": "h:2", "at": "2026-11-23T09:00:01Z", "digests": [],
                    "checkpoint": {"ledger": 7, "catalog": 5, "at": "2026-11-23T09:00:00Z", "confirmed": heard_ms < 5_000},
                },
                "heard_ms": heard_ms, "silent": heard_ms > 5_000, "agreement": agreement,
            }))
            .unwrap()
        };
        let words = |member: MemberShown| cells(&member).join("|");
        assert_eq!(
            words(shown(400, json!({"agrees": {"ledger": 8, "catalog": 0}}))),
            "n2|ready|8|5|0 ms|0.1.0|2 of 3|400 ms|agree at 8/0|7/5|h:1"
        );
        assert_eq!(
            words(shown(9_000, json!({"differs": {"stream": "ledger", "position": 4096}}))),
            "n2|silent|8|5|0 ms|0.1.0|2 of 3|9000 ms|DIFFER at ledger 4096|7/5?|h:1"
        );
    }
}
