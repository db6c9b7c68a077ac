//! The run that is recorded: callers on many days, and the program killed under them again and again.
//! Must not know: what they should be told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use blackbox::history::{Caller, Life, Recorder};
use blackbox::{Claims, Day, Dice, Plan, Server, eventually, fresh_id};
use linearizability::day::{Call, Log};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::visitor::{Patient, Scene, Visitor};

/// How large a storm is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Callers at once; each has a second connection for calls that race its own.
    pub(super) visitors: usize,
    /// A kill comes after each but the last.
    pub(super) phases: usize,
    pub(super) calls_a_phase: usize,
    /// Each phase leaves so many days behind and finds as many new ones.
    pub(super) days_new_a_phase: usize,
    /// Days on which something happens at the same time.
    pub(super) days_at_once: usize,
}

impl Scale {
    fn days(self) -> usize {
        self.days_new_a_phase * (self.phases - 1) + self.days_at_once
    }
}

const PATIENTS_EACH: usize = 3;
const PHASE_DEADLINE: Duration = Duration::from_secs(60);
/// Everybody who reads at the end.
const READERS: usize = 16;
/// The number of the caller who looks first after each kill.
const INSPECTOR: u32 = u32::MAX;

/// What a run left behind.
pub(super) struct Recorded {
    pub(super) log: Log,
    pub(super) kills: usize,
}

/// Runs a storm to its end and reads everything once more. The directory it leaves is audited.
pub(super) async fn record(scale: Scale) -> Recorded {
    let mut server = Server::start().await;
    let mut dice = Dice::thrown();
    let days = publish(&server, scale.days()).await;
    let patients: Vec<String> = (0..scale.visitors * PATIENTS_EACH).map(|_| fresh_id()).collect();
    let recorder = Recorder::start(days, patients.clone());
    let (lives, life) = watch::channel(Life { number: 0, address: address_of(&server) });
    let admin = token(&server, "admin", &fresh_id());
    let scene = Arc::new(Scene {
        scale,
        recorder: Arc::clone(&recorder),
        phase: AtomicU32::new(0),
        is_over: AtomicBool::new(false),
        admin: admin.clone(),
        board: Default::default(),
    });
    let mut visitors = JoinSet::new();
    for (number, ids) in patients.chunks(PATIENTS_EACH).enumerate() {
        let first = number * PATIENTS_EACH;
        let own =
            ids.iter().zip(first as u32..).map(|(id, number)| Patient { number, token: token(&server, "patient", id) });
        let dice = Dice::seeded(dice.below(usize::MAX) as u64);
        visitors.spawn(Visitor::new(&scene, number as u32, &life, own.collect(), dice).run());
    }
    for phase in 0..scale.phases {
        // The kill comes at any point of the last tenth.
        let target = (phase + 1) * scale.calls_a_phase - dice.below(scale.calls_a_phase / 10);
        wait_for_calls(&recorder, &mut visitors, target).await;
        if phase + 1 < scale.phases {
            kill(&mut server, &recorder, &lives, &scene).await;
            scene.phase.fetch_add(1, Ordering::Relaxed);
        }
    }
    scene.is_over.store(true, Ordering::Relaxed);
    while let Some(visitor) = visitors.join_next().await {
        visitor.expect("a visitor does not panic");
    }
    read_everything(&recorder, &life, &admin, scale).await;
    let log = recorder.log();
    server.assert_audited().await;
    Recorded { log, kills: scale.phases - 1 }
}

async fn publish(server: &Server, count: usize) -> Vec<(Day, Vec<u16>)> {
    let mut days = Vec::new();
    let mut doctor = String::new();
    for number in 0..count {
        if number % 8 == 0 {
            doctor = server.new_doctor().await;
        }
        // No two days overlap: nobody is ever refused because of another day.
        let (slots, places) = [(10, 2), (20, 1), (6, 3), (4, 1)][number % 4];
        let plan = Plan::quarters_of(slots, places).later(number as i64);
        days.push((server.publish_for(&doctor, &plan).await, vec![places as u16; slots]));
    }
    days
}

fn token(server: &Server, role: &str, subject: &str) -> String {
    server.signer().sign(&Claims::of(role, subject))
}

fn address_of(server: &Server) -> Option<std::net::SocketAddr> {
    server.address().strip_prefix("http://").and_then(|address| address.parse().ok())
}

/// Waits until so many calls are noted; a visitor that panics fails the test at once.
async fn wait_for_calls(recorder: &Recorder, visitors: &mut JoinSet<()>, target: usize) {
    eventually("the calls go on", PHASE_DEADLINE, async || {
        if let Some(ended) = visitors.try_join_next() {
            ended.expect("a visitor does not panic");
        }
        (recorder.count() >= target).then_some(())
    })
    .await;
}

/// Kills the program, starts it again, and reads the days that are visited before anybody else comes back.
async fn kill(server: &mut Server, recorder: &Arc<Recorder>, lives: &watch::Sender<Life>, scene: &Scene) {
    let killed = lives.borrow().number;
    server.kill().await;
    recorder.life_ended(killed);
    lives.send_replace(Life { number: killed, address: None });
    server.start_again().await;
    let life = Life { number: killed + 1, address: address_of(server) };
    let (_known, known) = watch::channel(life);
    let mut inspector = Caller::new(recorder, INSPECTOR, &known);
    for day in scene.days_visited() {
        inspector.call(&Call::ReadDay { day }, &scene.admin).await;
    }
    lives.send_replace(life);
}

/// Reads every day and every appointment that anybody was told of.
async fn read_everything(recorder: &Arc<Recorder>, life: &watch::Receiver<Life>, admin: &str, scale: Scale) {
    let mut readers = JoinSet::new();
    let appointments = recorder.appointments_known();
    for reader in 0..READERS {
        let mut caller = Caller::new(recorder, (scale.visitors * 2 + reader) as u32, life);
        let admin = admin.to_owned();
        readers.spawn(async move {
            for day in (0..scale.days() as u32).skip(reader).step_by(READERS) {
                caller.call(&Call::ReadDay { day }, &admin).await;
            }
            for appointment in (0..appointments).skip(reader).step_by(READERS) {
                caller.call(&Call::ReadAppointment { appointment }, &admin).await;
            }
        });
    }
    while let Some(reader) = readers.join_next().await {
        reader.expect("a reader does not panic");
    }
}
