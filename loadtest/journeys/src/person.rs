//! Somebody in a run: how each asks, asks again with the same key, and has it counted, by goose and by the run.
//! Must not know: what it is that people want.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use goose::prelude::*;
use uuid::Uuid;

use crate::clock;
use crate::contract::{Meaning, Operation, meaning};
use crate::dice::Dice;
use crate::evidence::Evidence;
use crate::http::{Answer, Api, Heard, Request};
use crate::model::{Day, DayInList};
use crate::tally::{Tally, lock};
use crate::tokens::{Mint, Role, fresh_id};
use crate::world::World;

/// How often the same request is sent while its outcome is open.
const TRIES: u32 = 5;
/// The longest pause between two of them, and the pause where the server names none.
const PAUSE_MAX: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(200);

/// What everybody in a run shares.
pub(crate) struct Run {
    /// The server.
    pub(crate) api: Api,
    /// Its doctors and days.
    pub(crate) world: World,
    /// Signs everybody's token.
    pub(crate) mint: Mint,
    /// What has happened so far.
    pub(crate) tally: Tally,
    /// Every patient that has begun; one for each virtual user, so bounded by `--users`.
    pub(crate) patients: Mutex<Vec<Arc<Person>>>,
}

/// What somebody has before their eyes and in mind.
#[derive(Debug)]
pub(crate) struct Memory {
    /// What chance makes of this person.
    pub(crate) dice: Dice,
    /// Index of the doctor in question.
    pub(crate) doctor: usize,
    /// The days of that doctor, as last seen.
    pub(crate) days: Vec<DayInList>,
    /// A day, as last seen, and its entity tag.
    pub(crate) day: Option<(Day, Option<String>)>,
    /// The appointment in question.
    pub(crate) appointment: Option<Uuid>,
    /// What was told.
    pub(crate) evidence: Evidence,
}

/// Somebody.
pub(crate) struct Person {
    /// What is shared.
    pub(crate) run: Arc<Run>,
    /// The token's subject.
    pub(crate) id: Uuid,
    token: Option<Box<str>>,
    /// Locked for moments, never while an answer is awaited.
    pub(crate) memory: Mutex<Memory>,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// Done.
    Served(T),
    /// Definitely not done.
    Refused(String),
    /// Nobody knows.
    Open,
}

/// One goose transaction's end.
type Step<T> = Result<T, Box<TransactionError>>;

impl Person {
    /// Somebody without a token.
    pub(crate) fn anyone(run: &Arc<Run>) -> Self {
        Self::new(run, fresh_id(), None, 0)
    }

    /// A patient never seen before, entered in the run.
    pub(crate) fn patient(run: &Arc<Run>) -> Step<Arc<Self>> {
        let id = fresh_id();
        let token = run.mint.token(id, Role::Patient).map_err(|error| error.to_string())?;
        let patient = Arc::new(Self::new(run, id, Some(token), 0));
        lock(&run.patients).push(Arc::clone(&patient));
        Ok(patient)
    }

    /// The doctor of this number, or one of the others in turn.
    pub(crate) fn doctor(run: &Arc<Run>, number: usize) -> Self {
        let number = number % run.world.doctors.len();
        let doctor = &run.world.doctors[number];
        Self::new(run, doctor.id, Some(doctor.token.clone()), number)
    }

    fn new(run: &Arc<Run>, id: Uuid, token: Option<Box<str>>, doctor: usize) -> Self {
        let memory = Memory {
            dice: Dice::new(fresh_id().as_u64_pair().0),
            doctor,
            days: Vec::new(),
            day: None,
            appointment: None,
            evidence: Evidence::default(),
        };
        Self { run: Arc::clone(run), id, token, memory: Mutex::new(memory) }
    }

    /// Whoever this goose user plays.
    pub(crate) fn played_by(user: &GooseUser) -> Step<Arc<Self>> {
        Ok(user.get_session_data::<Arc<Self>>().cloned().ok_or("this user plays nobody")?)
    }

    /// Asks until the outcome is certain, or it is no use: then it is `Open`. `read` takes a success apart and says
    /// what is wrong with it.
    pub(crate) async fn ask<T>(
        &self,
        user: &mut GooseUser,
        operation: Operation,
        request: &Request,
        read: impl Fn(&Answer) -> Result<T, String>,
    ) -> Step<Outcome<T>> {
        // An earlier try without an answer may still arrive, so that a refusal after it is not certain.
        let mut perhaps = false;
        for tries_left in (0..TRIES).rev() {
            throttled(user).await?;
            let heard = self.run.api.ask(request, self.token.as_deref()).await;
            let answer = match &heard.answer {
                Ok(answer) => answer,
                Err(reason) => {
                    self.count(user, operation, request, &heard, Err(reason)).await?;
                    perhaps = true;
                    pause(None).await;
                    continue;
                }
            };
            let meaning = meaning(operation, answer.status, &answer.code);
            match meaning {
                Meaning::Served => {
                    let read = read(answer);
                    self.count(user, operation, request, &heard, read.as_ref().map(|_| "").map_err(String::as_str))
                        .await?;
                    return Ok(read.map_or(Outcome::Open, Outcome::Served));
                }
                Meaning::Refused => {
                    self.count(user, operation, request, &heard, Ok(&answer.code)).await?;
                    return Ok(if perhaps { Outcome::Open } else { Outcome::Refused(answer.code.clone()) });
                }
                Meaning::Shed | Meaning::Unsettled if tries_left > 0 && answer.status == 503 => {
                    self.count(user, operation, request, &heard, Ok(&answer.code)).await?;
                    perhaps |= meaning == Meaning::Unsettled;
                    pause(answer.retry_after).await;
                }
                Meaning::Shed => {
                    self.count(user, operation, request, &heard, Ok(&answer.code)).await?;
                    return Ok(if perhaps { Outcome::Open } else { Outcome::Refused(answer.code.clone()) });
                }
                Meaning::Unsettled | Meaning::Unexpected => {
                    let told = answer.body["detail"].as_str().unwrap_or_default();
                    let what = format!("status {} {} {told}", answer.status, answer.code);
                    self.count(user, operation, request, &heard, Err(&what)).await?;
                    let certain = (400..500).contains(&answer.status) && !perhaps;
                    return Ok(if certain { Outcome::Refused(answer.code.clone()) } else { Outcome::Open });
                }
            }
        }
        Ok(Outcome::Open)
    }

    /// Counts one answer: `Ok` with the code of a refusal (empty for a success), `Err` with what is wrong.
    async fn count(
        &self,
        user: &mut GooseUser,
        operation: Operation,
        request: &Request,
        heard: &Heard,
        judged: Result<&str, &str>,
    ) -> TransactionResult {
        let status = heard.answer.as_ref().ok().map(|answer| answer.status);
        match judged {
            Ok("") => self.run.tally.served(operation),
            Ok(code) if matches!(status, Some(429 | 503)) => self.run.tally.not_now(operation, code),
            Ok(code) => self.run.tally.refused(operation, code),
            Err(what) => self.run.tally.unexpected(operation, what),
        }
        record(user, request.method.as_str(), operation, judged, heard.took, status).await
    }

    /// An answer that was counted turned out to be wrong by what is known here.
    pub(crate) async fn complain(&self, user: &mut GooseUser, operation: Operation, what: &str) -> TransactionResult {
        self.run.tally.unexpected(operation, what);
        record(user, "CHECK", operation, Err(what), Duration::ZERO, None).await
    }
}

/// Has goose count a request, refusals by the rules under a name of their own and not as failures.
pub(crate) async fn record(
    user: &mut GooseUser,
    method: &str,
    operation: Operation,
    judged: Result<&str, &str>,
    took: Duration,
    status: Option<u16>,
) -> TransactionResult {
    let name = match judged {
        Ok("") | Err(_) => operation.name().to_owned(),
        Ok(code) => format!("{}: {code}", operation.name()),
    };
    user.record_custom_request_duration(method, &name, took, judged.is_ok(), status, judged.err()).await
}

/// Waits for goose's `--throttle-requests`, as its own requests do.
pub(crate) async fn throttled(user: &GooseUser) -> TransactionResult {
    if let Some(throttle) = user.throttle.as_ref().filter(|_| user.is_throttled) {
        throttle.send_async(true).await.map_err(TransactionError::from)?;
    }
    Ok(())
}

async fn pause(asked_for: Option<Duration>) {
    clock::wait(asked_for.unwrap_or(PAUSE).min(PAUSE_MAX)).await;
}
