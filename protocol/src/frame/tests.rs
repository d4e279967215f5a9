use proptest::prelude::*;

use super::*;

const BODY_MAX: usize = 64;

fn message<H: Serialize>(head: &H, body: &[u8]) -> Vec<u8> {
    let mut bytes = before_body(head, body.len()).unwrap();
    bytes.extend(body);
    bytes
}

fn place() -> RequestHead {
    RequestHead {
        method: "POST".to_owned(),
        path: "/v1/orders".to_owned(),
        idempotency_key: Some("k-1".to_owned()),
        ..RequestHead::default()
    }
}

#[track_caller]
fn check(bytes: &[u8], want: &str) {
    let error = read::<RequestHead>(bytes, BODY_MAX).unwrap_err().to_string();
    assert!(error.starts_with(want), "{error}\nnot\n{want}");
}

#[test]
fn what_is_no_request_is_told() {
    let whole = message(&place(), b"body");
    assert_eq!(read(&whole, BODY_MAX), Ok((place(), &b"body"[..])));
    for end in 0..whole.len() {
        check(&whole[..end], "the stream ended within the ");
    }
    check(&[whole.as_slice(), b"x"].concat(), "bytes follow the body");
    check(&message(&place(), &[0; BODY_MAX + 1]), "a body of 65 bytes; the most is 64");
    // What is claimed is enough to refuse it.
    check(&[0xff; 4], "a head of 4294967295 bytes; the most is 16384");
    check(&message(&"POST", b""), "head: .: invalid type: string \"POST\", expected struct RequestHead");
    let unknown = serde_json::json!({"method": "GET", "path": "/", "cookie": "c"});
    check(&message(&unknown, b""), "head: cookie: unknown field `cookie`");
    check(&message(&serde_json::json!({"method": "GET"}), b""), "head: .: missing field `path`");
}

#[test]
fn a_client_reads_past_what_a_newer_node_says() {
    let newer = serde_json::json!({"status": 200, "since": 1});
    let (head, _) = read::<AnswerHead>(&message(&newer, b""), BODY_MAX).map(|it| (it.0, ())).unwrap();
    assert_eq!(head, AnswerHead { status: 200, ..AnswerHead::default() });
}

#[test]
fn a_head_that_nobody_takes_is_not_sent() {
    let head = RequestHead { path: "x".repeat(FRAME_HEAD_BYTES_MAX), ..place() };
    assert!(matches!(before_body(&head, 0), Err(EncodeError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = read::<RequestHead>(&bytes, BODY_MAX);
        let _ = read::<AnswerHead>(&bytes, BODY_MAX);
    }

    /// Small lengths, so that the heads are reached.
    #[test]
    fn any_head_is_read_or_refused(head in prop::collection::vec(any::<u8>(), 0..64)) {
        let length = u32::try_from(head.len()).unwrap().to_be_bytes();
        let bytes = [&length[..], &head, &[0; LENGTH_BYTES]].concat();
        let _ = read::<RequestHead>(&bytes, BODY_MAX);
        let _ = read::<AnswerHead>(&bytes, BODY_MAX);
    }

    #[test]
    fn what_is_written_is_read(
        (method, path) in ("[A-Z]{1,8}", ".{0,64}"),
        (key, id, trace) in (any::<Option<String>>(), any::<Option<String>>(), any::<Option<String>>()),
        body in prop::collection::vec(any::<u8>(), 0..=BODY_MAX),
    ) {
        let head = RequestHead { method, path, idempotency_key: key, correlation_id: id, traceparent: trace };
        let bytes = message(&head, &body);
        prop_assert_eq!(read(&bytes, BODY_MAX), Ok((head, body.as_slice())));
    }
}
