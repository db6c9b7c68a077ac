//! The never-log list: whatever is planted in requests, tokens, headers and settings is in no line of the program, at the most talkative
//! level, in both forms, also when requests are wrong and stores are away.
//! Must not know: which lines there are.
//!
//! To put something new on the list: a secret setting goes into `never_log/settings.rs`, a personal field into the bodies of
//! `never_log/calls.rs`. Everything that is planted begins with [`planted::MARK`], so nothing else has to be said.

mod calls;
mod planted;
mod settings;

use std::collections::BTreeSet;
use std::time::Duration;

use blackbox::{Launch, Server, Stores, eventually, program, sources};
use serde_json::Value;
use servers::{Postgres, PostgresOptions, Redis, RedisOptions};

use planted::Planted;

const FORMS: [&str; 2] = ["json", "text"];

fn talkative(form: &str) -> Vec<String> {
    ["--log-filter", "trace", "--log-format", form].map(str::to_owned).to_vec()
}

/// Everything that a server has said, on both streams.
fn said(server: &Server) -> Vec<String> {
    server.log().into_iter().chain(server.printed()).collect()
}

#[tokio::test]
async fn embedded_nothing_planted_is_ever_logged() {
    for form in FORMS {
        let key = planted::signing_key();
        let (arguments, environment) = (talkative(form), vec![("HOTSLOT_JWT_KEY".to_owned(), planted::hex(&key))]);
        let launch = Launch { arguments, environment, ..Launch::default() };
        let mut server = Server::launch(launch).await;
        let mut planted = Planted::default();
        planted.key(&key);
        calls::make(&server, &key, &mut planted).await;
        server.kill().await;
        server.start_again().await;
        calls::make(&server, &key, &mut planted).await;
        let exit = server.terminate(Duration::from_secs(10)).await;
        assert!(exit.status.success(), "{:?}", exit.status);
        let lines = said(&server);
        assert!(lines.iter().any(|line| line.contains("request answered")), "requests are logged: {lines:#?}");
        planted.assert_absent(&lines);
        if form == "json" {
            assert_documented(&server.log());
        }
    }
}

#[tokio::test]
async fn on_servers_nothing_planted_is_ever_logged_as_json() {
    on_servers_that_go_away("json").await;
}

#[tokio::test]
async fn on_servers_nothing_planted_is_ever_logged_as_text() {
    on_servers_that_go_away("text").await;
}

async fn on_servers_that_go_away(form: &str) {
    let mut planted = Planted::default();
    let password = planted.secret("redis-password");
    let mut redis = Redis::start_with(RedisOptions::default()).await;
    let () = redis.call(&["CONFIG", "SET", "requirepass", &password]).await;
    let mut postgres = Postgres::start_with(PostgresOptions { fsync: true, ..PostgresOptions::default() }).await;
    let redis_url = format!("redis://:{password}@{}", redis.address());
    let database_url = planted.with_password(&postgres.url(), "database-password");
    let mut arguments = talkative(form);
    // Nobody is there: what is told of the feed are failures.
    arguments.extend(["--feed-redis-url".to_owned(), planted.with_password("redis://127.0.0.1:9", "feed-redis")]);
    arguments.extend(["--feed-nats-url".to_owned(), planted.with_password("nats://127.0.0.1:9", "feed-nats")]);
    let stores = Some(Stores::elsewhere(Some(&redis_url), &database_url));
    let key = planted::signing_key();
    let environment = vec![("HOTSLOT_JWT_KEY".to_owned(), planted::hex(&key))];
    planted.key(&key);
    let mut server = Server::launch(Launch { arguments, environment, stores, ..Launch::default() }).await;
    calls::make(&server, &key, &mut planted).await;
    redis.stop().await;
    calls::make_in_vain(&server, &key, &mut planted).await;
    redis.resume().await;
    postgres.kill().await;
    calls::make_in_vain(&server, &key, &mut planted).await;
    postgres.restart().await;
    redis.kill().await;
    calls::make_in_vain(&server, &key, &mut planted).await;
    eventually("failures are told", Duration::from_secs(20), async || {
        said(&server).iter().any(|line| line.contains("WARN")).then_some(())
    })
    .await;
    server.kill().await;
    planted.assert_absent(&said(&server));
    let death = Server::try_launch(Launch {
        arguments: talkative(form),
        stores: Some(Stores::elsewhere(Some(&redis_url), &database_url)),
        ..Launch::default()
    })
    .await
    .expect_err("a store is away");
    planted.assert_absent(&death.log);
}

#[tokio::test]
async fn no_secret_setting_is_repeated_right_or_wrong() {
    let mut planted = Planted::default();
    for setting in settings::SECRET {
        let right = planted.in_text(setting.right);
        for value in [right.clone(), planted.in_text(setting.wrong), format!("{right} {}", planted.secret("tail"))] {
            let (name, flag) = (setting.variable(), setting.flag());
            // Something else is wrong too, so that the program ends.
            let wrong = ["serve", "--listen", "nowhere", "--log-filter", "trace"];
            let by_flag = program::run(&[&wrong[..], &[&flag, &value]].concat()).await;
            let by_variable = program::run_with(&wrong, &[(&name, &value)]).await;
            let directory = tempfile::tempdir().expect("a directory");
            let file = directory.path().join("settings.toml");
            let path = file.display().to_string();
            let mut outputs = vec![by_flag, by_variable];
            for text in [
                format!("{} = \"{value}\"", setting.key),
                format!("{} = [\"{value}\"]", setting.key),
                format!("{} = \"{value}", setting.key),
            ] {
                std::fs::write(&file, text).expect("a file of the test's own");
                outputs.push(program::run(&[&wrong[..], &["--config", &path]].concat()).await);
            }
            for output in outputs {
                assert_eq!(output.code, Some(2), "{output:?}");
                planted.assert_absent(&[output.stdout, output.stderr]);
            }
        }
    }
}

/// Every field of a line of ours is in the list that operators read.
fn assert_documented(lines: &[String]) {
    let known = documented();
    let mut seen = 0;
    for line in lines {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for name in line.as_object().expect("an object").keys() {
            seen += 1;
            assert!(known.contains(name.as_str()) || name.starts_with("library."), "{name} is not documented: {line}");
        }
    }
    assert!(seen > 100, "there were lines: {seen}");
}

/// The fields of the table in the operators' page.
fn documented() -> BTreeSet<String> {
    let page = sources::read("deploy/OPERATIONS.md".to_owned()).text;
    let section = page.split("\n## ").find(|section| section.starts_with("Logs and traces")).expect("the section");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let names: BTreeSet<String> =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    assert!(names.len() > 20, "the table was found: {names:?}");
    names
}

#[test]
fn every_field_in_the_source_is_documented() {
    let renamed = planted::renamed();
    let known = documented();
    let mut missing = BTreeSet::new();
    let mut seen = 0;
    for source in sources::rust() {
        if !source.path.starts_with("engine/src") && !source.path.starts_with("gateway/src") {
            continue;
        }
        for name in planted::fields_of(&source.text) {
            seen += 1;
            let full = match renamed.get(&name) {
                Some(full) => full.clone(),
                None if name.contains('.') => name,
                None => format!("hotslot.{name}"),
            };
            if !known.contains(&full) {
                missing.insert(format!("{full} ({})", source.path));
            }
        }
    }
    assert!(seen > 50, "fields were found: {seen}");
    assert!(missing.is_empty(), "not in the table of deploy/OPERATIONS.md: {missing:#?}");
}
