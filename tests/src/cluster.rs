//! Several nodes of one service on real servers, each behind a network of its own that can be broken.
//! Must not know: what is asked of the nodes.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use servers::{OldPrimary, Postgres, Proxy, RedisOptions, ReplicaPair};
use tempfile::TempDir;

use crate::client::Client;
use crate::clock::{Dice, Stopwatch, fresh_id};
use crate::crowd::eventually;
use crate::limits;
use crate::program::Output;
use crate::server::{Launch, Server};
use crate::token::{Claims, Signer};

/// A node that is silent for so long has lost its days. Short, so that a run takes seconds.
pub const LEASE: Duration = Duration::from_millis(2_500);
/// A client gives up on one try after that, and comes again through another node.
const TRY_DEADLINE: Duration = Duration::from_secs(3);
/// A stream says something by then, be it a comment.
const STREAM_DEADLINE: Duration = Duration::from_secs(20);
/// Everything is well again by then.
const SETTLED_DEADLINE: Duration = Duration::from_secs(90);
/// A node that hands its days on has ended by then; by itself it gives up earlier, and says so by its status.
const END_DEADLINE: Duration = Duration::from_secs(20);

/// Where the journal is; the ledger is in PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    /// In PostgreSQL, too.
    Postgres,
    /// In Redis, whose primary has so many replicas that are not waited for.
    Redis {
        /// How many.
        replicas: usize,
    },
}

impl Journal {
    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis { .. } => "redis_postgres",
        }
    }
}

/// Where the nodes are at the moment, and what signs tokens that all of them accept. Cheap to clone.
#[derive(Clone)]
pub struct Doors {
    addresses: Arc<RwLock<Vec<String>>>,
    http: reqwest::Client,
    signer: Signer,
}

impl Doors {
    /// The one door of a program alone.
    pub fn of(server: &Server) -> Self {
        let addresses = Arc::new(RwLock::new(vec![server.address().to_owned()]));
        let http = reqwest::Client::builder().no_proxy().timeout(TRY_DEADLINE).build().expect("an HTTP client");
        Self { addresses, http, signer: server.signer() }
    }

    /// Where the nodes are: `http://HOST:PORT`.
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.read().expect("nobody panics while it holds the addresses").clone()
    }

    /// An answer that goes on, such as a stream of a day, from the node with that number, counted around.
    pub async fn stream(&self, door: usize, path: &str) -> reqwest::Response {
        let addresses = self.addresses();
        let url = format!("{}{path}", addresses[door % addresses.len()]);
        // Of a client without a deadline for the whole answer.
        let http = reqwest::Client::builder().no_proxy().read_timeout(STREAM_DEADLINE).build();
        let request = http.expect("an HTTP client").get(&url).header("accept", "text/event-stream").send().await;
        let answer = request.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(answer.status().as_u16(), 200, "{url}");
        answer
    }

    /// How many nodes there are, also those that are down.
    pub fn count(&self) -> usize {
        self.addresses.read().expect("nobody panics while it holds the addresses").len()
    }

    /// A token of that subject in that role.
    pub fn token(&self, role: &str, subject: &str) -> String {
        self.signer.sign(&Claims::of(role, subject))
    }

    /// A caller of the node with that number, counted around.
    pub fn client(&self, door: usize, subject: &str, token: &str) -> Client {
        let addresses = self.addresses.read().expect("nobody panics while it holds the addresses");
        Client::new(&self.http, &addresses[door % addresses.len()], subject, Some(token.to_owned()))
    }

    /// An administrator at that node.
    pub fn admin(&self, door: usize) -> Client {
        let id = fresh_id();
        self.client(door, &id, &self.token("admin", &id))
    }
}

/// One node, and the networks between it and the servers.
struct Member {
    server: Server,
    database: Proxy,
    journal: Option<Proxy>,
}

/// Three nodes, or as many as have joined, on one PostgreSQL and perhaps a Redis.
pub struct Cluster {
    // Before the servers: the nodes end first.
    members: Vec<Member>,
    postgres: Postgres,
    redis: Option<ReplicaPair>,
    doors: Doors,
    key_file: PathBuf,
    _workspace: TempDir,
}

impl Cluster {
    /// Starts the servers and three nodes, and waits until these share the days.
    pub async fn start(journal: Journal) -> Self {
        limits::allow_many_open_files();
        let workspace = TempDir::with_prefix("hotslot-cluster-").expect("a temporary directory");
        let key_file = workspace.path().join("jwt.key");
        let mut dice = Dice::seeded(1);
        let key: Vec<u8> = (0..32).map(|_| dice.below(256) as u8).collect();
        std::fs::write(&key_file, &key).expect("a file of the test's own");
        limits::make_private(&key_file);
        let redis = match journal {
            Journal::Postgres => None,
            Journal::Redis { replicas } => Some(ReplicaPair::start(RedisOptions::default(), replicas).await),
        };
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TRY_DEADLINE)
            .pool_idle_timeout(Duration::from_secs(2))
            .build()
            .expect("an HTTP client");
        let doors = Doors { addresses: Arc::default(), http, signer: Signer::of_key(&key) };
        let postgres = Postgres::start().await;
        let mut cluster = Self { members: Vec::new(), postgres, redis, doors, key_file, _workspace: workspace };
        for _ in 0..3 {
            cluster.join().await;
        }
        cluster.settled().await;
        cluster
    }

    /// How clients reach the nodes.
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// How many nodes there are.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// The database of the ledger, of who owns what, and perhaps of the journal.
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// The network between a node and PostgreSQL.
    pub fn to_postgres(&self, node: usize) -> &Proxy {
        &self.members[node].database
    }

    /// The network between a node and Redis.
    pub fn to_redis(&self, node: usize) -> &Proxy {
        self.members[node].journal.as_ref().expect("the journal is on Redis")
    }

    /// One more node.
    pub async fn join(&mut self) {
        let database = Proxy::in_front_of(self.postgres.address());
        let journal = self.redis.as_ref().map(|pair| Proxy::in_front_of(pair.primary().address()));
        let mut arguments = vec!["--database-url".to_owned(), database.through(&self.postgres.url())];
        // The test's server has no fsync: no fault here takes the machine's power.
        arguments.push("--database-accept-asynchronous-standby".to_owned());
        if let (Some(proxy), Some(pair)) = (&journal, &self.redis) {
            arguments.extend(["--redis-url".to_owned(), proxy.through(&pair.url())]);
        }
        let lease = LEASE.as_millis().to_string();
        arguments.extend(["--node-listen", "127.0.0.1:0", "--lease-millis", &lease].map(str::to_owned));
        arguments.extend(["--jwt-key-file".to_owned(), self.key_file.display().to_string()]);
        let server = Server::launch(Launch { arguments, ..Launch::default() }).await;
        self.members.push(Member { server, database, journal });
        self.tell_addresses();
    }

    /// SIGTERM to a node, which hands its days on and does not come back.
    pub async fn leave(&mut self, node: usize) {
        self.end(node).await;
        self.members.remove(node);
        self.tell_addresses();
    }

    /// SIGTERM to a node, and waits for its end.
    pub async fn end(&mut self, node: usize) {
        let exit = self.members[node].server.terminate(END_DEADLINE).await;
        assert!(exit.status.success(), "node {node} ended with {:?}", exit.status);
    }

    /// SIGKILL.
    pub async fn kill(&mut self, node: usize) {
        self.members[node].server.kill().await;
    }

    /// Starts a node that has ended.
    pub async fn start_again(&mut self, node: usize) {
        self.members[node].server.start_again().await;
        self.tell_addresses();
    }

    /// Has the stores audited, whoever runs: the lines of what was found, and how it ended.
    pub async fn verify(&self) -> Output {
        let (database, journal) = (self.postgres.url(), self.redis.as_ref().map(|pair| pair.primary().url()));
        let mut command = vec!["verify", "--database-url", &database];
        command.extend(journal.iter().flat_map(|url| ["--redis-url", url]));
        self.members[0].server.run_beside(&command).await
    }

    /// SIGSTOP.
    pub fn stop(&self, node: usize) {
        limits::signal(self.members[node].server.process(), "STOP");
    }

    /// SIGCONT.
    pub fn resume(&self, node: usize) {
        limits::signal(self.members[node].server.process(), "CONT");
    }

    /// Redis, if the journal is there.
    pub fn redis_mut(&mut self) -> &mut ReplicaPair {
        self.redis.as_mut().expect("the journal is on Redis")
    }

    /// The primary of Redis dies, and a replica takes its place with what it has.
    pub async fn fail_redis_over(&mut self) {
        let pair = self.redis.as_mut().expect("the journal is on Redis");
        pair.promote(0, OldPrimary::Killed).await;
        let address = pair.primary().address();
        for proxy in self.members.iter().filter_map(|member| member.journal.as_ref()) {
            proxy.lead_to(address);
            proxy.cut_once();
        }
    }

    /// Waits until every node is ready and serves its share of the days; answers how long that took.
    pub async fn settled(&self) -> Duration {
        let watch = Stopwatch::start();
        for node in 0..self.size() {
            let what = format!("node {node} is ready");
            eventually(&what, SETTLED_DEADLINE, async || {
                let reply = self.doors.admin(node).get("/healthz/ready").attempt().await.ok()?;
                (reply.status == 200).then_some(())
            })
            .await;
        }
        let least = 1_024 / self.size();
        let shared = format!(
            "SELECT count(*) FROM (SELECT 1 FROM node JOIN shard_owner USING (incarnation) \
             WHERE lease_until > now() GROUP BY incarnation HAVING count(*) >= {least}) AS fair"
        );
        let all = self.size().to_string();
        eventually("the nodes share the days", SETTLED_DEADLINE, async || {
            (self.postgres.ask(&shared).await? == all).then_some(())
        })
        .await;
        eventually("every shard is spoken for", SETTLED_DEADLINE, async || {
            let mut open = 0.0;
            for node in 0..self.size() {
                let reply = self.doors.admin(node).get("/metrics").attempt().await.ok()?;
                open += gauge(&reply.text(), "hotslot_shards_open")?;
            }
            (open == 1_024.0).then_some(())
        })
        .await;
        watch.elapsed()
    }

    /// The lines of standard error of all nodes that contain `text`.
    pub fn logged(&self, text: &str) -> Vec<String> {
        let lines = self.members.iter().flat_map(|member| member.server.log());
        lines.filter(|line| line.contains(text)).collect()
    }

    fn tell_addresses(&self) {
        let addresses = self.members.iter().map(|member| member.server.address().to_owned()).collect();
        *self.doors.addresses.write().expect("nobody panics while it holds the addresses") = addresses;
    }
}

/// The value of a metric without labels.
fn gauge(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}
