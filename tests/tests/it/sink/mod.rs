//! Orders into a backend that fails in every way, with a real nats-server.

mod down;
mod erp;
mod failures;
mod takeover;
mod whose_fault;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pannier_adapters::runner::sink::{Backend, Sink, SinkConfig, SinkError, SinkLimits, SinkStatus};
use pannier_protocol::codec::{decode_envelope, encode};
use pannier_protocol::order::{Dispatch, DispatchKind, EffectId, OrderEvent, OrderId, OrderRequestFacts};
use pannier_protocol::subject::Prefix;
use pannier_protocol::{
    AccountId, Change, Currency, Decimal, Encoding, IdempotencyKey, SourceId, StreamSequence, Timestamp,
};
use pannier_streams::consumer::{Consumer, Event, Options};
use pannier_streams::{Created, Streams, create};
use pannier_tests::TestBroker;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use erp::{Connection, Erp, Turn};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Limits under which a test does not wait for what people would.
const QUICK: SinkLimits = SinkLimits {
    orders: 2,
    requests_per_second: 1_000,
    requests_burst: 100,
    call_max: Duration::from_secs(1),
    retry_delay_max: Duration::from_millis(300),
    ack_wait: Duration::from_secs(2),
};

/// A broker, a backend, and the ledger's events as they come.
pub(crate) struct Stage {
    pub(crate) test: TestBroker,
    pub(crate) streams: Streams,
    erp: Arc<Erp>,
    events: mpsc::Receiver<Event>,
    seen: Vec<OrderEvent>,
}

/// One process.
pub(crate) struct Process {
    status: watch::Receiver<SinkStatus>,
    stop: CancellationToken,
    run: JoinHandle<Result<(), SinkError>>,
}

pub(crate) fn source() -> SourceId {
    SourceId::new("erp").unwrap()
}

pub(crate) fn order(key: &str) -> OrderId {
    OrderId::derive(&AccountId::new("C-1001").unwrap(), &IdempotencyKey::new(key).unwrap())
}

pub(crate) fn dispatch(key: &str, kind: DispatchKind, generation: u32) -> Dispatch {
    Dispatch {
        effect: EffectId { position: StreamSequence(7), index: 0 },
        kind,
        order: order(key),
        generation,
        backend: source(),
        account: AccountId::new("C-1001").unwrap(),
        accepted_at: Timestamp::from_millis(1_800_000_000_000),
        facts: OrderRequestFacts::default(),
        currency: Currency::new("EUR").unwrap(),
        total: Decimal::ZERO,
        lines: Vec::new(),
        traceparent: None,
    }
}

/// A turn that waits, what tells that it came, and what lets it go on.
fn pause() -> (Turn, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let (came, arrived) = oneshot::channel();
    let (release, go) = oneshot::channel();
    (Turn::Pause { came, go }, arrived, release)
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let (test, streams) = TestBroker::start_with_streams().await;
        let (stream, incarnation) = (streams.ledger.clone(), streams.incarnation.clone());
        let (consumer, events) =
            Consumer::new(test.broker.clone(), Options { stream, incarnation, after: None });
        tokio::spawn(consumer.run());
        Self { test, streams, erp: Arc::default(), events, seen: Vec::new() }
    }

    async fn start(&self, backend: Connection) -> Process {
        self.start_with(backend, QUICK).await
    }

    pub(crate) async fn start_with(&self, backend: impl Backend, limits: SinkLimits) -> Process {
        let nats = self.test.server.url();
        let config =
            SinkConfig { backend: source(), prefix: Prefix::default(), nats, limits, begin_after: None };
        let broker = self.test.connect().await;
        let sink = Sink::open_on(&broker, self.streams.clone(), config, backend).await.unwrap();
        let (status, stop) = (sink.status(), CancellationToken::new());
        let run = tokio::spawn(sink.run(stop.clone()));
        Process { status, stop, run }
    }

    pub(crate) async fn dispatch(&self, dispatch: &Dispatch) {
        let payload = encode(Encoding::MessagePack, dispatch).unwrap();
        let subject = self.streams.prefix.dispatch(&source(), &dispatch.order, dispatch.generation);
        self.publish(&subject, payload).await;
    }

    async fn create(&self, key: &str) {
        self.dispatch(&dispatch(key, DispatchKind::Create, 1)).await;
    }

    async fn publish(&self, subject: &str, payload: Vec<u8>) {
        let (broker, stream) = (&self.test.broker, &self.streams.dispatch);
        let created = create(broker, stream, subject, Encoding::MessagePack, Bytes::from(payload)).await;
        assert!(matches!(created, Created::Stored(_)), "{created:?}");
    }

    /// The next event of an order that the ledger has.
    pub(crate) async fn event(&mut self) -> OrderEvent {
        while self.seen.is_empty() {
            let event = timeout(PATIENCE, self.events.recv()).await.expect("an event in time").unwrap();
            let Event::Batch(batch) = event else { continue };
            for delivery in batch {
                let envelope = decode_envelope(Encoding::MessagePack, &delivery.payload).unwrap();
                let event = |change| if let Change::Event(event) = change { Some(*event) } else { None };
                self.seen.extend(envelope.changes.into_iter().filter_map(event));
            }
        }
        self.seen.remove(0)
    }

    /// The kind of the next event, and whose it is.
    pub(crate) async fn next(&mut self) -> (&'static str, OrderId) {
        let event = self.event().await;
        (event.kind(), *event.order())
    }
}

impl Process {
    pub(crate) async fn until(&mut self, what: &str, reached: impl FnMut(&SinkStatus) -> bool) -> SinkStatus {
        let status = timeout(PATIENCE, self.status.wait_for(reached)).await;
        *status.unwrap_or_else(|_| panic!("{what} in time")).unwrap_or_else(|_| panic!("{what}: it ended"))
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.run).await.expect("it stops in time").unwrap().unwrap();
    }

    /// As the end of a process does: nothing is finished, nothing is said.
    async fn kill(self) {
        self.run.abort();
        assert!(self.run.await.unwrap_err().is_cancelled());
    }

    async fn until_fenced(self) {
        let ended = timeout(PATIENCE, self.run).await.expect("it ends in time").unwrap();
        let message = ended.unwrap_err().to_string();
        assert!(message.contains("another process claimed the backend"), "{message}");
    }
}
