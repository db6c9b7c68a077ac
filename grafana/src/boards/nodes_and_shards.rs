//! Several nodes, one service: are they all there, does each shard have one owner, and do they reach each other?
//! Must not know: what happens inside a day.

use crate::board::Board;
use crate::panel::{Panel, Unit};
use crate::query::{each, quantile, rate, rate_by, sum, sum_by};

pub(crate) fn board() -> Board {
    let description =
        "Several nodes, one service: are they all there, does each shard have one owner, do they reach each other?";
    Board::new("nodes-and-shards", "Nodes and shards", "now-1h", description)
        .row("Nodes", nodes())
        .row("Shards", shards())
        .row("Requests at the wrong node", forwards())
        .row("Processes", processes())
        .row("Clocks and disks", clocks_and_disks())
        .row("Traces", traces())
}

fn nodes() -> Vec<Panel> {
    vec![
        Panel::numbers(
            "Ready",
            Unit::Count,
            "1: the node would answer `GET /healthz/ready` with 200.",
            "0 for minutes: that answer names the part that is away.",
        )
        .query(each("hotslot_ready"), "{{instance}}")
        .bad_below(0.5, 1.0),
        Panel::lines(
            "Nodes that each node sees",
            Unit::Count,
            "Live nodes by the shared store, as each node read it last. 0 on a single node.",
            "Fewer than run: one has lost the database. Different numbers: one reads old answers.",
        )
        .query(each("hotslot_nodes_seen"), "{{instance}}"),
        Panel::numbers(
            "Builds",
            Unit::Count,
            "How many nodes run which build.",
            "Two builds for longer than a deploy takes: it has stopped half-way.",
        )
        .query(sum_by("version, commit", "hotslot_build_info"), "{{version}} {{commit}}"),
    ]
}

fn shards() -> Vec<Panel> {
    let closed = format!("{} - {}", each("hotslot_shards_owned"), each("hotslot_shards_open"));
    vec![
        Panel::areas(
            "Shards by owner",
            Unit::Count,
            "Shards that each node answers for. Together 1,024, or 0 on a single node, which has everything.",
            "Less than 1,024 for longer than a lease: those days answer 503. See taking over, and the log of the \
             nodes.",
        )
        .query(each("hotslot_shards_open"), "{{instance}}"),
        Panel::lines(
            "Shards claimed, not open yet",
            Unit::Count,
            "Shards of which a node is the owner and whose days it cannot answer for yet.",
            "A minute and more: it is stuck at the journal; the log says at what.",
        )
        .query(closed, "{{instance}}")
        .warn_from(1.0),
        Panel::lines(
            "Shards on the move",
            Unit::PerSecond,
            "Shards claimed, handed on in order, and lost.",
            "Lost ones: a lease ended. Coming and going without a deploy: leases flap.",
        )
        .query(rate("hotslot_shards_claimed_total"), "claimed")
        .query(rate("hotslot_shards_given_back_total"), "handed on")
        .query(rate("hotslot_shards_lost_total"), "lost"),
        Panel::lines(
            "Time to take shards over",
            Unit::Seconds,
            "From claiming a group of shards until they are open; their days are away meanwhile.",
            "Above 2 s: the journal reads slowly, or the ledger is far behind.",
        )
        .query(quantile(0.5, "hotslot_shard_takeover_duration_seconds"), "p50")
        .query(quantile(0.99, "hotslot_shard_takeover_duration_seconds"), "p99")
        .warn_from(2.0),
        Panel::lines(
            "Lease left",
            Unit::Seconds,
            "How long each node may still speak for its shards. It is renewed all the time; at 0 the node confirms \
             nothing.",
            "A sawtooth that reaches down: the database is slow or the node is paused.",
        )
        .query(each("hotslot_lease_left_seconds"), "{{instance}}"),
        Panel::lines(
            "Leases lost, questions failed",
            Unit::PerSecond,
            "Leases that ended before they were renewed, and questions to the store of ownership without an answer.",
            "Find out what paused the node (processors, memory, the host), or why the database was away.",
        )
        .query(rate("hotslot_leases_lost_total"), "leases lost")
        .query(rate("hotslot_ownership_failures_total"), "questions failed"),
    ]
}

fn forwards() -> Vec<Panel> {
    vec![
        Panel::areas(
            "Requests passed on",
            Unit::PerSecond,
            "Requests that reached a node which does not speak for their day, by outcome. With n nodes, (n − 1)/n of \
             all.",
            "`unavailable`, `lost`: nodes do not reach each other, or shards are on the move.",
        )
        .query(rate_by("outcome", "hotslot_forwards_total"), "{{outcome}}"),
        Panel::lines(
            "Time of a request passed on",
            Unit::Seconds,
            "From finding out that a request is at the wrong node to its answer.",
            "Far above the latency of bookings: the network between nodes, or hops that lead astray.",
        )
        .query(quantile(0.5, "hotslot_forward_duration_seconds"), "p50")
        .query(quantile(0.99, "hotslot_forward_duration_seconds"), "p99")
        .warn_from(0.5),
        Panel::areas(
            "Questions to other nodes",
            Unit::PerSecond,
            "What one question came to. `moved`: the other node has not got the shard any more.",
            "Many `moved` in quiet times: this node does not see the map. `not_sent`: connections fail.",
        )
        .query(rate_by("result", "hotslot_forward_hops_total"), "{{result}}"),
        Panel::lines(
            "Under way between nodes",
            Unit::Count,
            "Requests being passed on now, and days that a node streams from another.",
            "Requests that pile up: a node does not answer; compare with the node's readiness.",
        )
        .query(sum("hotslot_forwards_in_flight"), "requests")
        .query(sum("hotslot_streams_relayed"), "days streamed"),
        Panel::lines(
            "Claims between nodes",
            Unit::PerSecond,
            "Claims of other nodes' days that stood in the way, so that the day was asked what became of them.",
            "Rising without traffic: claims are not given back; see Engine, claims.",
        )
        .query(rate("hotslot_claims_asked_about_total"), "asked about"),
    ]
}

fn processes() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Processors used",
            Unit::Count,
            "Processors that each node keeps busy.",
            "As many as it has: latency grows from here on. More nodes before the next release.",
        )
        .query(format!("rate({}[$__rate_interval])", each("process_cpu_seconds_total")), "{{instance}}"),
        Panel::lines(
            "Memory",
            Unit::Bytes,
            "Memory that each node has in hand.",
            "Growing without traffic: report it. Near the container's limit: fewer sleeping days \
             (`sleeping_mebibytes_max`).",
        )
        .query(each("process_resident_memory_bytes"), "{{instance}}"),
        Panel::lines(
            "Open files",
            Unit::Share,
            "Open files and sockets, of what the system allows.",
            "Above 80 %: raise `ulimit -n`; each reader and each connection takes one.",
        )
        .query(format!("{} / {}", each("process_open_fds"), each("process_max_fds")), "{{instance}}")
        .warn_from(0.8)
        .up_to(1.0),
        Panel::lines(
            "Runtime",
            Unit::Count,
            "Threads, tasks alive, and tasks that wait for a thread, of the runtime behind the HTTP workers.",
            "Waiting ones that stay: the processors are too few. Tasks that only grow: report it.",
        )
        .query(sum("hotslot_runtime_workers"), "threads")
        .query(sum("hotslot_runtime_tasks"), "tasks")
        .query(sum("hotslot_runtime_queue_tasks"), "waiting"),
        Panel::lines(
            "Up since",
            Unit::Seconds,
            "Time since each node's process started.",
            "Back to 0 without a deploy: it crashed; its log and its restarts say why.",
        )
        .query(format!("time() - {}", each("process_start_time_seconds")), "{{instance}}"),
    ]
}

fn clocks_and_disks() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Clock against the engine's time",
            Unit::Seconds,
            "By how much the wall clock is ahead of the engine's time. Beyond a second the node is not ready.",
            "Beyond a tenth: look after time synchronisation on that machine.",
        )
        .query(each("hotslot_clock_skew_seconds"), "{{instance}}")
        .signed(),
        Panel::numbers(
            "Clock steady",
            Unit::Count,
            "1: the engine's time and the wall clock agree within a second.",
            "0: the clock has jumped. The node says it is not ready until they agree.",
        )
        .query(each("hotslot_clock_steady"), "{{instance}}")
        .bad_below(0.5, 1.0),
        Panel::lines(
            "Disk of the data directory",
            Unit::Share,
            "Space used on the file system of the data directory; with a store elsewhere there is little in it.",
            "Above 90 %: room first, then what grew. At 100 % bookings are refused.",
        )
        .query(
            format!("1 - {} / ({} > 0)", each("hotslot_data_dir_free_bytes"), each("hotslot_data_dir_size_bytes")),
            "{{instance}}",
        )
        .warn_from(0.8)
        .bad_from(0.9)
        .up_to(1.0),
        Panel::number(
            "Least disk left",
            Unit::Bytes,
            "Bytes that may still be written on the fullest node.",
            "As beside it.",
        )
        .query(format!("min({})", each("hotslot_data_dir_free_bytes")), "")
        .bad_below(1e9, 1e10),
    ]
}

fn traces() -> Vec<Panel> {
    vec![
        Panel::areas(
            "Spans",
            Unit::PerSecond,
            "Spans of recorded requests: told to the collector, or lost because it was away or slow.",
            "`lost`: the collector, and the way to it. Nothing else waits for it. 0 without traces.",
        )
        .query(rate_by("outcome", "hotslot_trace_spans_total"), "{{outcome}}"),
        Panel::lines(
            "Spans that wait",
            Unit::Count,
            "Spans that wait to be told to the collector; bounded.",
            "Full for long: spans are lost. As beside it.",
        )
        .query(each("hotslot_trace_queue_spans"), "{{instance}}"),
    ]
}
