//! What a source overwrites while an order is in flight (semantics 2.11): by name and by position, and after the source
//! was restored from a backup.

use serde_json::{Value, json};

use super::checkout::{checkout, place};
use super::gate::snapshot;
use super::{Publisher, Running};

struct Shelf {
    running: Running,
    wms: Publisher,
    erp: Publisher,
    order: String,
}

/// What the source says next.
enum Said {
    /// The figure of the shelf.
    Figure(Value),
    /// By a new publisher, with a snapshot in which nothing else stands.
    Restored(Value),
    /// Its backend has the order, at this position of the source.
    Acknowledged(u64),
}

fn figure(on_hand: &str, reflects: &Value) -> Value {
    let mut set =
        json!({"stock_set": {"item": "SKU-1", "warehouse": "DAL", "uom": "EA", "on_hand": on_hand}});
    if !reflects.is_null() {
        set["stock_set"]["reflects"] = reflects.clone();
    }
    set
}

impl Shelf {
    /// 10 pieces, of which an order in flight has 4.
    async fn fill() -> Self {
        let (running, wms) = checkout().await;
        let erp = running.publisher("ledger.event.erp").await;
        let (status, placed) = place(&running.http, "k1", "4").await;
        assert_eq!((status, &placed["state"]), (201, &json!("accepted")), "{placed}");
        let order = placed["order"].as_str().unwrap().to_owned();
        Self { running, wms, erp, order }
    }

    fn named(&self, quantity: &str) -> Value {
        json!({"lines": [{"order": self.order, "line": "1", "quantity": quantity}]})
    }

    /// What is left to sell once the node knows it.
    async fn left_after(&mut self, said: Said) -> String {
        let position = match said {
            Said::Figure(set) => self.wms.send(json!([set])).await,
            Said::Restored(set) => {
                self.wms = self.running.publisher("ledger.stock.wms-1").await;
                snapshot(&mut self.wms, set).await
            }
            Said::Acknowledged(position) => {
                let from = json!([{"source": "wms-1", "position": position}]);
                let acknowledged =
                    json!({"order": self.order, "generation": 1, "document": "SO-1", "reflected_from": from});
                self.erp.send(json!([{"event": {"acknowledged": acknowledged}}])).await
            }
        };
        self.running.wait_for(|snapshot| snapshot.applied.ledger >= position).await;
        let answer = self.running.http.get("/v1/price-availability/SKU-1?quantity=1").await.unwrap();
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        answer["lines"][0]["availability"]["available"].as_str().unwrap_or("-").to_owned()
    }

    async fn check(mut self, steps: Vec<(&str, Said)>) {
        let mut wrong = Vec::new();
        for (name, said) in steps {
            let left = self.left_after(said).await;
            wrong.extend(Some(format!("{name}: {left}")).filter(|_| left != "6"));
        }
        assert_eq!(wrong, [""; 0], "6 are left whatever is said");
        self.running.node.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_source_that_names_orders_never_frees_what_it_does_not_have() {
    let shelf = Shelf::fill().await;
    let (none, one, all) = (Value::Null, shelf.named("1"), shelf.named("4"));
    let steps = vec![
        ("nothing is known of it", Said::Figure(figure("10", &none))),
        ("a part is counted", Said::Figure(figure("9", &one))),
        ("all is counted", Said::Figure(figure("6", &all))),
        ("and stays so", Said::Figure(figure("6", &none))),
        ("restored with a part", Said::Restored(figure("9", &one))),
        ("restored without it", Said::Restored(figure("10", &none))),
        ("overwritten since", Said::Figure(figure("10", &none))),
        ("counted anew", Said::Figure(figure("6", &all))),
    ];
    shelf.check(steps).await;
}

#[tokio::test]
async fn a_source_that_counts_by_position_never_frees_what_it_does_not_have() {
    let shelf = Shelf::fill().await;
    let at = |on_hand: &str, position: u64| figure(on_hand, &json!({"position": position}));
    let steps = vec![
        ("before it is acknowledged", Said::Figure(at("10", 60))),
        ("acknowledged", Said::Acknowledged(70)),
        ("below it", Said::Figure(at("10", 69))),
        ("there", Said::Figure(at("6", 70))),
        ("restored to before it", Said::Restored(at("10", 50))),
        // A source states no position past a document that it lacks.
        ("still without it", Said::Figure(at("10", 69))),
        // Its backend made it anew.
        ("acknowledged again", Said::Acknowledged(80)),
        ("there again", Said::Figure(at("6", 80))),
    ];
    shelf.check(steps).await;
}
