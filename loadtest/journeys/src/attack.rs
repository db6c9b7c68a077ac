//! The journeys as goose runs them: who there is, how many of each, and in which order each goes.
//! Must not know: what a step does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::prelude::*;

use crate::patient::{book, cancel, confirm, hold, list_own, reschedule};
use crate::person::{Person, Run};
use crate::practice::{amend, open_own_day, publish, read_day};
use crate::visitor::{list_days, open_day, open_doctor, search, watch};

/// How many of each there are, of twelve. With four users or more there is one of each.
const VISITORS: usize = 3;
const HOLDERS: usize = 4;
const BOOKERS: usize = 4;
const DOCTORS: usize = 1;

/// Everything that goose is to run. People pause `think` between two steps, half of it more or less.
pub(crate) fn attack(
    configuration: GooseConfiguration,
    run: &Arc<Run>,
    think: Duration,
) -> Result<GooseAttack, GooseError> {
    let pauses = (think / 2, think + think / 2);
    let journey = |name: &str, weight: usize, begin: Transaction| {
        Scenario::new(name)
            .set_weight(weight)?
            .set_wait_time(pauses.0, pauses.1)
            .map(|it| it.register_transaction(begin))
    };
    let visitors = [
        step("search", transaction!(search)),
        step("open doctor", transaction!(open_doctor)),
        step("list days", transaction!(list_days)),
        step("open day", transaction!(open_day)),
        step("watch", transaction!(watch)),
    ];
    let holders = [
        step("search", transaction!(search)),
        step("list days", transaction!(list_days)),
        step("open day", transaction!(open_day)),
        step("hold", transaction!(hold)),
        step("confirm", transaction!(confirm)),
        step("list own", transaction!(list_own)),
        step("cancel", transaction!(cancel)),
    ];
    let bookers = [
        step("search", transaction!(search)),
        step("list days", transaction!(list_days)),
        step("open day", transaction!(open_day)),
        step("book", transaction!(book)),
        step("list own", transaction!(list_own)),
        step("open another day", transaction!(open_day)),
        step("move", transaction!(reschedule)),
        step("list own again", transaction!(list_own)),
        step("cancel", transaction!(cancel)),
    ];
    let doctors = [
        step("publish", transaction!(publish)),
        step("open own day", transaction!(open_own_day)),
        step("read day", transaction!(read_day)),
        step("amend", transaction!(amend)),
    ];
    let attack = GooseAttack::initialize_with_config(configuration)?
        // The people ask over a pool of their own: goose's client is never used, and needs no certificates.
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies().accept_invalid_certs(true))?
        .register_scenario(in_order(
            journey("Visitor", VISITORS, begins_as(run, |run| Ok(Arc::new(Person::anyone(run)))))?,
            visitors,
        ))
        .register_scenario(in_order(journey("Holder", HOLDERS, begins_as(run, Person::patient))?, holders))
        .register_scenario(in_order(journey("Booker", BOOKERS, begins_as(run, Person::patient))?, bookers))
        .register_scenario(in_order(journey("Doctor", DOCTORS, begins_as_doctor(run))?, doctors));
    Ok(attack)
}

fn step(name: &str, transaction: Transaction) -> Transaction {
    transaction.set_name(name)
}

/// The steps one after another.
fn in_order(scenario: Scenario, steps: impl IntoIterator<Item = Transaction>) -> Scenario {
    steps
        .into_iter()
        .zip(1..)
        .fold(scenario, |scenario, (step, number)| scenario.register_transaction(step.set_sequence(number)))
}

/// What makes somebody.
type Maker = Arc<dyn Fn(&Arc<Run>) -> Result<Arc<Person>, Box<TransactionError>> + Send + Sync>;

/// The first step: the user plays whom `make` makes.
fn begins_as(
    run: &Arc<Run>,
    make: impl Fn(&Arc<Run>) -> Result<Arc<Person>, Box<TransactionError>> + Send + Sync + 'static,
) -> Transaction {
    let (run, make): (_, Maker) = (Arc::clone(run), Arc::new(make));
    let begin: TransactionFunction = Arc::new(move |user| {
        let began = make(&run).map(|person| user.set_session_data(person));
        Box::pin(std::future::ready(began))
    });
    Transaction::new(begin).set_name("begin").set_on_start()
}

/// The doctors of the world in turn, again from the first where there are more users.
fn begins_as_doctor(run: &Arc<Run>) -> Transaction {
    let next = AtomicUsize::new(0);
    begins_as(run, move |run| Ok(Arc::new(Person::doctor(run, next.fetch_add(1, Ordering::Relaxed)))))
}
