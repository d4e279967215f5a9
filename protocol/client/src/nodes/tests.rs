use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use pannier_protocol::api::ErrorCode;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A node that gives these answers, one a connection, and tells how often it was asked.
fn node(answers: Vec<(u16, String)>) -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, count) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + &body).as_bytes()).unwrap();
            let _ = asked.send(());
        }
    });
    (address, count)
}

fn problem(code: ErrorCode) -> (u16, String) {
    let problem = pannier_protocol::api::Problem::new(code, "so");
    (code.status(), serde_json::to_string(&problem).unwrap())
}

fn answer(state: &str) -> (u16, String) {
    let order = OrderId::derive(&"C-1".parse().unwrap(), &key());
    let answer = serde_json::json!({
        "order": order, "state": state, "as_of": "7f3a.L1.S0.P0", "account": "C-1", "lines": [],
    });
    (if state == "pending" { 202 } else { 201 }, answer.to_string())
}

fn key() -> IdempotencyKey {
    IdempotencyKey::new("k-1").unwrap()
}

/// A port that nobody listens on.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// State or error code of an order that is placed on these nodes, and which of them is kept to.
async fn placed(addresses: &[&str], patience: Duration) -> (String, usize) {
    let nodes = Nodes::new(addresses.iter().copied(), &Options::default()).unwrap();
    let line = serde_json::json!({"line": "1", "item": "A", "quantity": "1"});
    let order = serde_json::from_value(serde_json::json!({"account": "C-1", "lines": [line]})).unwrap();
    let outcome = match nodes.place_order(&key(), &order, patience).await {
        Ok(answer) => format!("{:?}", answer.state),
        Err(CallError::Problem { problem, .. }) => problem.code.as_str().to_owned(),
        Err(error) => error.to_string(),
    };
    (outcome, nodes.preferred.load(Ordering::Relaxed))
}

#[tokio::test]
async fn what_one_node_cannot_answer_the_next_is_asked() {
    let dead = nobody();
    let (second, _) = node(vec![answer("accepted")]);
    assert_eq!(placed(&[&dead, &second], PATIENCE).await, ("Accepted".to_owned(), 1));
    let (first, _) = node(vec![problem(ErrorCode::LedgerUnavailable), answer("accepted")]);
    assert_eq!(placed(&[&first], PATIENCE).await, ("Accepted".to_owned(), 0));
    let (first, _) = node(vec![answer("pending"), answer("rejected")]);
    assert_eq!(placed(&[&first], PATIENCE).await, ("Rejected".to_owned(), 0));
}

#[tokio::test]
async fn a_refusal_is_final() {
    let (first, _) = node(vec![problem(ErrorCode::KeyReused)]);
    let (second, asked) = node(vec![answer("accepted")]);
    assert_eq!(placed(&[&first, &second], PATIENCE).await, ("key_reused".to_owned(), 0));
    assert!(asked.try_recv().is_err(), "nobody else is asked");
}

#[tokio::test]
async fn in_the_end_it_says_what_it_last_saw() {
    let short = Duration::from_millis(1);
    let (first, _) = node(vec![answer("pending")]);
    assert_eq!(placed(&[&first], short).await.0, "Pending");
    let (first, _) = node(vec![problem(ErrorCode::Behind)]);
    assert_eq!(placed(&[&first], short).await.0, "behind");
    assert!(Nodes::new([], &Options::default()).is_err());
}
