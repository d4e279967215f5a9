//! The operators' listener of a node, as commands use it.

use std::time::Duration;

use anyhow::{Context, bail};
use http::{Method, Request};
use pannier_client::{HttpClient, Options};
use pannier_protocol::api::Problem;
use pannier_protocol::api::operator::{ActAnswer, ActOutcome};
use pannier_protocol::{IdempotencyKey, MarkId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::broker::now;

/// How often an act that was not judged in time is asked about again.
const PENDING_ASKED_MAX: usize = 6;
/// A node waits for the broker and its own fold before it answers an act.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, clap::Args)]
pub struct NodeArgs {
    /// The operators' listener of a node.
    #[arg(long, env = "PANNIER_NODE", default_value = "http://127.0.0.1:8081")]
    node: String,
}

/// Who decides, why, and under which key.
#[derive(Debug, Clone, clap::Args)]
pub struct ActArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// Who decides.
    #[arg(long, env = "PANNIER_BY", value_parser = MarkId::new)]
    pub(crate) by: MarkId,
    #[arg(long, env = "PANNIER_REASON")]
    pub(crate) reason: String,
    /// Names this act: repeated under the same key it happens once. Without: a new one.
    #[arg(long, env = "PANNIER_KEY", value_parser = IdempotencyKey::new)]
    key: Option<IdempotencyKey>,
    /// Print what became of it as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    pub(crate) json: bool,
}

/// As [`ActArgs`], of an act that can be tried first.
#[derive(Debug, Clone, clap::Args)]
pub struct TriedActArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// Print what it would do, and write nothing.
    #[arg(long, env = "PANNIER_DRY_RUN")]
    pub(crate) dry_run: bool,
    /// Who decides.
    #[arg(long, env = "PANNIER_BY", value_parser = MarkId::new, required_unless_present = "dry_run")]
    by: Option<MarkId>,
    #[arg(long, env = "PANNIER_REASON", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Names this act: repeated under the same key it happens once. Without: a new one.
    #[arg(long, env = "PANNIER_KEY", value_parser = IdempotencyKey::new)]
    pub(crate) key: Option<IdempotencyKey>,
    /// Print the result as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    pub(crate) json: bool,
}

impl TriedActArgs {
    /// Who decides, and why; nobody where it is only tried.
    pub(crate) fn signed(&self) -> anyhow::Result<(MarkId, String)> {
        let by = self.by.clone().map_or_else(|| MarkId::new("nobody"), Ok)?;
        Ok((by, self.reason.clone().unwrap_or_default()))
    }
}

impl ActArgs {
    pub(crate) fn key(&self) -> Option<&IdempotencyKey> {
        self.key.as_ref()
    }
}

/// A node's operators' listener.
pub(crate) struct Operator {
    http: HttpClient,
}

impl NodeArgs {
    pub(crate) fn open(&self) -> anyhow::Result<Operator> {
        Operator::new(&self.node)
    }
}

impl Operator {
    pub(crate) fn new(address: &str) -> anyhow::Result<Self> {
        let options = Options { deadline: DEADLINE, ..Options::default() };
        Ok(Self { http: HttpClient::new(address, options)? })
    }

    /// `path` after `/v1/operator/`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask::<T>(Method::GET, path, None, Vec::new()).await
    }

    /// What is only tried, or asked of others, needs no key.
    pub(crate) async fn try_out<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> anyhow::Result<T> {
        self.ask::<T>(method, path, None, serde_json::to_vec(body)?).await
    }

    /// One act; asked again under its key until it is judged.
    pub(crate) async fn act<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        key: Option<&IdempotencyKey>,
        body: &B,
    ) -> anyhow::Result<ActAnswer> {
        let key = key.map_or_else(drawn, |key| Ok(key.to_string()))?;
        let body = serde_json::to_vec(body)?;
        for _ in 0..PENDING_ASKED_MAX {
            let answer: ActAnswer = self.ask(method.clone(), path, Some(&key), body.clone()).await?;
            if answer.outcome != ActOutcome::Pending {
                return Ok(answer);
            }
            tracing::warn!(answer.detail, key, "not judged yet, asking again");
        }
        bail!("what became of it is not known yet; ask again with --key {key}")
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Vec<u8>,
    ) -> anyhow::Result<T> {
        let uri = format!("{}/v1/operator/{path}", self.http.address());
        let mut request =
            Request::builder().method(method).uri(&uri).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = self.http.send(request.body(body.into())?).await.with_context(|| {
            format!(
                "--node must be the operators' listener of a running node ([operator] listen); tried {uri}"
            )
        })?;
        if response.status().is_success() {
            let body = serde_json::from_slice(response.body());
            return body.with_context(|| format!("read the answer of {uri}; is the node of this version?"));
        }
        match serde_json::from_slice::<Problem>(response.body()) {
            Ok(problem) => bail!("{}: {}", problem.code.as_str(), problem.detail),
            Err(_) => bail!("{uri} answers {} without a problem document; is it a node?", response.status()),
        }
    }
}

/// Drawn once for a run of a command: the time, and whose run it is.
fn drawn() -> anyhow::Result<String> {
    Ok(format!("cli-{:x}-{:x}", now()?.millis(), std::process::id()))
}

/// What became of an act, for people or as JSON; an act that changed nothing is a failure.
pub(crate) fn tell(answer: &ActAnswer, json: bool) -> anyhow::Result<()> {
    if json {
        crate::cli::data(serde_json::to_string(answer)?)?;
    }
    match answer.outcome {
        ActOutcome::Changed if json => Ok(()),
        ActOutcome::Changed => crate::cli::data(&answer.detail),
        ActOutcome::Ignored | ActOutcome::Pending => bail!("nothing changed: {}", answer.detail),
    }
}

/// A value of the wire as one word.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
