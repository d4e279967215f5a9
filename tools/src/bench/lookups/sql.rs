//! PostgreSQL that prices: one prepared statement joins a basket with indexed tables of contract, group and list prices
//! and of stock. It knows no dates, units, policies, freshness, orders in flight or explanations.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::basket;
use super::peers::{Asks, Peer, connected, free_address, pinned};
use super::priced::{self, Priced};
use super::raw::{Framing, Load};
use crate::generate::{Shape, account_id, item_id};

/// Where Debian's package puts the programs.
const BINARIES: &str = "/usr/lib/postgresql/15/bin";
/// It does not run as root.
const ACCOUNT: &str = "postgres";
const QUANTITY: i64 = 12;

const TABLES: &str = "
CREATE TABLE account (account text PRIMARY KEY, grp text);
CREATE TABLE contract (account text, item text, min bigint, price bigint, PRIMARY KEY (account, item, min));
CREATE TABLE list (item text, min bigint, price bigint, PRIMARY KEY (item, min));
CREATE TABLE grp (grp text, item text, off bigint, PRIMARY KEY (grp, item));
CREATE TABLE stock (item text, warehouse text, on_hand bigint, PRIMARY KEY (item, warehouse));
";

/// $1: account, $2: items, $3: quantity.
const STATEMENT: &str = "
SELECT i.item, p.price, p.price * $3 AS extended, s.available
FROM unnest($2::text[]) WITH ORDINALITY AS i(item, line)
CROSS JOIN (SELECT grp FROM account WHERE account = $1) AS a
LEFT JOIN LATERAL (SELECT price FROM list WHERE item = i.item AND min <= $3 ORDER BY min DESC LIMIT 1) AS l ON true
LEFT JOIN LATERAL (SELECT price FROM contract WHERE account = $1 AND item = i.item AND min <= $3 ORDER BY min DESC LIMIT 1) AS c ON true
LEFT JOIN LATERAL (SELECT off FROM grp WHERE grp = a.grp AND item = i.item) AS g ON true
CROSS JOIN LATERAL (SELECT coalesce(c.price, l.price * (10000 - g.off) / 10000, l.price) AS price) AS p
CROSS JOIN LATERAL (SELECT coalesce(sum(on_hand), 0)::bigint AS available FROM stock WHERE item = i.item) AS s
ORDER BY i.line";

/// `None`: there is no PostgreSQL.
pub(super) async fn postgres(
    shape: &Shape,
    (baskets, lines): (u64, u64),
    folder: &Path,
) -> anyhow::Result<Option<Peer>> {
    let initdb = PathBuf::from(BINARIES).join("initdb");
    if !initdb.exists() {
        return Ok(None);
    }
    let (folder, address) = (folder.join("postgres"), free_address()?);
    std::fs::create_dir_all(&folder)?;
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        // It must be able to enter all of the path, and own the end of it.
        run("chown", &[ACCOUNT, &folder.display().to_string()]).await?;
        for above in folder.ancestors().skip(1).take(1) {
            run("chmod", &["a+x", &above.display().to_string()]).await?;
        }
    }
    let data = folder.join("data").display().to_string();
    let initdb = initdb.display().to_string();
    let made =
        ["--pgdata", &data, "--username", ACCOUNT, "--auth", "trust", "--encoding", "UTF8", "--no-sync"];
    run_as(is_root, &initdb, &made).await?;
    let postgres = PathBuf::from(BINARIES).join("postgres").display().to_string();
    let port = address.port().to_string();
    let settings = [
        "-D",
        &data,
        "-p",
        &port,
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",
        "-c",
        "fsync=off",
        "-c",
        "shared_buffers=1GB",
        "-c",
        "jit=off",
        "-c",
        "max_connections=300",
    ];
    let (binary, arguments) = as_other(is_root, &postgres, &settings);
    let process = pinned("postgres", Path::new(&binary), &arguments, &folder)?;
    fill(address, shape).await?;
    let request = |number| {
        let (account, items) = basket(shape, number, lines);
        asked(account_id(account).as_str(), items)
    };
    let requests: Vec<Bytes> = (0..baskets).map(request).collect();
    let greeting = vec![startup(), prepared()];
    let answer = answered(address, &greeting, &requests[0], lines).await?;
    let load = Load { address, requests: requests.into(), framing: Framing::Postgres, greeting };
    // One process a connection: CPU is not that of the one that was started.
    Peer::of_family("PostgreSQL pricing in SQL", Asks::Raw(load), process, answer).map(Some)
}

fn as_other(is_root: bool, binary: &str, arguments: &[&str]) -> (String, Vec<String>) {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned());
    match is_root {
        false => (binary.to_owned(), arguments.collect()),
        true => {
            let head =
                ["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups", "--", binary].map(str::to_owned);
            ("setpriv".to_owned(), head.into_iter().chain(arguments).collect())
        }
    }
}

async fn run_as(is_root: bool, binary: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let (binary, arguments) = as_other(is_root, binary, arguments);
    run(&binary, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
}

async fn run(binary: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(binary);
    command.args(arguments).stdout(Stdio::null()).current_dir("/");
    let status = command.status().await.with_context(|| format!("run {binary}"))?;
    ensure!(status.success(), "{binary} ended with {status}");
    Ok(())
}

async fn fill(address: SocketAddr, shape: &Shape) -> anyhow::Result<()> {
    connected(address).await?;
    let mut psql = Command::new("psql");
    let port = address.port().to_string();
    psql.args(["-h", "127.0.0.1", "-p", &port, "-U", ACCOUNT, "-d", ACCOUNT, "-q", "-v", "ON_ERROR_STOP=1"]);
    let mut psql = psql.stdin(Stdio::piped()).spawn().context("run psql")?;
    let mut input = psql.stdin.take().context("the input of psql")?;
    let mut text = TABLES.to_owned();
    text += "COPY account FROM stdin;\n";
    for account in 0..shape.accounts {
        let group = priced::group(shape, account).unwrap_or_default();
        let _ = writeln!(text, "{}\t{group}", account_id(account));
    }
    text += "\\.\nCOPY list FROM stdin;\n";
    priced::list(shape).for_each(|row| rows(&mut text, "", &row));
    text += "\\.\nCOPY grp FROM stdin;\n";
    for (group, of) in priced::groups(shape) {
        for row in of {
            let _ = writeln!(text, "{group}\t{}\t{}", row.item, row.ladder.first().map_or(0, |step| step.1));
        }
    }
    text += "\\.\nCOPY stock FROM stdin;\n";
    for item in 0..shape.items {
        for (warehouse, on_hand) in priced::shelves(shape, item) {
            let _ = writeln!(text, "{}\t{warehouse}\t{on_hand}", item_id(item));
        }
    }
    text += "\\.\nCOPY contract FROM stdin;\n";
    input.write_all(text.as_bytes()).await?;
    for account in 0..shape.accounts {
        let (mut text, id) = (String::new(), format!("{}\t", account_id(account)));
        priced::contract(shape, account).iter().for_each(|row| rows(&mut text, &id, row));
        input.write_all(text.as_bytes()).await?;
    }
    input.write_all(b"\\.\nANALYZE;\n").await?;
    drop(input);
    let status = psql.wait().await?;
    ensure!(status.success(), "psql ended with {status}");
    Ok(())
}

fn rows(text: &mut String, before: &str, row: &Priced) {
    for (from, value) in &row.ladder {
        let _ = writeln!(text, "{before}{}\t{from}\t{value}", row.item);
    }
}

/// A message of version 3 of the protocol: its kind, its length with itself, its body.
fn message(kind: Option<u8>, body: &[u8]) -> BytesMut {
    let mut message = BytesMut::new();
    kind.into_iter().for_each(|kind| message.put_u8(kind));
    message.put_i32(i32::try_from(body.len()).expect("a short message") + 4);
    message.put_slice(body);
    message
}

fn startup() -> Bytes {
    let mut body = BytesMut::new();
    body.put_i32(196_608);
    body.put_slice(format!("user\0{ACCOUNT}\0database\0{ACCOUNT}\0\0").as_bytes());
    message(None, &body).freeze()
}

fn prepared() -> Bytes {
    let mut body = BytesMut::new();
    body.put_slice(format!("basket\0{STATEMENT}\0").as_bytes());
    body.put_i16(3);
    // text, text[], bigint
    [25, 1_009, 20].into_iter().for_each(|kind| body.put_i32(kind));
    let mut both = message(Some(b'P'), &body);
    both.extend_from_slice(&message(Some(b'S'), &[]));
    both.freeze()
}

/// Bind, execute, sync; parameters and results as text.
fn asked(account: &str, items: Vec<u64>) -> Bytes {
    let items: Vec<String> = items.into_iter().map(|item| item_id(item).to_string()).collect();
    let mut bind = BytesMut::new();
    bind.put_slice(b"\0basket\0");
    bind.put_i16(0);
    let parameters = [account.to_owned(), format!("{{{}}}", items.join(",")), QUANTITY.to_string()];
    bind.put_i16(3);
    for parameter in parameters {
        bind.put_i32(i32::try_from(parameter.len()).expect("a short parameter"));
        bind.put_slice(parameter.as_bytes());
    }
    bind.put_i16(0);
    let mut all = message(Some(b'B'), &bind);
    all.extend_from_slice(&message(Some(b'E'), b"\0\0\0\0\0"));
    all.extend_from_slice(&message(Some(b'S'), &[]));
    all.freeze()
}

/// Bytes of an answer with all lines.
async fn answered(
    address: SocketAddr,
    greeting: &[Bytes],
    request: &Bytes,
    lines: u64,
) -> anyhow::Result<usize> {
    let mut stream = connected(address).await?;
    let mut answer = Vec::new();
    for asked in greeting.iter().chain([request]) {
        stream.write_all(asked).await?;
        answer.clear();
        while Framing::Postgres.end(&answer)?.is_none() {
            ensure!(stream.read_buf(&mut answer).await? > 0, "PostgreSQL closed the connection");
        }
    }
    let said = String::from_utf8_lossy(&answer);
    ensure!(
        said.contains(&format!("SELECT {lines}")),
        "PostgreSQL does not price what was generated: {said}"
    );
    Ok(answer.len())
}
