//! Do the manifests of Kubernetes fit together: files, names, labels, ports, times?
//! Must not know: a cluster. (`deploy/OPERATIONS.md` says how they are held against the published schemas.)

use std::collections::BTreeSet;

use blackbox::program::repository;
use serde_json::Value;

use super::{assert_none, files, is_yaml, items, keys, single, text, yaml};

const FOLDER: &str = "deploy/kubernetes";
const POD_LABEL: &str = "app.kubernetes.io/name";
const PROGRAM_ENDS_WITHIN_SECONDS: u64 = 10;

/// All documents of the folder with a kind and a name, with the paths of their files.
fn objects() -> Vec<(String, Value)> {
    let paths = files().into_iter().map(|file| file.path).filter(|path| path.starts_with(FOLDER) && is_yaml(path));
    let all = paths.flat_map(|path| yaml(&path).into_iter().map(move |document| (path.clone(), document)));
    let objects: Vec<(String, Value)> = all.filter(|(_, object)| object["metadata"]["name"].is_string()).collect();
    assert!(objects.len() > 10, "objects were found");
    objects
}

fn object(kind: &str, name: &str) -> Value {
    let objects = objects();
    let found = objects.iter().find(|(_, object)| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}")).1.clone()
}

fn names(kind: &str) -> BTreeSet<String> {
    let of_kind = objects().into_iter().filter(|(_, object)| object["kind"] == kind);
    of_kind.map(|(_, object)| text(&object["metadata"]["name"], kind).to_owned()).collect()
}

fn nodes() -> Value {
    object("StatefulSet", "hotslot")
}

#[test]
fn every_manifest_is_part_of_its_kustomization() {
    let mut findings = Vec::new();
    for folder in ["base", "migrate", "monitoring"] {
        let folder = format!("{FOLDER}/{folder}");
        let kustomization = single(&format!("{folder}/kustomization.yaml"));
        let named: BTreeSet<&str> = items(&kustomization["resources"]).filter_map(Value::as_str).collect();
        assert!(!named.is_empty(), "{folder} names resources");
        for resource in &named {
            if !repository().join(&folder).join(resource).exists() {
                findings.push(format!("{folder}: {resource} does not exist"));
            }
        }
        for (path, _) in objects() {
            let own = path.strip_prefix(&format!("{folder}/"));
            if own.is_some_and(|file| !named.contains(file)) {
                findings.push(format!("{path} is not named"));
            }
        }
    }
    assert_none("kustomizations", &findings);
}

#[test]
fn everything_a_pod_refers_to_is_there() {
    let (secrets, maps) = (names("Secret"), names("ConfigMap"));
    let accounts = names("ServiceAccount");
    for owner in [nodes(), object("Job", "hotslot-migrate")] {
        let pod = &owner["spec"]["template"]["spec"];
        let volumes: BTreeSet<&str> = items(&pod["volumes"]).map(|volume| text(&volume["name"], "a volume")).collect();
        for secret in items(&pod["volumes"]).filter_map(|volume| volume["secret"]["secretName"].as_str()) {
            assert!(secrets.contains(secret), "no example of the Secret {secret}");
        }
        if let Some(account) = pod["serviceAccountName"].as_str() {
            assert!(accounts.contains(account), "{account}");
        }
        let container = &pod["containers"][0];
        for map in items(&container["envFrom"]).filter_map(|from| from["configMapRef"]["name"].as_str()) {
            assert!(maps.contains(map), "{map}");
        }
        for mount in items(&container["volumeMounts"]) {
            assert!(volumes.contains(text(&mount["name"], "a mount")), "{mount}");
        }
        let selector = &owner["spec"]["selector"]["matchLabels"];
        let labels = &owner["spec"]["template"]["metadata"]["labels"];
        assert!(keys(selector).all(|key| selector[key] == labels[key]), "{selector} selects {labels}");
    }
}

#[test]
fn every_file_that_a_setting_names_is_in_a_mounted_secret() {
    let pod = nodes()["spec"]["template"]["spec"].clone();
    let settings = object("ConfigMap", "hotslot")["data"].clone();
    let mut found = 0;
    for file in keys(&settings).filter_map(|key| settings[key].as_str()).filter(|value| value.starts_with("/etc/")) {
        let (folder, name) = file.rsplit_once('/').expect("a path");
        let mount = items(&pod["containers"][0]["volumeMounts"]).find(|mount| mount["mountPath"] == folder);
        let volume = &mount.unwrap_or_else(|| panic!("nothing is mounted for {file}"))["name"];
        let volume = items(&pod["volumes"]).find(|candidate| candidate["name"] == *volume).expect("a volume");
        let secret = object("Secret", text(&volume["secret"]["secretName"], "a secret"));
        assert!(secret["stringData"][name].is_string(), "{file}: the example has no {name}");
        found += 1;
    }
    assert_eq!(found, 5, "settings, token key, and three of TLS");
}

#[test]
fn ports_have_the_same_names_and_numbers_everywhere() {
    let pod = nodes()["spec"]["template"]["spec"].clone();
    let ports = &pod["containers"][0]["ports"];
    let number = |name: &str| items(ports).find(|port| port["name"] == name).map(|port| port["containerPort"].clone());
    let settings = object("ConfigMap", "hotslot")["data"].clone();
    for (variable, name) in
        [("HOTSLOT_LISTEN", "http"), ("HOTSLOT_NODE_LISTEN", "node"), ("HOTSLOT_METRICS_LISTEN", "metrics")]
    {
        let told = text(&settings[variable], variable).rsplit(':').next().and_then(|port| port.parse::<u64>().ok());
        assert_eq!(number(name).and_then(|port| port.as_u64()), told, "{variable}");
    }
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let port = text(&pod["containers"][0][probe]["httpGet"]["port"], probe);
        assert!(number(port).is_some(), "{probe}: {port}");
    }
    for service in ["hotslot", "hotslot-nodes"] {
        for port in items(&object("Service", service)["spec"]["ports"]) {
            assert!(number(text(&port["targetPort"], service)).is_some(), "{service}: {port}");
        }
    }
    let monitored = text(&object("ServiceMonitor", "hotslot")["spec"]["endpoints"][0]["port"], "a port").to_owned();
    let of_service = object("Service", "hotslot-nodes");
    assert!(items(&of_service["spec"]["ports"]).any(|port| port["name"] == monitored), "{monitored}");
    for rule in items(&object("NetworkPolicy", "hotslot")["spec"]["ingress"]) {
        let port = text(&rule["ports"][0]["port"], "a port by its name");
        assert!(number(port).is_some(), "{port}");
    }
}

#[test]
fn everything_selects_the_nodes() {
    let labels = nodes()["spec"]["template"]["metadata"]["labels"].clone();
    let label = text(&labels[POD_LABEL], "the pods' label").to_owned();
    for service in ["hotslot", "hotslot-nodes"] {
        assert_eq!(object("Service", service)["spec"]["selector"][POD_LABEL], label);
    }
    assert_eq!(object("PodDisruptionBudget", "hotslot")["spec"]["selector"]["matchLabels"][POD_LABEL], label);
    assert_eq!(object("NetworkPolicy", "hotslot")["spec"]["podSelector"]["matchLabels"][POD_LABEL], label);
    let headless = object("Service", text(&nodes()["spec"]["serviceName"], "a service"));
    assert_eq!(headless["spec"]["clusterIP"], "None");
    let monitor = object("ServiceMonitor", "hotslot")["spec"]["selector"]["matchLabels"].clone();
    assert!(keys(&monitor).all(|key| headless["metadata"]["labels"][key] == monitor[key]), "{monitor}");
    let target = object("HorizontalPodAutoscaler", "hotslot")["spec"]["scaleTargetRef"].clone();
    assert_eq!((&target["kind"], &target["name"]), (&"StatefulSet".into(), &nodes()["metadata"]["name"]));
}

#[test]
fn a_node_has_the_time_to_hand_over() {
    let node = nodes();
    let grace = node["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().expect("seconds");
    assert!(grace > PROGRAM_ENDS_WITHIN_SECONDS, "{grace}");
    let lease = text(&object("ConfigMap", "hotslot")["data"]["HOTSLOT_LEASE_MILLIS"], "a lease").parse::<u64>();
    let settled = node["spec"]["minReadySeconds"].as_u64().expect("seconds");
    assert!(settled * 1000 > lease.expect("milliseconds"), "the next node goes only after a lease");
    assert_eq!(object("PodDisruptionBudget", "hotslot")["spec"]["maxUnavailable"], 1);
}

#[test]
fn no_pod_may_do_more_than_it_must() {
    for owner in [nodes(), object("Job", "hotslot-migrate")] {
        let pod = &owner["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["automountServiceAccountToken"], false);
        for container in items(&pod["containers"]) {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["capabilities"]["drop"][0], "ALL");
        }
    }
}
