//! `pannier policy`: what the tenant decides by data, from a TOML file with one section a document, and
//! back into one.
//!
//! The streams, and the nodes that read them, are the only places that keep policies: there is no copy in a database to
//! disagree with them.
//! `apply` asks what is in force (`in_force`), gives each document that differs the next
//! version, and publishes them as one message, so that no lookup sees half of a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use pannier_protocol::change::{Policy, PolicyDocument};
use pannier_protocol::subject::Subject;
use pannier_protocol::{AsOf, Change, Partition, SourceId};
use pannier_streams::{Broker, Streams};
use serde::Deserialize;

use crate::broker::BrokerArgs;
use crate::chain::{Held, OPERATOR};
use crate::cli::data;
use crate::in_force::{InForce, InForceArgs};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Puts a file's documents in force; prints a token to use as `at_least`.
    Apply(ApplyArgs),
    /// Prints the documents in force, as `apply` takes them.
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    in_force: InForceArgs,
    /// TOML, one section a document; documents that are not in it stay as they are.
    #[arg(env = "PANNIER_POLICY_FILE")]
    file: PathBuf,
    /// Put the file's `ownership` in force though a handover has decided otherwise since; orders stay where they are.
    #[arg(long, env = "PANNIER_OVER_HANDOVER")]
    over_handover: bool,
}

#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    in_force: InForceArgs,
    /// Print JSON, with versions.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Apply(args) => {
            let text = std::fs::read_to_string(&args.file)
                .with_context(|| format!("read {}", args.file.display()))?;
            let documents = parse(&text).with_context(|| args.file.display().to_string())?;
            let (broker, streams) = args.broker.open("pannier policy").await?;
            let in_force = args.in_force.read(&broker, &streams).await?;
            data(apply_over(&broker, &streams, (documents, in_force), args.over_handover).await?)
        }
        Command::Show(args) => {
            let (broker, streams) = args.broker.open("pannier policy").await?;
            let in_force = args.in_force.read(&broker, &streams).await?.policies;
            if args.json {
                return data(serde_json::to_string_pretty(&in_force)?);
            }
            data(to_toml(&in_force)?.trim_end())
        }
    }
}

/// The documents of a file, checked; the error names the section.
pub fn parse(text: &str) -> anyhow::Result<Vec<PolicyDocument>> {
    let sections: toml::Table = toml::from_str(text)?;
    ensure!(
        !sections.is_empty(),
        "no document in it, so nothing would change; write a section a document, as `pannier policy show` does"
    );
    let mut documents = Vec::new();
    for (name, section) in sections {
        let one = toml::Value::Table([(name.clone(), section)].into_iter().collect());
        let document = PolicyDocument::deserialize(one).with_context(|| format!("section {name}"))?;
        let change = Change::Policy(Policy { version: 1, document: document.clone() });
        change.check().with_context(|| format!("section {name}"))?;
        documents.push(document);
    }
    Ok(documents)
}

/// Publishes those documents that are not in force already.
pub async fn apply(
    broker: &Broker,
    streams: &Streams,
    documents: Vec<PolicyDocument>,
) -> anyhow::Result<AsOf> {
    let in_force = InForce::of_streams(broker, streams).await?;
    apply_over(broker, streams, (documents, in_force), false).await
}

async fn apply_over(
    broker: &Broker,
    streams: &Streams,
    (documents, in_force): (Vec<PolicyDocument>, InForce),
    over_handover: bool,
) -> anyhow::Result<AsOf> {
    let InForce { policies: mut in_force, handed_over, .. } = in_force;
    if let Some(handed_over) = handed_over {
        let name = handed_over.document.name();
        let of_file = documents.iter().find(|document| document.name() == name);
        let is_older = in_force.get(name).is_none_or(|it| it.version <= handed_over.version);
        ensure!(
            over_handover || !is_older || of_file.is_none_or(|document| *document == handed_over.document),
            "a handover has put another `ownership` in force than the file's, as version {}: write into the file what \
             GET /v1/operator/handover shows, or say --over-handover",
            handed_over.version
        );
        if is_older {
            in_force.insert(name.to_owned(), handed_over);
        }
    }
    let mut held = Held::operator(broker, streams, subject()?).await?;
    let changes: Vec<Change> = documents
        .into_iter()
        .filter_map(|document| {
            let before = in_force.get(document.name());
            let version = before.map_or(1, |policy| policy.version + 1);
            let differs = before.is_none_or(|policy| policy.document != document);
            differs.then_some(Change::Policy(Policy { version, document }))
        })
        .collect();
    if changes.is_empty() {
        tracing::info!("these policies are in force already");
        return Ok(held.last());
    }
    held.publish(changes, None).await
}

fn to_toml(in_force: &BTreeMap<String, Policy>) -> anyhow::Result<String> {
    let mut sections = toml::Table::new();
    for (name, policy) in in_force {
        let toml::Value::Table(section) = toml::Value::try_from(&policy.document)? else { continue };
        sections.extend(section);
        tracing::info!(name, version = policy.version, "in force");
    }
    Ok(toml::to_string_pretty(&sections)?)
}

fn subject() -> anyhow::Result<Subject> {
    Ok(Subject::Catalog(Partition::Shared, SourceId::new(OPERATOR)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_survives_being_shown() {
        let documents = parse(crate::sample::POLICY).unwrap();
        assert_eq!(documents.len(), 7);
        let in_force = documents
            .iter()
            .map(|document| (document.name().to_owned(), Policy { version: 3, document: document.clone() }))
            .collect();
        let mut again = parse(&to_toml(&in_force).unwrap()).unwrap();
        let by_name = |documents: &mut Vec<PolicyDocument>| documents.sort_by_key(PolicyDocument::name);
        let mut documents = documents;
        by_name(&mut documents);
        by_name(&mut again);
        assert_eq!(again, documents);
    }

    #[test]
    fn the_wrong_section_is_named() {
        for (text, want) in [
            (
                "",
                "no document in it, so nothing would change; write a section a document, as `pannier policy show` does",
            ),
            (
                "# sourcing\n",
                "no document in it, so nothing would change; write a section a document, as `pannier policy show` does",
            ),
            ("[colour]\na = 1", "section colour"),
            ("[sourcing]\nmode = \"split\"\nhorizon_days = 90", "section sourcing"),
            ("[sourcing]\nmode = \"split\"\nhorizon_days = 9000\npast_due = \"ignore\"", "section sourcing"),
            ("business_zone = \"Nowhere\"", "section business_zone"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), want, "{text}");
        }
    }
}
