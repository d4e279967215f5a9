//! What each kind of trouble does, message by message.

use expect_test::{Expect, expect};

use super::script::{Stream, trace};
use crate::gate::GateMode;

fn check(script: &str, expected: Expect) {
    expected.assert_eq(&trace(script));
}

#[test]
fn duplicates_are_dropped_and_forks_make_suspect() {
    check(
        "claim
         1 @1 A=5
         2 @2 A+1
         2 @2 A+1
         1 @1 A=5
         3 B=7
         2 @2 A+2
         4 A+1
         5 B=8",
        expect![[r#"
            claim                   |                             | not loaded
            1 @1 A=5                |                             | A=5
            2 @2 A+1                |                             | A=6
            2 @2 A+1                | duplicate                   | A=6
            1 @1 A=5                | duplicate                   | A=6
            3 B=7                   |                             | A=6 B=7
            2 @2 A+2                | review:fork fork resync     | suspect A=6 B=7
            4 A+1                   | relative_while_suspect      | suspect A=6 B=7
            5 B=8                   |                             | suspect A=6 B=8
        "#]],
    );
}

#[test]
fn past_a_gap_absolute_changes_apply_until_a_snapshot_ends() {
    check(
        "claim
         1 A=5
         3 B=7
         4 A+1
         4 A+1
         6 A=9
         7 begin:s
         8 part:s A=1 B=1
         9 A+2
         10 part:s C=1
         11 end:s
         12 A+1",
        expect![[r#"
            claim                   |                             | not loaded
            1 A=5                   |                             | A=5
            3 B=7                   | resync                      | suspect A=5 B=7
            4 A+1                   | relative_while_suspect      | suspect A=5 B=7
            4 A+1                   | review:fork fork            | suspect A=5 B=7
            6 A=9                   |                             | suspect A=9 B=7
            7 begin:s               |                             | suspect A=9 B=7
            8 part:s A=1 B=1        |                             | suspect A=9 B=7
            9 A+2                   | relative_while_suspect      | suspect A=9 B=7
            10 part:s C=1           |                             | suspect A=9 B=7
            11 end:s                |                             | swapped A=3 B=1 C=1
            12 A+1                  |                             | A=4 B=1 C=1
        "#]],
    );
}

#[test]
fn a_claim_fences_and_a_new_epoch_begins_with_a_snapshot() {
    check(
        "claim
         1 A=5
         claim
         e1:2 A=6
         1 B=7
         2 B=8
         claim
         1 begin:s
         2 part:s A=6
         e2:3 A=9
         3 end:s
         4 A+1
         e9:5 A=1
         5 other A=1",
        expect![[r#"
            claim                   |                             | not loaded
            1 A=5                   |                             | A=5
            claim                   |                             | suspect A=5
            e1:2 A=6                | fenced                      | suspect A=5
            1 B=7                   | unknown_epoch review:poison resync| suspect A=5
            2 B=8                   | unknown_epoch               | suspect A=5
            claim                   |                             | suspect A=5
            1 begin:s               |                             | suspect A=5
            2 part:s A=6            |                             | suspect A=5
            e2:3 A=9                | fenced                      | suspect A=5
            3 end:s                 |                             | swapped A=6
            4 A+1                   |                             | A=7
            e9:5 A=1                | unknown_epoch review:poison resync| suspect A=7
            5 other A=1             | fenced                      | suspect A=7
        "#]],
    );
}

#[test]
fn a_chain_never_seen_starts_without_a_snapshot_or_with_a_gap() {
    check(
        "1 A=1
         claim
         1 A=5
         2 A+1",
        expect![[r#"
            1 A=1                   | unknown_epoch review:poison resync| not loaded suspect
            claim                   |                             | not loaded suspect
            1 A=5                   |                             | suspect A=5
            2 A+1                   | relative_while_suspect      | suspect A=5
        "#]],
    );
    check(
        "claim
         3 A=5
         4 A+1",
        expect![[r#"
            claim                   |                             | not loaded
            3 A=5                   | resync                      | suspect A=5
            4 A+1                   | relative_while_suspect      | suspect A=5
        "#]],
    );
    check(
        "claim
         1 begin:s
         2 part:s A=5
         3 A+1
         4 end:s",
        expect![[r#"
            claim                   |                             | not loaded
            1 begin:s               |                             | not loaded
            2 part:s A=5            |                             | not loaded
            3 A+1                   | relative_while_suspect      | not loaded
            4 end:s                 |                             | swapped A=6
        "#]],
    );
}

#[test]
fn poison_consumes_its_sequence_where_it_can_be_read() {
    check(
        "claim
         1 A=5
         garbage
         2 A+1
         3 poison
         3 poison
         4 A+1
         5 begin:s
         6 part:s A=6
         7 end:s
         8 unknown
         9 begin:t
         10 part:t A=7
         11 end:t
         12 @3 A=8",
        expect![[r#"
            claim                   |                             | not loaded
            1 A=5                   |                             | A=5
            garbage                 | review:poison poison        | A=5
            2 A+1                   |                             | A=6
            3 poison                | review:poison poison resync | suspect A=6
            3 poison                | review:fork fork            | suspect A=6
            4 A+1                   | relative_while_suspect      | suspect A=6
            5 begin:s               |                             | suspect A=6
            6 part:s A=6            |                             | suspect A=6
            7 end:s                 |                             | swapped A=6
            8 unknown               | review:poison poison resync | suspect A=6
            9 begin:t               |                             | suspect A=6
            10 part:t A=7           |                             | suspect A=6
            11 end:t                |                             | swapped A=7
            12 @3 A=8               | review:poison poison resync | suspect A=7
        "#]],
    );
}

#[test]
fn a_unit_applies_whole_or_not_at_all() {
    check(
        "claim
         1 A=5 B=5
         2 unit:u
         3 part:u A=1
         4 A=9
         5 part:u B=1 A+2
         6 commit:u
         7 unit:v
         8 part:v A=0
         9 unit:w
         10 part:v B=0
         11 commit:v",
        expect![[r#"
            claim                   |                             | not loaded
            1 A=5 B=5               |                             | A=5 B=5
            2 unit:u                |                             | A=5 B=5
            3 part:u A=1            |                             | A=5 B=5
            4 A=9                   |                             | A=9 B=5
            5 part:u B=1 A+2        |                             | A=9 B=5
            6 commit:u              |                             | A=3 B=1
            7 unit:v                |                             | A=3 B=1
            8 part:v A=0            |                             | A=3 B=1
            9 unit:w                | staging                     | A=3 B=1
            10 part:v B=0           | review:poison poison staging resync| suspect A=3 B=1
            11 commit:v             | staging                     | suspect A=3 B=1
        "#]],
    );
    check(
        "claim
         1 A=5 B=5
         2 unit:u
         3 part:u A=1
         4 commit:u:bad
         5 B=6",
        expect![[r#"
            claim                   |                             | not loaded
            1 A=5 B=5               |                             | A=5 B=5
            2 unit:u                |                             | A=5 B=5
            3 part:u A=1            |                             | A=5 B=5
            4 commit:u:bad          | staging review:poison poison resync| suspect A=5 B=5
            5 B=6                   |                             | suspect A=5 B=6
        "#]],
    );
    check(
        "claim
         1 A=5
         2 unit:u
         3 part:u A=1
         5 part:u A=2
         6 commit:u",
        expect![[r#"
            claim                   |                             | not loaded
            1 A=5                   |                             | A=5
            2 unit:u                |                             | A=5
            3 part:u A=1            |                             | A=5
            5 part:u A=2            | staging resync staging      | suspect A=5
            6 commit:u              | staging                     | suspect A=5
        "#]],
    );
}

#[test]
fn live_changes_past_the_cut_stand_on_top_of_a_snapshot() {
    check(
        "claim
         1 @10 A=1 B=1 C=1
         2 @20 begin:s:all::20
         3 @20 A=2
         4 @25 B+5
         5 @25 part:s A=7 B=7 C=7
         6 @30 C-
         7 @30 end:s
         8 @40 begin:t:all::39",
        expect![[r#"
            claim                   |                             | not loaded
            1 @10 A=1 B=1 C=1       |                             | A=1 B=1 C=1
            2 @20 begin:s:all::20   |                             | A=1 B=1 C=1
            3 @20 A=2               |                             | A=2 B=1 C=1
            4 @25 B+5               |                             | A=2 B=6 C=1
            5 @25 part:s A=7 B=7 C=7|                             | A=2 B=6 C=1
            6 @30 C-                |                             | A=2 B=6
            7 @30 end:s             |                             | swapped A=2 B=12
            8 @40 begin:t:all::39   |                             | A=2 B=12
        "#]],
    );
}

/// The first snapshot is of one warehouse; what the chain said of another from its first message on is whole.
#[test]
fn what_a_first_snapshot_does_not_repeat_can_be_added_to_meanwhile() {
    check(
        "claim
         1 begin:s:stock:LAX
         2 B=5
         3 B+1
         4 part:s A@LAX=1
         5 A@LAX+1
         6 end:s",
        expect![[r#"
            claim                   |                             | not loaded
            1 begin:s:stock:LAX     |                             | not loaded
            2 B=5                   |                             | not loaded B=5
            3 B+1                   |                             | not loaded B=6
            4 part:s A@LAX=1        |                             | not loaded B=6
            5 A@LAX+1               | relative_while_suspect      | not loaded B=6
            6 end:s                 |                             | swapped A@LAX=2 B=6
        "#]],
    );
}

#[test]
fn a_snapshot_that_is_wrong_changes_nothing() {
    check(
        "claim
         1 A=1
         2 begin:s
         3 part:s A=2
         4 end:s:bad
         5 end:s
         6 begin:t
         7 begin:u
         8 part:t A=3
         9 part:u A=4
         10 A=5",
        expect![[r#"
            claim                   |                             | not loaded
            1 A=1                   |                             | A=1
            2 begin:s               |                             | A=1
            3 part:s A=2            |                             | A=1
            4 end:s:bad             | review:snapshot staging resync| wanted A=1
            5 end:s                 | staging                     | wanted A=1
            6 begin:t               |                             | wanted A=1
            7 begin:u               | staging                     | wanted A=1
            8 part:t A=3            | review:poison poison staging resync| suspect wanted A=1
            9 part:u A=4            | staging                     | suspect wanted A=1
            10 A=5                  |                             | suspect wanted A=5
        "#]],
    );
    check(
        "claim
         1 @5 A=1 A~3
         2 @6 begin:s:all::4
         3 @6 part:s A=0
         4 @6 begin:t:stock
         5 @6 part:t A~1",
        expect![[r#"
            claim                   |                             | not loaded
            1 @5 A=1 A~3            |                             | A=1 A~3
            2 @6 begin:s:all::4     | review:snapshot staging resync| wanted A=1 A~3
            3 @6 part:s A=0         | staging                     | wanted A=1 A~3
            4 @6 begin:t:stock      |                             | wanted A=1 A~3
            5 @6 part:t A~1         | review:poison poison staging resync| suspect wanted A=1 A~3
        "#]],
    );
}

#[test]
fn a_snapshot_that_removes_too_much_waits_for_approval() {
    check(
        "claim
         1 A=1 B=1 C=1
         2 begin:s
         3 part:s A=2 B=2
         4 end:s
         5 A+1
         6 begin:t:supply
         7 part:t A~9
         8 end:t
         approve s
         9 begin:u:supply
         10 end:u
         approve x
         approve u",
        expect![[r#"
            claim                   |                             | not loaded
            1 A=1 B=1 C=1           |                             | A=1 B=1 C=1
            2 begin:s               |                             | A=1 B=1 C=1
            3 part:s A=2 B=2        |                             | A=1 B=1 C=1
            4 end:s                 | review:snapshot staging     | A=1 B=1 C=1
            5 A+1                   |                             | A=2 B=1 C=1
            6 begin:t:supply        |                             | A=2 B=1 C=1
            7 part:t A~9            |                             | A=2 B=1 C=1
            8 end:t                 | staging                     | swapped A=2 B=1 C=1 A~9
            approve s               | review:snapshot             | A=2 B=1 C=1 A~9
            9 begin:u:supply        |                             | A=2 B=1 C=1 A~9
            10 end:u                | review:snapshot staging     | A=2 B=1 C=1 A~9
            approve x               | review:snapshot             | A=2 B=1 C=1 A~9
            approve u               |                             | swapped A=2 B=1 C=1
        "#]],
    );
}

#[test]
fn snapshots_of_every_table_with_rows_heal_together() {
    check(
        "claim
         1 @1 A=1 B@LAX=1 A~3
         3 @3 A=2
         4 @4 begin:s:stock:DAL
         5 @4 part:s A=2
         6 @4 end:s
         7 @5 A+1
         8 @5 B@LAX+1
         9 @6 begin:t:supply
         10 @6 part:t A~3
         11 @6 end:t
         12 @7 begin:u:stock:LAX
         13 @7 part:u B@LAX=2
         14 @7 end:u
         15 @8 B@LAX+1",
        expect![[r#"
            claim                   |                             | not loaded
            1 @1 A=1 B@LAX=1 A~3    |                             | A=1 B@LAX=1 A~3
            3 @3 A=2                | resync                      | suspect A=2 B@LAX=1 A~3
            4 @4 begin:s:stock:DAL  |                             | suspect A=2 B@LAX=1 A~3
            5 @4 part:s A=2         |                             | suspect A=2 B@LAX=1 A~3
            6 @4 end:s              |                             | swapped suspect A=2 B@LAX=1 A~3
            7 @5 A+1                |                             | suspect A=3 B@LAX=1 A~3
            8 @5 B@LAX+1            | relative_while_suspect      | suspect A=3 B@LAX=1 A~3
            9 @6 begin:t:supply     |                             | suspect A=3 B@LAX=1 A~3
            10 @6 part:t A~3        |                             | suspect A=3 B@LAX=1 A~3
            11 @6 end:t             |                             | swapped suspect A=3 B@LAX=1 A~3
            12 @7 begin:u:stock:LAX |                             | suspect A=3 B@LAX=1 A~3
            13 @7 part:u B@LAX=2    |                             | suspect A=3 B@LAX=1 A~3
            14 @7 end:u             |                             | swapped A=3 B@LAX=2 A~3
            15 @8 B@LAX+1           |                             | A=3 B@LAX=3 A~3
        "#]],
    );
}

#[test]
fn without_a_gate_everything_applies_as_it_comes() {
    let mut stream = Stream::new(GateMode::Off);
    for line in [
        "claim",
        "1 A=5",
        "2 A+1",
        "2 A+1",
        "4 A+1",
        "claim",
        "e1:3 A+1",
        "7 begin:s",
        "8 part:s B=2",
        "9 end:s:bad",
    ] {
        stream.send(line);
    }
    let state = stream.chain.status().load();
    assert_eq!((stream.chain.rows().to_string().as_str(), state.suspect), ("A=9 B=2", false));
}
