//! What every request and every task of a node shares.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use pannier_core::catalog::{Catalog, CatalogReader};
use pannier_core::dictionary::Dictionary;
use pannier_core::freshness::Board;
use pannier_core::gate::GateMode;
use pannier_core::ledger::{Ledger, LedgerReader};
use pannier_core::lookup::{Caller, Lookup, LookupRefusal};
use pannier_protocol::api::{LookupAnswer, LookupRequest};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Incarnation, Timestamp};

use crate::clock::Clock;
use crate::config::Config;
use crate::feed::Leader;
use crate::http::Admission;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::openapi;
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
    pub(crate) admission: Admission,
    /// Rendered once.
    pub(crate) openapi: Bytes,
    /// Set once the streams are checked, before the state leaves `starting`.
    pub(crate) tables: OnceLock<Tables>,
    /// Set with the tables.
    pub(crate) leader: OnceLock<Leader>,
}

/// What lookups read.
pub(crate) struct Tables {
    pub(crate) incarnation: Incarnation,
    pub(crate) dictionary: Arc<Dictionary>,
    pub(crate) ledger: LedgerReader,
    pub(crate) catalog: CatalogReader,
}

impl App {
    pub(crate) fn new(config: Config, gate: GateMode) -> Self {
        Self {
            gate,
            anyone: Identity::anyone(config.http.anyone_scopes.clone()),
            clock: Clock::default(),
            metrics: Metrics::new(),
            progress: Progress::default(),
            admission: Admission::new(&config.lookup),
            openapi: openapi::document(),
            tables: OnceLock::new(),
            leader: OnceLock::new(),
            config,
        }
    }
}

impl Tables {
    /// Tables of a node before its first entry.
    pub(crate) fn build(incarnation: Incarnation, gate: GateMode) -> (Self, Ledger, Catalog) {
        let (dictionary, board) = (Arc::<Dictionary>::default(), Arc::<Board>::default());
        let ledger =
            Ledger::with_gate(Arc::clone(&dictionary), Arc::clone(&board), incarnation.clone(), gate);
        let catalog = Catalog::with_gate(Arc::clone(&dictionary), board, incarnation.clone(), gate);
        let tables = Self { incarnation, dictionary, ledger: ledger.reader(), catalog: catalog.reader() };
        (tables, ledger, catalog)
    }

    /// Chains that a snapshot of their source would heal, each once.
    pub(crate) fn suspects(&self) -> BTreeSet<Subject> {
        let (ledger, catalog) = (self.ledger.load(), self.catalog.load());
        let stock = ledger.chains.iter().map(|chain| &chain.status);
        let catalog = catalog.shared.iter().chain(catalog.families.iter().flatten());
        let all = stock.chain(catalog.map(|chain| &chain.status));
        all.filter(|status| status.load().suspect).map(|status| status.subject().clone()).collect()
    }

    pub(crate) fn answer(
        &self,
        request: &LookupRequest,
        now: Timestamp,
        caller: Caller,
    ) -> Result<LookupAnswer, LookupRefusal> {
        let Self { dictionary, ledger, catalog, .. } = self;
        Lookup { ledger, catalog, dictionary }.answer(request, now, caller)
    }
}
