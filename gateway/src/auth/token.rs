//! Tokens: what a valid one says, how one is made and checked. HS256 only, issuer and audience pinned.
//! Must not know: HTTP, what a caller may do.

use std::sync::Arc;

use booking_core::{Role, SubjectId, UtcMillis};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Principal;
use super::cache::{Cached, TokenCache};
use super::key::SigningKey;
use super::usual_form::UsualForm;

/// Issuer and audience of every token.
pub(super) const HOTSLOT: &str = "hotslot";
/// Longest token that is looked at: the claims are a few hundred bytes, the head of a request has 16 KiB.
const TOKEN_BYTES_MAX: usize = 4_096;
/// Most audiences of one token, so that a verified token has a bounded size.
pub(crate) const AUDIENCES_MAX: usize = 32;

/// The claims of a token, both ways.
#[derive(Serialize, Deserialize)]
struct Claims {
    sub: Uuid,
    role: String,
    iss: String,
    aud: Audience,
    /// Seconds since 1970, perhaps with a fraction (RFC 7519 `NumericDate`).
    exp: f64,
    #[serde(default)]
    iat: Option<f64>,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clinic: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audiences: Option<Vec<Box<str>>>,
}

/// `aud` may be a text or a list of texts; the library checks it, this only lets it pass.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What a new token is to say.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    /// Who.
    pub(crate) principal: Principal,
    /// From when.
    pub(crate) issued_at: UtcMillis,
    /// For how long.
    pub(crate) ttl_seconds: i64,
}

/// Why a token counts for nothing. Never says what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// Not a token of ours: form, algorithm, signature, issuer, audience or a claim is wrong.
    #[error("The token is not valid.")]
    Invalid,
    /// Was one.
    #[error("The token has expired.")]
    Expired,
}

/// A token that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the token cannot be signed: {0}")]
pub(crate) struct MintError(String);

/// The word for a role in a token; the engine's own role has none.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Patient => "patient",
        Role::Doctor => "doctor",
        Role::Admin => "admin",
        Role::System => "system",
    }
}

/// The role that a token may name.
pub(crate) fn parse_role(text: &str) -> Option<Role> {
    [Role::Patient, Role::Doctor, Role::Admin].into_iter().find(|role| role_name(*role) == text)
}

/// Signs a token.
pub(crate) fn mint(key: &SigningKey, token: &NewToken) -> Result<String, MintError> {
    let issued_at = token.issued_at.0.div_euclid(1000);
    let principal = &token.principal;
    let claims = serde_json::json!({
        "sub": principal.subject.0,
        "role": role_name(principal.role),
        "iss": HOTSLOT,
        "aud": HOTSLOT,
        "iat": issued_at,
        "exp": issued_at.saturating_add(token.ttl_seconds),
    });
    let serde_json::Value::Object(mut claims) = claims else {
        return Err(MintError("the claims are no object".to_owned()));
    };
    if let Some(clinic) = principal.clinic {
        claims.insert("clinic".to_owned(), serde_json::json!(clinic));
    }
    if !principal.audiences.is_empty() {
        let audiences: Vec<&str> = principal.audiences.iter().map(AsRef::as_ref).collect();
        claims.insert("audiences".to_owned(), serde_json::json!(audiences));
    }
    let key = EncodingKey::from_secret(key.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(|error| MintError(error.to_string()))
}

/// What a token says, its signature, issuer and audience being right.
pub(super) struct Said {
    /// Who.
    pub(super) sub: Uuid,
    /// In which capacity; `None`: there is no such role.
    pub(super) role: Option<Role>,
    /// Until when, in seconds since 1970.
    pub(super) exp: f64,
    /// From when on.
    pub(super) nbf: Option<f64>,
    /// As in [`Principal`].
    pub(super) clinic: Option<Uuid>,
    /// As in [`Principal`], not counted yet.
    pub(super) audiences: Vec<Box<str>>,
}

impl From<Claims> for Said {
    fn from(claims: Claims) -> Self {
        let Claims { sub, exp, nbf, clinic, audiences, .. } = claims;
        Self { sub, role: parse_role(&claims.role), exp, nbf, clinic, audiences: audiences.unwrap_or_default() }
    }
}

/// Checks tokens against one key.
pub(crate) struct Verifier {
    key: DecodingKey,
    validation: Validation,
    usual_form: UsualForm,
    cache: TokenCache,
}

impl Verifier {
    /// Tokens signed with `key` only.
    pub(crate) fn new(key: &SigningKey) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[HOTSLOT]);
        validation.set_audience(&[HOTSLOT]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Time is judged below, by the engine's clock and without leeway.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let usual_form = UsualForm::new(key);
        Self { key: DecodingKey::from_secret(key.as_bytes()), validation, usual_form, cache: TokenCache::default() }
    }

    /// Who `token` speaks for at `now`.
    pub(crate) fn verify(&self, token: &str, now: UtcMillis) -> Result<Arc<Principal>, TokenError> {
        if let Some(cached) = self.cache.get(token) {
            return if now < cached.expires_at { Ok(cached.principal) } else { Err(TokenError::Expired) };
        }
        let (principal, expires_at) = self.decode(token, now)?;
        let principal = Arc::new(principal);
        self.cache.put(token, Cached { principal: Arc::clone(&principal), expires_at }, now);
        Ok(principal)
    }

    fn decode(&self, token: &str, now: UtcMillis) -> Result<(Principal, UtcMillis), TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        let said = match self.usual_form.read(token) {
            Some(said) => said,
            None => jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation)
                .map_err(|_| TokenError::Invalid)?
                .claims
                .into(),
        };
        let role = said.role.ok_or(TokenError::Invalid)?;
        if said.audiences.len() > AUDIENCES_MAX || !said.exp.is_finite() {
            return Err(TokenError::Invalid);
        }
        let millis = |seconds: f64| UtcMillis((seconds * 1000.0) as i64);
        if said.nbf.is_some_and(|from| now < millis(from)) {
            return Err(TokenError::Invalid);
        }
        let expires_at = millis(said.exp);
        if now >= expires_at {
            return Err(TokenError::Expired);
        }
        let subject = SubjectId(said.sub);
        Ok((Principal { subject, role, clinic: said.clinic, audiences: said.audiences.into() }, expires_at))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    const NOW: UtcMillis = UtcMillis(1_800_000_000_000);
    const KEY: [u8; 32] = [42; 32];

    fn claims() -> Value {
        json!({"sub": Uuid::from_u128(5), "role": "patient", "iss": "hotslot", "aud": "hotslot", "iat": 1_799_999_000, "exp": 1_800_000_001})
    }

    fn sign(algorithm: Algorithm, claims: &Value, key: &[u8]) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).expect("signed")
    }

    fn verify(token: &str) -> Result<Arc<Principal>, TokenError> {
        Verifier::new(&SigningKey::from_bytes(KEY)).verify(token, NOW)
    }

    fn verify_with(name: &str, value: Value) -> Result<Arc<Principal>, TokenError> {
        let mut claims = claims();
        claims[name] = value;
        verify(&sign(Algorithm::HS256, &claims, &KEY))
    }

    #[test]
    fn a_token_of_ours_is_accepted_until_it_expires() {
        let principal = Principal {
            subject: SubjectId(Uuid::from_u128(9)),
            role: Role::Doctor,
            clinic: Some(Uuid::from_u128(3)),
            audiences: [Box::from("members")].into(),
        };
        let key = SigningKey::from_bytes(KEY);
        let new = NewToken { principal: principal.clone(), issued_at: NOW, ttl_seconds: 60 };
        let token = mint(&key, &new).expect("minted");
        let verifier = Verifier::new(&key);
        for _ in 0..2 {
            assert_eq!(*verifier.verify(&token, NOW.plus_millis(59_999)).expect("valid"), principal);
            assert_eq!(verifier.verify(&token, NOW.plus_millis(60_000)), Err(TokenError::Expired));
        }
    }

    #[test]
    fn only_hs256_with_our_key_counts() {
        assert!(verify(&sign(Algorithm::HS256, &claims(), &KEY)).is_ok());
        assert_eq!(verify(&sign(Algorithm::HS256, &claims(), &[1; 32])), Err(TokenError::Invalid));
        assert_eq!(verify(&sign(Algorithm::HS384, &claims(), &KEY)), Err(TokenError::Invalid));
        for header in [json!({"alg": "none", "typ": "JWT"}), json!({"alg": "None"}), json!({"typ": "JWT"})] {
            let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            for signature in ["", "AAAA"] {
                let token = format!("{}.{}.{signature}", encode(&header), encode(&claims()));
                assert_eq!(verify(&token), Err(TokenError::Invalid), "{token}");
            }
        }
        for token in ["", ".", "..", "a.b.c", "x"] {
            assert_eq!(verify(token), Err(TokenError::Invalid), "{token}");
        }
    }

    #[test]
    fn every_claim_is_checked() {
        for (name, value) in [
            ("aud", json!("other")),
            ("aud", json!([])),
            ("aud", Value::Null),
            ("iss", json!("other")),
            ("iss", Value::Null),
            ("sub", json!("me")),
            ("sub", Value::Null),
            ("role", json!("root")),
            ("role", json!("system")),
            ("role", json!("Admin")),
            ("role", Value::Null),
            ("exp", Value::Null),
            ("exp", json!("1800000001")),
            ("nbf", json!(1_800_000_001)),
            ("clinic", json!("x")),
            ("audiences", json!("members")),
        ] {
            assert_eq!(verify_with(name, value.clone()), Err(TokenError::Invalid), "{name} {value}");
        }
        assert_eq!(verify_with("exp", json!(1_800_000_000)), Err(TokenError::Expired), "no leeway");
        assert!(verify_with("aud", json!(["hotslot"])).is_ok());
        assert!(verify_with("nbf", json!(1_800_000_000)).is_ok());
        let mut claims = claims();
        claims.as_object_mut().expect("object").remove("exp");
        assert_eq!(verify(&sign(Algorithm::HS256, &claims, &KEY)), Err(TokenError::Invalid));
    }
}
