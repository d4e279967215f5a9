//! What the node is compared with, and the node itself: servers on one core, asked by the same client.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use pannier_client::{NodeClient, Options};
use pannier_protocol::api::LookupRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::super::closed::{self, Ask, Measured};
use super::super::usage;
use super::raw::{self, Framing, Load};
use super::{CORE, basket};
use crate::generate::{Shape, account_id, item_id};
use crate::stage::{Process, Program};

const READY_MAX: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);
/// Of the values of a price and of a cell, as short as anybody would store them.
const PRICE_BYTES: usize = 48;
const CELL_BYTES: usize = 32;
/// Keys set in one request.
const KEYS_A_REQUEST: usize = 1_000;

/// One server and what it is asked.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) asks: Asks,
    pub(super) answer_bytes: usize,
    process_id: u32,
    /// Every process of its session works for it.
    is_family: bool,
    /// `None`: it is somebody else's to stop.
    process: Option<Process>,
}

/// How it is asked.
pub(super) enum Asks {
    Raw(Load),
    /// By a client that reads what it is answered: over QUIC nothing less speaks.
    Client {
        client: Options,
        address: String,
        requests: Arc<[LookupRequest]>,
    },
}

impl Peer {
    pub(super) fn of_node(name: &str, asks: Asks, process_id: u32, answer_bytes: usize) -> Self {
        let name = format!("node, {name}");
        Self { name, asks, answer_bytes, process_id, is_family: false, process: None }
    }

    pub(super) fn of(name: &str, asks: Asks, process: Process, answer_bytes: usize) -> anyhow::Result<Self> {
        let (name, process_id) = (name.to_owned(), process.id()?);
        Ok(Self { name, asks, answer_bytes, process_id, is_family: false, process: Some(process) })
    }

    /// Of a server with a process a connection.
    pub(super) fn of_family(
        name: &str,
        asks: Asks,
        process: Process,
        answer_bytes: usize,
    ) -> anyhow::Result<Self> {
        Ok(Self { is_family: true, ..Self::of(name, asks, process, answer_bytes)? })
    }

    /// Of the server so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let own = usage::cpu(self.process_id).with_context(|| self.name.clone())?;
        let children = if self.is_family { usage::children_cpu(self.process_id)? } else { Duration::ZERO };
        Ok(own + children)
    }

    pub(super) async fn ask(
        &self,
        connections: usize,
        warm_up: Duration,
        lasts: Duration,
    ) -> anyhow::Result<Measured> {
        match &self.asks {
            Asks::Raw(load) => raw::run(load, connections, warm_up, lasts).await,
            Asks::Client { client, address, requests } => {
                let one = |_| {
                    let node = NodeClient::new(address, client.clone())?;
                    Ok(Client { node, requests: Arc::clone(requests) })
                };
                let clients = (0..connections).map(one).collect::<anyhow::Result<Vec<_>>>()?;
                closed::run(clients, warm_up, lasts).await
            }
        }
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        if let Some(process) = self.process {
            process.stop().await?;
        }
        Ok(())
    }
}

struct Client {
    node: NodeClient,
    requests: Arc<[LookupRequest]>,
}

impl Ask for Client {
    async fn ask(&mut self, number: u64) -> anyhow::Result<()> {
        let at = usize::try_from(number)? % self.requests.len();
        self.node.lookup(&self.requests[at]).await?;
        Ok(())
    }
}

/// A program on the servers' core.
pub(super) fn pinned(
    name: &str,
    binary: &Path,
    arguments: &[String],
    folder: &Path,
) -> anyhow::Result<Process> {
    let mut all = vec!["-c".to_owned(), CORE.to_owned(), binary.display().to_string()];
    all.extend_from_slice(arguments);
    let program = Program { binary: "taskset".into(), arguments: all, environment: Vec::new() };
    Process::start(name, program, folder)
}

pub(super) async fn connected(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let deadline = Instant::now() + READY_MAX;
    loop {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).context("a server that was started");
            }
            Err(_) => sleep(LOOK).await,
        }
    }
}

pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?)
}

/// Two keys a line: the account's price of the item, and what is in stock. `None`: there is no Redis.
pub(super) async fn redis(
    binary: &Path,
    shape: &Shape,
    (baskets, lines): (u64, u64),
    folder: &Path,
) -> anyhow::Result<Option<Peer>> {
    let Some((process, address)) = start_redis("redis", binary, folder).await? else { return Ok(None) };
    fill(address, shape, baskets, lines).await?;
    let keys = |number| {
        let (account, items) = basket(shape, number, lines);
        let keys = items.into_iter().flat_map(|item| [price_key(account, item), cell_key(item)]);
        command("MGET", keys.map(String::into_bytes))
    };
    let requests = (0..baskets).map(keys).collect();
    let load = Load { address, requests, framing: Framing::Redis, greeting: Vec::new() };
    let answer = lines as usize * (PRICE_BYTES + CELL_BYTES);
    Peer::of("Redis MGET of 40 keys", Asks::Raw(load), process, answer).map(Some)
}

/// `None`: there is none.
pub(super) async fn start_redis(
    name: &str,
    binary: &Path,
    folder: &Path,
) -> anyhow::Result<Option<(Process, SocketAddr)>> {
    let found = tokio::process::Command::new(binary).arg("--version").output().await;
    if !found.is_ok_and(|output| output.status.success()) {
        return Ok(None);
    }
    let address = free_address()?;
    let arguments = [
        ("--port", address.port().to_string()),
        ("--bind", address.ip().to_string()),
        ("--save", String::new()),
        ("--appendonly", "no".to_owned()),
        ("--dir", folder.display().to_string()),
    ];
    let arguments = arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    Ok(Some((pinned(name, binary, &arguments.collect::<Vec<_>>(), folder)?, address)))
}

fn price_key(account: u64, item: u64) -> String {
    format!("p:{}:{}", account_id(account), item_id(item))
}

fn cell_key(item: u64) -> String {
    format!("s:{}", item_id(item))
}

/// Every price of every contract and every item's stock, as many as the node has; and those that baskets ask for beside.
async fn fill(address: SocketAddr, shape: &Shape, baskets: u64, lines: u64) -> anyhow::Result<()> {
    let mut stream = connected(address).await?;
    let cells = (0..shape.items).map(|item| (cell_key(item), CELL_BYTES));
    let contracts = (0..shape.accounts).flat_map(|account| {
        let rows = shape.rows / shape.accounts;
        (0..rows.min(shape.items)).map(move |row| (account, shape.contract_item(account, row)))
    });
    let asked = (0..baskets).flat_map(|number| {
        let (account, items) = basket(shape, number, lines);
        items.into_iter().map(move |item| (account, item))
    });
    let prices = contracts.chain(asked).map(|(account, item)| (price_key(account, item), PRICE_BYTES));
    let mut pairs = cells.chain(prices).peekable();
    while pairs.peek().is_some() {
        let batch = pairs.by_ref().take(KEYS_A_REQUEST);
        let words = batch.flat_map(|(key, bytes)| [key.into_bytes(), vec![b'x'; bytes]]);
        stream.write_all(&command("MSET", words)).await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        if answer != *b"+OK\r\n" {
            bail!("Redis did not take what was to be asked for: {}", String::from_utf8_lossy(&answer));
        }
    }
    Ok(())
}

pub(super) fn command(name: &str, words: impl Iterator<Item = Vec<u8>>) -> Bytes {
    let words: Vec<Vec<u8>> = std::iter::once(name.as_bytes().to_vec()).chain(words).collect();
    let mut written = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        written.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        written.extend_from_slice(&word);
        written.extend_from_slice(b"\r\n");
    }
    Bytes::from(written)
}

/// The same requests as another one's.
pub(super) fn same_requests(of: &[Peer]) -> anyhow::Result<Arc<[Bytes]>> {
    match of.last().map(|peer| &peer.asks) {
        Some(Asks::Raw(load)) => Ok(Arc::clone(&load.requests)),
        Some(Asks::Client { .. }) | None => bail!("there is no peer before whose requests are bytes"),
    }
}
