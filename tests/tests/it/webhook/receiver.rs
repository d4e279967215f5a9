//! A receiver that fails in every way, and notes each delivery with its signatures checked.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ring::hmac::{HMAC_SHA256, Key, verify};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::PATIENCE;

/// Two, as while one takes the place of the other.
pub(super) const SECRETS: [&str; 2] =
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="];

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Status(u16),
    /// 503, and to be left alone for so many seconds.
    Busy(u16),
    /// No answer, ever.
    Hang,
    /// The connection breaks.
    Break,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) id: String,
    pub(super) body: Value,
    pub(super) reply: Reply,
}

impl Delivery {
    pub(super) fn order(&self) -> &str {
        self.body["data"]["order"].as_str().unwrap_or_default()
    }
}

type Rule = Arc<dyn Fn(&Delivery, &[Delivery]) -> Reply + Send + Sync>;

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    tls: Option<TlsAcceptor>,
    rule: Mutex<Rule>,
    /// Connections that were given up before anything was said.
    refused: watch::Sender<usize>,
    seen: watch::Sender<Vec<Delivery>>,
}

impl Receiver {
    /// The rule is told a delivery (with any reply) and all before.
    pub(super) async fn start(
        rule: impl Fn(&Delivery, &[Delivery]) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(None, Arc::new(rule)).await
    }

    pub(super) async fn start_tls(
        rule: impl Fn(&Delivery, &[Delivery]) -> Reply + Send + Sync + 'static,
        tls: TlsAcceptor,
    ) -> Self {
        Self::start_with(Some(tls), Arc::new(rule)).await
    }

    async fn start_with(tls: Option<TlsAcceptor>, rule: Rule) -> Self {
        let (seen, refused) = (watch::Sender::default(), watch::Sender::default());
        let shared = Arc::new(Shared { tls, rule: Mutex::new(rule), refused, seen });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, serving }
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/orders", self.address)
    }

    pub(super) fn follow(&self, rule: impl Fn(&Delivery, &[Delivery]) -> Reply + Send + Sync + 'static) {
        *self.shared.rule.lock().unwrap() = Arc::new(rule);
    }

    /// Nobody listens any more, and what is open breaks.
    pub(super) async fn die(&mut self) {
        self.serving.abort();
        assert!((&mut self.serving).await.unwrap_err().is_cancelled());
    }

    /// At the same address.
    pub(super) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = tokio::spawn(serve(listener, Arc::clone(&self.shared)));
    }

    pub(super) fn seen(&self) -> Vec<Delivery> {
        self.shared.seen.borrow().clone()
    }

    /// Until somebody does not believe that it is who it says.
    pub(super) async fn until_refused(&self) {
        let mut refused = self.shared.refused.subscribe();
        let waited = timeout(PATIENCE, refused.wait_for(|refused| *refused > 0)).await;
        waited.expect("the certificate is refused in time").unwrap();
    }

    pub(super) async fn until(&self, what: &str, reached: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let mut seen = self.shared.seen.subscribe();
        let waited = timeout(PATIENCE, seen.wait_for(|seen| reached(seen))).await;
        let shown = |seen: &[Delivery]| format!("{what}: {seen:#?}");
        match waited {
            Ok(seen) => seen.unwrap().clone(),
            Err(_) => panic!("{}", shown(&self.seen())),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(connection(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    match &shared.tls {
        None => talk(stream, &shared).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => talk(stream, &shared).await,
            Err(_) => shared.refused.send_modify(|refused| *refused += 1),
        },
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) {
    let service = service_fn(|request| answer(request, shared));
    // A connection that ends is what is tested.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
    let id = header("webhook-id");
    let signed = [format!("{id}.{}.", header("webhook-timestamp")).as_bytes(), &body].concat();
    let signatures = header("webhook-signature");
    let signatures: Vec<&str> = signatures.split(' ').map(|text| text.strip_prefix("v1,").unwrap()).collect();
    assert_eq!(signatures.len(), SECRETS.len());
    for (signature, secret) in signatures.iter().zip(SECRETS) {
        let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let signature = STANDARD.decode(signature).unwrap();
        verify(&Key::new(HMAC_SHA256, &secret), &signed, &signature).unwrap();
    }
    let body = serde_json::from_slice(&body).unwrap();
    let rule = Arc::clone(&*shared.rule.lock().unwrap());
    let mut delivery = Delivery { id, body, reply: Reply::Hang };
    shared.seen.send_modify(|seen| {
        delivery.reply = rule(&delivery, seen);
        seen.push(delivery.clone());
    });
    match delivery.reply {
        Reply::Status(status) => {
            Ok(Response::builder().status(status).body(Full::from(&b"noted"[..])).unwrap())
        }
        Reply::Busy(seconds) => {
            let busy = Response::builder().status(503).header("retry-after", seconds);
            Ok(busy.body(Full::default()).unwrap())
        }
        Reply::Hang => std::future::pending().await,
        Reply::Break => Err(io::ErrorKind::ConnectionReset.into()),
    }
}
