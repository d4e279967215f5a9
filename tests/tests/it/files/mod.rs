//! The file adapter and its runner against a real nats-server, their messages folded by the core.

mod crash;
mod load;
mod repeat;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pannier_adapters::files::{FilesConfig, Summary, load_once};
use pannier_core::catalog::{Catalog, CatalogRows, CatalogTables};
use pannier_core::dictionary::Dictionary;
use pannier_core::entry::{Effect, Entry};
use pannier_core::freshness::{Board, ChainState};
use pannier_core::ledger::{Ledger, LedgerTables, StockRows};
use pannier_core::rows::{RowVersion, Rows, Stated};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding, Partition, StreamSequence};
use pannier_streams::{Streams, stored};
use pannier_tests::TestBroker;

/// A server, and a folder that an adapter watches.
struct Site {
    test: TestBroker,
    streams: Streams,
    mapping: &'static str,
}

/// What the core makes of the streams.
struct Folded {
    ledger: Arc<LedgerTables>,
    catalog: Arc<CatalogTables>,
    /// Everything but the reads of an undisturbed run.
    effects: Vec<Effect>,
}

impl Site {
    /// `mapping` is the configuration from its first `[[file]]` on.
    async fn new(mapping: &'static str) -> Self {
        let (test, streams) = TestBroker::start_with_streams().await;
        std::fs::create_dir(test.folder.path().join("in")).unwrap();
        Self { test, streams, mapping }
    }

    fn folder(&self) -> PathBuf {
        self.test.folder.path().join("in")
    }

    /// Appears at once, as an exporter that renames makes it.
    fn put(&self, name: &str, text: &str) {
        let hidden = self.test.folder.path().join("writing");
        std::fs::write(&hidden, text).unwrap();
        std::fs::rename(hidden, self.folder().join(name)).unwrap();
    }

    fn config_text(&self, state: &str) -> String {
        format!(
            "source = \"erp-1\"\nfolder = \"in\"\nstate = \"{state}\"\nnats = \"{}\"\npoll_ms = 50\n\
             tick_ms = 200\n{}",
            self.test.server.url(),
            self.mapping
        )
    }

    /// Written to a file; its path.
    fn config_file(&self, state: &str) -> PathBuf {
        let path = self.test.folder.path().join(format!("{state}.toml"));
        std::fs::write(&path, self.config_text(state)).unwrap();
        path
    }

    async fn load(&self) -> Summary {
        self.load_with("state.redb").await
    }

    async fn load_with(&self, state: &str) -> Summary {
        let config = FilesConfig::load(&self.config_file(state)).unwrap();
        load_once(config, |_| {}).await.unwrap()
    }

    async fn fold(&self) -> Folded {
        let (dictionary, board) = (Arc::new(Dictionary::default()), Arc::new(Board::default()));
        let incarnation = self.streams.incarnation.clone();
        let mut ledger = Ledger::new(dictionary.clone(), board.clone(), incarnation.clone());
        let mut catalog = Catalog::new(dictionary, board, incarnation);
        let mut effects = Vec::new();
        self.each(&self.streams.ledger, |entry| effects.extend(ledger.apply(entry))).await;
        self.each(&self.streams.catalog, |entry| effects.extend(catalog.apply(entry))).await;
        Folded { ledger: ledger.reader().load(), catalog: catalog.reader().load(), effects }
    }

    /// Every message of a stream.
    async fn each(&self, stream: &str, mut take: impl FnMut(&Entry<'_>)) {
        let last = stored::stream_info(&self.test.broker, stream).await.unwrap().last;
        for sequence in 1..=last.0 {
            let sequence = StreamSequence(sequence);
            let message = stored::message_at(&self.test.broker, stream, sequence).await.unwrap().unwrap();
            take(&Entry {
                subject: self.streams.prefix.strip(&message.subject).unwrap(),
                stream_sequence: message.stream_sequence,
                stream_time: message.stream_time,
                encoding: Some(Encoding::MessagePack),
                payload: &message.payload,
            });
        }
    }

    /// The texts of the review stream.
    async fn reviews(&self) -> Vec<serde_json::Value> {
        let info = stored::stream_info(&self.test.broker, &self.streams.review).await.unwrap();
        let mut reviews = Vec::new();
        for sequence in 1..=info.last.0 {
            let found =
                stored::message_at(&self.test.broker, &self.streams.review, StreamSequence(sequence)).await;
            let message = found.unwrap().unwrap();
            reviews.push(serde_json::from_slice(&message.payload).unwrap());
        }
        reviews
    }
}

impl Folded {
    fn stock(&self) -> &StockRows {
        &self.ledger.chains[0].rows
    }

    fn state_of(&self, subject: &Subject) -> ChainState {
        let status = match subject {
            Subject::Catalog(partition, _) => &self.catalog.chains(*partition)[0].status,
            Subject::Stock(_) | Subject::Order(_) | Subject::Event(_) | Subject::Control => {
                &self.ledger.chains[0].status
            }
        };
        ChainState::clone(&status.load())
    }

    fn shared(&self) -> &CatalogRows {
        &self.catalog.chains.shared[0].rows
    }

    fn family(&self, partition: Partition) -> Option<&CatalogRows> {
        self.catalog.chains(partition).first().map(|chain| &*chain.rows)
    }
}

/// The digest of exactly these stock rows.
fn stock_digest(changes: &[Change]) -> u128 {
    let rows = StockRows::new(Arc::new(Dictionary::default()));
    digest(&rows, changes)
}

/// The digest of exactly these catalog rows.
fn catalog_digest(changes: &[Change]) -> u128 {
    let rows = CatalogRows::new(Arc::new(Dictionary::default()));
    digest(&rows, changes)
}

fn digest(rows: &impl Rows, changes: &[Change]) -> u128 {
    let version = RowVersion::new(0, 1);
    let stated: Vec<_> = changes.iter().map(|change| Stated { change, version }).collect();
    assert_eq!(rows.apply(&stated), []);
    rows.digest()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.metadata().unwrap().is_file());
    let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A change from its JSON.
fn change(json: serde_json::Value) -> Change {
    serde_json::from_value(json).unwrap()
}
