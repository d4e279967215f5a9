//! Every metric name of the node: `pannier_<noun>_<unit>[_total]`. Labels come from closed sets (an enum of
//! ours, the route table, the two streams), never from a request: no item and no account is one.

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// What Prometheus is told that `/metrics` speaks.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfRequest {
    /// The path as documented, as in `/v1/price-availability/{item}`; `none` for a path that is none.
    pub(crate) route: &'static str,
    /// `ok`, or the code of the problem.
    pub(crate) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfStream {
    /// `ledger` or `catalog`.
    pub(crate) stream: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfReason {
    pub(crate) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfStatus {
    pub(crate) status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfEffect {
    /// `review` or `resync`.
    pub(crate) effect: &'static str,
    /// `published`, `known` (another node was first), `limited` or `failed`.
    pub(crate) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfOutcome {
    pub(crate) outcome: &'static str,
}

/// The label is configuration, not a request's: a source is a system of the tenant, and chains are bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfSource {
    pub(crate) source: String,
    /// `stock`, `shared` (items, accounts, lists, policies) or `families` (their own prices).
    pub(crate) part: &'static str,
}

/// Handles on all metrics; counting is an atomic addition.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) http_requests: Family<OfRequest, Counter>,
    pub(crate) http_connections: Gauge,
    pub(crate) quic_connections: Gauge,
    pub(crate) quic_refused: Family<OfReason, Counter>,
    pub(crate) event_streams: Gauge,
    pub(crate) lookup_duration: Histogram,
    pub(crate) lookup_lines: Family<OfStatus, Counter>,
    pub(crate) lookups_in_flight: Gauge,
    pub(crate) at_least_waiting: Gauge,
    pub(crate) ask_questions: Family<OfOutcome, Counter>,
    pub(crate) ask_joined: Counter,
    pub(crate) ask_waiting: Gauge,
    pub(crate) ask_duration: Histogram,
    pub(crate) entries_applied: Family<OfStream, Counter>,
    pub(crate) entries_dropped: Family<OfReason, Counter>,
    pub(crate) effects: Family<OfEffect, Counter>,
    pub(crate) consumer_restarts: Family<OfStream, Counter>,
    pub(crate) chains_suspect: Gauge,
    pub(crate) source_age: Family<OfSource, Gauge<f64, AtomicU64>>,
    pub(crate) source_silent: Family<OfSource, Gauge>,
    pub(crate) source_suspect: Family<OfSource, Gauge>,
    pub(crate) stamps_apart: Gauge,
    pub(crate) control_missing: Gauge,
    pub(crate) applied_position: Family<OfStream, Gauge>,
    pub(crate) end_position: Family<OfStream, Gauge>,
    pub(crate) rules: Gauge,
    pub(crate) members_heard: Gauge,
    pub(crate) members_disagree: Gauge,
    pub(crate) members_ahead: Gauge,
    pub(crate) ready: Gauge,
    pub(crate) broker_connected: Gauge,
    pub(crate) ledger_lag: Gauge<f64, AtomicU64>,
    pub(crate) clock_offset: Gauge,
    pub(crate) checkpoints_written: Counter,
    pub(crate) checkpoints_failed: Family<OfReason, Counter>,
    pub(crate) checkpoints_refused: Family<OfReason, Counter>,
    pub(crate) peers_fed: Family<OfOutcome, Counter>,
    pub(crate) checkpoints_shared: Family<OfOutcome, Counter>,
    pub(crate) checkpoint_rows: Gauge,
    pub(crate) checkpoint_size: Gauge,
    pub(crate) checkpoint_write: Gauge<f64, AtomicU64>,
    pub(crate) checkpoint_pause: Gauge<f64, AtomicU64>,
    pub(crate) checkpoint_age: Gauge<f64, AtomicU64>,
    pub(crate) checkpoint_confirmed_age: Gauge<f64, AtomicU64>,
    /// 1 past a third of the ledger's age, 2 past two thirds.
    pub(crate) checkpoint_overdue: Gauge,
    pub(crate) checkpoint_position: Family<OfStream, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("pannier"),
            http_requests: Family::default(),
            http_connections: Gauge::default(),
            quic_connections: Gauge::default(),
            quic_refused: Family::default(),
            event_streams: Gauge::default(),
            // 20 us to 40 ms: a lookup in memory, up to 500 lines of it.
            lookup_duration: Histogram::new(exponential_buckets(0.000_02, 2.0, 12)),
            lookup_lines: Family::default(),
            lookups_in_flight: Gauge::default(),
            at_least_waiting: Gauge::default(),
            ask_questions: Family::default(),
            ask_joined: Counter::default(),
            ask_waiting: Gauge::default(),
            // 1 ms to 8 s.
            ask_duration: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            entries_applied: Family::default(),
            entries_dropped: Family::default(),
            effects: Family::default(),
            consumer_restarts: Family::default(),
            chains_suspect: Gauge::default(),
            source_age: Family::default(),
            source_silent: Family::default(),
            source_suspect: Family::default(),
            stamps_apart: Gauge::default(),
            control_missing: Gauge::default(),
            applied_position: Family::default(),
            end_position: Family::default(),
            rules: Gauge::default(),
            members_heard: Gauge::default(),
            members_disagree: Gauge::default(),
            members_ahead: Gauge::default(),
            ready: Gauge::default(),
            broker_connected: Gauge::default(),
            ledger_lag: Gauge::default(),
            clock_offset: Gauge::default(),
            checkpoints_written: Counter::default(),
            checkpoints_failed: Family::default(),
            checkpoints_refused: Family::default(),
            peers_fed: Family::default(),
            checkpoints_shared: Family::default(),
            checkpoint_rows: Gauge::default(),
            checkpoint_size: Gauge::default(),
            checkpoint_write: Gauge::default(),
            checkpoint_pause: Gauge::default(),
            checkpoint_age: Gauge::default(),
            checkpoint_confirmed_age: Gauge::default(),
            checkpoint_overdue: Gauge::default(),
            checkpoint_position: Family::default(),
        };
        metrics.registered().with_checkpoints()
    }

    /// Counters get their `_total` from the encoder.
    fn registered(mut self) -> Self {
        let r = &mut self.registry;
        let (requests, lines) = (self.http_requests.clone(), self.lookup_lines.clone());
        r.register("http_requests", "Requests by documented path and outcome", requests);
        r.register("http_connections_count", "Open connections", self.http_connections.clone());
        r.register("quic_connections_count", "Open QUIC connections", self.quic_connections.clone());
        r.register("quic_refused", "Connections and streams without a request", self.quic_refused.clone());
        r.register("event_stream_count", "Open streams of order events", self.event_streams.clone());
        r.register("lookup_duration_seconds", "Answering, without waiting", self.lookup_duration.clone());
        r.register("lookup_lines", "Lines answered, by status", lines);
        r.register("lookup_in_flight_count", "Lookups under way", self.lookups_in_flight.clone());
        r.register("lookup_waiting_count", "Lookups that wait for at_least", self.at_least_waiting.clone());
        r.register(
            "ask_question",
            "Live questions to sources, by what came of them",
            self.ask_questions.clone(),
        );
        r.register("ask_joined", "Lines that waited for a question under way", self.ask_joined.clone());
        r.register("ask_waiting_count", "Lookups that wait for a source", self.ask_waiting.clone());
        r.register("ask_duration_seconds", "From a live question to its end", self.ask_duration.clone());
        r.register("entry_applied", "Entries taken from a stream", self.entries_applied.clone());
        r.register("entry_dropped", "Entries or parts without effect", self.entries_dropped.clone());
        r.register("effect_published", "Review entries and resync requests", self.effects.clone());
        r.register("consumer_restarts", "Consumers made anew", self.consumer_restarts.clone());
        r.register("chain_suspect_count", "Chains that wait for a snapshot", self.chains_suspect.clone());
        r.register("source_age_seconds", "Since the oldest chain was read", self.source_age.clone());
        r.register("source_silent_count", "Chains without a tick", self.source_silent.clone());
        r.register("source_suspect_count", "Its suspect chains", self.source_suspect.clone());
        r.register("stamp_apart_count", "Entries with clocks over 5 s apart", self.stamps_apart.clone());
        r.register("control_missing_count", "Control entries that never came", self.control_missing.clone());
        r.register("stream_applied_position", "Last entry applied", self.applied_position.clone());
        r.register("stream_end_position", "Last entry that the leader has", self.end_position.clone());
        r.register("rule_version_state", "Rules that the fold follows", self.rules.clone());
        r.register("member_count", "Nodes known, this one included", self.members_heard.clone());
        r.register(
            "member_disagree_state",
            "1: another node has other tables",
            self.members_disagree.clone(),
        );
        r.register(
            "member_ahead_state",
            "1: another node has read entries that the ledger has lost",
            self.members_ahead.clone(),
        );
        r.register("node_ready_state", "1: /readyz answers 200", self.ready.clone());
        r.register("broker_connected_state", "1: connected to NATS", self.broker_connected.clone());
        r.register("ledger_lag_seconds", "Since the fold was at the ledger's end", self.ledger_lag.clone());
        r.register("clock_offset_milliseconds", "Broker time less the machine's", self.clock_offset.clone());
        self
    }

    fn with_checkpoints(mut self) -> Self {
        let r = &mut self.registry;
        let (written, failed) = (self.checkpoints_written.clone(), self.checkpoints_failed.clone());
        r.register("checkpoint_written", "Checkpoints written to disk", written);
        r.register("checkpoint_failed", "Checkpoints that could not be written", failed);
        let refused = self.checkpoints_refused.clone();
        r.register("checkpoint_refused", "Checkpoints of no use at start, by reason", refused);
        r.register(
            "checkpoint_given",
            "Starting nodes that asked for this one's state",
            self.peers_fed.clone(),
        );
        let shared = self.checkpoints_shared.clone();
        r.register("checkpoint_shared", "Checkpoints put into the object store", shared);
        r.register("checkpoint_rows_count", "Records of the last one written", self.checkpoint_rows.clone());
        r.register("checkpoint_size_bytes", "Size of the last one written", self.checkpoint_size.clone());
        r.register("checkpoint_write_seconds", "Time to write the last one", self.checkpoint_write.clone());
        r.register(
            "checkpoint_pause_seconds",
            "Nothing was applied meanwhile",
            self.checkpoint_pause.clone(),
        );
        r.register("checkpoint_age_seconds", "Since the newest one's state", self.checkpoint_age.clone());
        r.register(
            "checkpoint_confirmed_age_seconds",
            "Since the newest confirmed one's state, of any node",
            self.checkpoint_confirmed_age.clone(),
        );
        r.register(
            "checkpoint_overdue_state",
            "1: that is over a third of the ledger's age, 2: over two thirds, and no orders are taken",
            self.checkpoint_overdue.clone(),
        );
        r.register("checkpoint_position", "Where the newest one stands", self.checkpoint_position.clone());
        self
    }

    /// The page of `/metrics`.
    pub(crate) fn render(&self) -> String {
        let mut page = String::new();
        if let Err(error) = text::encode(&mut page, &self.registry) {
            // Writing to a string does not fail; a metric that cannot be encoded is a bug to see, not to hide.
            let _ = write!(page, "# {error}");
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_noun_and_a_unit() {
        let metrics = Metrics::new();
        metrics.http_requests.get_or_create(&OfRequest { route: "none", outcome: "ok" }).inc();
        metrics.lookup_lines.get_or_create(&OfStatus { status: "ok" }).inc();
        metrics.entries_dropped.get_or_create(&OfReason { reason: "fork" }).inc();
        for family in [&metrics.checkpoints_failed, &metrics.checkpoints_refused] {
            family.get_or_create(&OfReason { reason: "busy" }).inc();
        }
        metrics.ask_questions.get_or_create(&OfOutcome { outcome: "answered" }).inc();
        metrics.checkpoints_shared.get_or_create(&OfOutcome { outcome: "shared" }).inc();
        metrics.effects.get_or_create(&OfEffect { effect: "review", outcome: "known" }).inc();
        for family in [&metrics.entries_applied, &metrics.consumer_restarts] {
            family.get_or_create(&OfStream { stream: "ledger" }).inc();
        }
        let source = OfSource { source: "erp-1".to_owned(), part: "shared" };
        metrics.source_age.get_or_create(&source).set(1.5);
        metrics.source_silent.get_or_create(&source).set(0);
        metrics.source_suspect.get_or_create(&source).set(0);
        for family in [&metrics.applied_position, &metrics.end_position, &metrics.checkpoint_position] {
            family.get_or_create(&OfStream { stream: "ledger" }).set(1);
        }
        let page = metrics.render();
        assert!(page.ends_with("# EOF\n"));
        let names = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let names: Vec<(&str, &str)> = names.map(|rest| rest.split_once(' ').unwrap()).collect();
        assert_eq!(names.len(), 44);
        let units = ["count", "seconds", "milliseconds", "bytes", "position", "state"];
        for (name, kind) in names {
            assert!(name.starts_with("pannier_"), "{name}");
            let unit = name.rsplit('_').next().unwrap();
            assert!(kind == "counter" || units.contains(&unit), "{name} ends in no unit");
        }
    }
}
