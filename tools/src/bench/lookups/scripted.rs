//! Redis that prices: a script walks contract, group and list for every line, takes the break of the quantity, and adds up
//! what the warehouses have. It knows no dates, units, policies, freshness, orders in flight or explanations.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::peers::{Asks, Peer, command, connected, start_redis};
use super::priced::{self, Priced};
use super::raw::{Framing, Load};
use super::{basket, priced as rows};
use crate::generate::{Shape, account_id, item_id};

/// Fields set in one request.
const FIELDS_A_REQUEST: usize = 500;
const QUANTITY: &str = "12";

/// Keys: the account. Arguments: quantity, items. Answers three strings a line: unit price, extended, available; then the
/// total.
const SCRIPT: &str = r"
local quantity = tonumber(ARGV[1])
local contract, group = 'c:' .. KEYS[1], redis.call('GET', 'a:' .. KEYS[1])
local function step(row)
  local price
  for from, value in string.gmatch(row, '(%d+)=(%d+)') do
    if quantity >= tonumber(from) then price = tonumber(value) end
  end
  return price
end
local answer, total = {}, 0
for at = 2, #ARGV do
  local item = ARGV[at]
  local price
  local row = redis.call('HGET', contract, item)
  if row then price = step(row) end
  if not price and group then
    row = redis.call('HGET', 'g:' .. group, item)
    local list = row and redis.call('HGET', 'l', item)
    if list then price = step(list) * (10000 - step(row)) / 10000 end
  end
  if not price then
    row = redis.call('HGET', 'l', item)
    price = row and step(row) or 0
  end
  local available = 0
  for _, on_hand in ipairs(redis.call('HVALS', 's:' .. item)) do available = available + tonumber(on_hand) end
  total = total + price * quantity
  answer[#answer + 1] = string.format('%.2f', price / 100)
  answer[#answer + 1] = string.format('%.2f', price * quantity / 100)
  answer[#answer + 1] = tostring(available)
end
answer[#answer + 1] = string.format('%.2f', total / 100)
return answer";

/// `None`: there is no Redis.
pub(super) async fn redis(
    binary: &Path,
    shape: &Shape,
    (baskets, lines): (u64, u64),
    folder: &Path,
) -> anyhow::Result<Option<Peer>> {
    let Some((process, address)) = start_redis("redis-lua", binary, folder).await? else { return Ok(None) };
    fill(address, shape).await?;
    let mut stream = connected(address).await?;
    let words = ["LOAD", SCRIPT].map(|word| word.as_bytes().to_vec());
    stream.write_all(&command("SCRIPT", words.into_iter())).await?;
    let sha = line_behind(&mut stream).await?;
    let request = |number| {
        let (account, items) = basket(shape, number, lines);
        let head = [sha.clone(), "1".to_owned(), account_id(account).to_string(), QUANTITY.to_owned()];
        let words = head.into_iter().chain(items.into_iter().map(|item| item_id(item).to_string()));
        command("EVALSHA", words.map(String::into_bytes))
    };
    let requests: Vec<Bytes> = (0..baskets).map(request).collect();
    stream.write_all(&requests[0]).await?;
    let answer = whole_answer(&mut stream).await?;
    let load = Load { address, requests: requests.into(), framing: Framing::Redis, greeting: Vec::new() };
    Peer::of("Redis pricing in Lua", Asks::Raw(load), process, answer).map(Some)
}

/// Bytes of an answer that prices.
async fn whole_answer(stream: &mut TcpStream) -> anyhow::Result<usize> {
    let mut bytes = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "Redis closed the connection");
        if let Some(end) = Framing::Redis.end(&bytes)? {
            let text = String::from_utf8_lossy(&bytes);
            ensure!(!text.contains("\r\n0.00\r\n"), "Redis does not price what was generated: {text}");
            return Ok(end);
        }
    }
}

/// `$40\r\n<sha>\r\n`
async fn line_behind(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut bytes = [0; 256];
    let length = stream.read(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
    let sha = text.strip_prefix("$40\r\n").and_then(|rest| rest.strip_suffix("\r\n"));
    Ok(sha.with_context(|| format!("Redis does not take the script: {text}"))?.to_owned())
}

fn field(row: &Priced) -> [Vec<u8>; 2] {
    let ladder = row.ladder.iter().map(|(from, value)| format!("{from}={value}"));
    [row.item.clone().into_bytes(), ladder.collect::<Vec<_>>().join(";").into_bytes()]
}

async fn fill(address: SocketAddr, shape: &Shape) -> anyhow::Result<()> {
    let mut stream = connected(address).await?;
    set(&mut stream, "l", priced::list(shape)).await?;
    for (group, rows) in priced::groups(shape) {
        set(&mut stream, &format!("g:{group}"), rows.into_iter()).await?;
    }
    for account in 0..shape.accounts {
        let id = account_id(account);
        set(&mut stream, &format!("c:{id}"), priced::contract(shape, account).into_iter()).await?;
        if let Some(group) = rows::group(shape, account) {
            said(&mut stream, "SET", vec![format!("a:{id}").into_bytes(), group.into_bytes()]).await?;
        }
    }
    for item in 0..shape.items {
        let mut words = vec![format!("s:{}", item_id(item)).into_bytes()];
        for (warehouse, on_hand) in priced::shelves(shape, item) {
            words.extend([warehouse.into_bytes(), on_hand.to_string().into_bytes()]);
        }
        said(&mut stream, "HSET", words).await?;
    }
    Ok(())
}

async fn set(stream: &mut TcpStream, key: &str, rows: impl Iterator<Item = Priced>) -> anyhow::Result<()> {
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let fields = rows.by_ref().take(FIELDS_A_REQUEST).flat_map(|row| field(&row));
        let words = std::iter::once(key.as_bytes().to_vec()).chain(fields).collect();
        said(stream, "HSET", words).await?;
    }
    Ok(())
}

/// One command whose answer is one line.
async fn said(stream: &mut TcpStream, name: &str, words: Vec<Vec<u8>>) -> anyhow::Result<()> {
    stream.write_all(&command(name, words.into_iter())).await?;
    let mut byte = [0];
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).await?;
        line.push(byte[0]);
    }
    ensure!(!line.starts_with(b"-"), "Redis says {}", String::from_utf8_lossy(&line));
    Ok(())
}
