//! The composition root: engine, servers and timers put together, run, and taken apart in order.
//! Must not know: routes, the rules of booking.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::Engine;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::api::zone::Zone;
use crate::auth::key::{KEY_FILE, SigningKey};
use crate::auth::pass::Passes;
use crate::auth::token::Verifier;
use crate::commands::{self, Failure};
use crate::config::{Config, KeySource};
use crate::couriers::Couriers;
use crate::machine::Machine;
use crate::metrics::{Exporter, UPKEEP_PERIOD};
use crate::middleware::rate_limit::RateLimits;
use crate::nodes::Nodes;
use crate::nodes::startup::Among;
use crate::screen::Places;
use crate::server::{self, Bound, SharedLater};
use crate::signals::StopSignals;
use crate::state::Shared;
use crate::traces::Recording;
use crate::{demo, routes, screen, waiting};

/// From the signal to the end: a little below the ten seconds that are promised.
const STOP_DEADLINE: Duration = Duration::from_millis(9_500);

/// The runtime of everything but HTTP workers and actors.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::running(format!("the runtime does not start: {error}")))
}

/// Runs until a signal or a failure.
pub(crate) fn serve(config: Config) -> Result<(), Failure> {
    let recording = Recording::begin(&config)?;
    waiting::show_bars();
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let recording = recording.spawn();
        let mut signals =
            StopSignals::listen().map_err(|error| Failure::running(format!("signals cannot be received: {error}")))?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            signals.stop().await;
            // The receiver is gone if the servers have failed already.
            let _ = stop.send(());
            signals.force().await;
            screen::complain("stopped at once by a second interrupt; what was answered is durable");
            std::process::exit(1);
        });
        let shutdown = async move {
            let _ = stopped.await;
        };
        let outcome = run(config, shutdown).await;
        recording.finish().await;
        outcome
    });
    // A blocking call that hangs must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// Runs the service until `shutdown` or a failure. When this returns `Ok`, everything answered is durable and in the ledger.
async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Failure> {
    let exporter = Exporter::install().map_err(|error| Failure::running(format!("metrics: {error}")))?;
    if Zone::find("Europe/Berlin").is_none() {
        return Err(Failure::running("this machine has no time zone database; install tzdata"));
    }
    let key = commands::signing_key(&config)?;
    let later: SharedLater = Arc::new(OnceLock::new());
    let mut servers = bind(&config, &later)?;
    let (mut engine_config, passes) = (config.engine.clone(), Arc::new(Passes::new(&key)));
    let mut among = Among::bind(&config, &later, &passes, &mut engine_config)?;
    let transport = among.as_mut().and_then(|among| among.transport.take());
    let couriers = Arc::new(Couriers { settings: config.channels.clone(), alerts: config.alerts.clone() });
    couriers.check()?;
    let mut shutdown = std::pin::pin!(shutdown);
    let engine = tokio::select! {
        biased;
        // A store that does not answer can keep a start for long. Nothing was answered yet, and nothing is to be flushed.
        () = &mut shutdown => {
            tracing::info!("stopped before the start had ended");
            return Ok(());
        }
        started = Engine::start_sending(engine_config, transport, Some(couriers)) => started?,
    };
    let limits = RateLimits::new(&config.rates);
    let nodes = config.engine.stores.are_shared().then(|| {
        let tls = among.as_ref().and_then(|among| among.tls.clone());
        Nodes::new(Arc::clone(engine.handle().territory()), passes, tls)
    });
    let streams = config.http.streams;
    let machine = Machine::new(config.engine.data_dir.clone());
    let shared = Shared::new(engine.handle(), Verifier::new(&key), limits, exporter, machine, streams, nodes)
        .with_sampling(config.traces.sampling);
    let shared = Arc::new(shared);
    if later.set(Arc::clone(&shared)).is_err() {
        return Err(Failure::running("the shared state was set twice"));
    }
    let upkeep = spawn_upkeep(Arc::clone(&shared));
    let places = places(&config, &servers);
    servers.extend(among.map(|among| among.server));
    let first_screen = first_screen(&config, &places, &shared, &key).await;
    let running: Vec<_> = servers.into_iter().map(Bound::start).collect();
    let handles: Vec<_> = running.iter().map(actix_web::dev::Server::handle).collect();
    let mut servers = tokio::spawn(futures_util::future::try_join_all(running));
    let greeting = format!("{}\n{}", screen::listening(places.address), first_screen?);
    engine::crash_point!(StartBeforeFirstLine);
    screen::say(greeting.trim_end()).map_err(|error| Failure::running(format!("standard output: {error}")))?;

    tracing::info!(server.address = %places.address, version = env!("CARGO_PKG_VERSION"), "ready");
    let outcome = tokio::select! {
        () = &mut shutdown => Ok(()),
        reason = engine.poisoned() => Err(Failure::running(reason)),
        ended = &mut servers => Err(Failure::running(format!("the HTTP server ended: {ended:?}"))),
    };
    engine::crash_point!(StopAsked);
    shared.begin_stopping();
    tracing::info!("stopping");
    let stop = async {
        // Who asks meanwhile is answered, by another node if need be.
        engine.hand_on().await;
        futures_util::future::join_all(handles.iter().map(|handle| handle.stop(true))).await;
        upkeep.abort();
        engine::crash_point!(StopServersEnded);
        engine.stop().await;
        engine::crash_point!(StopDone);
    };
    match tokio::time::timeout(STOP_DEADLINE, stop).await {
        Ok(()) => outcome,
        Err(_) => outcome.and(Err(Failure::running("the stores did not settle in time; what was answered is durable"))),
    }
}

fn bind(config: &Config, later: &SharedLater) -> Result<Vec<Bound>, Failure> {
    let bind = |setting: &str, address: SocketAddr, workers, table| {
        server::bind(&config.http, address, workers, later, table)
            .map_err(|error| Failure::settings(format!("{setting}: {address}: {error}")))
    };
    let http = &config.http;
    Ok(match http.metrics_listen {
        None => vec![bind("listen", http.listen, http.workers, routes::interface_and_metrics)?],
        Some(metrics) => vec![
            bind("listen", http.listen, http.workers, routes::interface)?,
            bind("metrics_listen", metrics, 1, routes::metrics)?,
        ],
    })
}

fn spawn_upkeep(shared: Arc<Shared>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP_PERIOD);
        loop {
            ticks.tick().await;
            shared.exporter.upkeep();
            shared.limits.tidy();
        }
    })
}

fn places(config: &Config, servers: &[Bound]) -> Places {
    let address = servers.first().map_or(config.http.listen, |server| server.address);
    let data_dir = config.engine.data_dir.display().to_string();
    Places {
        address,
        metrics_address: servers.last().map_or(address, |server| server.address),
        key_file: match &config.key {
            KeySource::DataDirectory => Some(config.engine.data_dir.join(KEY_FILE).display().to_string()),
            KeySource::File(path) => Some(path.display().to_string()),
            KeySource::Inline(_) => None,
        },
        data_dir,
    }
}

async fn first_screen(config: &Config, places: &Places, shared: &Shared, key: &SigningKey) -> Result<String, Failure> {
    if !config.demo {
        return Ok(screen::plain(places));
    }
    let (tokens, popular) = demo::prepare(&shared.engine, key)
        .await
        .map_err(|error| Failure::running(format!("the demonstration cannot be loaded: {error}")))?;
    Ok(screen::demo(places, &tokens, popular))
}
