//! Does a kill at every place where durable state, or what somebody was told, changes leave nothing lost, doubled or oversold?
//! Must not know: what stands before and after a point. The points are the program's own table; a new one is swept by itself.

mod audit;
mod kinds;
mod life;
mod messages;
mod notebook;
mod scripts;
mod sites;
mod stage;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blackbox::{Day, Plan, Point, Server, limits};
use tempfile::TempDir;

use audit::Seen;
use kinds::Kind;
use life::{Armed, Doomed};
use notebook::{Notebook, answered};
use scripts::{Part, Script};
use stage::Stage;

/// Fillings of a day between which it falls asleep: the last snapshot may not be saved when the stop begins, which leaves two.
const FILLINGS: usize = 3;
/// The passing at which most scripts are on their way, by a point that every command passes.
const IN_THE_MIDST: u64 = 14;
/// Idle for a second, found by a sweep each second, told by the next.
const SLEEP_DEADLINE: Duration = Duration::from_secs(15);

/// After a crash, everybody has an answer by then.
const ANSWERED_DEADLINE: Duration = Duration::from_secs(30);

/// One directory, killed again and again, with what everybody was told of it.
struct Run<'stage> {
    stage: &'stage Stage,
    workspace: TempDir,
    earlier: Notebook,
    first: Vec<Part>,
    fillings: Vec<Part>,
    /// What a reader saw of the busy day in the last life.
    seen: Seen,
    /// How many processes have died on the directory.
    deaths: usize,
}

impl<'stage> Run<'stage> {
    /// On a copy of the stage. The scripts begin in an order of the run's own.
    fn on(stage: &'stage Stage, turn: usize) -> Self {
        let workspace = TempDir::with_prefix("hotslot-point-").expect("a temporary directory");
        stage.copy(workspace.path());
        let mut first = Script::FIRST.map(Part::new).to_vec();
        first.rotate_left(turn % Script::FIRST.len());
        let fillings = (0..FILLINGS).map(|number| Part::new(Script::Filling(number))).collect();
        Self { stage, workspace, earlier: stage.earlier.clone(), first, fillings, seen: Seen::default(), deaths: 1 }
    }

    fn directory(&self) -> PathBuf {
        self.workspace.path().join("data")
    }

    /// One life that ends at the point: by itself at the start, under the workload, or at the stop after it.
    async fn die(&mut self, point: Point, passing: u64) {
        self.deaths += 1;
        let when = format!("{}:{passing}", point.name());
        if let Some(mut doomed) = Armed::at(&self.directory(), point, passing).launch().await {
            if self.work(&mut doomed).await.is_some() && doomed.server.status_if_ended().is_none() {
                limits::signal(doomed.server.process(), "TERM");
            }
            doomed.assert_killed().await;
        }
        life::assert_verified(&self.directory(), &when).await;
    }

    /// One life that is asked to end while everybody asks for something, and dies at a point of the stop.
    async fn die_while_stopping(&mut self, point: Point) {
        self.deaths += 1;
        let mut doomed = Armed::at(&self.directory(), point, 1).launch().await.expect("it dies when it stops only");
        let (server, days) = (&doomed.server, Arc::clone(&self.stage.days));
        self.stage.play_earlier(&mut self.earlier, |id| server.patient_as(id)).await.expect("it runs");
        let before = busy_seen(server, &days).await;
        let stop = async {
            // Some script is on its way by then, and the others with it.
            let begun = async || (busy_seen(server, &days).await > before).then_some(());
            blackbox::eventually("the scripts have begun", ANSWERED_DEADLINE, begun).await;
            limits::signal(server.process(), "TERM");
        };
        let (all_ended, ()) = tokio::join!(scripts::play(server, &days, &mut self.first), stop);
        assert!(!all_ended, "{}: the stop came too late to cut anything off", point.name());
        doomed.assert_killed().await;
        life::assert_verified(&self.directory(), point.name()).await;
    }

    /// The workload; `None` if the process dies of it.
    async fn work(&mut self, doomed: &mut Doomed) -> Option<()> {
        let days = Arc::clone(&self.stage.days);
        let server = &doomed.server;
        self.stage.play_earlier(&mut self.earlier, |id| server.patient_as(id)).await?;
        let all_ended = scripts::play(server, &days, &mut self.first).await;
        let seen = answered(server.anyone().day(&days.busy.doctor, &days.busy.date)).await?.expect(200).json();
        self.seen = Seen::of(&seen);
        if !all_ended {
            return None;
        }
        for number in 0..FILLINGS {
            let filling = &mut self.fillings[number..=number];
            if !scripts::play(server, &days, filling).await {
                return None;
            }
            until_days_sleep(server, &days.busy).await?;
        }
        Some(())
    }

    /// The life after: nothing is lost, everything goes on to its end, and nothing is found.
    async fn survive(mut self, when: &str) {
        eprintln!("after {when}");
        let before = messages::Before::of(&self.directory(), &self.notebooks().collect::<Vec<_>>());
        let mut server = life::unarmed(&self.directory()).await;
        let days = self.days();
        let notebooks: Vec<&Notebook> = self.notebooks().collect();
        audit::assert_nothing_is_lost(&server, &days, &notebooks).await;
        let now = busy_seen(&server, &self.stage.days).await;
        assert!(now >= self.seen, "{when}: a reader saw {:?}, now it is {now:?}", self.seen);

        self.fillings.retain(|part| part.notebook.answered() > 0);
        // Twice: the second time every key repeats its first answer, also the one whose first answer never came. What meets
        // something that is being settled may be told 503, and is asked again.
        for what in ["everything is answered now", "everything is answered again"] {
            let all = async || self.play_all(&server).await;
            blackbox::eventually(&format!("{when}: {what}"), ANSWERED_DEADLINE, all).await;
        }
        let notebooks: Vec<&Notebook> = self.notebooks().collect();
        audit::assert_nothing_is_lost(&server, &days, &notebooks).await;
        messages::assert_all_are_told(&server, &notebooks, &before, self.deaths).await;
        let open: Vec<Day> = self.stage.days.all().cloned().collect();
        audit::assert_all_add_up(&server, &open).await;
        assert!(server.terminate(life::END_DEADLINE).await.status.success(), "{when}: a clean stop");
        life::assert_verified(&self.directory(), when).await;
    }

    /// Every script to its end; `None` if one has not come there.
    async fn play_all(&mut self, server: &Server) -> Option<()> {
        let days = Arc::clone(&self.stage.days);
        self.stage.play_earlier(&mut self.earlier, |id| server.patient_as(id)).await?;
        let first = scripts::play(server, &days, &mut self.first).await;
        let fillings = scripts::play(server, &days, &mut self.fillings).await;
        (first && fillings).then_some(())
    }

    fn notebooks(&self) -> impl Iterator<Item = &Notebook> {
        self.first.iter().chain(&self.fillings).map(|part| &part.notebook).chain([&self.earlier])
    }

    /// Every day that there is at the end.
    fn days(&self) -> Vec<Day> {
        let own = self.stage.days.doctors.iter().map(|doctor| Plan::quarters_of(3, 2).later(5).day_of(doctor));
        self.stage.days.all().cloned().chain(own).collect()
    }
}

/// What a reader sees of the busy day.
async fn busy_seen(server: &Server, days: &stage::Days) -> Seen {
    Seen::of(&server.anyone().day(&days.busy.doctor, &days.busy.date).await.expect(200).json())
}

/// How many days are awake, as of the last sweep, and how many slots have fallen asleep with their days in this life; `None` if the
/// process has died.
async fn awake_and_slept(server: &Server) -> Option<(u64, u64)> {
    let text = answered(server.anyone().get("/metrics")).await?.expect(200).text();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.trim().parse().expect("a whole number")
    };
    Some((value("hotslot_days_awake "), value("hotslot_conservation_samples_total ")))
}

/// Waits until the busy day has fallen asleep, and all others with it, without touching one; `None` if the process dies meanwhile. The
/// number of days awake may be that of a sweep before the busy day woke, so it does not tell alone.
async fn until_days_sleep(server: &Server, busy: &Day) -> Option<()> {
    let (_, before) = awake_and_slept(server).await?;
    let asleep = async || match awake_and_slept(server).await {
        Some((awake, slept)) => (awake == 0 && slept >= before + busy.starts.len() as u64).then_some(Some(())),
        None => Some(None),
    };
    blackbox::eventually("all days sleep", SLEEP_DEADLINE, asleep).await
}

/// Two successive starts on `directory` die at the point.
async fn die_at_two_starts(directory: &Path, point: Point) {
    for _ in 0..2 {
        Armed::at(directory, point, 1).die_at_start().await;
    }
}

/// Starts on a new directory that die at the point; then one that does not, which serves.
async fn die_on_new_directories(point: Point) {
    let starts = if kinds::kind_of(point) == Kind::NewDirectory { [1, 1].as_slice() } else { &[2] };
    for &starts in starts {
        let workspace = TempDir::with_prefix("hotslot-new-").expect("a temporary directory");
        let directory = workspace.path().join("data");
        for _ in 0..starts {
            Armed::at(&directory, point, 1).die_at_start().await;
        }
        let mut server = life::unarmed(&directory).await;
        let day = server.publish(&Plan::quarters(1)).await;
        server.patient().book(&blackbox::Wish::any(&day)).await.expect(201);
        server.assert_audited().await;
    }
}

/// The first and the second time that `point` is passed, each on a directory of its own unless its kind says otherwise. Most
/// of it is waiting, so both go on at once.
async fn sweep_point(stage: &Stage, number: usize, point: Point) {
    match kinds::kind_of(point) {
        Kind::Running => {
            let turn = 3 * number;
            tokio::join!(die_and_survive(stage, turn, point, 1), die_and_survive(stage, turn + 1, point, 2));
        }
        Kind::EveryCommand => {
            let turn = 3 * number;
            tokio::join!(
                die_and_survive(stage, turn, point, 1),
                die_and_survive(stage, turn + 1, point, 2),
                die_and_survive(stage, turn + 2, point, IN_THE_MIDST),
            );
        }
        Kind::NewDirectory => die_on_new_directories(point).await,
        Kind::Start if kinds::needs_new_directory(point) => die_on_new_directories(point).await,
        Kind::Start => {
            let mut run = Run::on(stage, number);
            die_at_two_starts(&run.directory(), point).await;
            run.deaths += 2;
            tokio::join!(die_on_new_directories(point), run.survive(point.name()));
        }
        Kind::After(crash) => {
            let mut run = Run::on(stage, number);
            for _ in 0..2 {
                run.die(crash, 1).await;
                Armed::at(&run.directory(), point, 1).die_at_start().await;
                run.deaths += 1;
            }
            run.survive(point.name()).await;
        }
        Kind::Stop => {
            let mut run = Run::on(stage, number);
            run.die_while_stopping(point).await;
            run.die(point, 1).await;
            run.survive(point.name()).await;
        }
    }
}

async fn die_and_survive(stage: &Stage, turn: usize, point: Point, passing: u64) {
    let mut run = Run::on(stage, turn);
    run.die(point, passing).await;
    run.survive(&format!("{}, passing {passing}", point.name())).await;
}

/// Number of tests among which the points are dealt out, so that they run at once and none takes long.
const SHARES: usize = 12;

async fn sweep(share: usize) {
    let stage = Stage::prepare().await;
    for (number, point) in Point::ALL.iter().enumerate().skip(share).step_by(SHARES) {
        let watch = blackbox::Stopwatch::start();
        sweep_point(&stage, number, *point).await;
        eprintln!("{}: {:?}", point.name(), watch.elapsed());
    }
}

/// One test a share; each number below `SHARES` must be there.
macro_rules! shares {
    ($($name:ident = $share:literal,)+) => {
        $(#[tokio::test]
        async fn $name() {
            sweep($share).await;
        })+

        #[test]
        fn every_share_is_swept() {
            assert_eq!([$($share),+].as_slice(), (0..SHARES).collect::<Vec<_>>());
        }
    };
}

shares! {
    nothing_is_lost_at_any_point_of_share_0 = 0,
    nothing_is_lost_at_any_point_of_share_1 = 1,
    nothing_is_lost_at_any_point_of_share_2 = 2,
    nothing_is_lost_at_any_point_of_share_3 = 3,
    nothing_is_lost_at_any_point_of_share_4 = 4,
    nothing_is_lost_at_any_point_of_share_5 = 5,
    nothing_is_lost_at_any_point_of_share_6 = 6,
    nothing_is_lost_at_any_point_of_share_7 = 7,
    nothing_is_lost_at_any_point_of_share_8 = 8,
    nothing_is_lost_at_any_point_of_share_9 = 9,
    nothing_is_lost_at_any_point_of_share_10 = 10,
    nothing_is_lost_at_any_point_of_share_11 = 11,
}
