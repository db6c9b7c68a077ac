//! The command line: commands and their flags. Values are text here; `config` judges them.
//! Must not know: what commands do, what values mean.

use std::collections::BTreeMap;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::settings::{SETTINGS, Setting};

/// The settings that `token`, `migrate` and `verify` can use.
const STORE_SETTINGS: [&str; 8] = [
    "data_dir",
    "redis_url",
    "redis_replicas",
    "redis_accept_appendfsync_no",
    "database_url",
    "database_accept_asynchronous_standby",
    "jwt_key_file",
    "jwt_key",
];

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("hotslot")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A booking engine for the moment a popular doctor's slots are released")
        .after_help(
            "Every setting is a flag, an environment variable HOTSLOT_… and a key of the TOML file, in that order of \
             precedence.\nTo look around: hotslot serve --demo --data-dir ./demo-data",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("serve")
                .about("Run engine and interface")
                .arg(config_file())
                .args(SETTINGS.iter().map(argument)),
        )
        .subcommand(
            Command::new("token")
                .about("Print one bearer token, nothing else")
                .arg(text("role", "patient|doctor|admin", "In which capacity").required(true))
                .arg(text("subject", "UUID", "Who: a patient's or doctor's id [default: a new UUID]"))
                .arg(text("ttl", "DURATION", "For how long, such as 90s, 15m, 1h, 7d [default: 1h]"))
                .arg(
                    text("audience", "NAME", "An audience whose releases may be used; can be given again")
                        .action(ArgAction::Append),
                )
                .arg(text("clinic", "UUID", "The clinic that the token names"))
                .arg(config_file())
                .args(store_settings()),
        )
        .subcommand(
            Command::new("migrate")
                .about("Bring the stores' schema up to date (serve does so too)")
                .arg(config_file())
                .args(store_settings()),
        )
        .subcommand(
            Command::new("verify")
                .about("Audit journal against ledger, of a data directory stopped before, of servers at any time; exit code 0 clean, 1 findings, 2 could not run")
                .arg(config_file())
                .args(store_settings()),
        )
        .subcommand(
            Command::new("top")
                .about("Show live what a running process does, for its operators; q leaves")
                .arg(text("url", "URL", "Which process, such as http://127.0.0.1:8080").required(true))
                .arg(text("metrics-url", "URL", "Where its /metrics are, if metrics_listen is set [default: --url]"))
                .arg(text("token", "TOKEN", "An admin's token, for the hottest days [default: made with the key of --data-dir]")
                    .env("HOTSLOT_TOKEN").hide_env_values(true))
                .arg(text("interval", "DURATION", "Between two looks, 1s to 60s [default: 1s]"))
                .arg(Arg::new("once").long("once").help("Print one frame and end").action(ArgAction::SetTrue))
                .arg(config_file())
                .args(store_settings()),
        )
        .subcommand(Command::new("openapi").about("Print the OpenAPI 3.1 document"))
}

/// The settings given as flags, by key.
pub(crate) fn flags(matches: &ArgMatches) -> BTreeMap<&'static str, String> {
    let mut flags = BTreeMap::new();
    for setting in SETTINGS {
        // `token`, `migrate` and `verify` know fewer flags than there are settings.
        if !matches!(matches.try_contains_id(setting.key), Ok(true)) {
            continue;
        }
        if matches.value_source(setting.key) != Some(ValueSource::CommandLine) {
            continue;
        }
        match setting.value {
            None => flags.insert(setting.key, "true".to_owned()),
            Some(_) => matches.get_one::<String>(setting.key).and_then(|text| flags.insert(setting.key, text.clone())),
        };
    }
    flags
}

fn store_settings() -> impl Iterator<Item = Arg> {
    SETTINGS.iter().filter(|setting| STORE_SETTINGS.contains(&setting.key)).map(argument)
}

fn argument(setting: &Setting) -> Arg {
    let argument = Arg::new(setting.key).long(setting.flag).help(setting.help);
    match setting.value {
        Some(value) => argument.value_name(value),
        None => argument.action(ArgAction::SetTrue),
    }
}

fn config_file() -> Arg {
    text("config", "FILE", "A TOML file of settings [environment: HOTSLOT_CONFIG]")
}

fn text(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn only_given_flags_are_told() {
        let told = |line: &str| {
            let matches = command().try_get_matches_from(line.split(' ')).expect("parses");
            let (_, matches) = matches.subcommand().expect("a command");
            flags(matches).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(told("hotslot serve"), []);
        assert_eq!(
            told("hotslot serve --demo --listen 127.0.0.1:0"),
            [("demo", "true".to_owned()), ("listen", "127.0.0.1:0".to_owned())]
        );
        assert_eq!(told("hotslot token --role admin --data-dir x"), [("data_dir", "x".to_owned())]);
    }
}
