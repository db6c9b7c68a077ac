//! Histories of doctor-days: what a log of calls holds, one history for each day of it, and what a day does one call after another.
//! Must not know: HTTP, how the program decides. Written from the contract alone.

pub mod history;
mod known;
pub mod log;
pub mod model;
pub mod operation;
pub mod partition;
pub mod report;

pub use history::DayHistory;
pub use log::{Answer, Call, Code, Log, OPEN, Record, Row, Status};
pub use partition::{PartitionError, histories};
pub use report::{Checked, Finding, check_day, check_days};
