//! How a receiver knows that a delivery is ours: HMAC-SHA256 in the way of Standard Webhooks, which has libraries for
//! receivers in every language.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{HMAC_SHA256, Key, sign};

use crate::limits::{WEBHOOK_SECRET_BYTES_MAX, WEBHOOK_SECRET_BYTES_MIN, WEBHOOK_SECRETS_MAX};

const SECRET_PREFIX: &str = "whsec_";

/// Why secrets are refused; they are not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("no secret: set secret_files, or PANNIER_WEBHOOK_SECRETS with spaces between")]
    Missing,
    #[error("more than {WEBHOOK_SECRETS_MAX} secrets: take those out that no receiver uses any more")]
    TooMany,
    #[error(
        "secret {at} is not \"whsec_\" and base64 of {WEBHOOK_SECRET_BYTES_MIN} to {WEBHOOK_SECRET_BYTES_MAX} random bytes"
    )]
    Malformed { at: usize },
}

/// All secrets in use: while one takes the place of another, deliveries bear the signatures of both.
#[derive(Clone)]
pub struct Secrets(Vec<Key>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, SecretError> {
        let keys = texts.into_iter().enumerate().map(|(at, text)| key(text).ok_or(at + 1));
        let keys: Result<Vec<Key>, usize> = keys.take(WEBHOOK_SECRETS_MAX + 1).collect();
        let keys = keys.map_err(|at| SecretError::Malformed { at })?;
        match keys.len() {
            0 => Err(SecretError::Missing),
            1..=WEBHOOK_SECRETS_MAX => Ok(Self(keys)),
            _ => Err(SecretError::TooMany),
        }
    }

    /// The header `webhook-signature` of one delivery; `at` is what `webhook-timestamp` says.
    pub(super) fn sign(&self, id: &str, at: i64, body: &[u8]) -> String {
        let signed = [format!("{id}.{at}.").as_bytes(), body].concat();
        let signatures = self.0.iter().map(|key| format!("v1,{}", STANDARD.encode(sign(key, &signed))));
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn key(text: &str) -> Option<Key> {
    let bytes = STANDARD.decode(text.trim().strip_prefix(SECRET_PREFIX)?).ok()?;
    let is_long_enough = (WEBHOOK_SECRET_BYTES_MIN..=WEBHOOK_SECRET_BYTES_MAX).contains(&bytes.len());
    is_long_enough.then(|| Key::new(HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the specification of Standard Webhooks.
    const PUBLISHED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        let signed = |secrets: &[&str]| {
            let secrets = Secrets::new(secrets.iter().copied()).unwrap();
            secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
        };
        let published = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed(&[PUBLISHED]), published);
        // While secrets are rotated a receiver that knows either finds its own.
        let other = format!("{SECRET_PREFIX}{}", STANDARD.encode([7; 32]));
        let both = signed(&[&other, PUBLISHED]);
        assert_eq!(both, format!("{} {published}", signed(&[&other])));
    }

    #[test]
    fn secrets_are_checked_and_never_shown() {
        let of = |bytes: usize| format!("{SECRET_PREFIX}{}", STANDARD.encode(vec![1; bytes]));
        for (texts, want) in [
            (vec![], SecretError::Missing),
            (vec![of(24), of(23)], SecretError::Malformed { at: 2 }),
            (vec![of(65)], SecretError::Malformed { at: 1 }),
            (vec![STANDARD.encode([1; 32])], SecretError::Malformed { at: 1 }),
            (vec![of(32); 5], SecretError::TooMany),
        ] {
            let refused = Secrets::new(texts.iter().map(String::as_str));
            assert_eq!(refused.map(drop), Err(want));
        }
        assert_eq!(format!("{:?}", Secrets::new([of(64).as_str()]).unwrap()), "Secrets(1)");
    }
}
