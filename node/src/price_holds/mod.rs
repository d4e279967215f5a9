//! Signed promises of prices (semantics 1.14): a lookup gives them out, an order brings them back, and nothing is kept
//! in between. So every node of a deployment has the same keys, and a node that was started a minute ago verifies what
//! another one signed.
//!
//! A token is a JWT (HS256, the key's id in its header). What it says is compared, never believed by its shape: account
//! and ship-to here, item, unit, quantity and the rest by intake, its end against the node's estimate of ledger time.
//! Rejected: prices kept in the ledger, which would make every basket that is looked at a write.

mod hmac;
mod keys;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use pannier_core::intake::{Held, HeldPrice};
use pannier_protocol::api::PriceHold;
use pannier_protocol::limits::PRICE_HOLD_BYTES_MAX;
use pannier_protocol::{AccountId, AsOf, Incarnation, Timestamp};
use serde::{Deserialize, Serialize};

pub use keys::random_secret;

use crate::config::{self, ConfigError};

/// Tells these tokens from any other that a key might have signed.
const TYPE: &str = "price-hold+jwt";

/// Signs and verifies.
pub(crate) struct PriceHolds {
    /// The first key's id, and the key.
    signs: (String, EncodingKey),
    verifies: BTreeMap<String, DecodingKey>,
    lifetime: Duration,
    validation: Validation,
}

/// Whose price it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buyer<'r> {
    pub(crate) account: &'r AccountId,
    pub(crate) ship_to: Option<&'r AccountId>,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    account: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ship_to: Option<AccountId>,
    line: HeldPrice,
    expires_at: Timestamp,
    /// What the price was computed from, and in which life of the ledger.
    as_of: AsOf,
}

/// A token that none of this node's keys has signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forged {
    #[error("no token as a lookup gives it; give it back as it was answered")]
    Malformed,
    #[error(
        "signed by the key {id:?}, which this node does not have; look the price up again, and check that all nodes \
         have the same keys"
    )]
    UnknownKey { id: String },
    #[error("its signature is wrong; give it back as it was answered, or look the price up again")]
    Signature,
}

impl PriceHolds {
    /// `None` without keys.
    pub(crate) fn load(config: &config::PriceHolds) -> Result<Option<Self>, ConfigError> {
        let mut secrets = Vec::with_capacity(config.keys.len());
        for (at, key) in config.keys.iter().enumerate() {
            secrets.push((key.id.clone(), keys::secret(at, key)?));
        }
        Ok(Self::new(secrets, config.lifetime))
    }

    fn new(secrets: Vec<(String, Vec<u8>)>, lifetime: Duration) -> Option<Self> {
        hmac::install();
        let mut validation = Validation::new(Algorithm::HS256);
        // Ends are of ledger time, to the millisecond, and looked at here.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let mut keys = secrets.into_iter().map(|(id, secret)| (id, hmac::keys(&secret)));
        let (first, (encoding, decoding)) = keys.next()?;
        let mut verifies = BTreeMap::from([(first.clone(), decoding)]);
        verifies.extend(keys.map(|(id, (_, decoding))| (id, decoding)));
        Some(Self { signs: (first, encoding), verifies, lifetime, validation })
    }

    /// `None` for a line whose names are too long for a token.
    pub(crate) fn sign(
        &self,
        buyer: Buyer<'_>,
        line: HeldPrice,
        as_of: &AsOf,
        now: Timestamp,
    ) -> Option<PriceHold> {
        let lifetime = i64::try_from(self.lifetime.as_millis()).ok()?;
        let expires_at = now.plus_millis(lifetime);
        let claims = Claims {
            account: buyer.account.clone(),
            ship_to: buyer.ship_to.cloned(),
            line,
            expires_at,
            as_of: as_of.clone(),
        };
        let (id, key) = &self.signs;
        let header =
            Header { typ: Some(TYPE.to_owned()), kid: Some(id.clone()), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&header, &claims, key).ok()?;
        (token.len() <= PRICE_HOLD_BYTES_MAX).then_some(PriceHold { token, expires_at })
    }

    /// What intake makes of a token that one of the keys has signed.
    pub(crate) fn verify(
        &self,
        token: &str,
        buyer: Buyer<'_>,
        incarnation: &Incarnation,
        now: Timestamp,
    ) -> Result<Held, Forged> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Forged::Malformed)?;
        if header.typ.as_deref() != Some(TYPE) {
            return Err(Forged::Malformed);
        }
        let id = header.kid.ok_or(Forged::Malformed)?;
        let Some(key) = self.verifies.get(&id) else {
            return Err(Forged::UnknownKey { id: id.chars().take(64).collect() });
        };
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &self.validation);
        let claims = decoded.map_err(|_| Forged::Signature)?.claims;
        if claims.account != *buyer.account || claims.ship_to.as_ref() != buyer.ship_to {
            return Ok(Held::Foreign);
        }
        let in_force = now < claims.expires_at && claims.as_of.incarnation == *incarnation;
        Ok(if in_force { Held::InForce(claims.line) } else { Held::Lapsed(claims.line) })
    }
}
