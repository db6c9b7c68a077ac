//! What is over is forgotten: keys whose answers concern no date to come, raw and lost records of such days.
//! Must not know: when it is asked to.

use booking_core::Date;

use super::apply::transact;
use super::statement::Statement;
use super::{Dialect, Writer, lost};
use crate::ledger::ApplyError;

/// Rows that are forgotten in one transaction: some milliseconds.
const FORGOTTEN_AT_ONCE: u64 = 4_096;

/// Told before the first row goes, so that an audit never misses what was forgotten in part.
const TELL_FORGOTTEN: &str = "UPDATE won_key_bounds SET forgotten_before = $1 \
                              WHERE forgotten_before IS NULL OR forgotten_before < $1";

/// Forgets what concerns no date from `before` on; returns how many keys that were.
pub(in crate::ledger) async fn forget<D: Dialect>(writer: &Writer<D>, before: Date) -> Result<u64, ApplyError> {
    transact(writer, async |connection: &mut D::Connection| {
        let told = D::execute(connection, Statement::new(TELL_FORGOTTEN).bind(before.days())).await;
        told.map(drop).map_err(|error| D::apply_error("forgotten keys", &error))
    })
    .await?;
    crash_point!(LedgerForgetTold);
    let keys = in_bounded_steps(writer, D::FORGET_KEYS, before).await?;
    if writer.keeps_raw {
        in_bounded_steps(writer, D::FORGET_RAW, before).await?;
        in_bounded_steps(writer, lost::FORGET, before).await?;
    }
    Ok(keys)
}

/// Runs `text` until it finds less than it may delete; the number of rows that are gone.
async fn in_bounded_steps<D: Dialect>(writer: &Writer<D>, text: &'static str, before: Date) -> Result<u64, ApplyError> {
    let mut forgotten = 0;
    loop {
        let mut gone = 0;
        transact(writer, async |connection: &mut D::Connection| {
            let statement = Statement::new(text).bind(before.days()).bind(FORGOTTEN_AT_ONCE);
            let done = D::execute(connection, statement).await;
            gone = done.map_err(|error| D::apply_error("what is over", &error))?;
            Ok(())
        })
        .await?;
        forgotten += gone;
        if gone < FORGOTTEN_AT_ONCE {
            return Ok(forgotten);
        }
    }
}
