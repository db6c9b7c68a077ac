//! How this node asks the others, and answers them (`ownership/peers.rs` says what). A day of its own it asks directly.
//! Must not know: how a question is carried, what the answers are for.

use std::future::Future;
use std::pin::Pin;

use booking_core::{AppointmentId, Command, DayKey, MoveId, PatientId, SubjectId};
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::EngineHandle;
use crate::actors::questions::{Attempt, Question};
use crate::actors::request::CommandResult;
use crate::error::EngineError;
use crate::ledger::{AppointmentScope, PlacedAppointment};
use crate::ownership::memory;
use crate::ownership::peers::{
    ClaimState, KeyClaimState, Outline, Part, PeerQuestion, Step, Stepped, decode, encode, encode_question, stepped,
};
use crate::ownership::{Place, ShardSet};
use crate::view::DayView;

/// How often whoever speaks for a shard is looked up for one question: the owner as it was known, and the next one.
const LOOKS_MAX: usize = 2;

impl EngineHandle {
    /// Whether there can be other nodes.
    pub(super) fn has_peers(&self) -> bool {
        self.parts.peers.is_some()
    }

    /// Asks whoever speaks for `shard`. Never [`EngineError::NotHere`]: who is not found does not answer.
    pub(super) async fn ask_owner<T: DeserializeOwned>(
        &self,
        shard: u16,
        question: &PeerQuestion,
    ) -> Result<T, EngineError> {
        let question = encode_question(question)?;
        for _ in 0..LOOKS_MAX {
            let answer = match (self.parts.territory.place_of(shard), &self.parts.peers) {
                (Place::There { address }, Some(peers)) => peers.ask(&address, question.clone()).await,
                // It has come here meanwhile.
                (Place::Here, _) => decode(&self.answer_peer(&question).await),
                _ => break,
            };
            match answer {
                Err(EngineError::NotHere { .. }) => {}
                answer => return answer,
            }
        }
        Err(EngineError::Unavailable(format!("nobody answers for shard {shard} at the moment")))
    }

    /// Asks every other live node at once. If one does not answer, or a shard is spoken for by nobody, there is no answer: what
    /// was recorded there could be missing.
    pub(super) async fn ask_everyone<T: DeserializeOwned>(
        &self,
        question: &PeerQuestion,
    ) -> Result<Vec<T>, EngineError> {
        let Some(peers) = &self.parts.peers else { return Ok(Vec::new()) };
        let question = encode_question(question)?;
        let mut shards = self.parts.territory.spoken_for();
        let addresses = self.parts.territory.peers();
        let parts = join_all(addresses.iter().map(|address| peers.ask::<Part<T>>(address, question.clone()))).await;
        let mut found = Vec::with_capacity(parts.len());
        for part in parts {
            let part = part?;
            shards.extend(&part.shards);
            found.push(part.found);
        }
        match shards == ShardSet::ALL {
            true => Ok(found),
            false => Err(EngineError::Unavailable("a part of the days is being taken over".to_owned())),
        }
    }

    /// Answers the question of another node. Boxed: answering can mean asking.
    pub fn answer_peer<'handle>(
        &'handle self,
        question: &'handle [u8],
    ) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'handle>> {
        Box::pin(async move {
            match serde_json::from_slice(question) {
                Ok(question) => self.answer(question).await,
                Err(error) => {
                    // Not the text of the error: it could hold a part of the question, which is about a person.
                    let reason = format!("the question cannot be read at column {}", error.column());
                    encode::<()>(&Err(EngineError::Unavailable(reason)))
                }
            }
        })
    }

    async fn answer(&self, question: PeerQuestion) -> Vec<u8> {
        match question {
            PeerQuestion::Step { day, step: Step::Expire } => {
                encode(&self.expire_for_certain(day).await.map(|()| Stepped::Done))
            }
            PeerQuestion::Step { day, step } => encode(&stepped(self.step_here(day, step.into_command()).await)),
            PeerQuestion::Attempt { day, appointment, move_id } => {
                let ask = |reply| Question::Attempt { appointment, move_id, reply };
                encode(&self.ask_here(day, ask).await)
            }
            PeerQuestion::Definition { day } => encode(&self.day(day).await.map(|view| outline_of(&view))),
            PeerQuestion::Appointment { id, shard } => encode(&self.newest_known(id, shard).await),
            PeerQuestion::OverlayOf { patient } => {
                let scope = AppointmentScope::Patient(patient);
                encode(&Ok(self.part(|| self.parts.reader.waiting(scope))))
            }
            PeerQuestion::History { id } => encode(&Ok(self.part(|| self.parts.reader.waiting_steps(id)))),
            PeerQuestion::Replay { key } => {
                let before = self.parts.territory.tenures().changes();
                let shards = self.parts.territory.spoken_for();
                let found = match self.replay_wherever(Some(&key), None).await {
                    Some(result) => stepped(result).map(Some),
                    None => Ok(None),
                };
                let shards =
                    if self.parts.territory.tenures().changes() == before { shards } else { ShardSet::default() };
                encode(&found.map(|found| Part { shards, found }))
            }
            PeerQuestion::Claim { day, appointment } => {
                encode(&self.claim_here(day, |reply| Question::Claim(appointment, reply), ClaimState::Pending).await)
            }
            PeerQuestion::Key { day, subject, key } => {
                let ask = |reply| Question::Key(subject, key, reply);
                encode(&self.claim_here(day, ask, KeyClaimState::Pending).await)
            }
            PeerQuestion::Memory { shards, position } => {
                encode(&Ok(memory::page(&*self.parts.journal, &shards, position)))
            }
        }
    }

    /// What `find` finds, with the shards that were spoken for all the while: none if one was lost meanwhile.
    fn part<T: Serialize>(&self, find: impl FnOnce() -> T) -> Part<T> {
        let territory = &self.parts.territory;
        let (before, shards) = (territory.tenures().changes(), territory.spoken_for());
        let found = find();
        let shards = if territory.tenures().changes() == before { shards } else { ShardSet::default() };
        Part { shards, found }
    }

    /// Takes a step of a move on `day`, wherever that is.
    pub(super) async fn step(&self, day: DayKey, command: Command) -> CommandResult {
        if !self.has_peers() || self.parts.territory.is_here(day) {
            let result = self.step_here(day, command.clone()).await;
            if !self.has_peers() || !matches!(result, Err(EngineError::NotHere { .. })) {
                return result;
            }
        }
        let Some(step) = Step::of(&command) else { return Err(EngineError::NotHere { shard: day.shard() }) };
        let stepped: Stepped = self.ask_owner(day.shard(), &PeerQuestion::Step { day, step }).await?;
        Ok(stepped.into())
    }

    /// What became of an attempt to move an appointment out of `day`; `None` if nobody can say now.
    pub(super) async fn attempt_of(&self, day: DayKey, appointment: AppointmentId, move_id: MoveId) -> Option<Attempt> {
        if !self.has_peers() || self.parts.territory.is_here(day) {
            let ask = |reply| Question::Attempt { appointment, move_id, reply };
            return self.ask_here(day, ask).await.ok().flatten();
        }
        let question = PeerQuestion::Attempt { day, appointment, move_id };
        self.ask_owner(day.shard(), &question).await.ok().flatten()
    }

    /// Has holds of `day` that are due recorded, wherever it is.
    pub(super) async fn expire_anywhere(&self, day: DayKey) -> Result<(), EngineError> {
        if !self.has_peers() || self.parts.territory.is_here(day) {
            return self.expire_for_certain(day).await;
        }
        let question = PeerQuestion::Step { day, step: Step::Expire };
        self.ask_owner::<Stepped>(day.shard(), &question).await.map(|_| ())
    }

    /// What `day` offers, wherever it is; `UnknownDay` if it was never published.
    pub(super) async fn outline(&self, day: DayKey) -> Result<Outline, EngineError> {
        match self.day(day).await {
            Err(EngineError::NotHere { shard }) if self.has_peers() => {
                self.ask_owner(shard, &PeerQuestion::Definition { day }).await
            }
            view => view.map(|view| outline_of(&view)),
        }
    }

    /// Whether `appointment` takes its patient's time on `day`, as the owner of `day` says, here or on another node. Holds of the day
    /// that are due are recorded as expired before.
    pub async fn claim_state(&self, day: DayKey, appointment: AppointmentId) -> Result<ClaimState, EngineError> {
        if !self.has_peers() || self.parts.territory.is_here(day) {
            let ask = |reply| Question::Claim(appointment, reply);
            return self.claim_here(day, ask, ClaimState::Pending).await;
        }
        self.ask_owner(day.shard(), &PeerQuestion::Claim { day, appointment }).await
    }

    /// Whether `key` of `subject` has won on `day`, as the owner of `day` says, here or on another node.
    pub async fn key_claim_state(
        &self,
        day: DayKey,
        subject: SubjectId,
        key: &str,
    ) -> Result<KeyClaimState, EngineError> {
        if !self.has_peers() || self.parts.territory.is_here(day) {
            let ask = |reply| Question::Key(subject, key.into(), reply);
            return self.claim_here(day, ask, KeyClaimState::Pending).await;
        }
        self.ask_owner(day.shard(), &PeerQuestion::Key { day, subject, key: key.into() }).await
    }

    /// What `day` says of a claim; `pending` while it has no state to say it from.
    async fn claim_here<T>(
        &self,
        day: DayKey,
        question: impl FnOnce(tokio::sync::oneshot::Sender<T>) -> Question,
        pending: T,
    ) -> Result<T, EngineError> {
        Ok(self.ask_here(day, question).await?.unwrap_or(pending))
    }

    /// What waits for the ledger at the other nodes of a patient's appointments.
    pub(super) async fn waiting_elsewhere(&self, patient: PatientId) -> Result<Vec<PlacedAppointment>, EngineError> {
        let parts: Vec<Vec<PlacedAppointment>> = self.ask_everyone(&PeerQuestion::OverlayOf { patient }).await?;
        Ok(parts.into_iter().flatten().collect())
    }
}

fn outline_of(view: &DayView) -> Outline {
    let definition = view.snapshot.definition();
    Outline {
        time_zone: (*definition.time_zone).into(),
        slots: definition.slots.iter().map(|slot| (slot.start, slot.end)).collect(),
        version: view.snapshot.version(),
    }
}
