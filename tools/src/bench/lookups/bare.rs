//! A bare hyper server that reads a request and answers the bytes of a file: the floor under every HTTP figure.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::peers::{Asks, Peer, connected, free_address, pinned, same_requests};
use super::raw::{Framing, Load};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bytes that every request is answered with.
    #[arg(env = "PANNIER_ANSWER")]
    answer: PathBuf,
    #[arg(long, env = "PANNIER_LISTEN")]
    listen: SocketAddr,
}

pub(in super::super) async fn run(args: Args) -> anyhow::Result<()> {
    let answer = std::fs::read(&args.answer).with_context(|| format!("read {}", args.answer.display()))?;
    let (answer, listener) = (Bytes::from(answer), TcpListener::bind(args.listen).await?);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            ended = tokio::signal::ctrl_c() => return Ok(ended?),
        };
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(request, answer.clone()));
            // A client that hangs up is the end of its connection, not of the server.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(request: Request<Incoming>, answer: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    // Read as the node does; what the body says does not matter here.
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(answer));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// For the requests of the last of `before`.
pub(super) async fn start(name: &str, before: &[Peer], answer: Bytes, folder: &Path) -> anyhow::Result<Peer> {
    let address = free_address()?;
    let file = folder.join(format!("answer-{}", address.port()));
    std::fs::write(&file, &answer).with_context(|| format!("write {}", file.display()))?;
    let pannier = std::env::current_exe().context("find this program")?;
    let arguments =
        ["bench", "bare", "--listen", &address.to_string(), &file.display().to_string()].map(str::to_owned);
    let process = pinned(&format!("bare-{}", address.port()), &pannier, &arguments, folder)?;
    connected(address).await?;
    let requests = same_requests(before)?;
    let load = Load { address, requests, framing: Framing::Http, greeting: Vec::new() };
    Peer::of(name, Asks::Raw(load), process, answer.len())
}
