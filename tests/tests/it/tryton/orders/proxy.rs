//! A network between the adapter and Tryton that loses, delays and mangles what it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// What becomes of a request.
pub(super) enum Act {
    /// Nothing: it is there to be counted.
    Pass,
    /// Carried out; the answer never comes.
    Lose,
    /// Carried out; nobody could read the answer.
    Garbage,
    /// Carried out; the connection breaks within the answer.
    Cut,
    /// Not carried out; this is answered.
    Answer(&'static str),
    /// Carried out when told, whether somebody still waits or not; then the answer is passed on.
    Late(Gate),
    /// Carried out at once, the answer is passed on when told.
    Hold(Gate),
}

/// Says that the request came, waits for its word, and says that it was carried out.
pub(super) struct Gate {
    came: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
    done: oneshot::Sender<()>,
}

/// The other side of a gate.
pub(super) struct Keeper {
    came: Option<oneshot::Receiver<()>>,
    go: Option<oneshot::Sender<()>>,
    done: oneshot::Receiver<()>,
}

pub(super) fn gate() -> (Gate, Keeper) {
    let ((came, has_come), (open, go)) = (oneshot::channel(), oneshot::channel());
    let (done, is_done) = oneshot::channel();
    (Gate { came, go, done }, Keeper { came: Some(has_come), go: Some(open), done: is_done })
}

impl Keeper {
    pub(super) async fn came(&mut self) {
        let came = self.came.take().unwrap();
        tokio::time::timeout(crate::sink::PATIENCE, came).await.expect("the request in time").unwrap();
    }

    /// Lets it go on, and waits until Tryton has answered it.
    pub(super) async fn open(mut self) {
        self.go.take().unwrap().send(()).unwrap();
        tokio::time::timeout(crate::sink::PATIENCE, self.done).await.expect("an answer in time").unwrap();
    }
}

pub(super) struct Proxy {
    pub(super) address: String,
    shared: Arc<Shared>,
    /// Keeps the port while nobody listens on it.
    _reserved: TcpSocket,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: String,
    /// The next request whose first line contains the text; once.
    plan: Mutex<Vec<(&'static str, Act)>>,
    passed: watch::Sender<u32>,
}

impl Proxy {
    pub(super) fn start(upstream: String) -> Self {
        let reserved = bound("127.0.0.1:0".parse().unwrap());
        let address = reserved.local_addr().unwrap();
        let shared = Shared { upstream, plan: Mutex::default(), passed: watch::Sender::new(0) };
        let mut proxy = Self {
            address: address.to_string(),
            shared: Arc::new(shared),
            _reserved: reserved,
            accepting: None,
        };
        proxy.open();
        proxy
    }

    pub(super) fn plan(&self, rules: Vec<(&'static str, Act)>) {
        self.shared.plan.lock().unwrap().extend(rules);
    }

    pub(super) fn left(&self) -> Vec<&'static str> {
        self.shared.plan.lock().unwrap().iter().map(|(text, _)| *text).collect()
    }

    /// Until so many requests came.
    pub(super) async fn until_passed(&self, count: u32) {
        self.shared.passed.subscribe().wait_for(|passed| *passed >= count).await.unwrap();
    }

    pub(super) fn passed(&self) -> u32 {
        *self.shared.passed.borrow()
    }

    pub(super) fn open(&mut self) {
        let listener = bound(self.address.parse().unwrap()).listen(64).unwrap();
        self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
    }

    /// From now on connections are refused.
    pub(super) async fn close(&mut self) {
        let accepting = self.accepting.take().unwrap();
        accepting.abort();
        assert!(accepting.await.unwrap_err().is_cancelled());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        // One that was killed takes its connections with it.
        tokio::spawn(serve(client, Arc::clone(&shared)));
    }
}

/// One request, for Tryton closes after each. `None`: somebody hung up.
async fn serve(mut client: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let request = read_request(&mut client).await?;
    let line = String::from_utf8_lossy(request.split(|b| *b == b'\r').next()?).into_owned();
    shared.passed.send_modify(|passed| *passed += 1);
    let act = {
        let mut plan = shared.plan.lock().unwrap();
        let next = plan.iter().position(|(text, _)| line.contains(text));
        next.map(|at| plan.remove(at).1)
    };
    let forward = forwarded(&shared.upstream, &request);
    match act {
        None | Some(Act::Pass) => client.write_all(&forward.await?).await.ok(),
        Some(Act::Lose) => {
            forward.await?;
            // Until the other side gives up.
            client.read_u8().await.ok().map(drop)
        }
        Some(Act::Garbage) => {
            forward.await?;
            client.write_all(b"\x16\x03\x01\x00\x02 this is no HTTP\r\n\r\n").await.ok()
        }
        Some(Act::Cut) => {
            let answer = forward.await?;
            client.write_all(&answer[..answer.len() - 5]).await.ok()
        }
        Some(Act::Answer(answer)) => client.write_all(answer.as_bytes()).await.ok(),
        Some(Act::Late(gate)) => {
            gate.came.send(()).ok()?;
            gate.go.await.ok()?;
            let answer = forward.await?;
            gate.done.send(()).ok()?;
            client.write_all(&answer).await.ok()
        }
        Some(Act::Hold(gate)) => {
            let answer = forward.await?;
            gate.came.send(()).ok()?;
            gate.go.await.ok()?;
            gate.done.send(()).ok()?;
            client.write_all(&answer).await.ok()
        }
    }
}

async fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    client.read_exact(&mut body).await.ok()?;
    request.extend(body);
    Some(request)
}

async fn forwarded(upstream: &str, request: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).await.ok()?;
    server.write_all(request).await.ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await.ok()?;
    Some(answer)
}
