//! The suite that every journal passes, on one server and on a cluster.
//! Must not know: how the journal is made.

use std::sync::Arc;

use async_trait::async_trait;
use engine::journal::Journal;
use engine::journal::contract::{self, JournalFactory, day};
use redis::Value;
use servers::{Redis, RedisCluster};
use tokio::sync::Mutex;

use crate::support::{alone, open, settings};

/// The servers of all journals of one run; each journal finds them empty.
enum Store {
    Single(Box<Redis>),
    Cluster(Box<RedisCluster>),
}

struct Factory(Mutex<Store>);

impl Store {
    fn urls(&self) -> Vec<String> {
        match self {
            Self::Single(redis) => vec![redis.url()],
            Self::Cluster(cluster) => cluster.urls().into_iter().take(2).collect(),
        }
    }

    /// Sends `words` to every server until one does not refuse them.
    async fn call(&self, words: &[&[u8]]) -> Value {
        let mut urls = self.urls();
        if let Self::Cluster(cluster) = self {
            urls = cluster.urls();
        }
        for url in urls {
            let client = redis::Client::open(url).expect("an address");
            let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
            let mut command = redis::Cmd::new();
            words.iter().for_each(|word| {
                command.arg(*word);
            });
            if let Ok(value) = command.query_async(&mut connection).await {
                return value;
            }
        }
        panic!("every server refuses {words:?}")
    }

    async fn empty(&self) {
        match self {
            Self::Single(redis) => redis.call(&["FLUSHALL"]).await,
            Self::Cluster(cluster) => {
                for index in 0..6 {
                    // A replica refuses, and follows its primary.
                    let _: Result<(), _> = cluster.node(index).try_call(&["FLUSHALL"]).await;
                }
            }
        }
    }
}

#[async_trait]
impl JournalFactory for Factory {
    async fn empty(&self) -> Arc<dyn Journal> {
        let store = self.0.lock().await;
        store.empty().await;
        Arc::new(alone(settings(store.urls(), 0)).await.journal)
    }

    async fn reopen(&self, journal: Arc<dyn Journal>) -> Arc<dyn Journal> {
        journal.close().await;
        Arc::new(alone(settings(self.0.lock().await.urls(), 0)).await.journal)
    }

    async fn take_over(&self, journal: &Arc<dyn Journal>, shards: &[u16]) -> Option<Arc<dyn Journal>> {
        let other = open(settings(self.0.lock().await.urls(), 0)).await;
        other.take_some(shards, journal.epoch() + 1).await;
        Some(Arc::new(other.journal))
    }

    async fn damage(&self, journal: Arc<dyn Journal>, position: u64) -> Arc<dyn Journal> {
        let store = self.0.lock().await;
        let mut damaged = false;
        for day in [day(1), day(2)] {
            let key = [format!("hotslot:{{{}}}:log:", day.shard()).as_bytes(), &day.to_bytes()[..]].concat();
            let Value::Array(entries) = store.call(&[b"LRANGE", &key, b"0", b"-1"]).await else { panic!("no log") };
            for (index, entry) in entries.into_iter().enumerate() {
                let Value::BulkString(mut entry) = entry else { panic!("not an entry") };
                if entry[28..36] == position.to_be_bytes() {
                    *entry.last_mut().expect("a body") ^= 1;
                    store.call(&[b"LSET", &key, index.to_string().as_bytes(), &entry]).await;
                    damaged = true;
                }
            }
        }
        assert!(damaged, "there is a record at position {position}");
        drop(store);
        self.reopen(journal).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_keeps_the_contract() {
    contract::run(&Factory(Mutex::new(Store::Single(Box::new(Redis::start().await))))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_contract() {
    contract::run(&Factory(Mutex::new(Store::Cluster(Box::new(RedisCluster::start().await))))).await;
}
