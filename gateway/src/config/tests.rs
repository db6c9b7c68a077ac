//! Whether settings are found, judged and documented.
//! Must not know: how settings are used.

use engine::config::StoreSettings;

use super::settings::SETTINGS;
use super::*;

const DEFAULT_FILE: &str = include_str!("../../config.default.toml");

fn gather(flags: &[(&'static str, &str)], variables: &[(&str, &str)], file: Option<&str>) -> Sources {
    let flags = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
    Sources::gather(&flags, variable, file)
}

fn mistakes(sources: &Sources) -> Vec<String> {
    Config::load(sources).expect_err("mistakes").0
}

#[test]
fn flags_go_before_variables_before_the_file() {
    let file = Some("listen = \"127.0.0.1:3\"\nworkers = 3\nidle_seconds = 3");
    let variables = [("HOTSLOT_LISTEN", "127.0.0.1:2"), ("HOTSLOT_WORKERS", "2")];
    let config = Config::load(&gather(&[("listen", "127.0.0.1:1")], &variables, file)).expect("good");
    assert_eq!(config.http.listen.port(), 1);
    assert_eq!(config.http.workers, 2);
    assert_eq!(config.engine.idle_millis, 3_000);
}

#[test]
fn all_mistakes_are_told_at_once_and_name_their_setting() {
    let file = Some("lisen = \"127.0.0.1:1\"\nrate_subject_burst = 0\nlog_format = [1]");
    let sources = gather(&[("listen", "here")], &[("HOTSLOT_DEMO", "maybe")], file);
    let lines = mistakes(&sources);
    assert_eq!(lines.len(), 5, "{lines:?}");
    for name in ["lisen: ", "listen: ", "rate_subject_burst: ", "log_format: ", "demo: "] {
        assert_eq!(lines.iter().filter(|line| line.starts_with(name)).count(), 1, "{name} in {lines:?}");
    }
}

/// What the settings come to, as flags.
fn stores(flags: &[(&'static str, &str)]) -> StoreSettings {
    Config::load(&gather(flags, &[], None)).expect("good").engine.stores
}

#[test]
fn the_stores_follow_from_the_servers_that_are_named() {
    let (redis, database) = (("redis_url", "redis://a, rediss://:pass@b:1"), ("database_url", "postgresql:///hotslot"));
    assert_eq!(stores(&[]), StoreSettings::Embedded);
    let StoreSettings::Redis { redis: only } = stores(&[redis, ("redis_replicas", "2")]) else { unreachable!() };
    assert_eq!((only.urls.len(), only.replicas, only.accept_appendfsync_no), (2, 2, false));
    assert!(matches!(stores(&[redis, database]), StoreSettings::RedisPostgres { .. }));
    let StoreSettings::Postgres { database } = stores(&[database, ("database_accept_asynchronous_standby", "true")])
    else {
        unreachable!()
    };
    assert!(database.accept_asynchronous_standby);
}

#[test]
fn a_wrong_url_is_told_without_its_password() {
    let flags = [("redis_url", "redis://a,http://u:pass@b"), ("database_url", "mysql://u:pass@b/c")];
    let variables = [("HOTSLOT_FEED_NATS_URL", "u:pass@c"), ("HOTSLOT_FEED_REDIS_URL", "redis://")];
    let lines = mistakes(&gather(&flags, &variables, None));
    assert_eq!(lines.len(), 4, "{lines:?}");
    for name in ["redis_url: ", "database_url: ", "feed_nats_url: ", "feed_redis_url: "] {
        assert!(lines.iter().any(|line| line.starts_with(name) && !line.contains("pass")), "{name} in {lines:?}");
    }
    let good = Config::load(&gather(&[("database_url", "postgres://u:pass@b/c")], &[], None)).expect("good");
    assert!(!format!("{good:?}").contains("pass"));
}

#[test]
fn settings_that_need_others_say_which() {
    let node = [("node_listen", "127.0.0.1:7070")];
    let database = ("database_url", "postgres://x");
    let key = ("jwt_key_file", "/k");
    for (flags, names) in [
        (
            vec![node[0]],
            vec!["node_listen: several nodes need database_url", "node_listen: several nodes need one key"],
        ),
        (vec![node[0], ("redis_url", "redis://x"), key], vec!["node_listen: several nodes need database_url"]),
        (vec![("node_listen", "0.0.0.0:7070"), database, key], vec!["node_listen: is every address"]),
        (vec![("node_address", "a:1")], vec!["node_address: means nothing"]),
        (vec![("node_address", "a"), node[0], database, key], vec!["node_address: \"a\" is not a host"]),
        (vec![("node_tls_cert", "/c")], vec!["node_tls_key: is missing", "node_tls_ca: is missing"]),
        (
            vec![("node_tls_cert", "/c"), ("node_tls_key", "/k"), ("node_tls_ca", "/a")],
            vec!["node_tls_cert: means nothing"],
        ),
        (vec![("redis_replicas", "1")], vec!["redis_replicas: means nothing"]),
        (vec![("redis_accept_appendfsync_no", "true")], vec!["redis_accept_appendfsync_no: means nothing"]),
        (vec![("database_accept_asynchronous_standby", "true")], vec!["database_accept_asynchronous_standby: means"]),
        (vec![("lease_millis", "299")], vec!["lease_millis: "]),
    ] {
        let lines = mistakes(&gather(&flags, &[], None));
        let told = names.iter().all(|name| lines.iter().any(|line| line.starts_with(name)));
        assert!(told && lines.len() == names.len(), "{flags:?}: {lines:?}");
    }
    let good = [("node_listen", "0.0.0.0:7070"), ("node_address", "[::1]:7070"), database, key];
    let config = Config::load(&gather(&good, &[], None)).expect("good");
    assert_eq!(config.engine.node.address.as_deref(), Some("[::1]:7070"));
    assert!(config.http.nodes.is_some_and(|nodes| nodes.tls.is_none()));
}

#[test]
fn waits_between_attempts_are_some_and_never_fall() {
    let waits = |text: &str| Config::load(&gather(&[("reminder_retry_waits", text)], &[], None));
    for (text, millis) in [
        ("2s,4s,8s", vec![2_000, 4_000, 8_000]),
        ("100ms", vec![100]),
        (" 500ms, 500ms ,1,1h", vec![500, 500, 1_000, 3_600_000]),
        ("1s,1s,1s,1s,1s,1s,1s,1s,1s,1s", vec![1_000; 10]),
    ] {
        assert_eq!(waits(text).expect("good").engine.reminders.retry_waits_millis, millis, "{text}");
    }
    let eleven = ["1s"; 11].join(",");
    for text in ["none", "99ms", "2h", "3601s", "4s,2s", "2s,", "-1s", "1.5s", "ms", "+1ms", eleven.as_str()] {
        let lines = waits(text).expect_err(text).0;
        let told = "is not 1 to 10 waits such as 2s,4s,8s, each from 100ms to 3600s and none shorter";
        assert!(lines.len() == 1 && lines[0].starts_with("reminder_retry_waits: "), "{text}: {lines:?}");
        assert!(lines[0].contains(told), "{text}: {lines:?}");
    }
}

#[test]
fn alerts_go_to_the_file_unless_somebody_is_named_and_nobody_is_repeated() {
    let load = |flags: &[(&'static str, &str)]| Config::load(&gather(flags, &[], None));
    let channels = |config: Config| config.alerts.iter().map(|target| target.channel.word()).collect::<Vec<_>>();
    assert_eq!(channels(load(&[]).expect("good")), ["file"]);
    assert!(channels(load(&[("alert_to", "none")]).expect("good")).is_empty());
    let mail = [("smtp_host", "mail.example.org"), ("smtp_from", "a@example.org")];
    let both = load(&[mail[0], mail[1], ("alert_to", "email:ops@example.org, file")]).expect("good");
    assert!(!format!("{both:?}").contains("ops@"));
    assert_eq!(channels(both), ["email", "file"]);
    for (text, told) in [
        ("email:boss@example.org", "alert_to: address 1: email is named, and its settings are not given"),
        ("file,pigeon:boss@example.org", "alert_to: address 2: must be none, or channels with addresses"),
        ("file,email:boss at home", "alert_to: address 2: the address must be a mail address"),
        ("file,file", "alert_to: address 2: is named before"),
        ("file:a,file:b,file:c,file:d,file:e,file:f,file:g,file:h,file:i", "alert_to: must not have more than 8"),
    ] {
        let lines = load(&[("alert_to", text)]).expect_err(text).0;
        assert!(lines.len() == 1 && lines[0].starts_with(told) && !lines[0].contains("boss"), "{text}: {lines:?}");
    }
    let lines = load(&[("alert_interval_seconds", "0")]).expect_err("never").0;
    assert!(lines[0].starts_with("alert_interval_seconds: "), "{lines:?}");
}

#[test]
fn a_secret_is_never_repeated() {
    let secret = "00112233445566778899aabbccddeeff00112233445566778899aabbccddee";
    let lines = mistakes(&gather(&[], &[("HOTSLOT_JWT_KEY", secret)], None));
    assert!(lines.iter().all(|line| !line.contains(secret)), "{lines:?}");
    let good = format!("{secret}ff");
    let config = Config::load(&gather(&[], &[("HOTSLOT_JWT_KEY", &good)], None)).expect("good");
    assert!(!format!("{config:?}").contains("aabb"));
}

#[test]
fn a_broken_file_is_one_line() {
    let lines = mistakes(&gather(&[], &[], Some("listen = \n x")));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("config: the file is not TOML") && !lines[0].contains('\n'), "{lines:?}");
}

#[test]
fn the_documented_file_holds_every_key_and_the_defaults() {
    for setting in SETTINGS {
        let documented = DEFAULT_FILE.lines().any(|line| {
            let line = line.strip_prefix("# ").unwrap_or(line);
            line.split_once(" = ").is_some_and(|(key, _)| key == setting.key)
        });
        assert!(documented, "{}", setting.key);
    }
    let defaults = Config::load(&gather(&[], &[], None)).expect("good");
    let documented = Config::load(&gather(&[], &[], Some(DEFAULT_FILE))).expect("good");
    assert_eq!(format!("{defaults:?}"), format!("{documented:?}"));
    // What is only documented as a comment is spelled as it would be given.
    let commented: Vec<&str> = DEFAULT_FILE.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    let examples =
        commented.iter().filter(|line| SETTINGS.iter().any(|known| line.starts_with(&format!("{} = ", known.key))));
    for example in examples {
        assert!(example.parse::<toml::Table>().is_ok(), "{example}");
    }
}

#[test]
fn names_follow_from_the_key() {
    for setting in SETTINGS {
        assert_eq!(setting.flag, setting.key.replace('_', "-"));
        assert!(setting.variable().starts_with("HOTSLOT_"));
    }
}

#[test]
fn durations_have_one_unit() {
    for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3_600), ("7d", 604_800)] {
        assert_eq!(parse_duration_seconds(text), Some(seconds), "{text}");
    }
    for text in ["", "0", "h", "-1h", "1.5h", "1h30m", "1 h", "+1h", "99999999999999999999d", "1w", "1ä"] {
        assert_eq!(parse_duration_seconds(text), None, "{text}");
    }
}
