//! The API of checkout over QUIC: the same requests and answers as over HTTP, of the same handlers, one stream each
//! (`pannier_protocol::frame`).
//!
//! A checkout that asks for a basket a page view gains two things: no request waits behind a lost packet of another, and
//! no connection is set up again when a client's address changes. What is bounded: connections by the places of
//! `http.connections`, streams and bytes by the transport's own flow control, and time by the timeouts of `[http]`.
//! There is no 0-RTT: what it carries can be sent again by whoever saw it.
//!
//! Other nodes come to the same listener under another name (ALPN), show a certificate, and are given this node's state
//! ([`Giver`](crate::checkpoint::Giver)).

mod exchange;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use quinn::{Connection, Endpoint, Incoming, VarInt};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::limits::QUIC_STREAMS_MAX;
use crate::metrics::OfReason;
use crate::shutdown::Tasks;

/// The node stops: ask another one.
const STOPPING: VarInt = VarInt::from_u32(1);
/// No request came in time.
const IDLE: VarInt = VarInt::from_u32(2);

/// Why a node cannot listen for QUIC.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuicError {
    #[error("quic.{key} {file}: {reason}; give it a PEM file", file = file.display())]
    File { key: &'static str, file: PathBuf, reason: String },
    #[error("quic.certificate and quic.key do not make a server: {reason}")]
    Tls { reason: String },
    #[error("cannot listen on {address} (UDP): {source}; is another process using it?")]
    Listen { address: SocketAddr, source: std::io::Error },
}

/// A listener, bound and not yet accepting.
pub(crate) struct Listener {
    app: Arc<App>,
    tasks: Tasks,
    endpoint: Endpoint,
    places: Arc<Semaphore>,
}

impl Listener {
    /// `None` where the configuration names no certificate.
    pub(crate) fn bind(app: &Arc<App>, tasks: &Tasks) -> Result<Option<Self>, QuicError> {
        let config = &app.config.quic;
        if config.certificate.as_os_str().is_empty() {
            return Ok(None);
        }
        let address = config.listen;
        let listen = |source| QuicError::Listen { address, source };
        let endpoint = Endpoint::server(tls::server(config)?, address).map_err(listen)?;
        let places = Arc::new(Semaphore::new(app.config.http.connections));
        Ok(Some(Self { app: Arc::clone(app), tasks: tasks.clone(), endpoint, places }))
    }

    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Accepts until the node stops; connections under way are tasks of their own. What they have still to send is sent
    /// before the socket is closed.
    pub(crate) async fn run(self) {
        let stop = self.tasks.token();
        while let Some(Some(incoming)) = stop.run_until_cancelled(self.endpoint.accept()).await {
            // With half of the places taken an address must first show that it is its sender's own.
            let is_busy = self.places.available_permits() < self.app.config.http.connections / 2;
            if is_busy && incoming.may_retry() && !incoming.remote_address_validated() {
                if incoming.retry().is_err() {
                    self.refused("retry");
                }
                continue;
            }
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                self.refused("no_place");
                incoming.refuse();
                continue;
            };
            let (app, tasks) = (Arc::clone(&self.app), self.tasks.clone());
            self.tasks.spawn("quic connection", async move {
                app.metrics.quic_connections.inc();
                serve(&app, &tasks, incoming).await;
                app.metrics.quic_connections.dec();
                drop(place);
            });
        }
        let grace = self.app.config.stop.grace;
        if tokio::time::timeout(grace, self.endpoint.wait_idle()).await.is_err() {
            tracing::warn!("a QUIC connection was still open when the grace to stop was over");
        }
    }

    fn refused(&self, reason: &'static str) {
        self.app.metrics.quic_refused.get_or_create(&OfReason { reason }).inc();
    }
}

async fn serve(app: &Arc<App>, tasks: &Tasks, incoming: Incoming) {
    let patience = app.config.http.header_timeout;
    let connection = match tokio::time::timeout(patience, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a QUIC handshake failed");
            app.metrics.quic_refused.get_or_create(&OfReason { reason: "handshake" }).inc();
            return;
        }
        Err(_) => return tracing::debug!("a QUIC handshake took too long"),
    };
    // A permit a request: with all of them back, nothing is under way.
    let under_way = Arc::new(Semaphore::new(QUIC_STREAMS_MAX as usize));
    if tls::is_peer(&connection) {
        tasks.token().run_until_cancelled(app.giver.serve(app, &connection)).await;
        return connection.close(STOPPING, b"");
    }
    let code = requests(app, tasks, &connection, &under_way).await;
    let all = under_way.acquire_many(QUIC_STREAMS_MAX);
    if tokio::time::timeout(app.config.stop.grace, all).await.is_err() {
        tracing::warn!("a request was still under way when the grace to stop was over");
    }
    connection.close(code, b"");
}

/// Until the node stops, the client leaves, or nothing comes for too long; says why the connection is to be closed.
async fn requests(
    app: &Arc<App>,
    tasks: &Tasks,
    connection: &Connection,
    under_way: &Arc<Semaphore>,
) -> VarInt {
    let stop = tasks.token();
    loop {
        let next = tokio::time::timeout(app.config.http.header_timeout, connection.accept_bi());
        let (send, receive) = match stop.run_until_cancelled(next).await {
            None => return STOPPING,
            Some(Ok(Ok(stream))) => stream,
            Some(Ok(Err(error))) => {
                tracing::debug!(%error, "a QUIC connection ended");
                return IDLE;
            }
            Some(Err(_)) if under_way.available_permits() == QUIC_STREAMS_MAX as usize => return IDLE,
            Some(Err(_)) => continue,
        };
        let Ok(permit) = Arc::clone(under_way).acquire_owned().await else { return STOPPING };
        let app = Arc::clone(app);
        tasks.spawn("quic request", async move {
            exchange::answer(&app, send, receive).await;
            drop(permit);
        });
    }
}
