//! What nodes show each other: short-lived tokens of the role `node`, signed with the key that they share.
//! Must not know: HTTP, who asks what. A pass counts for nothing where callers' tokens are asked for, and the other way round: the audience
//! differs.

use booking_core::UtcMillis;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::key::SigningKey;
use super::token::HOTSLOT;

/// The audience of a pass, which no caller's token has.
const AUDIENCE: &str = "hotslot-nodes";
const ROLE: &str = "node";
/// A pass is short-lived, so that one that was overheard is soon worth nothing. Longer than clocks of nodes may differ.
const TTL_SECONDS: i64 = 60;

#[derive(Serialize, Deserialize)]
struct Claims {
    role: String,
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
}

/// Makes passes and checks them.
pub(crate) struct Passes {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
}

impl Passes {
    /// Of nodes that share `key`.
    pub(crate) fn new(key: &SigningKey) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[HOTSLOT]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // Judged below, by the engine's clock.
        validation.validate_exp = false;
        let (signing, checking) = (EncodingKey::from_secret(key.as_bytes()), DecodingKey::from_secret(key.as_bytes()));
        Self { signing, checking, validation }
    }

    /// A new pass at `now`; `None` if it cannot be signed.
    pub(crate) fn make(&self, now: UtcMillis) -> Option<String> {
        let iat = now.0.div_euclid(1_000);
        let claims = Claims {
            role: ROLE.to_owned(),
            iss: HOTSLOT.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat,
            exp: iat + TTL_SECONDS,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing).ok()
    }

    /// Whether `pass` counts at `now`. A clock that is behind makes one from the future, which counts just as long.
    pub(crate) fn is_good(&self, pass: &str, now: UtcMillis) -> bool {
        let Ok(decoded) = jsonwebtoken::decode::<Claims>(pass, &self.checking, &self.validation) else { return false };
        let now_seconds = now.0.div_euclid(1_000);
        let claims = decoded.claims;
        claims.role == ROLE && now_seconds < claims.exp && claims.exp - now_seconds <= 2 * TTL_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use booking_core::{Role, SubjectId};
    use uuid::Uuid;

    use super::*;
    use crate::auth::Principal;
    use crate::auth::token::{NewToken, Verifier, mint};

    const NOW: UtcMillis = UtcMillis(1_800_000_000_000);

    #[test]
    fn a_pass_counts_for_a_minute_and_only_with_the_shared_key() {
        let passes = Passes::new(&SigningKey::from_bytes([1; 32]));
        let pass = passes.make(NOW).expect("signed");
        assert!(passes.is_good(&pass, NOW) && passes.is_good(&pass, NOW.plus_millis(59_999)));
        assert!(passes.is_good(&pass, NOW.plus_millis(-60_000)), "the other clock is ahead");
        assert!(!passes.is_good(&pass, NOW.plus_millis(60_000)) && !passes.is_good(&pass, NOW.plus_millis(-61_000)));
        assert!(!Passes::new(&SigningKey::from_bytes([2; 32])).is_good(&pass, NOW));
        assert!(!passes.is_good("", NOW) && !passes.is_good("a.b.c", NOW));
    }

    #[test]
    fn a_pass_is_no_callers_token_and_a_callers_token_no_pass() {
        let key = SigningKey::from_bytes([1; 32]);
        let passes = Passes::new(&key);
        let pass = passes.make(NOW).expect("signed");
        assert!(Verifier::new(&key).verify(&pass, NOW).is_err());
        let principal = Principal {
            subject: SubjectId(Uuid::from_u128(1)),
            role: Role::Admin,
            clinic: None,
            audiences: Arc::from([Box::from("hotslot-nodes")]),
        };
        let token = mint(&key, &NewToken { principal, issued_at: NOW, ttl_seconds: 60 }).expect("signed");
        assert!(!passes.is_good(&token, NOW));
    }
}
