//! What the interface does with requests and texts that are made from good ones: for as long as `HOTSLOT_FUZZ_SECONDS` says, a
//! minute each. A failure names the words that repeat it.
//! Must not know: which call takes what, but for a good example of each.

/// The same file as the core's targets have.
#[path = "../../engine/core/tests/rules/fuzz/plan.rs"]
mod plan;
mod requests;
mod shapes;
mod texts;
mod world;

use self::plan::{Dice, Plan};

/// How `case` of the target `name` is tried again.
fn again(plan: &Plan, name: &str, case: u64) -> String {
    plan.again(case, &format!("cargo test -p gateway --lib fuzz::{name}"))
}
