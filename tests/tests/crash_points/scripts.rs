//! The workload: what people ask, each in an order of their own, all at once. Together they pass every point.
//! Must not know: points, where the process dies; the notebook remembers what was answered.

use std::sync::Arc;

use blackbox::{Claims, Client, Plan, Reply, Server, Wish, fresh_id, instant_of, wall_clock_reaches};
use jiff::SignedDuration;
use serde_json::json;
use tokio::task::JoinSet;

use super::notebook::Notebook;
use super::stage::Days;

/// Who wants one of the three places of a slot.
const CROWD: usize = 8;
/// Bookings and as many cancellations of one filling: more records than a sleeping day needs for a snapshot.
const FILLINGS: usize = 10;
/// What happens by a timer has happened so long after its instant.
const TIMER_GRACE: SignedDuration = SignedDuration::from_millis(800);

/// One person's, or one crowd's, order of things.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Script {
    BookedAndCancelled,
    HeldAndConfirmed,
    Expired(usize),
    MovedAwayAndBack,
    MovedWithin,
    Crowd,
    Published(usize),
    People,
    /// Not among the first: asked while days fall asleep in between.
    Filling(usize),
}

impl Script {
    /// All that run at once.
    pub const FIRST: [Self; 10] = [
        Self::BookedAndCancelled,
        Self::HeldAndConfirmed,
        Self::Expired(0),
        Self::Expired(1),
        Self::MovedAwayAndBack,
        Self::MovedWithin,
        Self::Crowd,
        Self::Published(0),
        Self::Published(1),
        Self::People,
    ];
}

/// A script with the people in it, who are the same in every life, and what they know.
#[derive(Clone, Debug)]
pub struct Part {
    script: Script,
    admin: String,
    patients: Vec<String>,
    /// What they were told.
    pub notebook: Notebook,
}

/// A part in one life: the same people, with clients of that life.
struct Scene {
    days: Arc<Days>,
    admin: Client,
    patients: Vec<Client>,
    notebook: Notebook,
}

impl Part {
    /// Nobody has asked anything yet.
    pub fn new(script: Script) -> Self {
        let patients = (0..CROWD.max(FILLINGS)).map(|_| fresh_id()).collect();
        Self { script, admin: fresh_id(), patients, notebook: Notebook::default() }
    }

    fn scene(&self, server: &Server, days: &Arc<Days>) -> Scene {
        Scene {
            days: Arc::clone(days),
            admin: server.client(&self.admin, &Claims::of("admin", &self.admin)),
            patients: self.patients.iter().map(|id| server.patient_as(id)).collect(),
            notebook: self.notebook.clone(),
        }
    }
}

/// Plays all parts at once, each to its end or until the process dies; whether all came to their end.
pub async fn play(server: &Server, days: &Arc<Days>, parts: &mut [Part]) -> bool {
    let mut playing = JoinSet::new();
    for (number, part) in parts.iter().enumerate() {
        let (script, mut scene) = (part.script, part.scene(server, days));
        playing.spawn(async move {
            let ended = scene.play(script).await;
            (number, scene.notebook, ended.is_some())
        });
    }
    let mut all_ended = true;
    for (number, notebook, ended) in playing.join_all().await {
        parts[number].notebook = notebook;
        all_ended &= ended;
    }
    all_ended
}

impl Scene {
    async fn play(&mut self, script: Script) -> Option<()> {
        match script {
            Script::BookedAndCancelled => self.booked_and_cancelled().await,
            Script::HeldAndConfirmed => self.held_and_confirmed().await,
            Script::Expired(number) => self.expired(number).await,
            Script::MovedAwayAndBack => self.moved_away_and_back().await,
            Script::MovedWithin => self.moved_within().await,
            Script::Crowd => self.crowd().await,
            Script::Published(number) => self.published(number).await,
            Script::People => self.people().await,
            Script::Filling(number) => self.filling(number).await,
        }
    }

    async fn booked_and_cancelled(&mut self) -> Option<()> {
        let patient = self.patients[0].clone();
        let call = patient.book(&Wish::any(&self.days.busy));
        let id = id_of(&self.notebook.ask("book", None, call.clone()).await?);
        self.notebook.look(&patient, &id).await;
        // A twin after the answer.
        self.notebook.ask("book", None, call).await?;
        self.notebook.ask("cancel", Some(&id), patient.cancel_because(&id, "moved away")).await?;
        self.notebook.look(&patient, &id).await
    }

    async fn held_and_confirmed(&mut self) -> Option<()> {
        let patient = self.patients[0].clone();
        let held = self.notebook.ask("hold", None, patient.hold(&Wish::slot(&self.days.busy, 6).ttl(900))).await?;
        let id = id_of(&held);
        self.notebook.ask("confirm", Some(&id), patient.confirm(&id)).await?;
        self.notebook.look(&patient, &id).await
    }

    /// The place of a hold that ends by its timer is booked by somebody else.
    async fn expired(&mut self, number: usize) -> Option<()> {
        let days = Arc::clone(&self.days);
        let (day, patient, next) = (&days.brief[number], self.patients[0].clone(), self.patients[1].clone());
        let held = self.notebook.ask("hold", None, patient.hold(&Wish::slot(day, 0).ttl(1))).await?;
        wall_clock_reaches(instant_of(&held.field("hold_expires_at")) + TIMER_GRACE).await;
        self.notebook.refused(patient.confirm(&id_of(&held)), 410, "hold_expired").await?;
        self.notebook.ask("book", None, next.book(&Wish::slot(day, 0))).await.map(drop)
    }

    async fn moved_away_and_back(&mut self) -> Option<()> {
        let patient = self.patients[0].clone();
        let days = Arc::clone(&self.days);
        let id = id_of(&self.notebook.ask("book", None, patient.book(&Wish::any(&days.home))).await?);
        self.notebook.ask("move away", Some(&id), patient.reschedule(&id, &Wish::any(&days.away))).await?;
        self.notebook.look(&patient, &id).await?;
        self.notebook.ask("move back", Some(&id), patient.reschedule(&id, &Wish::slot(&days.home, 2))).await?;
        self.notebook.ask("move again", Some(&id), patient.reschedule(&id, &Wish::slot(&days.away, 1))).await?;
        self.notebook.look(&patient, &id).await
    }

    async fn moved_within(&mut self) -> Option<()> {
        let patient = self.patients[0].clone();
        let days = Arc::clone(&self.days);
        let held = self.notebook.ask("hold", None, patient.hold(&Wish::slot(&days.busy, 4).ttl(900))).await?;
        let id = id_of(&held);
        self.notebook.ask("move", Some(&id), patient.reschedule(&id, &Wish::slot(&days.busy, 7))).await?;
        self.notebook.ask("move off", Some(&id), patient.reschedule(&id, &Wish::slot(&days.home, 3))).await?;
        self.notebook.look(&patient, &id).await
    }

    /// More people than places, all at once.
    async fn crowd(&mut self) -> Option<()> {
        let mut asking = JoinSet::new();
        for (number, patient) in self.patients.iter().take(CROWD).enumerate() {
            let (call, mut own) = (patient.book(&Wish::slot(&self.days.crowded, 3)), self.notebook.clone());
            let step = format!("want {number}");
            asking.spawn(async move {
                let outcome = own.try_for(&step, call, &["slot_taken"]).await;
                (own, outcome.is_some())
            });
        }
        let mut all_answered = true;
        for (own, is_answered) in asking.join_all().await {
            self.notebook.join(own);
            all_answered &= is_answered;
        }
        let winners = self.notebook.answered();
        assert!(winners <= 3, "{winners} of a crowd have won three places");
        assert!(!all_answered || winners == 3, "{winners} have won, and the others were refused");
        all_answered.then_some(())
    }

    /// A day of the doctor's own: put, amended, sold, closed.
    async fn published(&mut self, number: usize) -> Option<()> {
        let (doctor, patient) = (self.days.doctors[number].clone(), self.patients[0].clone());
        let (small, large) = (Plan::quarters_of(2, 2).later(5), Plan::quarters_of(3, 2).later(5));
        let day = large.day_of(&doctor);
        let path = format!("/v1/doctors/{doctor}/days/{}", day.date);
        let put = |plan: &Plan| self.admin.put_day(&doctor, &day.date, &plan.body());
        let (first, second) = (put(&small), put(&large));
        self.notebook.write("put", &path, first).await?;
        self.notebook.write("amend", &path, second).await?;
        let id = id_of(&self.notebook.ask("book", None, patient.book(&Wish::slot(&day, 2))).await?);
        let closed = self.notebook.ask("close", None, self.admin.close_day(&doctor, &day.date)).await?;
        self.notebook.learn(&path, closed.json());
        self.notebook.refused(self.patients[1].book(&Wish::any(&day)), 409, "closed").await?;
        self.notebook.look(&patient, &id).await
    }

    /// Doctors, patients and clinics.
    async fn people(&mut self) -> Option<()> {
        let (admin, patient) = (self.admin.clone(), self.patients[0].clone());
        let body = json!({
            "name": "Dr. Mara Winter", "specialties": ["cardiology"], "time_zone": "UTC",
            "location": {"name": "House by the Lake", "city": "Zeist", "lat": 52.09, "lon": 5.23},
        });
        let doctor = id_of(&self.notebook.ask("create", None, admin.create_doctor(&body)).await?);
        let path = format!("/v1/doctors/{doctor}");
        let change = admin.patch_doctor(&doctor, &json!({"name": "Prof. Mara Winter"}));
        self.notebook.write("change", &path, change).await?;
        let path = format!("/v1/patients/{}", patient.subject);
        let put = patient.call("PUT", &path).json(&json!({"name": "Ada Brook"}));
        self.notebook.write("patient", &path, put).await?;
        let path = format!("/v1/clinics/{}", patient.subject);
        let put = admin.call("PUT", &path).json(&json!({"name": "Clinic in the Wood", "time_zone": "UTC"}));
        self.notebook.write("clinic", &path, put).await.map(drop)
    }

    /// Many records of one day.
    async fn filling(&mut self, number: usize) -> Option<()> {
        for (index, patient) in self.patients.clone().iter().take(FILLINGS).enumerate() {
            let wish = Wish::slot(&self.days.busy, 5);
            let booked = self.notebook.ask(&format!("book {number} {index}"), None, patient.book(&wish)).await?;
            let id = id_of(&booked);
            let cancel = patient.cancel(&id);
            self.notebook.ask(&format!("cancel {number} {index}"), Some(&id), cancel).await?;
        }
        Some(())
    }
}

fn id_of(reply: &Reply) -> String {
    reply.text_of("id")
}
