//! How many connections of each pool are in use, asked when somebody wants to know.
//! Must not know: what the pools are asked for, who scrapes.

use std::sync::Mutex;

use sqlx::{Database, Pool};

use super::catalogue as names;

/// What a pool says of itself; `None` once it is closed.
type Look = Box<dyn Fn() -> Option<Use> + Send>;

/// Connections of one pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Use {
    open: u32,
    idle: u32,
    max: u32,
}

/// The pools of this process, as the recorder of metrics is of the process. A closed one is forgotten.
static WATCHED: Mutex<Vec<(&'static str, Look)>> = Mutex::new(Vec::new());

/// Has `pool` shown as `name`, one of [`names::POOLS`], until it is closed.
pub(crate) fn watch<DB: Database>(name: &'static str, pool: &Pool<DB>) {
    let pool = pool.clone();
    let look = move || {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        let found = Use { open: pool.size(), idle, max: pool.options().get_max_connections() };
        (!pool.is_closed()).then_some(found)
    };
    if let Ok(mut watched) = WATCHED.lock() {
        watched.retain(|(_, look)| look().is_some());
        watched.push((name, Box::new(look)));
    }
}

/// Sets the gauges.
pub(crate) fn report() {
    let Ok(watched) = WATCHED.lock() else { return };
    for name in names::POOLS {
        let found = watched.iter().filter(|(known, _)| known == name).filter_map(|(_, look)| look());
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
