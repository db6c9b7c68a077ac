//! That Redis keeps no more than it must.
//! Must not know: how the journal is made.

use std::sync::Arc;
use std::time::Duration;

use engine::journal::contract::day;
use engine::journal::{Head, Journal, ShardCursor, StoredSnapshot};
use servers::Redis;

use crate::support::{alone, settings};

#[tokio::test(flavor = "multi_thread")]
async fn records_go_when_a_packed_state_covers_them_and_the_ledger_had_them_for_long() {
    let redis = Redis::start().await;
    let mut brief = settings(vec![redis.url()], 0);
    brief.keep = Duration::ZERO;
    let owner = alone(brief).await;
    // What of a shard that is not open the ledger may lack, its repair needs.
    owner.tenures.open(day(1).shard());
    let mut heads = vec![Head::default()];
    for number in 0..10_u8 {
        heads.push(owner.append(day(1), heads[usize::from(number)], &[number]).await);
    }
    let snapshot = |sequence: usize| StoredSnapshot { day: day(1), head: heads[sequence], bytes: Arc::from([7]) };
    owner.journal.save_snapshots(&[snapshot(4)]).await.expect("it is kept");
    assert_eq!(owner.journal.trim().await.expect("a look"), 0, "the ledger has nothing");
    owner.journal.applied(8);
    owner.journal.trim().await.expect("a look");
    let gone = owner.journal.trim().await.expect("a look");
    let shard = owner.journal.read_shard(day(1).shard(), ShardCursor::default(), 99).await.expect("a read");
    assert_eq!(shard.iter().map(|record| record.position).collect::<Vec<_>>(), [9, 10], "{gone}");
    let key = [format!("hotslot:{{{}}}:log:", day(1).shard()).as_bytes(), &day(1).to_bytes()[..]].concat();
    let length = async || {
        let client = redis::Client::open(redis.url()).expect("an address");
        let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
        let length: usize = redis::cmd("LLEN").arg(&key[..]).query_async(&mut connection).await.expect("an answer");
        length
    };
    assert_eq!(length().await, 6, "four are in the packed state");
    owner.journal.save_snapshots(&[snapshot(9)]).await.expect("it is kept");
    assert_eq!(length().await, 2, "the ledger does not have the last two");
    let loaded = owner.journal.load(day(1)).await.expect("a load").expect("a day");
    assert_eq!((loaded.tail.len(), loaded.head), (1, heads[10]));
    owner.append(day(1), heads[10], b"more").await;
    assert_eq!(owner.journal.last_position().await.expect("a read"), 11);
}
