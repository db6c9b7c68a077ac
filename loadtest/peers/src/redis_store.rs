//! A worker's connection to Redis and the names of its keys.
//! Must not know: how a peer books.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};
use tokio::sync::OnceCell;

use crate::peer::{PeerError, Setup};
use crate::wish::DoctorDay;

/// The client's default of half a second is less than a stalled disk may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// One connection, shared by all requests of a worker: commands of many requests travel together.
#[derive(Debug)]
pub(crate) struct Store {
    url: Option<String>,
    connection: OnceCell<MultiplexedConnection>,
}

impl Store {
    /// Connects with the first use, so that the connection is driven by the worker that uses it.
    pub(crate) fn new(setup: &Setup) -> Self {
        Self { url: setup.redis_url.clone(), connection: OnceCell::new() }
    }

    pub(crate) async fn connection(&self) -> Result<MultiplexedConnection, PeerError> {
        let connect = async || {
            let url = self.url.as_deref().ok_or(PeerError::Missing("redis-url"))?;
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
            Ok(Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await?)
        };
        self.connection.get_or_try_init(connect).await.cloned()
    }
}

/// The key of one thing of a day.
pub(crate) fn key_of(thing: &str, DoctorDay { doctor, day }: DoctorDay) -> String {
    format!("{thing}:{{{doctor}:{day}}}")
}
