//! Reminders: who is told of a visit, when, over which channel.
//! Must not know: HTTP, SQL.

pub mod actor;
pub mod alerts;
pub mod breaker;
pub mod check;
pub mod courier;
pub mod delivery;
mod lane;
pub mod meters;
pub mod notices;
pub mod plan;
pub mod policy;
pub mod quiet;
pub mod retry;
mod scout;
pub mod wheel;
mod work;

pub use self::alerts::{Alarm, Alert};
pub use self::courier::{Capacity, Courier, Delivered, Letter, OpenCouriers, Ways};
pub use self::notices::Notices;
pub(crate) use self::work::Sending;
pub use self::work::{Parts, alone};
