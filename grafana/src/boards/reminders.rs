//! Are people told in time, over which channel, and what becomes of messages that nobody takes?
//! Must not know: what messages say.

use crate::board::Board;
use crate::panel::{Panel, Unit};
use crate::query::{buckets, each, max_by, quantile_by, rate_by, risen_by, sum, sum_by};

const LATENESS: &str = "hotslot_reminder_lateness_seconds";

pub(crate) fn board() -> Board {
    let description = "Are people told in time, over which channel, and what becomes of messages that nobody takes?";
    Board::new("reminders", "Reminders", "now-6h", description)
        .row("In time", in_time())
        .row("What becomes of them", outcomes())
        .row("Channels", channels())
}

fn in_time() -> Vec<Panel> {
    let within = |suffix: &str| format!("sum(increase({}[$__range]))", each(&format!("{LATENESS}{suffix}")));
    let share = format!("{} / {}", within(r#"_bucket{le="1"}"#), within("_count"));
    vec![
        Panel::number(
            "Sent within a second",
            Unit::Share,
            "Messages of the shown time that were sent within a second of their instant. Promised: 99 %.",
            "Below: which channel, beside it? All of them: the ledger, or shards without an owner.",
        )
        .query(share, "")
        .if_empty("none sent")
        .bad_below(0.99, 0.995)
        .wide(4),
        Panel::heat_map(
            "How late",
            Unit::Seconds,
            "Time from the instant at which a message was due until its provider had taken it.",
            "A band at minutes or hours: something was away, and what was due meanwhile follows now.",
        )
        .query(buckets(LATENESS), "{{le}}")
        .wide(10),
        Panel::lines(
            "p99 by channel",
            Unit::Seconds,
            "99 of 100 messages of each channel were sent within this time of their instant.",
            "One channel: its provider. All: Storage, the ledger.",
        )
        .query(quantile_by(0.99, "channel", LATENESS), "{{channel}}")
        .bad_from(1.0)
        .wide(10),
    ]
}

fn outcomes() -> Vec<Panel> {
    vec![
        Panel::areas(
            "Messages over",
            Unit::PerSecond,
            "Messages that are over, by what became of them. `cancelled`: the visit was moved or cancelled first.",
            "`failed` went on to the next channel, `dead` nowhere: see the channel. `missed`: everything was away for long.",
        )
        .query(rate_by("status", "hotslot_reminders_total"), "{{status}}")
        .wide(6),
        Panel::numbers(
            "Within the shown time",
            Unit::Count,
            "The same, counted.",
            "`dead` and `missed`: somebody was not told. List the dead letters as an administrator.",
        )
        .query(risen_by("status", "hotslot_reminders_total"), "{{status}}")
        .wide(6),
        Panel::number(
            "Dead letters now",
            Unit::Count,
            "Messages that no channel takes.",
            "Correct the address or the channel, then re-drive or discard them.",
        )
        .query(sum("hotslot_reminders_dead"), "")
        .warn_from(1.0)
        .wide(6),
        Panel::numbers(
            "Operators told",
            Unit::Count,
            "Alerts of new dead letters within the shown time: `sent` to an operator, `refused` by a channel, `untold` by all of them.",
            "`refused`: the log says which channel and why. `untold`: nobody has heard; they are tried again with the next alert.",
        )
        .query(risen_by("outcome", "hotslot_reminder_alerts_total"), "{{outcome}}")
        .wide(6),
    ]
}

fn channels() -> Vec<Panel> {
    vec![
        Panel::areas(
            "Sent by channel",
            Unit::PerSecond,
            "Messages that each channel's provider has taken.",
            "A channel that falls to 0 while others go on: its provider.",
        )
        .query(rate_by("channel", r#"hotslot_reminders_total{status="sent"}"#), "{{channel}}"),
        Panel::lines(
            "Waiting for a channel",
            Unit::Count,
            "Messages that are due and wait for their channel. While one waits the others go on.",
            "Rising: the provider is slow, limits us, or is away.",
        )
        .query(max_by("channel", "hotslot_reminder_queue_messages"), "{{channel}}")
        .warn_from(1000.0),
        Panel::lines(
            "Tried again",
            Unit::PerSecond,
            "Attempts that failed and are made again.",
            "The log has the provider's answer.",
        )
        .query(rate_by("channel", "hotslot_reminder_retries_total"), "{{channel}}"),
        Panel::lines(
            "Providers asked",
            Unit::Count,
            "0: the provider is asked. 1: with one message, to see. 2: not, it is away; its messages wait or go to the next channel.",
            "2 for minutes: the provider's status page, credentials, address.",
        )
        .query(max_by("channel", "hotslot_reminder_breaker_state"), "{{channel}}")
        .warn_from(1.0)
        .bad_from(2.0),
        Panel::lines(
            "In memory",
            Unit::Count,
            "Messages of the next two hours that each node has in memory; the rest is in the ledger.",
            "0 on all nodes with visits to come: reminders do not run.",
        )
        .query(each("hotslot_reminders_in_wheel"), "{{instance}}"),
        Panel::numbers(
            "Over, by channel",
            Unit::Count,
            "Messages since the nodes started, by channel, whatever became of them.",
            "Nothing by itself.",
        )
        .query(sum_by("channel", "hotslot_reminders_total"), "{{channel}}"),
    ]
}
