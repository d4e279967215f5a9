use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers one request with these bytes, and gives what it was asked.
async fn answered(answer: &'static [u8]) -> (Result<Vec<Value>, RestError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/erp", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await?;
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(socket.read_u8().await?);
        }
        socket.write_all(answer).await?;
        if answer.is_empty() {
            // Until the other side gives up.
            socket.read_u8().await.map_err(drop).unwrap_or_default();
        }
        Ok::<_, io::Error>(String::from_utf8_lossy(&asked).into_owned())
    });
    let limit = Duration::from_millis(if answer.is_empty() { 50 } else { 10_000 });
    let rest = Rest::new(&url, "secret", 1, limit).unwrap();
    let query = Query::of("sale.sale", &["number", "lines.note"]).filter(json!([["reference", "=", "F1"]]));
    let got = rest.search(&query.limit(5)).await;
    (got, server.await.unwrap().unwrap())
}

#[tokio::test]
async fn every_answer_has_its_class() {
    let malformed = "<title>500 Internal Server Error</title><p>&#39;nosuch.model&#39;</p>";
    let crashed = "<h1>Internal Server Error</h1><p>&#39;str&#39; object has no attribute &#39;id&#39;</p>";
    let refusal = r#"{"status":400,"message":"You can not call \"confirm\".","description":"why"}"#;
    for (status, kind, body, want) in [
        ("200 OK", "application/json", "[]", "Ok"),
        ("200 OK", "application/json; charset=utf-8", "[]", "Ok"),
        ("200 OK", "text/html", "[]", "Unreadable"),
        ("200 OK", "application/json", r#"{"id":1,"error":["UserError",["no","",null]]}"#, "Unreadable"),
        ("200 OK", "application/json", "[{]", "Unreadable"),
        ("200 OK", "application/json", "", "Unreadable"),
        ("204 No Content", "application/json", "", "Unreadable"),
        ("302 Found", "text/html", "", "Unreadable"),
        ("400 Bad Request", "application/json", refusal, "Refused"),
        ("400 Bad Request", "application/json", "oops", "Unreadable"),
        ("400 Bad Request", "text/html", "oops", "Malformed"),
        ("401 Unauthorized", "text/html", "", "Denied"),
        ("403 Forbidden", "text/html", "", "Denied"),
        ("404 Not Found", "text/html", "", "Missing"),
        ("415 Unsupported Media Type", "text/html", "", "Malformed"),
        ("429 Too Many Requests", "text/html", "", "Unavailable"),
        ("500 Internal Server Error", "text/html", malformed, "Malformed"),
        ("500 Internal Server Error", "text/html", crashed, "Failed"),
        ("502 Bad Gateway", "text/html", "", "Failed"),
        ("503 Service Unavailable", "text/html", "<p>gone</p>", "Unavailable"),
        ("504 Gateway Timeout", "text/html", "", "Failed"),
    ] {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}");
        let (got, _) = answered(answer.leak().as_bytes()).await;
        let shown = format!("{got:?}");
        assert!(shown.strip_prefix("Err(").unwrap_or(&shown).starts_with(want), "{status} {body}: {shown}");
    }
}

#[tokio::test]
async fn what_breaks_on_the_way_is_not_done_and_not_undone() {
    for (answer, want) in [
        (&b"\x16\x03\x01garbage\r\n\r\n"[..], "Broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[", "Broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n[", "Broken"),
        (b"", "Timeout"),
    ] {
        let (got, _) = answered(answer).await;
        assert!(format!("{:?}", got.as_ref().unwrap_err()).starts_with(want), "{got:?}");
    }
}

#[tokio::test]
async fn a_closed_port_is_nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/erp", listener.local_addr().unwrap());
    drop(listener);
    let rest = Rest::new(&url, "secret", 1, Duration::from_secs(10)).unwrap();
    let got = rest.search::<Value>(&Query::of("sale.sale", &[])).await.unwrap_err();
    assert!(matches!(got, RestError::Unreachable { .. }), "{got}");
    assert!(got.to_string().contains("refused"), "{got}");
}

#[tokio::test]
async fn a_request_carries_domain_context_and_key() {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]";
    let (_, asked) = answered(ok).await;
    // [["reference","=","F1"]] and [["id","ASC"]], padded.
    let line = "GET /erp/rest/model/sale.sale?f=number&f=lines.note&d=W1sicmVmZXJlbmNlIiwiPSIsIkYxIl1d\
        &o=W1siaWQiLCJBU0MiXV0%3D&s=5 HTTP/1.1";
    let asked = asked.to_ascii_lowercase();
    assert!(asked.starts_with(&line.to_ascii_lowercase()), "{asked}");
    for header in
        ["authorization: bearer secret", "connection: close", "x-tryton-context: eyjjb21wyw55ijoxfq=="]
    {
        assert!(asked.contains(header), "{header} in {asked}");
    }
}

#[test]
fn addresses_and_keys_that_cannot_be_used() {
    let limit = Duration::from_secs(1);
    for (url, key, want) in [
        ("http://127.0.0.1:8000/erp/", "k", None),
        ("https://127.0.0.1:8000/erp", "k", Some("url")),
        ("http://127.0.0.1:8000", "k", Some("url")),
        ("127.0.0.1:8000/erp", "k", Some("url")),
        ("http://127.0.0.1:8000/erp?x=1", "k", Some("url")),
        ("http://127.0.0.1:8000/erp", "a\nb", Some("key")),
    ] {
        let error = Rest::new(url, key, 1, limit).err().map(|error| error.to_string());
        assert_eq!(error.is_some(), want.is_some(), "{url}");
        assert!(want.is_none_or(|want| error.is_some_and(|error| error.starts_with(want))), "{url}");
    }
}
