//! Does a Redis cluster replace a primary by itself, and what does it forget?
//! Must not know: how its nodes are joined.

use servers::RedisCluster;

use crate::redis::copies_of;

#[tokio::test]
async fn a_failover_forgets_what_replication_held() {
    let mut cluster = RedisCluster::start().await;
    let slot = cluster.slot_of("{day}early").await;
    let primary = cluster.primary_of(slot).await.expect("a primary");
    let replica = cluster.replica_of(slot).await.expect("a replica");
    assert_ne!(primary, replica);
    assert_eq!(copies_of(cluster.node(primary), "{day}early", 5_000).await, 1);
    cluster.hold_replication_of(slot).await;
    cluster.release_replication_of(slot).await;
    assert_eq!(copies_of(cluster.node(primary), "{day}early", 10_000).await, 1);
    cluster.hold_replication_of(slot).await;
    assert_eq!(copies_of(cluster.node(primary), "{day}late", 100).await, 0, "a replica has what was held");
    assert_eq!(cluster.kill_primary_of(slot).await, primary);
    assert_eq!(cluster.wait_for_failover(slot, primary).await, replica);
    let early: Option<String> = cluster.node(replica).call(&["GET", "{day}early"]).await;
    let late: Option<String> = cluster.node(replica).call(&["GET", "{day}late"]).await;
    assert_eq!((early.as_deref(), late), (Some("1"), None));
    // The old primary comes back as a replica.
    cluster.node_mut(primary).restart().await;
    cluster.wait_until_whole().await;
    assert_eq!(cluster.primary_of(slot).await, Some(replica));
}

#[tokio::test]
async fn a_stopped_primary_comes_back_as_a_replica() {
    let mut cluster = RedisCluster::start().await;
    let slot = cluster.slot_of("key").await;
    let primary = cluster.stop_primary_of(slot).await;
    let next = cluster.wait_for_failover(slot, primary).await;
    assert_eq!(copies_of(cluster.node(next), "key", 1).await, 0);
    cluster.node_mut(primary).resume().await;
    cluster.wait_until_whole().await;
    assert_eq!(cluster.primary_of(slot).await, Some(next));
    assert_eq!(cluster.replica_of(slot).await, Some(primary));
}
