//! What every request and every task of a node shares.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use pannier_core::catalog::{Catalog, CatalogReader};
use pannier_core::dictionary::Dictionary;
use pannier_core::freshness::Board;
use pannier_core::gate::GateMode;
use pannier_core::ledger::{Ledger, LedgerReader};
use pannier_core::live::LiveAnswer;
use pannier_core::lookup::{Caller, Lookup, LookupRefusal, Promised};
use pannier_protocol::api::LookupRequest;
use pannier_protocol::{Incarnation, Timestamp};
use tokio::sync::Semaphore;

use crate::asking::Asker;
use crate::checkpoint::{Giver, Standing};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::feed::Leader;
use crate::http::Admission;
use crate::identity::Identity;
use crate::limits::EVENT_STREAMS_MAX;
use crate::members::{Digests, Members};
use crate::metrics::Metrics;
use crate::openapi;
use crate::orders::Committer;
use crate::orders::operators::OperatorDesk;
use crate::price_holds::PriceHolds;
use crate::progress::Progress;

pub(crate) struct App {
    pub(crate) config: Config,
    /// [`GateMode::On`] but in measurements.
    pub(crate) gate: GateMode,
    /// Every caller's, as long as nobody is authenticated.
    pub(crate) anyone: Identity,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) progress: Progress,
    pub(crate) checkpoints: Standing,
    /// For nodes that start.
    pub(crate) giver: Giver,
    pub(crate) admission: Admission,
    /// A permit a stream of order events.
    pub(crate) event_streams: Arc<Semaphore>,
    /// Of the tables, for other nodes to compare with theirs.
    pub(crate) digests: Digests,
    pub(crate) members: Members,
    /// Where this node is reached.
    pub(crate) addresses: OnceLock<Addresses>,
    /// Without keys there are none.
    pub(crate) price_holds: Option<PriceHolds>,
    /// Rendered once.
    pub(crate) openapi: Bytes,
    pub(crate) operator_openapi: Bytes,
    /// Set once the streams are checked, before the state leaves `starting`.
    pub(crate) tables: OnceLock<Tables>,
    /// Set with the tables.
    pub(crate) leader: OnceLock<Leader>,
    /// Set with the tables.
    pub(crate) asker: OnceLock<Asker>,
    /// Set with the tables.
    pub(crate) committer: Arc<OnceLock<Committer>>,
    /// Set with the tables.
    pub(crate) operators: OnceLock<OperatorDesk>,
}

/// Where this node listens, also where the configuration said port 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    /// Of checkout.
    pub(crate) http: SocketAddr,
    pub(crate) operator: SocketAddr,
    pub(crate) quic: Option<SocketAddr>,
}

/// What lookups read.
pub(crate) struct Tables {
    pub(crate) incarnation: Incarnation,
    pub(crate) dictionary: Arc<Dictionary>,
    /// The state of every chain, also of those that carry no rows yet.
    pub(crate) board: Arc<Board>,
    pub(crate) ledger: LedgerReader,
    pub(crate) catalog: CatalogReader,
}

impl App {
    /// Reads the secrets that the configuration names.
    pub(crate) fn new(config: Config, gate: GateMode) -> Result<Self, ConfigError> {
        Ok(Self {
            gate,
            anyone: Identity::anyone(config.http.anyone_scopes.clone()),
            clock: Clock::default(),
            metrics: Metrics::new(),
            progress: Progress::default(),
            checkpoints: Standing::default(),
            giver: Giver::default(),
            admission: Admission::new(&config.lookup),
            event_streams: Arc::new(Semaphore::new(EVENT_STREAMS_MAX)),
            digests: Digests::default(),
            members: Members::default(),
            addresses: OnceLock::new(),
            openapi: openapi::document(),
            operator_openapi: openapi::operator::document(),
            tables: OnceLock::new(),
            leader: OnceLock::new(),
            asker: OnceLock::new(),
            committer: Arc::default(),
            operators: OnceLock::new(),
            price_holds: PriceHolds::load(&config.price_holds)?,
            config,
        })
    }
}

impl App {
    /// The rule version that the fold follows; 0 before its first entry.
    pub(crate) fn rules(&self) -> u32 {
        u32::try_from(self.metrics.rules.get()).unwrap_or(0)
    }
}

impl Tables {
    /// Of folds that share `dictionary` and `board`.
    pub(crate) fn of(
        dictionary: Arc<Dictionary>,
        board: Arc<Board>,
        ledger: &Ledger,
        catalog: &Catalog,
    ) -> Self {
        let (ledger, catalog) = (ledger.reader(), catalog.reader());
        Self { incarnation: ledger.incarnation().clone(), dictionary, board, ledger, catalog }
    }

    /// Tables of a node before its first entry.
    pub(crate) fn build(incarnation: Incarnation, gate: GateMode) -> (Self, Ledger, Catalog) {
        let (dictionary, board) = (Arc::<Dictionary>::default(), Arc::<Board>::default());
        let ledger =
            Ledger::with_gate(Arc::clone(&dictionary), Arc::clone(&board), incarnation.clone(), gate);
        let catalog = Catalog::with_gate(Arc::clone(&dictionary), Arc::clone(&board), incarnation, gate);
        (Self::of(dictionary, board, &ledger, &catalog), ledger, catalog)
    }

    /// With what comes up beside the answer; `live`: what sources said when they were asked.
    pub(crate) fn promise(
        &self,
        request: &LookupRequest,
        now: Timestamp,
        caller: Caller,
        live: &[Arc<LiveAnswer>],
    ) -> Result<Promised, LookupRefusal> {
        let Self { dictionary, ledger, catalog, .. } = self;
        Lookup { ledger, catalog, dictionary }.promise(request, now, caller, live)
    }
}
