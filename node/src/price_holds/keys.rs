//! Where the secrets come from. They are read once, when the node starts, and shown nowhere.

use ring::rand::{SecureRandom, SystemRandom};

use crate::config::{ConfigError, PriceHoldKey};
use crate::limits::{PRICE_HOLD_SECRET_BYTES_MAX, PRICE_HOLD_SECRET_BYTES_MIN};

/// The secret of the key at this place of the configuration.
pub(super) fn secret(at: usize, key: &PriceHoldKey) -> Result<Vec<u8>, ConfigError> {
    let refuse = |field: &str, reason: String| ConfigError::Value {
        key: format!("price_holds.keys[{at}].{field}"),
        reason,
    };
    let (field, text) = match (&key.file, &key.env) {
        (Some(file), None) => {
            let read = std::fs::read_to_string(file);
            let unread = |error| refuse("file", format!("cannot read {}: {error}", file.display()));
            ("file", read.map_err(unread)?)
        }
        (None, Some(name)) => {
            let read = std::env::var(name);
            ("env", read.map_err(|error| refuse("env", format!("{name}: {error}")))?)
        }
        _ => {
            return Err(refuse("file", "a key has either a file or an env that holds its secret".to_owned()));
        }
    };
    let secret = text.trim();
    let sizes = PRICE_HOLD_SECRET_BYTES_MIN..=PRICE_HOLD_SECRET_BYTES_MAX;
    if !sizes.contains(&secret.len()) {
        let reason = format!(
            "a secret has {} to {} bytes and this one has {}; make one with: openssl rand -base64 48",
            sizes.start(),
            sizes.end(),
            secret.len()
        );
        return Err(refuse(field, reason));
    }
    Ok(secret.as_bytes().to_vec())
}

/// A new secret, as text; `None` where the system gives no random numbers.
pub fn random_secret() -> Option<String> {
    let mut bytes = [0; PRICE_HOLD_SECRET_BYTES_MIN];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
