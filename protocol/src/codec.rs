//! Bytes to values and back, with every limit checked before anything is allocated for it.
//!
//! A message is MessagePack (maps with names) unless its `Content-Type` says JSON. The size is checked
//! first, then nesting and form in one scan without allocation (`codec/scan.rs`), then the counts while
//! decoding. What is allocated is bounded by the bytes that really arrived: no length that a message merely
//! claims is trusted.

mod scan;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::limits::{DEPTH_MAX, ENVELOPE_VERSION, MESSAGE_BYTES_MAX};
use crate::{Change, Envelope};

/// How a message or request is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    MessagePack,
    Json,
}

/// Content type of MessagePack; also what a message without a content type is.
pub const CONTENT_TYPE_MESSAGEPACK: &str = "application/msgpack";
pub const CONTENT_TYPE_JSON: &str = "application/json";

/// Why bytes are no message, request or answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{bytes} bytes; the most is {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// The writer is newer than this build: nothing is wrong with the message.
    #[error(
        "envelope version {version} is newer than {ENVELOPE_VERSION}, the highest that this build reads: upgrade it"
    )]
    NewerVersion { version: u16 },
    #[error("content type {content_type:?} is neither {CONTENT_TYPE_MESSAGEPACK} nor {CONTENT_TYPE_JSON}")]
    ContentType { content_type: String },
    /// `path` names the field, as in `lines[3].quantity`; `.` is the whole.
    #[error("{path}: {reason}")]
    Malformed { path: String, reason: String },
}

/// What could not be encoded; a value of this crate only fails past the size limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{bytes} bytes; the most is {max}: split the message")]
    TooLarge { bytes: usize, max: usize },
    #[error("not encodable: {reason}")]
    Unencodable { reason: String },
}

impl Encoding {
    /// By media type, parameters ignored; none is MessagePack (as on the subjects).
    pub fn of_content_type(content_type: Option<&str>) -> Result<Self, DecodeError> {
        let Some(text) = content_type else { return Ok(Self::MessagePack) };
        let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            "application/msgpack" | "application/vnd.msgpack" | "application/x-msgpack" => {
                Ok(Self::MessagePack)
            }
            "application/json" => Ok(Self::Json),
            _ => Err(DecodeError::ContentType { content_type: text.chars().take(64).collect() }),
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::MessagePack => CONTENT_TYPE_MESSAGEPACK,
            Self::Json => CONTENT_TYPE_JSON,
        }
    }
}

/// One change message. Unknown fields and kinds are refused at a version this build knows.
pub fn decode_envelope(encoding: Encoding, bytes: &[u8]) -> Result<Envelope, DecodeError> {
    let error = match decode::<Envelope>(encoding, bytes, MESSAGE_BYTES_MAX) {
        Ok(envelope) if envelope.version == ENVELOPE_VERSION => return Ok(envelope),
        Ok(envelope) if envelope.version > ENVELOPE_VERSION => {
            return Err(DecodeError::NewerVersion { version: envelope.version });
        }
        Ok(_) => DecodeError::Malformed { path: "version".into(), reason: "versions start at 1".into() },
        Err(error @ DecodeError::Malformed { .. }) => error,
        Err(error) => return Err(error),
    };
    // What this build cannot read may be a newer version's: only its number is looked at.
    let version = match encoding {
        Encoding::Json => serde_json::from_slice(bytes).map(|VersionOnly { version }| version).ok(),
        Encoding::MessagePack => rmp_serde::from_slice(bytes).map(|VersionOnly { version }| version).ok(),
    };
    match version.map(|version| u16::try_from(version).unwrap_or(u16::MAX)) {
        Some(version) if version > ENVELOPE_VERSION => Err(DecodeError::NewerVersion { version }),
        _ => Err(error),
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u64,
}

/// Refused above [`MESSAGE_BYTES_MAX`].
pub fn encode_envelope(encoding: Encoding, envelope: &Envelope) -> Result<Vec<u8>, EncodeError> {
    let bytes = encode(encoding, envelope)?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(EncodeError::TooLarge { bytes: bytes.len(), max: MESSAGE_BYTES_MAX });
    }
    Ok(bytes)
}

/// Any value of this crate, from at most `bytes_max` bytes.
pub fn decode<T: DeserializeOwned>(
    encoding: Encoding,
    bytes: &[u8],
    bytes_max: usize,
) -> Result<T, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLarge { bytes: bytes.len(), max: bytes_max });
    }
    match encoding {
        Encoding::Json => {
            scan::check_json(bytes)?;
            let mut json = serde_json::Deserializer::from_slice(bytes);
            let value = match T::deserialize(&mut json) {
                Ok(value) => value,
                Err(_) => return named(&mut serde_json::Deserializer::from_slice(bytes)),
            };
            json.end().map_err(|e| DecodeError::Malformed { path: ".".into(), reason: e.to_string() })?;
            Ok(value)
        }
        Encoding::MessagePack => {
            scan::check_msgpack(bytes)?;
            let mut pack = rmp_serde::Deserializer::from_read_ref(bytes);
            T::deserialize(&mut pack).or_else(|_| named(&mut rmp_serde::Deserializer::from_read_ref(bytes)))
        }
    }
}

/// Once more, for the place of what is wrong: to keep track of it costs more than all the rest of decoding.
fn named<'de, T: Deserialize<'de>, D: Deserializer<'de>>(again: D) -> Result<T, DecodeError>
where
    D::Error: fmt::Display,
{
    serde_path_to_error::deserialize(again).map_err(malformed)
}

fn malformed<E: fmt::Display>(error: serde_path_to_error::Error<E>) -> DecodeError {
    let path = error.path().to_string();
    let told = error.into_inner().to_string();
    // What serde_json says of a number, or of an empty map, where a choice should stand.
    let reason = match told.strip_prefix("expected value") {
        Some(place) => format!("a value is missing or of a wrong type{place}"),
        None => told,
    };
    DecodeError::Malformed { path, reason }
}

/// Any value of this crate; MessagePack maps carry names.
pub fn encode<T: Serialize>(encoding: Encoding, value: &T) -> Result<Vec<u8>, EncodeError> {
    match encoding {
        Encoding::Json => {
            serde_json::to_vec(value).map_err(|e| EncodeError::Unencodable { reason: e.to_string() })
        }
        Encoding::MessagePack => {
            rmp_serde::to_vec_named(value).map_err(|e| EncodeError::Unencodable { reason: e.to_string() })
        }
    }
}

/// The changes alone in canonical MessagePack: named maps in declaration order, absent fields left out,
/// integers in their shortest form. What digests cover.
pub(crate) fn write_canonical<T: Serialize>(value: &T, hash: &mut xxhash_rust::xxh3::Xxh3) {
    struct Into<'a>(&'a mut xxhash_rust::xxh3::Xxh3);
    impl std::io::Write for Into<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut serializer = rmp_serde::Serializer::new(Into(hash)).with_struct_map();
    let written = value.serialize(&mut serializer);
    assert!(written.is_ok(), "wire types serialize into a hash without failing");
}

/// XXH3-128 of the canonical MessagePack of one change: what a row's digest is made of.
pub fn change_hash(change: &Change) -> u128 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    write_canonical(change, &mut hash);
    hash.digest128()
}

/// A text of at most `MAX` bytes; see [`bounded_text`].
pub(crate) fn bounded_option<'de, D, const MAX: usize>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    struct Text<const MAX: usize>(#[serde(deserialize_with = "bounded_text::<_, MAX>")] String);
    Option::<Text<MAX>>::deserialize(deserializer).map(|text| text.map(|Text(text)| text))
}

/// A text of at most `MAX` bytes, checked before it is copied.
pub(crate) fn bounded_text<'de, D, const MAX: usize>(deserializer: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    struct Bounded<const MAX: usize>;

    impl<const MAX: usize> Visitor<'_> for Bounded<MAX> {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a text of at most {MAX} bytes")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            if text.len() > MAX {
                return Err(E::custom(format_args!("a text has {} bytes; the most is {MAX}", text.len())));
            }
            Ok(text.to_owned())
        }
    }

    deserializer.deserialize_str(Bounded::<MAX>)
}

/// A list of at most `MAX`; the error says so, and nothing is reserved for a length that is only claimed.
pub(crate) fn bounded<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = list.next_element()? {
                if values.len() == MAX {
                    return Err(de::Error::custom(format_args!("more than {MAX} elements; split it")));
                }
                values.push(value);
            }
            Ok(values)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, MAX>(PhantomData))
}

/// A map of at most `MAX` entries, of which no two have one key.
pub(crate) fn bounded_map<'de, D, K, V, const MAX: usize>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    struct Bounded<K, V, const MAX: usize>(PhantomData<(K, V)>);

    impl<'de, K, V, const MAX: usize> Visitor<'de> for Bounded<K, V, MAX>
    where
        K: Deserialize<'de> + Ord + fmt::Display,
        V: Deserialize<'de>,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a map of at most {MAX}")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BTreeMap<K, V>, A::Error> {
            let mut values = BTreeMap::new();
            while let Some(key) = map.next_key::<K>()? {
                if values.len() == MAX {
                    return Err(de::Error::custom(format_args!("more than {MAX} entries; leave some out")));
                }
                if values.contains_key(&key) {
                    return Err(de::Error::custom(format_args!("two entries are named {key}")));
                }
                values.insert(key, map.next_value()?);
            }
            Ok(values)
        }
    }

    deserializer.deserialize_map(Bounded::<K, V, MAX>(PhantomData))
}
