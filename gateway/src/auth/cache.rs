//! Tokens that were verified already: a booking storm repeats them, and a signature costs more than a look-up.
//! Must not know: how a token is verified. Failures are never kept.

use std::hash::BuildHasher;
use std::sync::Arc;

use booking_core::UtcMillis;
use foldhash::HashMap;
use foldhash::fast::RandomState;
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

/// The last bytes of a token: of its signature, which alone tells tokens apart.
type Tail = [u8; 16];

/// A token that is kept.
struct Kept {
    /// The whole of it: whoever has the same tail by chance, or on purpose, is not taken for this one.
    token: Box<str>,
    cached: Cached,
}

/// A bounded map from tokens to what they say. Found by its tail and compared whole, so two tokens never mix.
pub(crate) struct TokenCache {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Tail, Kept>>>,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self { hasher: RandomState::default(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl TokenCache {
    /// What is known of `token`, expired or not.
    pub(crate) fn get(&self, token: &str) -> Option<Cached> {
        let tail = tail_of(token)?;
        let shard = self.shard(&tail).lock();
        shard.get(&tail).filter(|kept| *kept.token == *token).map(|kept| kept.cached.clone())
    }

    /// Keeps `token`. A full shard drops what has expired at `now`, or, if nothing has, everything: filling up again
    /// costs one signature each, and no list of ages has to be kept on the hot path.
    pub(crate) fn put(&self, token: &str, cached: Cached, now: UtcMillis) {
        let Some(tail) = tail_of(token) else { return };
        let mut shard = self.shard(&tail).lock();
        if shard.len() >= TOKENS_PER_SHARD_MAX {
            shard.retain(|_, kept| now < kept.cached.expires_at);
            if shard.len() >= TOKENS_PER_SHARD_MAX {
                shard.clear();
            }
        }
        shard.insert(tail, Kept { token: token.into(), cached });
    }

    fn shard(&self, tail: &Tail) -> &Mutex<HashMap<Tail, Kept>> {
        &self.shards[self.hasher.hash_one(tail) as usize % SHARDS]
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

/// `None` for a text that is too short to be a token.
fn tail_of(token: &str) -> Option<Tail> {
    token.as_bytes().last_chunk().copied()
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

    #[test]
    fn tokens_with_the_same_end_are_not_mixed() {
        let cache = TokenCache::default();
        cache.put("one.0123456789abcdef", cached(1, 10), UtcMillis(0));
        assert!(cache.get("two.0123456789abcdef").is_none());
        cache.put("two.0123456789abcdef", cached(2, 10), UtcMillis(0));
        let known = cache.get("two.0123456789abcdef").expect("kept");
        assert_eq!(known.principal.subject.0, Uuid::from_u128(2));
        assert!(cache.get("one.0123456789abcdef").is_none(), "the later one is kept");
    }
}
