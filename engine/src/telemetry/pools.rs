//! How many connections of each pool are in use, asked when somebody wants to know.
//! Must not know: what the pools are asked for, who scrapes.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use sqlx::{Database, Pool};

use super::catalogue as names;

/// Asks a pool how it is used.
type Look = Box<dyn Fn() -> Use + Send>;

/// Connections of one pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Use {
    open: u32,
    idle: u32,
    max: u32,
}

/// The pools of this process, as the recorder of metrics is of the process.
static WATCHED: Mutex<BTreeMap<u64, (&'static str, Look)>> = Mutex::new(BTreeMap::new());

/// A pool that is shown until this is dropped. Whoever owns the pool keeps it, so that the pool is not kept from its end.
#[derive(Debug)]
#[must_use]
pub(crate) struct Watched(u64);

impl Drop for Watched {
    fn drop(&mut self) {
        // Out of the lock first: what is dropped with it is the pool's business.
        let gone = WATCHED.lock().remove(&self.0);
        drop(gone);
    }
}

/// Has `pool` shown as `name`, one of [`names::POOLS`].
pub(crate) fn watch<DB: Database>(name: &'static str, pool: &Pool<DB>) -> Watched {
    let pool = pool.clone();
    let look = move || {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Use { open: pool.size(), idle, max: pool.options().get_max_connections() }
    };
    let mut watched = WATCHED.lock();
    let number = watched.last_key_value().map_or(0, |(last, _)| last + 1);
    watched.insert(number, (name, Box::new(look)));
    Watched(number)
}

/// Sets the gauges.
pub(crate) fn report() {
    let watched = WATCHED.lock();
    for name in names::POOLS {
        let found = watched.values().filter(|(known, _)| known == name).map(|(_, look)| look());
        let sum = found.fold(Use::default(), |sum, one| Use {
            open: sum.open + one.open,
            idle: sum.idle + one.idle,
            max: sum.max + one.max,
        });
        let in_use = sum.open.saturating_sub(sum.idle);
        metrics::gauge!(names::POOL_CONNECTIONS, "pool" => *name, "state" => "in_use").set(f64::from(in_use));
        metrics::gauge!(names::POOL_CONNECTIONS, "pool" => *name, "state" => "idle").set(f64::from(sum.idle));
        metrics::gauge!(names::POOL_CONNECTIONS_MAX, "pool" => *name).set(f64::from(sum.max));
    }
}
