//! The commands: settings in, work done or a failure with its exit code.
//! Must not know: HTTP, how settings are read.

use std::sync::Arc;

use booking_core::{Role, SubjectId};
use clap::ArgMatches;
use engine::clock::{Clock, SystemClock};
use engine::ids::{Ids, SystemIds};
use engine::waiting::Waiting;
use engine::{Engine, StartError};

use crate::api::input::parse_uuid;
use crate::auth::Principal;
use crate::auth::key::{self, KeyError, SigningKey};
use crate::auth::token::{self, AUDIENCES_MAX, NewToken};
use crate::config::{Config, KeySource, Mistakes, Sources, parse_duration_seconds};
use crate::{cli, logs, openapi, screen, startup, top, waiting};

/// How long a token counts if nobody says.
const TTL_SECONDS_DEFAULT: i64 = 3_600;

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    /// See `main`.
    pub(crate) exit_code: u8,
    /// For standard error.
    pub(crate) lines: Vec<String>,
}

impl Failure {
    /// Something is wrong with what was asked: exit code 2.
    pub(crate) fn settings(line: impl Into<String>) -> Self {
        Self { exit_code: 2, lines: vec![line.into()] }
    }

    /// Something went wrong while running: exit code 1.
    pub(crate) fn running(line: impl Into<String>) -> Self {
        Self { exit_code: 1, lines: vec![line.into()] }
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self { exit_code: 2, lines: mistakes.0 }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::InUse { .. } => Self::settings(format!("data_dir: {error}")),
            StartError::Store(_) => Self::running(error.to_string()),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::settings(format!("the key of tokens: {error}"))
    }
}

/// Does what the command line asks.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("serve", matches)) => startup::serve(load(matches)?),
        Some(("token", matches)) => print_token(matches),
        Some(("migrate", matches)) => migrate(&load(matches)?),
        Some(("verify", matches)) => verify(&load(matches)?),
        Some(("top", matches)) => top::run(matches, &load(matches)?),
        Some(("openapi", _)) => print(openapi::document().trim_end()),
        _ => Err(Failure::settings("there is no such command")),
    }
}

/// The key that `config` names.
pub(crate) fn signing_key(config: &Config) -> Result<SigningKey, KeyError> {
    match &config.key {
        KeySource::DataDirectory => key::load_or_create(&config.engine.data_dir),
        KeySource::File(path) => key::load(path),
        KeySource::Inline(key) => Ok(key.clone()),
    }
}

fn load(matches: &ArgMatches) -> Result<Config, Mistakes> {
    let variable = |name: &str| std::env::var(name).ok();
    let path = matches.get_one::<String>("config").cloned().or_else(|| variable("HOTSLOT_CONFIG"));
    let file = path.as_ref().map(std::fs::read_to_string);
    let mut sources =
        Sources::gather(&cli::flags(matches), variable, file.as_ref().and_then(|text| text.as_deref().ok()));
    if let (Some(path), Some(Err(error))) = (&path, &file) {
        sources.unreadable_file(path, error);
    }
    Config::load(&sources)
}

fn migrate(config: &Config) -> Result<(), Failure> {
    waiting::show_bars();
    let runtime = startup::runtime()?;
    let done = {
        let _waiting = Waiting::begin("bringing the schema up to date", None);
        runtime.block_on(Engine::migrate(&config.engine))?
    };
    print(&done)
}

/// Exit code 0: clean, 1: findings, 2: could not run.
fn verify(config: &Config) -> Result<(), Failure> {
    logs::init(&config.log);
    waiting::show_bars();
    let could_not = |reason: String| Failure::settings(format!("verify could not run: {reason}"));
    let runtime = startup::runtime().map_err(|failure| could_not(failure.lines.join("; ")))?;
    let report = runtime
        .block_on(async {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
            engine::verify::verify_stores(&config.engine, &clock).await
        })
        .map_err(|error| could_not(error.to_string()))?;
    print(&report.lines().join("\n")).map_err(|failure| could_not(failure.lines.join("; ")))?;
    if report.is_clean() { Ok(()) } else { Err(Failure { exit_code: 1, lines: Vec::new() }) }
}

fn print_token(matches: &ArgMatches) -> Result<(), Failure> {
    let mut lines = Vec::new();
    let config = load(matches).map_err(|mistakes| lines.extend(mistakes.0)).ok();
    let wanted = new_token(matches).map_err(|mistakes| lines.extend(mistakes.0)).ok();
    match (config, wanted) {
        (Some(config), Some(wanted)) => {
            let key = signing_key(&config)?;
            print(&token::mint(&key, &wanted).map_err(|error| Failure::running(error.to_string()))?)
        }
        _ => Err(Failure { exit_code: 2, lines }),
    }
}

fn new_token(matches: &ArgMatches) -> Result<NewToken, Mistakes> {
    let mut mistakes = Vec::new();
    let given = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let mut uuid = |name: &str| {
        let text = given(name)?;
        let uuid = parse_uuid(text);
        if uuid.is_none() {
            mistakes.push(format!("{name}: {text:?} is not a UUID (--{name})"));
        }
        uuid
    };
    let (subject, clinic) = (uuid("subject"), uuid("clinic"));
    let role = given("role").and_then(token::parse_role);
    if role.is_none() {
        mistakes.push(format!("role: {:?} is not patient, doctor or admin (--role)", given("role").unwrap_or("")));
    }
    let ttl_seconds = given("ttl").map_or(Some(TTL_SECONDS_DEFAULT), parse_duration_seconds);
    if ttl_seconds.is_none() {
        mistakes
            .push(format!("ttl: {:?} is not a duration such as 90s, 15m, 1h, 7d (--ttl)", given("ttl").unwrap_or("")));
    }
    let audiences: Vec<Box<str>> =
        matches.get_many::<String>("audience").unwrap_or_default().map(|name| name.as_str().into()).collect();
    if audiences.len() > AUDIENCES_MAX {
        mistakes.push(format!("audience: at most {AUDIENCES_MAX} can be given (--audience)"));
    }
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    let subject = SubjectId(subject.unwrap_or_else(|| SystemIds.next()));
    let principal = Principal { subject, role: role.unwrap_or(Role::Patient), clinic, audiences: audiences.into() };
    let ttl_seconds = ttl_seconds.unwrap_or(TTL_SECONDS_DEFAULT);
    Ok(NewToken { principal, issued_at: SystemClock::start().now(), ttl_seconds })
}

fn print(text: &str) -> Result<(), Failure> {
    screen::say(text).map_err(|error| Failure::running(format!("standard output: {error}")))
}
