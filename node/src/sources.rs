//! How old what each source says is: what operators alarm on before baskets go stale.
//!
//! Ages grow without anything happening, so they are computed when `/metrics` is read, not when a tick comes.

use std::collections::BTreeMap;

use pannier_core::freshness::Board;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Partition, SourceId, Timestamp};

use crate::metrics::{Metrics, OfSource};

/// The chains of one source that carry the same kind of rows.
#[derive(Debug, Default)]
struct Part {
    /// Of the chain that was read to its end the longest ago; `None`: none ever was.
    oldest: Option<Timestamp>,
    silent: i64,
    suspect: i64,
}

/// Sets the gauges of every source to what holds at `now`, in the broker's time.
pub(crate) fn show(board: &Board, now: Timestamp, metrics: &Metrics) {
    let mut parts: BTreeMap<(SourceId, &'static str), Part> = BTreeMap::new();
    for (subject, state) in board.states() {
        let (Some(source), Some(name)) = (subject.source(), part(&subject)) else { continue };
        let part = parts.entry((source.clone(), name)).or_default();
        part.suspect += i64::from(state.suspect);
        match state.caught_up_to {
            Some(at) => part.oldest = Some(part.oldest.map_or(at, |oldest| oldest.min(at))),
            None => part.silent += 1,
        }
    }
    for ((source, part), of) in parts {
        let label = OfSource { source: source.to_string(), part };
        if let Some(oldest) = of.oldest {
            let millis = now.millis().saturating_sub(oldest.millis()).max(0);
            metrics.source_age.get_or_create(&label).set(millis as f64 / 1_000.0);
        }
        metrics.source_silent.get_or_create(&label).set(of.silent);
        metrics.source_suspect.get_or_create(&label).set(of.suspect);
    }
}

/// The label of a subject's rows; operators' entries and orders have no age.
fn part(subject: &Subject) -> Option<&'static str> {
    match subject {
        Subject::Stock(_) => Some("stock"),
        Subject::Catalog(Partition::Shared, _) => Some("shared"),
        Subject::Catalog(Partition::Family(_), _) => Some("families"),
        Subject::Order(_) | Subject::Event(_) | Subject::Control => None,
    }
}

#[cfg(test)]
mod tests {
    use pannier_protocol::change::{ChainPoint, Tick};
    use pannier_protocol::{Epoch, Incarnation, SourceSequence, StreamSequence};

    use super::*;

    #[test]
    fn a_source_is_as_old_as_its_oldest_chain() {
        let (board, metrics) = (Board::default(), Metrics::new());
        let (source, incarnation) = (SourceId::new("erp-1").unwrap(), Incarnation::new("7f3a").unwrap());
        let mut chains = Vec::new();
        for (name, seconds, suspect) in [
            ("ledger.stock.erp-1", Some(98), false),
            ("catalog.shared.erp-1", None, true),
            ("catalog.04.erp-1", Some(70), false),
            ("catalog.05.erp-1", Some(95), true),
            ("catalog.06.erp-1", None, false),
        ] {
            let subject = Subject::parse(name).unwrap();
            let chain = board.chain(&subject).unwrap();
            chain.update(|state| {
                (state.epoch, state.sequence) = (StreamSequence(1), SourceSequence(1));
                state.suspect = suspect;
            });
            chains.push(chain);
            if let Some(seconds) = seconds {
                let epoch = Epoch { incarnation: incarnation.clone(), claim: StreamSequence(1) };
                let point = ChainPoint { subject, epoch, sequence: SourceSequence(1) };
                let caught_up_to = Timestamp::from_millis(seconds * 1_000);
                board.tick(&source, &incarnation, &Tick { caught_up_to, subjects: vec![point] });
            }
        }
        show(&board, Timestamp::from_millis(100_500), &metrics);
        let page = metrics.render();
        let shown: Vec<&str> = page.lines().filter(|line| line.starts_with("pannier_source_")).collect();
        for (want, there) in [
            (r#"pannier_source_age_seconds{source="erp-1",part="stock"} 2.5"#, true),
            (r#"pannier_source_age_seconds{source="erp-1",part="families"} 30.5"#, true),
            (r#"pannier_source_age_seconds{source="erp-1",part="shared"}"#, false),
            (r#"pannier_source_silent_count{source="erp-1",part="shared"} 1"#, true),
            (r#"pannier_source_silent_count{source="erp-1",part="families"} 1"#, true),
            (r#"pannier_source_suspect_count{source="erp-1",part="families"} 1"#, true),
            (r#"pannier_source_suspect_count{source="erp-1",part="stock"} 0"#, true),
        ] {
            assert_eq!(shown.iter().any(|line| line.starts_with(want)), there, "{want} in {shown:#?}");
        }
    }
}
