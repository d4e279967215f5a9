//! Which items are offered for another, and how much of them.

use expect_test::{Expect, expect};

use super::super::{Candidate, OfferQuestion, candidates};
use super::{World, account, decimal, item};
use crate::catalog::uoms;

fn relation(kind: &str, to: &str, uom: &str, ratio: (u32, u32)) -> String {
    let (numerator, denominator) = ratio;
    format!(
        r#"{{"relation":"{kind}","item":"{to}","uom":"{uom}","numerator":{numerator},"denominator":{denominator}}}"#
    )
}

fn with(relations: &[String], rest: &str) -> String {
    format!(r#","relations":[{}]{rest}"#, relations.join(","))
}

/// What is offered for a line of item A, by account C where it buys.
#[track_caller]
fn check(items: &[String], line: &str, buyer: Option<&str>, in_stock: bool, want: &Expect) {
    let world = World::new(items);
    let (quantity, unit) = line.split_once(' ').unwrap();
    let a = world.item("A");
    let context = buyer.map(|id| world.account(id));
    let question = OfferQuestion {
        catalog: &world.catalog,
        account: context.as_ref(),
        item: &a,
        unit: uoms::resolve(&a, &world.dictionary, Some(unit), None).unwrap(),
        quantity: decimal(quantity),
        in_stock,
    };
    let show = |offer: Candidate| {
        let unit = world.dictionary.uoms.name(offer.unit.uom);
        format!("{:?} {} {} {unit}\n", offer.relation, offer.item.id, offer.quantity)
    };
    want.assert_eq(&candidates(&question).into_iter().map(show).collect::<String>());
}

const BOX_OF_FOUR: &str = r#","uoms":[{"uom":"BX","numerator":4,"denominator":1,"multiple":"2"}]"#;

#[test]
fn alternatives_are_always_offered_and_the_others_when_short() {
    let relations = [
        relation("alternative", "ALT", "EA", (1, 1)),
        relation("substitute", "SUB", "BX", (1, 3)),
        relation("replacement", "NEW", "EA", (3, 2)),
        relation("alternative", "NONE", "EA", (1, 1)),
        relation("alternative", "ALT", "PALLET", (1, 1)),
    ];
    let items = [
        item("A", &with(&relations, BOX_OF_FOUR)),
        item("ALT", ""),
        item("SUB", BOX_OF_FOUR),
        item("NEW", ""),
    ];
    // 3 boxes of 4: 12 pieces; 4 boxes of the substitute; 18 of the replacement.
    check(
        &items,
        "3 BX",
        None,
        false,
        &expect![[r#"
            Alternative ALT 12 EA
            Substitute SUB 4 BX
            Replacement NEW 18 EA
        "#]],
    );
    // 7 pieces: 2.33 boxes make 3, which the multiple of 2 makes 4; 10.5 pieces make 11.
    check(
        &items,
        "7 EA",
        None,
        false,
        &expect![[r#"
            Alternative ALT 7 EA
            Substitute SUB 4 BX
            Replacement NEW 11 EA
        "#]],
    );
    check(
        &items,
        "7 EA",
        None,
        true,
        &expect![[r#"
            Alternative ALT 7 EA
        "#]],
    );
}

#[test]
fn what_the_account_may_not_buy_is_not_offered() {
    let relations =
        [relation("alternative", "HID", "EA", (1, 1)), relation("replacement", "HID", "EA", (1, 1))];
    let items = [
        item("A", &with(&relations, "")),
        item("HID", &with(&[relation("replacement", "OPEN", "EA", (1, 1))], r#","entitlement":"MED""#)),
        item("OPEN", ""),
        account("C", "[]", r#","entitlements":["MED"]"#),
        account("D", "[]", ""),
    ];
    check(
        &items,
        "1 EA",
        Some("C"),
        false,
        &expect![[r#"
            Alternative HID 1 EA
            Replacement HID 1 EA
        "#]],
    );
    for buyer in [Some("D"), None] {
        check(
            &items,
            "1 EA",
            buyer,
            false,
            &expect![[r#"
                Replacement OPEN 1 EA
            "#]],
        );
    }
}

/// One A is 2 B, a B is half a box of C: 6 A are 12 B are 6 boxes.
#[test]
fn a_discontinued_replacement_hands_on_to_its_own() {
    let gone = r#","status":"discontinued""#;
    let items = [
        item("A", &with(&[relation("replacement", "B", "EA", (2, 1))], gone)),
        item("B", &with(&[relation("replacement", "C", "BX", (1, 2))], gone)),
        item("C", BOX_OF_FOUR),
    ];
    check(
        &items,
        "6 EA",
        None,
        false,
        &expect![[r#"
            Replacement C 6 BX
        "#]],
    );
}

#[test]
fn replacements_that_lead_back_end() {
    let gone = r#","status":"discontinued""#;
    let to = |id: &str| with(&[relation("replacement", id, "EA", (1, 1))], gone);
    check(&[item("A", &to("B")), item("B", &to("A"))], "1 EA", None, false, &expect![""]);
    check(
        &[item("A", &to("B")), item("B", &to("C")), item("C", &to("B"))],
        "1 EA",
        None,
        false,
        &expect![""],
    );
    check(&[item("A", &to("B")), item("B", gone)], "1 EA", None, false, &expect![""]);

    // Nine in a row: one more than are followed.
    let mut chain: Vec<_> = (1..9).map(|at| item(&format!("R{at}"), &to(&format!("R{}", at + 1)))).collect();
    chain.extend([item("A", &to("R1")), item("R9", "")]);
    check(&chain, "1 EA", None, false, &expect![""]);
    chain.push(item("A", &to("R2")));
    check(
        &chain,
        "1 EA",
        None,
        false,
        &expect![[r#"
            Replacement R9 1 EA
        "#]],
    );
}
