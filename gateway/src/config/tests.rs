//! Whether settings are found, judged and documented.
//! Must not know: how settings are used.

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

#[test]
fn profiles_that_are_not_built_stop_the_start() {
    let lines = mistakes(&gather(&[("redis_url", "redis://x")], &[("HOTSLOT_DATABASE_URL", "postgres://x")], None));
    assert!(lines[0].starts_with("redis_url: not available in this build yet"), "{lines:?}");
    assert!(lines[1].starts_with("database_url: not available in this build yet"), "{lines:?}");
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
