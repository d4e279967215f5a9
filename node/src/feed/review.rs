//! What a human is to look at, as it stands in the review stream: `review.<kind>.<origin>`, created once by
//! whichever node gets there first, so that a replay and ten nodes still leave one entry a finding.

use pannier_core::entry::Review;
use pannier_protocol::{Encoding, Incarnation, SourceId, StreamSequence};
use pannier_streams::consumer::Delivery;
use serde::Serialize;

use crate::limits::REVIEW_EXCERPT_BYTES_MAX;
use crate::progress::StreamName;

/// The body, in JSON, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Which entry and which finding of it, as in `7f3a-L81240-0`.
    #[serde(skip)]
    pub(crate) origin: String,
    pub(crate) kind: &'static str,
    /// Without the prefix, except where it is the subject that is wrong.
    pub(crate) subject: String,
    pub(crate) source: Option<SourceId>,
    pub(crate) stream: &'static str,
    pub(crate) stream_sequence: StreamSequence,
    pub(crate) reason: String,
    /// The beginning of the payload: text where it is JSON, hexadecimal where it is MessagePack.
    pub(crate) payload_excerpt: String,
    pub(crate) payload_bytes: usize,
}

impl Finding {
    pub(crate) fn of_review(
        incarnation: &Incarnation,
        stream: StreamName,
        delivery: &Delivery,
        review: &Review,
    ) -> Self {
        Self {
            origin: origin(incarnation, stream, delivery, review.index),
            kind: review.kind.as_str(),
            subject: review.subject.to_string(),
            source: review.source.clone(),
            reason: review.reason.clone(),
            ..Self::of_subject(incarnation, stream, delivery, "")
        }
    }

    /// Of an entry on a subject that is none of ours, though the stream captures it.
    pub(crate) fn of_subject(
        incarnation: &Incarnation,
        stream: StreamName,
        delivery: &Delivery,
        reason: &str,
    ) -> Self {
        Self {
            origin: origin(incarnation, stream, delivery, 0),
            kind: pannier_core::entry::ReviewKind::Poison.as_str(),
            subject: delivery.subject.to_string(),
            source: None,
            stream: stream.as_str(),
            stream_sequence: delivery.stream_sequence,
            reason: reason.to_owned(),
            payload_excerpt: excerpt(delivery),
            payload_bytes: delivery.payload.len(),
        }
    }
}

/// One subject token.
fn origin(incarnation: &Incarnation, stream: StreamName, delivery: &Delivery, index: u32) -> String {
    let letter = match stream {
        StreamName::Ledger => 'L',
        StreamName::Catalog => 'C',
    };
    format!("{incarnation}-{letter}{}-{index}", delivery.stream_sequence)
}

fn excerpt(delivery: &Delivery) -> String {
    let shown = &delivery.payload[..delivery.payload.len().min(REVIEW_EXCERPT_BYTES_MAX)];
    match delivery.encoding {
        Some(Encoding::MessagePack) => shown.iter().map(|byte| format!("{byte:02x}")).collect(),
        Some(Encoding::Json) | None => String::from_utf8_lossy(shown).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pannier_protocol::Timestamp;

    use super::*;

    #[track_caller]
    fn check(encoding: Option<Encoding>, payload: &[u8], want: &str) {
        let delivery = Delivery {
            subject: "pna.v1.catalog.shared.ERP".into(),
            stream_sequence: StreamSequence(551),
            stream_time: Timestamp::from_millis(0),
            encoding,
            payload: Bytes::copy_from_slice(payload),
        };
        let finding = Finding::of_subject(
            &Incarnation::new("7f3a").unwrap(),
            StreamName::Catalog,
            &delivery,
            "no subject",
        );
        assert_eq!(finding.origin, "7f3a-C551-0");
        assert_eq!(finding.payload_excerpt, want);
        assert_eq!(finding.payload_bytes, payload.len());
    }

    #[test]
    fn a_finding_shows_the_beginning_of_its_payload() {
        check(Some(Encoding::Json), b"{\"a\":1}", "{\"a\":1}");
        check(None, b"a;\xff", "a;\u{fffd}");
        check(Some(Encoding::MessagePack), b"\x81\xa1a\x01", "81a16101");
        check(Some(Encoding::MessagePack), &[0; 2_000], &"00".repeat(REVIEW_EXCERPT_BYTES_MAX));
    }
}
