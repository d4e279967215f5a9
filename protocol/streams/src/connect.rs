//! The connection to NATS that everything else here takes.
//!
//! The client's defaults notice a dead peer after minutes, reconnect all at once, and give up when the
//! server is not there yet. Here: pings every few seconds, jittered reconnects without end, waiting for a
//! server that starts later, leaving one in lame-duck mode early, and no work against a server that would
//! silently ignore stream options ([`ServerVersion::FLOOR`]).

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::limits::{
    CONNECT_TIMEOUT, LAME_DUCK_SPREAD, PING_INTERVAL, RECONNECT_DELAY_MAX, RECONNECT_DELAY_MIN,
    REQUEST_TIMEOUT, SUBSCRIPTION_MESSAGES_MAX,
};
use crate::server::ServerVersion;

/// Where and how to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// One or more URLs with commas between, as in `nats://127.0.0.1:4222`.
    pub servers: String,
    /// What operators see in the server's list of connections.
    pub name: String,
    /// A lower server is refused. Below [`ServerVersion::FLOOR`] only for those that were tested (2.12.8).
    pub version_min: ServerVersion,
    /// How long to wait for the first connection; `None`: for ever.
    pub wait_max: Option<Duration>,
}

impl Options {
    /// Waits for ever, and takes no server below the floor.
    pub fn new(servers: impl Into<String>, name: impl Into<String>) -> Self {
        let (servers, name) = (servers.into(), name.into());
        Self { servers, name, version_min: ServerVersion::FLOOR, wait_max: None }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{servers:?} is no list of NATS URLs, as in \"nats://127.0.0.1:4222\"")]
    Servers { servers: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("no connection to {servers} within {waited:?}; is nats-server running there?")]
    NotReached { servers: String, waited: Duration },
    #[error(
        "{servers} is nats-server {version}, and {version_min} is the lowest that is accepted: an older one \
         silently ignores stream options that keep data safe; upgrade it"
    )]
    TooOld { servers: String, version: String, version_min: ServerVersion },
}

/// State of the connection, for those who must act when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    pub connected: bool,
    /// Connections made so far, the first one included.
    pub connects: u64,
}

/// A connection with JetStream; cheap to clone. It reconnects by itself as long as a clone lives.
#[derive(Debug, Clone)]
pub struct Broker {
    client: Client,
    context: jetstream::Context,
    link: watch::Receiver<Link>,
    /// Ends the task that holds a client of its own, which would keep the connection for ever.
    _alive: Arc<DropGuard>,
}

impl Broker {
    /// Returns once connected to a server that is new enough.
    pub async fn connect(options: &Options) -> Result<Self, ConnectError> {
        let servers = || options.servers.clone();
        let addresses: Vec<&str> = options.servers.split(',').map(str::trim).collect();
        let (link_sender, link) = watch::channel(Link::default());
        let (lame_duck_sender, lame_duck) = watch::channel(0_u64);
        let client = ConnectOptions::new()
            .name(&options.name)
            .ping_interval(PING_INTERVAL)
            .connection_timeout(CONNECT_TIMEOUT)
            .subscription_capacity(SUBSCRIPTION_MESSAGES_MAX)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .retry_on_initial_connect()
            .reconnect_delay_callback(reconnect_delay)
            .event_callback(move |event| {
                note(&event, &link_sender, &lame_duck_sender);
                std::future::ready(())
            })
            .connect(addresses)
            .await
            .map_err(|source| ConnectError::Servers { servers: servers(), source: source.into() })?;
        let context = ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(client.clone());
        let alive = CancellationToken::new();
        let leaving = leave_lame_ducks(client.clone(), lame_duck);
        tokio::spawn(alive.clone().run_until_cancelled_owned(leaving));
        let mut broker = Self { client, context, link, _alive: Arc::new(alive.drop_guard()) };
        broker.wait_connected(options).await?;
        broker.check_version(options)?;
        Ok(broker)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn context(&self) -> &jetstream::Context {
        &self.context
    }

    /// Changes with every connect and disconnect.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Of the server connected to now.
    pub fn server_version(&self) -> Option<ServerVersion> {
        ServerVersion::parse(&self.client.server_info().version)
    }

    async fn wait_connected(&mut self, options: &Options) -> Result<(), ConnectError> {
        let connected = self.link.wait_for(|link| link.connected);
        let waited = options.wait_max.unwrap_or(Duration::MAX);
        let not_reached = || ConnectError::NotReached { servers: options.servers.clone(), waited };
        match timeout(waited, connected).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(not_reached()),
        }
    }

    fn check_version(&self, options: &Options) -> Result<(), ConnectError> {
        let version_min = options.version_min;
        match self.server_version() {
            Some(version) if version >= ServerVersion::FLOOR.max(version_min) => Ok(()),
            Some(version) if version >= version_min => {
                let floor = ServerVersion::FLOOR;
                tracing::warn!(%version, %floor, "nats-server is below the floor and accepted by option");
                Ok(())
            }
            Some(_) | None => Err(ConnectError::TooOld {
                servers: options.servers.clone(),
                version: self.client.server_info().version,
                version_min,
            }),
        }
    }
}

fn note(event: &Event, link: &watch::Sender<Link>, lame_duck: &watch::Sender<u64>) {
    match event {
        Event::Connected => {
            tracing::info!("connected to NATS");
            link.send_modify(|link| *link = Link { connected: true, connects: link.connects + 1 });
        }
        Event::Disconnected => {
            tracing::warn!("NATS connection lost, reconnecting");
            link.send_modify(|link| link.connected = false);
        }
        Event::LameDuckMode => lame_duck.send_modify(|count| *count += 1),
        Event::SlowConsumer(_) => tracing::warn!("a subscription fell behind and lost messages"),
        Event::ServerError(error) => tracing::warn!(%error, "NATS server error"),
        Event::ClientError(error) => tracing::debug!(%error, "NATS client error"),
        Event::Draining | Event::Closed => tracing::debug!(%event, "NATS connection"),
    }
}

/// A server in lame-duck mode closes its connections one by one over minutes; another server of the
/// cluster can take this one at once. With one server there is nowhere to go: it is waited for as usual.
async fn leave_lame_ducks(client: Client, mut lame_duck: watch::Receiver<u64>) {
    while lame_duck.changed().await.is_ok() {
        let elsewhere = client.server_info().connect_urls.len() > 1;
        tracing::warn!(elsewhere, "nats-server is about to stop (lame duck)");
        if elsewhere {
            tokio::time::sleep(LAME_DUCK_SPREAD.mul_f64(random_share())).await;
            if let Err(error) = client.force_reconnect().await {
                tracing::warn!(%error, "could not leave the stopping server");
            }
        }
    }
}

fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(16);
    let base = RECONNECT_DELAY_MIN.saturating_mul(1 << doublings).min(RECONNECT_DELAY_MAX);
    base + base.mul_f64(random_share())
}

/// 0 up to 1; each `RandomState` has keys of its own.
fn random_share() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnects_back_off_to_a_bound() {
        for attempts in [0, 1, 5, 100, usize::MAX] {
            let delay = reconnect_delay(attempts);
            assert!(
                delay >= RECONNECT_DELAY_MIN && delay <= 2 * RECONNECT_DELAY_MAX,
                "{attempts}: {delay:?}"
            );
        }
    }
}
