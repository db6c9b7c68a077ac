//! What is durable and what follows it: journal, ledger, the connections to both, and the feed.
//! Must not know: which store is behind a figure.

use crate::board::Board;
use crate::panel::{Panel, Unit};
use crate::query::{buckets, each, max, max_by, mean, quantile, rate_by, risen, risen_by, sum_by};

pub(crate) fn board() -> Board {
    let description = "What is durable and what follows it: journal, ledger, the connections to both, and the feed.";
    Board::new("storage", "Storage", "now-1h", description)
        .row("Journal", [commits(), records()].concat())
        .row("Ledger", ledger())
        .row("Connections", connections())
        .row("Feed", feed())
}

fn commits() -> Vec<Panel> {
    vec![
        Panel::heat_map(
            "Time of a group commit",
            Unit::Seconds,
            "How long group commits take; every answer waits for one.",
            "A band that climbs: the disk, the standby's network, or Redis' replica.",
        )
        .query(buckets("hotslot_journal_commit_duration_seconds"), "{{le}}"),
        Panel::lines(
            "Group commit and its sync",
            Unit::Seconds,
            "The whole commit, and the step that makes it durable.",
            "Both high: the store. The commit alone: claims of other days, or the processors.",
        )
        .query(quantile(0.99, "hotslot_journal_commit_duration_seconds"), "commit p99")
        .query(quantile(0.99, "hotslot_journal_sync_duration_seconds"), "sync p99")
        .query(quantile(0.5, "hotslot_journal_commit_duration_seconds"), "commit p50")
        .query(quantile(0.5, "hotslot_journal_sync_duration_seconds"), "sync p50")
        .bad_from(0.1),
        Panel::lines(
            "Records a commit",
            Unit::Count,
            "How many records become durable at once: the mean, and 99 of 100.",
            "Rises with the load, and that is right: commits take as long for many as for one.",
        )
        .query(mean("hotslot_journal_commit_records"), "mean")
        .query(quantile(0.99, "hotslot_journal_commit_records"), "p99"),
    ]
}

fn records() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Not durable yet",
            Unit::Count,
            "Records decided and not durable, and those of them that wait for the next commit.",
            "Above 4,096 for a minute: more is decided than the store takes.",
        )
        .query(max("hotslot_journal_lag_records"), "decided")
        .query(max("hotslot_journal_queue_records"), "waiting")
        .warn_from(4096.0),
        Panel::lines(
            "Age of the commit under way",
            Unit::Seconds,
            "How long the group commit under way has taken; 0 without one.",
            "Above a second: the journal does not answer, and bookings wait. Is it away, or in a failover?",
        )
        .query(each("hotslot_journal_lag_seconds"), "{{instance}}")
        .bad_from(1.0),
        Panel::lines(
            "Records made durable",
            Unit::PerSecond,
            "How fast the journal grows.",
            "0 with traffic: nothing is written; see failures.",
        )
        .query(format!("sum(deriv({}[$__rate_interval]))", each("hotslot_journal_position")), "records")
        .signed(),
        Panel::areas(
            "Appends that failed",
            Unit::PerSecond,
            "Appends that were not acknowledged, by kind.",
            "`failed`: the store refuses (full, read-only). `unknown`: it does not say; settled by itself. \
             `poisoned`: the node restarts. `stale_epoch`: another node has the shard. `conflict`: page. \
             `blocked`: claims of other days, normal in a race.",
        )
        .query(rate_by("kind", "hotslot_journal_failures_total"), "{{kind}}"),
        Panel::numbers(
            "After a failover of Redis",
            Unit::Count,
            "Records within the shown time that were put back, those of a branch that ended, and what came of these when \
             they were asked for again.",
            "Put back: nothing. Lost: page; the log names them. Broken: page; call those patients, `hotslot verify` \
             names the appointments.",
        )
        .query(risen("hotslot_journal_repaired_records_total"), "put back")
        .query(risen("hotslot_journal_lost_records_total"), "lost")
        .query(risen("hotslot_journal_restored_records_total"), "restored")
        .query(risen("hotslot_journal_unrestored_records_total"), "broken"),
    ]
}

fn ledger() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Records behind",
            Unit::Count,
            "Durable records that the ledger does not have, and the bound past which bookings are shed.",
            "Up to a quarter of the bound in a burst on purpose. Half of it for minutes: the database of the ledger.",
        )
        .query(max("hotslot_ledger_lag_records"), "behind")
        .query(max(r#"hotslot_queue_bound{queue="ledger"}"#), "bound"),
        Panel::lines(
            "Seconds behind",
            Unit::Seconds,
            "Age of the oldest record that the ledger does not have.",
            "Above 30 s: it does not keep up, or is away. Retries say which.",
        )
        .query(each("hotslot_ledger_lag_seconds"), "{{instance}}")
        .warn_from(15.0)
        .bad_from(30.0),
        Panel::lines(
            "Changes kept in memory",
            Unit::Count,
            "Durable changes that readers find in memory until the ledger has them.",
            "Follows the records behind. Growing alone: report it.",
        )
        .query(each("hotslot_overlay_entries"), "{{instance}}"),
        Panel::lines(
            "Time of a transaction",
            Unit::Seconds,
            "One transaction of the ledger.",
            "Above a second: locks, autovacuum, the disk.",
        )
        .query(quantile(0.5, "hotslot_ledger_apply_duration_seconds"), "p50")
        .query(quantile(0.99, "hotslot_ledger_apply_duration_seconds"), "p99")
        .warn_from(1.0),
        Panel::lines(
            "Records a transaction",
            Unit::Count,
            "Records applied in one transaction: the mean, and 99 of 100.",
            "Few at a time while it is behind: transactions are slow to begin.",
        )
        .query(mean("hotslot_ledger_batch_records"), "mean")
        .query(quantile(0.99, "hotslot_ledger_batch_records"), "p99"),
        Panel::numbers(
            "Trouble",
            Unit::Count,
            "Transactions tried again within the shown time, and days whose records the ledger refuses now.",
            "Retries: the database's log. Days refused: page; the log names day and record, `hotslot verify` what is \
             wrong.",
        )
        .query(risen("hotslot_ledger_retries_total"), "tried again")
        .query(max("hotslot_ledger_parked_days"), "days refused now")
        .warn_from(1.0),
    ]
}

fn connections() -> Vec<Panel> {
    let used = sum_by("pool", r#"hotslot_pool_connections{state="in_use"}"#);
    let share = format!("{used} / ({} > 0)", sum_by("pool", "hotslot_pool_connections_max"));
    vec![
        Panel::lines(
            "Pools, of their bounds",
            Unit::Share,
            "Connections of each pool to a database that are in use.",
            "100 % for a minute: readers wait. Slow statements first, then more connections.",
        )
        .query(share, "{{pool}}")
        .warn_from(0.8)
        .up_to(1.0),
        Panel::areas("Connections", Unit::Count, "Connections of each pool, by use.", "As beside it.")
            .query(sum_by("pool, state", "hotslot_pool_connections"), "{{pool}} {{state}}"),
        Panel::lines(
            "Calls to Redis under way",
            Unit::Count,
            "Calls to Redis that are not answered yet, by the connection's purpose. 0 without Redis.",
            "Piling up: Redis blocks (a save, a slow script), or is away.",
        )
        .query(max_by("lane", "hotslot_redis_calls_in_flight"), "{{lane}}"),
    ]
}

fn feed() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Events told",
            Unit::PerSecond,
            "Events that each sink has taken.",
            "0 while days change and a sink is set: see what it is behind.",
        )
        .query(rate_by("sink", "hotslot_feed_published_total"), "{{sink}}"),
        Panel::lines(
            "Seconds behind",
            Unit::Seconds,
            "Age of the oldest event that a sink has not been told.",
            "Above a minute: its server. With a Redis journal before its memory is full.",
        )
        .query(max_by("sink", "hotslot_feed_lag_seconds"), "{{sink}}")
        .warn_from(60.0),
        Panel::lines(
            "Records behind",
            Unit::Count,
            "Durable records since everything was told: an upper bound of what the sink lacks.",
            "As beside it.",
        )
        .query(sum_by("sink", "hotslot_feed_lag_records"), "{{sink}}"),
        Panel::lines(
            "Tried again",
            Unit::PerSecond,
            "Times that a sink, or what is read for it, was away. Nothing is lost.",
            "The log says why.",
        )
        .query(rate_by("sink", "hotslot_feed_retries_total"), "{{sink}}"),
        Panel::numbers(
            "Dead letters",
            Unit::Count,
            "Events within the shown time that can never be told.",
            "`deploy/EVENTS.md` says where they are. A limit on message sizes, or a damaged record.",
        )
        .query(risen_by("sink", "hotslot_feed_dead_total"), "{{sink}}")
        .bad_from(1.0),
        Panel::lines(
            "Journal's position",
            Unit::Count,
            "Position of the last durable record, as each node knows it.",
            "A node that stands still while others rise has nothing to do, or is cut off.",
        )
        .query(each("hotslot_journal_position"), "{{instance}}"),
    ]
}
