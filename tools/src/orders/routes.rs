//! `pannier orders route`: which backend receives which order, tried before it is put in force.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use http::Method;
use pannier_protocol::SourceId;
use pannier_protocol::api::operator::{Reroute, RoutingDryRun, RoutingRequest};
use pannier_protocol::order::RouteRule;

use crate::cli::data;
use crate::operator::{TriedActArgs, tell};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    act: TriedActArgs,
    #[arg(env = "PANNIER_ROUTES")]
    file: PathBuf,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("read {}", args.file.display()))?;
    let rules = routes(&text).with_context(|| args.file.display().to_string())?;
    let (by, reason) = args.act.signed()?;
    let request = RoutingRequest { rules, by, reason };
    let operator = args.act.node.open()?;
    if !args.act.dry_run {
        let answer = operator.act(Method::PUT, "routing", args.act.key.as_ref(), &request).await?;
        return tell(&answer, args.act.json);
    }
    let tried: RoutingDryRun = operator.try_out(Method::PUT, "routing?dry_run=true", &request).await?;
    if args.act.json {
        return data(serde_json::to_string(&tried)?);
    }
    for route in &tried.routes {
        data(line(route))?;
    }
    tracing::info!(as_of = %tried.as_of, "nothing was written");
    Ok(())
}

/// The rules of a TOML file.
pub(crate) fn routes(text: &str) -> anyhow::Result<Vec<RouteRule>> {
    let Routes { rules } = toml::from_str(text)?;
    ensure!(!rules.is_empty(), "no rule in it: write [[rules]] with a backend at least");
    Ok(rules)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Routes {
    rules: Vec<RouteRule>,
}

pub(super) fn line(route: &Reroute) -> String {
    let shown =
        |backend: &Option<SourceId>| backend.as_ref().map_or("review".to_owned(), ToString::to_string);
    let note = match (&route.from, &route.to) {
        (_, None) => "  NO RULE TAKES THEM",
        (from, to) if from == to => "  (unchanged)",
        _ => "",
    };
    let first: Vec<String> = route.first.iter().map(ToString::to_string).collect();
    let more = if route.first.len() < route.orders_count { " ..." } else { "" };
    format!(
        "{} -> {}  {} orders, {} open{note}: {}{more}",
        shown(&route.from),
        shown(&route.to),
        route.orders_count,
        route.open_count,
        first.join(" ")
    )
}
