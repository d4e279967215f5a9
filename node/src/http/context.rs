//! What a request is known under: the caller's correlation id and trace context, checked before they are
//! echoed or logged.

use http::{HeaderMap, HeaderName, HeaderValue, Response};

use crate::clock::Clock;
use crate::limits::CORRELATION_ID_BYTES_MAX;

pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Headers that came in and go out again. One that is malformed is left out as if it had not been sent: no
/// basket fails for a header that only logs care about.
#[derive(Debug, Default)]
pub(crate) struct Context {
    correlation_id: Option<HeaderValue>,
    traceparent: Option<HeaderValue>,
}

impl Context {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let valid = |name: &HeaderName, check: fn(&[u8]) -> bool| {
            headers.get(name).filter(|value| check(value.as_bytes())).cloned()
        };
        Self {
            correlation_id: valid(&CORRELATION_ID, is_correlation_id),
            traceparent: valid(&TRACEPARENT, is_traceparent),
        }
    }

    /// The caller's id; without one, a new one, which the answer then carries too.
    pub(crate) fn correlation_id(&mut self) -> String {
        let value = self.correlation_id.get_or_insert_with(drawn);
        value.to_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn echo<B>(self, response: &mut Response<B>) {
        let headers = response.headers_mut();
        if let Some(value) = self.correlation_id {
            headers.insert(CORRELATION_ID, value);
        }
        if let Some(value) = self.traceparent {
            headers.insert(TRACEPARENT, value);
        }
    }
}

/// Unique enough to find one refusal in one node's log: the time and how many were drawn before.
fn drawn() -> HeaderValue {
    use std::sync::atomic::{AtomicU32, Ordering};
    static DRAWN: AtomicU32 = AtomicU32::new(0);
    let number = DRAWN.fetch_add(1, Ordering::Relaxed);
    let id = format!("{:x}-{number:x}", Clock::machine_now().millis());
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// Visible ASCII.
fn is_correlation_id(value: &[u8]) -> bool {
    (1..=CORRELATION_ID_BYTES_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic)
}

/// As text, if it is one.
pub(super) fn valid_traceparent(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    is_traceparent(text.as_bytes()).then(|| text.to_owned())
}

/// W3C trace context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`, ids not all zero.
fn is_traceparent(value: &[u8]) -> bool {
    let parts: Vec<&[u8]> = value.splitn(5, |byte| *byte == b'-').collect();
    let [version, trace, parent, flags] = parts.as_slice() else { return false };
    let hex = |part: &[u8], length| {
        part.len() == length && part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let set = |part: &[u8]| part.iter().any(|b| *b != b'0');
    *version == b"00" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2) && set(trace) && set(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: HeaderName, value: &[u8], echoed: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(&name, HeaderValue::from_bytes(value).unwrap());
        let mut response = Response::new(());
        Context::of(&headers).echo(&mut response);
        assert_eq!(response.headers().get(&name).is_some(), echoed, "{name}: {value:?}");
    }

    #[test]
    fn only_well_formed_headers_are_echoed() {
        check(CORRELATION_ID, b"cart-8841", true);
        check(CORRELATION_ID, &[b'x'; 128], true);
        check(CORRELATION_ID, &[b'x'; 129], false);
        check(CORRELATION_ID, b"", false);
        check(CORRELATION_ID, b"two words", false);
        check(CORRELATION_ID, "ä".as_bytes(), false);
        check(TRACEPARENT, b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true);
        check(TRACEPARENT, b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false);
        check(TRACEPARENT, b"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
        check(TRACEPARENT, b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false);
        check(TRACEPARENT, b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false);
    }

    #[test]
    fn a_refusal_without_an_id_gets_one_and_the_answer_carries_it() {
        let mut context = Context::default();
        let id = context.correlation_id();
        let mut response = Response::new(());
        context.echo(&mut response);
        assert_eq!(response.headers().get(CORRELATION_ID).unwrap(), id.as_str());
    }
}
