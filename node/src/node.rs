//! A node: started in one call, in-process by tests and by the binary alike.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pannier_core::gate::GateMode;
use tokio::sync::watch;

use crate::app::{Addresses, App};
use crate::config::{Config, ConfigError};
use crate::feed;
use crate::http::{Api, Server};
use crate::orders::Committer;
use crate::progress::{Progress, Snapshot, State};
use crate::quic::{Listener, QuicError};
use crate::shutdown::{Failure, Tasks};

/// Time for tasks to end beyond what requests under way are given.
const JOIN_MARGIN: Duration = Duration::from_secs(5);

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot listen on {address}: {source}; is another process using it?")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("{reason}")]
    Quic { reason: String },
}

/// A running node. Dropping it does not stop it: call [`Node::stop`], or [`Handle::stop`] and [`Node::run`].
pub struct Node {
    tasks: Tasks,
    handle: Handle,
    grace: Duration,
}

/// What can be asked of a running node; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    tasks: Tasks,
    progress: Progress,
    committer: Arc<OnceLock<Committer>>,
    http_addr: SocketAddr,
    operator_addr: SocketAddr,
    quic_addr: Option<SocketAddr>,
}

impl Node {
    /// Listens, then connects to NATS for as long as that takes. Until it has caught up it answers `/healthz`,
    /// `/readyz` and `/metrics`, and lookups with `not_ready`. Streams that are missing or not what they must
    /// be end it; [`Node::run`] says why.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with_gate(config, GateMode::On).await
    }

    /// As [`Node::start`]; `GateMode::Off` measures what the gate is worth and is in no configuration.
    pub async fn start_with_gate(config: Config, gate: GateMode) -> Result<Self, StartError> {
        config.validate()?;
        let (lookups, operators) = (Api::Checkout.address(&config), Api::Operators.address(&config));
        let grace = config.stop.grace;
        let tasks = Tasks::new();
        let app = Arc::new(App::new(config, gate)?);
        let committer = Arc::clone(&app.committer);
        let mut bound = Vec::new();
        for (api, address) in [(Api::Checkout, lookups), (Api::Operators, operators)] {
            let listen = |source| StartError::Listen { address, source };
            let server = Server::bind(Arc::clone(&app), tasks.clone(), api).await.map_err(listen)?;
            bound.push((server.address().map_err(listen)?, server));
        }
        let [http_addr, operator_addr] = [bound[0].0, bound[1].0];
        for (_, server) in bound {
            tasks.spawn("http", server.run());
        }
        let quic_addr =
            listen_quic(&app, &tasks).map_err(|error| StartError::Quic { reason: error.to_string() })?;
        let addresses = Addresses { http: http_addr, operator: operator_addr, quic: quic_addr };
        app.addresses.set(addresses).expect("a node listens once");
        tasks.spawn("feed", feed::run(Arc::clone(&app), tasks.clone()));
        tasks.spawn("readiness", show_readiness(Arc::clone(&app), tasks.clone()));
        tracing::info!(%http_addr, %operator_addr, "listening");
        let progress = app.progress.clone();
        let handle =
            Handle { tasks: tasks.clone(), progress, committer, http_addr, operator_addr, quic_addr };
        Ok(Self { tasks, handle, grace })
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub fn http_addr(&self) -> SocketAddr {
        self.handle.http_addr
    }

    /// Where it answers QUIC, if it does.
    pub fn quic_addr(&self) -> Option<SocketAddr> {
        self.handle.quic_addr
    }

    /// As [`Handle::operator_addr`].
    pub fn operator_addr(&self) -> SocketAddr {
        self.handle.operator_addr
    }

    /// Until somebody calls [`Handle::stop`] or the node fails; every task has ended then.
    pub async fn run(self) -> Result<(), Failure> {
        let ended = self.tasks.join(self.grace + JOIN_MARGIN).await;
        tracing::info!("stopped");
        ended
    }

    /// Requests under way are finished first, within `stop.grace_ms`.
    pub async fn stop(self) -> Result<(), Failure> {
        self.handle.stop();
        self.run().await
    }
}

impl Handle {
    /// Where it really listens, also where the configuration said port 0.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The same of the operators' listener.
    pub fn operator_addr(&self) -> SocketAddr {
        self.operator_addr
    }

    /// What `/readyz` says.
    pub fn progress(&self) -> watch::Receiver<Snapshot> {
        self.progress.subscribe()
    }

    /// What takes commands for the ledger, once the node has found its streams.
    pub fn committer(&self) -> Option<Committer> {
        self.committer.get().cloned()
    }

    /// Waits until the node has caught up; false when it never will (refused, failed or stopped).
    pub async fn ready(&self) -> bool {
        let mut progress = self.progress.subscribe();
        let settled = progress.wait_for(|snapshot| match snapshot.state {
            State::Starting | State::Loading | State::CatchingUp => false,
            State::Ready | State::Refused | State::Stopping => true,
        });
        settled.await.is_ok_and(|snapshot| snapshot.state == State::Ready)
    }

    pub fn stop(&self) {
        self.tasks.stop();
    }
}

fn listen_quic(app: &Arc<App>, tasks: &Tasks) -> Result<Option<SocketAddr>, QuicError> {
    let Some(listener) = Listener::bind(app, tasks)? else { return Ok(None) };
    let address = app.config.quic.listen;
    let address = listener.address().map_err(|source| QuicError::Listen { address, source })?;
    tasks.spawn("quic", listener.run());
    tracing::info!(quic_addr = %address, "listening");
    Ok(Some(address))
}

/// Readiness is taken away with the word to stop, so that a balancer looks elsewhere while requests under way
/// are finished.
async fn show_readiness(app: Arc<App>, tasks: Tasks) {
    let stop = tasks.token();
    let mut progress = app.progress.subscribe();
    loop {
        let state = progress.borrow_and_update().state;
        app.metrics.ready.set(i64::from(state == State::Ready));
        if stop.run_until_cancelled(progress.changed()).await.is_none() {
            app.progress.stopping();
            app.metrics.ready.set(0);
            return;
        }
    }
}
