//! The harness of the black-box tests: starts the real program and talks to it over HTTP, as anybody could.
//! Must not know: anything of the engine or the gateway beyond their published contract.

pub mod call;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod collector;
pub mod crowd;
pub mod disk;
pub mod history;
pub mod limits;
pub mod places;
pub mod plan;
#[path = "../../engine/src/testing/points.rs"]
pub mod points;
pub mod program;
pub mod reply;
pub mod server;
pub mod sources;
pub mod stores;
pub mod token;
pub mod wish;

pub use call::Call;
pub use client::Client;
pub use clock::{Dice, Stopwatch, fresh_id, now};
pub use crowd::{at_once, eventually, wall_clock_reaches};
pub use plan::{Day, Plan, days_ahead, instant, next_whole_second, text_of, today};
pub use points::Point;
pub use reply::{Reply, codes, count_of, instant_of, keys_of};
pub use server::{Death, Exit, Launch, Server};
pub use stores::{Profile, Stores};
pub use token::{Claims, Signer, claims_of};
pub use wish::Wish;
