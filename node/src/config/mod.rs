//! One TOML file, environment overrides, everything checked before a socket opens.
//!
//! The environment is a second source of the same keys, not of other ones: `http.listen` is
//! `PANNIER_HTTP__LISTEN`, with two underscores between section and key. Names with two underscores are
//! ours, so a misspelt one is refused like a misspelt key, while `PANNIER_CONFIG` and the other variables of
//! the command line stay free. `deploy/pannier.toml` documents every key.

mod load;
mod name;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use pannier_protocol::subject::Prefix;
use pannier_protocol::{MarkId, SourceId};
use serde::{Deserialize, Serialize};

use crate::identity::Scope;
use crate::limits::{
    ASK_IN_FLIGHT_MAX, ASK_WAIT_MAX, AT_LEAST_WAIT_MAX, CHECKPOINT_INTERVAL_MAX,
    CHECKPOINT_SHARE_INTERVAL_MAX, CHECKPOINTS_KEPT_MAX, CHECKPOINTS_KEPT_MIN, HTTP_CONNECTIONS_MAX,
    LOOKUPS_IN_FLIGHT_MAX, ORDER_GROUP_COMMANDS_MAX, PRICE_HOLD_KEYS_MAX, PRICE_HOLD_LIFETIME_MAX,
    TIMEOUT_MAX,
};

pub use load::ConfigError;

/// What may differ from node to node. What all nodes must agree on is policy and travels in the streams.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub node: NodeIdentity,
    pub nats: Nats,
    pub http: Http,
    pub quic: Quic,
    pub operator: Operator,
    pub lookup: Lookup,
    pub ask: Ask,
    pub orders: Orders,
    pub price_holds: PriceHolds,
    pub checkpoint: Checkpoint,
    pub stop: Stop,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeIdentity {
    /// Names the subject that this node writes orders to, so no two nodes may share one; empty: by the host.
    /// [`Config::node_name`] says which it is.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nats {
    /// URLs of one cluster; one after the other is tried.
    pub servers: Vec<String>,
    /// Of all subjects; names the deployment.
    pub prefix: Prefix,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Port 0: any free one.
    pub listen: SocketAddr,
    /// Whether `listen` may be reachable from other machines, though nobody is authenticated.
    pub insecure_listen: bool,
    /// Open at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// For the head of a request, and how long a connection may idle between two.
    #[serde(rename = "header_timeout_ms", with = "millis")]
    pub header_timeout: Duration,
    /// From the head of a request to the end of its body.
    #[serde(rename = "body_timeout_ms", with = "millis")]
    pub body_timeout: Duration,
    /// What a caller may do as long as there is no authentication.
    pub anyone_scopes: BTreeSet<Scope>,
}

/// The API of checkout over QUIC; off without a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quic {
    /// UDP. Port 0: any free one.
    pub listen: SocketAddr,
    /// As `http.insecure_listen`.
    pub insecure_listen: bool,
    /// PEM: the node's certificate, and those between it and the authority that clients trust.
    pub certificate: PathBuf,
    /// PEM, of the certificate.
    pub key: PathBuf,
    /// PEM: of all nodes' certificates. With it nodes give their state to those that start.
    pub authority: PathBuf,
    /// Host and port under which other nodes reach `listen`; empty: as it is.
    pub advertise: String,
}

/// The listener of operators, who decide for all nodes: never that of lookups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operator {
    /// Port 0: any free one.
    pub listen: SocketAddr,
    /// As `http.insecure_listen`.
    pub insecure_listen: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lookup {
    /// Lookups between their first byte and their answer; more are refused with 429.
    pub in_flight: usize,
    /// The same, of all lookups, above which those of priority `bulk` are refused.
    pub bulk_in_flight: usize,
    /// How long a lookup waits to get to its `at_least`.
    #[serde(rename = "at_least_wait_ms", with = "millis")]
    pub at_least_wait: Duration,
}

/// Live questions to sources, where policy says `ask`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ask {
    /// How long a lookup waits for a source's reply.
    #[serde(rename = "wait_ms", with = "millis")]
    pub wait: Duration,
    /// Questions to one source at a time; more are not asked.
    pub in_flight: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orders {
    /// Orders, holds and their changes in one message of the ledger, at most.
    pub group_commands: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// For requests under way when the node is told to stop.
    #[serde(rename = "grace_ms", with = "millis")]
    pub grace: Duration,
}

/// The state of this node on disk, from which it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Checkpoint {
    /// This node's alone; empty: it keeps none.
    pub folder: PathBuf,
    #[serde(rename = "interval_ms", with = "millis")]
    pub interval: Duration,
    /// The newest so many stay.
    pub kept: usize,
    /// Between two in the object store; zero: none is put there.
    #[serde(rename = "share_interval_ms", with = "millis")]
    pub share_interval: Duration,
}

/// Signed promises of prices. All nodes have the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriceHolds {
    #[serde(rename = "lifetime_ms", with = "millis")]
    pub lifetime: Duration,
    /// The first signs, all verify; without any no price is promised.
    pub keys: Vec<PriceHoldKey>,
}

/// A key, and what holds its secret: one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriceHoldKey {
    /// Named in every token that it signs.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Name of an environment variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}

impl Default for Nats {
    fn default() -> Self {
        Self { servers: vec!["nats://127.0.0.1:4222".to_owned()], prefix: Prefix::default() }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            insecure_listen: false,
            connections: 4_096,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(10),
            anyone_scopes: [Scope::Explain].into(),
        }
    }
}

impl Default for Operator {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8081)), insecure_listen: false }
    }
}

impl Default for Lookup {
    fn default() -> Self {
        Self { in_flight: 1_024, bulk_in_flight: 256, at_least_wait: Duration::from_secs(2) }
    }
}

impl Default for Ask {
    fn default() -> Self {
        Self { wait: Duration::from_millis(250), in_flight: 16 }
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self { group_commands: ORDER_GROUP_COMMANDS_MAX }
    }
}

impl Default for PriceHolds {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(15 * 60), keys: Vec::new() }
    }
}

impl Default for Quic {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            insecure_listen: false,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            authority: PathBuf::new(),
            advertise: String::new(),
        }
    }
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            interval: Duration::from_secs(15 * 60),
            kept: CHECKPOINTS_KEPT_MIN,
            share_interval: Duration::from_secs(60 * 60),
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10) }
    }
}

impl Config {
    /// Everything that can be told without a socket. [`Config::load`] has called it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let name = &self.node.name;
        if let Some(error) = SourceId::new(name).err().filter(|_| !name.is_empty()) {
            return refuse("node.name", format!("{error}; leave it empty to take the host's name"));
        }
        if self.nats.servers.is_empty() {
            return refuse("nats.servers", "empty; give at least one URL, as in \"nats://127.0.0.1:4222\"");
        }
        for server in &self.nats.servers {
            if let Err(error) = server.parse::<async_nats::ServerAddr>() {
                return refuse("nats.servers", format!("{server:?} is no NATS URL: {error}"));
            }
        }
        local("http", self.http.listen, self.http.insecure_listen)?;
        self.quic.validate()?;
        local("operator", self.operator.listen, self.operator.insecure_listen)?;
        count("http.connections", self.http.connections, HTTP_CONNECTIONS_MAX)?;
        count("lookup.in_flight", self.lookup.in_flight, LOOKUPS_IN_FLIGHT_MAX)?;
        count("lookup.bulk_in_flight", self.lookup.bulk_in_flight, self.lookup.in_flight)?;
        count("orders.group_commands", self.orders.group_commands, ORDER_GROUP_COMMANDS_MAX)?;
        time("http.header_timeout_ms", self.http.header_timeout, TIMEOUT_MAX)?;
        time("http.body_timeout_ms", self.http.body_timeout, TIMEOUT_MAX)?;
        time("lookup.at_least_wait_ms", self.lookup.at_least_wait, AT_LEAST_WAIT_MAX)?;
        count("ask.in_flight", self.ask.in_flight, ASK_IN_FLIGHT_MAX)?;
        time("ask.wait_ms", self.ask.wait, ASK_WAIT_MAX)?;
        self.price_holds.validate()?;
        self.checkpoint.validate()?;
        time("stop.grace_ms", self.stop.grace, TIMEOUT_MAX)
    }
}

/// Nobody is authenticated yet.
fn local(section: &str, listen: SocketAddr, insecure: bool) -> Result<(), ConfigError> {
    if listen.ip().is_loopback() || insecure {
        return Ok(());
    }
    let reason = format!(
        "{listen} can be reached from other machines and callers are not authenticated; listen on \
         127.0.0.1 or [::1], or set {section}.insecure_listen where the network itself is trusted"
    );
    refuse(&format!("{section}.listen"), reason)
}

impl Quic {
    fn validate(&self) -> Result<(), ConfigError> {
        local("quic", self.listen, self.insecure_listen)?;
        let is_off = self.certificate.as_os_str().is_empty();
        if is_off != self.key.as_os_str().is_empty() {
            return refuse("quic.key", "certificate and key come together: give both, or neither");
        }
        if is_off && !self.authority.as_os_str().is_empty() {
            return refuse(
                "quic.authority",
                "other nodes are given the state over QUIC: give certificate and key too",
            );
        }
        let host_and_port = self.advertise.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let is_address = host_and_port.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if !self.advertise.is_empty() && !is_address {
            return refuse(
                "quic.advertise",
                format!("{:?} is not a host and port, as in \"pannier-1:8443\"", self.advertise),
            );
        }
        Ok(())
    }

    /// Host and port for other nodes.
    pub(crate) fn advertised(&self, listens: SocketAddr) -> String {
        if self.advertise.is_empty() { listens.to_string() } else { self.advertise.clone() }
    }
}

impl Checkpoint {
    fn validate(&self) -> Result<(), ConfigError> {
        time("checkpoint.interval_ms", self.interval, CHECKPOINT_INTERVAL_MAX)?;
        if !self.share_interval.is_zero() {
            time("checkpoint.share_interval_ms", self.share_interval, CHECKPOINT_SHARE_INTERVAL_MAX)?;
        }
        if !(CHECKPOINTS_KEPT_MIN..=CHECKPOINTS_KEPT_MAX).contains(&self.kept) {
            let reason = format!("{} is not {CHECKPOINTS_KEPT_MIN} to {CHECKPOINTS_KEPT_MAX}", self.kept);
            return refuse("checkpoint.kept", reason);
        }
        Ok(())
    }
}

impl PriceHolds {
    /// Secrets are read when the node starts.
    fn validate(&self) -> Result<(), ConfigError> {
        time("price_holds.lifetime_ms", self.lifetime, PRICE_HOLD_LIFETIME_MAX)?;
        if self.keys.len() > PRICE_HOLD_KEYS_MAX {
            return refuse("price_holds.keys", format!("more than {PRICE_HOLD_KEYS_MAX}; remove old ones"));
        }
        let mut ids = BTreeSet::new();
        for (at, key) in self.keys.iter().enumerate() {
            let named = |field: &str| format!("price_holds.keys[{at}].{field}");
            if MarkId::new(&key.id).is_err() {
                return refuse(&named("id"), "1 to 64 bytes name a key, as in \"2026-11\"");
            }
            if !ids.insert(&key.id) {
                return refuse(&named("id"), format!("{:?} names another key too", key.id));
            }
            if key.file.is_some() == key.env.is_some() {
                return refuse(&named("file"), "a key has either a file or an env that holds its secret");
            }
        }
        Ok(())
    }
}

fn refuse(key: &str, reason: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::Value { key: key.to_owned(), reason: reason.into() })
}

fn count(key: &str, value: usize, max: usize) -> Result<(), ConfigError> {
    if (1..=max).contains(&value) { Ok(()) } else { refuse(key, format!("{value} is not 1 to {max}")) }
}

fn time(key: &str, value: Duration, max: Duration) -> Result<(), ConfigError> {
    if value.is_zero() || value > max {
        return refuse(key, format!("{} is not 1 to {}", value.as_millis(), max.as_millis()));
    }
    Ok(())
}

/// Whole milliseconds; the key's name ends in `_ms`.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests;
