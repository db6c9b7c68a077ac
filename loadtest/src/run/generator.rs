//! The open-loop generator: every arrival is sent at its time, or waits for a connection and the waiting counts.
//! Must not know: where arrivals come from, how outcomes are judged.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::LocalSet;

use crate::driver::connection::{Connection, TransportError};
use crate::driver::target::Target;
use crate::driver::{clock, cpu};
use crate::run::connections::{is_open, open_again, open_all};
use crate::run::dice::Dice;
use crate::run::job::{Decks, Done, Job, Next, return_to};
use crate::run::operation::{Answer, Class, read};
use crate::run::plan::Arrival;
use crate::run::processes::Share;
use crate::run::scenario::Generator;
use crate::run::world::World;
use crate::tokens::Patient;

/// Pause before a request without an answer is repeated.
const UNANSWERED_DELAY: Duration = Duration::from_millis(100);
/// Pause before a request that came too early is repeated.
const EARLY_DELAY: Duration = Duration::from_millis(5);
/// The longest `Retry-After` that is honoured, so that a run ends.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(2);
/// How many answers are due where their gathering is worth more than being woken for each.
const MANY_IN_FLIGHT: u64 = 64;
/// How long they gather; far below what is told apart between runs, and part of every latency.
const NAP: Duration = Duration::from_micros(200);
/// Room for a request, in bytes.
const REQUEST_BYTES: usize = 1_024;

/// Why there is no run.
#[derive(Debug, Error)]
pub(crate) enum GeneratorError {
    /// A connection could not be opened.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// What went wrong.
        source: TransportError,
    },
    /// No runtime or thread.
    #[error("cannot start a generator thread: {0}")]
    Start(#[from] std::io::Error),
    /// A thread ended without a result.
    #[error("a generator thread failed: {0}")]
    Died(&'static str),
}

/// All that is offered, prepared.
pub(crate) struct Offer {
    /// Where to.
    pub(crate) target: Target,
    /// The days.
    pub(crate) world: World,
    /// Who asks; not empty.
    pub(crate) patients: Vec<Patient>,
    /// In order of time; thread `t` of `n` sends `t`, `t + n`, …
    pub(crate) arrivals: Vec<Arrival>,
    /// How.
    pub(crate) settings: Generator,
    /// Which process of how many: connections are numbered over all of them.
    pub(crate) share: Share,
    /// When to give up, microseconds from the start.
    pub(crate) deadline_micros: u64,
    /// Seed of what is drawn on the way.
    pub(crate) seed: u64,
    /// What the progress line reads.
    pub(crate) live: Arc<Live>,
}

/// Running counts, for the eyes only.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Arrivals dispatched.
    pub(crate) dispatched: AtomicU64,
    /// Settled, by class in the order of `Class::ALL`.
    pub(crate) settled: [AtomicU64; 6],
    /// The largest lag since it was last read.
    pub(crate) worst_lag_micros: AtomicU64,
}

/// What the threads give.
#[derive(Debug, Default)]
pub(crate) struct Generated {
    /// One for each arrival, in no order.
    pub(crate) done: Vec<Done>,
    /// Processor time of the threads during the run, in nanoseconds; 0 where the system does not tell.
    pub(crate) cpu_nanos: u64,
    /// Connections that had to be opened again.
    pub(crate) reopened: u64,
}

/// Threads whose connections are open and that wait for the word.
pub(crate) struct Ready {
    start: watch::Sender<Option<Instant>>,
    threads: Vec<JoinHandle<Result<Generated, GeneratorError>>>,
}

impl Ready {
    /// Opens every connection; returns when all are open.
    pub(crate) async fn prepare(offer: Arc<Offer>) -> Result<Self, GeneratorError> {
        let count = offer.settings.threads.min(offer.settings.connections) as usize;
        let (start, receiver) = watch::channel(None);
        // One message a thread is all there ever is.
        let (ready, mut readies) = mpsc::channel(count);
        let mut threads = Vec::new();
        for thread in 0..count {
            let (offer, ready, receiver) = (Arc::clone(&offer), ready.clone(), receiver.clone());
            let body = move || run_thread(&offer, thread, count, &ready, receiver);
            threads.push(std::thread::Builder::new().name(format!("load-{thread}")).spawn(body)?);
        }
        drop(ready);
        let prepared = Self { start, threads };
        for _ in 0..count {
            if readies.recv().await.is_none() {
                return Err(prepared.collect().await.err().unwrap_or(GeneratorError::Died("not ready")));
            }
        }
        Ok(prepared)
    }

    /// Runs from the local instant `start` until every arrival is settled or the deadline has come.
    pub(crate) async fn run(self, start: Instant) -> Result<Generated, GeneratorError> {
        self.start.send_replace(Some(start));
        self.collect().await
    }

    async fn collect(self) -> Result<Generated, GeneratorError> {
        drop(self.start);
        let threads = self.threads;
        let joining = tokio::task::spawn_blocking(move || {
            let mut sum = Generated::default();
            for thread in threads {
                let part = thread.join().map_err(|_| GeneratorError::Died("it panicked"))??;
                sum.done.extend(part.done);
                sum.cpu_nanos += part.cpu_nanos;
                sum.reopened += part.reopened;
            }
            Ok(sum)
        });
        joining.await.map_err(|_| GeneratorError::Died("it cannot be joined"))?
    }
}

fn run_thread(
    offer: &Arc<Offer>,
    thread: usize,
    threads: usize,
    ready: &mpsc::Sender<()>,
    start: watch::Receiver<Option<Instant>>,
) -> Result<Generated, GeneratorError> {
    let in_flight = Arc::new(AtomicU64::new(0));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().on_thread_park(nap_of(Arc::clone(&in_flight)));
    let body = thread_body(Arc::clone(offer), (thread, threads), ready, start, in_flight);
    LocalSet::new().block_on(&runtime.build()?, body)
}

/// Before a thread waits for answers while many are due, a moment in which some of them gather: to be woken for each
/// by itself can cost as much as the exchange, and the cores are the server's too.
fn nap_of(in_flight: Arc<AtomicU64>) -> impl Fn() + Send + Sync + 'static {
    move || {
        if in_flight.load(Ordering::Relaxed) >= MANY_IN_FLIGHT {
            // Nobody wakes this thread by its handle: this is a pause, and ends by its time.
            std::thread::park_timeout(NAP);
        }
    }
}

async fn thread_body(
    offer: Arc<Offer>,
    (thread, threads): (usize, usize),
    ready: &mpsc::Sender<()>,
    mut start: watch::Receiver<Option<Instant>>,
    in_flight: Arc<AtomicU64>,
) -> Result<Generated, GeneratorError> {
    let Share { process, processes } = offer.share;
    let all = (0..offer.settings.connections as usize).map(|number| number * processes as usize + process as usize);
    let numbers: Vec<usize> = all.skip(thread).step_by(threads).collect();
    let links = open_all(&offer.target, &numbers).await?;
    let told = ready.send(()).await;
    let word = start.wait_for(Option::is_some).await.ok().and_then(|start| *start);
    let (Ok(()), Some(start)) = (told, word) else { return Err(GeneratorError::Died("no start")) };
    let cpu_before = cpu::thread_nanos();
    let offer_arrivals = offer.arrivals.len();
    let shared = Rc::new(Shared {
        dice: RefCell::new(Dice::new(offer.seed ^ (u64::from(process) << 32) ^ (thread as u64 + 1))),
        offer,
        start,
        queue: RefCell::default(),
        waiting: Semaphore::new(0),
        idle: Cell::new(0),
        in_flight,
        decks: RefCell::default(),
        done: RefCell::new(Vec::with_capacity(offer_arrivals.div_ceil(threads))),
        reopened: Cell::new(0),
        settled: Notify::new(),
    });
    let workers: Vec<_> = numbers
        .into_iter()
        .zip(links)
        .map(|(number, link)| tokio::task::spawn_local(work(Rc::clone(&shared), number, link)))
        .collect();
    let mine = shared.dispatch(thread, threads).await;
    while shared.done.borrow().len() < mine {
        shared.settled.notified().await;
    }
    let cpu_nanos = cpu::thread_nanos().zip(cpu_before).map_or(0, |(after, before)| after.saturating_sub(before));
    shared.waiting.close();
    for worker in workers {
        worker.await.map_err(|_| GeneratorError::Died("a worker panicked"))?;
    }
    Ok(Generated { done: shared.done.take(), cpu_nanos, reopened: shared.reopened.get() })
}

/// What the tasks of one thread share. No borrow is held over an await.
struct Shared {
    offer: Arc<Offer>,
    start: Instant,
    dice: RefCell<Dice>,
    /// Dispatched and not in flight; each is one permit of `waiting`. At most as many as there are arrivals: an open
    /// loop never refuses one.
    queue: RefCell<VecDeque<Job>>,
    waiting: Semaphore,
    /// Connections that wait for work, those included that were woken and have not come round yet.
    idle: Cell<usize>,
    /// Requests whose answers are due.
    in_flight: Arc<AtomicU64>,
    decks: RefCell<Decks>,
    done: RefCell<Vec<Done>>,
    reopened: Cell<u64>,
    settled: Notify,
}

impl Shared {
    fn micros(&self) -> u64 {
        let elapsed = clock::now().saturating_duration_since(self.start);
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    }

    fn instant(&self, micros: u64) -> tokio::time::Instant {
        (self.start + Duration::from_micros(micros)).into()
    }

    /// Hands every arrival of this thread over at its time; how many there were.
    async fn dispatch(&self, thread: usize, threads: usize) -> usize {
        let mut count = 0;
        for number in (thread..self.offer.arrivals.len()).step_by(threads) {
            let arrival = &self.offer.arrivals[number];
            if self.micros() < arrival.at_micros {
                tokio::time::sleep_until(self.instant(arrival.at_micros)).await;
            } else if count % 32 == 31 {
                // Behind: let answers in between, or no connection becomes free.
                tokio::task::yield_now().await;
            }
            let now = self.micros();
            let lag = now.saturating_sub(arrival.at_micros);
            let (decks, dice) = (&mut *self.decks.borrow_mut(), &mut *self.dice.borrow_mut());
            let mut job = Job::new(number, arrival, &self.offer.world, decks, dice, now);
            job.done.found_connection = self.idle.get() > self.queue.borrow().len();
            self.offer.live.dispatched.fetch_add(1, Ordering::Relaxed);
            self.offer.live.worst_lag_micros.fetch_max(lag, Ordering::Relaxed);
            self.enqueue(job);
            count += 1;
        }
        count
    }

    fn enqueue(&self, job: Job) {
        self.queue.borrow_mut().push_back(job);
        self.waiting.add_permits(1);
    }

    fn finish(&self, done: Done, patient: u32) {
        return_to(&mut self.decks.borrow_mut(), &done, patient);
        let class = Class::ALL.iter().position(|class| *class == done.answer.class()).unwrap_or(0);
        self.offer.live.settled[class].fetch_add(1, Ordering::Relaxed);
        self.done.borrow_mut().push(done);
        self.settled.notify_one();
    }

    /// One exchange of a job within its time; the answer and how long to wait before a repetition.
    async fn exchange(&self, job: &mut Job, link: &mut Connection, buffer: &mut Vec<u8>) -> (Answer, Duration) {
        let offer = &*self.offer;
        let asked = (&*offer.target.host, offer.settings.hold_seconds);
        job.write_request(&offer.world, &offer.patients, asked, buffer);
        let sent = self.micros();
        job.done.sent_micros.get_or_insert(sent);
        let until = (sent + offer.settings.timeout_ms * 1_000).min(offer.deadline_micros);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let exchange = tokio::time::timeout_at(self.instant(until), link.exchange(buffer)).await;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let Ok(Ok(answer)) = exchange else { return (Answer::Unanswered, UNANSWERED_DELAY) };
        let find = |doctor, date| offer.world.index.get(&(doctor, date)).copied();
        let delay = Duration::from_secs(answer.head.retry_after_seconds.unwrap_or(1).into()).min(MAX_RETRY_AFTER);
        (read(job.done.operation, answer.head.status, answer.body, job.done.day, find), delay)
    }
}

/// The work of one connection: whatever has waited longest, until there is nothing more.
async fn work(shared: Rc<Shared>, number: usize, link: Connection) {
    let (mut link, mut buffer) = (Some(link), Vec::with_capacity(REQUEST_BYTES));
    loop {
        shared.idle.set(shared.idle.get() + 1);
        let permit = shared.waiting.acquire().await;
        shared.idle.set(shared.idle.get() - 1);
        let Ok(permit) = permit else { return };
        permit.forget();
        let Some(mut job) = shared.queue.borrow_mut().pop_front() else { continue };
        let patient = job.patient();
        // Opening one again is no lag of the generator.
        job.done.found_connection &= link.as_ref().is_some_and(is_open);
        let Some(mut open) = usable(&shared, number, link.take()).await else {
            shared.finish(job.give_up(shared.micros()), patient);
            continue;
        };
        let (answer, delay) = shared.exchange(&mut job, &mut open, &mut buffer).await;
        // After no answer the connection may still carry the old exchange.
        link = (answer != Answer::Unanswered).then_some(open);
        match job.settle(answer, shared.micros(), shared.offer.settings.retries) {
            Next::Settled(done) => shared.finish(done, patient),
            Next::Again(job) => repeat(&shared, job, delay),
        }
    }
}

/// Sends a job again after a pause, which holds up no connection.
fn repeat(shared: &Rc<Shared>, job: Job, delay: Duration) {
    let delay = match (job.was_early(), shared.offer.settings.honours_retry_after) {
        (true, _) => EARLY_DELAY,
        (false, true) => delay,
        (false, false) => Duration::ZERO,
    };
    let shared = Rc::clone(shared);
    tokio::task::spawn_local(async move {
        tokio::time::sleep_until((clock::now() + delay).into()).await;
        shared.enqueue(job);
    });
}

/// An open connection; `None` once the deadline has come.
async fn usable(shared: &Shared, number: usize, link: Option<Connection>) -> Option<Connection> {
    let deadline = shared.instant(shared.offer.deadline_micros);
    if clock::now() >= deadline.into_std() {
        return None;
    }
    if let Some(link) = link.filter(is_open) {
        return Some(link);
    }
    shared.reopened.set(shared.reopened.get() + 1);
    open_again(shared.offer.target.address, number, deadline).await
}

#[cfg(test)]
#[path = "generator_tests.rs"]
mod tests;
