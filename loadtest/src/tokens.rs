//! Who presses: patients with fresh identities, and the bearer tokens of patients and of the auditing admin.
//! Must not know: requests, connections, outcomes.

use std::path::{Path, PathBuf};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use crate::driver::clock;

/// Length of the signing key, in raw bytes.
const KEY_BYTES: usize = 32;
/// How long a token is good for, in seconds; longer than any bounded run.
const TOKEN_SECONDS: u64 = 6 * 3600;
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
    /// A minting thread died.
    #[error("a minting thread panicked")]
    Panicked,
}

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Books for itself.
    Patient,
    /// Reads everything.
    Admin,
}

/// One who presses.
pub(crate) struct Patient {
    /// The token's subject, and so the appointment's patient. Never seen before this run.
    pub(crate) id: Uuid,
    /// The bearer token.
    pub(crate) token: Box<str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: Uuid,
    role: Role,
    iss: &'static str,
    aud: &'static str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    audiences: &'a [String],
}

/// Makes tokens with the server's own key. Has no `Debug`, so that the key cannot be printed.
pub(crate) struct Mint {
    key: EncodingKey,
    header: Header,
    issued_at_seconds: u64,
    audiences: Vec<String>,
}

impl Mint {
    /// Reads the key: exactly 32 raw bytes.
    pub(crate) fn from_key_file(path: &Path) -> Result<Self, TokenError> {
        let bytes =
            std::fs::read(path).map_err(|source| TokenError::KeyUnreadable { path: path.to_owned(), source })?;
        if bytes.len() != KEY_BYTES {
            return Err(TokenError::KeyLength { path: path.to_owned(), length: bytes.len() });
        }
        Ok(Self {
            key: EncodingKey::from_secret(&bytes),
            header: Header::new(Algorithm::HS256),
            issued_at_seconds: clock::wall_seconds(),
            audiences: Vec::new(),
        })
    }

    /// The same, whose patients belong to these audiences.
    pub(crate) fn with_audiences(self, audiences: Vec<String>) -> Self {
        Self { audiences, ..self }
    }

    /// The audiences that its patients belong to.
    pub(crate) fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// A token for a fresh admin.
    pub(crate) fn admin(&self) -> Result<Box<str>, TokenError> {
        self.token(fresh_id(), Role::Admin)
    }

    /// `count` fresh patients with their tokens, minted on `threads` threads. Takes about 300 bytes a patient.
    pub(crate) fn patients(&self, count: usize, threads: usize) -> Result<Vec<Patient>, TokenError> {
        let share = count.div_ceil(threads.max(1)).max(1);
        let parts = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..count)
                .step_by(share)
                .map(|first| scope.spawn(move || self.some_patients(share.min(count - first))))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().map_err(|_| TokenError::Panicked)?)
                .collect::<Result<Vec<_>, TokenError>>()
        })?;
        Ok(parts.into_iter().flatten().collect())
    }

    fn some_patients(&self, count: usize) -> Result<Vec<Patient>, TokenError> {
        let one = || {
            let id = fresh_id();
            Ok(Patient { id, token: self.token(id, Role::Patient)? })
        };
        (0..count).map(|_| one()).collect()
    }

    fn token(&self, sub: Uuid, role: Role) -> Result<Box<str>, TokenError> {
        let (iat, exp) = (self.issued_at_seconds, self.issued_at_seconds + TOKEN_SECONDS);
        let audiences = if matches!(role, Role::Patient) { &*self.audiences } else { &[] };
        let claims = Claims { sub, role, iss: AUDIENCE, aud: AUDIENCE, iat, exp, audiences };
        Ok(jsonwebtoken::encode(&self.header, &claims, &self.key)?.into_boxed_str())
    }
}

#[expect(clippy::disallowed_methods, reason = "a driver from outside has no id port; its patients are new each run")]
fn fresh_id() -> Uuid {
    Uuid::new_v4()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    fn key_file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn every_patient_gets_a_token_of_its_own_that_the_key_verifies() {
        let key = [7; KEY_BYTES];
        let mint = Mint::from_key_file(key_file(&key).path()).unwrap();
        let patients = mint.patients(101, 3).unwrap();
        assert_eq!(patients.iter().map(|patient| patient.id).collect::<HashSet<_>>().len(), 101);
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[AUDIENCE]);
        for patient in &patients {
            let token = &*patient.token;
            let decoded =
                jsonwebtoken::decode::<serde_json::Value>(token, &DecodingKey::from_secret(&key), &validation).unwrap();
            assert_eq!(decoded.claims["sub"], patient.id.to_string());
            assert_eq!(decoded.claims["role"], "patient");
        }
    }

    #[test]
    fn any_number_of_patients_and_threads_goes_together() {
        let mint = Mint::from_key_file(key_file(&[1; KEY_BYTES]).path()).unwrap();
        for (count, threads) in [(0, 2), (1, 4), (5, 0), (7, 3)] {
            assert_eq!(mint.patients(count, threads).unwrap().len(), count);
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
