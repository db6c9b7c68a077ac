//! Reading appointments: by id, by day, by patient; own writes included, whichever node has recorded them.
//! Must not know: HTTP, who may see what.
//!
//! A process alone finds everything in its overlay and its ledger. With other nodes, what waits for the ledger is in the overlay of
//! whoever recorded it. What is known here to stand on a day of ours is the newest there is: any later change would begin with a record
//! of that day. So from anything older the way leads forward: the owner of the day where it was last known knows of more, or it stands
//! there.

use std::collections::{BTreeMap, BTreeSet};

use booking_core::{AppointmentId, DayKey, Rejection, RequestKey, SHARD_COUNT, Status, UtcMillis};

use super::{EngineHandle, HOPS_MAX, picture, unreadable};
use crate::actors::questions::Question;
use crate::actors::request::CommandResult;
use crate::error::EngineError;
use crate::ownership::peers::{PeerQuestion, Stepped};
use crate::view::{AppointmentQuery, AppointmentScope, HistoryItem, PlacedAppointment};

impl EngineHandle {
    /// One appointment, own writes included; `UnknownAppointment` if there is none. A hold that is due has been
    /// recorded as expired before. `NotHere` names the shard of the day on which it stands.
    pub async fn appointment(&self, id: AppointmentId) -> Result<PlacedAppointment, EngineError> {
        for _ in 0..HOPS_MAX {
            let placed = self.placed(id).await?;
            if !placed.appointment.is_due(self.parts.clock.now()) {
                return Ok(placed);
            }
            self.expire_for_certain(placed.day).await?;
        }
        Err(not_expired())
    }

    async fn placed(&self, id: AppointmentId) -> Result<PlacedAppointment, EngineError> {
        // While a shard of ours is taken over, what was recorded before may be neither in the overlay nor in the ledger.
        let tenures = self.parts.territory.tenures();
        for _ in 0..HOPS_MAX {
            let before = tenures.changes();
            let placed = self.placed_now(id).await;
            if tenures.changes() == before {
                return placed;
            }
        }
        Err(EngineError::NotHere { shard: id.birth_shard() })
    }

    async fn placed_now(&self, id: AppointmentId) -> Result<PlacedAppointment, EngineError> {
        let found = self.parts.reader.appointment(id).await.map_err(unreadable)?;
        if self.has_peers() {
            return self.follow_home(id, found).await;
        }
        let shard = found.as_ref().map_or(id.birth_shard(), |placed| placed.day.shard());
        self.parts.territory.require_shard(shard)?;
        found.ok_or_else(|| Rejection::UnknownAppointment.into())
    }

    /// The rows of `query` while none of `shards` is taken over. Where there are other nodes, a patient's list takes care of that itself.
    async fn listed_under_one_tenure(
        &self,
        query: AppointmentQuery,
        shards: std::ops::Range<u16>,
    ) -> Result<Vec<PlacedAppointment>, EngineError> {
        let territory = &self.parts.territory;
        for _ in 0..HOPS_MAX {
            let before = territory.tenures().changes();
            let found = self.listed(query.clone()).await?;
            shards.clone().try_for_each(|shard| territory.require_shard(shard))?;
            if territory.tenures().changes() == before {
                return Ok(found);
            }
        }
        Err(EngineError::Unavailable("shards change hands again and again".to_owned()))
    }

    /// From what is `known` of an appointment to where it stands.
    async fn follow_home(
        &self,
        id: AppointmentId,
        known: Option<PlacedAppointment>,
    ) -> Result<PlacedAppointment, EngineError> {
        let territory = &self.parts.territory;
        let birth = id.birth_shard();
        let mut known = match known {
            Some(known) => known,
            // Looked at after reading (`protocols.md` rule 9).
            None if territory.has(birth) => return Err(Rejection::UnknownAppointment.into()),
            None => self.newest_at(id, birth).await?.ok_or(Rejection::UnknownAppointment)?,
        };
        for _ in 0..HOPS_MAX {
            let shard = known.day.shard();
            let told = match territory.has(shard) {
                true => self.parts.reader.appointment(id).await.map_err(unreadable)?,
                false => self.newest_at(id, shard).await?,
            };
            match told {
                Some(newer) if newer.appointment.version > known.appointment.version => known = newer,
                _ => return territory.require_shard(shard).map(|()| known),
            }
        }
        Err(EngineError::Unavailable("the appointment was moved again and again".to_owned()))
    }

    /// What the owner of `shard` knows. If it does not answer, whoever speaks for the shard next is to be asked for the whole.
    async fn newest_at(&self, id: AppointmentId, shard: u16) -> Result<Option<PlacedAppointment>, EngineError> {
        match self.ask_owner(shard, &PeerQuestion::Appointment { id, shard }).await {
            Err(EngineError::Unavailable(_)) => Err(EngineError::NotHere { shard }),
            answer => answer,
        }
    }

    /// The life of one appointment, oldest step first, own writes included; `UnknownAppointment` if there is none.
    pub async fn history(&self, id: AppointmentId) -> Result<Vec<HistoryItem>, EngineError> {
        let placed = self.appointment(id).await?;
        let steps = self.parts.reader.history(id).await.map_err(unreadable)?;
        if !self.has_peers() || is_whole(&steps, &placed) {
            return Ok(steps);
        }
        // The overlays first, the ledger second (`protocols.md` rule 11).
        let elsewhere: Vec<Vec<HistoryItem>> = self.ask_everyone(&PeerQuestion::History { id }).await?;
        let steps = self.parts.reader.history(id).await.map_err(unreadable)?;
        let all: BTreeMap<u32, HistoryItem> =
            elsewhere.into_iter().flatten().chain(steps).map(|step| (step.version, step)).collect();
        let all: Vec<HistoryItem> = all.into_values().collect();
        match is_whole(&all, &placed) {
            true => Ok(all),
            false => Err(EngineError::Unavailable("a step of the history cannot be read now".to_owned())),
        }
    }

    /// The first answer under `key` to a request on an appointment that stands on `day` here, if it has won on a day of another node
    /// where the appointment was then.
    pub(super) async fn replay_of_moved(
        &self,
        key: Option<&RequestKey>,
        day: DayKey,
        id: AppointmentId,
    ) -> Option<CommandResult> {
        let key = key.filter(|_| self.has_peers())?;
        let question = PeerQuestion::Replay { key: key.clone() };
        let answer = match self.has_only_been_on(day, id).await {
            Ok(true) => return None,
            Ok(false) => self.ask_everyone::<Option<Stepped>>(&question).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answers) => answers.into_iter().flatten().next().map(|first| Ok(first.into())),
            Err(error) => Some(Err(error)),
        }
    }

    /// Whether the appointment was never anywhere else, as far as is known here: only a move leaves the status as it was.
    async fn has_only_been_on(&self, day: DayKey, id: AppointmentId) -> Result<bool, EngineError> {
        let known = self.parts.reader.appointment(id).await.map_err(unreadable)?;
        let Some(known) = known.filter(|known| known.day == day) else { return Ok(false) };
        let steps = self.parts.reader.history(id).await.map_err(unreadable)?;
        Ok(is_whole(&steps, &known) && steps.iter().all(|step| step.from != Some(step.to)))
    }

    /// A page of appointments by (start, id), own writes included, due holds expired. `NotHere` for a day that is elsewhere.
    pub async fn appointments(&self, query: AppointmentQuery) -> Result<Vec<PlacedAppointment>, EngineError> {
        match query.scope {
            AppointmentScope::Day(day) if self.has_peers() => self.rows_of(day, query).await,
            AppointmentScope::Patient(_) if self.has_peers() => self.listed_under_one_tenure(query, 0..0).await,
            AppointmentScope::Day(day) => self.listed_under_one_tenure(query, day.shard()..day.shard() + 1).await,
            AppointmentScope::Patient(_) => self.listed_under_one_tenure(query, 0..SHARD_COUNT).await,
        }
    }

    async fn listed(&self, query: AppointmentQuery) -> Result<Vec<PlacedAppointment>, EngineError> {
        for day in self.days_with_due_holds(&query).await? {
            self.expire_anywhere(day).await?;
        }
        for _ in 0..HOPS_MAX {
            let found = self.page(&query).await?;
            // One may have come in with its time up since the first look.
            let due = due_days(&found, self.parts.clock.now());
            if due.is_empty() {
                return Ok(found);
            }
            for day in due {
                self.expire_anywhere(day).await?;
            }
        }
        Err(not_expired())
    }

    async fn page(&self, query: &AppointmentQuery) -> Result<Vec<PlacedAppointment>, EngineError> {
        let elsewhere = match query.scope {
            AppointmentScope::Patient(patient) if self.has_peers() => self.waiting_elsewhere(patient).await?,
            _ => Vec::new(),
        };
        self.parts.reader.appointments_beside(query, elsewhere).await.map_err(unreadable)
    }

    /// A page of a day by its own durable state: what has come in from another node may be unknown to the ledger and the overlay here.
    async fn rows_of(&self, day: DayKey, query: AppointmentQuery) -> Result<Vec<PlacedAppointment>, EngineError> {
        for _ in 0..HOPS_MAX {
            match self.expire(day).await {
                Err(EngineError::Rejected(Rejection::UnknownDay)) => return Ok(Vec::new()),
                expired => expired?,
            }
            if self.settle_arrivals(day).await?.unknown > 0 {
                return Err(EngineError::Unavailable("it is not known who is on the way to this day".to_owned()));
            }
            let wanted = Box::new(query.clone());
            let found = self.ask_here(day, |reply| Question::Rows(wanted, reply)).await?;
            let found = found.ok_or_else(|| EngineError::Unavailable("the day was interrupted".to_owned()))?;
            if due_days(&found, self.parts.clock.now()).is_empty() {
                return Ok(found);
            }
        }
        Err(not_expired())
    }

    /// The days on which a hold in the query's scope is due: it must not be told as held, whichever statuses are asked for.
    async fn days_with_due_holds(&self, query: &AppointmentQuery) -> Result<BTreeSet<DayKey>, EngineError> {
        let now = self.parts.clock.now();
        let shows_held = query.statuses.is_empty() || query.statuses.contains(&Status::Held);
        let mut due = BTreeSet::new();
        if let AppointmentScope::Day(day) = query.scope {
            if picture(self.entry(day, now)?.as_ref(), now).is_none() {
                due.insert(day);
            }
            // What has moved in with its time up is seen among the rows, and a large day is not searched for it page by page.
            if shows_held {
                return Ok(due);
            }
        }
        // A patient holds few places at once.
        let held = AppointmentQuery { statuses: vec![Status::Held], after: None, ..query.clone() };
        due.extend(due_days(&self.page(&held).await?, now));
        Ok(due)
    }
}

/// Whether every step up to the appointment's version is there.
fn is_whole(steps: &[HistoryItem], placed: &PlacedAppointment) -> bool {
    steps.len() >= placed.appointment.version as usize
}

/// Where holds of `rows` are due at `now`.
fn due_days(rows: &[PlacedAppointment], now: UtcMillis) -> BTreeSet<DayKey> {
    rows.iter().filter(|placed| placed.appointment.is_due(now)).map(|placed| placed.day).collect()
}

fn not_expired() -> EngineError {
    EngineError::Unavailable("the end of a hold cannot be recorded now".to_owned())
}
