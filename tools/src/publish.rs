//! `pannier publish`: changes from a script, without code.
//!
//! A line is one change, as `WIRE.md` writes it in JSON: `{"stock_set": {...}}`. Lines become messages of
//! `--batch` changes; an empty line ends a message early, so that a script decides what applies as one. A
//! line that is no change ends the command: what stood in messages before it is published, nothing after.

use std::io::{BufRead, Read};

use anyhow::{Context, bail, ensure};
use pannier_protocol::change::Tick;
use pannier_protocol::limits::{MESSAGE_BYTES_MAX, MESSAGE_CHANGES_MAX};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding, MarkId, SourceId, TransactionId, codec};
use pannier_streams::Chain;
use pannier_streams::clock::broker_offset;

use crate::broker::{BrokerArgs, now};
use crate::chain::{Held, OPERATOR, Taking};
use crate::cli::data;

/// What an envelope is around its changes, at most, in bytes.
const ENVELOPE_BYTES: usize = 2 * 1024;
/// Longest line: one change fills a message.
const LINE_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    broker: BrokerArgs,
    /// Without the prefix, as in `ledger.stock.wms-1` or `catalog.shared.erp-1`.
    #[arg(long, env = "PANNIER_SUBJECT", value_parser = Subject::parse)]
    subject: Subject,
    /// Who writes: an epoch that this name claimed is continued.
    #[arg(long, env = "PANNIER_INSTANCE", default_value = "pannier-publish", value_parser = MarkId::new)]
    instance: MarkId,
    /// Take the subject over from another writer; its rows are suspect until a snapshot ends.
    #[arg(long, env = "PANNIER_CLAIM")]
    claim: bool,
    /// Most changes in one message; each message applies as one.
    #[arg(long, env = "PANNIER_BATCH", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=MESSAGE_CHANGES_MAX as i64))]
    batch: u16,
    /// The source's own id of the transaction that all messages are a part of.
    #[arg(long, env = "PANNIER_TRANSACTION", value_parser = TransactionId::new)]
    transaction: Option<TransactionId>,
    /// Say at the end that the source was read to its end when this command began: what it wrote on this
    /// subject is fresh as of then. Without ticks a source is stale.
    #[arg(long, env = "PANNIER_TICK")]
    tick: bool,
    /// Print what was published as JSON.
    #[arg(long, env = "PANNIER_JSON")]
    json: bool,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let began = now()?;
    let (broker, streams) = args.broker.open("pannier publish").await?;
    // Ages are told in broker time, and this machine's clock may be off.
    let clock = || now().unwrap_or_default();
    let offset = if args.tick { broker_offset(&broker, &streams.ledger, clock).await? } else { 0 };
    let source = match args.subject.source() {
        Some(source) => source.clone(),
        None => SourceId::new(OPERATOR)?,
    };
    let chain = Chain { subject: args.subject.clone(), source, encoding: Encoding::MessagePack };
    let taking = Taking { chain, instance: &args.instance, claim: args.claim };
    let (mut messages, mut changes) = (0_u64, 0_u64);
    // Nothing else runs on this thread: it may block on its input.
    let mut batches = Batches::new(std::io::stdin().lock(), &args.subject, usize::from(args.batch));
    let mut next = first_batch(&mut batches, args.tick)?;
    let mut held = Held::take(&broker, &streams, taking).await?;
    while let Some(batch) = next {
        let count = batch.len();
        held.publish(batch, args.transaction.clone())
            .await
            .with_context(|| format!("{changes} changes in {messages} messages were published before"))?;
        messages += 1;
        changes += count as u64;
        next = batches.next_batch()?;
    }
    if args.tick {
        let tick = Tick { caught_up_to: began.plus_millis(offset), subjects: vec![held.point()] };
        held.publish(vec![Change::Tick(tick)], None).await.context("tick")?;
    }
    let as_of = held.last();
    if args.json {
        return data(serde_json::json!({ "as_of": as_of, "messages": messages, "changes": changes }));
    }
    tracing::info!(messages, changes, subject = %args.subject, "published");
    data(as_of)
}

/// Read before the subject is taken: a claim makes its rows suspect, and is not made for nothing.
fn first_batch<R: BufRead>(batches: &mut Batches<'_, R>, tick: bool) -> anyhow::Result<Option<Vec<Change>>> {
    let first = batches.next_batch()?;
    ensure!(
        first.is_some() || tick,
        "no change on stdin, so {} was not touched; --tick alone says that the source was read to its end",
        batches.subject
    );
    Ok(first)
}

/// Lines into messages.
struct Batches<'a, R> {
    input: R,
    subject: &'a Subject,
    changes_max: usize,
    line: u64,
    /// Read already, and too large for the message before.
    next: Option<(Change, usize)>,
}

enum Input {
    /// With its size in a message.
    Change(Box<Change>, usize),
    Break,
    End,
}

impl<'a, R: BufRead> Batches<'a, R> {
    fn new(input: R, subject: &'a Subject, changes_max: usize) -> Self {
        Self { input, subject, changes_max, line: 0, next: None }
    }

    /// The next message's changes; `None` at the end. The error names the line.
    fn next_batch(&mut self) -> anyhow::Result<Option<Vec<Change>>> {
        let (mut batch, mut bytes) = (Vec::new(), ENVELOPE_BYTES);
        while batch.len() < self.changes_max {
            let (change, size) = match self.next.take() {
                Some(next) => next,
                None => match self.read()? {
                    Input::Change(change, size) => (*change, size),
                    Input::Break if batch.is_empty() => continue,
                    Input::Break | Input::End => break,
                },
            };
            if bytes + size > MESSAGE_BYTES_MAX && !batch.is_empty() {
                self.next = Some((change, size));
                break;
            }
            bytes += size;
            batch.push(change);
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn read(&mut self) -> anyhow::Result<Input> {
        let mut text = Vec::new();
        let read = self.input.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut text);
        if read.context("read stdin")? == 0 {
            return Ok(Input::End);
        }
        self.line += 1;
        let line = self.line;
        ensure!(text.len() <= LINE_BYTES_MAX, "line {line}: longer than {LINE_BYTES_MAX} bytes");
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Input::Break);
        }
        let change: Change = codec::decode(Encoding::Json, &text, LINE_BYTES_MAX)
            .with_context(|| format!("line {line} is no change"))?;
        change.check().with_context(|| format!("line {line}"))?;
        if !change.fits(self.subject) {
            bail!(
                "line {line}: {} does not belong on {}; see WIRE.md, Subjects",
                change.kind(),
                self.subject
            );
        }
        let size = codec::encode(Encoding::MessagePack, &change)?.len();
        Ok(Input::Change(Box::new(change), size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject::parse("ledger.stock.wms-1").unwrap()
    }

    fn stock(item: &str) -> String {
        format!(
            "{{\"stock_set\":{{\"item\":\"{item}\",\"warehouse\":\"DAL\",\"uom\":\"EA\",\"on_hand\":\"1\"}}}}\n"
        )
    }

    #[track_caller]
    fn check_batches(input: &str, changes_max: usize, want: &[usize]) {
        let subject = subject();
        let mut batches = Batches::new(input.as_bytes(), &subject, changes_max);
        let mut got = Vec::new();
        while let Some(batch) = batches.next_batch().unwrap() {
            got.push(batch.len());
        }
        assert_eq!(got, want);
    }

    #[track_caller]
    fn check_refused(input: &str, want: &str) {
        let subject = subject();
        let error = Batches::new(input.as_bytes(), &subject, 10).next_batch().unwrap_err();
        let error = format!("{error:#}");
        assert!(error.starts_with(want), "{error}");
    }

    #[test]
    fn lines_become_messages() {
        check_batches("", 2, &[]);
        check_batches("\n\n", 2, &[]);
        check_batches(&stock("A").repeat(5), 2, &[2, 2, 1]);
        check_batches(&format!("{}\n{}{}", stock("A"), stock("B"), stock("C")), 10, &[1, 2]);
        let large = format!(
            "{{\"lots_set\":{{\"item\":\"A\",\"warehouse\":\"DAL\",\"uom\":\"EA\",\"lots\":[{}]}}}}\n",
            {
                let lot = format!("{{\"lot\":\"{}\",\"quantity\":\"1\"}}", "L".repeat(64));
                vec![lot; 1_000].join(",")
            }
        );
        check_batches(&large.repeat(4), 10, &[3, 1]);
    }

    #[test]
    fn what_says_nothing_takes_no_subject() {
        let subject = subject();
        for (input, tick, want) in [
            ("", false, "no change on stdin, so ledger.stock.wms-1 was not touched; --tick alone says "),
            ("\n", false, "no change on stdin"),
            ("broken", false, "line 1 is no change"),
            ("broken", true, "line 1 is no change"),
            ("", true, "ok"),
            (&*stock("A"), false, "ok"),
        ] {
            let told = match first_batch(&mut Batches::new(input.as_bytes(), &subject, 10), tick) {
                Ok(_) => "ok".to_owned(),
                Err(error) => error.to_string(),
            };
            assert!(told.starts_with(want), "{input:?}: {told}");
        }
    }

    #[test]
    fn the_wrong_line_is_named() {
        let second = |line: &str| format!("{}{line}\n", stock("A"));
        check_refused(&second("{}"), "line 2 is no change: .: ");
        check_refused(&second("{\"stock_set\":{\"item\":1}}"), "line 2 is no change: stock_set");
        check_refused(
            &second("{\"item_removed\":{\"item\":\"A\"}}"),
            "line 2: item_removed does not belong on ledger.stock.wms-1; see WIRE.md, Subjects",
        );
        check_refused(
            &stock("A").replace("\"1\"", "\"1\",\"allocated\":\"-1\""),
            "line 1: stock_set.allocated: must not be negative",
        );
    }
}
