//! The ERP of a demonstration: Tryton, as `tests/erp/erp` sets it up and starts it, and what is read in it to find out
//! whether everything arrived. It is asked with a client of its own: what the adapter believes is what is checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use bytes::Bytes;
use http::Request;
use pannier_client::{HttpClient, Options};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

/// Sales that one request returns.
const PAGE: usize = 500;
/// A sale in one of these is in effect.
const IN_EFFECT: [&str; 3] = ["confirmed", "processing", "done"];

/// A running copy. It must be stopped; its processes do not end with this one.
pub(super) struct Erp {
    script: PathBuf,
    folder: PathBuf,
    started: Started,
    http: HttpClient,
}

/// What the script says of it.
#[derive(Debug, Deserialize)]
struct Started {
    url: String,
    key: String,
    trytond: Daemon,
}

#[derive(Debug, Deserialize)]
struct Daemon {
    pid: i32,
}

/// An order as the ERP has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sales {
    pub(super) in_effect: usize,
    /// Drafts and cancelled ones, which promise nothing.
    pub(super) without_effect: usize,
}

impl Erp {
    /// The first time takes minutes: the database is built and kept.
    pub(super) async fn start(script: &Path, database: &str, folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("erp");
        let printed = scripted(script, &["start", database, "--run", path(&folder)?]).await?;
        let started: Started = serde_json::from_str(&printed).context("read what tests/erp/erp printed")?;
        let origin = started.url.rsplit_once('/').map_or(started.url.as_str(), |(origin, _)| origin);
        let http = HttpClient::new(origin, Options::default())?;
        Ok(Self { script: script.to_owned(), folder, started, http })
    }

    pub(super) fn url(&self) -> &str {
        &self.started.url
    }

    pub(super) fn key(&self) -> &str {
        &self.started.key
    }

    /// It does not answer any more, and goes on with what it had begun when it does again.
    pub(super) fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    pub(super) fn go_on(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        scripted(&self.script, &["stop", "--run", path(&self.folder)?]).await.map(|_| ())
    }

    /// Every order that has a document there, by its id.
    pub(super) async fn sales(&self) -> anyhow::Result<BTreeMap<String, Sales>> {
        let mut sales: BTreeMap<String, Sales> = BTreeMap::new();
        let mut after = 0;
        loop {
            let found = self.search("sale.sale", &["id", "reference", "state"], after).await?;
            for sale in &found {
                after = after.max(sale["id"].as_i64().context("a sale of the ERP without its id")?);
                let (Some(reference), Some(state)) = (sale["reference"].as_str(), sale["state"].as_str())
                else {
                    continue;
                };
                let of = sales.entry(reference.to_owned()).or_default();
                if IN_EFFECT.contains(&state) { of.in_effect += 1 } else { of.without_effect += 1 }
            }
            if found.len() < PAGE {
                break;
            }
        }
        Ok(sales)
    }

    /// The next page of all records of a model, in the order of their ids.
    async fn search(&self, model: &str, fields: &[&str], after: i64) -> anyhow::Result<Vec<Value>> {
        // With its padding: Tryton fails without.
        let encoded = |value: Value| BASE64_URL_SAFE.encode(value.to_string());
        let in_query = |value| encoded(value).replace('=', "%3D");
        let fields: String = fields.iter().map(|field| format!("f={field}&")).collect();
        let (domain, order) = (in_query(json!([["id", ">", after]])), in_query(json!([["id", "ASC"]])));
        let database = self.started.url.rsplit('/').next().unwrap_or_default();
        let uri = format!(
            "{}/{database}/rest/model/{model}?{fields}d={domain}&o={order}&s={PAGE}",
            self.http.address()
        );
        let request = Request::get(uri)
            .header("Authorization", format!("bearer {}", self.started.key))
            .header("X-Tryton-Context", encoded(json!({"company": 1})))
            .body(Bytes::new())?;
        let response = self.http.send(request).await.context("ask the ERP")?;
        ensure!(response.status().is_success(), "the ERP answers {} about {model}", response.status());
        serde_json::from_slice(response.body()).context("read the ERP's answer")
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = Pid::from_raw(self.started.trytond.pid).context("the process id of the ERP")?;
        kill_process(id, signal).context("signal the ERP")
    }
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

async fn scripted(script: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(script);
    command.args(arguments).stderr(std::process::Stdio::inherit());
    let output = command.output().await.with_context(|| format!("run {}", script.display()))?;
    ensure!(
        output.status.success(),
        "{} {} failed: {}",
        script.display(),
        arguments.join(" "),
        output.status
    );
    String::from_utf8(output.stdout).context("read what tests/erp/erp printed")
}
