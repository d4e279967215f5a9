//! What operators do to orders, and what they are told came of it (semantics 4.6, 4.8).

use pannier_protocol::api::OrderState;
use pannier_protocol::order::{Fingerprint, RouteRule};
use pannier_protocol::subject::Subject;
use serde_json::{Value, json};

use super::super::{ActOutcome, OutboxEntry, Rerouted, dry_run};
use super::world::{STOCK, World, decode, key, order_id, route};

/// An order of four pieces in the dead letters of `erp`, with what the client said of it.
fn dead() -> World {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    let mut order = world.order("k", &["A 4"]);
    order.facts = decode(&json!({
        "ship_to_address": "5 Elm St", "purchase_order": "PO-1", "references": {"cart": "1", "gate": "A"},
    }));
    world.place(order);
    world.publish_outbox();
    let failed = json!({"generation": 1, "class": "poison", "reason": "no postal code", "attempts": 1});
    world.event(&json!({"failed": about("k", &failed)}));
    assert_eq!(world.state("k"), OrderState::DeadLettered);
    world.publish_outbox();
    world
}

fn about(order: &str, rest: &Value) -> Value {
    let mut body = json!({"order": order_id(order).to_string()});
    body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    body
}

/// Decides under a key; what became of it.
fn act(world: &mut World, name: &str, kind: &str, rest: &Value) -> ActOutcome {
    let mut body = about("k", rest);
    let fingerprint = Fingerprint::of(&body.to_string()).to_string();
    let by = json!({"by": "jane", "reason": "known", "keyed": {"key": name, "fingerprint": fingerprint}});
    body.as_object_mut().unwrap().extend(by.as_object().unwrap().clone());
    world.decide(&json!({ kind: body }));
    world.ledger.reader().orders().act(&key(name)).unwrap().outcome.clone()
}

fn changed(what: &str) -> ActOutcome {
    ActOutcome::Changed(what.to_owned())
}

fn ignored(why: &str) -> ActOutcome {
    ActOutcome::Ignored(why.replace("ID", &order_id("k").to_string()))
}

#[test]
fn an_edited_dead_letter_goes_out_again_and_the_original_is_kept() {
    let mut world = dead();
    let edit = json!({
        "closes": 1, "clear": ["purchase_order"],
        "set": {"ship_to_address": "5 Elm St, 75201", "references": {"gate": "B"}},
    });
    let before = world.ledger.digest();
    let outcome = act(&mut world, "a", "edit", &edit);
    assert_eq!(outcome, changed("edited (ship_to_address, purchase_order, references) by jane: known"));
    let order = world.record("k");
    assert_eq!((order.state, order.generation), (OrderState::Accepted, 2));
    assert_eq!(order.placed.facts.ship_to_address.as_deref(), Some("5 Elm St"));
    assert_eq!(
        order.steps.last().unwrap().what,
        "edited (ship_to_address, purchase_order, references) by jane: known"
    );
    let outbox = world.ledger.reader().orders().outbox();
    let [(_, entry)] = &outbox[..] else { panic!("{outbox:?}") };
    let OutboxEntry::Dispatch(dispatch) = &**entry else { panic!("{entry:?}") };
    assert_eq!((dispatch.order, dispatch.generation), (order_id("k"), 2), "the same business key");
    assert_eq!(dispatch.facts.ship_to_address.as_deref(), Some("5 Elm St, 75201"));
    assert_eq!(dispatch.facts.purchase_order, None);
    assert_eq!(json!(dispatch.facts.references), json!({"cart": "1", "gate": "B"}));
    assert_eq!(world.promised("A", "DAL"), "4", "what was promised stays promised");

    // Another text gives another digest, and the same one the same.
    let digest_of = |address: &str| {
        let mut world = dead();
        assert_eq!(world.ledger.digest(), before);
        act(&mut world, "a", "edit", &json!({"closes": 1, "set": {"ship_to_address": address}}));
        world.ledger.digest()
    };
    assert_eq!(digest_of("x"), digest_of("x"));
    assert_ne!(digest_of("x"), digest_of("y"));
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let many: Value =
        (0..32).map(|at| (format!("r{at}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    for (kind, rest, want) in [
        (
            "edit",
            json!({"closes": 3, "set": {"ship_to_address": "x"}}),
            "order ID is at generation 1, not at 3: look at it again, and decide about that",
        ),
        (
            "edit",
            json!({"closes": 1, "set": {"references": many}}),
            "order ID would have more than 32 references: clear some",
        ),
        (
            "redispatch",
            json!({"closes": 2}),
            "order ID is at generation 1, not at 2: look at it again, and decide about that",
        ),
        ("order", json!({"verdict": "approve"}), "order ID is dead_lettered; only one in review is approved"),
        (
            "order",
            json!({"verdict": "reject"}),
            "order ID is dead_lettered, so nothing came of this: rejected by jane: known",
        ),
        ("release_overlay", json!({"line": "9"}), "order ID has no line 9"),
    ] {
        let mut world = dead();
        assert_eq!(act(&mut world, "a", kind, &rest), ignored(want), "{kind} {rest}");
        assert_eq!((world.state("k"), world.record("k").edited), (OrderState::DeadLettered, None));
        assert_eq!(world.outbox(), ["alarm event"]);
    }
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    world.place_lines("k", &["A 4"]);
    let why = "order ID is accepted; only a dead letter is dismissed: reject it in review, or cancel it";
    assert_eq!(act(&mut world, "a", "dismiss", &json!({})), ignored(why));
    world.publish_outbox();
    let why = "order ID is dispatched; only one in review or in the dead letters is edited";
    let edit = json!({"closes": 1, "set": {"ship_to_address": "x"}});
    assert_eq!(act(&mut world, "b", "edit", &edit), ignored(why));
}

#[test]
fn an_act_happens_once_a_key() {
    let mut world = dead();
    let replayed = act(&mut world, "a", "redispatch", &json!({"closes": 1}));
    assert_eq!(replayed, changed("generation 1 is closed by jane: known"));
    assert_eq!(act(&mut world, "a", "redispatch", &json!({"closes": 2})), replayed);
    assert_eq!(world.record("k").generation, 2);
    world.now += 7 * 24 * 3_600_000;
    world.stock("B DAL 1", &json!({}));
    assert!(world.ledger.reader().orders().act(&key("a")).is_none(), "for 7 days");
}

#[test]
fn a_dry_run_tells_where_orders_would_go() {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    world.stock("A CHI 10", &json!({}));
    world.place_lines("dal", &["A 4"]);
    world.place_lines("both", &["A 8"]);
    world.place_lines("short", &["A 100"]);
    let rules: Vec<RouteRule> = decode(&json!([{"warehouse": "DAL", "backend": "erp-dal"}]));
    let orders = world.ledger.reader().orders().clone();
    let erp = || Some(decode(&json!("erp")));
    let one = |name: &str, to: Option<_>| Rerouted {
        from: erp(),
        to,
        orders_count: 1,
        open_count: 1,
        first: vec![order_id(name)],
    };
    let dal = || Some(decode(&json!("erp-dal")));
    assert_eq!(dry_run(&orders, &rules), [one("both", None), one("dal", dal())]);
    // What an order that is over was promised still says where from.
    world.event(&json!({"acknowledged": about("dal", &json!({"generation": 1, "document": "SO-1"}))}));
    world.event(&json!({"cancelled": about("dal", &json!({"reason": "asked"}))}));
    let over = Rerouted { open_count: 0, ..one("dal", dal()) };
    assert_eq!(dry_run(&orders, &rules), [one("both", None), over]);

    let digest = world.ledger.digest();
    world.decide(&json!({"routing": route("joe", json!([{"backend": "erp-2"}]))}));
    let routing = world.ledger.reader().orders().routing().0.unwrap();
    assert_eq!((routing.by.as_str(), routing.rules.len()), ("joe", 1));
    assert_ne!(world.ledger.digest(), digest);
}

#[test]
fn orders_are_listed_in_the_order_of_the_ledger() {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        world.place_lines(name, &["A 1"]);
    }
    let orders = world.ledger.reader().orders().clone();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = orders.after(after, 2, |order| order.placed.order != order_id("c"));
        let Some(last) = page.last() else { break };
        after = Some((last.position, last.placed.order));
        listed.extend(page.iter().map(|order| order.placed.order));
    }
    assert_eq!(listed, ["a", "b", "d", "e"].map(order_id));
}

#[test]
fn an_overcommitted_cell_is_listed_until_it_is_covered() {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    world.place_lines("k", &["A 4"]);
    let listed = |world: &World| {
        let cells = world.ledger.reader().orders().overcommits();
        cells.iter().map(|it| format!("{} {}", it.cell.item, it.cell.warehouse)).collect::<Vec<_>>()
    };
    assert_eq!(listed(&world), Vec::<String>::new());
    world.stock("A DAL 3", &json!({}));
    assert_eq!(listed(&world), ["A DAL"]);
    world.stock("A DAL 4", &json!({}));
    assert_eq!(listed(&world), Vec::<String>::new());
}

/// What lookups must not trust any more is known to the chains, once a key, and is no matter of any verdict.
#[test]
fn what_an_operator_invalidates_is_condemned_once() {
    let mut world = World::new();
    world.stock("A DAL 10", &json!({}));
    let wms = Subject::parse(STOCK).unwrap();
    let condemned = |world: &World| {
        let status = world.board.chain(&wms).unwrap().load();
        status.condemned.iter().map(|it| (it.scope.to_string(), it.up_to.1.0)).collect::<Vec<_>>()
    };
    let rows = |item: &str, sequence: u64| {
        let epoch = json!({"incarnation": "7f3a", "claim": 3});
        json!({"invalidate": {"scope": {"item": item}, "mode": "hard", "by": "jane", "reason": "known",
               "keyed": {"key": "i", "fingerprint": Fingerprint::of(&1).to_string()},
               "up_to": [{"subject": STOCK, "epoch": epoch, "sequence": sequence}]}})
    };
    world.decide(&rows("A", 3));
    let outcome = world.ledger.reader().orders().act(&key("i")).unwrap().outcome.clone();
    assert_eq!(outcome, changed("item A of 1 chains: not served until sent anew, by jane: known"));
    assert_eq!(condemned(&world), [("item A".to_owned(), 3)]);
    assert_eq!(world.board.wanting(), std::slice::from_ref(&wms), "its source is asked to say it anew");
    world.decide(&rows("B", 3));
    assert_eq!(condemned(&world).len(), 1, "the key was used");
    assert_eq!(world.place_lines("k", &["A 4"]), OrderState::Accepted);
}
