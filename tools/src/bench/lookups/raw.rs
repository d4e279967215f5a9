//! A closed loop over raw connections: bytes go out, and an answer is taken off whole and not looked at.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::closed::{self, Ask, Measured};

/// Room for an answer to come in at once.
const READ_BYTES: usize = 64 * 1024;

/// What is asked of whom.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) address: SocketAddr,
    /// In turn.
    pub(super) requests: Arc<[Bytes]>,
    pub(super) framing: Framing,
    /// Sent on a new connection, each answered before the next.
    pub(super) greeting: Vec<Bytes>,
}

/// Where an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// A head of status 200 with `content-length`, and a body.
    Http,
    /// An array of strings of the protocol of Redis.
    Redis,
    /// Messages of PostgreSQL up to the one that it is ready again.
    Postgres,
}

struct Connection {
    stream: TcpStream,
    load: Load,
    received: BytesMut,
}

pub(super) async fn run(
    load: &Load,
    connections: usize,
    warm_up: Duration,
    measured: Duration,
) -> anyhow::Result<Measured> {
    let mut all = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream =
            TcpStream::connect(load.address).await.with_context(|| format!("connect to {}", load.address))?;
        stream.set_nodelay(true)?;
        let mut connection =
            Connection { stream, load: load.clone(), received: BytesMut::with_capacity(READ_BYTES) };
        for greeting in &load.greeting {
            connection.exchange(greeting).await?;
        }
        all.push(connection);
    }
    closed::run(all, warm_up, measured).await
}

impl Ask for Connection {
    async fn ask(&mut self, number: u64) -> anyhow::Result<()> {
        let at = usize::try_from(number)? % self.load.requests.len();
        let request = self.load.requests[at].clone();
        self.exchange(&request).await
    }
}

impl Connection {
    /// Until it is answered whole.
    async fn exchange(&mut self, request: &Bytes) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        loop {
            if let Some(end) = self.load.framing.end(&self.received)? {
                self.received.advance(end);
                return Ok(());
            }
            self.received.reserve(READ_BYTES);
            ensure!(self.stream.read_buf(&mut self.received).await? > 0, "the server closed the connection");
        }
    }
}

impl Framing {
    /// Behind the first whole answer; `None`: there is more to come.
    pub(super) fn end(self, received: &[u8]) -> anyhow::Result<Option<usize>> {
        match self {
            Self::Http => http_end(received),
            Self::Redis => redis_end(received),
            Self::Postgres => postgres_end(received),
        }
    }
}

fn http_end(received: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&received[..head])?;
    ensure!(text.starts_with("HTTP/1.1 200"), "refused: {}", text.lines().next().unwrap_or_default());
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let end = head + 4 + length.context("an answer without a length")?;
    Ok((received.len() >= end).then_some(end))
}

/// `*2\r\n$3\r\nabc\r\n$-1\r\n`
fn redis_end(received: &[u8]) -> anyhow::Result<Option<usize>> {
    let mut at = 0;
    let Some(count) = redis_number(received, &mut at, b'*')? else { return Ok(None) };
    for _ in 0..count {
        let Some(length) = redis_number(received, &mut at, b'$')? else { return Ok(None) };
        ensure!(length >= 0, "a key of the basket is not there");
        at += usize::try_from(length)? + 2;
        if received.len() < at {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

/// `Z`, and before it whatever was asked for; an error is none.
fn postgres_end(received: &[u8]) -> anyhow::Result<Option<usize>> {
    let mut at = 0;
    while let Some(head) = received.get(at..at + 5) {
        let length = i32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let end = at + 1 + usize::try_from(length).context("a message of PostgreSQL")?;
        if received.len() < end {
            return Ok(None);
        }
        ensure!(head[0] != b'E', "PostgreSQL says {}", String::from_utf8_lossy(&received[at + 5..end]));
        at = end;
        if head[0] == b'Z' {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn redis_number(received: &[u8], at: &mut usize, kind: u8) -> anyhow::Result<Option<i64>> {
    let rest = received.get(*at..).unwrap_or_default();
    let Some(length) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&rest[..length])?;
    if rest[0] != kind {
        bail!("Redis says {text}");
    }
    *at += length + 2;
    Ok(Some(text[1..].parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(framing: Framing, whole: &[u8]) {
        for cut in 0..whole.len() {
            assert_eq!(framing.end(&whole[..cut]).unwrap(), None, "{cut} bytes");
        }
        let more = [whole, b"HTTP"].concat();
        assert_eq!(framing.end(&more).unwrap(), Some(whole.len()));
    }

    #[test]
    fn an_answer_ends_where_it_says() {
        check(Framing::Http, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx: y\r\n\r\nabc");
        check(Framing::Redis, b"*2\r\n$3\r\nabc\r\n$0\r\n\r\n");
        check(Framing::Postgres, b"D\0\0\0\x06abZ\0\0\0\x05I");
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for (framing, bytes, want) in [
            (Framing::Http, &b"HTTP/1.1 429 Too Many Requests\r\n\r\n"[..], "refused: HTTP/1.1 429"),
            (Framing::Http, b"HTTP/1.1 200 OK\r\n\r\n", "without a length"),
            (Framing::Redis, b"-ERR unknown command\r\n", "Redis says -ERR unknown"),
            (Framing::Redis, b"*1\r\n$-1\r\n", "is not there"),
            (Framing::Postgres, b"E\0\0\0\x07no.Z\0\0\0\x05I", "PostgreSQL says no."),
        ] {
            let error = framing.end(bytes).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
