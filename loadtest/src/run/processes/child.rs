//! One process of a generator: does its share of an order and tells every record.
//! Must not know: the other processes, how a run is judged.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncWrite, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::driver::clock;
use crate::driver::descriptors::{DescriptorError, make_room};
use crate::driver::target::Target;
use crate::run::generator::{Generated, GeneratorError, Live, Offer, Ready};
use crate::run::plan;
use crate::run::processes::words::{Order, Start, Word, WordsError, hear, say};
use crate::run::scenario::ScenarioError;
use crate::run::settled;
use crate::run::world::World;
use crate::tokens::{Mint, TokenError};

/// How often progress is told; also how soon a child notices that its parent has gone.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Records that are sent off together.
const RECORDS_AT_ONCE: usize = 1_000;

/// Why a child does not do its share.
#[derive(Debug, Error)]
pub(crate) enum ChildError {
    /// What it is told, or what it tells.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// The scenario will not do.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// There are no tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The load cannot be offered.
    #[error(transparent)]
    Generator(#[from] GeneratorError),
    /// Too many connections for this system.
    #[error(transparent)]
    Descriptors(#[from] DescriptorError),
}

/// The body of the process: orders on standard input, words on standard output.
pub(crate) async fn run() -> Result<(), ChildError> {
    let pipes = || {
        let input = Receiver::from_owned_fd(std::io::stdin().as_fd().try_clone_to_owned()?)?;
        let output = Sender::from_owned_fd(std::io::stdout().as_fd().try_clone_to_owned()?)?;
        Ok::<_, std::io::Error>((input, output))
    };
    let (input, mut output) = pipes().map_err(WordsError::Pipe)?;
    serve(&mut BufReader::new(input), &mut output).await
}

/// Does what the first line orders, beginning when the second says.
pub(crate) async fn serve(
    input: &mut (impl AsyncBufRead + Unpin),
    output: &mut (impl AsyncWrite + Unpin),
) -> Result<(), ChildError> {
    let order: Order = hear(input).await?;
    let live = Arc::new(Live::default());
    let offer = offer(order, Arc::clone(&live))?;
    make_room(offer.settings.connections.into())?;
    let ready = Ready::prepare(Arc::new(offer)).await?;
    say(output, &[Word::Ready]).await?;
    let start: Start = hear(input).await?;
    let generated = with_progress(ready, start, &live, output).await?;
    tell(generated, output).await
}

/// This child's share of what the order offers.
fn offer(order: Order, live: Arc<Live>) -> Result<Offer, ChildError> {
    let Order { scenario, folder, address, host, key_file, audiences, seed, days, share } = order;
    let all = plan::draw(&scenario, &folder, u32::try_from(days.len()).unwrap_or(u32::MAX), seed)?;
    let deadline_micros = plan::deadline_micros(&all, &scenario.generator);
    let mut arrivals: Vec<_> = share.of(all.into_iter()).collect();
    // Patients are counted anew: those of the others are not minted here.
    let patients = Mint::from_key_file(&key_file)?
        .with_audiences(audiences)
        .patients(plan::number_patients(&mut arrivals).max(1), 1)?;
    let mut settings = scenario.generator;
    settings.connections = share.count(settings.connections);
    let target = Target { address, host };
    Ok(Offer { target, world: World::of(days), patients, arrivals, settings, share, deadline_micros, seed, live })
}

async fn with_progress(
    ready: Ready,
    start: Start,
    live: &Live,
    output: &mut (impl AsyncWrite + Unpin),
) -> Result<Generated, ChildError> {
    let mut running = std::pin::pin!(ready.run(start.instant()));
    let (mut dispatched_before, mut settled_before) = (0, [0; 6]);
    loop {
        let next = clock::now() + PROGRESS_INTERVAL;
        if let Ok(generated) = tokio::time::timeout_at(next.into(), &mut running).await {
            return Ok(generated?);
        }
        let (dispatched, settled) = (live.dispatched.load(Ordering::Relaxed), settled(live));
        let since = [0, 1, 2, 3, 4, 5].map(|class: usize| settled[class] - settled_before[class]);
        let worst_lag_micros = live.worst_lag_micros.swap(0, Ordering::Relaxed);
        let word = Word::Progress { dispatched: dispatched - dispatched_before, settled: since, worst_lag_micros };
        say(output, &[word]).await?;
        (dispatched_before, settled_before) = (dispatched, settled);
    }
}

async fn tell(generated: Generated, output: &mut (impl AsyncWrite + Unpin)) -> Result<(), ChildError> {
    let Generated { done, cpu_nanos, reopened } = generated;
    let arrivals = done.len() as u64;
    let mut done = done.into_iter();
    loop {
        let some: Vec<Word> = done.by_ref().take(RECORDS_AT_ONCE).map(|done| Word::Done(Box::new(done))).collect();
        if some.is_empty() {
            break;
        }
        say(output, &some).await?;
    }
    Ok(say(output, &[Word::End { arrivals, cpu_nanos, reopened }]).await?)
}
