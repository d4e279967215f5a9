//! Which encoding a body has and which one the answer gets.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use pannier_protocol::{DecodeError, Encoding};

use super::refusal::Refusal;

/// Of the request's body. Without a `Content-Type` it is JSON, what people write by hand.
pub(crate) fn of_body(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Encoding::Json) };
    let text = value.to_str().map_err(|_| {
        Refusal::UnsupportedMediaType(DecodeError::ContentType { content_type: "(not text)".to_owned() })
    })?;
    Encoding::of_content_type(Some(text)).map_err(Refusal::UnsupportedMediaType)
}

/// Of the answer: what `Accept` prefers; where it does not care, as the request came.
pub(crate) fn of_answer(headers: &HeaderMap, as_asked: Encoding) -> Result<Encoding, Refusal> {
    let mut accepts = headers.get_all(ACCEPT).iter().peekable();
    if accepts.peek().is_none() {
        return Ok(as_asked);
    }
    let (mut json, mut pack) = (Weight::default(), Weight::default());
    for value in accepts {
        let Ok(text) = value.to_str() else { continue };
        for range in text.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, thousandths);
            match media.as_str() {
                "*/*" => [&mut json, &mut pack].map(|weight| weight.set(1, quality)),
                "application/*" => [&mut json, &mut pack].map(|weight| weight.set(2, quality)),
                "application/json" => [json.set(3, quality), ()],
                "application/msgpack" | "application/vnd.msgpack" | "application/x-msgpack" => {
                    [pack.set(3, quality), ()]
                }
                _ => continue,
            };
        }
    }
    match (json.quality, pack.quality) {
        (0, 0) => Err(Refusal::NotAcceptable),
        (json, pack) if json > pack => Ok(Encoding::Json),
        (json, pack) if pack > json => Ok(Encoding::MessagePack),
        _ => Ok(as_asked),
    }
}

/// Whether `Accept` names server-sent events, which nobody gets who did not ask for them.
pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    ranges.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("text/event-stream"));
        named && parts.find_map(|part| part.strip_prefix("q=")).is_none_or(|text| thousandths(text) > 0)
    })
}

/// What `Accept` says of one encoding: the most specific range counts, whatever the order.
#[derive(Default)]
struct Weight {
    specificity: u8,
    quality: u16,
}

impl Weight {
    fn set(&mut self, specificity: u8, quality: u16) {
        if specificity >= self.specificity {
            *self = Self { specificity, quality };
        }
    }
}

/// `0.5` as 500; what is no quality counts as 1.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().chain([b'0'; 3]).take(3);
    let fraction = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0').min(9)));
    if whole == "0" { fraction } else { 1_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, asked: Encoding, want: Option<Encoding>) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        assert_eq!(of_answer(&headers, asked).ok(), want, "{accept}");
    }

    #[test]
    fn accept_is_weighed() {
        use Encoding::{Json, MessagePack};
        check("*/*", Json, Some(Json));
        check("*/*", MessagePack, Some(MessagePack));
        check("application/*", MessagePack, Some(MessagePack));
        check("application/json", MessagePack, Some(Json));
        check("application/msgpack", Json, Some(MessagePack));
        check("APPLICATION/VND.MSGPACK; charset=x", Json, Some(MessagePack));
        check("application/msgpack;q=0.4, application/json;q=0.5", MessagePack, Some(Json));
        check("*/*;q=0.1, application/msgpack", Json, Some(MessagePack));
        check("application/msgpack;q=0, */*", MessagePack, Some(Json));
        check("text/html, */*;q=0.8", Json, Some(Json));
        check("text/html", Json, None);
        check("application/json;q=0", Json, None);
        check("", Json, None);
    }

    #[test]
    fn events_are_for_those_who_name_them() {
        for (accept, want) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream; q=0.1", true),
            ("text/event-stream;q=0", false),
            ("*/*", false),
            ("text/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_events(&headers), want, "{accept}");
        }
    }

    #[test]
    fn no_accept_is_as_asked_and_no_content_type_is_json() {
        let mut headers = HeaderMap::new();
        assert_eq!(of_answer(&headers, Encoding::MessagePack).unwrap(), Encoding::MessagePack);
        assert_eq!(of_body(&headers).unwrap(), Encoding::Json);
        headers.insert(CONTENT_TYPE, "application/x-msgpack".parse().unwrap());
        assert_eq!(of_body(&headers).unwrap(), Encoding::MessagePack);
        headers.insert(CONTENT_TYPE, "text/plain".parse().unwrap());
        assert!(of_body(&headers).is_err());
    }
}
