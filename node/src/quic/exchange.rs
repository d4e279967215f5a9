//! One stream: a request in, its answer out.

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use pannier_protocol::api::Problem;
use pannier_protocol::frame::{self, AnswerHead, FrameError, RequestHead};
use pannier_protocol::{DecodeError, Encoding, codec};
use quinn::{ReadToEndError, RecvStream, SendStream};

use crate::app::App;
use crate::http::{self as api, Refusal};
use crate::limits::QUIC_REQUEST_BYTES_MAX;
use crate::metrics::OfReason;

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A client that is gone, or does not take its answer, costs nothing but the time that it was waited for.
pub(super) async fn answer(app: &App, mut send: SendStream, receive: RecvStream) {
    let response = match request(app, receive).await {
        Some(Ok(request)) => api::respond(app, request).await,
        Some(Err(refusal)) => {
            app.metrics.quic_refused.get_or_create(&OfReason { reason: "frame" }).inc();
            api::refused(app, refusal)
        }
        None => return,
    };
    let (head, body) = told(response).await;
    let writing = async {
        let before = frame::before_body(&head, body.len()).unwrap_or_default();
        send.write_all(&before).await?;
        send.write_chunk(body).await?;
        let _ = send.finish();
        // Until all of it has arrived: the connection may be closed next.
        let _ = send.stopped().await;
        Ok::<_, quinn::WriteError>(())
    };
    match tokio::time::timeout(app.config.http.body_timeout, writing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an answer was not taken"),
        Err(_) => tracing::debug!("an answer was not taken in time"),
    }
}

/// `None`: the client took it back.
async fn request(app: &App, mut receive: RecvStream) -> Option<Result<Request<Full<Bytes>>, Refusal>> {
    let limit = app.config.http.body_timeout;
    let bytes = match tokio::time::timeout(limit, receive.read_to_end(QUIC_REQUEST_BYTES_MAX)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(ReadToEndError::TooLong)) => {
            return Some(Err(Refusal::TooLarge { max: QUIC_REQUEST_BYTES_MAX }));
        }
        Ok(Err(ReadToEndError::Read(error))) => {
            tracing::debug!(%error, "a request was taken back");
            return None;
        }
        Err(_) => return Some(Err(Refusal::BodyTimeout { millis: limit.as_millis() })),
    };
    let read = frame::read::<RequestHead>(&bytes, QUIC_REQUEST_BYTES_MAX);
    Some(match read {
        Ok((head, body)) => built(head, Bytes::copy_from_slice(body)),
        Err(FrameError::BodyTooLarge { max, .. }) => Err(Refusal::TooLarge { max }),
        Err(FrameError::Head(error @ DecodeError::TooLarge { .. })) => Err(Refusal::Body(error)),
        Err(error) => Err(Refusal::Parameter { name: "the stream".to_owned(), reason: error.to_string() }),
    })
}

/// As it would have come over HTTP.
fn built(head: RequestHead, body: Bytes) -> Result<Request<Full<Bytes>>, Refusal> {
    let mut request = Request::builder().method(head.method.as_str()).uri(&head.path);
    let content_type = HeaderValue::from_static(Encoding::MessagePack.content_type());
    request = request.header(ACCEPT, content_type.clone());
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, content_type);
    }
    let more = [
        (IDEMPOTENCY_KEY, head.idempotency_key),
        (CORRELATION_ID, head.correlation_id),
        (TRACEPARENT, head.traceparent),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request.body(Full::new(body)).map_err(|error| Refusal::Parameter {
        name: "the head of the stream".to_owned(),
        reason: error.to_string(),
    })
}

/// The answer in the words of a frame; a problem is MessagePack too.
async fn told(response: Response<api::Answer>) -> (AnswerHead, Bytes) {
    let (parts, body) = response.into_parts();
    let headers = &parts.headers;
    let head = AnswerHead {
        status: parts.status.as_u16(),
        correlation_id: text(headers, &CORRELATION_ID),
        traceparent: text(headers, &TRACEPARENT),
        retry_after: text(headers, &RETRY_AFTER).and_then(|seconds| seconds.parse().ok()),
        location: text(headers, &LOCATION),
        allow: text(headers, &ALLOW),
    };
    // No stream of events is asked for here, so what there is is whole.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let is_problem = parts.status.is_client_error() || parts.status.is_server_error();
    let problem = is_problem.then(|| serde_json::from_slice::<Problem>(&body).ok()).flatten();
    let packed = problem.and_then(|problem| codec::encode(Encoding::MessagePack, &problem).ok());
    (head, packed.map_or(body, Bytes::from))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
