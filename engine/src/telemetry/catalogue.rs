//! Every metric of the product, declared once: name, kind, unit, help, labels, buckets.
//! Must not know: who measures, who scrapes. No doctor, day or patient is ever a label.

/// The kind of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only rises; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution over [`Metric::buckets`].
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Prometheus name, unit last (`_seconds`, `_bytes`, `_total`).
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// What it means and, for an operator, what to do about it.
    pub help: &'static str,
    /// Each label with all the values it can have; series are exported as 0 in advance.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// Upper bounds of a histogram's buckets, in the metric's unit; empty otherwise.
    pub buckets: &'static [f64],
}

/// Latencies in seconds, dense from 50 µs to 1 s.
pub const LATENCY_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1,
    0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// Stages of a booking in seconds: some take a microsecond, and the whole up to seconds.
pub const STAGE_BUCKETS: &[f64] = &[
    0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.003,
    0.005, 0.007_5, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
];

/// Sizes of batches and queues.
pub const SIZE_BUCKETS: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];

macro_rules! catalogue {
    ($($const:ident = $name:literal $kind:ident [$($label:literal : $values:expr),*] $buckets:expr, $help:literal;)*) => {
        $(#[doc = $help] pub const $const: &str = $name;)*

        /// Every metric, in the order in which a booking meets them.
        pub const CATALOGUE: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind, help: $help, labels: &[$(($label, $values)),*], buckets: $buckets },)*
        ];
    };
}

/// How a booking or hold ended: `won`, or the code of the refusal.
pub const BOOKING_OUTCOMES: &[&str] = &[
    "won",
    "replayed",
    "not_found",
    "not_released",
    "closed",
    "slot_taken",
    "sold_out",
    "already_booked",
    "key_reused",
    "too_many_keys",
    "overloaded",
    "unavailable",
    "internal",
];
/// How a move between days ended.
pub const MOVE_OUTCOMES: &[&str] = &["moved", "refused", "unavailable", "unknown"];
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "other"];
const STATUS_CLASSES: &[&str] = &["2xx", "3xx", "4xx", "5xx"];
const LIMIT_KINDS: &[&str] = &["subject", "address"];
/// Why an append was not acknowledged; `stale_epoch`: another node has the shard, `blocked`: claims of other days stood in the way.
pub const JOURNAL_FAILURES: &[&str] = &["failed", "unknown", "poisoned", "conflict", "stale_epoch", "blocked"];
/// The stages of a booking in their order, the wait for the day's turn, and the whole inside the day.
pub const STAGES: &[&str] =
    &["admit", "dedup", "queue", "decide", "claim", "append", "publish", "reply", "ledger", "total"];
/// Whatever is bounded and can fill: commands inside the engine, commands of the fullest day, records that wait for the journal and for
/// the ledger, snapshots and timers, streams, requests being forwarded, claims to be deleted.
pub const QUEUES: &[&str] =
    &["engine", "day", "journal", "ledger", "snapshots", "deadlines", "streams", "forwards", "claims_given_back"];
/// Where the places of days are; together they are the capacity.
pub const PLACE_STATES: &[&str] = &["withheld", "free", "held", "booked"];
/// Pools of connections to databases.
pub const POOLS: &[&str] = &["journal_read", "ledger_write", "ledger_read", "registry"];
const CONNECTION_STATES: &[&str] = &["in_use", "idle"];
/// What a connection to Redis is for.
pub const REDIS_LANES: &[&str] = &["append", "control", "read"];
/// Of the source that was built; `unknown` unless `HOTSLOT_COMMIT` was set in the build.
pub const COMMIT: &str = match option_env!("HOTSLOT_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
const VERSIONS: &[&str] = &[env!("CARGO_PKG_VERSION")];
const COMMITS: &[&str] = &[COMMIT];
/// How a request that reached the wrong node ended: answered by another one, here after all, nobody could be asked in time, or asked without
/// an answer to something that must not be asked twice.
pub const FORWARD_OUTCOMES: &[&str] = &["answered", "here", "unavailable", "lost"];
/// What one question to another node came to.
pub const HOP_RESULTS: &[&str] = &["answered", "moved", "not_sent", "lost"];
const FEED_SINKS: &[&str] = &["redis", "nats"];
/// What became of the span of a recorded request.
pub const SPAN_OUTCOMES: &[&str] = &["exported", "lost"];
/// What became of a message in the end.
pub const REMINDER_STATUSES: &[&str] = &["sent", "failed", "dead", "cancelled", "missed"];
/// What became of an alert to operators: taken by a channel, not taken by one, taken by none.
pub const ALERT_OUTCOMES: &[&str] = &["sent", "refused", "untold"];
/// How messages leave.
pub const REMINDER_CHANNELS: &[&str] = &["file", "email", "sms", "telegram", "webhook"];
/// How late messages are, in seconds: the promise is one second, and after an outage it is hours.
pub const LATENESS_BUCKETS: &[f64] =
    &[0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0];
/// Why commands are turned away before they are decided.
pub const SHED_REASONS: &[&str] = &["day_queue", "engine_queue", "ledger_lag", "stopping"];

catalogue! {
    HTTP_REQUESTS = "hotslot_http_requests_total" Counter ["method": METHODS, "status_class": STATUS_CLASSES] &[], "HTTP requests answered, by method and class of status.";
    HTTP_DURATION = "hotslot_http_request_duration_seconds" Histogram ["method": METHODS] LATENCY_BUCKETS, "Time from the first byte of a request's head to its answer, as this process sees it.";
    HTTP_IN_FLIGHT = "hotslot_http_requests_in_flight" Gauge [] &[], "HTTP requests being answered now.";
    RATE_LIMITED = "hotslot_rate_limited_total" Counter ["limit": LIMIT_KINDS] &[], "Requests refused by a rate limit.";
    RATE_LIMIT_KEYS = "hotslot_rate_limit_keys" Gauge ["limit": LIMIT_KINDS] &[], "Keys that the rate limiter remembers; bounded.";
    BOOKINGS = "hotslot_bookings_total" Counter ["outcome": BOOKING_OUTCOMES] &[], "Bookings and holds answered, by outcome.";
    EARLY_REFUSALS = "hotslot_early_refusals_total" Counter [] &[], "Refusals given from the published snapshot, without waking the day's actor.";
    SHED = "hotslot_shed_total" Counter ["reason": SHED_REASONS] &[], "Bookings refused with 503 on purpose, by reason. Cancels are never shed.";
    ADMITTED = "hotslot_admitted_commands" Gauge [] &[], "Commands admitted to a day and not yet answered; bounded.";
    QUEUE_DEPTH = "hotslot_queue_depth" Gauge ["queue": QUEUES] &[], "What waits in each bounded queue now, as last looked at; of days the fullest. Compare with hotslot_queue_bound.";
    QUEUE_BOUND = "hotslot_queue_bound" Gauge ["queue": QUEUES] &[], "The bound of each queue; past it callers are refused or work is put off. 0: there is no such queue here.";
    DAYS_AWAKE = "hotslot_days_awake" Gauge [] &[], "Doctor-days with an actor in memory; bounded.";
    DAYS_AWAKE_MAX = "hotslot_days_awake_max" Gauge [] &[], "The bound of hotslot_days_awake; beyond it the longest idle ones go to sleep.";
    DAYS_ASLEEP = "hotslot_days_asleep" Gauge [] &[], "Doctor-days kept as packed bytes; bounded.";
    DAYS_ASLEEP_BYTES = "hotslot_days_asleep_bytes" Gauge [] &[], "Memory of the packed days.";
    DAYS_ASLEEP_BYTES_MAX = "hotslot_days_asleep_bytes_max" Gauge [] &[], "The bound of hotslot_days_asleep_bytes; beyond it days are read from the journal again.";
    DAYS_PARKED = "hotslot_days_parked" Gauge [] &[], "Doctor-days that panic again and again and are refused; look at the log and restart.";
    ACTIVATIONS = "hotslot_day_activations_total" Counter [] &[], "Doctor-days brought into memory.";
    ACTIVATION_DURATION = "hotslot_day_activation_duration_seconds" Histogram [] LATENCY_BUCKETS, "Time to bring a doctor-day into memory.";
    REPLAYS = "hotslot_day_replays_total" Counter [] &[], "Times that a day dropped its state and read it again after a failed append or a panic.";
    PANICS = "hotslot_day_panics_total" Counter [] &[], "Panics caught in a day's actor; each is a defect.";
    TURN_COMMANDS = "hotslot_day_turn_commands" Histogram [] SIZE_BUCKETS, "Commands that a day's actor takes in one turn.";
    EXPIRIES = "hotslot_holds_expired_total" Counter [] &[], "Holds recorded as expired.";
    HOLDS_PLACED = "hotslot_holds_placed_total" Counter [] &[], "Holds recorded; how many keep a place now is hotslot_places{state=\"held\"}.";
    HOLDS_CONFIRMED = "hotslot_holds_confirmed_total" Counter [] &[], "Holds confirmed in time.";
    PLACES = "hotslot_places" Gauge ["state": PLACE_STATES] &[], "Places of the days awake here that are not over, by state; withheld, free, held and booked are the capacity.";
    RELEASE_PLACES = "hotslot_release_places" Gauge ["state": PLACE_STATES] &[], "As hotslot_places, of days with a release within fifteen minutes before or after: what the release minute is about.";
    RELEASE_DAYS = "hotslot_release_days" Gauge [] &[], "Days that hotslot_release_places speaks of.";
    RELEASE_NEXT = "hotslot_release_next_timestamp_seconds" Gauge [] &[], "When the next release of a day here is due, in seconds since 1970; 0: none is known. A day that nobody has asked for since the start is not known.";
    RELEASE_LAST = "hotslot_release_last_timestamp_seconds" Gauge [] &[], "When a day awake here was last released, in seconds since 1970; 0: none was. For annotations.";
    STAGE_DURATION = "hotslot_booking_stage_duration_seconds" Histogram ["stage": STAGES] STAGE_BUCKETS, "Time of the stages of a booking, and `queue` (the wait for the day's turn) and `total` (inside the day, until the answer leaves) of every command. `admit`, `dedup`, `decide` and `claim` are those of one command in sixteen; `append`, `publish` and `reply` those of each group of records of a day; `ledger` is the time from published until applied.";
    COMMIT_RECORDS = "hotslot_journal_commit_records" Histogram [] SIZE_BUCKETS, "Records made durable by one group commit.";
    COMMIT_DURATION = "hotslot_journal_commit_duration_seconds" Histogram [] LATENCY_BUCKETS, "Time of one group commit.";
    SYNC_DURATION = "hotslot_journal_sync_duration_seconds" Histogram [] LATENCY_BUCKETS, "The step of a group commit that makes it durable: SQLite's writes with COMMIT and its sync, PostgreSQL's transaction with its commit, Redis' calls with their WAIT.";
    COMMIT_QUEUE = "hotslot_journal_queue_records" Gauge [] &[], "Records waiting for the next group commit; bounded by admission.";
    JOURNAL_LAG = "hotslot_journal_lag_records" Gauge [] &[], "Records decided and not durable: waiting for a group commit or in one.";
    JOURNAL_LAG_SECONDS = "hotslot_journal_lag_seconds" Gauge [] &[], "Age of the group commit under way; 0: there is none. Above a second the journal does not answer, and bookings wait.";
    JOURNAL_FAILURE = "hotslot_journal_failures_total" Counter ["kind": JOURNAL_FAILURES] &[], "Appends that were not acknowledged, by kind.";
    JOURNAL_POSITION = "hotslot_journal_position" Gauge [] &[], "Position of the last durable record.";
    JOURNAL_REPAIRED = "hotslot_journal_repaired_records_total" Counter [] &[], "Records that a journal on Redis had forgotten and that were put back from memory or the ledger.";
    JOURNAL_LOST = "hotslot_journal_lost_records_total" Counter [] &[], "Records of a branch that a failover of Redis has ended; some may have been acknowledged: page at once, the log names them. What they promised is asked for again.";
    JOURNAL_KEPT = "hotslot_journal_restored_records_total" Counter [] &[], "Lost records whose promises hold again, or are owed no longer.";
    JOURNAL_BROKEN = "hotslot_journal_unrestored_records_total" Counter [] &[], "Lost records whose promises cannot hold any more, as the place is gone, say: page at once, hotslot verify names the appointments.";
    LEDGER_LAG = "hotslot_ledger_lag_records" Gauge [] &[], "Durable records that the ledger does not have yet; past its bound bookings are shed.";
    LEDGER_LAG_SECONDS = "hotslot_ledger_lag_seconds" Gauge [] &[], "Age of the oldest record that the ledger does not have; up to ten seconds in a burst on purpose.";
    LEDGER_BATCH = "hotslot_ledger_batch_records" Histogram [] SIZE_BUCKETS, "Records applied to the ledger in one transaction.";
    LEDGER_DURATION = "hotslot_ledger_apply_duration_seconds" Histogram [] LATENCY_BUCKETS, "Time of one ledger transaction.";
    LEDGER_RETRIES = "hotslot_ledger_retries_total" Counter [] &[], "Ledger transactions that failed and are tried again.";
    LEDGER_PARKED = "hotslot_ledger_parked_days" Gauge [] &[], "Days whose records the ledger refuses: page at once; the other days go on.";
    OVERLAY_ENTRIES = "hotslot_overlay_entries" Gauge [] &[], "Durable changes kept in memory until the ledger has them.";
    CLAIMED_VISITS = "hotslot_claimed_visits" Gauge [] &[], "Times of patients that are claimed across days: one for every appointment to come, and those being decided.";
    CLAIMED_KEYS = "hotslot_claimed_keys" Gauge [] &[], "Idempotency keys known across days, until their days are over.";
    CLAIMS_ASKED_ABOUT = "hotslot_claims_asked_about_total" Counter [] &[], "Claims of other nodes' days that stood in the way, so that the day was asked what became of them.";
    CLAIMS_GIVEN_BACK_WAITING = "hotslot_claims_given_back_waiting" Gauge [] &[], "Claims that wait to be deleted from the shared store; bounded. Those that find no room cost the next one who meets them a question.";
    PARKED_COMMANDS = "hotslot_parked_commands" Gauge [] &[], "Commands that wait for something unsettled on another day; bounded by admission, and each by two seconds.";
    MOVES = "hotslot_moves_total" Counter ["outcome": MOVE_OUTCOMES] &[], "Moves of appointments between days, by outcome; `unknown` ones are settled by asking the day of departure.";
    MOVES_SETTLED = "hotslot_moves_settled_total" Counter [] &[], "Moves on their way in that a day had to ask about because nobody drove them any more: after a crash or a failure.";
    CONSERVATION_SAMPLES = "hotslot_conservation_samples_total" Counter [] &[], "Slots whose counts were checked to add up to the capacity.";
    CONSERVATION_VIOLATIONS = "hotslot_conservation_violations_total" Counter [] &[], "Slots whose counts did not add up: page at once.";
    STREAM_CLIENTS = "hotslot_stream_clients" Gauge [] &[], "Open streams of days; bounded by streams_max.";
    STREAM_EVENTS = "hotslot_stream_events_total" Counter [] &[], "Events handed to streams.";
    STREAMS_DROPPED = "hotslot_streams_dropped_total" Counter [] &[], "Streams cut because the reader did not take an event in time; it comes back with its last id.";
    STREAMS_REFUSED = "hotslot_streams_refused_total" Counter [] &[], "Streams refused with 503 because streams_max were open.";
    FEED_PUBLISHED = "hotslot_feed_published_total" Counter ["sink": FEED_SINKS] &[], "Events that a sink of the feed has taken; those told again under the same id are counted again.";
    FEED_LAG_RECORDS = "hotslot_feed_lag_records" Gauge ["sink": FEED_SINKS] &[], "Durable records of this process since everything was told to the sink; an upper bound of what it lacks.";
    FEED_LAG_SECONDS = "hotslot_feed_lag_seconds" Gauge ["sink": FEED_SINKS] &[], "Age of the oldest event that is known and not told; rises while a sink is away.";
    FEED_RETRIES = "hotslot_feed_retries_total" Counter ["sink": FEED_SINKS] &[], "Times that a sink, or what is read for it, was away; nothing is lost.";
    FEED_DEAD = "hotslot_feed_dead_total" Counter ["sink": FEED_SINKS] &[], "Events that can never be told and were put to the dead letters: look there, and at the log.";
    REMINDERS = "hotslot_reminders_total" Counter ["status": REMINDER_STATUSES, "channel": REMINDER_CHANNELS] &[], "Messages to patients and doctors that are over, by what became of them: `failed` ones have gone on to the next channel, `dead` ones nowhere.";
    REMINDER_LATENESS = "hotslot_reminder_lateness_seconds" Histogram ["channel": REMINDER_CHANNELS] LATENESS_BUCKETS, "Time from the instant at which a message was due to the one at which its provider had taken it.";
    REMINDERS_IN_WHEEL = "hotslot_reminders_in_wheel" Gauge [] &[], "Messages of the next two hours that this node has in memory; bounded, the rest is in the ledger.";
    REMINDER_QUEUE = "hotslot_reminder_queue_messages" Gauge ["channel": REMINDER_CHANNELS] &[], "Messages that are due and wait for their channel; bounded for each, and while one waits the others go on.";
    REMINDER_RETRIES = "hotslot_reminder_retries_total" Counter ["channel": REMINDER_CHANNELS] &[], "Attempts that failed and are made again.";
    REMINDER_BREAKER = "hotslot_reminder_breaker_state" Gauge ["channel": REMINDER_CHANNELS] &[], "Whether a channel's provider is asked: 0 yes, 1 with one message to see, 2 no, it is away; its messages wait or go to the next channel.";
    REMINDERS_DEAD = "hotslot_reminders_dead" Gauge [] &[], "Messages that no channel takes, on this node's days: look at the dead letters, then re-drive or discard them.";
    REMINDER_ALERTS = "hotslot_reminder_alerts_total" Counter ["outcome": ALERT_OUTCOMES] &[], "Alerts to operators of new dead letters: `sent` ones were taken, `refused` counts each channel that did not take one, `untold` ones were taken by none and are tried again with the next.";
    SHARDS_OWNED = "hotslot_shards_owned" Gauge [] &[], "Shards that this node has claimed; all nodes together should have 1,024.";
    SHARDS_OPEN = "hotslot_shards_open" Gauge [] &[], "Shards that this node answers for; less than hotslot_shards_owned while some are being taken over.";
    SHARDS_CLAIMED = "hotslot_shards_claimed_total" Counter [] &[], "Shards that this node has claimed.";
    SHARDS_GIVEN_BACK = "hotslot_shards_given_back_total" Counter [] &[], "Shards that this node has handed on so that others have their share.";
    SHARDS_LOST = "hotslot_shards_lost_total" Counter [] &[], "Shards that this node had and another one has taken, or its lease has ended with; not given back on purpose.";
    TAKEOVER_DURATION = "hotslot_shard_takeover_duration_seconds" Histogram [] LATENCY_BUCKETS, "Time from claiming a group of shards until they are open: their days are away meanwhile.";
    LEASES_LOST = "hotslot_leases_lost_total" Counter [] &[], "Times that this node's lease ended before it was renewed: it was paused, or the database was away for too long.";
    LEASE_LEFT = "hotslot_lease_left_seconds" Gauge [] &[], "How long this node may still speak for its shards without another renewal; 0: it confirms nothing.";
    OWNERSHIP_FAILURES = "hotslot_ownership_failures_total" Counter [] &[], "Questions to the store of ownership that failed.";
    NODES_SEEN = "hotslot_nodes_seen" Gauge [] &[], "Live nodes, this one included, as the store of ownership said last.";
    FORWARDS = "hotslot_forwards_total" Counter ["outcome": FORWARD_OUTCOMES] &[], "Requests that reached a node which does not speak for their day, by outcome.";
    FORWARD_DURATION = "hotslot_forward_duration_seconds" Histogram [] LATENCY_BUCKETS, "Time from finding out that a request is at the wrong node to its answer: hops and waiting.";
    FORWARD_HOPS = "hotslot_forward_hops_total" Counter ["result": HOP_RESULTS] &[], "Questions to other nodes on behalf of requests, by result. Many `moved`: shards change hands, or this node does not see the map.";
    FORWARDS_IN_FLIGHT = "hotslot_forwards_in_flight" Gauge [] &[], "Requests being forwarded now; bounded for each HTTP worker.";
    STREAMS_RELAYED = "hotslot_streams_relayed" Gauge [] &[], "Days that this node streams from the node that speaks for them; one each, however many read.";
    TRACE_SPANS = "hotslot_trace_spans_total" Counter ["outcome": SPAN_OUTCOMES] &[], "Spans of recorded requests, told to the collector or lost because it was away or slow; nothing else waits for it.";
    TRACE_QUEUE = "hotslot_trace_queue_spans" Gauge [] &[], "Spans that wait to be told to the collector; bounded.";
    CLOCK_STEADY = "hotslot_clock_steady" Gauge [] &[], "1 while the engine's clock agrees with the wall clock within a second.";
    CLOCK_SKEW = "hotslot_clock_skew_seconds" Gauge [] &[], "By how much the wall clock was ahead of the engine's time when they were last compared, once a second; negative: the engine waits for it. Beyond a second the node is not ready.";
    POOL_CONNECTIONS = "hotslot_pool_connections" Gauge ["pool": POOLS, "state": CONNECTION_STATES] &[], "Connections of each pool to a database, by use. All in use: readers wait.";
    POOL_CONNECTIONS_MAX = "hotslot_pool_connections_max" Gauge ["pool": POOLS] &[], "The bound of each pool; 0: there is no such pool here.";
    REDIS_CALLS = "hotslot_redis_calls_in_flight" Gauge ["lane": REDIS_LANES] &[], "Calls to Redis that are not answered yet, by the connection's purpose. There is no pool: a connection is shared, and answers in order.";
    RUNTIME_WORKERS = "hotslot_runtime_workers" Gauge [] &[], "Threads of the runtime behind the HTTP workers: stores, background work.";
    RUNTIME_TASKS = "hotslot_runtime_tasks" Gauge [] &[], "Tasks alive on that runtime.";
    RUNTIME_QUEUE = "hotslot_runtime_queue_tasks" Gauge [] &[], "Tasks that wait for a thread of that runtime; lasting: the processors are too few.";
    DATA_DIR_FREE = "hotslot_data_dir_free_bytes" Gauge [] &[], "Bytes that may still be written to the file system of the data directory; with none left bookings are refused.";
    DATA_DIR_SIZE = "hotslot_data_dir_size_bytes" Gauge [] &[], "Bytes of the file system of the data directory in all.";
    READY = "hotslot_ready" Gauge [] &[], "1 while `GET /healthz/ready` would say 200; that answer names the failing part.";
    BUILD_INFO = "hotslot_build_info" Gauge ["version": VERSIONS, "commit": COMMITS] &[], "Always 1; the labels say what was built.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_say_their_kind() {
        let mut seen = std::collections::HashSet::new();
        for metric in CATALOGUE {
            assert!(seen.insert(metric.name), "{} is declared twice", metric.name);
            assert!(metric.name.starts_with("hotslot_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert_eq!(metric.buckets.is_empty(), metric.kind != Kind::Histogram, "{}", metric.name);
            for (label, _) in metric.labels {
                assert!(!["doctor", "day", "patient", "date"].contains(label), "{} has label {label}", metric.name);
            }
        }
    }
}
