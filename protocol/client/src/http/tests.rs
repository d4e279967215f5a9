use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use pannier_protocol::api::ErrorCode;

/// A server of bytes: answers one connection with `answer` as it stands, then closes it.
fn serving(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
    });
    address
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn request() -> LookupRequest {
    serde_json::from_str(r#"{"lines":[{"line":"1","item":"A","quantity":"1"}]}"#).unwrap()
}

async fn lookup_error(answer: String) -> CallError {
    let options = Options { deadline: Duration::from_millis(500), ..Options::default() };
    HttpClient::new(&serving(answer), options).unwrap().lookup(&request()).await.unwrap_err()
}

#[test]
fn addresses_are_scheme_host_and_port() {
    for bad in ["", "127.0.0.1:8080", "https://a", "http://a/v1", "ftp://a"] {
        assert!(HttpClient::new(bad, Options::default()).is_err(), "{bad:?}");
    }
    assert_eq!(HttpClient::new("http://a:1/", Options::default()).unwrap().address(), "http://a:1");
}

#[tokio::test]
async fn a_problem_is_an_error_with_its_code_and_wait() {
    let problem = Problem::new(ErrorCode::Behind, "at L7, wanted L9");
    let body = serde_json::to_string(&problem).unwrap();
    let error = lookup_error(response("503 Service Unavailable", "Retry-After: 2\r\n", &body)).await;
    assert_eq!(error.to_string(), "behind: at L7, wanted L9");
    let CallError::Problem { retry_after, .. } = error else { panic!("{error:?}") };
    assert_eq!(retry_after, Some(Duration::from_secs(2)));
}

#[tokio::test]
async fn what_is_no_node_is_told() {
    let error = lookup_error(response("404 Not Found", "", "<html>")).await;
    assert!(matches!(error, CallError::Status { status: 404 }), "{error:?}");
    let error = lookup_error(response("200 OK", "", "{\"as_of\":1}")).await;
    assert!(matches!(error, CallError::Answer(_)), "{error:?}");
    let error = lookup_error("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_owned()).await;
    assert!(matches!(error, CallError::Send(SendError::Broken { .. })), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options { deadline: Duration::from_millis(20), ..Options::default() };
    let client = HttpClient::new(&format!("http://{}", listener.local_addr().unwrap()), options).unwrap();
    let error = client.get("/readyz").await.unwrap_err();
    assert!(matches!(error, SendError::Deadline { .. }), "{error:?}");
    drop(listener);
    let error = client.get("/readyz").await.unwrap_err();
    assert!(matches!(error, SendError::Unreachable { .. } | SendError::Deadline { .. }), "{error:?}");
}

#[test]
fn values_of_a_query_are_escaped() {
    for (text, want) in [("7f3a.81240.0", "7f3a.81240.0"), ("a&b=c d", "a%26b%3Dc%20d"), ("ä", "%C3%A4")] {
        assert_eq!(escaped(text), want);
    }
}
