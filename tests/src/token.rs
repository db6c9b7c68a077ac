//! Bearer tokens made from the data directory's key, as an identity service beside the program would make them.
//! Must not know: how the program checks them.

use std::path::Path;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

use crate::clock::now;

/// The claims of one token; what is not said has the contract's value.
#[derive(Clone, Debug)]
pub struct Claims(Value);

impl Claims {
    /// Claims of a subject in a role, valid for an hour.
    pub fn of(role: &str, subject: &str) -> Self {
        let second = now().as_second();
        Self(json!({
            "sub": subject, "role": role, "iss": "hotslot", "aud": "hotslot", "iat": second, "exp": second + 3600,
        }))
    }

    /// Sets one claim to another value.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }

    /// Leaves one claim out.
    pub fn without(mut self, name: &str) -> Self {
        self.0.as_object_mut().expect("claims are an object").remove(name);
        self
    }
}

/// The claims of a token that the key of this data directory has signed; a failed test if it has not.
#[track_caller]
pub fn claims_of(directory: &Path, token: &str) -> Value {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_audience(&["hotslot"]);
    rules.set_issuer(&["hotslot"]);
    let key = DecodingKey::from_secret(&key_of(directory));
    jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap_or_else(|error| panic!("{token:?}: {error}")).claims
}

fn key_of(directory: &Path) -> Vec<u8> {
    let path = directory.join("jwt.key");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Signs tokens with one key.
#[derive(Clone)]
pub struct Signer(EncodingKey);

impl Signer {
    /// The key that the program keeps in this data directory.
    pub fn of_directory(directory: &Path) -> Self {
        Self::of_key(&key_of(directory))
    }

    /// Any key.
    pub fn of_key(key: &[u8]) -> Self {
        Self(EncodingKey::from_secret(key))
    }

    /// A token over these claims, HS256.
    pub fn sign(&self, claims: &Claims) -> String {
        self.sign_as(Algorithm::HS256, claims)
    }

    /// A token over these claims with another algorithm of the same family.
    pub fn sign_as(&self, algorithm: Algorithm, claims: &Claims) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), &claims.0, &self.0).expect("claims can be signed")
    }
}
