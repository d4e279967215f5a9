//! One pass over the bytes before anything is decoded: nesting, claimed lengths and forms that no wire type
//! has. The decoders behind it are more liberal than the wire (rmp-serde takes integers for field names and
//! binary for text, serde_json's own depth is 128), and a message means the same to every reader only when
//! its form leaves nothing to a reader's taste. Nothing is allocated.

use super::DecodeError;
use crate::limits::DEPTH_MAX;

/// Nesting of JSON; its syntax is left to the decoder.
pub(super) fn check_json(bytes: &[u8]) -> Result<(), DecodeError> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(DecodeError::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// One container that is being read.
#[derive(Clone, Copy, Default)]
struct Open {
    /// Values still to come; a map has two an entry.
    left: u64,
    map: bool,
}

/// What one MessagePack value is, by its first byte.
enum Form {
    /// A number, bool or nil of so many bytes behind the marker.
    Scalar(usize),
    Text(usize),
    Array(usize),
    Map(usize),
    Refused(&'static str),
}

/// Nesting, lengths and forms of MessagePack: exactly one value, its map keys text, no binary, no extension.
pub(super) fn check_msgpack(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut stack = [Open::default(); DEPTH_MAX];
    let (mut depth, mut at) = (0usize, 0usize);
    loop {
        let (form, body) = read_form(bytes, at)?;
        let is_key = depth > 0 && stack[depth - 1].map && stack[depth - 1].left.is_multiple_of(2);
        if is_key && !matches!(form, Form::Text(_)) {
            return Err(bad(at, "a map's keys are text"));
        }
        if depth > 0 {
            stack[depth - 1].left -= 1;
        }
        let remaining = bytes.len() - body;
        let open = match form {
            Form::Scalar(length) | Form::Text(length) => {
                if length > remaining {
                    return Err(bad(at, "longer than the message"));
                }
                at = body + length;
                None
            }
            Form::Array(count) => Some(Open { left: count as u64, map: false }),
            Form::Map(count) => Some(Open { left: count as u64 * 2, map: true }),
            Form::Refused(reason) => return Err(bad(at, reason)),
        };
        if let Some(open) = open {
            if depth == DEPTH_MAX {
                return Err(DecodeError::TooDeep);
            }
            if open.left > remaining as u64 {
                return Err(bad(at, "claims more elements than the message has bytes"));
            }
            stack[depth] = open;
            depth += 1;
            at = body;
        }
        while depth > 0 && stack[depth - 1].left == 0 {
            depth -= 1;
        }
        if depth == 0 {
            break;
        }
    }
    match bytes.len() - at {
        0 => Ok(()),
        _ => Err(bad(at, "more follows the end of the message")),
    }
}

/// The form of the value at `at`, and where its body begins.
fn read_form(bytes: &[u8], at: usize) -> Result<(Form, usize), DecodeError> {
    let cut = || bad(at, "the message ends within a value");
    let marker = *bytes.get(at).ok_or_else(cut)?;
    let length = |size: usize| -> Result<usize, DecodeError> {
        let digits = bytes.get(at + 1..at + 1 + size).ok_or_else(cut)?;
        Ok(digits.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let low = |mask: u8| usize::from(marker & mask);
    Ok(match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (Form::Scalar(0), at + 1),
        0x80..=0x8f => (Form::Map(low(0x0f)), at + 1),
        0x90..=0x9f => (Form::Array(low(0x0f)), at + 1),
        0xa0..=0xbf => (Form::Text(low(0x1f)), at + 1),
        0xcc | 0xd0 => (Form::Scalar(1), at + 1),
        0xcd | 0xd1 => (Form::Scalar(2), at + 1),
        0xca | 0xce | 0xd2 => (Form::Scalar(4), at + 1),
        0xcb | 0xcf | 0xd3 => (Form::Scalar(8), at + 1),
        0xd9 => (Form::Text(length(1)?), at + 2),
        0xda => (Form::Text(length(2)?), at + 3),
        0xdb => (Form::Text(length(4)?), at + 5),
        0xdc => (Form::Array(length(2)?), at + 3),
        0xdd => (Form::Array(length(4)?), at + 5),
        0xde => (Form::Map(length(2)?), at + 3),
        0xdf => (Form::Map(length(4)?), at + 5),
        0xc4..=0xc6 => (Form::Refused("binary has no meaning here; text is a string"), at + 1),
        0xc7..=0xc9 | 0xd4..=0xd8 => (Form::Refused("an extension has no meaning here"), at + 1),
        0xc1 => (Form::Refused("0xc1 is no MessagePack"), at + 1),
    })
}

fn bad(at: usize, reason: &str) -> DecodeError {
    DecodeError::Malformed { path: ".".into(), reason: format!("{reason} (byte {at})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], want: &str) {
        let shown = check_msgpack(bytes).map_or_else(|e| e.to_string(), |()| "ok".into());
        assert_eq!(shown, want, "{bytes:02x?}");
    }

    #[test]
    fn forms_are_checked_before_decoding() {
        check(&[0x81, 0xa1, b'a', 0x01], "ok");
        check(&[], ".: the message ends within a value (byte 0)");
        check(&[0x81, 0xa1, b'a'], ".: the message ends within a value (byte 3)");
        check(&[0x81, 0xa9, b'a'], ".: longer than the message (byte 1)");
        check(&[0x81, 0x00, 0x01], ".: a map's keys are text (byte 1)");
        check(&[0xdd, 0xff, 0xff, 0xff, 0xff], ".: claims more elements than the message has bytes (byte 0)");
        check(&[0xdf, 0xff, 0xff, 0xff, 0xff], ".: claims more elements than the message has bytes (byte 0)");
        check(&[0xdb, 0xff, 0xff, 0xff, 0xff], ".: longer than the message (byte 0)");
        check(&[0xda, 0xff], ".: the message ends within a value (byte 0)");
        check(&[0xc4, 0x00], ".: binary has no meaning here; text is a string (byte 0)");
        check(&[0xd4, 0x00, 0x00], ".: an extension has no meaning here (byte 0)");
        check(&[0xc1], ".: 0xc1 is no MessagePack (byte 0)");
        check(&[0xc0, 0xc0], ".: more follows the end of the message (byte 1)");
    }

    #[test]
    fn nesting_ends_at_the_same_depth_in_both_encodings() {
        let json = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        let pack = |depth: usize| [vec![0x91; depth - 1], vec![0x90]].concat();
        assert_eq!(check_json(&json(DEPTH_MAX)), Ok(()));
        assert_eq!(check_msgpack(&pack(DEPTH_MAX)), Ok(()));
        assert_eq!(check_json(&json(DEPTH_MAX + 1)), Err(DecodeError::TooDeep));
        assert_eq!(check_msgpack(&pack(DEPTH_MAX + 1)), Err(DecodeError::TooDeep));
        assert_eq!(check_json(br#""[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[[[""#), Ok(()));
    }
}
