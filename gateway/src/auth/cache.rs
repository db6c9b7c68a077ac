//! Tokens that were verified already: a booking storm repeats them, and a signature costs more than a look-up.
//! Must not know: how a token is verified. Failures are never kept.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use booking_core::UtcMillis;
use parking_lot::Mutex;

use super::Principal;

/// So many locks, that the few HTTP workers seldom meet at one.
const SHARDS: usize = 32;
/// Most tokens a shard keeps: 65,536 in all, at about 0.6 KB each some 40 MB, and enough for the patients of a big
/// release. Only holders of valid tokens can fill it.
const TOKENS_PER_SHARD_MAX: usize = 2_048;

/// What is known of a valid token.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    /// Who it speaks for.
    pub(crate) principal: Arc<Principal>,
    /// From when on it counts for nothing.
    pub(crate) expires_at: UtcMillis,
}

/// A bounded map from the whole token to what it says. Looked up by the token itself, so two tokens never mix.
pub(crate) struct TokenCache {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Box<str>, Cached, RandomState>>>,
}

impl Default for TokenCache {
    fn default() -> Self {
        let hasher = RandomState::new();
        let shards = (0..SHARDS).map(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))).collect();
        Self { hasher, shards }
    }
}

impl TokenCache {
    /// What is known of `token`, expired or not.
    pub(crate) fn get(&self, token: &str) -> Option<Cached> {
        self.shard(token).lock().get(token).cloned()
    }

    /// Keeps `token`. A full shard drops what has expired at `now`, or, if nothing has, everything: filling up again
    /// costs one signature each, and no list of ages has to be kept on the hot path.
    pub(crate) fn put(&self, token: &str, cached: Cached, now: UtcMillis) {
        let mut shard = self.shard(token).lock();
        if shard.len() >= TOKENS_PER_SHARD_MAX {
            shard.retain(|_, kept| now < kept.expires_at);
            if shard.len() >= TOKENS_PER_SHARD_MAX {
                shard.clear();
            }
        }
        shard.insert(token.into(), cached);
    }

    fn shard(&self, token: &str) -> &Mutex<HashMap<Box<str>, Cached, RandomState>> {
        // The last bytes are the signature: they alone tell tokens apart.
        let tail = &token.as_bytes()[token.len().saturating_sub(8)..];
        &self.shards[self.hasher.hash_one(tail) as usize % SHARDS]
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use booking_core::{Role, SubjectId};
    use uuid::Uuid;

    use super::*;

    fn cached(number: u128, expires_at: i64) -> Cached {
        let principal = Principal {
            subject: SubjectId(Uuid::from_u128(number)),
            role: Role::Patient,
            clinic: None,
            audiences: [].into(),
        };
        Cached { principal: Arc::new(principal), expires_at: UtcMillis(expires_at) }
    }

    #[test]
    fn it_never_keeps_more_than_its_bound() {
        let cache = TokenCache::default();
        for number in 0..200_000 {
            cache.put(&format!("token-{number:020}"), cached(number, 10), UtcMillis(0));
        }
        assert!(cache.len() <= SHARDS * TOKENS_PER_SHARD_MAX);
        let last = cache.get(&format!("token-{:020}", 199_999)).expect("the newest is kept");
        assert_eq!(last.principal.subject.0, Uuid::from_u128(199_999));
        assert!(cache.get("token").is_none());
    }
}
