//! The search for a linearization of one history, over any sequential model.
//! Must not know: what the operations mean.
//!
//! The algorithm is that of J. M. Wing and C. Gong ("Testing and verifying concurrent objects", 1993): linearize any operation
//! that was called before the first answer that is still open, go on, and step back where that leads nowhere. As G. Lowe
//! ("Testing for linearizability", 2017) adds, no configuration (what is linearized, and the state) is searched twice; the
//! list of events that operations are lifted out of and put back into is that of A. Horn and D. Kroening ("Faster
//! linearizability checking via P-compositionality", 2015), as in Porcupine. Of our own are three rules that keep the
//! search short:
//!
//! - A *pure* operation (a read, a refusal) that is legal is linearized at once, without an alternative: as it never changes
//!   a state, it can be moved to here from wherever else a linearization has it.
//! - Others are tried in the order in which they probably happened. A hint changes how long the search takes, never its result.
//! - An operation that need not have happened is left out only at its latest instant.
//!
//! Configurations are remembered by a fingerprint of 128 bits. Two that shared one could make a history look wrong that is
//! right (with a probability below 2⁻⁸⁰ for a million of them), but never a wrong one right.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The latest instant of what may happen at any time after its call.
pub const OPEN: u64 = u64::MAX;

/// What operations do, one after another.
pub trait Model {
    /// A call together with its recorded answer.
    type Operation;
    /// What the operations change.
    type State: Clone + Eq + Hash;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after `operation`; `None` if `state` does not allow the recorded answer.
    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;

    /// Whether `operation` changes neither `state` nor any state that can follow it, where they allow it. So it is of every read
    /// and every refusal.
    fn is_pure(&self, state: &Self::State, operation: &Self::Operation) -> bool;
}

/// An operation of a history. Instants are on any one scale.
#[derive(Clone, Debug)]
pub struct Timed<Operation> {
    /// It cannot have happened before.
    pub invoked: u64,
    /// It cannot have happened later: the instant of its answer, or [`OPEN`].
    pub latest: u64,
    /// It need not have happened at all.
    pub is_optional: bool,
    /// When it probably happened; [`OPEN`] if it probably did not.
    pub likely_at: u64,
    /// By how much it may well have happened earlier than that.
    pub doubt: u64,
    /// What it is.
    pub operation: Operation,
}

/// What the search came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// There is a linearization.
    Linearizable {
        /// Configurations that were visited.
        configurations: usize,
    },
    /// There is none.
    Violated(Violation),
    /// Not known: there are more configurations than the search may visit. How far it came.
    Exceeded(Violation),
}

/// Why no linearization was found. Operations are named by their number in the history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// All that was called before the latest instant of this one cannot be linearized; all that was called before any earlier
    /// such instant can. So this is the end of the smallest prefix that is wrong.
    pub at: usize,
    /// One order that comes as far as there.
    pub linearized: Vec<usize>,
    /// What was called by then and is not in that order.
    pub pending: Vec<usize>,
    /// Configurations that were visited.
    pub configurations: usize,
}

/// Looks for a linearization of `history`, visiting at most about `configurations_max` configurations. Costs memory for these
/// (about 50 bytes each), and for a state each step of the present attempt.
///
/// One unlucky guess can cost a search millions of configurations that another order of trying does without, so the first
/// searches are short ones, each with other guesses where the hints are in doubt. Any of them may find the verdict.
pub fn check<M: Model>(model: &M, history: &[Timed<M::Operation>], configurations_max: usize) -> Verdict {
    let short = configurations_max / (4 * SHORT_SEARCHES as usize);
    let mut visited = 0;
    for guess in 0..SHORT_SEARCHES {
        match Search::new(model, history, guess).run(short) {
            Verdict::Exceeded(furthest) => visited += furthest.configurations,
            verdict => return verdict.after(visited),
        }
    }
    Search::new(model, history, 0).run(configurations_max - configurations_max / 4).after(visited)
}

impl Verdict {
    /// Configurations that were visited.
    pub fn configurations(&self) -> usize {
        match self {
            Self::Linearizable { configurations } => *configurations,
            Self::Violated(Violation { configurations, .. }) | Self::Exceeded(Violation { configurations, .. }) => {
                *configurations
            }
        }
    }

    /// The same verdict, if so many were visited before.
    fn after(mut self, visited: usize) -> Self {
        match &mut self {
            Self::Linearizable { configurations } => *configurations += visited,
            Self::Violated(violation) | Self::Exceeded(violation) => violation.configurations += visited,
        }
        self
    }
}

/// Searches that may visit together a quarter of all configurations.
const SHORT_SEARCHES: u64 = 16;
/// In how many steps a guess lies between the earliest and the latest instant that a hint allows.
const GUESS_STEPS: u64 = 8;

/// One step of the present attempt.
#[derive(Clone, Copy)]
enum Step {
    Linearize(usize),
    LeaveOut(usize),
}

/// A configuration with what has not been tried in it.
struct Choice<State> {
    state: State,
    linearized: u128,
    path_length: usize,
    /// The most promising one last.
    untried: Vec<Step>,
}

struct Search<'history, M: Model> {
    model: &'history M,
    history: &'history [Timed<M::Operation>],
    events: Events,
    /// When each operation is guessed to have happened.
    guessed_at: Vec<u64>,
    /// What the present attempt took out of the events, in order.
    path: Vec<Step>,
    state: M::State,
    /// Which operations those are: the sum of their marks.
    linearized: u128,
    /// The latest event that an attempt came to, and what there is to say of it.
    furthest: (usize, Violation),
}

impl<'history, M: Model> Search<'history, M> {
    fn new(model: &'history M, history: &'history [Timed<M::Operation>], guess: u64) -> Self {
        let events = Events::of(history);
        let guessed = |(timed, operation): (&Timed<M::Operation>, usize)| {
            let steps = if guess == 0 { 2 } else { fingerprint(&(guess, operation)) as u64 % (GUESS_STEPS + 1) };
            timed.likely_at.saturating_sub(timed.doubt * steps / GUESS_STEPS)
        };
        let guessed_at = history.iter().zip(0..).map(guessed).collect();
        let nowhere = Violation { at: 0, linearized: Vec::new(), pending: Vec::new(), configurations: 0 };
        let state = model.initial();
        Self { model, history, events, guessed_at, path: Vec::new(), state, linearized: 0, furthest: (0, nowhere) }
    }

    fn run(mut self, configurations_max: usize) -> Verdict {
        let mut visited = HashSet::new();
        let mut choices = Vec::new();
        loop {
            let mut candidates = Vec::new();
            let Some(answering) = self.scan(&mut candidates) else {
                return Verdict::Linearizable { configurations: visited.len() };
            };
            self.note(answering, &candidates);
            choices.push(self.choice(candidates, answering));
            if !self.advance(&mut choices, &mut visited) {
                return Verdict::Violated(Violation { configurations: visited.len(), ..self.furthest.1 });
            }
            if visited.len() > configurations_max {
                return Verdict::Exceeded(Violation { configurations: visited.len(), ..self.furthest.1 });
            }
        }
    }

    /// Linearizes every pure operation that is legal now, and collects what else was called before the first answer that is
    /// still open. Answers whose that is; `None` if there is none any more.
    fn scan(&mut self, candidates: &mut Vec<usize>) -> Option<usize> {
        let mut passed = 0;
        while let Some(at) = self.events.after(passed) {
            let operation = self.events.operation(at);
            if self.events.is_answer(at) {
                return Some(operation);
            }
            let timed = &self.history[operation];
            if self.model.is_pure(&self.state, &timed.operation)
                && self.model.step(&self.state, &timed.operation).is_some()
            {
                self.take(Step::Linearize(operation));
            } else {
                candidates.push(operation);
                passed = at;
            }
        }
        None
    }

    /// Remembers how far an attempt came.
    fn note(&mut self, answering: usize, candidates: &[usize]) {
        let reached = self.events.answer_of(answering);
        if reached > self.furthest.0 {
            let linearized = self.path.iter().filter_map(|step| match step {
                Step::Linearize(operation) => Some(*operation),
                Step::LeaveOut(_) => None,
            });
            let (linearized, pending) = (linearized.collect(), candidates.to_vec());
            self.furthest = (reached, Violation { at: answering, linearized, pending, configurations: 0 });
        }
    }

    fn choice(&self, mut candidates: Vec<usize>, answering: usize) -> Choice<M::State> {
        candidates.retain(|operation| !self.model.is_pure(&self.state, &self.history[*operation].operation));
        let mut untried: Vec<Step> = candidates.into_iter().map(Step::Linearize).collect();
        if self.history[answering].is_optional {
            untried.push(Step::LeaveOut(answering));
        }
        untried.sort_by_key(|step| {
            std::cmp::Reverse(match step {
                Step::Linearize(operation) => (self.guessed_at[*operation], self.history[*operation].latest),
                Step::LeaveOut(operation) => (self.history[*operation].latest, 0),
            })
        });
        let (state, path_length) = (self.state.clone(), self.path.len());
        Choice { state, linearized: self.linearized, path_length, untried }
    }

    /// Goes to the next configuration that was not visited; `false` if there is none.
    fn advance(&mut self, choices: &mut Vec<Choice<M::State>>, visited: &mut HashSet<u128>) -> bool {
        while let Some(choice) = choices.last_mut() {
            while self.path.len() > choice.path_length {
                self.put_back();
            }
            self.linearized = choice.linearized;
            let Some(step) = choice.untried.pop() else {
                choices.pop();
                continue;
            };
            let next = match step {
                Step::LeaveOut(_) => Some(choice.state.clone()),
                Step::Linearize(operation) => self.model.step(&choice.state, &self.history[operation].operation),
            };
            let Some(next) = next else { continue };
            self.take(step);
            if visited.insert(fingerprint(&next).wrapping_add(self.linearized)) {
                self.state = next;
                return true;
            }
        }
        false
    }

    fn take(&mut self, step: Step) {
        let (Step::Linearize(operation) | Step::LeaveOut(operation)) = step;
        self.events.lift(operation);
        self.linearized = self.linearized.wrapping_add(mark(operation));
        self.path.push(step);
    }

    fn put_back(&mut self) {
        if let Some(Step::Linearize(operation) | Step::LeaveOut(operation)) = self.path.pop() {
            self.events.put_back(operation);
        }
    }
}

fn fingerprint(value: &impl Hash) -> u128 {
    let half = |seed: u64| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        value.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    (half(1) << 64) | half(2)
}

/// A number for each operation, of which sums tell sets apart.
fn mark(operation: usize) -> u128 {
    fingerprint(&(operation, "mark"))
}

/// Calls and answers in order of time, as a list from which operations are lifted.
struct Events {
    /// Operation, and whether this is its answer. The first one is a sentinel.
    what: Vec<(usize, bool)>,
    next: Vec<usize>,
    previous: Vec<usize>,
    /// Of each operation: the event of its call, and of its answer if it has one.
    places: Vec<(usize, Option<usize>)>,
}

impl Events {
    fn of<Operation>(history: &[Timed<Operation>]) -> Self {
        let mut what: Vec<(u64, bool, usize)> = Vec::with_capacity(history.len() * 2);
        for (operation, timed) in history.iter().enumerate() {
            what.push((timed.invoked, false, operation));
            if timed.latest != OPEN {
                what.push((timed.latest.max(timed.invoked), true, operation));
            }
        }
        // At one instant calls go first: whether two that touch overlap is not known, so they may.
        what.sort_unstable();
        let what: Vec<(usize, bool)> = std::iter::once((usize::MAX, false))
            .chain(what.into_iter().map(|(_, is_answer, of)| (of, is_answer)))
            .collect();
        let mut places = vec![(0, None); history.len()];
        for (event, (operation, is_answer)) in what.iter().enumerate().skip(1) {
            if *is_answer {
                places[*operation].1 = Some(event);
            } else {
                places[*operation].0 = event;
            }
        }
        let count = what.len();
        let next = (1..=count).map(|event| event % count).collect();
        let previous = (0..count).map(|event| (event + count - 1) % count).collect();
        Self { what, next, previous, places }
    }

    /// The event after that one; the first one of all after 0.
    fn after(&self, event: usize) -> Option<usize> {
        Some(self.next[event]).filter(|next| *next != 0)
    }

    fn operation(&self, event: usize) -> usize {
        self.what[event].0
    }

    fn is_answer(&self, event: usize) -> bool {
        self.what[event].1
    }

    fn answer_of(&self, operation: usize) -> usize {
        self.places[operation].1.unwrap_or(usize::MAX)
    }

    fn lift(&mut self, operation: usize) {
        let (call, answer) = self.places[operation];
        for event in std::iter::once(call).chain(answer) {
            let (before, after) = (self.previous[event], self.next[event]);
            self.next[before] = after;
            self.previous[after] = before;
        }
    }

    /// Undoes the last [`Self::lift`] that was not undone.
    fn put_back(&mut self, operation: usize) {
        let (call, answer) = self.places[operation];
        for event in answer.into_iter().chain(std::iter::once(call)) {
            let (before, after) = (self.previous[event], self.next[event]);
            self.next[before] = event;
            self.previous[after] = event;
        }
    }
}
