//! What an operator writes: one TOML document, documented key by key in `deploy/webhook.toml`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use pannier_client::{Nodes, Options};
use pannier_protocol::ChannelId;
use pannier_protocol::subject::Prefix;
use serde::Deserialize;

use super::signature::{SecretError, Secrets};
use crate::document::{self, DocumentError};
use crate::limits::{
    INTERVAL_MS_MIN, WEBHOOK_AT_ONCE_DEFAULT, WEBHOOK_AT_ONCE_MAX, WEBHOOK_GIVE_UP_DEFAULT,
    WEBHOOK_POLL_MS_DEFAULT, WEBHOOK_REQUEST_MAX_DEFAULT, WEBHOOK_RETRY_DELAY_MAX_DEFAULT,
    WEBHOOK_RETRY_DELAY_MIN, WEBHOOK_SECRETS_MAX,
};

/// The whole document.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Only orders of this channel; without, of all.
    pub channel: Option<ChannelId>,
    /// Where events are delivered.
    pub url: String,
    /// Allows plain HTTP to another machine.
    #[serde(default)]
    pub insecure: bool,
    /// Files that hold one secret each; all of them sign.
    #[serde(default)]
    pub secret_files: Vec<PathBuf>,
    /// A folder for the process's own durable state.
    pub state: PathBuf,
    /// Operators' listeners of nodes; the next one is asked where one does not answer.
    #[serde(default = "default_nodes")]
    pub nodes: Vec<String>,
    /// For the review list.
    #[serde(default = "document::default_nats")]
    pub nats: String,
    #[serde(default)]
    pub prefix: Prefix,
    /// Between two looks for new events, in ms.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// Deliveries under way; those of one order come one after the other.
    #[serde(default = "default_at_once")]
    pub at_once: usize,
    /// A delivery that has no answer by then is given up and repeated, in ms.
    #[serde(default = "default_request_ms_max")]
    pub request_ms_max: u64,
    /// Longest pause before an event is delivered again, in ms.
    #[serde(default = "default_retry_ms_max")]
    pub retry_ms_max: u64,
    /// An event that could not be delivered for so long goes to the review list, in ms.
    #[serde(default = "default_give_up_ms")]
    pub give_up_ms: u64,
}

fn default_nodes() -> Vec<String> {
    vec!["http://127.0.0.1:8081".to_owned()]
}

fn default_poll_ms() -> u64 {
    WEBHOOK_POLL_MS_DEFAULT
}

fn default_at_once() -> usize {
    WEBHOOK_AT_ONCE_DEFAULT
}

fn default_request_ms_max() -> u64 {
    millis(WEBHOOK_REQUEST_MAX_DEFAULT)
}

fn default_retry_ms_max() -> u64 {
    millis(WEBHOOK_RETRY_DELAY_MAX_DEFAULT)
}

fn default_give_up_ms() -> u64 {
    millis(WEBHOOK_GIVE_UP_DEFAULT)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("{0}")]
    Value(String),
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl WebhookConfig {
    /// Reads and checks a document, `insecure` if either says so; relative paths in it are taken from its own folder.
    pub fn load(path: &Path, insecure: bool) -> Result<Self, ConfigError> {
        let mut config: Self = document::parse(&document::read(path)?)?;
        config.insecure |= insecure;
        config.check().map_err(ConfigError::Value)?;
        let base = path.parent().unwrap_or(Path::new("."));
        config.state = base.join(&config.state);
        config.secret_files = config.secret_files.iter().map(|file| base.join(file)).collect();
        Ok(config)
    }

    /// Checks a document's text.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = document::parse(text)?;
        config.check().map_err(ConfigError::Value)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let said = |ok: bool, text: String| if ok { Ok(()) } else { Err(text) };
        let retry_min = millis(WEBHOOK_RETRY_DELAY_MIN);
        self.endpoint()?;
        self.nodes().map(drop)?;
        said(
            self.secret_files.len() <= WEBHOOK_SECRETS_MAX,
            format!("secret_files: at most {WEBHOOK_SECRETS_MAX}"),
        )?;
        said(self.poll_ms >= INTERVAL_MS_MIN, format!("poll_ms: at least {INTERVAL_MS_MIN} ms"))?;
        said(
            (1..=WEBHOOK_AT_ONCE_MAX).contains(&self.at_once),
            format!("at_once: 1 to {WEBHOOK_AT_ONCE_MAX}"),
        )?;
        said(self.request_ms_max > 0, "request_ms_max: at least 1 ms".to_owned())?;
        said(self.retry_ms_max >= retry_min, format!("retry_ms_max: at least {retry_min} ms"))?;
        said(self.give_up_ms > 0, "give_up_ms: at least 1 ms".to_owned())
    }

    /// Where to deliver; what is delivered is of orders, so it goes over TLS unless it stays on the machine.
    pub(super) fn endpoint(&self) -> Result<Uri, String> {
        let shown: String = self.url.chars().take(128).collect();
        let uri: Option<Uri> = self.url.parse().ok();
        let uri = uri.filter(|uri| uri.host().is_some() && uri.scheme().is_some());
        let uri =
            uri.ok_or_else(|| format!("url: {shown:?} is no address as in \"https://shop.example/orders\""))?;
        match uri.scheme_str() {
            Some("https") => Ok(uri),
            Some("http") if self.insecure || is_loopback(uri.host().unwrap_or_default()) => Ok(uri),
            _ => Err(format!("url: {shown:?} is not https; over a trusted network say insecure = true")),
        }
    }

    pub(super) fn nodes(&self) -> Result<Nodes, String> {
        let options = Options::default();
        let nodes = Nodes::new(self.nodes.iter().map(String::as_str), &options);
        nodes.map_err(|error| format!("nodes: {error}"))
    }

    /// Reads the files of the secrets.
    pub fn secrets(&self) -> Result<Secrets, ConfigError> {
        let texts: Result<Vec<String>, DocumentError> =
            self.secret_files.iter().map(|file| document::read(file)).collect();
        Ok(Secrets::new(texts?.iter().map(String::as_str))?)
    }

    pub(super) fn request_max(&self) -> Duration {
        Duration::from_millis(self.request_ms_max)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: &str = include_str!("../../../deploy/webhook.toml");
    const LEAST: &str = "url = \"https://shop.example/orders\"\nstate = \"s\"\n";

    /// A default that changes has to change in the manual.
    #[test]
    fn the_documented_values_are_the_defaults() {
        let documented = WebhookConfig::parse(DOCUMENTED).unwrap();
        let chosen = WebhookConfig {
            channel: documented.channel.clone(),
            url: documented.url.clone(),
            secret_files: documented.secret_files.clone(),
            state: documented.state.clone(),
            ..WebhookConfig::parse(LEAST).unwrap()
        };
        assert_eq!(documented, chosen);
    }

    #[test]
    fn what_is_refused() {
        for (text, want) in [
            (LEAST.replace("state", "stat"), "unknown field `stat`"),
            (LEAST.replace("https://shop.example/orders", "orders"), "is no address"),
            (LEAST.replace("https", "http"), "is not https"),
            (LEAST.replace("https", "ftp"), "is not https"),
            (format!("{LEAST}nodes = []\n"), "nodes: "),
            (format!("{LEAST}nodes = [\"a:1\"]\n"), "nodes: \"a:1\" is no address of a node"),
            (format!("{LEAST}poll_ms = 1\n"), "poll_ms: at least 50 ms"),
            (format!("{LEAST}at_once = 0\n"), "at_once: 1 to 256"),
            (format!("{LEAST}request_ms_max = 0\n"), "request_ms_max"),
            (format!("{LEAST}retry_ms_max = 1\n"), "retry_ms_max: at least 500 ms"),
            (format!("{LEAST}give_up_ms = 0\n"), "give_up_ms"),
            (
                format!("{LEAST}secret_files = [\"1\", \"2\", \"3\", \"4\", \"5\"]\n"),
                "secret_files: at most 4",
            ),
        ] {
            let error = WebhookConfig::parse(&text).unwrap_err().to_string();
            assert!(error.contains(want), "{error}\nexpected {want:?}");
        }
        assert!(WebhookConfig::parse(LEAST).unwrap().secrets().is_err());
    }

    #[test]
    fn plain_http_stays_on_the_machine_unless_told() {
        for (url, insecure, allowed) in [
            ("http://127.0.0.1:9000/hook", false, true),
            ("http://[::1]:9000/hook", false, true),
            ("http://localhost/hook", false, true),
            ("http://localhost.example/hook", false, false),
            ("http://10.0.0.7/hook", false, false),
            ("http://10.0.0.7/hook", true, true),
        ] {
            let text = format!("url = \"{url}\"\nstate = \"s\"\ninsecure = {insecure}\n");
            assert_eq!(WebhookConfig::parse(&text).is_ok(), allowed, "{url} {insecure}");
        }
    }
}
