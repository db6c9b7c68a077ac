//! Bearer tokens of everyone in a run, signed with the server's own key.
//! Must not know: requests, journeys.

use std::path::{Path, PathBuf};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use crate::clock;

/// Length of the signing key, in raw bytes.
const KEY_BYTES: usize = 32;
/// How long a token is good for, in seconds; longer than any run that somebody waits for.
const TOKEN_SECONDS: u64 = 24 * 3600;
/// Both `iss` and `aud` of every token.
const AUDIENCE: &str = "hotslot";

/// Why there are no tokens.
#[derive(Debug, Error)]
pub(crate) enum TokenError {
    /// The key file cannot be read.
    #[error("--key-file {path}: {source}")]
    KeyUnreadable {
        /// As given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The key file is no key of ours.
    #[error("--key-file {path}: {length} bytes long, a key is {KEY_BYTES} raw bytes")]
    KeyLength {
        /// As given.
        path: PathBuf,
        /// What it has.
        length: usize,
    },
    /// Signing failed.
    #[error("cannot sign a token: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Books for itself.
    Patient,
    /// Publishes its own days and reads them.
    Doctor,
    /// Sets up, and reads everything.
    Admin,
}

#[derive(Serialize)]
struct Claims {
    sub: Uuid,
    role: Role,
    iss: &'static str,
    aud: &'static str,
    iat: u64,
    exp: u64,
}

/// Makes tokens. Has no `Debug`, so that the key cannot be printed.
pub(crate) struct Mint {
    key: EncodingKey,
    header: Header,
}

impl Mint {
    /// Reads the key: exactly 32 raw bytes.
    pub(crate) fn from_key_file(path: &Path) -> Result<Self, TokenError> {
        let bytes =
            std::fs::read(path).map_err(|source| TokenError::KeyUnreadable { path: path.to_owned(), source })?;
        if bytes.len() != KEY_BYTES {
            return Err(TokenError::KeyLength { path: path.to_owned(), length: bytes.len() });
        }
        Ok(Self { key: EncodingKey::from_secret(&bytes), header: Header::new(Algorithm::HS256) })
    }

    /// A token of this subject.
    pub(crate) fn token(&self, sub: Uuid, role: Role) -> Result<Box<str>, TokenError> {
        let iat = clock::wall_seconds();
        let claims = Claims { sub, role, iss: AUDIENCE, aud: AUDIENCE, iat, exp: iat + TOKEN_SECONDS };
        Ok(jsonwebtoken::encode(&self.header, &claims, &self.key)?.into_boxed_str())
    }
}

/// An id never seen before: a patient, an idempotency key, the name of a run.
#[expect(clippy::disallowed_methods, reason = "a driver from outside has no id port; its people are new each run")]
pub(crate) fn fresh_id() -> Uuid {
    Uuid::new_v4()
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    fn key_file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn the_key_verifies_what_was_minted_with_it() {
        let key = [7; KEY_BYTES];
        let mint = Mint::from_key_file(key_file(&key).path()).unwrap();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[AUDIENCE]);
        let subject = fresh_id();
        for (role, name) in [(Role::Patient, "patient"), (Role::Doctor, "doctor"), (Role::Admin, "admin")] {
            let token = mint.token(subject, role).unwrap();
            let key = DecodingKey::from_secret(&key);
            let decoded = jsonwebtoken::decode::<serde_json::Value>(&*token, &key, &validation).unwrap();
            assert_eq!((&decoded.claims["sub"], &decoded.claims["role"]), (&subject.to_string().into(), &name.into()));
        }
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let short = key_file(&[1; 31]);
        assert!(matches!(Mint::from_key_file(short.path()), Err(TokenError::KeyLength { length: 31, .. })));
        let missing = Path::new("no/such/jwt.key");
        assert!(matches!(Mint::from_key_file(missing), Err(TokenError::KeyUnreadable { .. })));
    }
}
