//! A few days between which appointments move, with a naive messenger: it keeps the protocol, but what it carries may
//! come late, twice, in any order or never, and it may forget at any moment what it had begun.
//! Must not know: what is played.

use std::collections::{BTreeMap, HashMap};

use booking_core::{
    Action, Answer, Appointment, AppointmentId, Arriving, Command, DayKey, Decision, Leaving, MoveId, Rejection,
    Relocation, RequestKey, Seat, Success, UtcMillis,
};

use crate::driver::{Driver, command, day_key, home, keyed, move_id, subject_of};

/// A move that a day has begun and not yet decided. In memory only.
#[derive(Clone, Debug)]
struct Pending {
    appointment: AppointmentId,
    version: u32,
    key: Option<RequestKey>,
}

/// What one day says to another.
#[derive(Clone, Debug)]
enum Message {
    Prepare { arriving: Arriving, from: usize, to: usize },
    Prepared { move_id: MoveId, from: usize, to: usize, seat: Seat, end: UtcMillis },
    Commit { move_id: MoveId, to: usize, row: Appointment },
    Drop { move_id: MoveId, to: usize },
}

/// All days and all that is on its way between them.
pub(crate) struct World {
    pub(crate) days: Vec<Driver>,
    pub(crate) now: UtcMillis,
    pending: Vec<BTreeMap<MoveId, Pending>>,
    mail: Vec<Message>,
    /// Where each appointment was born.
    births: BTreeMap<AppointmentId, usize>,
    /// What its callers were told of it last.
    told: HashMap<AppointmentId, Appointment>,
    moves: u64,
}

impl World {
    pub(crate) fn of(days: Vec<Driver>) -> Self {
        Self {
            pending: vec![BTreeMap::new(); days.len()],
            days,
            now: UtcMillis(0),
            mail: Vec::new(),
            births: BTreeMap::new(),
            told: HashMap::new(),
            moves: 0,
        }
    }

    fn key_of(&self, day: usize) -> DayKey {
        day_key(day as i32)
    }

    fn number_of(&self, key: DayKey) -> usize {
        (0..self.days.len()).find(|day| self.key_of(*day) == key).expect("a day of this world")
    }

    /// The nth appointment that was ever made.
    pub(crate) fn chosen(&self, position: usize) -> Option<AppointmentId> {
        self.births.keys().nth(position % self.births.len().max(1)).copied()
    }

    /// One command of one day. What a caller is told of an appointment is noted.
    pub(crate) fn run(&mut self, day: usize, command: &Command) -> Decision {
        let decision = self.days[day].run(command, self.now);
        let is_answer = !matches!(
            command.action,
            Action::PrepareMove { .. } | Action::HoldForMove(_) | Action::AcceptMove { .. } | Action::DropMove { .. }
        );
        if let (true, Ok(Success::Appointment { appointment: row, replayed: false, .. })) =
            (is_answer, &decision.outcome)
        {
            if matches!(command.action, Action::Book(_)) {
                self.births.insert(row.id, day);
            }
            self.told.insert(row.id, row.clone());
        }
        decision
    }

    /// The day on which an appointment stands: the end of its way from where it was born. A place that is kept for it is
    /// its place once the other day has let it go, and before that nothing.
    fn home_of(&self, id: AppointmentId) -> usize {
        let mut day = self.births[&id];
        // It has left each day at most once since it was there last.
        for _ in 0..=self.days.len() {
            let state = &self.days[day].day;
            let has_come = state.arrivals().any(|(move_id, arrival)| {
                arrival.row.id == id && self.has_let_go(self.number_of(arrival.from), id, move_id)
            });
            match state.departure(id) {
                Some(departure) if !has_come => day = self.number_of(departure.to.day),
                _ => return day,
            }
        }
        panic!("{id} moves in a circle")
    }

    fn has_let_go(&self, day: usize, id: AppointmentId, move_id: MoveId) -> bool {
        self.days[day].day.departure(id).is_some_and(|departure| departure.move_id == move_id)
    }

    /// A command about an appointment, as a caller sends it: to where it was born, and on from there. What is on its way
    /// is settled first; while it cannot be, the caller is told to come again (`None`).
    pub(crate) fn ask(&mut self, id: AppointmentId, command: &Command) -> Option<(usize, Decision)> {
        let mut day = self.births[&id];
        for _ in 0..3 * self.days.len() {
            let decision = self.run(day, command);
            match &decision.outcome {
                Err(Rejection::MovedAway { to }) => day = self.number_of(*to),
                Err(Rejection::Arriving) if self.settle(day) == 0 => return None,
                Err(Rejection::Arriving) => {}
                _ => return Some((day, decision)),
            }
        }
        panic!("{id} is sent from day to day")
    }

    /// A caller wants an appointment moved.
    pub(crate) fn begin_move(&mut self, id: AppointmentId, to: usize, wish: Relocation, has_key: bool) {
        self.moves += 1;
        let attempt = move_id(self.moves);
        let with_key = |action| match has_key {
            true => keyed(action, subject_of(0), &format!("move-{attempt}"), 1),
            false => command(action),
        };
        let prepare = with_key(Action::PrepareMove { move_id: attempt, appointment: id });
        let Some((from, decision)) = self.ask(id, &prepare) else { return };
        let Ok(Success::Appointment { appointment: row, .. }) = decision.outcome else { return };
        if from == to {
            self.run(from, &with_key(Action::Move(wish)));
            return;
        }
        // A second move of one appointment waits for the first: here the caller gives up.
        if self.pending[from].values().any(|pending| pending.appointment == id) {
            return;
        }
        self.pending[from].insert(attempt, Pending { appointment: id, version: row.version, key: prepare.key });
        let arriving = Arriving { move_id: attempt, from: self.key_of(from), row, wish };
        self.mail.push(Message::Prepare { arriving, from, to });
    }

    /// Delivers a message, or a copy of it.
    pub(crate) fn deliver(&mut self, position: usize, is_copy: bool) {
        if self.mail.is_empty() {
            return;
        }
        let position = position % self.mail.len();
        let message = if is_copy { self.mail[position].clone() } else { self.mail.remove(position) };
        match message {
            Message::Prepare { arriving, from, to } => self.keep_place(arriving, from, to),
            Message::Prepared { move_id, from, to, seat, end } => self.decide_move(move_id, from, to, seat, end),
            Message::Commit { move_id, to, row } => {
                let accepted = self.run(to, &command(Action::AcceptMove { move_id, row })).outcome;
                assert!(accepted.is_ok(), "day {to} does not take in what was let go by {move_id}: {accepted:?}");
            }
            Message::Drop { move_id, to } => {
                let dropped = self.run(to, &command(Action::DropMove { move_id })).outcome;
                assert_eq!(dropped, Ok(Success::Dropped));
            }
        }
    }

    pub(crate) fn lose(&mut self, position: usize) {
        if !self.mail.is_empty() {
            self.mail.remove(position % self.mail.len());
        }
    }

    pub(crate) fn has_mail(&self) -> bool {
        !self.mail.is_empty()
    }

    fn keep_place(&mut self, arriving: Arriving, from: usize, to: usize) {
        let move_id = arriving.move_id;
        match self.run(to, &command(Action::HoldForMove(arriving))).outcome {
            Ok(Success::Appointment { appointment: row, .. }) => {
                self.mail.push(Message::Prepared { move_id, from, to, seat: Seat::of(&row), end: row.end });
            }
            Ok(other) => panic!("not about an appointment: {other:?}"),
            Err(_) => {
                self.pending[from].remove(&move_id);
            }
        }
    }

    /// A place is kept: the day that has the appointment decides. An echo is told what was decided.
    fn decide_move(&mut self, move_id: MoveId, from: usize, to: usize, seat: Seat, end: UtcMillis) {
        let Some(Pending { appointment, version, key }) = self.pending[from].remove(&move_id) else {
            let departures = self.days[from].day.departures();
            let row =
                departures.filter(|departure| departure.move_id == move_id).map(|departure| &departure.row).next();
            let row = row.cloned();
            self.mail.push(match row {
                Some(row) => Message::Commit { move_id, to, row },
                None => Message::Drop { move_id, to },
            });
            return;
        };
        let leaving = Leaving { move_id, appointment, version, to: home(to as i32), seat, end };
        let commit = Command { key: key.clone(), ..command(Action::CommitMove(leaving)) };
        let Ok(Success::Appointment { appointment: row, home: Some(_), .. }) = self.run(from, &commit).outcome else {
            self.mail.push(Message::Drop { move_id, to });
            return;
        };
        if key.is_some() {
            let again = Command { key, ..command(Action::PrepareMove { move_id, appointment }) };
            let replayed = self.run(from, &again).outcome;
            let first = Success::Appointment { appointment: row.clone(), replayed: true, home: Some(home(to as i32)) };
            assert_eq!(replayed, Ok(first), "the key of a move does not repeat its answer");
        }
        self.mail.push(Message::Commit { move_id, to, row });
    }

    /// Whoever drives a move gives it up, and says so or not.
    pub(crate) fn give_up(&mut self, day: usize, position: usize) {
        let attempts: Vec<_> = self.pending[day].keys().copied().collect();
        if let Some(move_id) = attempts.get(position % attempts.len().max(1)) {
            self.pending[day].remove(move_id);
            if position.is_multiple_of(2) {
                let all = 0..self.days.len();
                self.mail.extend(all.filter(|to| *to != day).map(|to| Message::Drop { move_id: *move_id, to }));
            }
        }
    }

    /// A day stops and is loaded again: what it had only in memory is gone.
    pub(crate) fn crash(&mut self, day: usize) {
        self.pending[day].clear();
    }

    /// A day asks what became of the places it keeps. Returns how many were settled.
    pub(crate) fn settle(&mut self, day: usize) -> usize {
        let open: Vec<_> = self.days[day].day.arrivals().map(|(id, arrival)| (id, arrival.clone())).collect();
        let mut settled = 0;
        for (move_id, arrival) in open {
            let from = self.number_of(arrival.from);
            let departure = self.days[from].day.departure(arrival.row.id);
            let action = match departure.filter(|departure| departure.move_id == move_id) {
                Some(departure) => Action::AcceptMove { move_id, row: departure.row.clone() },
                None if self.pending[from].contains_key(&move_id) => continue,
                None => Action::DropMove { move_id },
            };
            let outcome = self.run(day, &command(action)).outcome;
            assert!(outcome.is_ok(), "day {day} cannot settle {move_id}: {outcome:?}");
            settled += 1;
        }
        settled
    }

    /// Every appointment stands on one day, as its callers were told last or later; nothing else is to come but what can
    /// still be decided.
    pub(crate) fn check(&self) {
        for id in self.births.keys().copied() {
            let at_home = self.home_of(id);
            let here = (0..self.days.len()).filter(|day| self.days[*day].day.appointment(id).is_some());
            let here: Vec<_> = here.collect();
            let state = &self.days[at_home].day;
            let row = state.appointment(id).or_else(|| {
                let mut coming = state.arrivals().filter(|(_, arrival)| arrival.row.id == id);
                coming.next().map(|(_, arrival)| &arrival.row)
            });
            let row = row.unwrap_or_else(|| panic!("{id} stands nowhere; it should be on day {at_home}"));
            assert!(here.is_empty() || here == [at_home], "{id} is on days {here:?}, its way leads to {at_home}");
            let told = &self.told[&id];
            assert!(row.version >= told.version, "{id} is older than what was told: {row:?}, {told:?}");
            if row.version == told.version {
                assert_eq!(*row, Appointment { updated_at: row.updated_at, ..told.clone() }, "not as told");
            }
        }
        for day in &self.days {
            let live = day.day.appointments().filter(|row| row.is_live_at(self.now));
            let mut patients: Vec<_> = live.map(|row| row.patient).collect();
            patients.sort();
            assert!(patients.windows(2).all(|pair| pair[0] != pair[1]), "a patient has two appointments on one day");
            for (_, remembered) in day.day.remembered() {
                let Answer::Moved { row, .. } = &remembered.answer else { continue };
                assert!(self.told[&row.id].version >= row.version, "an answer is remembered that nobody was told");
            }
        }
    }

    /// Forgets all that is in memory and settles every day.
    pub(crate) fn settle_all(&mut self) {
        (0..self.days.len()).for_each(|day| self.crash(day));
        for day in 0..self.days.len() {
            self.settle(day);
            assert_eq!(self.days[day].day.arrivals().count(), 0, "day {day} still keeps a place");
        }
        for id in self.births.keys() {
            let here = self.days.iter().filter(|day| day.day.appointment(*id).is_some()).count();
            assert_eq!(here, 1, "{id} stands on {here} days");
        }
    }
}
