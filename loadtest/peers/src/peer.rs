//! Which peers there are, what each needs to start, and the one thing they all can do: book.
//! Must not know: HTTP, the inside of any peer.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};
use thiserror::Error;

use crate::answer::Decision;
use crate::bare::Bare;
use crate::batches::Batches;
use crate::redis_counter::RedisCounter;
use crate::redis_lock::RedisLock;
use crate::row_lock::RowLock;
use crate::unique_index::UniqueIndex;
use crate::wish::{DoctorDay, Wish};
use crate::{batches, postgres, redis_counter};

/// The ways to book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Answers at once from a number in memory, nothing durable: the ceiling of this HTTP stack.
    Bare,
    /// PostgreSQL: SELECT … FOR UPDATE on the day's row, insert, commit.
    RowLock,
    /// PostgreSQL: insert of the next place under a unique index, again if another was faster.
    UniqueIndex,
    /// Redis: a Lua script counts down and queues the booking, which is inserted into PostgreSQL afterwards.
    RedisCounter,
    /// Redis: a lock for each day around a PostgreSQL transaction.
    RedisLock,
    /// PostgreSQL as an expert would do it: one writer, one statement for each batch of requests.
    Batches,
}

/// How a peer is started.
#[derive(Clone, Debug, Parser)]
#[command(version, about = "Other ways to book, to compare hotslot with")]
pub(crate) struct Setup {
    /// Which.
    #[arg(long, value_enum)]
    pub(crate) kind: Kind,
    /// Where to serve; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// PostgreSQL, for every kind but `bare`. Tables are created in it.
    #[arg(long, required_if_eq_any = [
        ("kind", "row-lock"), ("kind", "unique-index"), ("kind", "redis-counter"), ("kind", "redis-lock"),
        ("kind", "batches"),
    ])]
    pub(crate) database_url: Option<String>,
    /// Redis, for the kinds that begin with `redis`.
    #[arg(long, required_if_eq_any = [("kind", "redis-counter"), ("kind", "redis-lock")])]
    pub(crate) redis_url: Option<String>,
    /// HTTP worker threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: u16,
    /// Connections to PostgreSQL in all, shared out to the workers.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) pool_size: u32,
}

/// Why a peer cannot start or book.
#[derive(Debug, Error)]
pub(crate) enum PeerError {
    /// PostgreSQL refuses or is away.
    #[error("PostgreSQL: {0}")]
    Postgres(#[from] sqlx::Error),
    /// Redis refuses or is away.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// No socket or thread.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// Bound, and yet nowhere.
    #[error("the server has no address")]
    NoAddress,
    /// A kind without the server it needs.
    #[error("--{0} is missing")]
    Missing(&'static str),
    /// The day's lock was not to be had in time.
    #[error("the lock of the day was not free in time")]
    LockTimeout,
    /// The one writer has ended.
    #[error("the writer has ended")]
    WriterGone,
}

/// What all workers share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    bare: Bare,
    writer: Option<batches::Writer>,
}

/// Creates the tables and starts what runs beside the workers.
pub(crate) async fn prepare(setup: &Setup) -> Result<Shared, PeerError> {
    let mut shared = Shared { bare: Bare::default(), writer: None };
    if setup.kind == Kind::Bare {
        return Ok(shared);
    }
    postgres::create_tables(setup).await?;
    match setup.kind {
        Kind::Batches => shared.writer = Some(batches::Writer::start(setup).await?),
        Kind::RedisCounter => redis_counter::start_inserter(setup).await?,
        Kind::Bare | Kind::RowLock | Kind::UniqueIndex | Kind::RedisLock => {}
    }
    Ok(shared)
}

/// One worker's peer.
#[derive(Debug)]
pub(crate) enum Peer {
    /// See [`Kind::Bare`].
    Bare(Bare),
    /// See [`Kind::RowLock`].
    RowLock(RowLock),
    /// See [`Kind::UniqueIndex`].
    UniqueIndex(UniqueIndex),
    /// See [`Kind::RedisCounter`].
    RedisCounter(RedisCounter),
    /// See [`Kind::RedisLock`].
    RedisLock(RedisLock),
    /// See [`Kind::Batches`].
    Batches(Batches),
}

impl Peer {
    /// The peer of one worker; connections are opened as they are needed.
    pub(crate) fn of_worker(setup: &Setup, shared: &Shared) -> Self {
        match setup.kind {
            Kind::Bare => Self::Bare(shared.bare.clone()),
            Kind::RowLock => Self::RowLock(RowLock::new(postgres::pool_of_worker(setup))),
            Kind::UniqueIndex => Self::UniqueIndex(UniqueIndex::new(postgres::pool_of_worker(setup))),
            Kind::RedisCounter => Self::RedisCounter(RedisCounter::new(setup)),
            Kind::RedisLock => Self::RedisLock(RedisLock::new(setup, postgres::pool_of_worker(setup))),
            Kind::Batches => Self::Batches(Batches::new(postgres::pool_of_worker(setup), shared.writer.clone())),
        }
    }

    /// Makes a day bookable, with so many places. A second call for the same day changes nothing.
    pub(crate) async fn publish(&self, doctor_day: DoctorDay, places: i32) -> Result<(), PeerError> {
        match self {
            Self::Bare(peer) => {
                peer.publish(places);
                Ok(())
            }
            Self::RowLock(peer) => peer.publish(doctor_day, places).await,
            Self::UniqueIndex(peer) => peer.publish(doctor_day, places).await,
            Self::RedisCounter(peer) => peer.publish(doctor_day, places).await,
            Self::RedisLock(peer) => peer.publish(doctor_day, places).await,
            Self::Batches(peer) => peer.publish(doctor_day, places).await,
        }
    }

    /// Books a place. A place that is won is durable when this returns (`bare` aside).
    pub(crate) async fn book(&self, wish: &Wish) -> Result<Decision, PeerError> {
        match self {
            Self::Bare(peer) => Ok(peer.book()),
            Self::RowLock(peer) => peer.book(wish).await,
            Self::UniqueIndex(peer) => peer.book(wish).await,
            Self::RedisCounter(peer) => peer.book(wish).await,
            Self::RedisLock(peer) => peer.book(wish).await,
            Self::Batches(peer) => peer.book(wish).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Setup, clap::Error> {
        Setup::try_parse_from(std::iter::once("peers").chain(arguments.split_whitespace()))
    }

    #[test]
    fn a_kind_cannot_start_without_the_servers_it_needs() {
        assert!(parse("--kind bare").is_ok());
        for kind in ["row-lock", "unique-index", "batches"] {
            assert!(parse(&format!("--kind {kind}")).is_err(), "{kind}");
            assert!(parse(&format!("--kind {kind} --database-url postgres:///x")).is_ok(), "{kind}");
        }
        for kind in ["redis-counter", "redis-lock"] {
            assert!(parse(&format!("--kind {kind} --database-url postgres:///x")).is_err(), "{kind}");
            assert!(parse(&format!("--kind {kind} --database-url postgres:///x --redis-url unix:///y")).is_ok());
        }
    }
}
