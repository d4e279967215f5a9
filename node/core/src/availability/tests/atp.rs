//! ATP of one position, and the plan against a simulation day by day.

use expect_test::expect;
use pannier_protocol::change::SourcingMode;
use proptest::prelude::*;

use crate::sourcing::{Ladder, Position, Taken, Taking, plan};

use super::{World, cell, item, supply};
use crate::dictionary::{ItemNo, WarehouseNo};
use crate::quantity::Exact;
use pannier_protocol::Decimal;

const SCALE: i128 = Decimal::SCALE as i128;

fn pieces(amount: i128) -> i128 {
    amount.div_euclid(SCALE)
}

fn position(shelf: i128, moves: &[(i32, i128)]) -> Position {
    let moves = moves.iter().map(|(day, amount)| (*day, amount * SCALE)).collect();
    Position { shelf: shelf * SCALE, moves, losses: Vec::new() }
}

/// semantics 2.3, the golden case.
#[test]
fn atp_is_the_least_that_is_projected_from_then_on() {
    let position = position(20, &[(1, -3), (3, 10), (4, -15), (5, 1), (6, 3)]);
    let atp = position.atp(None, false).unwrap();
    let by_day: Vec<_> = (1..=7).map(|day| pieces(atp.at(day))).collect();
    assert_eq!(by_day, [12, 12, 12, 12, 13, 16, 16]);
    assert_eq!(pieces(atp.now), 12);
}

/// The same through rows and a lookup.
#[test]
fn the_golden_case_is_what_a_line_is_told() {
    let world = World::new(&[item("A", "")]).stock(
        "wms",
        &[
            cell("A", "DAL", "20", ""),
            supply("A", "DAL", "SO-1", 1, "-3"),
            supply("A", "DAL", "PO-1", 3, "10"),
            supply("A", "DAL", "SO-2", 4, "-15"),
            supply("A", "DAL", "PO-2", 5, "1"),
            supply("A", "DAL", "PO-3", 6, "3"),
        ],
    );
    world.policy(r#"{"sourcing":{"mode":"split","horizon_days":7,"past_due":"ignore"}}"#).check(
        &["A 17"],
        &expect![[r#"
            A 17: partial 12 (DAL 12), never whole: 2026-11-23 DAL 12, 2026-11-28 DAL 1, 2026-11-29 DAL 3
        "#]],
    );
}

const HORIZON: usize = 8;

/// Projected by day, the plain way.
fn projected(shelf: i128, moves: &[(i32, i128)]) -> [i128; HORIZON] {
    std::array::from_fn(|day| {
        let until = moves.iter().filter(|(on, _)| *on as usize <= day);
        shelf + until.map(|(_, amount)| amount).sum::<i128>()
    })
}

fn naive_atp(projected: &[i128]) -> Vec<i128> {
    (0..projected.len()).map(|day| *projected[day..].iter().min().unwrap()).collect()
}

type Stock = (i128, Vec<(i32, i128)>);

fn stocks() -> impl Strategy<Value = Stock> {
    (-5..30_i128, proptest::collection::vec((0..HORIZON as i32, -12..12_i128), 0..6))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn atp_is_what_a_simulation_day_by_day_finds((shelf, moves) in stocks()) {
        let want = naive_atp(&projected(shelf, &moves));
        let atp = position(shelf, &moves).atp(None, false).unwrap();
        let got: Vec<_> = (0..HORIZON as i32).map(|day| pieces(atp.at(day))).collect();
        prop_assert_eq!(&got, &want);
        prop_assert_eq!(pieces(atp.now), shelf.min(want[0]));
        prop_assert!(got.is_sorted());
    }

    /// Lines in order, in packs of `pack`: no line takes what a demand or an earlier line needs, what is told
    /// to be available is what the simulation has, and split takes all there is.
    #[test]
    fn no_line_takes_from_under_another(
        stocks in proptest::collection::vec(stocks(), 1..4),
        lines in proptest::collection::vec((1..20_i64, 0..3_usize), 1..5),
        pack in 1..4_i128,
    ) {
        let modes = [SourcingMode::Split, SourcingMode::Single, SourcingMode::ShipComplete];
        let (factor, item) = (Exact::new(pack, 1).unwrap(), ItemNo(0));
        let mut taken = Taken::default();
        // What the simulation holds: the shelf and what is projected, by warehouse.
        let mut shelves: Vec<i128> = stocks.iter().map(|(shelf, _)| *shelf).collect();
        let mut days: Vec<_> = stocks.iter().map(|(shelf, moves)| projected(*shelf, moves)).collect();
        for (quantity, mode) in lines {
            let ladders: Vec<_> = (0..stocks.len()).map(|at| {
                let warehouse = WarehouseNo(at as u32);
                let position = position(stocks[at].0, &stocks[at].1);
                let atp = position.atp(taken.of(item, warehouse), false).unwrap();
                Ladder::new(warehouse, &[(factor, atp)], Decimal::ONE).unwrap()
            }).collect();
            for (at, ladder) in ladders.iter().enumerate() {
                let atp = naive_atp(&days[at]);
                let want = shelves[at].min(atp[0]).max(0) / pack;
                prop_assert_eq!(ladder.now, Decimal::from_int(want as i64).unwrap());
            }
            let plan = plan(&ladders, Decimal::from_int(quantity).unwrap(), modes[mode]);
            let mut planned = 0;
            for shipment in &plan.shipments {
                let units = shipment.quantity.micros() / Decimal::SCALE;
                planned += units;
                let base = i128::from(units) * pack;
                let quantity = Exact::new(base, 1).unwrap();
                taken.add(&Taking { item, warehouse: WarehouseNo(shipment.at as u32), day: shipment.day, quantity });
                if shipment.day.is_none() {
                    shelves[shipment.at] -= base;
                    prop_assert!(shelves[shipment.at] >= 0);
                }
                let from = shipment.day.unwrap_or(0) as usize;
                let before = days[shipment.at];
                days[shipment.at][from..].iter_mut().for_each(|amount| *amount -= base);
                // Nothing falls below 0 that was not there already.
                for (after, before) in days[shipment.at].iter().zip(before) {
                    prop_assert!(*after >= before.min(0), "{plan:?}");
                }
            }
            prop_assert_eq!(planned == quantity, plan.full_day.is_some());
            prop_assert!(planned <= quantity);
            if modes[mode] == SourcingMode::Split && planned < quantity {
                let left = days.iter().map(|days| naive_atp(days)[HORIZON - 1].max(0) / pack).sum::<i128>();
                prop_assert_eq!(left, 0, "the line is short and something is left");
            }
            if modes[mode] == SourcingMode::ShipComplete {
                prop_assert!(planned == 0 || planned == quantity);
            }
        }
    }
}

#[test]
fn what_cannot_be_counted_is_not_promised() {
    let world = World::new(&[item("A", r#","uoms":[{"uom":"M","numerator":1,"denominator":30}]"#)]);
    let world = world.stock("wms", &[cell("A", "DAL", "9223372036854", "")]);
    // 30 times as many metres as a decimal holds: shown as the most that it does.
    let promise = world.promise("A 1 M", super::Ask::default());
    assert_eq!(promise.availability.available, Decimal::MAX);
    assert!(promise.is_in_stock());
}
