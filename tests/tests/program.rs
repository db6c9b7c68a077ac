//! Does the program behave on the command line: first line, tokens, key, settings, mistakes, demonstration?
//! Must not know: the API beyond what shows that a token works.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use blackbox::{Server, claims_of, eventually, fresh_id, instant_of, now, program};
use serde_json::{Value, json};
use tempfile::TempDir;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Runs `hotslot token` and answers its one line.
async fn token(arguments: &[&str]) -> String {
    let mut all = vec!["token"];
    all.extend(arguments);
    let output = program::run(&all).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let line = output.stdout.strip_suffix('\n').unwrap_or_else(|| panic!("one line: {output:?}")).to_owned();
    assert!(!line.contains(char::is_whitespace), "one token, nothing else: {output:?}");
    line
}

#[tokio::test]
async fn the_first_line_says_where_it_listens_and_it_is_ready_then() {
    let server = Server::start().await;
    // The harness insists on `listening http://127.0.0.1:PORT` with a real port.
    assert_eq!(server.printed().first().map(String::as_str), Some(&*format!("listening {}", server.address())));
    server.anyone().get("/healthz/ready").await.expect(200);
}

#[tokio::test]
async fn a_token_is_one_line_that_the_server_accepts() {
    let server = Server::start().await;
    let directory = text(server.directory()).to_owned();
    let doctor = server.new_doctor().await;
    let patient = fresh_id();
    let made = token(&["--role", "patient", "--subject", &patient, "--data-dir", &directory]).await;
    server.anyone().appointments_of(&patient, "").token(&made).await.expect(200);
    server.anyone().appointments_of(&fresh_id(), "").token(&made).await.problem(403, "forbidden");
    let made = token(&["--role", "doctor", "--subject", &doctor, "--data-dir", &directory]).await;
    let body = blackbox::Plan::quarters(1);
    server.anyone().put_day(&doctor, &body.date(), &body.body()).token(&made).await.expect(201);
    let made = token(&["--role", "admin", "--data-dir", &directory]).await;
    server.anyone().appointments_of(&patient, "").token(&made).await.expect(200);
}

#[tokio::test]
async fn a_token_says_who_for_how_long_and_by_default_somebody_new() {
    let directory = TempDir::new().expect("a directory");
    let path = text(directory.path());
    let subject = fresh_id();
    let named = ["--role", "patient", "--subject", &subject, "--ttl", "90m", "--data-dir", path];
    let claims = claims_of(directory.path(), &token(&named).await);
    assert_eq!((&claims["sub"], &claims["role"]), (&json!(subject), &json!("patient")));
    let lifetime = |claims: &Value| claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(exp, iat)| exp - iat);
    assert_eq!(lifetime(&claims), Some(5_400));
    let unnamed = ["--role", "admin", "--data-dir", path];
    let first = claims_of(directory.path(), &token(&unnamed).await);
    let second = claims_of(directory.path(), &token(&unnamed).await);
    assert_eq!(lifetime(&first), Some(3_600), "an hour by default");
    assert_ne!(first["sub"], second["sub"], "a new subject each time");
}

#[tokio::test]
async fn the_key_is_32_bytes_that_only_its_owner_may_read() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("new/data");
    token(&["--role", "admin", "--data-dir", text(&data)]).await;
    let first = std::fs::read(data.join("jwt.key")).expect("the key of `token`");
    let launch = blackbox::Launch { directory: Some(data.clone()), ..blackbox::Launch::default() };
    let server = Server::launch(launch).await;
    server.new_doctor().await;
    let path = data.join("jwt.key");
    assert_eq!(std::fs::read(&path).expect("the key of `serve`"), first, "made once, by whoever comes first");
    let other = Server::start().await;
    for path in [path, other.directory().join("jwt.key")] {
        let metadata = std::fs::metadata(&path).expect("a key");
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o7777), (32, 0o600));
    }
    assert_ne!(std::fs::read(other.directory().join("jwt.key")).expect("a key"), first, "each house has its own");
}

#[tokio::test]
async fn twenty_first_tokens_at_once_agree_on_one_key() {
    let directory = TempDir::new().expect("a directory");
    let path = text(directory.path()).to_owned();
    let tokens = blackbox::at_once(20, |_| {
        let path = path.clone();
        async move { token(&["--role", "patient", "--data-dir", &path]).await }
    })
    .await;
    for token in tokens {
        claims_of(directory.path(), &token);
    }
}

#[tokio::test]
async fn a_wrong_setting_stops_the_start_with_a_line_that_names_it() {
    let directory = TempDir::new().expect("a directory");
    let data = text(directory.path());
    let none: &[(&str, &str)] = &[];
    let wrong_listen: &[(&str, &str)] = &[("HOTSLOT_LISTEN", "1.2.3.4.5:80")];
    for (arguments, environment, named) in [
        (vec!["--listen", "nowhere"], none, "listen"),
        (vec!["--metrics-listen", "127.0.0.1:99999"], none, "metrics"),
        (vec![], wrong_listen, "listen"),
        (vec!["--config", "/nonexistent/hotslot.toml"], none, "config"),
        (vec!["--data-dir", "/proc/nothing/can/be/here"], none, "/proc/nothing"),
    ] {
        let mut all = vec!["serve"];
        if !arguments.contains(&"--data-dir") {
            all.extend(["--data-dir", data]);
        }
        all.extend(&arguments);
        let output = program::run_with(&all, environment).await;
        assert_eq!(output.code, Some(2), "{arguments:?} {environment:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let naming = output.stderr.lines().filter(|line| line.to_lowercase().contains(named)).count();
        assert!(naming >= 1, "{named} is named: {output:?}");
    }
}

#[tokio::test]
async fn three_mistakes_are_three_lines() {
    let directory = TempDir::new().expect("a directory");
    let config = directory.path().join("hotslot.toml");
    std::fs::write(&config, "no_such_setting = 1\n").expect("a configuration file");
    let arguments = ["serve", "--config", text(&config), "--data-dir", text(directory.path())];
    let environment = [("HOTSLOT_LISTEN", "nowhere"), ("HOTSLOT_METRICS_LISTEN", "nowhere either")];
    let output = program::run_with(&arguments, &environment).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    let lines: Vec<String> = output.stderr.lines().map(str::to_lowercase).collect();
    assert_eq!(lines.len(), 3, "one line each: {output:?}");
    for named in ["no_such_setting", "metrics", "listen"] {
        assert!(lines.iter().any(|line| line.contains(named)), "{named} is named: {output:?}");
    }
    assert!(!directory.path().join("jwt.key").exists(), "nothing was begun");
}

#[tokio::test]
async fn wrong_commands_and_arguments_are_exit_code_2() {
    let directory = TempDir::new().expect("a directory");
    let data = text(directory.path());
    let cases: [&[&str]; 6] = [
        &["token", "--role", "king", "--data-dir", data],
        &["token", "--data-dir", data],
        &["token", "--role", "patient", "--subject", "me", "--data-dir", data],
        &["token", "--role", "patient", "--ttl", "soon", "--data-dir", data],
        &["serve", "--no-such-flag"],
        &["fly"],
    ];
    for arguments in cases {
        let output = program::run(arguments).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{arguments:?}: {output:?}");
        assert!(!output.stderr.trim().is_empty(), "{arguments:?}: the mistake is named");
    }
}

#[tokio::test]
async fn a_flag_goes_before_the_environment_and_that_before_the_file() {
    let house = TempDir::new().expect("a directory");
    let directory = |name: &str| house.path().join(name);
    let config = directory("hotslot.toml");
    std::fs::write(&config, format!("data_dir = {:?}\n", text(&directory("of-file")))).expect("a configuration file");
    let of_environment = directory("of-environment");
    let of_flag = directory("of-flag");
    let base = ["token", "--role", "admin", "--config", text(&config)];
    let environment = [("HOTSLOT_DATA_DIR", text(&of_environment))];
    let mut with_flag = base.to_vec();
    with_flag.extend(["--data-dir", text(&of_flag)]);
    let made_in = |output: program::Output| {
        assert_eq!(output.code, Some(0), "{output:?}");
        let names = ["of-flag", "of-environment", "of-file"];
        names.map(|name| directory(name).join("jwt.key").exists())
    };
    assert_eq!(made_in(program::run_with(&with_flag, &environment).await), [true, false, false]);
    assert_eq!(made_in(program::run_with(&base, &environment).await), [true, true, false]);
    assert_eq!(made_in(program::run_with(&base, &[]).await), [true, true, true]);
}

/// Everything on the printed lines that looks like a token.
fn tokens_in(lines: &[String]) -> Vec<String> {
    let words =
        lines.iter().flat_map(|line| line.split(|letter: char| letter.is_whitespace() || "\"'`=".contains(letter)));
    words.filter(|word| word.starts_with("eyJ") && word.split('.').count() == 3).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_demonstration_prints_tokens_that_work_and_a_release_to_wait_for() {
    let mut server = Server::start_with(&["--demo"]).await;
    let tokens = eventually("a token for each role is printed", Duration::from_secs(10), async || {
        let tokens = tokens_in(&server.printed());
        (tokens.len() >= 3).then_some(tokens)
    })
    .await;
    let mut roles = Vec::new();
    for token in &tokens {
        let claims = claims_of(server.directory(), token);
        let subject = claims["sub"].as_str().expect("sub").to_owned();
        let role = claims["role"].as_str().expect("role").to_owned();
        let call = match role.as_str() {
            "doctor" => server.anyone().doctor(&subject),
            _ => server.anyone().appointments_of(&subject, ""),
        };
        call.token(token).await.expect(200);
        roles.push(role);
    }
    roles.sort();
    roles.dedup();
    assert_eq!(roles, ["admin", "doctor", "patient"]);
    assert!(server.printed().iter().any(|line| line.contains(&format!("{}/docs", server.address()))), "addresses");

    let doctors = server.anyone().all_items("/v1/doctors?limit=200").await;
    assert!(doctors.len() > 1, "a small believable clinic: {doctors:?}");
    let mut waits = Vec::new();
    for doctor in &doctors {
        let id = doctor["id"].as_str().expect("id");
        let (from, to) = (blackbox::days_ahead(-1).to_string(), blackbox::days_ahead(30).to_string());
        let days = server.anyone().days(id, &from, &to).await.expect(200).json();
        let scheduled = days["items"].as_array().expect("items").iter().filter(|day| day["state"] == "scheduled");
        waits.extend(scheduled.map(|day| instant_of(&day["release_at"]).duration_since(now()).as_secs()));
    }
    assert!(waits.iter().any(|seconds| (0..=60).contains(seconds)), "a release within the minute: {waits:?}");

    server.restart().await;
    let again = server.anyone().all_items("/v1/doctors?limit=200").await;
    assert_eq!(again.len(), doctors.len(), "only an empty directory is filled");
}
