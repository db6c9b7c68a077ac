//! Does `compose.yaml` fit together: files, names, ports, times?
//! Must not know: what the containers do.

use std::path::Path;
use std::time::Duration;

use blackbox::{program, sources};
use serde_json::Value;
use tempfile::TempDir;

use super::{assert_none, items, keys, single, text};

const COMPOSE: &str = "deploy/compose.yaml";
const NODES: [&str; 3] = ["node-1", "node-2", "node-3"];
/// The program ends so soon after SIGTERM.
const PROGRAM_ENDS_WITHIN_SECONDS: u64 = 10;

/// A copy of the script `deploy/prepare`, and what it has made beside itself.
pub(super) async fn prepared(profile: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("prepare");
    std::fs::copy(program::repository().join("deploy/prepare"), &script).expect("the script is copied");
    let mut command = program::bare_command(Path::new("bash"));
    command.arg(&script).arg(profile);
    let output = program::run_to_end(command, Duration::from_secs(20)).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    directory
}

/// The services by name.
fn services() -> Vec<(String, Value)> {
    let compose = single(COMPOSE);
    let services = compose["services"].as_object().expect("services").clone();
    assert!(services.len() > 8, "services were read");
    services.into_iter().collect()
}

/// What the service names under `part`: a list of names, or a map by name.
fn named(service: &Value, part: &str) -> Vec<String> {
    let value = &service[part];
    items(value).filter_map(Value::as_str).chain(keys(value)).map(str::to_owned).collect()
}

#[test]
fn every_name_is_declared() {
    let compose = single(COMPOSE);
    let mut missing = Vec::new();
    for (name, service) in services() {
        for (part, place) in [("depends_on", "services"), ("networks", "networks"), ("secrets", "secrets")] {
            for wanted in named(&service, part) {
                if !keys(&compose[place]).any(|declared| declared == wanted) {
                    missing.push(format!("{name}: {part}: {wanted}"));
                }
            }
        }
        for mount in named(&service, "volumes") {
            let source = mount.split(':').next().unwrap_or_default();
            if !source.starts_with('.') && !keys(&compose["volumes"]).any(|declared| declared == source) {
                missing.push(format!("{name}: volumes: {source}"));
            }
        }
    }
    assert_none("names that compose.yaml does not declare", &missing);
}

#[test]
fn every_file_it_mounts_or_builds_from_exists() {
    let deploy = program::repository().join("deploy");
    let mut seen = 0;
    for (name, service) in services() {
        for mount in named(&service, "volumes").iter().filter(|mount| mount.starts_with('.')) {
            let source = mount.split(':').next().unwrap_or_default();
            seen += 1;
            assert!(deploy.join(source).exists(), "{name}: {source} does not exist");
        }
        if let Some(file) = service["build"]["dockerfile"].as_str() {
            seen += 1;
            let context = text(&service["build"]["context"], "a context");
            assert!(deploy.join(context).join(file).is_file(), "{name}: {context}/{file} does not exist");
        }
    }
    assert!(seen > 8, "files are named: {seen}");
}

#[tokio::test]
async fn every_profile_gets_the_secrets_it_names() {
    let compose = single(COMPOSE);
    for (profile, journal, profiles) in
        [("postgres", "postgres", "postgres"), ("redis", "redis", "redis"), ("standby", "postgres", "postgres,standby")]
    {
        let prepared = prepared(profile).await;
        let environment = std::fs::read_to_string(prepared.path().join(".env")).expect("an environment");
        let chosen: Vec<&str> = environment.lines().filter(|line| !line.starts_with('#')).collect();
        let standby = if profile == "standby" { "standby" } else { "" };
        let expected = [
            format!("COMPOSE_PROFILES={profiles}"),
            format!("DEPLOY_JOURNAL={journal}"),
            format!("DEPLOY_STANDBY_NAMES={standby}"),
        ];
        assert_eq!(chosen, expected);
        for (name, secret) in compose["secrets"].as_object().expect("secrets") {
            let file = text(&secret["file"], name).replace("${DEPLOY_JOURNAL:?run deploy/prepare first}", journal);
            let length = std::fs::metadata(prepared.path().join(&file)).map(|file| file.len());
            assert!(length.is_ok_and(|length| length > 0), "{profile}: {name}: {file} was not made");
        }
        let key = std::fs::read(prepared.path().join("secrets/jwt.key")).expect("a key");
        assert_eq!(key.len(), 32, "the key of tokens");
    }
    let asked: Vec<String> = variables(&sources::read(COMPOSE.to_owned()).text);
    assert_eq!(asked, ["DEPLOY_STANDBY_NAMES", "DEPLOY_JOURNAL"], "what compose.yaml takes from the environment");
}

/// The variables that compose.yaml takes from its environment.
fn variables(text: &str) -> Vec<String> {
    let ends = |letter: char| !(letter.is_ascii_uppercase() || letter == '_');
    text.split("${").skip(1).map(|rest| rest.split(ends).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_nodes_are_known_everywhere_by_the_same_names_and_ports() {
    let services = services();
    let balancer = sources::read("deploy/haproxy.cfg".to_owned()).text;
    let prepare = sources::read("deploy/prepare".to_owned()).text;
    let figures = single("deploy/prometheus.yaml");
    let targets: Vec<&str> =
        items(&figures["scrape_configs"][0]["static_configs"][0]["targets"]).filter_map(Value::as_str).collect();
    let port = |value: &Value| text(value, "an address").rsplit(':').next().unwrap_or_default().to_owned();
    let nodes: Vec<&(String, Value)> = services.iter().filter(|(name, _)| name.starts_with("node-")).collect();
    assert_eq!(nodes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), NODES);
    for (name, node) in nodes {
        let environment = &node["environment"];
        let listen = port(&environment["HOTSLOT_NODE_LISTEN"]);
        assert_eq!(environment["HOTSLOT_NODE_ADDRESS"], format!("{name}:{listen}"));
        let metrics = port(&environment["HOTSLOT_METRICS_LISTEN"]);
        assert!(targets.contains(&format!("{name}:{metrics}").as_str()), "{targets:?}");
        assert!(balancer.contains(&format!("server {name} {name}:8080\n")), "haproxy.cfg knows {name}");
        assert!(prepare.contains(&format!("DNS:{name}")), "the certificate is good for {name}");
    }
    assert_eq!(targets.len(), NODES.len());
}

#[test]
fn every_service_may_end_in_order_and_is_looked_after() {
    let image = sources::read("deploy/Containerfile".to_owned()).text;
    assert!(image.contains("\nHEALTHCHECK ") && image.contains("/healthz/ready"));
    for (name, service) in services() {
        assert!(items(&service["profiles"]).count() > 0, "{name} starts without a profile");
        let is_node = NODES.contains(&name.as_str());
        assert!(name == "migrate" || service["healthcheck"].is_object(), "{name} has no health check");
        if is_node {
            let period = text(&service["stop_grace_period"], "a period").trim_end_matches('s').parse::<u64>();
            assert!(period.expect("seconds") > PROGRAM_ENDS_WITHIN_SECONDS, "{name}");
        }
    }
}

#[test]
fn the_image_is_built_by_the_release_of_rust_that_is_asked_for() {
    let workspace: toml::Table = sources::read("Cargo.toml".to_owned()).text.parse().expect("TOML");
    let release = workspace["workspace"]["package"]["rust-version"].as_str().expect("a release");
    let image = sources::read("deploy/Containerfile".to_owned()).text;
    assert!(image.contains(&format!("rust:{release}-bookworm AS build")), "{release}");
    // cargo reads every member's manifest, whatever it builds.
    let sent = sources::read("deploy/Containerfile.dockerignore".to_owned()).text;
    for member in workspace["workspace"]["members"].as_array().expect("members") {
        let top = member.as_str().and_then(|path| path.split('/').next()).expect("a path");
        assert!(sent.lines().any(|line| line == format!("!{top}")), "{top} is not sent to the build");
    }
}

#[tokio::test]
async fn the_load_balancer_accepts_its_configuration() {
    let file = program::repository().join("deploy/haproxy.cfg");
    let installed = ["/usr/sbin/haproxy", "/usr/bin/haproxy"].iter().map(Path::new).find(|path| path.is_file());
    let mut command = program::bare_command(installed.expect("the Debian package haproxy is missing"));
    command.arg("-c").arg("-f").arg(&file);
    let output = program::run_to_end(command, Duration::from_secs(20)).await;
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    assert!(!output.stderr.contains("WARNING"), "{}", output.stderr);
}
