//! Ticks, ages and condemnations, told in milliseconds.

use std::sync::Arc;

use expect_test::{Expect, expect};
use pannier_protocol::change::{ChainPoint, Invalidate, InvalidateMode, InvalidateScope, Tick};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Epoch, Incarnation, SourceId, SourceSequence, StreamSequence, Timestamp};

use super::*;
use crate::limits::{INVALIDATIONS_MAX, TICKS_PENDING_MAX};
use crate::rows::RowVersion;

fn incarnation() -> Incarnation {
    Incarnation::new("7f3a").unwrap()
}

fn chain(board: &Board, subject: &str) -> Arc<ChainStatus> {
    board.chain(&Subject::parse(subject).unwrap()).unwrap()
}

fn point(subject: &str, claim: u64, sequence: u64) -> ChainPoint {
    let epoch = Epoch { incarnation: incarnation(), claim: StreamSequence(claim) };
    ChainPoint { subject: Subject::parse(subject).unwrap(), epoch, sequence: SourceSequence(sequence) }
}

fn tick(board: &Board, millis: i64, points: Vec<ChainPoint>) {
    let tick = Tick { caught_up_to: Timestamp::from_millis(millis), subjects: points };
    board.tick(&SourceId::new("wms").unwrap(), &incarnation(), &tick);
}

fn applied(status: &ChainStatus, epoch: u64, sequence: u64) {
    status.update(|state| {
        (state.epoch, state.sequence) = (StreamSequence(epoch), SourceSequence(sequence));
        state.loaded = true;
    });
}

fn caught_up_to(status: &ChainStatus) -> Option<i64> {
    status.load().caught_up_to.map(Timestamp::millis)
}

const STOCK: &str = "ledger.stock.wms";

#[test]
fn a_tick_waits_until_its_chain_is_there() {
    let board = Board::default();
    let status = chain(&board, STOCK);
    tick(&board, 100, vec![point(STOCK, 7, 3)]);
    applied(&status, 5, 9);
    assert_eq!(caught_up_to(&status), None, "of an epoch that has not begun");
    applied(&status, 7, 2);
    assert_eq!(caught_up_to(&status), None, "of a message that has not come");
    tick(&board, 90, vec![point(STOCK, 7, 1)]);
    assert_eq!(caught_up_to(&status), Some(90));
    applied(&status, 7, 3);
    assert_eq!(caught_up_to(&status), Some(100));
    tick(&board, 80, vec![point(STOCK, 7, 3)]);
    tick(&board, 900, vec![point(STOCK, 5, 1)]);
    assert_eq!(caught_up_to(&status), Some(100), "it never falls, and a lower epoch says nothing");
}

#[test]
fn a_source_speaks_for_its_own_chains_of_this_incarnation() {
    let board = Board::default();
    let (other, own) = (chain(&board, "catalog.shared.erp"), chain(&board, "catalog.shared.wms"));
    applied(&other, 7, 3);
    applied(&own, 7, 3);
    let mut foreign = point("catalog.shared.wms", 7, 3);
    foreign.epoch.incarnation = Incarnation::new("0000").unwrap();
    tick(&board, 100, vec![point("catalog.shared.erp", 7, 3), foreign]);
    assert_eq!((caught_up_to(&other), caught_up_to(&own)), (None, None));
}

#[test]
fn the_newest_ticks_wait_and_a_renewed_status_inherits_them() {
    let board = Board::default();
    let old = chain(&board, STOCK);
    for at in 1..=TICKS_PENDING_MAX as u64 + 1 {
        tick(&board, at as i64, vec![point(STOCK, 7, at)]);
    }
    let new = board.renew(&old, |state| state.suspect = false);
    applied(&new, 7, 1);
    assert_eq!(caught_up_to(&new), None, "the oldest made room");
    applied(&new, 7, 2);
    assert_eq!((caught_up_to(&new), caught_up_to(&old)), (Some(2), None));
    tick(&board, 50, vec![point(STOCK, 7, 2)]);
    assert_eq!(
        (caught_up_to(&new), caught_up_to(&old)),
        (Some(50), None),
        "who holds the old rows sees them age"
    );
}

fn check_standing(budget_ms: Option<u64>, expected: Expect) {
    let board = Board::default();
    let chains = ["ledger.stock.fresh", "ledger.stock.old", "ledger.stock.silent", "ledger.stock.suspect"];
    let [fresh, old, silent, suspect] = chains.map(|subject| chain(&board, subject));
    for (status, at) in [(&fresh, Some(990)), (&old, Some(400)), (&silent, None), (&suspect, Some(990))] {
        applied(status, 1, 1);
        status.update(|state| state.caught_up_to = at.map(Timestamp::from_millis));
    }
    suspect.update(|state| state.suspect = true);
    let unloaded = chain(&board, "ledger.stock.unloaded");
    let mut told = String::new();
    for (name, of) in [
        ("none", vec![]),
        ("fresh", vec![&fresh]),
        ("fresh+old", vec![&fresh, &old, &fresh]),
        ("old+silent", vec![&old, &silent]),
        ("suspect+old", vec![&suspect, &old]),
        ("fresh+unloaded", vec![&fresh, &unloaded]),
    ] {
        let mut consulted = Consulted::default();
        of.iter().for_each(|status| consulted.note(status));
        let standing = consulted.standing(Timestamp::from_millis(1_000), budget_ms);
        let (state, age) = (standing.freshness.state, standing.freshness.age_ms);
        let loaded = if standing.not_loaded { "not loaded" } else { "" };
        told += format!("{name:<15}{state:?} {age:?} {loaded}").trim_end();
        told += "\n";
    }
    expected.assert_eq(&told);
}

#[test]
fn the_worst_chain_and_the_greatest_age_count() {
    check_standing(
        Some(100),
        expect![[r#"
        none           Fresh Some(0)
        fresh          Fresh Some(10)
        fresh+old      Stale Some(600)
        old+silent     Stale None
        suspect+old    Suspect Some(600)
        fresh+unloaded Stale None not loaded
    "#]],
    );
    check_standing(
        None,
        expect![[r#"
            none           Fresh Some(0)
            fresh          Fresh Some(10)
            fresh+old      Fresh Some(600)
            old+silent     Stale None
            suspect+old    Suspect Some(600)
            fresh+unloaded Stale None not loaded
        "#]],
    );
}

#[test]
fn condemned_rows_outrank_suspect_chains() {
    let mut consulted = Consulted::default();
    consulted.note_invalidated(InvalidateMode::Hard);
    consulted.note_invalidated(InvalidateMode::Soft);
    let mut all = Consulted::default();
    all.merge(&consulted);
    let standing = all.standing(Timestamp::from_millis(0), None);
    assert_eq!(standing.invalidated, Some(InvalidateMode::Hard));
    assert_eq!(standing.freshness.state, pannier_protocol::api::FreshnessState::Invalidated);
}

fn invalidate(board: &Board, scope: InvalidateScope, mode: InvalidateMode, up_to: ChainPoint) {
    board.invalidate(&incarnation(), &Invalidate { scope, mode, up_to: vec![up_to] });
}

#[test]
fn a_row_is_condemned_up_to_a_point_of_its_chain_whichever_came_first() {
    let board = Board::default();
    let item = || InvalidateScope::Item("A".parse().unwrap());
    invalidate(&board, item(), InvalidateMode::Soft, point(STOCK, 20, 5));
    let status = chain(&board, STOCK);
    status.update(|state| state.epochs = Arc::new([10, 20].map(StreamSequence).to_vec()));
    let condemned = |status: &ChainStatus, epoch, sequence, item: &'static str| {
        let facts = || RowFacts { item: Some(item), warehouse: Some("DAL"), ..RowFacts::default() };
        status.condemns(RowVersion::new(epoch, sequence), facts)
    };
    let soft = Some(InvalidateMode::Soft);
    assert_eq!(condemned(&status, 0, 900, "A"), soft, "of an epoch before");
    assert_eq!(condemned(&status, 1, 5, "A"), soft);
    assert_eq!(condemned(&status, 1, 6, "A"), None);
    assert_eq!(condemned(&status, 1, 5, "B"), None);
    invalidate(
        &board,
        InvalidateScope::Warehouse("DAL".parse().unwrap()),
        InvalidateMode::Hard,
        point(STOCK, 10, 8),
    );
    assert_eq!(condemned(&status, 0, 8, "B"), Some(InvalidateMode::Hard));
    assert_eq!(condemned(&status, 0, 8, "A"), Some(InvalidateMode::Hard), "the harder of two");
    assert_eq!(condemned(&chain(&board, "ledger.stock.erp"), 0, 8, "A"), None, "of another chain");
}

#[test]
fn too_many_condemnations_widen_to_the_whole_chain() {
    let board = Board::default();
    for at in 0..=INVALIDATIONS_MAX as u64 {
        let item = InvalidateScope::Item(format!("I{at}").parse().unwrap());
        invalidate(&board, item, InvalidateMode::Soft, point(STOCK, 1, at + 1));
    }
    let condemned = chain(&board, STOCK).load().condemned.clone();
    assert!(condemned.len() <= INVALIDATIONS_MAX);
    let whole = condemned.iter().find(|condemned| condemned.scope == InvalidateScope::All).unwrap();
    assert_eq!(
        whole.up_to,
        (StreamSequence(1), SourceSequence(2)),
        "the first two, up to the later of their points"
    );
}
