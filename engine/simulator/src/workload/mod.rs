//! Who asks for what: a small clinic with too few places, its patients, and somebody who publishes its days.
//! Must not know: what the right answers are.

mod admin;
mod client;
mod clinic;
mod wish;

pub use self::admin::Admin;
pub use self::client::Client;
pub use self::clinic::{Clinic, Hold, Plan};
pub(crate) use self::clinic::{FIRST_DAY, doctor, patient};
pub(crate) use self::wish::with_key;
