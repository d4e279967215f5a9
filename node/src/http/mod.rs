//! The lookup API over HTTP/1.1 and HTTP/2.
//!
//! hyper bounds less than a server on a network needs: its header timeout does nothing without a timer, it
//! has no body timeout and no body cap, and telling HTTP/1 from 2 waits for ever for the first bytes. So a
//! connection that has not brought its first request within the header timeout is closed here, connections
//! are counted before they are accepted, and HTTP/2 streams, header lists and resets are capped.

mod act;
mod admission;
mod body;
mod context;
mod events;
mod holds;
mod lookup;
mod negotiate;
pub(crate) mod operator;
mod orders;
pub(crate) mod query;
mod refusal;
pub(crate) mod routes;
mod service;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use admission::Admission;
pub(crate) use events::Answer;
pub(crate) use refusal::Refusal;
use service::Connection;
pub(crate) use service::{refused, respond_whole as respond};

use crate::app::App;
use crate::config::Config;
use crate::limits::{
    ACCEPT_RETRY_PAUSE, HTTP1_BUFFER_BYTES_MAX, HTTP1_HEADERS_MAX, HTTP2_HEADER_LIST_BYTES_MAX,
    HTTP2_PING_INTERVAL, HTTP2_PING_TIMEOUT, HTTP2_RESETS_MAX, HTTP2_STREAMS_MAX,
};
use crate::shutdown::Tasks;

/// What a listener answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// Lookups, orders and holds.
    Checkout,
    Operators,
}

impl Api {
    pub(crate) fn address(self, config: &Config) -> SocketAddr {
        match self {
            Self::Checkout => config.http.listen,
            Self::Operators => config.operator.listen,
        }
    }
}

/// A listener, bound and not yet accepting.
pub(crate) struct Server {
    app: Arc<App>,
    tasks: Tasks,
    api: Api,
    listener: TcpListener,
    /// A permit a connection, taken before it is accepted.
    places: Arc<Semaphore>,
}

impl Server {
    pub(crate) async fn bind(app: Arc<App>, tasks: Tasks, api: Api) -> std::io::Result<Self> {
        let listener = TcpListener::bind(api.address(&app.config)).await?;
        let places = Arc::new(Semaphore::new(app.config.http.connections));
        Ok(Self { app, tasks, api, listener, places })
    }

    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts until the node stops; connections under way are tasks of their own and outlive this.
    pub(crate) async fn run(self) {
        let stop = self.tasks.token();
        loop {
            let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&self.places).acquire_owned()).await
            else {
                return;
            };
            let stream = match stop.run_until_cancelled(self.listener.accept()).await {
                None => return,
                Some(Ok((stream, _))) => stream,
                Some(Err(error)) => {
                    tracing::warn!(%error, "accepting a connection");
                    tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
                    continue;
                }
            };
            let (app, tasks, api) = (Arc::clone(&self.app), self.tasks.clone(), self.api);
            self.tasks.spawn("http connection", async move {
                app.metrics.http_connections.inc();
                serve(&app, &tasks, api, stream).await;
                app.metrics.http_connections.dec();
                drop(place);
            });
        }
    }
}

async fn serve(app: &Arc<App>, tasks: &Tasks, api: Api, stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone at once");
        return;
    }
    let (requested, mut first_request) = watch::channel(false);
    let of = Connection { tasks: tasks.clone(), cut: CancellationToken::new() };
    let service = service_fn(|request| {
        requested.send_if_modified(|seen| !std::mem::replace(seen, true));
        let (app, of) = (Arc::clone(app), of.clone());
        async move {
            let response = match api {
                Api::Checkout => service::respond(&app, &of, request).await,
                Api::Operators => operator::respond(&app, request).await.map(Answer::from),
            };
            Ok::<_, Infallible>(response)
        }
    });
    let builder = builder(app, tasks);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut idle = pin!(async {
        let seen = first_request.wait_for(|seen| *seen);
        if tokio::time::timeout(app.config.http.header_timeout, seen).await.is_ok() {
            std::future::pending::<()>().await;
        }
    });
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = idle.as_mut() => return tracing::debug!("a connection brought no request"),
        () = of.cut.cancelled() => return tracing::debug!("a client did not take its events"),
        () = tasks.stopping() => {
            connection.as_mut().graceful_shutdown();
            let Ok(ended) = tokio::time::timeout(app.config.stop.grace, connection).await else {
                return tracing::warn!("a request was still under way when the grace to stop was over");
            };
            ended
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Spawns what hyper spawns (a task for each HTTP/2 stream), so that it is joined and its panics are seen.
#[derive(Clone)]
struct Spawner(Tasks);

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn("http2 stream", task);
    }
}

fn builder(app: &App, tasks: &Tasks) -> auto::Builder<Spawner> {
    let mut builder = auto::Builder::new(Spawner(tasks.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(app.config.http.header_timeout)
        .max_headers(HTTP1_HEADERS_MAX)
        .max_buf_size(HTTP1_BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(HTTP2_HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(HTTP2_RESETS_MAX)
        .max_local_error_reset_streams(HTTP2_RESETS_MAX)
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT);
    builder
}
