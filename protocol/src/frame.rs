//! Requests and answers of the API as bytes of a QUIC stream.
//!
//! A stream carries one request and its answer, so a frame needs neither an id nor a type: each direction is a
//! head and a body, both preceded by their length, and then the stream's end. HTTP/3 would bring header
//! compression and its state for the few fields that the API reads; the head is a MessagePack map instead, and
//! one handler answers both transports.
//!
//! Heads of requests refuse unknown fields, as bodies do: what a node does not know it must not drop. Heads of
//! answers are read past them, so that a node may say more than its client knows.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError, EncodeError, Encoding};
use crate::limits::FRAME_HEAD_BYTES_MAX;

/// What client and node agree on when they connect.
pub const ALPN: &[u8] = b"pannier/1";
/// Bytes of a length, big endian.
pub const LENGTH_BYTES: usize = 4;

/// What is asked: an operation by its HTTP names. Bodies, and answers, are MessagePack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestHead {
    /// As in `POST`.
    pub method: String,
    /// With its query, as in `/v1/orders`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// What the answer is. From status 400 on the body is a [`Problem`](crate::api::Problem).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AnswerHead {
    /// As of HTTP.
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Seconds to wait before the request is repeated here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// Path of what was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Methods that the path takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<String>,
}

/// Why bytes are no request or answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a head of {bytes} bytes; the most is {max}: shorten the path")]
    HeadTooLarge { bytes: usize, max: usize },
    #[error("a body of {bytes} bytes; the most is {max}: split the request")]
    BodyTooLarge { bytes: usize, max: usize },
    #[error("the stream ended within the {part}; send all of it before the end")]
    Cut { part: Part },
    #[error("bytes follow the body; a stream carries one request")]
    Trailing,
    #[error("head: {0}")]
    Head(DecodeError),
}

/// Where in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Head,
    Body,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Head => "head",
            Self::Body => "body",
        })
    }
}

/// A head with its length. One that no reader would take is refused here.
pub fn head<H: Serialize>(head: &H) -> Result<Vec<u8>, EncodeError> {
    let head = codec::encode(Encoding::MessagePack, head)?;
    if head.len() > FRAME_HEAD_BYTES_MAX {
        return Err(EncodeError::TooLarge { bytes: head.len(), max: FRAME_HEAD_BYTES_MAX });
    }
    let mut bytes = Vec::with_capacity(2 * LENGTH_BYTES + head.len());
    bytes.extend(prefix(head.len())?);
    bytes.extend(&head);
    Ok(bytes)
}

/// All that stands before a body of so many bytes.
pub fn before_body<H: Serialize>(head: &H, body_bytes: usize) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = self::head(head)?;
    bytes.extend(prefix(body_bytes)?);
    Ok(bytes)
}

fn prefix(bytes: usize) -> Result<[u8; LENGTH_BYTES], EncodeError> {
    let max = u32::MAX as usize;
    u32::try_from(bytes).map(u32::to_be_bytes).map_err(|_| EncodeError::TooLarge { bytes, max })
}

/// How many bytes of head follow.
pub fn head_bytes(prefix: [u8; LENGTH_BYTES]) -> Result<usize, FrameError> {
    let bytes = u32::from_be_bytes(prefix) as usize;
    let max = FRAME_HEAD_BYTES_MAX;
    if bytes > max { Err(FrameError::HeadTooLarge { bytes, max }) } else { Ok(bytes) }
}

/// How many bytes of body follow. They are only claimed: nothing is to be allocated for them.
pub fn body_bytes(prefix: [u8; LENGTH_BYTES]) -> usize {
    u32::from_be_bytes(prefix) as usize
}

/// A head from its bytes.
pub fn decode_head<H: DeserializeOwned>(bytes: &[u8]) -> Result<H, FrameError> {
    codec::decode(Encoding::MessagePack, bytes, FRAME_HEAD_BYTES_MAX).map_err(FrameError::Head)
}

/// Head and body of a whole message, of which the body has at most `body_max` bytes.
pub fn read<H: DeserializeOwned>(bytes: &[u8], body_max: usize) -> Result<(H, &[u8]), FrameError> {
    let (head, rest) = take(bytes, Part::Head, head_bytes)?;
    let head = decode_head(head)?;
    let fits = |prefix| match body_bytes(prefix) {
        bytes if bytes > body_max => Err(FrameError::BodyTooLarge { bytes, max: body_max }),
        bytes => Ok(bytes),
    };
    let (body, rest) = take(rest, Part::Body, fits)?;
    if rest.is_empty() { Ok((head, body)) } else { Err(FrameError::Trailing) }
}

fn take(
    bytes: &[u8],
    part: Part,
    length: impl Fn([u8; LENGTH_BYTES]) -> Result<usize, FrameError>,
) -> Result<(&[u8], &[u8]), FrameError> {
    let cut = FrameError::Cut { part };
    let (prefix, rest) = bytes.split_first_chunk().ok_or(cut.clone())?;
    rest.split_at_checked(length(*prefix)?).ok_or(cut)
}

#[cfg(test)]
mod tests;
